//! The connections before and after the change, how they differ, and which objects of the cluster that concerns. Pure.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::Value;

use super::{
    document::Note,
    input::{Input, source},
    stored::State,
    subject::Subject,
};
use crate::{
    api::{ConditionType, DesiredMode, PlatformConnection, TenantPricing, conditions},
    cli::manifests::Manifest,
    cluster::Key,
    pricing::{budget::Budget, facts::Access},
};

/// The fields that only say how fast and how often a connection reads.
pub(crate) const PACE: [&str; 2] = ["spec.requestsPerSecond", "spec.pollInterval"];

/// The fields by which a platform recognises a connection. It may begin to work when they change.
const CREDENTIALS: [&str; 2] = ["spec.credentialsSecretRef", "spec.caBundle"];

/// The connections of one state, and how objects reach their platform through them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Links {
    /// The connections by key.
    pub connections: HashMap<Key, PlatformConnection>,
    /// The access of an object through a connection, by the keys of the object and of the connection.
    pub access: HashMap<(Key, Key), Access>,
}

impl Links {
    /// The access of an object through the connection that it names.
    pub(crate) fn access(&self, object: &TenantPricing) -> Access {
        let pair = (Key::of(object), object.connection_key());
        self.access.get(&pair).cloned().unwrap_or(Access::NotFound)
    }

    /// Adds what is known of the connection of an object.
    pub(crate) fn add(
        &mut self,
        object: &TenantPricing,
        found: Option<PlatformConnection>,
        access: Option<Access>,
    ) {
        let key = object.connection_key();
        if let Some(access) = access {
            self.access.insert((Key::of(object), key.clone()), access);
        }
        if let Some(found) = found {
            self.connections.insert(key, found);
        }
    }

    /// The budget of a connection, if the connection is known.
    pub(crate) fn budget(&self, connection: &Key) -> Option<Budget> {
        self.connections.get(connection).map(|connection| Budget::of(&connection.spec.switch.budget))
    }
}

impl ConnectionChange {
    /// That of a connection whose stored state could not be read: anything may change.
    pub(crate) fn unknown(why: &str) -> Self {
        let what = format!("may change, since the stored one is not known: {why}");
        Self { what, effect: Effect::Platform }
    }
}

/// What the change of a connection can bring about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// No switch: only the pace changes.
    None,
    /// The same tenants are decided on otherwise.
    Settings,
    /// The credentials may begin to work.
    Credentials,
    /// The tenants of another platform are meant.
    Platform,
}

/// A connection that the input changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ConnectionChange {
    /// What happens to it, in words: `is new`, or the fields that change.
    pub what: String,
    /// What it can bring about.
    pub effect: Effect,
}

/// The connections as they are: those of the cluster, or those that the base makes of them.
pub(crate) fn before(base: Option<&Input>, state: &State) -> HashMap<Key, PlatformConnection> {
    let mut connections = state.connections.clone();
    if let Some(base) = base {
        connections.extend(base.connections.clone());
    }
    connections
}

/// The connections as they will be. One that only the base has is deleted.
pub(crate) fn after(input: &Input, base: Option<&Input>, state: &State) -> HashMap<Key, PlatformConnection> {
    let mut connections = state.connections.clone();
    for (key, connection) in base.iter().flat_map(|base| &base.connections) {
        // One that is refused stays as it is.
        match manifest(input, key) {
            Some(_) => drop(connections.insert(key.clone(), connection.clone())),
            None => drop(connections.remove(key)),
        }
    }
    connections.extend(input.connections.clone());
    connections
}

/// Whether the Secret of a connection changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SecretChange {
    /// It does not.
    None,
    /// It does.
    Certain,
    /// The input has it, and the Secret of the cluster is not compared with it.
    Possible,
}

impl SecretChange {
    /// What the input changes about the Secret of a connection.
    pub(crate) fn of(connection: &PlatformConnection, input: &Input, base: Option<&Input>) -> Self {
        let namespace = connection.metadata.namespace.as_deref().unwrap_or_default();
        let key = Key::new(namespace, &connection.spec.credentials_secret_ref.name);
        let of = |input: &Input| {
            let secret = input.secrets.get(&key)?.as_ref().ok()?;
            Some((secret.data.clone(), secret.string_data.clone()))
        };
        match (input.secrets.contains_key(&key), base) {
            (false, _) => Self::None,
            (true, None) => Self::Possible,
            // One that cannot be read may have changed.
            (true, Some(base)) if of(input).is_some() && of(input) == of(base) => Self::None,
            (true, Some(_)) => Self::Certain,
        }
    }
}

fn manifest<'a>(input: &'a Input, key: &Key) -> Option<&'a Manifest> {
    let is_it =
        |manifest: &&Manifest| (&*manifest.namespace, &*manifest.name) == (key.namespace(), key.name());
    input.connection_manifests.iter().find(is_it)
}

/// How the connections differ. `secret` says whether the Secret of a connection changes.
pub(crate) fn compare(
    before: &HashMap<Key, PlatformConnection>,
    after: &HashMap<Key, PlatformConnection>,
    secret: impl Fn(&PlatformConnection) -> SecretChange,
) -> BTreeMap<Key, ConnectionChange> {
    let keys: BTreeSet<&Key> = before.keys().chain(after.keys()).collect();
    let change = |key: &Key| match (before.get(key), after.get(key)) {
        (None, _) => Some(ConnectionChange { what: "is new".to_owned(), effect: Effect::Settings }),
        (_, None) => Some(ConnectionChange {
            what: "is no longer in the manifests".to_owned(),
            effect: Effect::Settings,
        }),
        (Some(before), Some(after)) => changed(before, after, secret(after)),
    };
    keys.into_iter().filter_map(|key| Some((key.clone(), change(key)?))).collect()
}

fn changed(
    before: &PlatformConnection,
    after: &PlatformConnection,
    secret: SecretChange,
) -> Option<ConnectionChange> {
    let as_json =
        |connection: &PlatformConnection| serde_json::to_value(&connection.spec).unwrap_or_default();
    let mut fields = BTreeMap::new();
    differences(&as_json(before), &as_json(after), "spec", &mut fields);
    let is_working = is_ready(before);
    let mut what: Vec<String> = fields.values().cloned().collect();
    match secret {
        SecretChange::Certain => what.push("its Secret".to_owned()),
        SecretChange::Possible if !is_working => what.push("its Secret, perhaps".to_owned()),
        SecretChange::None | SecretChange::Possible => {}
    }
    if what.is_empty() {
        return None;
    }
    let among = |names: &[&str], field: &str| names.iter().any(|name| field.starts_with(name));
    let names = || fields.keys().map(String::as_str);
    let has_new_secret = secret != SecretChange::None;
    let effect = if names().any(|field| field == "spec.url") {
        Effect::Platform
    } else if !is_working && (has_new_secret || names().any(|field| among(&CREDENTIALS, field))) {
        Effect::Credentials
    } else if names().any(|field| !among(&PACE, field) && !among(&CREDENTIALS, field)) {
        Effect::Settings
    } else {
        Effect::None
    };
    Some(ConnectionChange { what: format!("changes: {}", what.join(", ")), effect })
}

/// Whether the status says that the platform accepts the credentials. Other credentials then bring nothing about.
fn is_ready(connection: &PlatformConnection) -> bool {
    connection.status.as_ref().is_some_and(|status| {
        let ready = conditions::find(&status.conditions, ConditionType::Ready);
        Some(status.observed_generation) == connection.metadata.generation
            && ready.is_some_and(|ready| ready.status == "True")
    })
}

/// The fields that differ, by their paths, each in words: `spec.suspend (true -> false)`.
fn differences(before: &Value, after: &Value, path: &str, found: &mut BTreeMap<String, String>) {
    if before == after {
        return;
    }
    if let (Value::Object(old), Value::Object(new)) = (before, after) {
        let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
        for name in names {
            let path = format!("{path}.{name}");
            differences(&before[name.as_str()], &after[name.as_str()], &path, found);
        }
        return;
    }
    let short = |value: &Value| match value {
        Value::Null => Some("not set".to_owned()),
        Value::String(text) if text.len() <= 64 => Some(text.clone()),
        Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
        _ => None,
    };
    let words = match (short(before), short(after)) {
        (Some(before), Some(after)) => format!("{path} ({before} -> {after})"),
        _ => path.to_owned(),
    };
    found.insert(path.to_owned(), words);
}

/// What the plan says of the connections that change.
pub(crate) fn notes(changes: &BTreeMap<Key, ConnectionChange>, input: &Input) -> Vec<Note> {
    let note = |(key, change): (&Key, &ConnectionChange)| {
        let manifest = manifest(input, key);
        let rest = if manifest.is_some() {
            ""
        } else {
            " The plan takes it as deleted, so nothing goes through it. Without pruning it stays in the cluster, and so do \
             the switches through it."
        };
        Note {
            is_error: false,
            source: manifest.map(|manifest| source(&manifest.position(""))),
            message: format!("PlatformConnection {key} {}.{rest}", change.what),
        }
    };
    changes.iter().map(note).collect()
}

/// The objects of the cluster outside the input whose switch the input may bring about or prevent: those of a
/// connection that changes, and those that share a tenant with an object that changes.
pub(crate) fn bystanders(
    subjects: &[Subject],
    state: &State,
    changes: &BTreeMap<Key, ConnectionChange>,
    links: [&Links; 2],
) -> Vec<Subject> {
    let concerns = |object: &TenantPricing| {
        changes.get(&object.connection_key()).is_some_and(|change| change.effect != Effect::None)
    };
    let url_of = |connection: &PlatformConnection| connection.spec.url.clone();
    let urls = |object: &TenantPricing| -> Vec<String> {
        let key = object.connection_key();
        if state.unread.connection(&key).is_some() {
            // It may lead to any of the platforms.
            return links.into_iter().flat_map(|links| links.connections.values().map(url_of)).collect();
        }
        links.map(|links| links.connections.get(&key).map(url_of).unwrap_or_default()).into()
    };
    let mut tenants = Tenants::default();
    for subject in subjects {
        let versions = || [subject.before.as_ref(), subject.after.as_ref()].into_iter().flatten();
        if subject.is_changed() || versions().any(concerns) {
            versions().for_each(|object| tenants.add(&urls(object), object));
        }
    }
    let others = state.others(subjects).into_iter();
    others
        .filter(|object| object.spec.mode == Some(DesiredMode::Production) && !object.spec.suspend)
        .filter(|object| concerns(object) || tenants.may_have(&urls(object), object))
        .map(Subject::bystander)
        .collect()
}

/// Tenants that objects stand for, by what spec and status say of them, each on its platform.
#[derive(Debug, Default)]
pub(crate) struct Tenants {
    ids: BTreeSet<(String, String)>,
    names: BTreeSet<(String, String)>,
    /// The names of tenants whose id is not known.
    names_alone: BTreeSet<(String, String)>,
}

impl Tenants {
    /// Adds the tenant of an object, whose connection leads to these platforms.
    pub(crate) fn add(&mut self, urls: &[String], object: &TenantPricing) {
        let (ids, names) = (ids(object), names(object));
        for url in urls {
            let on_platform = |text: &String| (url.clone(), text.clone());
            self.ids.extend(ids.iter().map(on_platform));
            self.names.extend(names.iter().map(on_platform));
            if ids.is_empty() {
                self.names_alone.extend(names.iter().map(on_platform));
            }
        }
    }

    /// Whether an object may stand for one of these tenants. Two names count where an id is not known.
    pub(crate) fn may_have(&self, urls: &[String], object: &TenantPricing) -> bool {
        let (ids, names) = (ids(object), names(object));
        let known = if ids.is_empty() { &self.names } else { &self.names_alone };
        let is_among = |texts: &[String], known: &BTreeSet<(String, String)>| {
            urls.iter().any(|url| texts.iter().any(|text| known.contains(&(url.clone(), text.clone()))))
        };
        is_among(&ids, &self.ids) || is_among(&names, known)
    }
}

fn ids(object: &TenantPricing) -> Vec<String> {
    let pinned = object.status.as_ref().and_then(|status| status.tenant_id.as_deref());
    let ids = [object.spec.tenant.id.as_deref(), pinned].into_iter().flatten();
    ids.map(str::to_ascii_lowercase).collect()
}

fn names(object: &TenantPricing) -> Vec<String> {
    let observed = object.status.as_ref().and_then(|status| status.observed.as_ref()?.tenant_name.clone());
    [object.spec.tenant.name.clone(), observed].into_iter().flatten().collect()
}
