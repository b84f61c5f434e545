//! One pass over one object: observe, decide, act, report.

use std::{sync::Arc, time::Duration};

use kube::{Resource, ResourceExt, core::DeserializeGuard, runtime::controller::Action};

use super::{
    act::{self, Done},
    context::{Context, Error},
    decide::{self, Verdict},
    facts::Look,
    facts::connection_of,
    memory::{Asked, TenantKey, journaled_tenant, open_attempt},
    notes,
    observe::{self, Observation},
    pace, publish, report,
};
use crate::{
    api::{DesiredMode, PlatformConnection, RECONCILE_NOW, TenantPricing},
    cluster::{CATCH_UP, Written},
    connections::interval,
    platform::Mode,
};

/// A switch that is due waits so long for the caches of namespaces that cannot be read yet.
const UNFILLED: Duration = Duration::from_secs(5);

/// So many passes that came too early are repeated at once before the pauses grow.
const QUICK_REPEATS: u32 = 5;

/// The poll interval of an object that has no connection to ask.
const DEFAULT_POLL: Duration = Duration::from_mins(10);

/// An object as the watch hands it over.
pub type Request = Arc<DeserializeGuard<TenantPricing>>;

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

async fn pass(object: &TenantPricing, context: &Context) -> Result<Action, Error> {
    context.connections.settled(&connection_of(object).0).await;
    // An open attempt for the same tenant may stand in any of the namespaces. Asked before they are looked
    // through: what is filled only later was not.
    let all_known = context.pricings.are_filled();
    let uid = object.uid().unwrap_or_default();
    let fresh;
    let object = if context.memories.is_overwritten(&uid, object.resource_version().as_deref()) {
        // The watch has not brought our own last write yet: a look now would be for nothing.
        if context.memories.count_failure(&uid) <= QUICK_REPEATS {
            return Ok(Action::requeue(CATCH_UP));
        }
        // It is stuck. The API server itself is asked, so that no object waits for a watch.
        match context.stored(object).await.map_err(Error::Unread)? {
            Some(stored) => {
                fresh = stored;
                &fresh
            }
            None => return Ok(Action::await_change()),
        }
    } else {
        object
    };
    let open = open_attempt(object).is_some();
    let observation = observe::observe(context, object, open).await;
    let poll = poll_interval(observation.connection.as_ref());
    let asked = asked(object, observation.connection.as_ref());
    let mut memory = context.recall(object, &asked);
    memory.open_elsewhere = open_elsewhere(context, object, &observation);
    let now = context.clock.now();
    let facts = observation.facts(object, &memory, now);
    let decision = decide::decide(&facts);
    tracing::debug!(
        namespace = object.namespace(),
        name = object.name_any(),
        rule = decision.rule,
        "decided"
    );
    let done = match (decision.verdict, &observation.handle) {
        // What cannot be read is in the log, where the watch says it.
        (Verdict::Switch { .. }, _) if !all_known => return Ok(Action::requeue(UNFILLED)),
        (Verdict::Switch { .. }, Some(handle)) => {
            let order = act::Order { object, observation: &observation, handle, asked: &asked, slow: poll };
            match act::switch(context, &order).await? {
                Some(done) => done,
                // Somebody else's turn, or the view was stale: look again soon.
                None => return Ok(soon(context, object)),
            }
        }
        _ => Done {
            status: report::status(&facts, &decision),
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
        match context.write_status(&done.object, &done.status).await {
            Written::Stored(stored) => {
                if let (Some(attempt), None) = (open_attempt(&done.object), open_attempt(&stored)) {
                    context.memories.resolved(attempt);
                }
                let notes = notes::notes(&stored, &before, &done.status);
                publish::publish(&context.client, &stored, notes).await;
            }
            Written::Conflict => return Ok(soon(context, &done.object)),
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

/// A pass came too early: it is repeated when the watch should have caught up, or, if that does not help, with
/// pauses that grow.
fn soon(context: &Context, object: &TenantPricing) -> Action {
    let failures = context.memories.count_failure(&object.uid().unwrap_or_default());
    let late = failures.checked_sub(QUICK_REPEATS).filter(|late| *late > 0);
    let pause = late.and_then(|late| pace::pause(decide::Again::Backoff, late, DEFAULT_POLL));
    Action::requeue(pause.unwrap_or(CATCH_UP))
}

/// Whether an attempt for the tenant that was looked at is open for another object. Asked only if this one may
/// be about to begin one: all objects are gone through for it.
fn open_elsewhere(context: &Context, object: &TenantPricing, observation: &Observation) -> bool {
    let (Some(handle), Look::Seen(seen)) = (&observation.handle, &observation.look) else { return false };
    let is_wanted = object.spec.mode == Some(DesiredMode::Production) && *seen.mode() == Mode::Trial;
    if !is_wanted || open_attempt(object).is_some() {
        return false;
    }
    let key: TenantKey = (handle.client.origin().clone(), seen.tenant.id.clone());
    let uid = object.uid();
    let is_its_open_attempt = |other: &TenantPricing| {
        open_attempt(other).is_some() && other.uid() != uid && journaled_tenant(other).as_ref() == Some(&key)
    };
    context.memories.is_quiet(&key) || context.pricings.any(is_its_open_attempt)
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

#[cfg(test)]
mod tests;
