//! The switch: announced in the journal, sent once, read back. The only place from which a switch is sent.
//!
//! The order is what makes it safe: last look, connection read afresh, journal write under the resource
//! version that was looked at, request, read back. Every step that does not succeed for certain ends the
//! attempt before the next.

pub(crate) mod audit;
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
    expectations::{Asked, Claim},
    facts::{AttemptOutcome, Facts, Memory, Proof, Target, TenantRead, Turn, target},
    journal::OpenEntry,
    observe::{self, Lead, Observation, PrewriteRead},
    status::{
        events,
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

/// How often a last look that took too long is repeated before the pass is given up.
const MAX_PREWRITE_READS: u32 = 3;

/// The most tries to store that the platform accepted a switch before the next reconcile does it.
const ACCEPTANCE_WRITES: u32 = 5;

/// When a tenant has not been read back for so long after its request was accepted, the acceptance is stored first. A
/// process that is asked to end has 20 s for the request and this.
const READ_BACK_WAITS: Duration = Duration::from_secs(5);

/// An object whose switch was decided upon.
pub(super) struct Order<'a> {
    /// The object, as it was looked at.
    pub object: &'a TenantPricing,
    /// That look.
    pub observation: &'a Observation,
    /// The way to the platform.
    pub handle: &'a ConnectionHandle,
    /// What lifts a hold after a failure.
    pub asked: &'a Asked,
    /// The longest pause after a failure.
    pub slow: Duration,
    /// Room within the connection's pace and budget, kept for the object.
    pub switch_permit: SwitchPermit,
}

/// What a pass came to: the object as it stands in the API server before the last status is written, and that
/// status.
pub(super) struct Done {
    pub object: TenantPricing,
    pub status: TenantPricingStatus,
    pub requeue: Requeue,
    pub verdict: Verdict,
}

/// An attempt that is announced.
struct Announced {
    /// The object, with the open entry.
    object: TenantPricing,
    attempt_id: String,
    /// When the announcement was begun: before it could be stored.
    at: Moment,
}

/// What became of one try at an order.
enum Try {
    /// It came to this.
    Done(Box<Done>),
    /// The last look took too long. The next one is to be taken with this lead.
    Late(Lead),
    /// Nothing was announced: the view was stale, or it is somebody else's turn.
    Stale,
}

/// Carries out a switch that was decided upon. `None`: it is not this object's turn, or the view it was decided
/// on was stale; nothing was sent.
///
/// # Errors
/// The object could not be read, the announcement was refused, or whether it was stored is not known. Nothing
/// was sent, and the entry, if there is one, is closed by a later pass.
pub(super) async fn switch(context: &Context, mut order: Order<'_>) -> Result<Option<Done>, Error> {
    // A name that was not looked up yet leads to no switch: an ordinary pass looks first.
    let tenant = match (order.observation.read.tenant(), target(order.object)) {
        (Some(tenant), _) => tenant.clone(),
        (None, Some(Target::Id(tenant))) => tenant,
        (None, _) => return Ok(None),
    };
    let key: TenantKey = (order.handle.client.origin().clone(), tenant);
    // Held to the end, so that no other object begins an attempt for this tenant.
    let Some(_claim): Option<Claim> = context.reconcile_state.claim(&key) else { return Ok(None) };
    let mut lead = Lead::default();
    for _ in 0..MAX_PREWRITE_READS {
        match attempt(context, &mut order, &key, lead).await? {
            Try::Done(done) => return Ok(Some(*done)),
            Try::Stale => return Ok(None),
            // Where one of the two reads takes longer, it begins earlier the next time.
            Try::Late(next) => lead = next,
        }
    }
    let error = PlatformError::prewrite_read_too_slow(
        protocol::PREWRITE_READ_MAX_AGE,
        observe::MAX_PREWRITE_READ_TIME,
    );
    Ok(Some(decided(context, &order, order.object, &order.observation.failed(error))))
}

async fn attempt(
    context: &Context,
    order: &mut Order<'_>,
    key: &TenantKey,
    lead: Lead,
) -> Result<Try, Error> {
    // Until something is announced nobody has to wait for the end of this: the pace of a slow connection, or a
    // platform that does not answer, would keep the lease from being given up.
    let permit = match context.stopping.run_until_cancelled(Box::pin(observe::ready(order.handle))).await {
        None => return Ok(Try::Stale),
        Some(Ok(permit)) => permit,
        Some(Err(error)) => {
            let done = decided(context, order, order.object, &order.observation.failed(error));
            return Ok(Try::Done(Box::new(done)));
        }
    };
    // What is looked at without time for the request would only be looked at again.
    if !context.term.has_time_for(PUT_TIMEOUT) {
        return Ok(Try::Stale);
    }
    // The listing that proved the name may have become too old while the object waited for its turn.
    let unproved = |proof: &Proof| matches!(proof, Proof::Missing | Proof::Awaited);
    if order.object.spec.tenant.name.is_some() && unproved(&order.observation.proof(context, order.object)) {
        return Ok(Try::Stale);
    }
    // Only now, because the wait for the pace may have been long.
    let begun = context.clock.moment();
    let Some(stored) = context.stored(order.object).await.map_err(Error::Unread)? else {
        return Ok(Try::Stale);
    };
    // On a status that others wrote nothing is begun: an ordinary reconcile mends it first.
    if context.reconcile_state.mends().is_foreign(&stored) {
        return Ok(Try::Stale);
    }
    let read = Box::pin(async {
        observe::for_switch(&order.handle.for_prewrite_read(&permit), &key.1, &context.clock, lead).await
    });
    let Some(last) = context.stopping.run_until_cancelled(read).await else { return Ok(Try::Stale) };
    let PrewriteRead { read, answered } = last;
    let object = protocol::compared_with(&stored, &order.observation.read);
    let observation = observe::with_fresh_connection(context, &object, read).await;
    let memory = Memory {
        turn: room(context, order, &observation),
        proof: observation.proof(context, &object),
        ..observation.recall(context, &object, order.asked)
    };
    let facts = observation.facts(&object, &memory, context.clock.now());
    let decision = decide::decide(&facts);
    if decision.requeue == Requeue::WhenProved {
        return Ok(Try::Stale);
    }
    let (Verdict::Switch { scheduled_for }, Some(handle)) = (decision.verdict, &observation.route.handle)
    else {
        // Without a tenant seen just now the status goes on from the one that is stored.
        let seen = matches!(observation.read, TenantRead::Seen(_));
        let facts = Facts { object: if seen { &object } else { &stored }, ..facts };
        let status = report::status(&facts, &decision);
        let done = Done { object: stored, status, requeue: decision.requeue, verdict: decision.verdict };
        return Ok(Try::Done(Box::new(done)));
    };
    let Some((id, version)) = pricing_version(&observation) else { return Ok(Try::Stale) };
    // What was looked at with other credentials, or elsewhere, says nothing of what this client may do.
    let same_way = handle.client.is_same_as(&order.handle.client);
    if !same_way || (handle.client.origin(), &id) != (&key.0, &key.1) || context.stopping.is_cancelled() {
        return Ok(Try::Stale);
    }
    // The credentials may have been deleted or changed meanwhile: then the token ended with them.
    if !handle.client.can_put() {
        return Ok(Try::Stale);
    }
    // Asked again, after the look: what is announced in vain has to be taken back.
    if !context.term.has_time_for(PUT_TIMEOUT) {
        return Ok(Try::Stale);
    }
    let clock = &context.clock;
    if protocol::is_too_old(answered.earlier().elapsed(clock), begun.elapsed(clock)) {
        return Ok(Try::Late(lead.after(&answered)));
    }
    let intent = Intent { attempt_id: Uuid::new_v4().to_string(), scheduled_for };
    let status = report::announcing(&facts, &decision, &intent);
    let Some(announced) = announce(context, (&stored, facts.now), &status, intent, key).await? else {
        return Ok(Try::Stale);
    };
    order.switch_permit.commit();
    failpoints::failpoint(Point::Announced);
    let outcome = send(context, handle, &announced, (&id, version), permit).await;
    let done = settle(context, order, announced, handle, key, outcome).await;
    Ok(Try::Done(Box::new(done)))
}

/// Whether the budget of the connection, as it was read just now, has room for this attempt: it may have been
/// lowered since the permit was given.
fn room(context: &Context, order: &Order<'_>, observation: &Observation) -> Turn {
    let Some(connection) = &observation.route.connection else { return Turn::Now };
    let clocks = context.clocks(&order.object.connection_key());
    let (budget, others) = (Limits::of(connection).budget, order.switch_permit.others());
    protocol::room(&context.index, budget, order.object, others, clocks, Instant::now())
}

/// Writes the open entry. Only a certain answer leads on to the request.
async fn announce(
    context: &Context,
    (stored, said_at): (&TenantPricing, Timestamp),
    status: &TenantPricingStatus,
    intent: Intent,
    key: &TenantKey,
) -> Result<Option<Announced>, Error> {
    let at = context.clock.moment();
    let written = context.write_status(stored, status, SideEffect::Journal).await;
    let attempt_id = intent.attempt_id;
    let is_announced = protocol::is_announced(&written, &attempt_id);
    if is_announced {
        // From now on the budget counts it, before the permit is given back, and whenever the watch brings it.
        context.index.record_attempt(stored, &attempt_id, said_at);
    } else if protocol::may_be_stored(&written) {
        // Nothing leaves, so it keeps no place in the budget. If it is stored, it counts until it is closed.
        context.reconcile_state.record(&attempt_id, key, AttemptOutcome::NotSent(None));
    }
    match written {
        Written::Stored(object) if is_announced => {
            let before = stored.status.clone().unwrap_or_default();
            let notes = events::of_change(&object, &before, status, said_at);
            context.events.publish(&object, notes);
            Ok(Some(Announced { object: *object, attempt_id, at }))
        }
        // Of what is stored, but is not what was sent, nothing may be concluded.
        Written::Stored(_) | Written::Conflict => Ok(None),
        Written::Refused(error) => Err(Error::Refused(error)),
        Written::Unknown(error) => Err(Error::Uncertain(error)),
    }
}

/// Sends the request, once, if it is not too late.
async fn send(
    context: &Context,
    handle: &ConnectionHandle,
    announced: &Announced,
    (id, version): (&TenantId, PricingVersion),
    permit: PutPermit,
) -> AttemptOutcome {
    // The last thing before the request: nothing may come between the two. What a process is stopped for in spite of
    // that counts in the time limit of the request.
    let asked = context.clock.moment();
    let leads = context.term.has_time_for(PUT_TIMEOUT);
    if !leads || !protocol::is_in_time(announced.at.elapsed(&context.clock)) {
        audit::asked(&announced.object, version, None, context.clock.now());
        context.metrics.switch(SwitchOutcome::NotSent);
        return AttemptOutcome::NotSent(None);
    }
    let outcome = handle.client.switch_to_production(id, version, permit, asked).await;
    audit::asked(&announced.object, version, Some(&outcome), context.clock.now());
    if let Some(outcome) = SwitchOutcome::of_attempt(&outcome) {
        context.metrics.switch(outcome);
    }
    let outcome = protocol::outcome_of(outcome, context.clock.now());
    match outcome {
        AttemptOutcome::NotSent(Some(error)) => AttemptOutcome::NotSent(handle.track::<()>(Err(error)).err()),
        outcome => outcome,
    }
}

/// Reads the tenant, and decides by the same rules that resolve an open entry after a crash.
async fn settle(
    context: &Context,
    order: &Order<'_>,
    announced: Announced,
    handle: &ConnectionHandle,
    key: &TenantKey,
    outcome: AttemptOutcome,
) -> Done {
    let uid = Uid::of(&announced.object);
    if let Some(error) = protocol::failure(&outcome) {
        context.reconcile_state.hold(&uid, error.clone(), order.asked.clone(), order.slow);
    }
    context.reconcile_state.record(&announced.attempt_id, key, outcome);
    let mut object = announced.object;
    let mut reading = Box::pin(observe::read_tenant_and_pricing(handle, &key.1, &context.clock));
    let waited = tokio::time::timeout(READ_BACK_WAITS, &mut reading).await;
    let read = if let Ok(read) = waited {
        read
    } else {
        // The process may end before a slow read does.
        let (read, stored) = tokio::join!(reading, store_acceptance(context, &object));
        object = stored.unwrap_or(object);
        read
    };
    let observation = order.observation.with_read(read);
    decided(context, order, &object, &observation)
}

/// Stores that the platform accepted the open attempt of an object, after a status that should have said so was not
/// stored.
///
/// That is a fact, not a decision, so this asks no term: where another replica leads by now, it is the only way for it
/// to know. What else is stored by then stays. Returns the object as it was stored.
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

fn decided(context: &Context, order: &Order<'_>, object: &TenantPricing, observation: &Observation) -> Done {
    let memory = observation.recall(context, object, order.asked);
    let facts = observation.facts(object, &memory, context.clock.now());
    let decision = decide::decide(&facts);
    let status = report::status(&facts, &decision);
    Done { object: object.clone(), status, requeue: decision.requeue, verdict: decision.verdict }
}

/// The tenant and the version of its pricing settings, as the last look read them.
fn pricing_version(observation: &Observation) -> Option<(TenantId, PricingVersion)> {
    match &observation.read {
        TenantRead::Seen(seen) => Some((seen.tenant.id.clone(), seen.pricing.as_ref()?.version)),
        _ => None,
    }
}
