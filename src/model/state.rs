//! The whole state at one moment: what the API server stores, what the platform holds, which requests are in flight,
//! and what each replica knows and does. It is small, because there are hundreds of thousands of states.

use super::{faults::Faults, statuses::Status};

/// The maximum number of replicas, of objects, and of tenants.
pub(super) const MAX_EACH: usize = 2;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct State {
    /// The objects as the API server stores them, the older one first.
    pub stored: [Option<Object>; MAX_EACH],
    /// The history of each object. Only the rules read it; no replica does.
    pub histories: [History; MAX_EACH],
    /// The number of objects that were created.
    pub created: u8,
    pub tenants: [Tenant; MAX_EACH],
    /// The PUTs that have not ended.
    pub requests: Vec<Request>,
    pub replicas: [Replica; MAX_EACH],
    /// The number of attempts that were announced.
    pub attempts: u8,
    /// Whether the connection admits the objects and is not suspended.
    pub connection_is_open: bool,
    /// Whether the first of the month has come by true time.
    pub month_has_come: bool,
    /// The faults that may still happen.
    pub faults: Faults,
    /// Whether faults have stopped and watches catch up.
    pub is_calm: bool,
    /// The rule that was broken, if any. No step follows.
    pub broken: Option<Rule>,
}

/// A broken rule. See docs/safety.md.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Rule {
    /// S2: an attempt was announced that the stored object did not ask for at that time.
    Unasked,
    /// S2: an attempt was announced before its time.
    TooEarly,
    /// S2: an attempt was announced after a pre-write read that was too old.
    OldRead,
    /// S2: a PUT was sent while the budget had no room: others took effect, or may have.
    OverBudget,
    /// S5: an attempt was announced for an object whose tenant was past trial before.
    SwitchedAgain,
    /// S2: a PUT was sent without an entry of its own in the stored journal.
    NotAnnounced,
    /// S2: a PUT was sent or took effect although the request was cancelled.
    Cancelled,
    /// S3: two PUTs for one tenant were in flight.
    TwoInFlight,
    /// S3: a PUT was sent within the grace period of another one with an unknown outcome.
    InGracePeriod,
    /// S3: a PUT was sent without enough time left in the lease.
    NotLeading,
    /// S3: two PUTs took effect.
    TwoEffects,
    /// S4: a PUT was sent for a tenant although the platform had accepted another one, as the sender or a journal knew.
    AfterAcceptance,
    /// S4: the journal of an accepted PUT was closed, or says that another actor did the switch.
    AcceptanceLost,
}

/// An object. The resource version is left out: two versions are equal if their content is. So the model admits more
/// writes than the API server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Object {
    pub uid: u8,
    pub generation: u8,
    pub spec_mode: SpecMode,
    pub suspended: bool,
    pub status: Status,
}

/// `spec.mode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum SpecMode {
    Unset,
    Trial,
    Production,
}

/// What is true of the object in a place, whatever its status says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct History {
    /// Its status once said that the tenant is past trial.
    pub was_past_trial: bool,
    /// Its journal said that the platform accepted its PUT.
    pub was_accepted: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Mode {
    Trial,
    Production,
    Suspended,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Tenant {
    pub mode: Mode,
    /// The version of its pricing settings.
    pub version: u8,
    /// The number of PUTs that took effect since the tenant was in trial.
    pub switched: u8,
    /// A PUT that left for this object less than a grace period ago, and that no replica or journal knows to have had
    /// no effect. Holds the place and the uid of the object.
    pub unknown: Option<(u8, u8)>,
    /// Reads show the tenant as it was before its switch.
    pub is_stale: bool,
}

/// A PUT that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Request {
    pub replica: u8,
    pub place: u8,
    pub uid: u8,
    pub tenant: u8,
    pub version: u8,
    /// The answer of the platform, once it has processed the PUT.
    pub reply: Option<Reply>,
    /// Whether the sender still waits for the answer.
    pub is_awaited: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Reply {
    Accepted,
    Refused,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Replica {
    /// What the replica knows of its lease. `None` once it has noticed that it has none.
    pub term: Option<Term>,
    /// Whether its lease is valid by true time.
    pub leads: bool,
    /// Whether the first of the month has come by its own clock.
    pub month_has_come: bool,
    pub seats: [Seat; MAX_EACH],
    pub circumstances: Remembered,
    /// Whether an answer that accepts a PUT for each tenant arrived here, while the entry is not resolved. Only the
    /// rules read it.
    pub has_heard: [bool; MAX_EACH],
}

/// A term of leadership. By default, it has just begun.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Term {
    /// The time since the last renewal, by the monotonic clock of the replica.
    pub age: Age,
    /// Whether its machine has slept for a minute since, which its wall clock shows.
    pub has_slept: bool,
    /// Whether another replica has in truth acquired the lease since, so that this one cannot renew it.
    pub is_taken: bool,
}

/// The age of a lease.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Age {
    /// Enough time is left for a PUT.
    #[default]
    Fresh,
    /// Too little time is left: a PUT could not end 2 s before the lease expires.
    Short,
    /// The lease has expired.
    Over,
}

/// What a replica knows of an object, and what it is doing for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Seat {
    /// The object as the watch last showed it.
    pub cached: Option<Object>,
    /// Whether the watch is behind, so that it still shows this.
    pub is_behind: bool,
    /// Whether a reconcile has read the tenant.
    pub seen: bool,
    /// The attempt that this process has announced for it, while the watch does not show it. Kept where the budget
    /// matters.
    pub record_attempt: Option<u8>,
    /// The status with which this process completed its switch, while the watch does not show it.
    pub record_completion: Option<Status>,
    /// Whether the platform refused it permanently, so that it is not retried before the backoff ends.
    pub is_backing_off: bool,
    pub stage: Stage,
    pub begun: Begun,
}

/// The term in which its attempt began. The default stands for no attempt, or for one where the term does not matter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) enum Begun {
    #[default]
    InThisTerm,
    /// In a term that has ended.
    InAnEarlierTerm,
}

/// The progress of a reconcile. Between two steps everything else can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Stage {
    Idle,
    /// A switch was decided upon after this read, and the tenant is claimed.
    Granted {
        first: Mode,
    },
    /// The object was read from the API server.
    ObjectRead {
        first: Mode,
        object: Object,
    },
    /// The pre-write read was sent to the platform, and its answer is pending.
    ReadingTenant {
        first: Mode,
        object: Object,
        reading: Reading,
        begun: Late,
    },
    /// The answer has arrived.
    TenantRead {
        first: Mode,
        object: Object,
        reading: Reading,
        begun: Late,
        answered: Late,
    },
    /// The connection was read and the switch decided upon. The write of the announcement is pending.
    Announcing {
        first: Mode,
        object: Object,
        seen: Seen,
        late: Late,
    },
    /// The announcement is known to be stored.
    Announced {
        object: Object,
        attempt: u8,
        version: u8,
        late: Late,
    },
    /// The PUT was sent.
    Waiting {
        object: Object,
        attempt: u8,
        version: u8,
    },
    /// The outcome of the PUT is recorded. The tenant must be read.
    Ended {
        object: Object,
    },
    /// A status must be written over this object.
    Writing {
        object: Object,
        status: Status,
    },
}

/// Whether a pre-write read or an announcement is older than its limit, by each clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Late {
    pub monotonic: bool,
    pub wall: bool,
}

/// The result of a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Reading {
    NotRead,
    Failed,
    Seen(Seen),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Seen {
    pub mode: Mode,
    pub version: u8,
    /// Whether the first of the month has come by the `Date` of the answer.
    pub month_has_come: bool,
}

/// The attempts that a process remembers: the content of `AttemptTracker`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Remembered {
    /// In the order of their numbers.
    pub attempts: Vec<Attempt>,
    pub tenants: [Claimed; MAX_EACH],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Attempt {
    pub number: u8,
    pub tenant: u8,
    pub outcome: AttemptOutcome,
}

/// What is known of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum AttemptOutcome {
    /// The outcome is unknown, and the grace period has not passed.
    Unknown,
    /// The outcome is unknown, and the grace period has passed.
    UnknownForLong,
    NotSent,
    Unsent,
    Refused,
    /// The platform refused it, and will refuse the next one.
    RefusedForGood,
    /// The platform accepted it.
    Accepted,
    /// The platform accepted it so long ago that reads should show it.
    AcceptedForLong,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Claimed {
    pub held: bool,
    pub in_grace_period: bool,
}

impl Stage {
    /// Makes a pre-write read or an announcement older than its limit. `monotonic` says whether the monotonic clock of
    /// its machine shows that.
    pub fn grows_old(&mut self, monotonic: bool) {
        let mark = |late: &mut Late| {
            late.monotonic |= monotonic;
            late.wall = true;
        };
        match self {
            Self::ReadingTenant { begun, .. } => mark(begun),
            Self::TenantRead { begun, answered, .. } => {
                mark(begun);
                mark(answered);
            }
            Self::Announcing { late, .. } | Self::Announced { late, .. } => mark(late),
            _ => {}
        }
    }

    /// Whether [`Self::grows_old`] would make a difference.
    pub fn would_grow_old(&self) -> bool {
        let mut older = *self;
        older.grows_old(true);
        older != *self
    }

    /// Whether it holds a place in the budget that no announcement shows yet.
    pub fn is_about_to_announce(&self) -> bool {
        matches!(
            self,
            Self::Granted { .. }
                | Self::ObjectRead { .. }
                | Self::ReadingTenant { .. }
                | Self::TenantRead { .. }
                | Self::Announcing { .. }
        )
    }

    /// Whether it is an attempt that may still lead to a PUT.
    pub fn may_send(&self) -> bool {
        self.is_about_to_announce() || matches!(self, Self::Announced { .. })
    }

    pub fn stage(&self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Granted { .. } => "granted",
            Self::ObjectRead { .. } => "object read",
            Self::ReadingTenant { .. } => "reading the tenant",
            Self::TenantRead { .. } => "tenant read",
            Self::Announcing { .. } => "announcing",
            Self::Announced { .. } => "announced",
            Self::Waiting { .. } => "waiting",
            Self::Ended { .. } => "ended",
            Self::Writing { .. } => "writing",
        }
    }
}

impl Seat {
    pub fn empty() -> Self {
        Self {
            cached: None,
            is_behind: false,
            seen: false,
            record_attempt: None,
            record_completion: None,
            is_backing_off: false,
            stage: Stage::Idle,
            begun: Begun::default(),
        }
    }
}

impl Replica {
    /// A process that has just started.
    pub fn started(month_has_come: bool) -> Self {
        Self {
            term: None,
            leads: false,
            month_has_come,
            seats: [Seat::empty(); MAX_EACH],
            circumstances: Remembered::default(),
            has_heard: [false; MAX_EACH],
        }
    }

    pub fn is_idle(&self) -> bool {
        self.seats.iter().all(|seat| seat.stage == Stage::Idle)
    }
}

impl Request {
    fn is_awaited_by(self, replica: u8, place: u8) -> bool {
        self.is_awaited && (self.replica, self.place) == (replica, place)
    }
}

impl State {
    /// The PUT whose answer a replica awaits.
    pub fn awaited(&self, replica: u8, place: u8) -> Option<&Request> {
        self.requests.iter().find(|request| request.is_awaited_by(replica, place))
    }

    /// Removes the PUT whose answer a replica awaits.
    pub fn take_awaited(&mut self, replica: u8, place: u8) -> Option<Request> {
        let at = self.requests.iter().position(|request| request.is_awaited_by(replica, place))?;
        Some(self.requests.remove(at))
    }

    pub fn seat(&self, replica: u8, place: u8) -> &Seat {
        &self.replicas[usize::from(replica)].seats[usize::from(place)]
    }

    pub fn seat_mut(&mut self, replica: u8, place: u8) -> &mut Seat {
        &mut self.replicas[usize::from(replica)].seats[usize::from(place)]
    }

    pub fn replica(&self, replica: u8) -> &Replica {
        &self.replicas[usize::from(replica)]
    }

    pub fn replica_mut(&mut self, replica: u8) -> &mut Replica {
        &mut self.replicas[usize::from(replica)]
    }

    pub fn object(&self, place: u8) -> Option<Object> {
        self.stored[usize::from(place)]
    }

    /// Whether the object with this uid still exists.
    pub fn is_there(&self, place: u8, uid: u8) -> bool {
        self.object(place).is_some_and(|object| object.uid == uid)
    }
}
