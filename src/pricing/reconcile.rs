//! Reconciles one object: observe, decide, switch, report.

mod unreadable;

use std::time::Duration;

use jiff::Timestamp;
use kube::ResourceExt;
use tokio::time::Instant;

use super::{
    action::{Action, Limits, NextPoll, ReconcileRequest, TimedRead, permit::SwitchPermit, requeue},
    context::{Context, Error},
    decide::{self, Verdict},
    expectations::RequestRevision,
    facts::{self, Access, Proof, QueueState, Target, TenantRead, target},
    journal::{OpenEntry, open_attempt},
    observe::{self, Observation, Observing, Route},
    status::{Done, Judged, StatusChange},
    switch::{self, protocol},
};
use crate::{
    api::{DesiredMode, PlatformConnection, TenantPricing, TenantPricingSpec, conditions, reconcile_now},
    cluster::{self, CACHE_CATCH_UP, Key, Uid, Written},
    connections::{SpecRevision, interval},
    failpoints::SideEffect,
    telemetry::ReconcileOutcome,
};

/// The pause before a reconcile that needs synced caches or a renewed lease.
const UNSYNCED_RETRY: Duration = Duration::from_secs(2);

/// The most reconciles on a stale cache in a row before the pauses grow.
const QUICK_REPEATS: u32 = 5;

/// The most writes that restore the entry of an open attempt before its own reconcile does it.
const RESTORES: u32 = 5;

/// The age at which a read is repeated, counted from its answer.
const READ_MAX_AGE: Duration = Duration::from_secs(5);

/// The poll interval of an object that has no connection to ask.
const DEFAULT_POLL: Duration = Duration::from_mins(10);

/// Reconciles one object. Returns what follows, and the result for the metrics.
pub async fn reconcile(
    key: &Key,
    request: ReconcileRequest,
    context: &Context,
) -> (Action, ReconcileOutcome) {
    match Box::pin(reconcile_object(key, request, context)).await {
        Ok(action) => {
            let outcome = match &action {
                Action::Poll { written: true, .. } => ReconcileOutcome::Written,
                Action::Requeue(_) => ReconcileOutcome::Stale,
                _ => ReconcileOutcome::Unchanged,
            };
            (action, outcome)
        }
        Err(ReconcileError { uid, source: error }) => {
            let (namespace, name) = (key.namespace(), key.name());
            tracing::warn!(namespace, name, %error, category = error.category(), "reconcile failed; will retry");
            (retry_after_failure(&uid, context), ReconcileOutcome::Failed)
        }
    }
}

/// Requeues an object whose reconcile failed or panicked, after a pause that grows.
#[must_use]
pub fn retry_after_failure(uid: &Uid, context: &Context) -> Action {
    let failures = context.reconcile_state.count_failure(uid);
    Action::Requeue(requeue::pause(decide::Requeue::Backoff, failures, DEFAULT_POLL).unwrap_or(DEFAULT_POLL))
}

/// A reconcile that failed, and the object whose failures it counts among.
struct ReconcileError {
    uid: Uid,
    source: Error,
}

async fn reconcile_object(
    key: &Key,
    request: ReconcileRequest,
    context: &Context,
) -> Result<Action, ReconcileError> {
    let Some(object) = context.objects.get(key) else { return Ok(unreadable::report(key, context).await) };
    context.connections.wait_synced(object.connection_key().namespace()).await;
    let uid = Uid::of(&object);
    // An object with a permit is read from the API server in any case, before anything is announced. If its attempt is
    // open, nothing is announced.
    let object = if (request.permit.is_none() || open_attempt(&object).is_some())
        && context.reconcile_state.is_overwritten(&uid, object.resource_version().as_deref())
    {
        // The watch has not shown our own last write yet, or the edit of another client that this process met at a
        // write. This reconcile would decide on an old view.
        if context.reconcile_state.count_stale(&uid) <= QUICK_REPEATS {
            return Ok(Action::Requeue(CACHE_CATCH_UP));
        }
        // The watch is stuck. The object is read from the API server, so that it does not wait for a watch.
        match context.stored(&object).await {
            Ok(Some(stored)) => stored,
            Ok(None) => return Ok(Action::AwaitChange),
            Err(error) => return Err(ReconcileError { uid, source: Error::Unread(error) }),
        }
    } else if open_attempt(&object).is_some() && !is_shown(&object, key, context) {
        // The watch has moved on between the two checks, and no longer counts this version as overwritten. A resolved
        // attempt must not be taken for an open one: nothing would be sent for a minute.
        return Ok(Action::Requeue(Duration::ZERO));
    } else {
        object
    };
    let object = match restore_own_status(key, object, context).await {
        Ok(Some(object)) => object,
        Ok(None) => return Ok(Action::Requeue(CACHE_CATCH_UP)),
        Err(source) => return Err(ReconcileError { uid, source }),
    };
    let reconciled = Box::pin(reconcile_current(&object, request, context)).await;
    reconciled.map_err(|source| ReconcileError { uid, source })
}

/// The object with the status of this process. A status that others wrote is replaced first: no decision rests on it.
/// `None`: the object has changed again.
async fn restore_own_status(
    key: &Key,
    object: TenantPricing,
    context: &Context,
) -> Result<Option<TenantPricing>, Error> {
    let Some(status) = context.reconcile_state.own_statuses().due(key, &object) else {
        return Ok(Some(object));
    };
    if !context.term.has_time_for(Duration::ZERO) {
        return Ok(None);
    }
    if let Some(open) = OpenEntry::of(&object, context.clock.now())
        && (open.accepted.is_some()
            || status.switch.as_ref().and_then(|journal| journal.attempt_id.as_deref())
                != Some(open.attempt_id))
    {
        // The entry goes, or this write may fail. Another installation may have begun the attempt, so its grace period
        // holds. Another process may have recorded that the platform accepted it.
        let _ = context.reconcile_state.outcome(open);
    }
    match context.write_status(&object, &status, SideEffect::TenantPricingStatus).await {
        Written::Stored(stored) => Ok(Some(*stored)),
        Written::Conflict => Ok(None),
        Written::Refused(error) => {
            if cluster::is_invalid(&error) {
                context.reconcile_state.own_statuses().give_up(key);
            }
            Err(Error::Refused(error))
        }
        Written::Unknown(error) => Err(Error::Uncertain(error)),
    }
}

/// Restores the entry of an open attempt that others removed, while the request may be on its way. It is the same
/// attempt: no second request follows.
pub async fn restore_attempt(key: &Key, context: &Context) {
    for _ in 0..RESTORES {
        let Some(object) = context.objects.get(key) else { return };
        match restore_own_status(key, object, context).await {
            Ok(Some(_)) => return,
            // The watch shows the version that it conflicted with.
            Ok(None) => tokio::time::sleep(CACHE_CATCH_UP).await,
            Err(error) => {
                let (namespace, name) = (key.namespace(), key.name());
                tracing::warn!(namespace, name, %error, "failed to restore the entry of an open attempt");
                return;
            }
        }
    }
}

/// Whether the watch still shows this version.
fn is_shown(object: &TenantPricing, key: &Key, context: &Context) -> bool {
    context.objects.get(key).is_some_and(|shown| shown.resource_version() == object.resource_version())
}

/// Reconciles an object that is as current as the watch.
async fn reconcile_current(
    object: &TenantPricing,
    request: ReconcileRequest,
    context: &Context,
) -> Result<Action, Error> {
    let ReconcileRequest { read, permit, queue_state, awaits_listing } = request;
    // Any namespace may hold an open attempt for the same tenant, and an earlier leader may have begun it before this
    // watch shows it. Asked before the caches are read: a cache that syncs later was incomplete then.
    let all_known = context.synced.has_synced_since(context.term.begun());
    let open = open_attempt(object).is_some();
    let connection = object.connection_key();
    let uid = Uid::of(object);
    if asks_by_name(object) {
        context.reconcile_state.want_proof(&uid);
    }
    // Since the read, an edit may have named another connection, or the object may be another one of the same name.
    let read = read.filter(|timed| timed.through == connection && may_be_of(object, &timed.read));
    if let Some((of, permit)) = permit.filter(|_| !open && all_known)
        && of == connection
    {
        return switch_admitted(object, permit, read, context).await;
    }
    let now = Instant::now();
    let (started_at, received_at) =
        read.as_ref().map_or((now, now), |timed| (timed.started_at, timed.received_at));
    let is_fresh =
        received_at.elapsed() < READ_MAX_AGE && !context.reconcile_state.is_outdated(&uid, started_at);
    // The connection may have been edited since the read.
    let fresh = |connection: Option<&PlatformConnection>| {
        read.filter(|timed| is_fresh && timed.is_made_with(connection)).map(|timed| timed.read)
    };
    let observe = Box::pin(observe::observe(context, object, open, fresh));
    let observation = match context.stopping.run_until_cancelled(observe).await {
        // A shutdown does not wait for a platform that does not answer. The next leader reads the tenant.
        None => return Ok(Action::Requeue(UNSYNCED_RETRY)),
        Some(Observing::Complete(observation)) => *observation,
        Some(Observing::NeedsRead(target)) => return Ok(Action::Read { connection, target }),
    };
    if observation.is_misled(object)
        && let Some(target) = target(object)
    {
        return Ok(Action::Read { connection, target });
    }
    observation.record_tenant(context, object);
    let judged = judge(context, object, &observation, Waits { queue_state, for_listing: awaits_listing });
    // If another replica leads, it writes the status. If the lease is renewed after all, this one does.
    if !context.term.has_time_for(Duration::ZERO) {
        return Ok(Action::Requeue(UNSYNCED_RETRY));
    }
    let Observation { route, read } = observation;
    let spec = route.connection.as_ref().map(SpecRevision::of);
    let read = TimedRead { read, started_at, received_at, through: connection, spec };
    match judged.decision.verdict {
        // The watch logs what cannot be read. An older object whose connection is not known yet may have a claim, so a
        // list that failed temporarily is waited for.
        Verdict::Switch { .. } if !all_known || !context.connections.are_listed_or_forbidden() => {
            Ok(Action::Requeue(UNSYNCED_RETRY))
        }
        Verdict::Switch { scheduled_for } => Ok(enqueue_switch(object, scheduled_for, &route, read, context)),
        _ if judged.decision.requeue == decide::Requeue::WhenProved && route.handle.is_some() => {
            prove_name(object, judged, route, read, context).await
        }
        _ => {
            let mut done = judged.done(object.clone());
            let is_missing = matches!(route.access, Access::NotFound | Access::Forbidden);
            if is_missing && context.connections.are_watched(read.through.namespace()) {
                // The watch shows the connection as soon as it exists.
                done.requeue = decide::Requeue::OnChange;
            }
            finish(context, done, poll_interval(route.connection.as_ref())).await
        }
    }
}

/// What follows a decision to switch: the switch queue admits the object within rate limit and budget.
fn enqueue_switch(
    object: &TenantPricing,
    scheduled_for: Timestamp,
    route: &Route,
    read: TimedRead,
    context: &Context,
) -> Action {
    // The rules ask for no switch without a connection.
    let Some(limits) = route.connection.as_ref().map(Limits::of) else {
        return requeue_stale(context, object);
    };
    let connection = read.through.clone();
    let unannounced = context.reconcile_state.had_unannounced_attempt(&Uid::of(object));
    let due = protocol::due_since(object, scheduled_for, context.clocks(&connection), unannounced);
    Action::EnqueueSwitch { connection, due, said: decide::said_in_queue(object), limits, read }
}

/// Writes the status if it changed, and asks for the listing that proves the name.
async fn prove_name(
    object: &TenantPricing,
    judged: Judged,
    route: Route,
    read: TimedRead,
    context: &Context,
) -> Result<Action, Error> {
    if judged.decision.verdict != Verdict::Unchanged {
        let written =
            finish(context, judged.done(object.clone()), poll_interval(route.connection.as_ref())).await?;
        if !matches!(written, Action::Poll { .. }) {
            return Ok(written);
        }
    }
    let since = context.reconcile_state.want_proof(&Uid::of(object));
    Ok(route
        .handle
        .map_or_else(|| requeue_stale(context, object), |handle| Action::ProveName { handle, since, read }))
}

/// Whether an object asks for a switch of a tenant by name, according to its spec and status.
fn asks_by_name(object: &TenantPricing) -> bool {
    let past_trial = object.status.as_ref().is_some_and(conditions::was_proven_past_trial);
    let TenantPricingSpec { tenant, mode, suspend, .. } = &object.spec;
    tenant.name.is_some() && *mode == Some(DesiredMode::Production) && !suspend && !past_trial
}

/// What a switch that is due waits for.
#[derive(Default)]
pub(super) struct Waits {
    /// Rate limit or budget: why the switch queue does not admit it.
    pub queue_state: Option<QueueState>,
    /// A listing that proves its name, and that takes long enough for the status to say so.
    pub for_listing: bool,
}

/// Whether a read may show the tenant of an object.
fn may_be_of(object: &TenantPricing, read: &TenantRead) -> bool {
    match (read.tenant(), target(object)) {
        (Some(seen), Some(Target::Id(id))) => *seen == id,
        _ => true,
    }
}

/// Reconciles an object that the switch queue has admitted.
async fn switch_admitted(
    object: &TenantPricing,
    switch_permit: SwitchPermit,
    read: Option<TimedRead>,
    context: &Context,
) -> Result<Action, Error> {
    let route = observe::route(context, object, false, observe::Consistency::ConfirmDenial).await;
    let Some(handle) = route.handle.clone() else {
        // The connection has been closed since: an ordinary reconcile says so.
        return Ok(Action::Requeue(Duration::ZERO));
    };
    let revision = revision(object, route.connection.as_ref());
    let slow = poll_interval(route.connection.as_ref());
    let read = read.filter(|timed| timed.is_made_with(route.connection.as_ref()));
    let observation = Observation { route, read: read.map_or(TenantRead::NotRead, |timed| timed.read) };
    let request = switch::SwitchRequest {
        object,
        observation: &observation,
        handle: &handle,
        revision: &revision,
        slow,
        switch_permit,
    };
    let switched = switch::switch(context, request).await;
    // The tenant was read for this switch alone. A read that began earlier may not show the same.
    context.reconcile_state.invalidate_reads(&Uid::of(object));
    match switched? {
        Some(done) => {
            let waits_again = done.requeue == decide::Requeue::WhenAdmitted;
            let action = finish(context, done, slow).await?;
            // The permit took it out of the switch queue. A read leads it back into the queue.
            Ok(if waits_again { requeue_stale(context, object) } else { action })
        }
        // Another object claims the tenant, or the view was stale: reconcile again soon.
        None => Ok(requeue_stale(context, object)),
    }
}

/// Decides, and makes the status that says so. Sends no request.
pub(super) fn judge(
    context: &Context,
    object: &TenantPricing,
    observation: &Observation,
    waits: Waits,
) -> Judged {
    let revision = revision(object, observation.route.connection.as_ref());
    let mut circumstances = observation.recall(context, object, &revision);
    circumstances.queue_state = waits.queue_state.unwrap_or_default();
    circumstances.proof = match observation.proof(context, object) {
        Proof::Missing if waits.for_listing => Proof::Awaited,
        proof => proof,
    };
    let facts = observation.facts(object, &circumstances, context.clock.now());
    let judged = Judged::of(&facts);
    let (namespace, name, rule) = (object.namespace(), object.name_any(), judged.decision.rule);
    tracing::debug!(namespace, name, rule, "decided");
    judged
}

/// Writes the status if it changed, and reports the change.
async fn finish(context: &Context, done: Done, poll: Duration) -> Result<Action, Error> {
    let before = done.object.status.clone().unwrap_or_default();
    let mut written = false;
    if done.object.status.as_ref() != Some(&done.status) {
        let result = context.write_status(&done.object, &done.status, SideEffect::TenantPricingStatus).await;
        if protocol::returns(&done.object, &done.status) {
            context.index.returned(&done.object, matches!(result, Written::Stored(_)));
        }
        if !matches!(result, Written::Stored(_)) {
            // Another leader may have to go on, and only this process may know of an acceptance.
            _ = switch::store_acceptance(context, &done.object).await;
        }
        match result {
            Written::Stored(stored) => {
                if let Some(attempt) = protocol::resolved(&done.object, &stored) {
                    context.reconcile_state.resolved(attempt);
                    context.reconcile_state.invalidate_reads(&Uid::of(&*stored));
                }
                written = true;
                let at = context.clock.now();
                context.status_changed(&StatusChange {
                    object: &stored,
                    before: &before,
                    after: &done.status,
                    at,
                });
            }
            Written::Conflict => return Ok(requeue_stale(context, &done.object)),
            Written::Refused(error) => return Err(Error::Refused(error)),
            Written::Unknown(error) => return Err(Error::Uncertain(error)),
        }
    }
    let uid = Uid::of(&done.object);
    let failures = match done.verdict {
        Verdict::Ready(_) => {
            context.reconcile_state.clear(&uid);
            0
        }
        _ if done.requeue == decide::Requeue::Backoff => context.reconcile_state.count_failure(&uid),
        _ => 0,
    };
    // A tenant that was just pinned is the one to read from now on.
    let target = done.status.tenant_id.as_deref().and_then(|id| id.parse().ok()).map(Target::Id);
    let target = target.or_else(|| facts::target(&done.object));
    let connection = done.object.connection_key();
    let next = NextPoll::new(connection, target, done.requeue, failures, poll);
    Ok(Action::Poll { next, keeps_place: done.requeue == decide::Requeue::WhenAdmitted, written })
}

/// Requeues an object whose cache was stale: when the watch should have caught up, later with pauses that grow.
fn requeue_stale(context: &Context, object: &TenantPricing) -> Action {
    let early = context.reconcile_state.count_stale(&Uid::of(object));
    let late = early.checked_sub(QUICK_REPEATS).filter(|late| *late > 0);
    let pause = late.and_then(|late| requeue::pause(decide::Requeue::Backoff, late, DEFAULT_POLL));
    Action::Requeue(pause.unwrap_or(CACHE_CATCH_UP))
}

/// What was requested: any change of it ends the backoff after a failure.
fn revision(object: &TenantPricing, connection: Option<&PlatformConnection>) -> RequestRevision {
    RequestRevision {
        generation: object.metadata.generation,
        reconcile_now: reconcile_now(&object.metadata).map(str::to_owned),
        connection: connection.map(SpecRevision::of),
    }
}

pub(super) fn poll_interval(connection: Option<&PlatformConnection>) -> Duration {
    connection.map_or(DEFAULT_POLL, |connection| interval(&connection.spec.poll_interval, DEFAULT_POLL))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use futures::FutureExt;
    use serde_json::json;

    use super::*;
    use crate::{api::TenantPricingStatus, pricing::action::permit::PermitIssuer, testing::fixtures::Scene};

    #[derive(Debug)]
    struct Issuer;

    impl PermitIssuer for Issuer {
        fn reserved(&self) -> u32 {
            0
        }

        fn commit(&self) {}

        fn release(&self) {}
    }

    /// The alert looks for a failed write in each 15 minutes, and for more than two in each 30.
    #[test]
    fn a_write_that_always_fails_is_seen_by_its_alert() {
        let alerts = include_str!("../../charts/tenant-pricing-controller/files/alerts.yaml");
        let (_, alert) = alerts.split_once("alert: TenantPricingWritesFailing").unwrap();
        assert!(alert.contains("[15m]") && alert.contains("[30m]") && alert.contains("> 2\n"), "{alert}");
        let longest =
            (0..1000).filter_map(|_| requeue::pause(decide::Requeue::Backoff, u32::MAX, DEFAULT_POLL)).max();
        let longest = longest.unwrap();
        // A scrape a minute sees what happens in 14 and in 29 minutes.
        assert!(longest < Duration::from_mins(14) && longest * 2 < Duration::from_mins(29), "{longest:?}");
    }

    /// The context shows this object, in a version that this process has replaced.
    fn behind(object: &TenantPricing) -> Context {
        let context = Context::silent();
        context.objects.upsert(&serde_json::from_value(json!(object)).unwrap());
        context.reconcile_state.expect_version(
            &Uid::of(object),
            object.resource_version().as_deref(),
            Some("next"),
        );
        context
    }

    /// Otherwise each reconcile of it would be followed by another one at once.
    #[tokio::test]
    async fn no_foreign_status_of_an_unreadable_object_is_due() {
        let (context, mut object) = (Context::silent(), Scene::new().stored().object);
        let (key, own_statuses) = (Key::of(&object), context.reconcile_state.own_statuses());
        own_statuses.record_written(&key, &object.status.clone().unwrap(), &object);
        let before = object.status.replace(TenantPricingStatus::default());
        let now = context.clock.now();
        assert!(context.reconcile_state.shown_status(&key, before.as_ref(), &object, now).is_some());
        assert!(own_statuses.pause(&key).is_some());
        let mut unreadable = json!(object);
        unreadable["spec"]["mode"] = json!(7);
        context.objects.upsert(&serde_json::from_value(unreadable).unwrap());
        let reconciled = reconcile(&key, ReconcileRequest::default(), &context).now_or_never();
        assert!(reconciled.is_none(), "the API server does not answer");
        assert_eq!(own_statuses.pause(&key), None);
    }

    /// A watch that is behind shows an attempt that was resolved. Taken for an open one, it would block the tenant for
    /// a minute.
    #[tokio::test]
    async fn a_permit_does_not_revive_a_resolved_attempt() {
        for with_permit in [true, false] {
            let mut object = Scene::new().announced("attempt-1").object;
            object.metadata.resource_version = Some("7".to_owned());
            let (context, key) = (behind(&object), Key::of(&object));
            let permit = (object.connection_key(), SwitchPermit::new(Arc::new(Issuer)));
            let request =
                ReconcileRequest { permit: with_permit.then_some(permit), ..ReconcileRequest::default() };
            let reconciled = reconcile(&key, request, &context).now_or_never();
            let (action, _) = reconciled.expect("nothing is read");
            assert!(matches!(action, Action::Requeue(CACHE_CATCH_UP)), "{with_permit}: {action:?}");
        }
    }
}
