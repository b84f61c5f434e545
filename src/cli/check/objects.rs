//! Checks the `TenantPricing`s: whether their connection is there, whether a controller watches them, and the clocks.

use super::{
    controller::{Found, election::joined},
    findings::Findings,
    list::Check,
    read::{Connection, Fleet},
};
use crate::{
    api::{ConditionType, ReconcilingReason, conditions},
    cluster::Key,
};

/// Checks all objects. A finding names the first of those that it is about.
pub(super) fn check(fleet: &Fleet, found: &Found, findings: &mut Findings) {
    check_connections(fleet, findings);
    check_watched(fleet, found, findings);
    check_clocks(fleet, findings);
}

fn check_connections(fleet: &Fleet, findings: &mut Findings) {
    const CHECK: Check = Check::ObjectConnection;
    let mut is_sound = true;
    for (key, connection) in &fleet.connections {
        let users = || {
            let users = fleet.objects.iter().filter(|(_, object)| object.connection_key() == *key);
            joined(users.map(|(user, _)| user.as_str()))
        };
        match connection {
            Connection::Stored(_) | Connection::Unreadable(_) => {}
            Connection::Absent => {
                is_sound = false;
                let message =
                    format!("There is no PlatformConnection {key}. Nothing is done for {}.", users());
                let remedy = "Create it, or correct spec.connectionRef of the objects.";
                findings.error(CHECK, Some(key.as_str()), message, remedy);
            }
            Connection::Unread(unread) => {
                is_sound = false;
                let message = format!("It could not be read: {}.", unread.why);
                findings.unread(CHECK, Some(key.as_str()), unread, message);
            }
        }
    }
    if is_sound {
        let message = format!("{} in {}.", counted(fleet.objects.len()), fleet.scope);
        findings.ok(CHECK, None, message);
    }
}

fn check_watched(fleet: &Fleet, found: &Found, findings: &mut Findings) {
    const CHECK: Check = Check::ObjectWatched;
    let installations = match found {
        Found::Unknown(why) => {
            findings.skipped(CHECK, None, why.clone());
            return;
        }
        Found::Installations(installations) => installations,
    };
    // An installation whose settings are not known may watch anything.
    if installations.iter().any(|installation| installation.settings.is_err()) {
        findings.skipped(CHECK, None, "The settings of a controller are not known.");
        return;
    }
    if installations.is_empty() {
        findings.skipped(CHECK, None, "There is no Deployment.");
        return;
    }
    let is_watched = |key: &Key| installations.iter().any(|one| one.watches(key) == Some(true));
    let alone: Vec<&str> = fleet.objects.keys().filter(|key| !is_watched(key)).map(Key::as_str).collect();
    if alone.is_empty() {
        findings.ok(CHECK, None, format!("{} in {}.", counted(fleet.objects.len()), fleet.scope));
        return;
    }
    let message = format!(
        "No controller watches {}. They are not switched, and no condition says so.",
        joined(alone.iter().copied())
    );
    let remedy =
        "Extend watchNamespaces or watchLabelSelector of the chart, or correct the labels of the objects.";
    findings.error(CHECK, None, message, remedy);
}

fn check_clocks(fleet: &Fleet, findings: &mut Findings) {
    const CHECK: Check = Check::ObjectClock;
    let skewed = fleet.objects.iter().filter_map(|(key, object)| {
        let status = object.status.as_ref()?;
        let reconciling = conditions::find(&status.conditions, ConditionType::Reconciling)?;
        (reconciling.reason == ReconcilingReason::ClockSkew.as_str()).then_some((key, &reconciling.message))
    });
    let skewed: Vec<_> = skewed.collect();
    let Some((_, message)) = skewed.first() else {
        findings.ok(CHECK, None, "No object reports a difference.");
        return;
    };
    let names = joined(skewed.iter().map(|(key, _)| key.as_str()));
    let message = format!("{names}: {message}");
    findings.error(CHECK, None, message, "Correct the clock that is wrong, with NTP.");
}

fn counted(objects: usize) -> String {
    format!("{objects} TenantPricing{}", if objects == 1 { "" } else { "s" })
}
