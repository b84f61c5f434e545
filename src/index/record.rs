//! The record that the index keeps of one object. It is small, because there may be ten thousand objects.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    num::NonZero,
};

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use uuid::Uuid;

use super::candidate::Reads;
use crate::{
    api::{
        ConditionType, DesiredMode, Journal, Phase, ReadyReason, ReconcilingReason, StalledReason,
        SwitchedBy, TenantPricing, TenantPricingStatus, conditions,
    },
    cluster::Key,
    platform::{Mode, Origin, TenantId},
};

/// A UUID as a number, which takes a quarter of the space of its text.
pub(super) type UuidBits = NonZero<u128>;

/// Half of such a number. It still distinguishes a connection from the next one of the same name.
pub(super) type UuidDigest = NonZero<u64>;

/// A stored time in whole seconds.
pub(super) type UnixSeconds = NonZero<i64>;

/// What the index knows of one object.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    pub(super) uid: UuidBits,
    pub(super) connection: Key,
    /// The tenant that was read for the object.
    pub(super) tenant: Option<UuidBits>,
    /// The uid of the connection that this process read the tenant through.
    pub(super) read_through: Option<UuidDigest>,
    /// What the status says about a read that this process has not made.
    pub(super) stored_read: StoredRead,
    created: Option<UnixSeconds>,
    /// Boxed, because most objects have none.
    pub(super) intent: Option<Box<Intent>>,
    /// What is known of an open attempt.
    open: Option<Box<Open>>,
    completion: Completion,
    scheduled_for: Option<UnixSeconds>,
    production_start: Option<UnixSeconds>,
    desired: Option<DesiredMode>,
    pub(super) phase: Option<Phase>,
    mode: ObservedMode,
    state: State,
    pub(super) suspended: bool,
    being_deleted: bool,
    pub(super) up_to_date: bool,
}

/// An open attempt.
#[derive(Clone, Debug, PartialEq)]
struct Open {
    /// The platform on which it began. `None`: unknown.
    platform: Option<Origin>,
    /// Whether the platform accepted it.
    accepted: bool,
}

/// Whether this controller switched the tenant of an object, and on which platform.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Completion {
    /// It did not, as far as is known.
    None,
    /// The stored journal says so.
    Stored(UuidDigest),
    /// This process completed the journal. The watch may not show it yet.
    Recorded(UuidDigest),
}

/// What a status says about a read of the tenant through the connection that the object names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StoredRead {
    /// There was no read.
    None,
    /// Unknown. The status existed when this process started, and a read will show it soon.
    Pending,
    /// There was a read.
    Done,
}

/// The announcement of an attempt, as the budget counts it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Intent {
    pub connection: Key,
    pub at: i64,
    /// The attempt. One object may announce two attempts within one second.
    pub attempt: u64,
    /// Whether the attempt took effect, or may have. A closed attempt had no effect, and gives its place back.
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
    /// In a mode that this version does not know, or not seen yet.
    #[default]
    Unknown,
}

/// What the conditions of an object say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// There are no conditions yet.
    #[default]
    NotSeen,
    /// Ready, with this reason. `None`: a reason that this version does not know.
    Ready(Option<ReadyReason>),
    /// Reconciling, with this reason. `None`: a reason that this version does not know.
    Reconciling(Option<ReconcilingReason>),
    /// Stalled, with this reason. `None`: a reason that this version does not know.
    Stalled(Option<StalledReason>),
}

impl Record {
    /// Builds the record of an object that names `connection`.
    pub(super) fn of(object: &TenantPricing, connection: Key) -> Self {
        let status = object.status.as_ref();
        let observed = status.and_then(|status| status.observed.as_ref());
        let journal = status.and_then(|status| status.switch.as_ref());
        let open = status.and_then(TenantPricingStatus::open_journal);
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
            completion: journal.and_then(switched_on).map_or(Completion::None, Completion::Stored),
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

    /// What the status alone says about a read through the connection that the spec names. An edit may have changed the
    /// connection, so only a status of the present generation proves a read.
    fn read_by_status(&self) -> StoredRead {
        if self.tenant.is_none() || self.is_refused() || self.is_unreadable() {
            return StoredRead::None;
        }
        let is_proof = match self.state {
            State::NotSeen | State::Ready(Some(ReadyReason::Suspended)) => false,
            State::Ready(_) => true,
            State::Reconciling(reason) => !reason.is_some_and(is_unreachable),
            State::Stalled(reason) => reason != Some(StalledReason::ConnectionNotReady),
        };
        if is_proof && self.up_to_date { StoredRead::Done } else { StoredRead::Pending }
    }

    /// Takes over from the previous record what is known about reads of the tenant.
    pub(super) fn carry_over(&mut self, before: &Self) {
        let is_same = (before.uid, &before.connection) == (self.uid, &self.connection);
        if is_same {
            // What a reconcile has read stays valid until the status says it.
            self.tenant = self.tenant.or(before.tenant);
            // A read from before the admission was withdrawn gives the object no claim later.
            self.read_through = before.read_through.filter(|_| !self.is_refused());
        }
        if before.uid == self.uid && matches!(before.completion, Completion::Recorded(_)) {
            // It stays done, whatever a late watch event or another writer of the status says.
            self.completion = before.completion;
        }
        if self.stored_read == StoredRead::Pending && (before.uid == self.uid) {
            // Only a status that this process found at its start can leave a read pending.
            self.stored_read = if is_same { before.stored_read } else { StoredRead::None };
        }
    }

    /// Records that this process completes the journal of the object, if the new one says so.
    pub(super) fn complete(&mut self, journal: &Journal) {
        if let Some(platform) = switched_on(journal) {
            self.completion = Completion::Recorded(platform);
        }
    }

    /// What is known of the reads of the tenant for the object.
    pub(super) fn reads(&self) -> Reads {
        Reads { through: self.read_through, stored: self.stored_read, are_refused: self.is_unreadable() }
    }

    /// Whether the stored status says that the connection cannot read the tenant.
    fn is_unreadable(&self) -> bool {
        let unread = [StalledReason::TenantNotFound, StalledReason::AccessDenied];
        matches!(self.state, State::Stalled(Some(reason)) if unread.contains(&reason))
    }

    /// Whether the object has a claim on its tenant, if its connection admits that.
    pub(super) fn claims(&self) -> bool {
        let is_readable = self.competes() && !self.is_unreadable();
        is_readable && (self.read_through.is_some() || self.stored_read != StoredRead::None)
    }

    /// The connection that the object names.
    #[must_use]
    pub fn connection(&self) -> &Key {
        &self.connection
    }

    /// The mode that the object asks for. An object that is being deleted asks for nothing.
    #[must_use]
    pub fn desired(&self) -> Option<DesiredMode> {
        self.desired.filter(|_| !self.being_deleted)
    }

    /// The mode in which the tenant was last seen.
    #[must_use]
    pub fn mode(&self) -> ObservedMode {
        self.mode
    }

    /// What the conditions say.
    #[must_use]
    pub fn state(&self) -> State {
        self.state
    }

    /// The time that the switch waits for, if it waits. A switch that is held, because the object is suspended, waits
    /// for no time.
    #[must_use]
    pub fn scheduled_for(&self) -> Option<Timestamp> {
        let waits = self.phase == Some(Phase::Scheduled) && !self.suspended;
        self.scheduled_for.filter(|_| waits).and_then(instant)
    }

    /// When the platform will switch the tenant automatically, according to its own data, while the tenant is in trial.
    #[must_use]
    pub fn trial_ends(&self) -> Option<Timestamp> {
        let in_trial = self.mode == ObservedMode::Trial;
        self.production_start.filter(|_| in_trial).and_then(instant)
    }

    /// Whether the status reports trouble with the connection or the platform. Such an object must be reconciled when
    /// that trouble changes. An object that has not been reconciled yet reports nothing, and its first reconcile is on
    /// its way.
    #[must_use]
    pub fn speaks_of_the_connection(&self) -> bool {
        match self.state {
            State::Reconciling(_) => true,
            State::Ready(_) | State::NotSeen => false,
            State::Stalled(reason) => reason.is_some_and(conditions::concerns_connection),
        }
    }

    /// Whether the stored status says that the connection refuses the object.
    pub(super) fn is_refused(&self) -> bool {
        let refusals = [StalledReason::ConnectionNotAllowed, StalledReason::ConnectionNotFound];
        matches!(self.state, State::Stalled(Some(reason)) if refusals.contains(&reason))
    }

    /// Whether the object competes for its tenant, as far as the object and its connection are concerned.
    pub(super) fn competes(&self) -> bool {
        self.desired().is_some() && !self.suspended && !self.is_refused()
    }

    /// Whether the object has an open attempt.
    pub(super) fn is_open(&self) -> bool {
        self.phase == Some(Phase::InFlight)
    }

    /// When the open attempt was announced. `None`: there is none, or its journal does not say when.
    #[must_use]
    pub fn attempt_open_since(&self) -> Option<Timestamp> {
        self.announced().filter(|_| self.is_open())
    }

    /// The platform on which the open attempt began, if known.
    fn begun_on(&self) -> Option<&Origin> {
        self.open.as_ref().and_then(|open| open.platform.as_ref())
    }

    /// Whether the object has an open attempt that the platform accepted.
    pub(super) fn is_accepted(&self) -> bool {
        self.open.as_ref().is_some_and(|open| open.accepted)
    }

    /// Whether the object is stalled, so that a person must act.
    pub(super) fn is_stalled(&self) -> bool {
        matches!(self.state, State::Stalled(_))
    }

    /// Whether the open attempt is, or may be, on this platform.
    pub(super) fn is_open_on(&self, platform: &Origin) -> bool {
        // An entry without a readable platform may belong to any platform, so nothing is sent beside it.
        self.is_open() && self.begun_on().is_none_or(|begun| begun == platform)
    }

    /// Whether this controller switched the tenant on this platform.
    pub(super) fn is_switched_on(&self, platform: &Origin) -> bool {
        match self.completion {
            Completion::None => false,
            Completion::Stored(on) | Completion::Recorded(on) => on == short(platform.as_str()),
        }
    }

    /// When the last attempt was announced.
    pub(super) fn announced(&self) -> Option<Timestamp> {
        Timestamp::from_second(self.intent.as_deref()?.at).ok()
    }

    /// The rank by age among the objects that compete for a tenant. An object without a creation time ranks last, since
    /// it has not been created.
    pub(super) fn age<'a>(&self, key: &'a Key) -> (i64, &'a str, &'a str) {
        (self.created.map_or(i64::MAX, UnixSeconds::get), key.namespace(), key.name())
    }

    /// The part of the record that the counts of the connection depend on.
    pub(super) fn counted_part(&self) -> CountedPart<'_> {
        CountedPart {
            connection: &self.connection,
            tenant: self.tenant,
            mode: self.mode,
            is_refused: self.is_refused(),
        }
    }

    /// The part of the record that other objects with the same tenant depend on.
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

/// The part of a record that the counts of its connection depend on.
#[derive(PartialEq)]
pub(super) struct CountedPart<'a> {
    connection: &'a Key,
    tenant: Option<UuidBits>,
    mode: ObservedMode,
    is_refused: bool,
}

/// The claim of one object on a tenant. Two equal claims mean the same to the other objects.
#[derive(PartialEq)]
pub(super) struct OwnershipClaim<'a> {
    tenant: UuidBits,
    object: UuidBits,
    created: Option<UnixSeconds>,
    /// The connection through which the object competes, if it does.
    connection: Option<&'a Key>,
    attempt: Option<OpenAttempt<'a>>,
}

/// An open attempt, as far as other objects depend on it.
#[derive(PartialEq)]
struct OpenAttempt<'a> {
    platform: Option<&'a Origin>,
    is_stalled: bool,
    is_accepted: bool,
}

/// The announcement in a journal. `connection` is the one that the object of the journal names.
pub(super) fn intent(journal: &Journal, connection: &Key) -> Option<Intent> {
    let at = journal.intent_at.as_ref()?.0.as_second();
    // The journal holds the key as text. Most journals hold the connection that the object names, whose key can be
    // shared.
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

/// The platform on which this controller switched the tenant, by a completed journal.
///
/// An attempt is resolved on the platform where it began, so the record of the controller's own switch names the right
/// platform. The record of the platform's switch may name another one: a plan can outlive a change of the connection.
fn switched_on(journal: &Journal) -> Option<UuidDigest> {
    let is_ours = journal.phase == Phase::Completed && journal.by == Some(SwitchedBy::Controller);
    let platform = journal.platform.as_deref().filter(|_| is_ours)?;
    Some(short(Origin::parse(platform).ok()?.as_str()))
}

/// The number of an attempt: the lower half of its id.
#[allow(clippy::cast_possible_truncation)] // half of a random number is random enough
pub(super) fn attempt(id: &str) -> u64 {
    number(id).get() as u64
}

/// Whether a reason to wait says that the platform could not be reached.
fn is_unreachable(reason: ReconcilingReason) -> bool {
    let reasons = [
        ReconcilingReason::ConnectionNotReady,
        ReconcilingReason::PlatformUnavailable,
        ReconcilingReason::RateLimited,
    ];
    reasons.contains(&reason)
}

/// The number of a tenant.
pub(super) fn tenant(id: &TenantId) -> UuidBits {
    number(id.as_str())
}

/// The number of a UUID. The API server assigns no other uids. Any other text is identified by its hash.
pub(super) fn number(text: &str) -> UuidBits {
    let hash = || {
        let mut hasher = DefaultHasher::new();
        text.hash(&mut hasher);
        u128::from(hasher.finish())
    };
    let number = Uuid::try_parse(text).map_or_else(|_| hash(), |uuid| uuid.as_u128());
    UuidBits::new(number).unwrap_or(UuidBits::MIN)
}

/// The short number of a UUID.
pub(super) fn short(text: &str) -> UuidDigest {
    let number = number(text).get();
    let [high, low] = [number >> 64, number].map(|half| half & u128::from(u64::MAX));
    u64::try_from(high ^ low).ok().and_then(UuidDigest::new).unwrap_or(UuidDigest::MIN)
}

fn second(time: &Time) -> Option<UnixSeconds> {
    UnixSeconds::new(time.0.as_second())
}

fn instant(second: UnixSeconds) -> Option<Timestamp> {
    Timestamp::from_second(second.get()).ok()
}

impl ObservedMode {
    /// All variants, in the order of `status.tenants` of a connection.
    pub const ALL: [Self; 4] = [Self::Trial, Self::Production, Self::Suspended, Self::Unknown];

    /// The word for the mode in counts.
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
