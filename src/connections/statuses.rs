//! Detects that other writers changed the status of a connection.

use std::{collections::HashMap, time::Duration};

use kube::ResourceExt;
use parking_lot::Mutex;

use crate::{
    api::{PlatformConnection, PlatformConnectionStatus},
    cluster::{Authorship, Key, own_digest},
};

/// The statuses of connections, as the watch shows them and as this process writes them.
#[derive(Debug, Default)]
pub struct Statuses(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    authorship: Authorship,
    shown: HashMap<Key, Shown>,
}

#[derive(Debug, Default)]
struct Shown {
    uid: Option<String>,
    digest: u64,
    /// How many times other writers changed it.
    foreign: u64,
}

fn digest(status: Option<&PlatformConnectionStatus>) -> u64 {
    let unwritten = PlatformConnectionStatus::default();
    own_digest::<PlatformConnection>(status.unwrap_or(&unwritten))
}

impl Statuses {
    /// Records the connection that the watch shows. Returns whether other writers changed its status since the last
    /// call. `leads` says whether this process writes statuses at all.
    pub fn observe(&self, connection: &PlatformConnection, leads: bool) -> bool {
        let (key, digest) = (Key::of(connection), digest(connection.status.as_ref()));
        let mut inner = self.0.lock();
        let is_own = inner.authorship.recognize(&key, digest);
        if is_own {
            inner.authorship.mark_overwritten(&key);
        }
        let shown = inner.shown.entry(key.clone()).or_default();
        let is_known = shown.uid == connection.uid() && shown.uid.is_some();
        let changed = is_known && shown.digest != digest;
        (shown.uid, shown.digest) = (connection.uid(), digest);
        let is_foreign = changed && !is_own && leads;
        if is_foreign {
            shown.foreign += 1;
            let _ = inner.authorship.record_foreign(&key);
        }
        is_foreign
    }

    /// How many times other writers changed the status of a connection. A reconcile is due when this changes.
    pub fn foreign(&self, connection: &Key) -> u64 {
        self.0.lock().shown.get(connection).map_or(0, |shown| shown.foreign)
    }

    /// How long to wait before a foreign status is overwritten. `None`: it may be written now.
    pub(super) fn pause(&self, connection: &Key) -> Option<Duration> {
        self.0.lock().authorship.pause(connection).filter(|pause| !pause.is_zero())
    }

    /// Records that the foreign changes so far are answered.
    pub(super) fn mark_overwritten(&self, connection: &Key) {
        self.0.lock().authorship.mark_overwritten(connection);
    }

    /// Records that this process is about to write a status.
    pub(super) fn expect_status(&self, connection: &Key, status: &PlatformConnectionStatus) {
        self.0.lock().authorship.expect_status(connection, digest(Some(status)));
    }

    /// Records that this process did not write the status.
    pub(super) fn withdraw(&self, connection: &Key, status: &PlatformConnectionStatus) {
        self.0.lock().authorship.withdraw(connection, digest(Some(status)));
    }

    /// Forgets a connection that is gone.
    pub(super) fn forget(&self, connection: &Key) {
        let mut inner = self.0.lock();
        inner.authorship.forget(connection);
        inner.shown.remove(connection);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn connection(status: &serde_json::Value) -> PlatformConnection {
        serde_json::from_value(json!({
            "apiVersion": "tenantpricing.io/v1alpha1", "kind": "PlatformConnection",
            "metadata": {"name": "eu2", "namespace": "team", "uid": "uid-1"},
            "spec": {"url": "https://eu2-cloud.acronis.com", "credentialsSecretRef": {"name": "eu2"}},
            "status": status,
        }))
        .unwrap()
    }

    fn ready(message: &str) -> PlatformConnection {
        connection(&json!({"observedGeneration": 1, "conditions": [{
            "type": "Ready", "status": "True", "reason": "CredentialsAccepted", "message": message,
            "lastTransitionTime": "2026-11-23T10:00:00Z",
        }]}))
    }

    #[test]
    fn only_what_others_wrote_is_foreign() {
        let (statuses, key) = (Statuses::default(), Key::new("team", "eu2"));
        let wiped = connection(&json!({}));
        assert!(!statuses.observe(&wiped, true), "it is new");
        statuses.expect_status(&key, ready("own").status.as_ref().unwrap());
        assert!(!statuses.observe(&ready("own"), true), "this process wrote it");
        assert!(!statuses.observe(&ready("own"), true), "nothing changed");
        let before = statuses.foreign(&key);
        assert!(statuses.observe(&ready("patched"), true));
        assert!(statuses.observe(&wiped, true));
        assert_eq!(statuses.foreign(&key), before + 2);
        assert!(!statuses.observe(&ready("another leader"), false), "a standby writes nothing");
        assert!(!statuses.observe(&ready("another leader"), true));
    }

    #[test]
    fn the_condition_of_another_controller_is_not_foreign() {
        let statuses = Statuses::default();
        let mut connection = ready("own");
        statuses.observe(&connection, true);
        let theirs = serde_json::from_value(json!({
            "type": "example.com/Audited", "status": "True", "reason": "Done", "message": "",
            "lastTransitionTime": "2026-11-23T10:00:00Z",
        }));
        connection.status.as_mut().unwrap().conditions.push(theirs.unwrap());
        assert!(!statuses.observe(&connection, true));
    }
}
