//! Everything there is at one moment: what the API server stores, what the platform holds, what is on its way,
//! what each replica knows and does. Small, because there are hundreds of thousands of them.

use super::{faults::Faults, rules::Rule, statuses::Status};

/// So many replicas, objects, and tenants at most.
pub(super) const MOST: usize = 2;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct State {
    /// The objects, as the API server stores them. The first is the older one.
    pub stored: [Option<Object>; MOST],
    /// What happened to each of them, for the rules alone: nobody in the model sees it.
    pub histories: [History; MOST],
    /// So many objects were created.
    pub created: u8,
    pub tenants: [Tenant; MOST],
    /// The PUTs that have not ended.
    pub requests: Vec<Request>,
    pub replicas: [Replica; MOST],
    /// So many attempts were announced.
    pub attempts: u8,
    /// The connection admits the objects and is not suspended.
    pub connection_is_open: bool,
    /// By true time, the first of the month has come.
    pub month_has_come: bool,
    /// What may still go wrong.
    pub faults: Faults,
    /// Nothing goes wrong any more, and watches catch up.
    pub is_calm: bool,
    /// The rule that was broken. Nothing follows.
    pub broken: Option<Rule>,
}

/// An object. Its resource version is left out: two versions are taken for the same if nothing in them differs,
/// by which the model admits more writes than the API server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Object {
    pub uid: u8,
    pub generation: u8,
    pub asked: Asked,
    pub suspended: bool,
    pub status: Status,
}

/// `spec.mode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Asked {
    Nothing,
    Trial,
    Production,
}

/// What is true of the object in a place, whatever its status says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct History {
    /// Its status once said that its tenant is past trial.
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
    /// So many PUTs took effect since it was in trial.
    pub switched: u8,
    /// A PUT of which nobody knows for certain that it had no effect left for this object, less than a quiet time
    /// ago: the object's place and uid.
    pub unknown: Option<(u8, u8)>,
    /// Reads show it as it was before its switch.
    pub is_stale: bool,
}

/// A PUT that left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Request {
    pub replica: u8,
    pub place: u8,
    pub uid: u8,
    pub tenant: u8,
    pub version: u8,
    /// The platform has dealt with it, and answers this.
    pub reply: Option<Reply>,
    /// Its sender still waits for the answer.
    pub is_awaited: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Reply {
    Accepted,
    Refused,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Replica {
    /// What it knows of its lease, if it has not noticed that it has none.
    pub term: Option<Term>,
    /// Its lease has in truth not run out.
    pub leads: bool,
    /// By its own clock, the first of the month has come.
    pub month_has_come: bool,
    pub seats: [Seat; MOST],
    pub memory: Remembered,
    /// The answer that a PUT for a tenant is accepted came here, and its entry is not resolved. For the rules alone.
    pub has_heard: [bool; MOST],
}

/// A time of leading. It has just begun by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Term {
    /// Since the last renewal, by the replica's monotonic clock.
    pub age: Age,
    /// Its machine has slept for a minute since, which its wall clock shows.
    pub has_slept: bool,
    /// In truth another one has taken the lease since, so that this one cannot renew it.
    pub is_taken: bool,
}

/// The age of a lease.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Age {
    /// Enough of it is left for a PUT.
    #[default]
    Fresh,
    /// Too little is left for a PUT to end 2 s before it runs out.
    Short,
    /// It has run out.
    Over,
}

/// What a replica knows of an object, and what it is doing for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Seat {
    /// As the watch last showed it.
    pub cached: Option<Object>,
    /// The watch is behind: it goes on showing this.
    pub is_behind: bool,
    /// A pass has read its tenant.
    pub seen: bool,
    /// The attempt that this process has announced for it, while the watch does not show it. Kept where the budget
    /// matters.
    pub record_attempt: Option<u8>,
    /// The platform refused it for good: it is not tried again before the hold ends.
    pub is_held: bool,
    pub stage: Stage,
    pub begun: Begun,
}

/// When its attempt was begun. By default, there is none that it matters for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) enum Begun {
    #[default]
    InThisTerm,
    /// In one that has ended.
    InAnEarlierTerm,
}

/// How far a reconcile has come. Between any two steps everything else can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Stage {
    Idle,
    /// A switch was decided upon, after this read; the tenant is claimed.
    Granted {
        first: Mode,
    },
    /// The object was read from the API server.
    ObjectRead {
        first: Mode,
        object: Object,
    },
    /// The pre-write read was sent to the platform; its answer is on its way.
    ReadingTenant {
        first: Mode,
        object: Object,
        reading: Reading,
        begun: Late,
    },
    /// The answer has come.
    TenantRead {
        first: Mode,
        object: Object,
        reading: Reading,
        begun: Late,
        answered: Late,
    },
    /// The connection was read, the switch decided upon; the announcement is on its way.
    Announcing {
        first: Mode,
        object: Object,
        seen: Seen,
        late: Late,
    },
    /// The announcement is stored for certain.
    Announced {
        object: Object,
        attempt: u8,
        version: u8,
        late: Late,
    },
    /// The PUT has left.
    Waiting {
        object: Object,
        attempt: u8,
        version: u8,
    },
    /// What became of the PUT is recorded; the tenant is to be read.
    Ended {
        object: Object,
    },
    /// A status is to be written over this object.
    Writing {
        object: Object,
        status: Status,
    },
}

/// Whether more time has passed since a pre-write read, or an announcement, than is allowed, by each clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Late {
    pub monotonic: bool,
    pub wall: bool,
}

/// What a read showed.
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
    /// What the `Date` of the answer says of the first of the month.
    pub month_has_come: bool,
}

/// The attempts of a process, as `AttemptTracker` holds them, taken apart.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Remembered {
    /// In the order of their numbers.
    pub attempts: Vec<Attempt>,
    pub tenants: [Claimed; MOST],
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
    /// Nothing, and the quiet time has not passed.
    Unknown,
    /// Nothing, and it has.
    UnknownForLong,
    NotSent,
    Unsent,
    Refused,
    /// By the platform, and again the next time.
    RefusedForGood,
    /// The platform accepted it,
    Accepted,
    /// longer ago than reads should take to show it.
    AcceptedForLong,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Claimed {
    pub held: bool,
    pub in_grace_period: bool,
}

impl Stage {
    /// Longer than a last look or an announcement is good for passes, by its machine's monotonic clock or not.
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

    /// Whether that would make a difference.
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
            is_held: false,
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
            seats: [Seat::empty(); MOST],
            memory: Remembered::default(),
            has_heard: [false; MOST],
        }
    }

    pub fn is_idle(&self) -> bool {
        self.seats.iter().all(|seat| seat.stage == Stage::Idle)
    }
}

impl State {
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

    /// Whether the object of this uid is still there.
    pub fn is_there(&self, place: u8, uid: u8) -> bool {
        self.object(place).is_some_and(|object| object.uid == uid)
    }
}
