//! Step 3, the switch: announced in the journal, sent once, read back. A switch is sent from here only.
//!
//! The order makes it safe: the pre-write read, the connection, the journal write under the resource version that was
//! read, the request, the read back. Each step that does not succeed for certain ends the attempt.

pub(crate) mod protocol;

use std::time::Duration;

use jiff::Timestamp;
use kube::ResourceExt;
use tokio::time::Instant;
use uuid::Uuid;

use super::{
    action::{Limits, permit::SwitchPermit},
    context::{Context, Error},
    decide::{self, Requeue, Verdict},
    expectations::{AttemptClaim, RequestRevision},
    facts::{AttemptOutcome, Circumstances, Facts, Proof, QueueState, Target, TenantRead, target},
    journal::OpenEntry,
    observe::{self, Answered, Lead, Observation, PairedRead},
    status::{
        Done, Judged, StatusChange, audit,
        report::{self, Intent},
    },
};
use crate::{
    api::{TenantPricing, TenantPricingStatus},
    clock::Moment,
    cluster::{CACHE_CATCH_UP, Uid, Written},
    connections::ConnectionHandle,
    failpoints::{self, Point, SideEffect},
    index::TenantKey,
    platform::{PUT_TIMEOUT, PlatformError, PricingVersion, PutPermit, TenantId},
    telemetry::SwitchOutcome,
};

/// The most pre-write reads of one reconcile: one that took too long is repeated.
const MAX_PREWRITE_READS: u32 = 3;

/// The most tries to store that the platform accepted a switch before the next reconcile does it.
const ACCEPTANCE_WRITES: u32 = 5;

/// The longest wait for the read back before the acceptance of a request is stored. A process that shuts down has 20 s
/// for the request and this.
const READ_BACK_WAITS: Duration = Duration::from_secs(5);

/// An object whose switch is decided.
pub(super) struct SwitchRequest<'a> {
    /// The object that the decision was made on.
    pub object: &'a TenantPricing,
    /// What the decision was made on.
    pub observation: &'a Observation,
    /// The client of the connection.
    pub handle: &'a ConnectionHandle,
    /// What was requested: any change of it ends the backoff after a failure.
    pub revision: &'a RequestRevision,
    /// The longest pause after a failure.
    pub slow: Duration,
    /// Room within the connection's rate limit and budget, kept for the object.
    pub switch_permit: SwitchPermit,
}

/// Why an attempt ends before its request is sent.
enum Halt {
    /// Nothing is announced, and this status says why.
    Decided(Box<Done>),
    /// Nothing is announced: the pre-write read took too long. The next one starts with this lead.
    Late(Lead),
    /// Nothing is announced: the view was stale, or this process must not start a switch now.
    Stale,
    /// The object could not be read, or the announcement is not stored for certain.
    Failed(Error),
}

impl From<Error> for Halt {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// What was read right before a switch: the object, the tenant, and the connection.
struct PrewriteRead {
    /// When the first request began.
    begun: Moment,
    /// The object, from the API server.
    stored: TenantPricing,
    /// The same object, with a status that shows what the decision was made on.
    object: TenantPricing,
    /// The tenant, and then the connection.
    observation: Observation,
    /// When the platform answered.
    answered: Answered,
}

/// The pricing settings of a tenant, in the version that was read.
struct PricingRef {
    tenant: TenantId,
    version: PricingVersion,
}

/// A switch that the rules still ask for after the pre-write read.
struct Confirmed {
    stored: TenantPricing,
    handle: ConnectionHandle,
    /// The pricing settings that the request changes.
    pricing: PricingRef,
    intent: Intent,
    /// The status with the open entry.
    status: TenantPricingStatus,
    /// When it was decided.
    at: Timestamp,
}

/// An attempt that is announced.
struct Announced {
    /// The object, with the open entry.
    object: TenantPricing,
    attempt_id: String,
    /// When the announcement began: before it could be stored.
    at: Moment,
}

/// Carries out a switch that is decided. `None`: the object has to wait, or the view was stale. Nothing was sent then.
///
/// # Errors
/// The object could not be read, the announcement was refused, or whether it was stored is not known. Nothing
/// was sent. A later reconcile closes the entry, if there is one.
pub(super) async fn switch(context: &Context, mut request: SwitchRequest<'_>) -> Result<Option<Done>, Error> {
    // A name that was not looked up yet leads to no switch: an ordinary reconcile looks it up first.
    let tenant = match (request.observation.read.tenant(), target(request.object)) {
        (Some(tenant), _) => tenant.clone(),
        (None, Some(Target::Id(tenant))) => tenant,
        (None, _) => return Ok(None),
    };
    let key = TenantKey { platform: request.handle.client.origin().clone(), tenant };
    // Held to the end, so that no other object begins an attempt for this tenant.
    let Some(_claim): Option<AttemptClaim> = context.reconcile_state.claim(&key) else { return Ok(None) };
    let mut lead = Lead::default();
    for _ in 0..MAX_PREWRITE_READS {
        match attempt(context, &mut request, &key, lead).await {
            Ok(done) => return Ok(Some(done)),
            Err(Halt::Decided(done)) => return Ok(Some(*done)),
            Err(Halt::Stale) => return Ok(None),
            Err(Halt::Failed(error)) => return Err(error),
            // Where one of the two reads takes longer, it begins earlier the next time.
            Err(Halt::Late(next)) => lead = next,
        }
    }
    let error = PlatformError::prewrite_read_too_slow(
        protocol::PREWRITE_READ_MAX_AGE,
        observe::MAX_PREWRITE_READ_TIME,
    );
    Ok(Some(end_unannounced(context, &request, error)))
}

/// One attempt, in the order that makes it safe. Each step that does not succeed for certain ends it.
async fn attempt(
    context: &Context,
    request: &mut SwitchRequest<'_>,
    key: &TenantKey,
    lead: Lead,
) -> Result<Done, Halt> {
    let permit = wait_for_permit(context, request).await?;
    may_start(context, request)?;
    let prewrite = Box::pin(prewrite_read(context, request, &permit, key, lead)).await?;
    let confirmed = confirm(context, request, prewrite, key, lead)?;
    let announced = announce(context, &confirmed, key).await?;
    request.switch_permit.commit();
    failpoints::failpoint(Point::Announced);
    let outcome = send(context, &confirmed, &announced, permit).await;
    Ok(read_back(context, request, announced, &confirmed.handle, key, outcome).await)
}

/// Waits until the rate limit of the connection admits the request, and a token is held.
///
/// Until something is announced, a shutdown need not wait. A slow connection, or a platform that does not answer, would
/// keep this process from releasing the lease.
async fn wait_for_permit(context: &Context, request: &SwitchRequest<'_>) -> Result<PutPermit, Halt> {
    match context.stopping.run_until_cancelled(Box::pin(observe::acquire_put_permit(request.handle))).await {
        None => Err(Halt::Stale),
        Some(Ok(permit)) => Ok(permit),
        Some(Err(error)) => Err(Halt::Decided(Box::new(end_unannounced(context, request, error)))),
    }
}

/// Whether the pre-write read is worth its requests.
fn may_start(context: &Context, request: &SwitchRequest<'_>) -> Result<(), Halt> {
    // Without time for the request, the same would have to be read again.
    if !context.term.has_time_for(PUT_TIMEOUT) {
        return Err(Halt::Stale);
    }
    // The listing that proved the name may have become too old while the object waited for its admission.
    let unproved = |proof: &Proof| matches!(proof, Proof::Missing | Proof::Awaited);
    if request.object.spec.tenant.name.is_some()
        && unproved(&request.observation.proof(context, request.object))
    {
        return Err(Halt::Stale);
    }
    Ok(())
}

/// Reads the object, the tenant with its pricing settings, and then the connection.
async fn prewrite_read(
    context: &Context,
    request: &SwitchRequest<'_>,
    permit: &PutPermit,
    key: &TenantKey,
    lead: Lead,
) -> Result<PrewriteRead, Halt> {
    // Only now, because the wait for the rate limit may have been long.
    let begun = context.clock.moment();
    let stored = context.stored(request.object).await.map_err(Error::Unread)?.ok_or(Halt::Stale)?;
    // No attempt begins on a status that others wrote: an ordinary reconcile restores it first.
    if context.reconcile_state.own_statuses().is_foreign(&stored) {
        return Err(Halt::Stale);
    }
    let read = Box::pin(async {
        observe::read_tenant_and_pricing_with_lead(
            &request.handle.for_prewrite_read(permit),
            &key.tenant,
            &context.clock,
            lead,
        )
        .await
    });
    let read = context.stopping.run_until_cancelled(read).await.ok_or(Halt::Stale)?;
    let PairedRead { read, answered } = read;
    let object = protocol::compared_with(&stored, &request.observation.read);
    let observation = observe::with_fresh_connection(context, &object, read).await;
    Ok(PrewriteRead { begun, stored, object, observation, answered })
}

/// Decides again, by the same rules, on the pre-write read. Sends no request and stores nothing. If the read failed,
/// this process remembers that the attempt ended unannounced.
fn confirm(
    context: &Context,
    request: &SwitchRequest<'_>,
    prewrite: PrewriteRead,
    key: &TenantKey,
    lead: Lead,
) -> Result<Confirmed, Halt> {
    let PrewriteRead { begun, stored, object, observation, answered } = prewrite;
    let circumstances = Circumstances {
        queue_state: room(context, request, &observation),
        proof: observation.proof(context, &object),
        ..observation.recall(context, &object, request.revision)
    };
    let facts = observation.facts(&object, &circumstances, context.clock.now());
    let decision = decide::decide(&facts);
    if decision.requeue == Requeue::WhenProved {
        return Err(Halt::Stale);
    }
    let (Verdict::Switch { scheduled_for }, Some(handle)) = (decision.verdict, &observation.route.handle)
    else {
        // Without a tenant that was read just now, the status continues the stored one.
        let seen = matches!(observation.read, TenantRead::Seen(_));
        if matches!(observation.read, TenantRead::Failed(_)) {
            context.reconcile_state.attempt_ended_unannounced(&Uid::of(&stored));
        }
        let facts = Facts { object: if seen { &object } else { &stored }, ..facts };
        let judged = Judged { status: report::status(&facts, &decision), decision };
        return Err(Halt::Decided(Box::new(judged.done(stored))));
    };
    let pricing = pricing_ref(&observation).ok_or(Halt::Stale)?;
    // What was read with other credentials, or elsewhere, says nothing of what this client may do.
    let is_same_client = handle.client.is_same_as(&request.handle.client);
    let is_same_tenant = (handle.client.origin(), &pricing.tenant) == (&key.platform, &key.tenant);
    // The token ends with its credentials, which may have been deleted or changed meanwhile.
    let may_send = handle.switching().can_put() && !context.stopping.is_cancelled();
    // Asked again, after the reads: an announcement without a request has to be closed.
    if !is_same_client || !is_same_tenant || !may_send || !context.term.has_time_for(PUT_TIMEOUT) {
        return Err(Halt::Stale);
    }
    let clock = &context.clock;
    if protocol::is_too_old(answered.earlier().elapsed(clock), begun.elapsed(clock)) {
        return Err(Halt::Late(lead.after(&answered)));
    }
    let intent = Intent { attempt_id: Uuid::new_v4().to_string(), scheduled_for };
    let status = report::announcing(&facts, &decision, &intent);
    Ok(Confirmed { handle: handle.clone(), pricing, intent, status, at: facts.now, stored })
}

/// Whether the budget of the connection, as it was read just now, has room for this attempt. It may have been lowered
/// since the permit was given.
fn room(context: &Context, request: &SwitchRequest<'_>, observation: &Observation) -> QueueState {
    let Some(connection) = &observation.route.connection else { return QueueState::Admitted };
    let clocks = context.clocks(&request.object.connection_key());
    let (budget, others) = (Limits::of(connection).budget, request.switch_permit.others());
    protocol::room(&context.index, budget, request.object, others, clocks, Instant::now())
}

/// Writes the open entry. Only a certain answer leads on to the request.
async fn announce(context: &Context, confirmed: &Confirmed, key: &TenantKey) -> Result<Announced, Halt> {
    let Confirmed { stored, status, .. } = confirmed;
    let attempt_id = confirmed.intent.attempt_id.clone();
    let at = context.clock.moment();
    let written = context.write_status(stored, status, SideEffect::Journal).await;
    let is_announced = protocol::is_announced(&written, &attempt_id);
    if is_announced {
        // The budget counts it from now on: before the permit is released, and before the watch delivers it.
        context.index.record_attempt(stored, &attempt_id, confirmed.at);
    } else if protocol::may_be_stored(&written) {
        // No request leaves, so it keeps no place in the budget. If it is stored, it counts until it is closed.
        context.reconcile_state.record(&attempt_id, key, AttemptOutcome::NotSent(None));
    }
    match written {
        Written::Stored(object) if is_announced => {
            let before = stored.status.clone().unwrap_or_default();
            context.status_changed(&StatusChange {
                object: &object,
                before: &before,
                after: status,
                at: confirmed.at,
            });
            Ok(Announced { object: *object, attempt_id, at })
        }
        // The stored status is another one, so nothing follows from it.
        Written::Stored(_) | Written::Conflict => Err(Halt::Stale),
        Written::Refused(error) => Err(Error::Refused(error).into()),
        Written::Unknown(error) => Err(Error::Uncertain(error).into()),
    }
}

/// Sends the request, once, if it is not too late.
async fn send(
    context: &Context,
    confirmed: &Confirmed,
    announced: &Announced,
    permit: PutPermit,
) -> AttemptOutcome {
    let Confirmed { handle, pricing: PricingRef { tenant, version }, .. } = confirmed;
    // The last check before the request: nothing may come between the two. If the process is stopped here in spite
    // of that, the pause counts in the time limit of the request.
    let started = context.clock.moment();
    let leads = context.term.has_time_for(PUT_TIMEOUT);
    if !leads || !protocol::is_in_time(announced.at.elapsed(&context.clock)) {
        audit::log_request(&announced.object, *version, None, context.clock.now());
        context.metrics.switch(SwitchOutcome::NotSent);
        return AttemptOutcome::NotSent(None);
    }
    let answer = handle.switching().switch_to_production(tenant, *version, permit, started).await;
    audit::log_request(&announced.object, *version, Some(&answer), context.clock.now());
    if let Some(outcome) = SwitchOutcome::of_attempt(&answer) {
        context.metrics.switch(outcome);
    }
    match protocol::outcome_of(answer, context.clock.now()) {
        AttemptOutcome::NotSent(Some(error)) => AttemptOutcome::NotSent(handle.track::<()>(Err(error)).err()),
        outcome => outcome,
    }
}

/// Reads the tenant back, and decides by the same rules that resolve an open entry after a crash.
async fn read_back(
    context: &Context,
    request: &SwitchRequest<'_>,
    announced: Announced,
    handle: &ConnectionHandle,
    key: &TenantKey,
    outcome: AttemptOutcome,
) -> Done {
    let uid = Uid::of(&announced.object);
    if let Some(error) = protocol::failure(&outcome) {
        context.reconcile_state.back_off(&uid, error.clone(), request.revision.clone(), request.slow);
    }
    context.reconcile_state.record(&announced.attempt_id, key, outcome);
    let mut object = announced.object;
    let mut reading = Box::pin(observe::read_tenant_and_pricing(handle, &key.tenant, &context.clock));
    let waited = tokio::time::timeout(READ_BACK_WAITS, &mut reading).await;
    let read = if let Ok(read) = waited {
        read
    } else {
        // The process may end before a slow read does.
        let (read, stored) = tokio::join!(reading, store_acceptance(context, &object));
        object = stored.unwrap_or(object);
        read
    };
    let observation = request.observation.with_read(read);
    end_with(context, request, object, &observation)
}

/// Stores that the platform accepted the open attempt of an object, after a status that should have said so was not
/// stored.
///
/// It is a fact and no decision, so no term is required. Another replica that leads by now can learn it in no other
/// way. The rest of the stored status stays. Returns the object as it was stored.
pub(super) async fn store_acceptance(context: &Context, object: &TenantPricing) -> Option<TenantPricing> {
    let open = OpenEntry::of(object, context.clock.now()).filter(|open| open.accepted.is_none())?;
    let attempt_id = open.attempt_id;
    let AttemptOutcome::Accepted(acceptance) = context.reconcile_state.outcome(open.clone()) else {
        return None;
    };
    for _ in 0..ACCEPTANCE_WRITES {
        match context.stored(object).await {
            Ok(Some(stored)) => {
                let status = protocol::with_acceptance(&stored, attempt_id, acceptance.at)?;
                let effect = SideEffect::TenantPricingStatus;
                if let Written::Stored(stored) = context.write_status(&stored, &status, effect).await {
                    return Some(*stored);
                }
            }
            Ok(None) => return None,
            Err(_) => {}
        }
        tokio::time::sleep(CACHE_CATCH_UP).await;
    }
    let (namespace, name) = (object.namespace(), object.name_any());
    tracing::warn!(namespace, name, "failed to store that the platform accepted the switch");
    None
}

/// Ends an attempt before it is announced, because the platform did not answer in time.
fn end_unannounced(context: &Context, request: &SwitchRequest<'_>, error: PlatformError) -> Done {
    context.reconcile_state.attempt_ended_unannounced(&Uid::of(request.object));
    end_with(context, request, request.object.clone(), &request.observation.failed(error))
}

/// Ends the reconcile of an object with what the rules say about this observation.
fn end_with(
    context: &Context,
    request: &SwitchRequest<'_>,
    object: TenantPricing,
    observation: &Observation,
) -> Done {
    let circumstances = observation.recall(context, &object, request.revision);
    Judged::of(&observation.facts(&object, &circumstances, context.clock.now())).done(object)
}

/// The tenant and the version of its pricing settings, from the pre-write read.
fn pricing_ref(observation: &Observation) -> Option<PricingRef> {
    match &observation.read {
        TenantRead::Seen(seen) => {
            let version = seen.pricing.as_ref()?.version;
            Some(PricingRef { tenant: seen.tenant.id.clone(), version })
        }
        _ => None,
    }
}
