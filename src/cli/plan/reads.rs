//! Reads the tenants of one connection as the controller would: by batches of a hundred, with one listing for all
//! names.

use std::collections::{BTreeMap, HashMap, HashSet};

use futures::{StreamExt, stream};

use crate::{
    api::{DesiredMode, TenantPricing},
    cli::output::progress::Progress,
    cluster::Key,
    platform::{Answer, MAX_IDS_PER_CALL, PlatformClient, PlatformError, Tenant, TenantId},
    pricing::{
        Target,
        facts::{Proof, TenantRead},
        only_match, target, with_lock_owner,
    },
};

/// The most tenants that are read singly at the same time. The connection's rate limit applies in any case.
const MAX_SINGLE_READS: usize = 16;

/// What was read through one connection.
#[derive(Default)]
pub(crate) struct Reads {
    /// What was read for each object.
    pub tenants: HashMap<Key, TenantRead>,
    /// Which customers have each name.
    pub names: HashMap<String, Proof>,
    /// The first error that concerns the connection as a whole.
    pub failure: Option<PlatformError>,
}

/// Reads the tenants of all objects.
pub(crate) async fn read(client: &PlatformClient, objects: &[&TenantPricing], progress: &Progress) -> Reads {
    let mut reads = Reads::default();
    let mut by_id: BTreeMap<TenantId, Vec<Key>> = BTreeMap::new();
    let found_names = list(client, objects, &mut reads).await;
    for object in objects {
        let key = Key::of(*object);
        match target(object) {
            None => drop(reads.tenants.insert(key, TenantRead::NoSuchName(None))),
            Some(Target::Id(id)) => by_id.entry(id).or_default().push(key),
            Some(Target::Name(name)) => {
                match found_names.get(&*name).cloned().unwrap_or(Err(TenantRead::NotRead)) {
                    Ok(id) => by_id.entry(id).or_default().push(key),
                    Err(read) => drop(reads.tenants.insert(key, read)),
                }
            }
        }
    }
    if reads.failure.is_none() {
        read_by_id(client, by_id, &mut reads, progress).await;
    }
    reads
}

/// Finds the tenants of all names with one listing, which also proves who has each name. Names of objects whose tenant
/// is known count only for the proof.
async fn list(
    client: &PlatformClient,
    objects: &[&TenantPricing],
    reads: &mut Reads,
) -> HashMap<String, Result<TenantId, TenantRead>> {
    let is_needed = |object: &&&TenantPricing| {
        matches!(target(object), Some(Target::Name(_))) || object.spec.mode == Some(DesiredMode::Production)
    };
    let names: HashSet<String> =
        objects.iter().filter(is_needed).filter_map(|object| object.spec.tenant.name.clone()).collect();
    if names.is_empty() {
        return HashMap::new();
    }
    let listed = match client.list_customers(&names).await {
        Ok(listed) => listed,
        Err(error) => {
            reads.failure = Some(error.clone()).filter(|error| error.class().concerns_connection());
            let failed = || (TenantRead::Failed(error.clone()), Proof::Failed(error.clone()));
            return names
                .into_iter()
                .map(|name| {
                    let (read, proof) = failed();
                    reads.names.insert(name.clone(), proof);
                    (name, Err(read))
                })
                .collect();
        }
    };
    let mut results = HashMap::with_capacity(names.len());
    for name in names {
        let matches = listed.value.named(&name);
        let proof = match &matches {
            Ok(matches) => Proof::Customers(matches.ids.clone()),
            Err(error) => Proof::Failed(error.clone()),
        };
        reads.names.insert(name.clone(), proof);
        results.insert(name, only_match(matches.map(|value| Answer { value, date: listed.date })));
    }
    results
}

async fn read_by_id(
    client: &PlatformClient,
    by_id: BTreeMap<TenantId, Vec<Key>>,
    reads: &mut Reads,
    progress: &Progress,
) {
    let ids: Vec<TenantId> = by_id.keys().cloned().collect();
    let mut answers: HashMap<TenantId, Result<Answer<Tenant>, PlatformError>> = HashMap::new();
    for batch in ids.chunks(MAX_IDS_PER_CALL) {
        match client.tenants(batch).await {
            Ok(Answer { value, date }) => {
                let tenants = value.into_iter();
                answers.extend(tenants.map(|tenant| (tenant.id.clone(), Ok(Answer { value: tenant, date }))));
            }
            Err(error) if error.class().concerns_connection() => {
                reads.failure = Some(error.clone());
                let unread = ids.iter().filter(|id| !answers.contains_key(id)).cloned();
                let unread: Vec<_> = unread.map(|id| (id, Err(error.clone()))).collect();
                answers.extend(unread);
                break;
            }
            // The platform refused the batch because of one tenant. Each is read alone.
            Err(_) => {}
        }
        progress.add(batch.iter().filter(|id| answers.contains_key(id)).map(|id| by_id[id].len()).sum());
    }
    // A tenant that is missing need not be deleted.
    let missing: Vec<TenantId> = ids.into_iter().filter(|id| !answers.contains_key(id)).collect();
    let singles = stream::iter(missing).map(|id| async {
        let answer = client.tenant(&id).await;
        progress.add(by_id[&id].len());
        (id, answer)
    });
    answers.extend(singles.buffer_unordered(MAX_SINGLE_READS).collect::<Vec<_>>().await);
    for (id, keys) in by_id {
        let read = match answers.remove(&id) {
            Some(Ok(answer)) => match with_lock_owner(client, answer, None).await {
                Ok(seen) => TenantRead::Seen(Box::new(seen)),
                Err(error) => TenantRead::Failed(error),
            },
            Some(Err(error)) => TenantRead::Failed(error),
            None => TenantRead::NotRead,
        };
        if let TenantRead::Failed(error) = &read
            && error.class().concerns_connection()
        {
            reads.failure.get_or_insert_with(|| error.clone());
        }
        reads.tenants.extend(keys.into_iter().map(|key| (key, read.clone())));
    }
}
