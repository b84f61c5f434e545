//! What of the cluster could not be read, and why. What depends on it is not known. Pure.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    cli::plan::{
        connections::{ConnectionChange, Effect},
        document::Note,
        input::joined,
    },
    cluster::Key,
};

/// What could not be read.
#[derive(Debug, Default)]
pub(crate) struct Unread {
    /// The namespaces whose objects the user may not list.
    pub namespaces: BTreeSet<String>,
    /// The connections that the user may not get.
    pub forbidden: BTreeSet<Key>,
    /// The stored objects that this version cannot read, each with the error.
    pub objects: BTreeMap<Key, String>,
    /// The stored connections that this version cannot read, each with the error.
    pub connections: BTreeMap<Key, String>,
}

impl Unread {
    /// Why it is not known what is stored for an object, and the way out. `None`: it is known.
    pub(crate) fn object(&self, key: &Key) -> Option<String> {
        if self.namespaces.contains(key.namespace()) {
            return Some(may_not("list", "tenantpricings", key.namespace()));
        }
        self.objects.get(key).map(|error| invalid("TenantPricing", key, error))
    }

    /// Why a connection is not known, and the way out. `None`: it is known.
    pub(crate) fn connection(&self, key: &Key) -> Option<String> {
        if self.forbidden.contains(key) {
            return Some(may_not("get", "platformconnections", key.namespace()));
        }
        self.connections.get(key).map(|error| invalid("PlatformConnection", key, error))
    }

    /// The connections that are not known.
    pub(crate) fn connection_keys(&self) -> impl Iterator<Item = &Key> {
        self.forbidden.iter().chain(self.connections.keys())
    }

    /// What the plan says of all this. Where a connection changes, the objects around it may be switched because of it,
    /// so a plan without them is not complete.
    pub(crate) fn notes(&self, changes: &BTreeMap<Key, ConnectionChange>) -> Vec<Note> {
        let mut notes = Vec::new();
        for namespace in &self.namespaces {
            let is_cause = |(key, change): (&Key, &ConnectionChange)| {
                key.namespace() == namespace && change.effect != Effect::None
            };
            let message = format!(
                "What is stored in namespace {namespace} is not known: {}. Objects there may be switched because of this \
                 change, use up the budget, or stand for the same tenant.",
                may_not("list", "tenantpricings", namespace)
            );
            notes.push(Note { is_error: changes.iter().any(is_cause), ..Note::remark(message) });
        }
        let mut forbidden: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for key in &self.forbidden {
            forbidden.entry(key.namespace()).or_default().push(key.to_string());
        }
        for (namespace, keys) in forbidden {
            let message = format!(
                "What goes through PlatformConnection {} is not known: {}.",
                joined(&keys),
                may_not("get", "platformconnections", namespace)
            );
            notes.push(Note::remark(message));
        }
        for (key, error) in &self.connections {
            let why = invalid("PlatformConnection", key, error);
            notes.push(Note::remark(format!(
                "What goes through PlatformConnection {key} is not known: {why}."
            )));
        }
        for (key, error) in &self.objects {
            let why = invalid("TenantPricing", key, error);
            notes.push(Note::remark(format!("What TenantPricing {key} does is not known: {why}.")));
        }
        notes
    }
}

fn may_not(verb: &str, resource: &str, namespace: &str) -> String {
    format!(
        "you may not {verb} {resource} in namespace {namespace}. Ask for that right, or plan with the manifests alone \
         (--no-cluster)"
    )
}

fn invalid(kind: &str, key: &Key, error: &str) -> String {
    format!("this version cannot read the stored {kind} {key}: {error}. Use the version that its CRD is from")
}
