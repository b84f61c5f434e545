//! One pass over one object: observe, decide, act, report.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use kube::{Api, Client, Resource, ResourceExt, core::DeserializeGuard, runtime::controller::Action};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    act,
    decide::{self, Decision, Verdict},
    facts::{Facts, Look, Memory},
    memory::{Asked, Memories, TenantKey},
    notes,
    observe::{self, Observation},
    pace, publish, report,
};
use crate::{
    api::{Phase, PlatformConnection, RECONCILE_NOW, TenantPricing, TenantPricingStatus},
    clock::Clock,
    cluster::{self, Stores, Written},
    connections::{Registry, interval},
};

/// Reads from the API server are given up after so long.
pub(super) const READ_TIMEOUT: Duration = Duration::from_secs(10);

/// After a write that met a newer object, the watch has caught up within so long.
const CATCH_UP: Duration = Duration::from_millis(200);

/// The poll interval of an object that has no connection to ask.
const DEFAULT_POLL: Duration = Duration::from_mins(10);

/// What every pass works with.
#[derive(Clone)]
pub struct Context {
    /// The way to the API server. It retries nothing: a write without a certain answer is resolved by reading.
    pub client: Client,
    /// What time it is.
    pub clock: Clock,
    /// The platform clients.
    pub registry: Registry,
    /// The cached connections.
    pub connections: Stores<PlatformConnection>,
    /// The cached objects.
    pub pricings: Stores<TenantPricing>,
    /// What is remembered between passes.
    pub memories: Memories,
    /// The passes under way, which end before the process does.
    pub tasks: TaskTracker,
    /// Cancelled when the process is to end: nothing new is begun.
    pub stopping: CancellationToken,
}

/// An object as the watch hands it over.
pub type Request = Arc<DeserializeGuard<TenantPricing>>;

/// Why a pass came to nothing. It is repeated.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The API server refused a status.
    #[error("failed to write the status: {0}")]
    Refused(#[source] kube::Error),
    /// Whether a status was stored is not known.
    #[error("failed to learn whether the status was written: {0}")]
    Uncertain(String),
    /// The pass panicked.
    #[error("the pass was broken off")]
    BrokenOff,
}

/// One pass over one object.
///
/// It runs in a task of its own: dropping the returned future (a lost watch, an end of the program) cannot cut
/// it in half.
///
/// # Errors
/// The status could not be written; the pass is to be repeated.
pub async fn reconcile(request: Request, context: Arc<Context>) -> Result<Action, Error> {
    match &request.0 {
        Ok(_) => {}
        Err(invalid) => {
            let (namespace, name) = (&invalid.metadata.namespace, &invalid.metadata.name);
            tracing::warn!(
                namespace,
                name,
                error = invalid.error,
                "an object cannot be read, perhaps written by a newer version; it is left alone"
            );
            return Ok(Action::await_change());
        }
    }
    if context.stopping.is_cancelled() {
        return Ok(Action::await_change());
    }
    let tasks = context.tasks.clone();
    let pass = tasks.spawn(async move {
        match &request.0 {
            Ok(object) => pass(object, &context).await,
            Err(_) => Ok(Action::await_change()),
        }
    });
    pass.await.unwrap_or(Err(Error::BrokenOff))
}

/// After a failed pass.
#[must_use]
pub fn retry(request: &Request, error: &Error, context: &Context) -> Action {
    let meta = request.meta();
    tracing::warn!(namespace = meta.namespace, name = meta.name, %error, "a pass failed; it is repeated");
    let failures = context.memories.count_failure(meta.uid.as_deref().unwrap_or_default());
    let pause = pace::pause(decide::Again::Backoff, failures, DEFAULT_POLL);
    Action::requeue(pause.unwrap_or(DEFAULT_POLL))
}

/// What a pass came to: the object as it stands in the API server before the last status is written, and that
/// status.
pub(super) struct Done {
    pub object: TenantPricing,
    pub status: TenantPricingStatus,
    pub again: decide::Again,
    pub verdict: Verdict,
}

async fn pass(object: &TenantPricing, context: &Context) -> Result<Action, Error> {
    context.connections.filled().await;
    if context
        .memories
        .is_overwritten(&object.uid().unwrap_or_default(), object.resource_version().as_deref())
    {
        // The watch has not brought our own last write yet: a look now would be for nothing.
        return Ok(Action::requeue(CATCH_UP));
    }
    let open = open_attempt(object).is_some();
    let observation = observe::observe(context, object, open).await;
    let poll = poll_interval(observation.connection.as_ref());
    let asked = asked(object, observation.connection.as_ref());
    let mut memory = recall(context, object, &asked);
    memory.open_elsewhere = open_elsewhere(context, object, &observation);
    let now = context.clock.now();
    let decision = decide_on(object, &observation, &memory, now);
    tracing::debug!(
        namespace = object.namespace(),
        name = object.name_any(),
        rule = decision.rule,
        "decided"
    );
    let done = match (decision.verdict, &observation.handle) {
        (Verdict::Switch { .. }, Some(handle)) => {
            let order = act::Order { object, observation: &observation, handle, asked: &asked, slow: poll };
            match act::switch(context, &order).await? {
                Some(done) => done,
                // Somebody else's turn, or the view was stale: look again soon.
                None => return Ok(Action::requeue(CATCH_UP)),
            }
        }
        _ => Done {
            status: report::status(&facts(object, &observation, &memory, now), &decision),
            object: object.clone(),
            again: decision.again,
            verdict: decision.verdict,
        },
    };
    finish(context, done, poll).await
}

/// Writes the status if it says something new, and the events that go with it.
async fn finish(context: &Context, done: Done, poll: Duration) -> Result<Action, Error> {
    let before = done.object.status.clone().unwrap_or_default();
    if done.object.status.as_ref() != Some(&done.status) {
        match write_status(context, &done.object, &done.status).await {
            Written::Stored(stored) => {
                if let (Some(attempt), None) = (open_attempt(&done.object), open_attempt(&stored)) {
                    context.memories.resolved(attempt);
                }
                let notes = notes::notes(&stored, &before, &done.status);
                publish::publish(&context.client, &stored, notes).await;
            }
            Written::Conflict => return Ok(Action::requeue(CATCH_UP)),
            Written::Refused(error) => return Err(Error::Refused(error)),
            Written::Unknown(error) => return Err(Error::Uncertain(error)),
        }
    }
    let uid = done.object.uid().unwrap_or_default();
    let failures = match done.verdict {
        Verdict::Ready(_) => {
            context.memories.clear(&uid);
            0
        }
        _ if done.again == decide::Again::Backoff => context.memories.count_failure(&uid),
        _ => 0,
    };
    Ok(pace::pause(done.again, failures, poll).map_or_else(Action::await_change, Action::requeue))
}

/// Writes a status, and remembers which version it was written over.
pub(super) async fn write_status(
    context: &Context,
    object: &TenantPricing,
    status: &TenantPricingStatus,
) -> Written<TenantPricing> {
    let written = cluster::write_status(&context.client, object, status).await;
    if let Written::Stored(stored) = &written {
        let (before, after) = (object.resource_version(), stored.resource_version());
        context.memories.overwrote(&object.uid().unwrap_or_default(), before.as_deref(), after.as_deref());
    }
    written
}

pub(super) fn decide_on(
    object: &TenantPricing,
    observation: &Observation,
    memory: &Memory,
    now: Timestamp,
) -> Decision {
    decide::decide(&facts(object, observation, memory, now))
}

pub(super) fn facts<'a>(
    object: &'a TenantPricing,
    observation: &'a Observation,
    memory: &'a Memory,
    now: Timestamp,
) -> Facts<'a> {
    Facts { object, access: &observation.access, look: &observation.look, memory, now }
}

pub(super) fn recall(context: &Context, object: &TenantPricing, asked: &Asked) -> Memory {
    let uid = object.uid().unwrap_or_default();
    let open = open_attempt(object).map(|attempt| (attempt, journaled_tenant(object)));
    context.memories.recall(&uid, asked, open)
}

/// The id of the open attempt. An entry without one is an attempt all the same.
pub(super) fn open_attempt(object: &TenantPricing) -> Option<&str> {
    let journal =
        object.status.as_ref()?.switch.as_ref().filter(|journal| journal.phase == Phase::InFlight)?;
    Some(journal.attempt_id.as_deref().or(object.metadata.uid.as_deref()).unwrap_or_default())
}

/// The tenant that an object's journal speaks of.
pub(super) fn journaled_tenant(object: &TenantPricing) -> Option<TenantKey> {
    let status = object.status.as_ref()?;
    let platform = crate::platform::Origin::parse(status.switch.as_ref()?.platform.as_deref()?).ok()?;
    Some((platform, status.tenant_id.as_deref()?.parse().ok()?))
}

/// Whether an attempt for the tenant that was looked at is open for another object.
fn open_elsewhere(context: &Context, object: &TenantPricing, observation: &Observation) -> bool {
    let (Some(handle), Some(tenant)) = (&observation.handle, tenant_of(&observation.look)) else {
        return false;
    };
    if open_attempt(object).is_some() {
        return false;
    }
    let key: TenantKey = (handle.client.origin().clone(), tenant.clone());
    let uid = object.uid();
    let journaled = context.pricings.collect(|other| {
        (open_attempt(other).is_some()
            && other.uid() != uid
            && journaled_tenant(other).as_ref() == Some(&key))
        .then_some(())
    });
    !journaled.is_empty() || context.memories.is_quiet(&key)
}

/// What lifts a hold when it changes.
fn asked(object: &TenantPricing, connection: Option<&PlatformConnection>) -> Asked {
    (
        object.metadata.generation,
        object.annotations().get(RECONCILE_NOW).cloned(),
        connection
            .map(|connection| format!("{:?}/{:?}", connection.metadata.uid, connection.metadata.generation)),
    )
}

fn poll_interval(connection: Option<&PlatformConnection>) -> Duration {
    connection.map_or(DEFAULT_POLL, |connection| interval(&connection.spec.poll_interval, DEFAULT_POLL))
}

/// The object as the API server has it now.
pub(super) async fn stored(
    context: &Context,
    object: &TenantPricing,
) -> Result<Option<TenantPricing>, String> {
    let api: Api<TenantPricing> =
        Api::namespaced(context.client.clone(), &object.namespace().unwrap_or_default());
    match tokio::time::timeout(READ_TIMEOUT, api.get_opt(&object.name_any())).await {
        Ok(Ok(found)) => Ok(found.filter(|found| found.uid() == object.uid())),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("no answer within {} s", READ_TIMEOUT.as_secs())),
    }
}

/// Whether a look shows the tenant.
pub(super) fn tenant_of(look: &Look) -> Option<&crate::platform::TenantId> {
    match look {
        Look::Seen(seen) => Some(&seen.tenant.id),
        _ => None,
    }
}
