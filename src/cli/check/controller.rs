//! Finds the installed controllers, and checks their replicas, versions and Leases.

pub(crate) mod election;
pub(crate) mod installation;

use std::collections::BTreeSet;

use jiff::Timestamp;
use k8s_openapi::api::{apps::v1::Deployment, coordination::v1::Lease};
use kube::{Api, Client, api::ListParams, core::PartialObjectMeta};

use self::installation::{Installation, NAME_LABEL};
use super::{findings::Findings, list::Check, unread::Unread};
use crate::{
    api::TenantPricing,
    cli::cluster::{
        Cluster,
        pages::{PAGE, each},
    },
    clock::Clock,
    cluster::{Key, lease},
};

/// Where controllers are searched for.
pub(super) enum Found {
    /// These are all that there are, in these namespaces.
    Installations(Vec<Installation>),
    /// Deployments cannot be listed, for this reason.
    Unknown(String),
}

impl Found {
    /// The installations that were found.
    pub(super) fn installations(&self) -> &[Installation] {
        match self {
            Self::Installations(found) => found,
            Self::Unknown(_) => &[],
        }
    }
}

/// Finds the Deployments of the chart in a namespace, or in all of them, and the objects that each selects.
///
/// # Errors
/// They cannot be listed, for this reason.
pub(crate) async fn list(cluster: &Cluster, namespace: Option<&str>) -> Result<Vec<Installation>, Unread> {
    let mut installations = installations(cluster, namespace).await?;
    for installation in &mut installations {
        installation.selected = selected(&cluster.client, installation).await?;
    }
    Ok(installations)
}

/// Finds the Deployments of the chart in a namespace, or in all of them, without the objects that they select.
///
/// # Errors
/// They cannot be listed, for this reason.
pub(crate) async fn installations(
    cluster: &Cluster,
    namespace: Option<&str>,
) -> Result<Vec<Installation>, Unread> {
    let listed = match namespace {
        Some(namespace) => of(&Api::namespaced(cluster.client.clone(), namespace)).await,
        None => match of(&Api::all(cluster.client.clone())).await {
            // A user of one namespace may have the controller there.
            Err(kube::Error::Api(status)) if status.code == 403 => {
                of(&Api::namespaced(cluster.client.clone(), &cluster.namespace)).await
            }
            listed => listed,
        },
    };
    listed.map_err(|error| Unread::of(&error).in_words(|why| format!("Deployments cannot be listed: {why}")))
}

async fn of(deployments: &Api<Deployment>) -> Result<Vec<Installation>, kube::Error> {
    let mut found = Vec::new();
    let parameters = ListParams::default().labels(NAME_LABEL);
    each(deployments, parameters, |deployment| found.extend(Installation::of(&deployment))).await?;
    found.sort_by(|one, other| one.key.cmp(&other.key));
    Ok(found)
}

/// The objects that the label selector of an installation matches: the API server is asked, as the controller does.
async fn selected(client: &Client, installation: &Installation) -> Result<Option<BTreeSet<Key>>, Unread> {
    let settings = installation.settings.as_ref().ok();
    let Some(selector) = settings.and_then(|settings| settings.watch_label_selector.as_ref()) else {
        return Ok(None);
    };
    let watched = settings.map(|settings| settings.watch_namespaces.clone()).unwrap_or_default();
    let places: Vec<Api<TenantPricing>> = if watched.is_empty() {
        vec![Api::all(client.clone())]
    } else {
        watched.iter().map(|namespace| Api::namespaced(client.clone(), namespace)).collect()
    };
    let mut selected = BTreeSet::new();
    for objects in places {
        let mut parameters = ListParams::default().labels(selector).limit(PAGE);
        loop {
            let page = objects.list_metadata(&parameters).await;
            let page = page.map_err(|error| {
                Unread::of(&error)
                    .in_words(|why| format!("the objects with labels {selector} cannot be listed: {why}"))
            })?;
            selected
                .extend(page.items.iter().map(|object: &PartialObjectMeta<TenantPricing>| Key::of(object)));
            match page.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => parameters = parameters.continue_token(&token),
                None => break,
            }
        }
    }
    Ok(Some(selected))
}

/// Checks what is installed. `namespace`: that of `--controller-namespace`.
pub(super) async fn check(cluster: &Cluster, namespace: Option<&str>, findings: &mut Findings) -> Found {
    let installations = match list(cluster, namespace).await {
        Ok(installations) => installations,
        Err(unread) => {
            let advice = if unread.is_forbidden {
                " Name a namespace that you may read with --controller-namespace."
            } else {
                ""
            };
            let why = format!("{}.{advice}", unread.why);
            findings.unread(Check::ControllerInstalled, None, &unread, why.clone());
            for check in [
                Check::ControllerSettings,
                Check::ControllerAvailable,
                Check::ControllerVersion,
                Check::ControllerLease,
                Check::OneElection,
            ] {
                findings.skipped(check, None, why.clone());
            }
            return Found::Unknown(why);
        }
    };
    let leases = election::leases(cluster, namespace, &installations).await;
    if installations.is_empty() {
        check_none(namespace, leases.others(), findings);
    }
    for installation in &installations {
        let subject = Some(installation.key.as_str());
        findings.ok(Check::ControllerInstalled, subject, "It is there.");
        check_settings(installation, findings);
        check_replicas(installation, findings);
        check_version(installation, findings);
    }
    election::check(&installations, &leases, findings);
    Found::Installations(installations)
}

/// Says what it means that there is no Deployment. `leases`: those that are renewed, each with its holder.
fn check_none(namespace: Option<&str>, leases: &[(Key, String)], findings: &mut Findings) {
    const CHECK: Check = Check::ControllerInstalled;
    let place = namespace.map_or_else(|| "any namespace".to_owned(), |name| format!("namespace {name}"));
    let message = format!("There is no Deployment of the chart in {place}");
    if let Some((lease, holder)) = leases.first() {
        let message = format!("{message}, and {holder} renews Lease {lease}. What it watches is not known.");
        let remedy = "This is right if the controller runs outside of the chart. Otherwise end that process.";
        findings.warning(CHECK, None, message, remedy);
    } else {
        let message = format!("{message}. Without a controller nothing is switched.");
        let remedy = "Install the chart, or name its namespace with --controller-namespace.";
        findings.error(CHECK, None, message, remedy);
    }
    for check in [Check::ControllerSettings, Check::ControllerAvailable, Check::ControllerVersion] {
        findings.skipped(check, None, "There is no Deployment.");
    }
}

fn check_settings(installation: &Installation, findings: &mut Findings) {
    let subject = Some(installation.key.as_str());
    match &installation.settings {
        Ok(settings) => {
            let watched = if settings.watch_namespaces.is_empty() {
                "all namespaces".to_owned()
            } else {
                format!("the namespaces {}", settings.watch_namespaces.join(", "))
            };
            let labels = settings.watch_label_selector.as_ref();
            let labels =
                labels.map_or_else(String::new, |labels| format!(", objects with the labels {labels}"));
            findings.ok(Check::ControllerSettings, subject, format!("It watches {watched}{labels}."));
        }
        Err(why) => {
            let message =
                format!("This program cannot read them: {why}. What the controller watches is not known.");
            let remedy = "Use the version of this program that the controller has.";
            findings.warning(Check::ControllerSettings, subject, message, remedy);
        }
    }
}

fn check_replicas(installation: &Installation, findings: &mut Findings) {
    const CHECK: Check = Check::ControllerAvailable;
    let (subject, desired, available) =
        (Some(installation.key.as_str()), installation.desired, installation.available);
    let remedy = format!(
        "See: kubectl -n {} describe deployment {}",
        installation.key.namespace(),
        installation.key.name()
    );
    match (desired, available) {
        (..=0, _) => {
            let message =
                "It is stopped: it has 0 replicas. Nothing is switched, and the platform may still do it.";
            findings.warning(CHECK, subject, message, "Set replicaCount of the chart to go on.");
        }
        (_, ..=0) => {
            let message = format!("None of {desired} replicas is available. Nothing is switched.");
            findings.error(CHECK, subject, message, remedy);
        }
        (desired, available) if available < desired => {
            let message =
                format!("{available} of {desired} replicas are available. The others cannot take over.");
            findings.warning(CHECK, subject, message, remedy);
        }
        _ => findings.ok(CHECK, subject, format!("{available} of {desired} replicas are available.")),
    }
}

fn check_version(installation: &Installation, findings: &mut Findings) {
    const CHECK: Check = Check::ControllerVersion;
    const OWN: &str = env!("CARGO_PKG_VERSION");
    let subject = Some(installation.key.as_str());
    match installation.version.as_deref() {
        None => findings.skipped(CHECK, subject, "Neither the image's tag nor a label names the version."),
        Some(OWN) => findings.ok(CHECK, subject, format!("The version is {OWN}.")),
        Some(other) => {
            let message = format!(
                "The controller is {other}, and this program is {OWN}. A plan may say something else than the controller does."
            );
            findings.warning(CHECK, subject, message, format!("Install version {other} of this program."));
        }
    }
}

/// The time by which the timestamps of a Lease are judged.
fn now() -> Timestamp {
    Clock::system().now()
}

/// The state of a Lease.
pub(super) enum LeaseState {
    /// It could be read.
    Read(Box<Lease>),
    /// Its timestamps look stale or lie ahead, and it was seen to change.
    Renewed(Box<Lease>),
    /// There is none.
    Absent,
    /// It could not be read, for this reason.
    Unread(Unread),
}

/// Reads a Lease. Timestamps of a holder with a wrong clock say nothing: then whether it changes decides.
async fn read_lease(client: &Client, key: &Key) -> LeaseState {
    let leases: Api<Lease> = Api::namespaced(client.clone(), key.namespace());
    match leases.get_opt(key.name()).await {
        Ok(None) => LeaseState::Absent,
        Err(error) => LeaseState::Unread(Unread::of(&error)),
        Ok(Some(found)) => {
            let is_held = !lease::holder_of(&found).is_empty();
            if is_held
                && !lease::is_fresh(&found, now())
                && lease::is_renewed(&leases, &found).await.unwrap_or(false)
            {
                return LeaseState::Renewed(Box::new(found));
            }
            LeaseState::Read(Box::new(found))
        }
    }
}
