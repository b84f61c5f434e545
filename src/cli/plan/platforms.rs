//! Which platform each object leads to, with which credentials, and what it says.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use k8s_openapi::{ByteString, api::core::v1::Secret};

use super::{
    connections::Links, document::Note, input::Input, outcome::Knowledge, reads, stored::State,
    subject::Subject,
};
use crate::{
    api::{
        AllowedNamespaces, ConnectionSwitch, NamespacesFrom, PlatformConnection, PlatformConnectionSpec,
        SecretRef, TenantPricing,
    },
    cli::{
        output::progress::Progress,
        platform::{
            self,
            credentials::{BoundCredentials, Unavailable},
            facts::access,
        },
    },
    cluster::Key,
    connections::{self, admission_by_labels},
    platform::{AllowedHosts, CredentialSource, Credentials, Origin, PlatformClient},
    pricing::{TenantRead, facts::Access},
};

/// The platform of `--url`, with the credentials for it.
pub(crate) struct Given {
    pub origin: Origin,
    pub credentials: Option<BoundCredentials>,
}

/// Finds out how each object reaches its platform, before the change and after it. `others` are the objects of the
/// cluster that are no subjects. The connections are known already.
pub(crate) fn resolve(
    state: &State,
    subjects: &[Subject],
    others: &[TenantPricing],
    given: Option<&Given>,
    knowledge: &mut Knowledge,
    notes: &mut Vec<Note>,
) {
    let Knowledge { before, after, changes, failures, .. } = knowledge;
    for key in state.unread.connection_keys() {
        let Some(why) = state.unread.connection(key) else { continue };
        failures.insert(key.clone(), format!("PlatformConnection {key} is not known: {why}."));
        // A manifest does not say what others set in the stored connection, such as an emergency stop.
        before.connections.remove(key);
        after.connections.remove(key);
    }
    let mut assumed = BTreeSet::new();
    let named = objects(subjects).map(TenantPricing::connection_key).collect::<BTreeSet<_>>();
    // One that the input adds or removes is absent on one side. One that neither side has may be elsewhere.
    let is_unknown = |key: &Key| {
        state.client.is_none()
            && !after.connections.contains_key(key)
            && !changes.contains_key(key)
            && state.unread.connection(key).is_none()
    };
    for key in named.into_iter().filter(is_unknown).collect::<Vec<_>>() {
        let Some(given) = given else {
            let why = format!(
                "PlatformConnection {key} is not in the input, and no cluster is read. Give its manifest, or --url."
            );
            failures.insert(key, why);
            continue;
        };
        let connection = assume(&key, &given.origin);
        before.connections.insert(key.clone(), connection.clone());
        after.connections.insert(key.clone(), connection);
        assumed.insert(key);
    }
    for links in [before, after] {
        for object in objects(subjects).chain(others) {
            let key = object.connection_key();
            let access = match links.connections.get(&key) {
                Some(connection) => {
                    let namespace = object.metadata.namespace.as_deref().unwrap_or_default();
                    let labels = state.namespaces.get(namespace);
                    access(connection, admission_by_labels(connection, namespace, labels))
                }
                None if failures.contains_key(&key) => continue,
                None => Access::NotFound,
            };
            links.access.insert((Key::of(object), key), access);
        }
    }
    for key in assumed {
        let message = format!(
            "PlatformConnection {key} is not in the input. The plan assumes one at --url that admits every namespace, \
             with the default budget and switch.at: Immediately. Give its manifest to plan with its own settings."
        );
        notes.push(Note { is_error: false, source: None, message });
    }
}

/// The objects before and after, each as often as it occurs.
fn objects(subjects: &[Subject]) -> impl Iterator<Item = &TenantPricing> {
    subjects.iter().flat_map(|subject| [subject.before.as_ref(), subject.after.as_ref()]).flatten()
}

/// A connection to a platform, with every default.
fn assume(key: &Key, origin: &Origin) -> PlatformConnection {
    let spec = PlatformConnectionSpec {
        url: origin.to_string(),
        credentials_secret_ref: SecretRef { name: key.name().to_owned() },
        allowed_namespaces: AllowedNamespaces { from: NamespacesFrom::All, selector: None },
        requests_per_second: 10,
        poll_interval: "10m".to_owned(),
        switch: ConnectionSwitch::default(),
        ca_bundle: None,
        suspend: false,
    };
    let mut connection = PlatformConnection::new(key.name(), spec);
    connection.metadata.namespace = Some(key.namespace().to_owned());
    connection
}

/// Reads the tenants of all objects that a connection admits. A connection whose platform cannot be read is noted, and
/// the others are still read.
pub(crate) async fn read(
    input: &Input,
    state: &State,
    subjects: &[Subject],
    given: Option<&Given>,
    allowed: &AllowedHosts,
    knowledge: &mut Knowledge,
    notes: &mut Vec<Note>,
) {
    let mut groups: BTreeMap<Key, BTreeMap<Key, &TenantPricing>> = BTreeMap::new();
    for object in objects(subjects).filter(|object| !object.spec.suspend) {
        let is_open = |links: &Links| matches!(links.access(object), Access::Open(_));
        if is_open(&knowledge.after) || is_open(&knowledge.before) {
            groups.entry(object.connection_key()).or_default().insert(Key::of(object), object);
        }
    }
    let of_input: BTreeSet<&Key> =
        subjects.iter().filter(|subject| subject.is_given).map(|subject| &subject.key).collect();
    let progress = Progress::of(groups.values().map(BTreeMap::len).sum(), "Reading the platform");
    for (key, objects) in groups {
        let is_open_later =
            objects.values().any(|object| matches!(knowledge.after.access(object), Access::Open(_)));
        // Without other objects of the cluster, the plan of the input is still whole.
        let is_error = objects.keys().any(|object| of_input.contains(object));
        let links = if is_open_later { &knowledge.after } else { &knowledge.before };
        let Some(connection) = links.connections.get(&key) else { continue };
        let client = match client(connection, input, state, given, allowed, notes) {
            Ok(client) => client,
            // What the connection was is only of interest if it can be read.
            Err(_) if !is_open_later => continue,
            Err(why) => {
                let message = format!("PlatformConnection {key}: {why}");
                knowledge.failures.insert(key, format!("The tenant could not be read: {why}"));
                notes.push(Note { is_error, source: None, message });
                continue;
            }
        };
        let objects: Vec<&TenantPricing> = objects.into_values().collect();
        let reads::Reads { tenants, names, failure } = reads::read(&client, &objects, &progress).await;
        if let Some(failure) = failure {
            let count = tenants.values().filter(|read| matches!(read, TenantRead::Seen(_))).count();
            let message = format!(
                "PlatformConnection {key}: {failure}. {count} of {} tenants were read. Try again later, or give --offline.",
                objects.len()
            );
            notes.push(Note { is_error, source: None, message });
        }
        knowledge.reads.extend(tenants.into_iter().map(|(object, read)| ((object, key.clone()), read)));
        knowledge.proofs.extend(names.into_iter().map(|(name, proof)| ((key.clone(), name), proof)));
    }
}

/// The client of a connection, with the credentials that may go to its platform. A manifest decides about certificates
/// only for its own credentials. What this leaves out is noted.
fn client(
    connection: &PlatformConnection,
    input: &Input,
    state: &State,
    given: Option<&Given>,
    allowed: &AllowedHosts,
    notes: &mut Vec<Note>,
) -> Result<PlatformClient, String> {
    let origin = Origin::parse(&connection.spec.url).map_err(|error| format!("spec.url: {error}"))?;
    let route = route(connection, &origin, input, state, given).map_err(|error| error.to_string())?;
    if connection.spec.ca_bundle.as_deref() != route.ca_bundle {
        notes.push(Note { is_error: false, source: None, message: ignored_bundle(connection, &route) });
    }
    let pace = connection.spec.requests_per_second;
    platform::client(origin, route.ca_bundle, pace, allowed, route.credentials)
        .map_err(|error| error.to_string())
}

fn ignored_bundle(connection: &PlatformConnection, route: &Route<'_>) -> String {
    let (key, used) =
        (Key::of(connection), if route.ca_bundle.is_some() { "the stored one" } else { "none" });
    format!(
        "PlatformConnection {key}: the credentials are not those of the input, so its spec.caBundle is not trusted with \
         them. The plan reads the platform with {used}. To have this computer trust an authority, set SSL_CERT_FILE to \
         a file with its certificate and those of the public ones."
    )
}

/// What reads a platform: credentials, and the authorities that may vouch for the platform beside those of this
/// computer.
struct Route<'a> {
    credentials: Arc<dyn CredentialSource>,
    /// The bundle beside the credentials. No manifest is beside the given ones.
    ca_bundle: Option<&'a str>,
}

/// The way to the platform of a connection. Each source of credentials goes to one origin alone. The given ones go to
/// `--url`, and a Secret of the input to the connection in the same input. A Secret of the cluster goes to the stored
/// connection. Beside the authorities of this computer, only those of the same source count.
fn route<'a>(
    connection: &'a PlatformConnection,
    origin: &Origin,
    input: &Input,
    state: &'a State,
    given: Option<&Given>,
) -> Result<Route<'a>, Unavailable> {
    let key = Key::of(connection);
    let secret = Key::new(key.namespace(), &connection.spec.credentials_secret_ref.name);
    let mut refusal = None;
    if let Some(credentials) = given.and_then(|given| given.credentials.as_ref()) {
        match credentials.for_origin(origin) {
            Ok(source) => return Ok(Route { credentials: Arc::new(source), ca_bundle: None }),
            Err(other) => refusal = Some(other),
        }
    }
    let is_of_input = input.connections.get(&key).is_some_and(|own| own.spec.url == connection.spec.url);
    if let (Some(manifest), true) = (input.secrets.get(&secret), is_of_input) {
        match manifest {
            Ok(manifest) => {
                let bound = BoundCredentials::new(of_secret(&secret, manifest)?, origin.clone());
                let credentials = Arc::new(bound.for_origin(origin)?);
                return Ok(Route { credentials, ca_bundle: connection.spec.ca_bundle.as_deref() });
            }
            Err(why) => refusal = refusal.or_else(|| {
                Some(Unavailable::Unread(format!(
                    "Secret {secret} of the input cannot be used: {why}. Set TENANT_PRICING_CLIENT_ID and \
                     TENANT_PRICING_CLIENT_SECRET and give --url {origin}, or give --offline"
                )))
            }),
        }
    }
    if let (Some(stored), Some(client)) = (state.connections.get(&key), &state.client) {
        let known = Origin::parse(&stored.spec.url).ok();
        let same_secret =
            stored.spec.credentials_secret_ref.name == connection.spec.credentials_secret_ref.name;
        match known {
            Some(known) if known == *origin && same_secret => {
                let credentials = connections::secret_credentials(client, &secret);
                return Ok(Route { credentials, ca_bundle: stored.spec.ca_bundle.as_deref() });
            }
            Some(known) if known != *origin => {
                refusal.get_or_insert(Unavailable::OtherOrigin { given: known, asked: origin.clone() });
            }
            _ => {}
        }
    }
    Err(refusal.unwrap_or_else(|| {
        Unavailable::Unread(format!(
            "there are no credentials for {origin}. Set TENANT_PRICING_CLIENT_ID and TENANT_PRICING_CLIENT_SECRET and \
             give --url {origin}, or give --offline"
        ))
    }))
}

/// The credentials in a Secret of the input, as the API server would store it.
fn of_secret(secret: &Key, manifest: &Secret) -> Result<Credentials, Unavailable> {
    let mut data = manifest.data.clone().unwrap_or_default();
    let texts = manifest.string_data.iter().flatten();
    data.extend(texts.map(|(key, text)| (key.clone(), ByteString(text.clone().into_bytes()))));
    connections::credentials_of(secret.namespace(), secret.name(), &data)
        .map_err(|error| Unavailable::Unread(error.to_string()))
}
