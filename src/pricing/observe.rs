//! Reads what a decision needs: the connection, and through it the tenant.

pub(crate) mod siblings;

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;

use super::{
    context::Context,
    expectations::Asked,
    facts::{Access, Connection, Facts, Look, Memory, Proof, Seen, Target, may_stand_for, target},
    journal::{OpenEntry, completed_attempt},
};
use crate::{
    api::{ConditionType, PlatformConnection, StalledReason, TenantPricing, conditions},
    clock::{Clock, Moment},
    cluster::{self, Key, ReadError, Uid},
    connections::{self, Admission, Confirm, ConnectionHandle},
    index::TenantKey,
    platform::{Answer, ErrorClass, NameMatches, PlatformError, PutPermit, Tenant, TenantId},
};

/// The longest time from the begin of a pre-write read to the journal write, however slow the platform is. A permit for
/// the request outlasts it.
pub(crate) const LAST_LOOK_LASTS: Duration = Duration::from_secs(20);

/// How it is found out whether a connection admits an object's namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ask {
    /// By what is known, without asking anybody.
    Nobody,
    /// By what is known; but a refusal is confirmed by the API server.
    ForRefusals,
    /// By the API server.
    Afresh,
}

/// What was read.
pub(super) struct Observation {
    pub access: Access,
    pub look: Look,
    /// The way to the platform, if it is open.
    pub handle: Option<ConnectionHandle>,
    /// The connection as it was read.
    pub connection: Option<PlatformConnection>,
}

impl Observation {
    /// The tenant that was seen, and on which platform.
    pub(super) fn tenant(&self) -> Option<TenantKey> {
        match (&self.access, self.look.tenant()) {
            (Access::Open(connection), Some(tenant)) => Some((connection.origin.clone(), tenant.clone())),
            _ => None,
        }
    }

    /// What is to be decided on.
    pub(super) fn facts<'a>(
        &'a self,
        object: &'a TenantPricing,
        memory: &'a Memory,
        now: Timestamp,
    ) -> Facts<'a> {
        Facts { object, access: &self.access, look: &self.look, memory, now }
    }

    /// What is known of who bears the name by which an object names its tenant.
    pub(super) fn proof(&self, context: &Context, object: &TenantPricing) -> Proof {
        let (Some(handle), Some(name)) = (&self.handle, &object.spec.tenant.name) else {
            return Proof::Missing;
        };
        let since = context.memories.proof_wanted_since(&Uid::of(object));
        match since.and_then(|since| handle.names().proof(name, since)) {
            None => Proof::Missing,
            Some(Ok(ids)) => Proof::Bearers(ids),
            Some(Err(error)) => Proof::Failed(error),
        }
    }

    /// Whether the name of an object led to a tenant that it may not stand for, and it is worth while to look the
    /// name up again.
    pub(super) fn is_misled(&self, object: &TenantPricing) -> bool {
        let (Some(handle), Some(name)) = (&self.handle, &object.spec.tenant.name) else { return false };
        let is_wrong = match &self.look {
            Look::Seen(seen) => !may_stand_for(object, seen),
            // It is gone, or was never there for this client.
            Look::Failed(error) => {
                error.class() == ErrorClass::NotFound && matches!(target(object), Some(Target::Name(_)))
            }
            _ => false,
        };
        is_wrong && handle.names().distrust(name)
    }

    /// What is remembered of an object, its open attempt included.
    ///
    /// The connection is the one of this observation: a connection in a namespace that is not watched is never cached.
    pub(super) fn recall(&self, context: &Context, object: &TenantPricing, asked: &Asked) -> Memory {
        let uid = Uid::of(object);
        if let Some(attempt) = completed_attempt(object) {
            // The answer to the write that completed it may have been lost.
            context.memories.resolved(attempt);
        }
        let namespace = object.metadata.namespace.as_deref().unwrap_or_default();
        let memory = Memory {
            namespace_terminates: context.namespaces.is_terminating(namespace),
            ..context.memories.recall(&uid, asked, OpenEntry::of(object, context.clock.now()))
        };
        let known =
            |tenant: &TenantKey| (context.memories.is_quiet(tenant), context.memories.accepted(tenant));
        let own = object.connection_key();
        let via = |connection: &Key, other: &Key| {
            if *connection == own {
                // The tenant was read through it just now, so it works, whatever its status still says.
                return context.via(self.connection.as_ref()?, other, true);
            }
            let cached = context.connections.get(connection.namespace(), connection.name())?;
            let connection = cached.0.as_ref().ok()?;
            if connections::needs_a_person(connection) { None } else { context.via(connection, other, false) }
        };
        siblings::with_siblings(memory, object, self.tenant(), &context.index, known, via)
    }

    /// Records in the index that the tenant was read for the object, which may own it from now on.
    pub(super) fn record_tenant(&self, context: &Context, object: &TenantPricing) {
        let (Look::Seen(seen), Some(connection)) = (&self.look, &self.connection) else {
            return;
        };
        // What a name misled to is not the object's tenant.
        if !may_stand_for(object, seen) {
            return;
        }
        let tenant = &seen.tenant.id;
        let through = connection.metadata.uid.as_deref().unwrap_or_default();
        for other in context.index.seen(&Key::of(object), tenant, through) {
            // It fails only when the process ends.
            let _ = context.calls.send(other);
        }
    }

    /// The same, but that nothing was looked at.
    pub(super) fn without_look(&self) -> Self {
        Self {
            access: self.access.clone(),
            look: Look::NotTaken,
            handle: self.handle.clone(),
            connection: self.connection.clone(),
        }
    }

    /// The same, but that the platform could not be asked.
    pub(super) fn failed(&self, error: PlatformError) -> Self {
        Self { look: Look::Failed(error), ..self.without_look() }
    }
}

/// What an ordinary pass is decided on, or what has to be looked at for it first.
pub(super) enum Ordinary {
    /// This.
    Observed(Box<Observation>),
    /// The tenant has to be read through the connection, which admits the object.
    ToLook(Target),
}

/// Reads what an ordinary pass needs but the tenant: `look` is the one taken for it. With `open`, an attempt is
/// open and the tenant is read as closely as before a switch.
pub(super) async fn observe(
    context: &Context,
    object: &TenantPricing,
    open: bool,
    look: Option<Look>,
) -> Ordinary {
    let way = way(context, object, open, Ask::ForRefusals).await;
    let look = match (&way.handle, look) {
        (None, _) => Look::NotTaken,
        (Some(handle), _) if open => match tenant_id(handle, object).await {
            Ok(id) => closely(handle, &id, &context.clock).await,
            Err(look) => look,
        },
        (Some(_), Some(look)) => look,
        (Some(_), None) => match target(object) {
            Some(target) => return Ordinary::ToLook(target),
            None => Look::NoSuchName(None),
        },
    };
    Ordinary::Observed(Box::new(Observation { look, ..way }))
}

/// Whether and how the platform can be reached for an object, by what is cached. Nothing is looked at.
pub(super) async fn way(context: &Context, object: &TenantPricing, open: bool, ask: Ask) -> Observation {
    if object.spec.suspend && !open {
        let access = Access::NotResolved;
        return Observation { access, look: Look::NotTaken, handle: None, connection: None };
    }
    let connection = cached_connection(context, object).await;
    let (access, handle) = resolve(context, object, connection.as_ref(), ask).await;
    Observation { access, look: Look::NotTaken, handle, connection: connection.ok() }
}

/// The same for a periodic read, through the connection that it went through. Sends no request.
pub(super) async fn way_through(
    context: &Context,
    object: &TenantPricing,
    connection: &PlatformConnection,
) -> Observation {
    if object.spec.suspend {
        return way(context, object, false, Ask::Nobody).await;
    }
    let (access, handle) = resolve(context, object, Ok(connection), Ask::Nobody).await;
    Observation { access, look: Look::NotTaken, handle, connection: Some(connection.clone()) }
}

/// What was looked at before a switch, and then the connection, read afresh. In this order, so that an emergency
/// stop set while the platform takes its time is still heeded.
pub(super) async fn through_the_connection_afresh(
    context: &Context,
    object: &TenantPricing,
    look: Look,
) -> Observation {
    let namespace = object.namespace().unwrap_or_default();
    let key = object.connection_key();
    let (connection, ()) =
        tokio::join!(stored_connection(context, &key), context.namespaces.learn_of_termination(&namespace));
    let (access, handle) = resolve(context, object, connection.as_ref(), Ask::Afresh).await;
    Observation { access, look, handle, connection: connection.ok() }
}

/// A connection, or why there is none to use.
type FoundConnection = Result<PlatformConnection, NoConnection>;

/// Why a connection could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoConnection {
    /// There is none of this name.
    Missing,
    /// The controller has no right to read it.
    Forbidden,
    /// The API server did not answer.
    Unread,
}

/// From the cache; one that is not there may have been created just now, so the API server is asked.
async fn cached_connection(context: &Context, object: &TenantPricing) -> FoundConnection {
    let key = object.connection_key();
    match context.connections.get(key.namespace(), key.name()) {
        Some(cached) => cached.0.clone().map_err(|_| NoConnection::Missing),
        None => stored_connection(context, &key).await,
    }
}

/// A connection as the API server has it now.
///
/// # Errors
/// Why there is none to use.
pub async fn stored_connection(context: &Context, key: &Key) -> Result<PlatformConnection, NoConnection> {
    let (namespace, name) = (key.namespace(), key.name());
    match cluster::read(&context.client, key).await {
        Ok(found) => found.ok_or(NoConnection::Missing),
        Err(ReadError::Forbidden(_)) => Err(NoConnection::Forbidden),
        Err(error) => {
            tracing::warn!(namespace, name, %error, "failed to read a connection");
            Err(NoConnection::Unread)
        }
    }
}

async fn resolve(
    context: &Context,
    object: &TenantPricing,
    connection: Result<&PlatformConnection, &NoConnection>,
    ask: Ask,
) -> (Access, Option<ConnectionHandle>) {
    let connection = match connection {
        Ok(connection) => connection,
        Err(NoConnection::Missing) => return (Access::NotFound, None),
        Err(NoConnection::Forbidden) => return (Access::Forbidden, None),
        Err(NoConnection::Unread) => return (Access::Undecided, None),
    };
    let namespace = object.namespace().unwrap_or_default();
    let admission = match ask {
        Ask::Nobody => context.namespaces.admits(connection, &namespace),
        Ask::ForRefusals => {
            // What the status says already is not confirmed at each reconcile: a changed label wakes the object.
            let confirm = if says_refused(object) { Confirm::Nothing } else { Confirm::Refusals };
            context.namespaces.admission(connection, &namespace, confirm).await
        }
        Ask::Afresh => context.namespaces.admits_afresh(connection, &namespace).await,
    };
    match admission {
        Admission::Admitted => {}
        Admission::Refused => return (Access::NotAllowed, None),
        Admission::Undecided => return (Access::Undecided, None),
    }
    match context.registry.open(connection) {
        Err(unusable) => (Access::Unusable(unusable.to_string()), None),
        Ok(handle) => {
            let facts = Connection {
                key: object.connection_key().to_string(),
                origin: handle.client.origin().clone(),
                switch_at: connection.spec.switch.at,
            };
            (Access::Open(facts), Some(handle))
        }
    }
}

/// Whether an object's status says already, for its present spec, that its connection does not admit it.
#[must_use]
pub fn says_refused(object: &TenantPricing) -> bool {
    object.status.as_ref().is_some_and(|status| {
        let stalled = conditions::find(&status.conditions, ConditionType::Stalled);
        Some(status.observed_generation) == object.metadata.generation
            && stalled.is_some_and(|stalled| stalled.reason == StalledReason::ConnectionNotAllowed.as_str())
    })
}

/// The tenant and its pricing settings, for one object alone: while an attempt is open.
pub(super) async fn closely(handle: &ConnectionHandle, id: &TenantId, clock: &Clock) -> Look {
    for_switch(handle, id, clock, Lead::default()).await.look
}

/// What was read right before a switch.
pub(super) struct LastLook {
    pub look: Look,
    /// When the answers with the tenant and with its pricing settings came.
    pub answered: Answered,
}

/// When two answers came.
#[derive(Clone, Copy, Debug)]
pub(super) struct Answered {
    tenant: Moment,
    pricing: Moment,
}

/// How long before the tenant its pricing settings are asked for. Negative: how long after it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Lead(SignedDuration);

impl Answered {
    /// The earlier of the two: a look is as old as that.
    pub(super) fn earlier(&self) -> Moment {
        if self.tenant.until(&self.pricing).is_negative() { self.pricing } else { self.tenant }
    }
}

impl Lead {
    /// With how much of a lead both answers would have come at once.
    pub(super) fn after(self, answered: &Answered) -> Self {
        Self(self.0.saturating_add(answered.tenant.until(&answered.pricing)))
    }

    /// After how long the tenant is asked for, and after how long its pricing settings.
    fn pauses(self) -> (Duration, Duration) {
        let pause = |lead: SignedDuration| Duration::try_from(lead).unwrap_or_default().min(LAST_LOOK_LASTS);
        (pause(self.0), pause(SignedDuration::ZERO.saturating_sub(self.0)))
    }
}

/// The tenant and its pricing settings, side by side: before a switch, and after it.
pub(super) async fn for_switch(
    handle: &ConnectionHandle,
    id: &TenantId,
    clock: &Clock,
    lead: Lead,
) -> LastLook {
    let (before_tenant, before_pricing) = lead.pauses();
    let tenant = async {
        wait(before_tenant).await;
        (handle.client.tenant(id).await, clock.moment())
    };
    let pricing = async {
        wait(before_pricing).await;
        (handle.client.pricing(id).await, clock.moment())
    };
    let ((tenant, tenant_came), (pricing, pricing_came)) = tokio::join!(tenant, pricing);
    let look = match (handle.track(tenant), handle.track(pricing)) {
        (Ok(tenant), Ok(pricing)) => {
            let date = tenant.date.zip(pricing.date).map(|(one, other)| one.min(other));
            let tenant = Answer { value: tenant.value, date };
            seen(handle, tenant, Some(pricing.value)).await
        }
        (Err(error), _) | (_, Err(error)) => Look::Failed(error),
    };
    LastLook { look, answered: Answered { tenant: tenant_came, pricing: pricing_came } }
}

/// Even a sleep of no length would last to the next tick of the timer.
async fn wait(pause: Duration) {
    if !pause.is_zero() {
        tokio::time::sleep(pause).await;
    }
}

/// What an answer with a tenant shows.
pub async fn seen(
    handle: &ConnectionHandle,
    answer: Answer<Tenant>,
    pricing: Option<crate::platform::Pricing>,
) -> Look {
    let Answer { value: tenant, date } = answer;
    let locked_by_another = match &tenant.lock {
        None => false,
        Some(lock) => match handle.track(handle.client.own_tenant().await) {
            Ok(own) => lock.owner.as_ref() != Some(&own.value),
            Err(error) => return Look::Failed(error),
        },
    };
    Look::Seen(Box::new(Seen { tenant, pricing, date, locked_by_another }))
}

/// What a name led to: the one tenant, or what is to be said.
///
/// # Errors
/// The look that says that there is none, or several, or that it could not be found out.
pub fn found(answer: Result<Answer<NameMatches>, PlatformError>) -> Result<TenantId, Look> {
    match answer {
        Err(error) => Err(Look::Failed(error)),
        Ok(Answer { value: NameMatches { ids, similar }, .. }) => match <[TenantId; 1]>::try_from(ids) {
            Ok([id]) => Ok(id),
            Err(ids) if ids.is_empty() => Err(Look::NoSuchName(similar)),
            Err(ids) => Err(Look::AmbiguousName(ids)),
        },
    }
}

async fn tenant_id(handle: &ConnectionHandle, object: &TenantPricing) -> Result<TenantId, Look> {
    match target(object) {
        None => Err(Look::NoSuchName(None)),
        Some(Target::Id(id)) => Ok(id),
        Some(Target::Name(name)) => found(handle.track(handle.find(&name).await)),
    }
}

/// Waits until an attempt may be made, or says what stands in its way before anything was announced.
pub(super) async fn ready(handle: &ConnectionHandle) -> Result<PutPermit, PlatformError> {
    handle.track(handle.client.ready_to_put().await)
}
