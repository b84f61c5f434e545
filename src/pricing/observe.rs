//! Reads what a decision needs: the connection, and through it the tenant.

pub(crate) mod siblings;

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;

use super::{
    context::Context,
    expectations::RequestRevision,
    facts::{
        Access, Circumstances, Connection, Facts, Proof, Seen, Target, TenantRead, may_stand_for, target,
    },
    journal::{OpenEntry, completed_attempt},
};
use crate::{
    api::{ConditionType, PlatformConnection, StalledReason, TenantPricing, conditions},
    clock::{Clock, Moment},
    cluster::{self, Key, ReadError, Uid},
    connections::{self, Admission, Confirm, ConnectionHandle, ConnectionProblem},
    index::TenantKey,
    platform::{Answer, ErrorClass, NameMatches, PlatformClient, PlatformError, PutPermit, Tenant, TenantId},
};

/// The longest time from the start of a pre-write read to the journal write, however slow the platform is. A permit for
/// the request outlasts it.
pub(crate) const MAX_PREWRITE_READ_TIME: Duration = Duration::from_secs(20);

/// How current the answer has to be whether a connection admits an object's namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Consistency {
    /// The caches answer. No request is sent.
    Cached,
    /// The caches answer, and the API server confirms a refusal.
    ConfirmDenial,
    /// The API server answers.
    Fresh,
}

/// Whether and how an object reaches its platform.
#[derive(Clone)]
pub(super) struct Route {
    pub access: Access,
    /// The client of the connection, if the object may use it.
    pub handle: Option<ConnectionHandle>,
    /// The connection as it was read.
    pub connection: Option<PlatformConnection>,
}

/// What was read for an object.
pub(super) struct Observation {
    pub route: Route,
    pub read: TenantRead,
}

impl Observation {
    /// The tenant that was read, and its platform.
    pub(super) fn tenant(&self) -> Option<TenantKey> {
        match (&self.route.access, self.read.tenant()) {
            (Access::Open(connection), Some(tenant)) => {
                Some(TenantKey { platform: connection.origin.clone(), tenant: tenant.clone() })
            }
            _ => None,
        }
    }

    /// The facts to decide on.
    pub(super) fn facts<'a>(
        &'a self,
        object: &'a TenantPricing,
        circumstances: &'a Circumstances,
        now: Timestamp,
    ) -> Facts<'a> {
        Facts { object, access: &self.route.access, read: &self.read, circumstances, now }
    }

    /// The proof of the name by which an object names its tenant.
    pub(super) fn proof(&self, context: &Context, object: &TenantPricing) -> Proof {
        let (Some(handle), Some(name)) = (&self.route.handle, &object.spec.tenant.name) else {
            return Proof::Missing;
        };
        let since = context.reconcile_state.proof_wanted_since(&Uid::of(object));
        match since.and_then(|since| handle.names().proof(name, since)) {
            None => Proof::Missing,
            Some(Ok(ids)) => Proof::Customers(ids),
            Some(Err(error)) => Proof::Failed(error),
        }
    }

    /// Whether the name of an object led to a tenant that it may not stand for, and the name is worth another lookup.
    pub(super) fn is_misled(&self, object: &TenantPricing) -> bool {
        let (Some(handle), Some(name)) = (&self.route.handle, &object.spec.tenant.name) else { return false };
        let is_wrong = match &self.read {
            TenantRead::Seen(seen) => !may_stand_for(object, seen),
            // The tenant is gone, or this client was never allowed to read it.
            TenantRead::Failed(error) => {
                matches!(error.class(), ErrorClass::NotFound | ErrorClass::AccessDenied)
                    && matches!(target(object), Some(Target::Name(_)))
            }
            _ => false,
        };
        is_wrong && handle.names().distrust(name)
    }

    /// What is remembered of an object, its open attempt included.
    ///
    /// The connection is the one of this observation: a connection in a namespace that is not watched is never cached.
    pub(super) fn recall(
        &self,
        context: &Context,
        object: &TenantPricing,
        revision: &RequestRevision,
    ) -> Circumstances {
        let uid = Uid::of(object);
        if let Some(attempt) = completed_attempt(object) {
            // The answer to the write that completed it may have been lost.
            context.reconcile_state.resolved(attempt);
        }
        let namespace = object.metadata.namespace.as_deref().unwrap_or_default();
        let circumstances = Circumstances {
            namespace_terminates: context.namespaces.is_terminating(namespace),
            ..context.reconcile_state.recall(&uid, revision, OpenEntry::of(object, context.clock.now()))
        };
        let known = |tenant: &TenantKey| siblings::KnownAttempts {
            in_grace_period: context.reconcile_state.in_grace_period(tenant),
            accepted: context.reconcile_state.accepted(tenant),
        };
        let own = object.connection_key();
        let via = |connection: &Key, other: &Key| {
            if *connection == own {
                // The tenant was read through it just now, so it works, although its status may not say so yet.
                return context.via(self.route.connection.as_ref()?, other, true);
            }
            let cached = context.connections.get(connection.namespace(), connection.name())?;
            let connection = cached.0.as_ref().ok()?;
            if connections::needs_a_person(connection) { None } else { context.via(connection, other, false) }
        };
        siblings::with_siblings(
            circumstances,
            object,
            self.tenant(),
            &context.index,
            known,
            via,
            context.clock.now(),
        )
    }

    /// Records in the index that the tenant was read for the object, which may own it from now on.
    pub(super) fn record_tenant(&self, context: &Context, object: &TenantPricing) {
        let (TenantRead::Seen(seen), Some(connection)) = (&self.read, &self.route.connection) else {
            return;
        };
        // A tenant that the name led to by mistake is not the tenant of the object.
        if !may_stand_for(object, seen) {
            return;
        }
        let tenant = &seen.tenant.id;
        let through = connection.metadata.uid.as_deref().unwrap_or_default();
        for other in context.index.record_tenant(&Key::of(object), tenant, through) {
            // The send fails only when the process ends.
            let _ = context.enqueue_tx.send(other);
        }
    }

    /// The same route with another read of the tenant.
    pub(super) fn with_read(&self, read: TenantRead) -> Self {
        Self { route: self.route.clone(), read }
    }

    /// The same route, with an error in place of the read.
    pub(super) fn failed(&self, error: PlatformError) -> Self {
        self.with_read(TenantRead::Failed(error))
    }
}

/// What an ordinary reconcile is decided on, or what has to be read for it first.
pub(super) enum Observing {
    /// Everything is read.
    Complete(Box<Observation>),
    /// The tenant has to be read through the connection, which admits the object.
    NeedsRead(Target),
}

/// Reads what an ordinary reconcile needs. `read` is the tenant, if the poller has read it already through this
/// connection. With `open`, an attempt is open, and the tenant is read together with its pricing settings.
pub(super) async fn observe(
    context: &Context,
    object: &TenantPricing,
    open: bool,
    read: impl FnOnce(Option<&PlatformConnection>) -> Option<TenantRead>,
) -> Observing {
    let route = route(context, object, open, Consistency::ConfirmDenial).await;
    let read = match (&route.handle, read(route.connection.as_ref())) {
        (None, _) => TenantRead::NotRead,
        (Some(handle), _) if open => match tenant_id(handle, object).await {
            Ok(id) => read_tenant_and_pricing(handle, &id, &context.clock).await,
            Err(read) => read,
        },
        (Some(_), Some(read)) => read,
        (Some(_), None) => match target(object) {
            Some(target) => return Observing::NeedsRead(target),
            None => TenantRead::NoSuchName(None),
        },
    };
    Observing::Complete(Box::new(Observation { route, read }))
}

/// The route of an object by the cached connection. Does not read the tenant.
pub(super) async fn route(
    context: &Context,
    object: &TenantPricing,
    open: bool,
    consistency: Consistency,
) -> Route {
    if object.spec.suspend && !open {
        return Route { access: Access::NotResolved, handle: None, connection: None };
    }
    let connection = cached_connection(context, object).await;
    resolve(context, object, connection, consistency).await
}

/// The route for a periodic read, through the connection that was used for it. Sends no request.
pub(super) async fn route_through(
    context: &Context,
    object: &TenantPricing,
    connection: &PlatformConnection,
) -> Route {
    if object.spec.suspend {
        return route(context, object, false, Consistency::Cached).await;
    }
    resolve(context, object, Ok(connection.clone()), Consistency::Cached).await
}

/// What was read before a switch, and then the connection, read from the API server. In this order, so that an
/// emergency stop set while the platform takes its time still counts.
pub(super) async fn with_fresh_connection(
    context: &Context,
    object: &TenantPricing,
    read: TenantRead,
) -> Observation {
    let namespace = object.namespace().unwrap_or_default();
    let key = object.connection_key();
    let (connection, is_learnt) =
        tokio::join!(stored_connection(context, &key), context.namespaces.learn_of_termination(&namespace));
    // A namespace that may be ending is treated as a connection that could not be read: the switch waits.
    let connection = if is_learnt { connection } else { Err(NoConnection::Unread) };
    Observation { route: resolve(context, object, connection, Consistency::Fresh).await, read }
}

/// A connection, or why there is none to use.
type FoundConnection = Result<PlatformConnection, NoConnection>;

/// Why a connection could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoConnection {
    /// There is none of this name.
    Missing,
    /// The controller has no right to read it.
    Forbidden,
    /// This version of the controller cannot read it. The text says why.
    Unreadable(String),
    /// The API server did not answer.
    Unread,
}

/// A connection from the cache. One that is missing there may be new, so it is read from the API server.
async fn cached_connection(context: &Context, object: &TenantPricing) -> FoundConnection {
    let key = object.connection_key();
    match context.connections.get_copy(key.namespace(), key.name()) {
        Some(cached) => cached.map_err(NoConnection::Unreadable),
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
        Err(ReadError::Unreadable(error)) => Err(NoConnection::Unreadable(error.to_string())),
        Err(error) => {
            tracing::warn!(namespace, name, %error, category = error.category(), "failed to read a connection");
            Err(NoConnection::Unread)
        }
    }
}

async fn resolve(
    context: &Context,
    object: &TenantPricing,
    connection: FoundConnection,
    consistency: Consistency,
) -> Route {
    let (access, handle) = match &connection {
        Ok(connection) => open(context, object, connection, consistency).await,
        Err(NoConnection::Missing) => (Access::NotFound, None),
        Err(NoConnection::Forbidden) => (Access::Forbidden, None),
        Err(NoConnection::Unreadable(error)) => {
            (Access::Unusable(ConnectionProblem::Unreadable(error.clone())), None)
        }
        Err(NoConnection::Unread) => (Access::Undecided, None),
    };
    Route { access, handle, connection: connection.ok() }
}

/// Opens a connection for an object, if it admits the object.
async fn open(
    context: &Context,
    object: &TenantPricing,
    connection: &PlatformConnection,
    consistency: Consistency,
) -> (Access, Option<ConnectionHandle>) {
    let namespace = object.namespace().unwrap_or_default();
    let admission = match consistency {
        Consistency::Cached => context.namespaces.admits(connection, &namespace),
        Consistency::ConfirmDenial => {
            // What the status says already is not confirmed at each reconcile: a changed label triggers one.
            let confirm = if says_refused(object) { Confirm::Nothing } else { Confirm::Refusals };
            context.namespaces.admission(connection, &namespace, confirm).await
        }
        Consistency::Fresh => context.namespaces.admits_afresh(connection, &namespace).await,
    };
    match admission {
        Admission::Admitted => {}
        Admission::Refused => return (Access::NotAllowed, None),
        Admission::Undecided => return (Access::Undecided, None),
    }
    match context.registry.open(connection) {
        Err(problem) => (Access::Unusable(problem), None),
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

/// Reads the tenant and its pricing settings, for one object alone: while an attempt is open.
pub(super) async fn read_tenant_and_pricing(
    handle: &ConnectionHandle,
    id: &TenantId,
    clock: &Clock,
) -> TenantRead {
    read_tenant_and_pricing_with_lead(handle, id, clock, Lead::default()).await.read
}

/// A read of the tenant and of its pricing settings, in two requests at once.
pub(super) struct PairedRead {
    pub read: TenantRead,
    /// When the answers with the tenant and with its pricing settings came.
    pub answered: Answered,
}

/// When two answers came.
#[derive(Clone, Copy, Debug)]
pub(super) struct Answered {
    tenant: Moment,
    pricing: Moment,
}

/// How much earlier the pricing settings are requested than the tenant. Negative: how much later.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Lead(SignedDuration);

impl Answered {
    /// The earlier of the two: the age of the whole read counts from it.
    pub(super) fn earlier(&self) -> Moment {
        if self.tenant.until(&self.pricing).is_negative() { self.pricing } else { self.tenant }
    }
}

impl Lead {
    /// The lead with which both answers would have come at the same time.
    pub(super) fn after(self, answered: &Answered) -> Self {
        Self(self.0.saturating_add(answered.tenant.until(&answered.pricing)))
    }

    /// The pauses before the request for the tenant, and before the one for its pricing settings.
    fn pauses(self) -> (Duration, Duration) {
        let pause =
            |lead: SignedDuration| Duration::try_from(lead).unwrap_or_default().min(MAX_PREWRITE_READ_TIME);
        (pause(self.0), pause(SignedDuration::ZERO.saturating_sub(self.0)))
    }
}

/// Reads the tenant and its pricing settings at the same time: before a switch, and after it.
pub(super) async fn read_tenant_and_pricing_with_lead(
    handle: &ConnectionHandle,
    id: &TenantId,
    clock: &Clock,
    lead: Lead,
) -> PairedRead {
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
    let read = match (handle.track(tenant), handle.track(pricing)) {
        (Ok(tenant), Ok(pricing)) => {
            let date = tenant.date.zip(pricing.date).map(|(one, other)| one.min(other));
            let tenant = Answer { value: tenant.value, date };
            classify_tenant(handle, tenant, Some(pricing.value)).await
        }
        (Err(error), _) | (_, Err(error)) => TenantRead::Failed(error),
    };
    PairedRead { read, answered: Answered { tenant: tenant_came, pricing: pricing_came } }
}

/// Skips a pause of zero: even that would sleep until the next tick of the timer.
async fn wait(pause: Duration) {
    if !pause.is_zero() {
        tokio::time::sleep(pause).await;
    }
}

/// The read that follows from an answer with a tenant.
pub async fn classify_tenant(
    handle: &ConnectionHandle,
    answer: Answer<Tenant>,
    pricing: Option<crate::platform::Pricing>,
) -> TenantRead {
    match handle.track(with_lock_owner(&handle.client, answer, pricing).await) {
        Ok(seen) => TenantRead::Seen(Box::new(seen)),
        Err(error) => TenantRead::Failed(error),
    }
}

/// The tenant that an answer shows to a client. Who holds a lock depends on the tenant that the client acts in.
///
/// # Errors
/// That tenant could not be read.
pub async fn with_lock_owner(
    client: &PlatformClient,
    answer: Answer<Tenant>,
    pricing: Option<crate::platform::Pricing>,
) -> Result<Seen, PlatformError> {
    let Answer { value: tenant, date } = answer;
    let locked_by_another = match &tenant.lock {
        None => false,
        Some(lock) => lock.owner.as_ref() != Some(&client.own_tenant().await?.value),
    };
    Ok(Seen { tenant, pricing, date, locked_by_another })
}

/// The one tenant that a name led to.
///
/// # Errors
/// The read that says that there is none, or several, or that the lookup failed.
pub fn only_match(answer: Result<Answer<NameMatches>, PlatformError>) -> Result<TenantId, TenantRead> {
    match answer {
        Err(error) => Err(TenantRead::Failed(error)),
        Ok(Answer { value: NameMatches { ids, similar }, .. }) => match <[TenantId; 1]>::try_from(ids) {
            Ok([id]) => Ok(id),
            Err(ids) if ids.is_empty() => Err(TenantRead::NoSuchName(similar)),
            Err(ids) => Err(TenantRead::AmbiguousName(ids)),
        },
    }
}

async fn tenant_id(handle: &ConnectionHandle, object: &TenantPricing) -> Result<TenantId, TenantRead> {
    match target(object) {
        None => Err(TenantRead::NoSuchName(None)),
        Some(Target::Id(id)) => Ok(id),
        Some(Target::Name(name)) => only_match(handle.track(handle.find(&name).await)),
    }
}

/// Waits until an attempt may be made.
///
/// # Errors
/// Why none may be made. Nothing is announced yet.
pub(super) async fn acquire_put_permit(handle: &ConnectionHandle) -> Result<PutPermit, PlatformError> {
    handle.track(handle.switching().ready_to_put().await)
}
