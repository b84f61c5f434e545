//! Checks the `PlatformConnection`s: their condition, their Secret, their URL, and the namespaces that they admit.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::Api;

use super::{
    controller::{Found, election::joined},
    findings::Findings,
    list::Check,
    read::{Connection, Fleet},
    unread::Unread,
};
use crate::{
    api::{ConditionType, ConnectionReason, NamespacesFrom, PlatformConnection, TenantPricing, conditions},
    cli::{cluster::Cluster, output::remedies},
    cluster::Key,
    connections::{Admission, admission_by_labels, secret_credentials},
    platform::{CredentialError, Origin},
};

/// Checks each connection.
pub(super) async fn check(cluster: &Cluster, fleet: &Fleet, found: &Found, findings: &mut Findings) {
    if fleet.connections.is_empty() {
        let message =
            format!("There is no PlatformConnection in {}. Without one nothing is switched.", fleet.scope);
        let remedy = "Create one, with a Secret that holds the credentials of an API client.";
        findings.warning(Check::ConnectionReady, None, message, remedy);
        for check in [Check::ConnectionSecret, Check::ConnectionHost, Check::ConnectionNamespaces] {
            findings.skipped(check, None, "There is no PlatformConnection.");
        }
    }
    for (key, connection) in &fleet.connections {
        let connection = match connection {
            Connection::Stored(connection) => connection,
            // The objects that name it are in another check.
            Connection::Absent => continue,
            Connection::Unreadable(why) => {
                let message = format!("This version cannot read it, so nothing of it is checked: {why}.");
                let remedy = "Use the version of this program that the controller has.";
                findings.warning(Check::ConnectionReady, Some(key.as_str()), message, remedy);
                continue;
            }
            Connection::Unread(unread) => {
                let message = format!("It could not be read: {}.", unread.why);
                findings.unread(Check::ConnectionReady, Some(key.as_str()), unread, message);
                continue;
            }
        };
        check_ready(key, connection, findings);
        check_secret(cluster, key, connection, findings).await;
        check_host(key, connection, found, findings);
        check_namespaces(cluster, key, connection, fleet, findings).await;
    }
}

fn check_ready(key: &Key, connection: &PlatformConnection, findings: &mut Findings) {
    const CHECK: Check = Check::ConnectionReady;
    const SUSPENDED: &str = "It is suspended: no call is made through it, and nothing is switched.";
    let subject = Some(key.as_str());
    let resume = "Set spec.suspend: false to go on.";
    let status = connection.status.clone().unwrap_or_default();
    let ready = conditions::find(&status.conditions, ConditionType::Ready);
    let Some(ready) = ready.filter(|_| status.observed_generation >= 0) else {
        let message = "No controller has checked it yet. Objects that name it wait.";
        let remedy = "Wait. If it lasts, see whether a controller runs and watches this namespace.";
        findings.error(CHECK, subject, message, remedy);
        return;
    };
    if connection.spec.suspend {
        findings.warning(CHECK, subject, SUSPENDED, resume);
        return;
    }
    if status.observed_generation < connection.metadata.generation.unwrap_or_default() {
        let message = "It was edited, and the controller has not checked the edit yet.";
        findings.warning(CHECK, subject, message, "Wait. If it lasts, see whether the controller runs.");
        return;
    }
    let reason = ConnectionReason::ALL.iter().find(|reason| reason.as_str() == ready.reason).copied();
    let message = format!("{}: {}", ready.reason, ready.message);
    let remedy = remedies::of_connection(&ready.reason).map_or_else(
        || "Use the version of this program that the controller has.".to_owned(),
        |remedy| format!("{remedy}."),
    );
    match reason {
        Some(ConnectionReason::CredentialsAccepted) => findings.ok(CHECK, subject, message),
        Some(ConnectionReason::Suspended) => findings.warning(CHECK, subject, SUSPENDED, resume),
        // The platform asked for a pause, and the controller goes on after it. A reason of a later version may be well.
        Some(ConnectionReason::RateLimited) | None => findings.warning(CHECK, subject, message, remedy),
        Some(_) => findings.error(CHECK, subject, message, remedy),
    }
}

/// Checks the Secret, where the user may read it. No value of it leaves this function.
async fn check_secret(
    cluster: &Cluster,
    key: &Key,
    connection: &PlatformConnection,
    findings: &mut Findings,
) {
    const CHECK: Check = Check::ConnectionSecret;
    let subject = Some(key.as_str());
    let secret = Key::new(key.namespace(), &connection.spec.credentials_secret_ref.name);
    let secrets: Api<Secret> = Api::namespaced(cluster.client.clone(), secret.namespace());
    match secrets.get_metadata_opt(secret.name()).await {
        Ok(Some(_)) => {}
        Ok(None) => {
            let message =
                format!("There is no Secret {secret}. Nothing is read or switched through the connection.");
            let remedy = "Create it, with the keys clientId and clientSecret.";
            findings.error(CHECK, subject, message, remedy);
            return;
        }
        Err(error) => {
            let unread = Unread::of(&error);
            let message = if unread.is_forbidden {
                format!("You may not get Secret {secret}.")
            } else {
                format!("Secret {secret} could not be read: {}.", unread.why)
            };
            findings.unread(CHECK, subject, &unread, message);
            return;
        }
    }
    match secret_credentials(&cluster.client, &secret).credentials().await {
        Ok(_) => findings.ok(CHECK, subject, format!("Secret {secret} has both keys.")),
        Err(CredentialError::Unavailable { message }) => {
            // Its metadata could be read a moment ago, so the right is there.
            let unread = Unread { why: message, is_forbidden: false };
            findings.unread(CHECK, subject, &unread, format!("{}.", unread.why));
        }
        Err(error) => {
            let remedy = "Correct it. It is read again within 30 s.";
            findings.error(CHECK, subject, format!("{error}."), remedy);
        }
    }
}

/// Checks the URL against the allow-lists of the controllers that watch the connection.
fn check_host(key: &Key, connection: &PlatformConnection, found: &Found, findings: &mut Findings) {
    const CHECK: Check = Check::ConnectionHost;
    let subject = Some(key.as_str());
    let origin = match Origin::parse(&connection.spec.url) {
        Ok(origin) => origin,
        Err(error) => {
            findings.error(CHECK, subject, format!("spec.url: {error}."), "Correct spec.url.");
            return;
        }
    };
    let mut is_checked = false;
    for installation in found.installations() {
        let Ok(settings) = &installation.settings else { continue };
        if installation.watches_namespace(key.namespace()) != Some(true) {
            continue;
        }
        is_checked = true;
        if settings.allowed_hosts.check(&origin).is_err() {
            let message = format!(
                "{origin} is not among the allowed hosts of {}. No request is sent there, and nothing is switched.",
                installation.key
            );
            let remedy = "Correct spec.url, or add the host to allowedHosts of the chart.";
            findings.error(CHECK, subject, message, remedy);
        } else {
            findings.ok(CHECK, subject, format!("{} may call {origin}.", installation.key));
        }
    }
    if !is_checked {
        findings.skipped(CHECK, subject, "No controller was found that watches its namespace.");
    }
}

/// Checks that the connection admits the namespaces of the objects that name it.
async fn check_namespaces(
    cluster: &Cluster,
    key: &Key,
    connection: &PlatformConnection,
    fleet: &Fleet,
    findings: &mut Findings,
) {
    const CHECK: Check = Check::ConnectionNamespaces;
    let subject = Some(key.as_str());
    let users: Vec<&Key> =
        fleet.objects.iter().filter(|(_, object)| names(object, key)).map(|(user, _)| user).collect();
    let mut admissions: BTreeMap<&str, Admission> = BTreeMap::new();
    let mut unread = None;
    for namespace in users.iter().map(|user| user.namespace()) {
        if !admissions.contains_key(namespace) {
            let admission = admission(cluster, connection, namespace).await.unwrap_or_else(|failure| {
                unread.get_or_insert(failure);
                Admission::Undecided
            });
            admissions.insert(namespace, admission);
        }
    }
    let with = |wanted: Admission| -> Vec<&str> {
        let users = users.iter().filter(|user| admissions.get(user.namespace()) == Some(&wanted));
        users.map(|user| user.as_str()).collect()
    };
    let (refused, undecided) = (with(Admission::Refused), with(Admission::Undecided));
    if !refused.is_empty() {
        let message = format!(
            "It does not admit the namespace of {}. Nothing is read or switched for them.",
            joined(refused.iter().copied())
        );
        let remedy = "Extend spec.allowedNamespaces, or name another connection in the objects.";
        findings.error(CHECK, subject, message, remedy);
    }
    if !undecided.is_empty() {
        let names = joined(undecided.iter().copied());
        let message = format!("The labels of the namespace of {names} could not be read");
        match unread {
            Some(unread) => {
                findings.unread(CHECK, subject, &unread, format!("{message}: {}.", unread.why));
            }
            None => findings.skipped(CHECK, subject, format!("{message}.")),
        }
    }
    if refused.is_empty() && undecided.is_empty() {
        let count = users.len();
        findings.ok(CHECK, subject, format!("It admits {count} of {count} objects that name it."));
    }
}

fn names(object: &TenantPricing, key: &Key) -> bool {
    object.connection_key() == *key
}

/// Whether a connection admits a namespace. Labels are read only where the connection asks for them.
async fn admission(
    cluster: &Cluster,
    connection: &PlatformConnection,
    namespace: &str,
) -> Result<Admission, Unread> {
    if connection.spec.allowed_namespaces.from != NamespacesFrom::Selector {
        return Ok(admission_by_labels(connection, namespace, None));
    }
    let namespaces: Api<Namespace> = Api::all(cluster.client.clone());
    let found = namespaces.get_metadata_opt(namespace).await.map_err(|error| Unread::of(&error))?;
    let labels = found.map(|found| found.metadata.labels.unwrap_or_default());
    Ok(admission_by_labels(connection, namespace, labels.as_ref()))
}
