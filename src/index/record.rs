//! What is kept of one object: small, because there may be ten thousand of them.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    num::NonZero,
};

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use uuid::Uuid;

use crate::{
    api::{
        ConditionType, DesiredMode, Journal, Phase, ReadyReason, ReconcilingReason, StalledReason,
        TenantPricing, conditions,
    },
    cluster::Key,
    platform::{Mode, Origin, TenantId},
};

/// A UUID as a number: a quarter of its text.
pub(super) type Number = NonZero<u128>;

/// Half of such a number, which still tells a connection from the next one of its name.
pub(super) type Short = NonZero<u64>;

/// A stored time, which has whole seconds.
pub(super) type Second = NonZero<i64>;

/// What is known of one object.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    pub(super) uid: Number,
    pub(super) connection: Key,
    /// The tenant that was read for it.
    pub(super) tenant: Option<Number>,
    /// The uid of the connection that this process read the tenant through.
    pub(super) read_through: Option<Short>,
    /// What the status says of a read that this process has not seen.
    pub(super) stored_read: StoredRead,
    created: Option<Second>,
    /// Boxed: most objects have none.
    pub(super) intent: Option<Box<Intent>>,
    /// What is known of an open attempt.
    open: Option<Box<Open>>,
    scheduled_for: Option<Second>,
    production_start: Option<Second>,
    desired: Option<DesiredMode>,
    phase: Option<Phase>,
    mode: ObservedMode,
    state: State,
    suspended: bool,
    being_deleted: bool,
    up_to_date: bool,
}

/// An attempt that is open.
#[derive(Clone, Debug, PartialEq)]
struct Open {
    /// Where it was begun. `None`: it cannot be told.
    platform: Option<Origin>,
    /// The platform accepted it.
    accepted: bool,
}

/// A present connection that admits an object and that no person has to mend.
#[derive(Clone, Debug)]
pub struct Via {
    /// The platform that it leads to.
    pub platform: Origin,
    /// Its uid.
    pub uid: String,
    /// Nothing is read through it for now.
    pub suspended: bool,
    /// It has just read the tenant, for another object, so it can read it for this one.
    pub has_just_read: bool,
}

/// What a status says of a read of the tenant through the connection that the object names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StoredRead {
    /// That there was none.
    None,
    /// Nothing certain. The status was there when this process began, and a read is about to show it.
    Pending,
    /// That there was one.
    Done,
}

/// The announcement of an attempt, as the budget counts it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Intent {
    pub connection: Key,
    pub at: i64,
    /// Which attempt: two of one object may be announced within one second.
    pub attempt: u64,
    /// The attempt took effect, or may have. A closed one had no effect, and gives its place back.
    pub counts: bool,
}

/// The mode that a tenant was last seen in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum ObservedMode {
    /// In trial.
    Trial,
    /// In production.
    Production,
    /// Suspended by the platform.
    Suspended,
    /// In a mode not known here, or not seen yet.
    #[default]
    Unknown,
}

/// What the conditions say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// Nothing yet.
    #[default]
    NotSeen,
    /// Ready, for this reason. `None`: one that is not known here.
    Ready(Option<ReadyReason>),
    /// Reconciling, for this reason. `None`: one that is not known here.
    Reconciling(Option<ReconcilingReason>),
    /// Stalled, for this reason. `None`: one that is not known here.
    Stalled(Option<StalledReason>),
}

impl Record {
    /// What is to be known of an object; `connection` is the one it names.
    pub(super) fn of(object: &TenantPricing, connection: Key) -> Self {
        let status = object.status.as_ref();
        let observed = status.and_then(|status| status.observed.as_ref());
        let journal = status.and_then(|status| status.switch.as_ref());
        let open = journal.filter(|journal| journal.phase == Phase::InFlight);
        let mut record = Self {
            read_through: None,
            stored_read: StoredRead::None,
            uid: number(object.metadata.uid.as_deref().unwrap_or_default()),
            tenant: status.and_then(|status| status.tenant_id.as_deref()?.parse().ok()).as_ref().map(tenant),
            created: object.metadata.creation_timestamp.as_ref().and_then(second),
            intent: journal.and_then(|journal| intent(journal, &connection)).map(Box::new),
            open: open.map(|journal| {
                let platform = journal.platform.as_deref().and_then(|platform| Origin::parse(platform).ok());
                Box::new(Open { platform, accepted: journal.accepted_at.is_some() })
            }),
            scheduled_for: journal.and_then(|journal| second(journal.scheduled_for.as_ref()?)),
            production_start: observed.and_then(|observed| second(observed.production_start_date.as_ref()?)),
            desired: object.spec.mode,
            phase: journal.map(|journal| journal.phase),
            mode: observed
                .map_or(ObservedMode::Unknown, |observed| ObservedMode::from(observed.mode.as_str())),
            state: status.map_or(State::NotSeen, |status| State::of(&status.conditions)),
            suspended: object.spec.suspend,
            being_deleted: object.metadata.deletion_timestamp.is_some(),
            up_to_date: status.map(|status| status.observed_generation) == object.metadata.generation,
            connection,
        };
        record.stored_read = record.read_by_status();
        record
    }

    /// What the status alone says of a read through the connection that the spec names. An edit may have changed the
    /// connection, so only a status of the present generation proves one.
    fn read_by_status(&self) -> StoredRead {
        if self.tenant.is_none() || self.is_refused() || self.is_unreadable() {
            return StoredRead::None;
        }
        let is_proof = match self.state {
            State::NotSeen | State::Ready(Some(ReadyReason::Suspended)) => false,
            State::Ready(_) => true,
            State::Reconciling(reason) => !reason.is_some_and(of_the_way),
            State::Stalled(reason) => reason != Some(StalledReason::ConnectionNotReady),
        };
        if is_proof && self.up_to_date { StoredRead::Done } else { StoredRead::Pending }
    }

    /// Takes over what is known of the object's reads from what was known of it `before`.
    pub(super) fn goes_on_from(&mut self, before: &Self) {
        let is_same = (before.uid, &before.connection) == (self.uid, &self.connection);
        if is_same {
            // What a reconcile has read counts on, until the status says it.
            self.tenant = self.tenant.or(before.tenant);
            // What it read before its admission was withdrawn gives it no claim later.
            self.read_through = before.read_through.filter(|_| !self.is_refused());
        }
        if self.stored_read == StoredRead::Pending && (before.uid == self.uid) {
            // Only a status that this process found at its start leaves a read open.
            self.stored_read = if is_same { before.stored_read } else { StoredRead::None };
        }
    }

    /// Whether the tenant was read for it through this connection, as far as this process knows, or is about to be.
    pub(super) fn has_read_through(&self, via: &Via) -> bool {
        if via.has_just_read {
            return true;
        }
        match (self.read_through, self.stored_read) {
            _ if self.is_unreadable() => false,
            (Some(uid), _) if uid == short(&via.uid) => true,
            // The connection was created again: its objects are read at once, unless it is suspended.
            (Some(_), _) | (None, StoredRead::Pending) => !via.suspended,
            (None, StoredRead::Done) => true,
            (None, StoredRead::None) => false,
        }
    }

    /// Whether its tenant cannot be read through the connection, as far as is stored.
    fn is_unreadable(&self) -> bool {
        let unread = [StalledReason::TenantNotFound, StalledReason::AccessDenied];
        matches!(self.state, State::Stalled(Some(reason)) if unread.contains(&reason))
    }

    /// Whether it has a claim on its tenant, if its connection lets it.
    pub(super) fn claims(&self) -> bool {
        let is_readable = self.competes() && !self.is_unreadable();
        is_readable && (self.read_through.is_some() || self.stored_read != StoredRead::None)
    }

    /// The connection it names.
    #[must_use]
    pub fn connection(&self) -> &Key {
        &self.connection
    }

    /// The mode it asks for. One that is being deleted asks for nothing.
    #[must_use]
    pub fn desired(&self) -> Option<DesiredMode> {
        self.desired.filter(|_| !self.being_deleted)
    }

    /// Whether `spec.suspend` holds it.
    #[must_use]
    pub fn is_suspended(&self) -> bool {
        self.suspended
    }

    /// Whether its status speaks of its present generation.
    #[must_use]
    pub fn is_up_to_date(&self) -> bool {
        self.up_to_date
    }

    /// The mode its tenant was last seen in.
    #[must_use]
    pub fn mode(&self) -> ObservedMode {
        self.mode
    }

    /// What its conditions say.
    #[must_use]
    pub fn state(&self) -> State {
        self.state
    }

    /// Its journal's phase.
    #[must_use]
    pub fn phase(&self) -> Option<Phase> {
        self.phase
    }

    /// The instant its switch waits for, while it waits.
    #[must_use]
    pub fn scheduled_for(&self) -> Option<Timestamp> {
        let waits = self.phase == Some(Phase::Scheduled);
        self.scheduled_for.filter(|_| waits).and_then(instant)
    }

    /// When the platform says it will switch the tenant by itself, while the tenant is in trial.
    #[must_use]
    pub fn trial_ends(&self) -> Option<Timestamp> {
        let in_trial = self.mode == ObservedMode::Trial;
        self.production_start.filter(|_| in_trial).and_then(instant)
    }

    /// Whether it speaks of trouble with the connection or the platform, so that it has to be worked on when that
    /// trouble changes. One that nobody has looked at speaks of nothing, and is on its way to its first look.
    #[must_use]
    pub fn speaks_of_the_connection(&self) -> bool {
        match self.state {
            State::Reconciling(_) => true,
            State::Ready(_) | State::NotSeen => false,
            State::Stalled(reason) => reason.is_some_and(conditions::concerns_connection),
        }
    }

    /// Whether its connection refuses it, as far as is stored.
    pub(super) fn is_refused(&self) -> bool {
        let refusals = [StalledReason::ConnectionNotAllowed, StalledReason::ConnectionNotFound];
        matches!(self.state, State::Stalled(Some(reason)) if refusals.contains(&reason))
    }

    /// Whether it has a say in its tenant's mode, as far as it and its connection are concerned.
    pub(super) fn competes(&self) -> bool {
        self.desired().is_some() && !self.suspended && !self.is_refused()
    }

    /// Whether an attempt is open.
    pub(super) fn is_open(&self) -> bool {
        self.phase == Some(Phase::InFlight)
    }

    /// Where an open attempt was begun, if it can be told.
    fn begun_on(&self) -> Option<&Origin> {
        self.open.as_ref().and_then(|open| open.platform.as_ref())
    }

    /// Whether an attempt is open that the platform accepted.
    pub(super) fn is_accepted(&self) -> bool {
        self.open.as_ref().is_some_and(|open| open.accepted)
    }

    /// Whether a person has to act.
    pub(super) fn is_stalled(&self) -> bool {
        matches!(self.state, State::Stalled(_))
    }

    /// Whether its open attempt is, or may be, one on this platform.
    pub(super) fn is_open_on(&self, platform: &Origin) -> bool {
        // An entry without a readable platform may be of any: nothing is sent beside it.
        self.is_open() && self.begun_on().is_none_or(|begun| begun == platform)
    }

    /// Its place among those that compete for a tenant. What has no creation time has not been created.
    pub(super) fn age<'a>(&self, key: &'a Key) -> (i64, &'a str, &'a str) {
        (self.created.map_or(i64::MAX, Second::get), key.namespace(), key.name())
    }

    /// What matters to the counters of its connection.
    pub(super) fn part_in_counts(&self) -> (&Key, Option<Number>, ObservedMode, bool) {
        (&self.connection, self.tenant, self.mode, self.is_refused())
    }

    /// What matters to the other objects that name the same tenant.
    pub(super) fn ownership_claim(&self) -> Option<OwnershipClaim<'_>> {
        let tenant = self.tenant.filter(|_| self.claims() || self.is_open())?;
        Some(OwnershipClaim {
            tenant,
            object: self.uid,
            created: self.created,
            connection: self.claims().then_some(&self.connection),
            attempt: self.is_open().then(|| OpenAttempt {
                platform: self.begun_on(),
                is_stalled: self.is_stalled(),
                is_accepted: self.is_accepted(),
            }),
        })
    }
}

/// The claim of one object to a tenant. Two claims that are equal mean the same to the other objects.
#[derive(PartialEq)]
pub(super) struct OwnershipClaim<'a> {
    tenant: Number,
    object: Number,
    created: Option<Second>,
    /// The connection by which it competes, if it does.
    connection: Option<&'a Key>,
    attempt: Option<OpenAttempt<'a>>,
}

/// An open attempt, as far as it matters to other objects.
#[derive(PartialEq)]
struct OpenAttempt<'a> {
    platform: Option<&'a Origin>,
    is_stalled: bool,
    is_accepted: bool,
}

/// The announcement that a journal holds; `connection` is the one that its object names.
pub(super) fn intent(journal: &Journal, connection: &Key) -> Option<Intent> {
    let at = journal.intent_at.as_ref()?.0.as_second();
    // Read back from its text; most journals name the connection that the object names.
    let used = journal.connection.as_deref().unwrap_or(connection.as_str());
    let connection = match used.split_once('/') {
        Some((namespace, name)) if used != connection.as_str() => Key::new(namespace, name),
        _ => connection.clone(),
    };
    // A journal goes back to Scheduled only when its attempt is known to have had no effect (`JournalStep::Close`).
    let counts = journal.phase != Phase::Scheduled;
    let attempt = attempt(journal.attempt_id.as_deref().unwrap_or_default());
    Some(Intent { connection, at, attempt, counts })
}

/// The number of an attempt: half of its id.
#[allow(clippy::cast_possible_truncation)] // half of a random number is random enough
pub(super) fn attempt(id: &str) -> u64 {
    number(id).get() as u64
}

/// Whether a reason to wait says that the platform could not be asked.
fn of_the_way(reason: ReconcilingReason) -> bool {
    let reasons = [
        ReconcilingReason::ConnectionNotReady,
        ReconcilingReason::PlatformUnavailable,
        ReconcilingReason::RateLimited,
    ];
    reasons.contains(&reason)
}

/// The number of a tenant.
pub(super) fn tenant(id: &TenantId) -> Number {
    number(id.as_str())
}

/// The number of a UUID. The API server gives no other uids; should it, they are told apart by their hash.
pub(super) fn number(text: &str) -> Number {
    let hash = || {
        let mut hasher = DefaultHasher::new();
        text.hash(&mut hasher);
        u128::from(hasher.finish())
    };
    let number = Uuid::try_parse(text).map_or_else(|_| hash(), |uuid| uuid.as_u128());
    Number::new(number).unwrap_or(Number::MIN)
}

/// The short number of a UUID.
pub(super) fn short(text: &str) -> Short {
    let number = number(text).get();
    let [high, low] = [number >> 64, number].map(|half| half & u128::from(u64::MAX));
    u64::try_from(high ^ low).ok().and_then(Short::new).unwrap_or(Short::MIN)
}

fn second(time: &Time) -> Option<Second> {
    Second::new(time.0.as_second())
}

fn instant(second: Second) -> Option<Timestamp> {
    Timestamp::from_second(second.get()).ok()
}

impl ObservedMode {
    /// All of them, in the order of a connection's `status.tenants`.
    pub const ALL: [Self; 4] = [Self::Trial, Self::Production, Self::Suspended, Self::Unknown];

    /// The word for it in counts.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Trial => "trial",
            Self::Production => "production",
            Self::Suspended => "suspended",
            Self::Unknown => "unknown",
        }
    }
}

impl From<&str> for ObservedMode {
    fn from(word: &str) -> Self {
        match Mode::from(word) {
            Mode::Trial => Self::Trial,
            Mode::Production => Self::Production,
            Mode::Suspended => Self::Suspended,
            Mode::Other(_) => Self::Unknown,
        }
    }
}

impl State {
    fn of(conditions: &[Condition]) -> Self {
        let find = |kind| conditions::find(conditions, kind);
        if let Some(stalled) = find(ConditionType::Stalled) {
            let known = StalledReason::ALL.iter().find(|reason| reason.as_str() == stalled.reason);
            Self::Stalled(known.copied())
        } else if let Some(reconciling) = find(ConditionType::Reconciling) {
            let known = ReconcilingReason::ALL.iter().find(|reason| reason.as_str() == reconciling.reason);
            Self::Reconciling(known.copied())
        } else if let Some(ready) = find(ConditionType::Ready) {
            let known = ReadyReason::ALL.iter().find(|reason| reason.as_str() == ready.reason);
            Self::Ready(known.copied())
        } else {
            Self::NotSeen
        }
    }
}
