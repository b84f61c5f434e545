//! Checks the Leases of the installed controllers, and that no object is watched by two elections.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::coordination::v1::Lease;
use kube::{Api, ResourceExt, api::ListParams};

use super::{LeaseState, installation::Installation, now, read_lease};
use crate::{
    cli::{
        check::{findings::Findings, list::Check, unread::Unread},
        cluster::{Cluster, pages::each},
        run::LEASE_NAME,
    },
    cluster::{Key, lease},
};

/// How many objects a finding names.
const NAMED: usize = 3;

/// The Leases of elections.
pub(crate) struct Leases {
    /// Those of the installations.
    own: BTreeMap<Key, LeaseState>,
    /// Those of the same names that belong to no installation, each with its live holder. Or why they are not known.
    others: Result<Vec<(Key, String)>, Unread>,
}

impl Leases {
    /// Those that belong to no installation, as far as they are known.
    pub(super) fn others(&self) -> &[(Key, String)] {
        self.others.as_ref().map_or(&[], Vec::as_slice)
    }
}

/// Reads the Leases. `namespace`: the only namespace in which others are searched.
pub(super) async fn leases(
    cluster: &Cluster,
    namespace: Option<&str>,
    installations: &[Installation],
) -> Leases {
    let running = installations.iter().filter(|found| found.desired > 0);
    let keys: BTreeSet<Key> = running.filter_map(Installation::lease).collect();
    let mut own = BTreeMap::new();
    for key in keys {
        let state = read_lease(&cluster.client, &key).await;
        own.insert(key, state);
    }
    let names: BTreeSet<String> = installations
        .iter()
        .filter_map(Installation::lease)
        .map(|key| key.name().to_owned())
        .chain([LEASE_NAME.to_owned()])
        .collect();
    let others = others(cluster, namespace, &names).await;
    // A Lease of a Deployment that is stopped may still be held for some seconds.
    let known: BTreeSet<Key> = installations.iter().filter_map(Installation::lease).collect();
    let others = others.map(|found| found.into_iter().filter(|(key, _)| !known.contains(key)).collect());
    Leases { own, others }
}

/// The Leases of these names that have a live holder.
async fn others(
    cluster: &Cluster,
    namespace: Option<&str>,
    names: &BTreeSet<String>,
) -> Result<Vec<(Key, String)>, Unread> {
    let client = cluster.client.clone();
    let places: Api<Lease> = match namespace {
        Some(namespace) => Api::namespaced(client, namespace),
        None => Api::all(client),
    };
    let mut found = Vec::new();
    for name in names {
        let parameters = ListParams::default().fields(&format!("metadata.name={name}"));
        let listed = each(&places, parameters, |lease: Lease| found.push(lease));
        listed
            .await
            .map_err(|error| Unread::of(&error).in_words(|why| format!("Leases cannot be listed: {why}")))?;
    }
    let mut live = Vec::new();
    for lease in found {
        let Some(holder) = lease::live_holder(&lease, now()) else { continue };
        let namespace = lease.namespace().unwrap_or_default();
        let leases: Api<Lease> = Api::namespaced(cluster.client.clone(), &namespace);
        // The time of a holder whose clock is ahead says nothing.
        if !lease::is_ahead(&lease, now()) || lease::is_renewed(&leases, &lease).await.unwrap_or(false) {
            live.push((Key::of(&lease), holder.to_owned()));
        }
    }
    Ok(live)
}

/// Checks the Lease of each installation, and the number of elections.
pub(super) fn check(installations: &[Installation], leases: &Leases, findings: &mut Findings) {
    for installation in installations {
        check_lease(installation, leases, findings);
    }
    if installations.is_empty() {
        findings.skipped(Check::ControllerLease, None, "There is no Deployment.");
    }
    check_elections(installations, leases, findings);
}

fn check_lease(installation: &Installation, leases: &Leases, findings: &mut Findings) {
    const CHECK: Check = Check::ControllerLease;
    let subject = Some(installation.key.as_str());
    if installation.desired <= 0 {
        findings.skipped(CHECK, subject, "It is stopped.");
        return;
    }
    let Some(key) = installation.lease() else {
        if installation.settings.is_err() {
            findings.skipped(CHECK, subject, "The settings of the controller are not known.");
        } else if installation.desired > 1 {
            let message = format!(
                "{} replicas run without an election (--leader-elect=false): each of them switches tenants.",
                installation.desired
            );
            let remedy = "Set replicaCount: 1, or leaderElection.enabled: true.";
            findings.error(CHECK, subject, message, remedy);
        } else {
            findings.skipped(CHECK, subject, "It runs without an election (--leader-elect=false).");
        }
        return;
    };
    let log = format!(
        "Its log says why: kubectl -n {} logs deployment/{}",
        installation.key.namespace(),
        installation.key.name()
    );
    let lease = match leases.own.get(&key) {
        Some(LeaseState::Read(lease)) => lease,
        Some(LeaseState::Renewed(lease)) => {
            let holder = lease::holder_of(lease);
            let message =
                format!("{holder} renews Lease {key}, by a clock that differs from this machine's.");
            findings.ok(CHECK, subject, message);
            return;
        }
        Some(LeaseState::Unread(unread)) => {
            findings.unread(CHECK, subject, unread, format!("Lease {key} cannot be read: {}.", unread.why));
            return;
        }
        Some(LeaseState::Absent) | None => {
            let message = format!("There is no Lease {key}, so no replica has led yet. Nothing is switched.");
            findings.error(CHECK, subject, message, log);
            return;
        }
    };
    let spec = lease.spec.clone().unwrap_or_default();
    let renewed = spec.renew_time.as_ref().map(|time| time.0);
    let holder = lease::holder_of(lease);
    match (holder.is_empty(), renewed) {
        (true, _) => {
            let message = format!("No replica holds Lease {key}. Nothing is switched.");
            findings.error(CHECK, subject, message, log);
        }
        (false, Some(renewed)) if lease::is_fresh(lease, now()) => {
            let ago = now().duration_since(renewed).as_secs().max(0);
            findings.ok(CHECK, subject, format!("{holder} holds Lease {key} and renewed it {ago} s ago."));
        }
        (false, renewed) => {
            let since = renewed.map_or_else(|| "at no time".to_owned(), |at| format!("last at {at:.0}"));
            let message = format!("{holder} holds Lease {key} and renewed it {since}. Nothing is switched.");
            findings.error(CHECK, subject, message, log);
        }
    }
}

/// Checks that no two elections can lead to switches of the same objects.
fn check_elections(installations: &[Installation], leases: &Leases, findings: &mut Findings) {
    const CHECK: Check = Check::OneElection;
    const REMEDY: &str =
        "Uninstall one of them, or give each its own objects with watchNamespaces or watchLabelSelector.";
    const MEANS: &str =
        "Two elections could both switch, and neither knows the budget and the attempts of the other.";
    let running: Vec<&Installation> = installations.iter().filter(|found| found.desired > 0).collect();
    let unknown: Vec<&Key> =
        running.iter().filter(|found| found.settings.is_err()).map(|found| &found.key).collect();
    let mut is_sound = true;
    for (place, one) in running.iter().enumerate() {
        for other in &running[place + 1..] {
            if one.lease().is_some() && one.lease() == other.lease() {
                continue;
            }
            match overlap(one, other) {
                Overlap::Nothing => {}
                Overlap::Objects(both) => {
                    is_sound = false;
                    let message = format!("{} and {} both watch {both}. {MEANS}", one.key, other.key);
                    findings.error(CHECK, None, message, REMEDY);
                }
                Overlap::Unknown(key) => {
                    is_sound = false;
                    let message = format!(
                        "{} and {} may watch the same objects: the settings of {key} are not known. {MEANS}",
                        one.key, other.key
                    );
                    findings.warning(CHECK, None, message, format!("See what {key} watches. {REMEDY}"));
                }
            }
        }
    }
    match &leases.others {
        Err(unread) => {
            is_sound = false;
            let message = format!("{}. Controllers without a Deployment are not seen.", unread.why);
            findings.unread(CHECK, None, unread, message);
        }
        Ok(others) => {
            // The only process that leads may run outside of the chart.
            let are_others = others.len() > 1 || !running.is_empty();
            for (key, holder) in others.iter().filter(|_| are_others) {
                is_sound = false;
                let subject = Some(key.as_str());
                // Each process of unknown settings may have one of them, and no more.
                if let Some(unknown) = unknown.first().filter(|_| others.len() <= unknown.len()) {
                    let message = format!(
                        "{holder} renews Lease {key}. It may be that of {unknown}, whose settings are not known, or of \
                         another process. {MEANS}"
                    );
                    findings.warning(CHECK, subject, message, format!("See which process it is. {REMEDY}"));
                    continue;
                }
                let message =
                    format!("{holder} renews Lease {key}, and no Deployment was found for it. {MEANS}");
                findings.error(CHECK, subject, message, format!("End that process. {REMEDY}"));
            }
        }
    }
    if is_sound {
        let elections = running.len() + leases.others().len();
        let message = match elections {
            0 => "No process leads.".to_owned(),
            1 => "There is one.".to_owned(),
            _ => format!("{elections} installations run, and they share no object now."),
        };
        findings.ok(CHECK, None, message);
    }
}

/// What two installations both watch.
#[derive(Debug, PartialEq, Eq)]
enum Overlap<'a> {
    /// Nothing.
    Nothing,
    /// These objects, in words.
    Objects(String),
    /// The settings of this installation are not known.
    Unknown(&'a Key),
}

/// What two installations both watch.
fn overlap<'a>(one: &'a Installation, other: &'a Installation) -> Overlap<'a> {
    let (first, second) = match (&one.settings, &other.settings) {
        (Err(_), _) => return Overlap::Unknown(&one.key),
        (_, Err(_)) => return Overlap::Unknown(&other.key),
        (Ok(first), Ok(second)) => (&first.watch_namespaces, &second.watch_namespaces),
    };
    let namespaces: Option<Vec<&String>> = match (first.is_empty(), second.is_empty()) {
        (true, true) => None,
        (true, false) => Some(second.iter().collect()),
        (false, true) => Some(first.iter().collect()),
        (false, false) => Some(first.iter().filter(|name| second.contains(name)).collect()),
    };
    if namespaces.as_ref().is_some_and(Vec::is_empty) {
        return Overlap::Nothing;
    }
    let objects: Vec<&Key> = match (&one.selected, &other.selected) {
        (None, None) => {
            return Overlap::Objects(namespaces.map_or_else(
                || "all namespaces".to_owned(),
                |names| format!("the namespaces {}", joined(names.into_iter().map(String::as_str))),
            ));
        }
        (Some(objects), None) => objects.iter().filter(|key| other.watches(key) == Some(true)).collect(),
        (None, Some(objects)) => objects.iter().filter(|key| one.watches(key) == Some(true)).collect(),
        (Some(objects), Some(others)) => objects.intersection(others).collect(),
    };
    if objects.is_empty() {
        return Overlap::Nothing;
    }
    Overlap::Objects(format!("the objects {}", joined(objects.iter().map(|key| key.as_str()))))
}

/// The first names, and how many more there are.
pub(crate) fn joined<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let mut names = names.into_iter();
    let first: Vec<&str> = names.by_ref().take(NAMED).collect();
    match names.count() {
        0 => first.join(", "),
        more => format!("{} and {more} more", first.join(", ")),
    }
}

#[cfg(test)]
mod tests;
