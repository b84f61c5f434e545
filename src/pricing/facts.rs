//! The input of a decision. `observe` gathers it, and `decide` reads it.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;

use super::budget::Exhausted;
use crate::{
    api::{DesiredMode, Journal, Phase, SwitchAt, TenantPricing},
    cluster::Key,
    connections::ConnectionProblem,
    platform::{Mode, Origin, PlatformError, Pricing, SimilarName, Tenant, TenantId, TenantKind},
};

/// Everything a decision may depend on.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The object, with the status that it had when it was read.
    pub object: &'a TenantPricing,
    /// Whether and how the platform can be reached for the object.
    pub access: &'a Access,
    /// What the platform answered.
    pub read: &'a TenantRead,
    /// What surrounds the object besides the read.
    pub circumstances: &'a Circumstances,
    /// The controller's clock.
    pub now: Timestamp,
}

/// Whether and how the platform can be reached for an object.
#[derive(Clone, Debug)]
pub enum Access {
    /// The connection was not resolved, because no read is needed.
    NotResolved,
    /// The connection does not exist.
    NotFound,
    /// The controller has no right to read the connection.
    Forbidden,
    /// The connection does not admit the object's namespace.
    NotAllowed,
    /// It is not known whether the connection admits the namespace, because the API server did not answer.
    Undecided,
    /// The connection cannot be used until a person corrects it.
    Unusable(ConnectionProblem),
    /// The connection can be used.
    Open(Connection),
}

/// What a decision needs to know of a connection.
#[derive(Clone, Debug)]
pub struct Connection {
    /// `namespace/name`.
    pub key: String,
    /// The origin of the platform's URL.
    pub origin: Origin,
    /// When a switch takes place if the object does not say.
    pub switch_at: SwitchAt,
}

/// What is read for an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// The tenant of this id.
    Id(TenantId),
    /// The customer of this name. Its id has to be found first.
    Name(Arc<str>),
}

/// What the platform answered about the tenant.
#[derive(Clone, Debug)]
pub enum TenantRead {
    /// The tenant was not read.
    NotRead,
    /// The request failed, or the platform answered with an error.
    Failed(PlatformError),
    /// No customer has the name. The name of one may differ only in its spelling.
    NoSuchName(Option<SimilarName>),
    /// Several customers have the name.
    AmbiguousName(Vec<TenantId>),
    /// The tenant was read.
    Seen(Box<Seen>),
}

impl TenantRead {
    /// The tenant, if it was seen.
    #[must_use]
    pub fn tenant(&self) -> Option<&TenantId> {
        match self {
            Self::Seen(seen) => Some(&seen.tenant.id),
            _ => None,
        }
    }
}

/// A tenant as it was seen.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The tenant, as the platform describes it.
    pub tenant: Tenant,
    /// The pricing settings of the tenant. Before and after a switch they are read together with the tenant.
    pub pricing: Option<Pricing>,
    /// The platform's clock. Of two answers, the earlier date.
    pub date: Option<Timestamp>,
    /// Whether a tenant other than the credentials' own holds the update lock.
    pub locked_by_another: bool,
}

impl Seen {
    /// The mode. It is trial only if both the tenant and its pricing settings say so, because a switch is permanent.
    #[must_use]
    pub fn mode(&self) -> &Mode {
        match &self.pricing {
            Some(pricing) if pricing.mode != Mode::Trial => &pricing.mode,
            _ => &self.tenant.mode,
        }
    }

    /// The date of the switch. In trial it is the announced date, otherwise a past one.
    #[must_use]
    pub fn production_start(&self) -> Option<Timestamp> {
        let date = self.pricing.as_ref().and_then(|pricing| pricing.production_start);
        // A stored time has whole seconds. A fraction would differ from the stored time on every read.
        date.or(self.tenant.production_start)
            .map(|date| Timestamp::from_second(date.as_second()).unwrap_or(date))
    }
}

/// What surrounds an object besides the read: its own attempts, its siblings, its place in the switch queue, and the
/// proof of its name.
///
/// What is remembered of attempts may be lost without harm. The rest is looked up for each decision.
#[derive(Clone, Debug, Default)]
pub struct Circumstances {
    /// What is known of the attempt in the object's open journal entry.
    pub outcome: Option<AttemptOutcome>,
    /// A failed attempt after which the next one has to wait.
    pub backoff: Option<AttemptBackoff>,
    /// The older object that owns the same tenant.
    pub older_owner: Option<Key>,
    /// Whether another object's attempt for the same tenant is open.
    pub sibling_open: bool,
    /// The object of that attempt, if a person must act before its outcome can be read.
    pub sibling_stalled: Option<Key>,
    /// The platform accepted a switch of the same tenant for another object, and the tenant was not seen in production
    /// since.
    pub sibling_accepted: Option<AcceptedSibling>,
    /// The record of another object says that this controller switched the same tenant.
    pub sibling_completed: Option<CompletedSibling>,
    /// Whether a due switch may begin now.
    pub queue_state: QueueState,
    /// Whether the object's namespace is being deleted, and the object with it.
    pub namespace_terminates: bool,
    /// What a listing of all tenants showed of the name, for an object that names its tenant by name.
    pub proof: Proof,
}

/// Which customers have a name, by a listing of all tenants below the connection's own.
///
/// The listing is at most ten minutes old, and began after the switch was requested.
#[derive(Clone, Debug, Default)]
pub enum Proof {
    /// There is no such listing yet.
    #[default]
    Missing,
    /// There is no such listing yet, and it takes so long that the status reports the wait.
    Awaited,
    /// The listing failed.
    Failed(PlatformError),
    /// The ids of all customers that have the name.
    Customers(Vec<TenantId>),
}

/// A switch of the same tenant that the platform accepted for another object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AcceptedSibling {
    /// The other object. `None`: it is gone, and this process remembers its attempt.
    pub key: Option<Key>,
    /// Whether the tenant still shows trial after the time in which reads should show production.
    pub for_long: bool,
}

/// A switch of the same tenant that this controller carried out, by the journal of another object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompletedSibling {
    /// The other object.
    pub key: Key,
    /// Whether the tenant still shows trial after the time in which reads should show production.
    pub for_long: bool,
}

/// Whether a due switch may begin, by the rate limit and the budget of its connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum QueueState {
    /// It may begin.
    #[default]
    Admitted,
    /// Switches that became due earlier go first.
    Waits {
        /// The number of them.
        ahead: usize,
    },
    /// The connection's budget is used up.
    Exhausted(Exhausted),
}

/// What is known of an attempt whose entry is still open.
#[derive(Clone, Debug)]
pub enum AttemptOutcome {
    /// The request may have been sent. The duration is the time on the monotonic clock since this process first saw
    /// the entry, or since its own request ended.
    Unknown(Duration),
    /// No byte of the request was sent, because of this error, or because it was too late.
    NotSent(Option<PlatformError>),
    /// The platform definitely refused the request.
    Refused(PlatformError),
    /// The platform accepted the request. The tenant must show production sooner or later.
    Accepted(Acceptance),
}

/// The platform's acceptance of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Acceptance {
    /// When the answer came, by the controller's clock.
    pub at: Timestamp,
    /// How long ago the answer came, by the monotonic clock of the process that received it. In any other process, the
    /// wall clock counts until it first sees the entry, and the monotonic clock from then on.
    pub since: Duration,
}

impl Acceptance {
    /// The acceptance that a journal records. `now` is the time by the controller's clock.
    #[must_use]
    pub fn stored(journal: &Journal, now: Timestamp) -> Option<Self> {
        let at = journal.accepted_at.as_ref()?.0;
        Some(Self { at, since: elapsed(at, now) })
    }
}

/// The time that has passed. Zero for a time in the future.
pub(super) fn elapsed(since: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(now.duration_since(since)).unwrap_or_default()
}

/// A failed attempt after which the next one has to wait.
#[derive(Clone, Debug)]
pub struct AttemptBackoff {
    /// Why the attempt failed.
    pub error: PlatformError,
    /// How much longer the next attempt waits.
    pub remaining: Duration,
}

/// What is read for an object: the id in the spec, which cannot change, else the stored id, else the tenant of the
/// name. `None` if the object names nothing that can be read.
#[must_use]
pub fn target(object: &TenantPricing) -> Option<Target> {
    let pinned = object.status.as_ref().and_then(|status| status.tenant_id.as_deref());
    match object.spec.tenant.id.as_deref().or(pinned) {
        // The CRD admits only ids here. For anything else, reading nothing is the safe choice.
        Some(id) => id.parse().ok().map(Target::Id),
        None => object.spec.tenant.name.as_deref().map(|name| Target::Name(name.into())),
    }
}

/// Whether an object may stand for a tenant that was seen for it.
///
/// A search by name may find a tenant that was renamed or deleted, or that is no customer. Its id is not stored. An id
/// that is stored already always counts.
#[must_use]
pub fn may_stand_for(object: &TenantPricing, seen: &Seen) -> bool {
    let is_pinned = object.status.as_ref().is_some_and(|status| status.tenant_id.is_some());
    let Some(name) = object.spec.tenant.name.as_ref().filter(|_| !is_pinned) else { return true };
    let tenant = &seen.tenant;
    tenant.name == *name && tenant.kind == TenantKind::Customer && !tenant.deleted
}

impl<'a> Facts<'a> {
    /// The stored journal.
    #[must_use]
    pub fn journal(&self) -> Option<&'a Journal> {
        self.object.status.as_ref()?.switch.as_ref()
    }

    /// The stored journal's phase.
    #[must_use]
    pub fn phase(&self) -> Option<Phase> {
        self.journal().map(|journal| journal.phase)
    }

    /// Whether an attempt is open. Its outcome must be found out before anything else.
    #[must_use]
    pub fn in_flight(&self) -> bool {
        self.phase() == Some(Phase::InFlight)
    }

    /// The requested mode. An object that is being deleted requests none, even while another program's finalizer keeps
    /// it.
    #[must_use]
    pub fn desired(&self) -> Option<DesiredMode> {
        self.object.spec.mode.filter(|_| !self.being_deleted())
    }

    /// Whether the object or its namespace is being deleted.
    #[must_use]
    pub fn being_deleted(&self) -> bool {
        self.object.metadata.deletion_timestamp.is_some() || self.circumstances.namespace_terminates
    }

    /// The tenant, if it was seen.
    #[must_use]
    pub fn seen(&self) -> Option<&'a Seen> {
        match self.read {
            TenantRead::Seen(seen) => Some(seen),
            _ => None,
        }
    }

    /// The tenant, if it was seen and this object may stand for it. See [`may_stand_for`].
    #[must_use]
    pub fn own(&self) -> Option<&'a Seen> {
        self.seen().filter(|seen| may_stand_for(self.object, seen))
    }

    /// The connection, if it may be used.
    #[must_use]
    pub fn connection(&self) -> Option<&'a Connection> {
        match self.access {
            Access::Open(connection) => Some(connection),
            _ => None,
        }
    }

    /// The instant that this generation's switch is scheduled for, if it is.
    #[must_use]
    pub fn scheduled_for(&self) -> Option<Timestamp> {
        self.journal()
            .filter(|journal| journal.phase == Phase::Scheduled)
            .filter(|journal| journal.intent_generation == self.object.metadata.generation)
            .and_then(|journal| journal.scheduled_for.as_ref())
            .map(|time| time.0)
    }

    /// When this object's switch takes place.
    #[must_use]
    pub fn switch_at(&self, connection: &Connection) -> SwitchAt {
        self.object.spec.switch.as_ref().and_then(|switch| switch.at).unwrap_or(connection.switch_at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::fixtures::{Scene, TENANT, tenant_id};

    #[test]
    fn only_a_seen_tenant_is_known_by_a_read() {
        assert_eq!(Scene::new().read.tenant(), Some(&tenant_id(TENANT)));
        assert_eq!(TenantRead::AmbiguousName(vec![tenant_id(TENANT)]).tenant(), None);
        assert_eq!(TenantRead::NotRead.tenant(), None);
    }
}
