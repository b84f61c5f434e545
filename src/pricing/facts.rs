//! What a decision is made from: gathered by `observe`, read by `decide`.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;

use super::budget::Exhausted;
use crate::{
    api::{DesiredMode, Journal, Phase, SwitchAt, TenantPricing},
    cluster::Key,
    platform::{Mode, Origin, PlatformError, Pricing, SimilarName, Tenant, TenantId, TenantKind},
};

/// Everything a decision may depend on.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The object, with the status it had when it was read.
    pub object: &'a TenantPricing,
    /// Whether and how the platform can be reached for it.
    pub access: &'a Access,
    /// What the platform said.
    pub read: &'a TenantRead,
    /// What this process remembers of earlier attempts.
    pub memory: &'a Memory,
    /// The controller's clock.
    pub now: Timestamp,
}

/// Whether and how the platform can be reached for an object.
#[derive(Clone, Debug)]
pub enum Access {
    /// Not looked up, because nothing is to be read.
    NotResolved,
    /// There is no such connection.
    NotFound,
    /// The controller has no right to read the connection.
    Forbidden,
    /// The connection does not admit the object's namespace.
    NotAllowed,
    /// It cannot be told whether the connection admits the namespace: the API server did not answer.
    Undecided,
    /// The connection cannot be used until a person mends it; the text says what is wrong.
    Unusable(String),
    /// The platform may be asked.
    Open(Connection),
}

/// What a decision needs to know of a connection.
#[derive(Clone, Debug)]
pub struct Connection {
    /// `namespace/name`.
    pub key: String,
    /// Where the platform is.
    pub origin: Origin,
    /// When a switch takes place if the object does not say.
    pub switch_at: SwitchAt,
}

/// What is read for an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A tenant.
    Id(TenantId),
    /// The customer of this name, whose id is to be found first.
    Name(Arc<str>),
}

/// What the platform said of the tenant.
#[derive(Clone, Debug)]
pub enum TenantRead {
    /// It was not asked.
    NotRead,
    /// It could not be asked, or answered with an error.
    Failed(PlatformError),
    /// No customer bears the name. There may be one whose name differs only in how it is written.
    NoSuchName(Option<SimilarName>),
    /// Several customers bear the name.
    AmbiguousName(Vec<TenantId>),
    /// The tenant.
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
    /// The tenant.
    pub tenant: Tenant,
    /// Its pricing settings, read side by side with the tenant before a switch and after one.
    pub pricing: Option<Pricing>,
    /// The platform's clock; of two answers the earlier.
    pub date: Option<Timestamp>,
    /// Another tenant than the credentials' own holds the update lock.
    pub locked_by_another: bool,
}

impl Seen {
    /// The mode. Trial only if all that was read says so: what has once been switched stays switched.
    #[must_use]
    pub fn mode(&self) -> &Mode {
        match &self.pricing {
            Some(pricing) if pricing.mode != Mode::Trial => &pricing.mode,
            _ => &self.tenant.mode,
        }
    }

    /// The date of the switch: announced while in trial, past otherwise.
    #[must_use]
    pub fn production_start(&self) -> Option<Timestamp> {
        let date = self.pricing.as_ref().and_then(|pricing| pricing.production_start);
        // A stored time has whole seconds; with a fraction it would differ from itself at every look.
        date.or(self.tenant.production_start)
            .map(|date| Timestamp::from_second(date.as_second()).unwrap_or(date))
    }
}

/// What this process remembers; all of it may be lost without harm.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    /// What is known of the attempt in the object's open journal entry.
    pub outcome: Option<AttemptOutcome>,
    /// A failed attempt after which the next one has to wait.
    pub hold: Option<Hold>,
    /// The older object that acts for the same tenant.
    pub older_owner: Option<Key>,
    /// Another object's attempt for the same tenant is open.
    pub open_elsewhere: bool,
    /// The object whose attempt that is, if nobody can find out how it ended before a person has mended something.
    pub stalled_elsewhere: Option<Key>,
    /// The platform accepted a switch of the same tenant that another object asked for, and the tenant was not seen
    /// in production since.
    pub accepted_elsewhere: Option<AcceptedElsewhere>,
    /// Whether a switch that is due may begin by now.
    pub turn: Turn,
    /// The object's namespace is being deleted, and the object with it.
    pub namespace_terminates: bool,
    /// What a listing of all tenants showed of the name, for an object that names its tenant by name.
    pub proof: Proof,
}

/// What is known of who bears a name, by a listing of all tenants below the connection's own that is at most ten
/// minutes old and began after the switch was asked for.
#[derive(Clone, Debug, Default)]
pub enum Proof {
    /// There is no such listing yet.
    #[default]
    Missing,
    /// The same, and it takes so long that the status says so.
    Awaited,
    /// It failed.
    Failed(PlatformError),
    /// The ids of all customers that bear the name.
    Bearers(Vec<TenantId>),
}

/// A switch of the same tenant that the platform accepted for another object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AcceptedElsewhere {
    /// That object. `None`: it is gone, and this process remembers its attempt.
    pub key: Option<Key>,
    /// The tenant still shows trial after a time in which its reads should have caught up.
    pub for_long: bool,
}

/// Whether a switch that is due may begin, as far as its connection's pace and budget go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Turn {
    /// It may.
    #[default]
    Now,
    /// So many that became due earlier go first.
    Waits {
        /// How many.
        ahead: usize,
    },
    /// The connection's budget is used up.
    Exhausted(Exhausted),
}

/// What is known of an attempt whose entry is still open.
#[derive(Clone, Debug)]
pub enum AttemptOutcome {
    /// The request may have left. So long ago, on the monotonic clock, this process first saw the entry,
    /// or ended the request itself.
    Unknown(Duration),
    /// No byte of the request left, because of this error, or because it came too late.
    NotSent(Option<PlatformError>),
    /// The platform refused definitely.
    Refused(PlatformError),
    /// The platform accepted the request. The tenant has to show production sooner or later.
    Accepted(Acceptance),
}

/// That the platform accepted a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Acceptance {
    /// When the answer came, by the controller's clock.
    pub at: Timestamp,
    /// How long ago that was. By the monotonic clock of the process that heard the answer. In any other process the
    /// wall clock counts up to the moment at which it first saw the entry, and the monotonic one from there.
    pub since: Duration,
}

/// A failed attempt after which the next one has to wait.
#[derive(Clone, Debug)]
pub struct Hold {
    /// Why it failed.
    pub error: PlatformError,
    /// How much longer to wait.
    pub remaining: Duration,
}

/// What is read for an object: the id in the spec, which cannot change; else the stored one; else the tenant of the
/// name. `None` if the object names nothing that can be read.
#[must_use]
pub fn target(object: &TenantPricing) -> Option<Target> {
    let pinned = object.status.as_ref().and_then(|status| status.tenant_id.as_deref());
    match object.spec.tenant.id.as_deref().or(pinned) {
        // The CRD admits nothing but ids here; a name that leads nowhere is the safe choice for the rest.
        Some(id) => id.parse().ok().map(Target::Id),
        None => object.spec.tenant.name.as_deref().map(|name| Target::Name(name.into())),
    }
}

/// Whether an object may stand for a tenant that was seen for it. Search may lead by a name to a tenant that was
/// renamed, deleted or is no customer: its id is not stored. An id that is stored already counts, whatever becomes of
/// the tenant.
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

    /// An attempt is open: its outcome is to be found out before anything else.
    #[must_use]
    pub fn in_flight(&self) -> bool {
        self.phase() == Some(Phase::InFlight)
    }

    /// The mode asked for. An object that is being deleted asks for nothing, however long a finalizer of
    /// somebody else keeps it.
    #[must_use]
    pub fn desired(&self) -> Option<DesiredMode> {
        self.object.spec.mode.filter(|_| !self.being_deleted())
    }

    /// The object is being deleted, or its namespace is and the object will be.
    #[must_use]
    pub fn being_deleted(&self) -> bool {
        self.object.metadata.deletion_timestamp.is_some() || self.memory.namespace_terminates
    }

    /// The tenant, if it was seen.
    #[must_use]
    pub fn seen(&self) -> Option<&'a Seen> {
        match self.read {
            TenantRead::Seen(seen) => Some(seen),
            _ => None,
        }
    }

    /// The tenant, if it was seen and this object may stand for it. One that a name led to has to bear the name, be a
    /// customer, and not be deleted, before its id is stored.
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

    /// The instant this generation's switch was scheduled for, if it was.
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
