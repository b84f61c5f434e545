//! What happens to each object, decided by the controller's own rules. Pure.
//!
//! Nothing is decided a second time here. The rules of `pricing::decide` see the facts that the controller would see.
//! The index says which object owns a tenant. The account of the budget says who waits for whom.

use std::collections::{BTreeMap, HashMap};

use jiff::{Timestamp, tz::TimeZone};
use tokio::time::Instant;

use super::document::{Change, Entry, Outcome, Source, TenantView};
use crate::{
    api::{DesiredMode, PlatformConnection, ReadyReason, SwitchAt, TenantPricing},
    calendar,
    cli::{output::time::month, platform::facts::assumed},
    cluster::Key,
    connections::needs_a_person,
    index::{Index, Via},
    platform::{Mode, Origin},
    pricing::{
        QueueState, account,
        budget::{Account, Budget},
        decide::{self, Decision, JournalStep, Requeue, Verdict},
        facts::{Access, Facts, Memory, Proof, TenantRead},
        observe::siblings,
        schedule::Clocks,
    },
};

/// One object of a plan.
#[derive(Clone, Debug)]
pub(crate) struct Subject {
    /// The namespace and the name of the object.
    pub key: Key,
    /// The object as it is now, if there is one.
    pub before: Option<TenantPricing>,
    /// The object as it will be. `None`: it is deleted.
    pub after: Option<TenantPricing>,
    /// Where it stands in the input.
    pub source: Option<Source>,
    /// Why the API server will refuse it.
    pub rejected: Option<String>,
}

impl Subject {
    /// The object as it will be, or as it was.
    pub(crate) fn object(&self) -> Option<&TenantPricing> {
        self.after.as_ref().or(self.before.as_ref())
    }

    fn change(&self) -> Change {
        match (&self.before, &self.after) {
            (None, _) => Change::Create,
            // What is refused has no object that will be.
            (_, None) if self.rejected.is_some() => Change::Update,
            (_, None) => Change::Delete,
            (Some(before), Some(after)) if before.spec == after.spec => Change::None,
            _ => Change::Update,
        }
    }
}

/// What is known about connections and tenants.
#[derive(Default)]
pub(crate) struct Knowledge {
    /// The connections by key.
    pub connections: HashMap<Key, PlatformConnection>,
    /// How an object reaches its platform through a connection, by the keys of the object and of the connection.
    pub access: HashMap<(Key, Key), Access>,
    /// What was read for an object, by the keys of the object and of the connection.
    pub reads: HashMap<(Key, Key), TenantRead>,
    /// The customers with a name, by the key of the connection and the name.
    pub proofs: HashMap<(Key, String), Proof>,
    /// Why nothing is known about a connection, in the words of a person: its credentials are for another platform.
    pub failures: HashMap<Key, String>,
    /// Whether the platform is read at all.
    pub is_offline: bool,
}

impl Knowledge {
    fn read(&self, object: &TenantPricing) -> TenantRead {
        let key = (Key::of(object), object.connection_key());
        self.reads.get(&key).cloned().unwrap_or(TenantRead::NotRead)
    }

    fn access(&self, object: &TenantPricing) -> Access {
        let connection = object.connection_key();
        self.access.get(&(Key::of(object), connection)).cloned().unwrap_or(Access::NotFound)
    }

    fn proof(&self, object: &TenantPricing) -> Proof {
        let Some(name) = &object.spec.tenant.name else { return Proof::Missing };
        self.proofs.get(&(object.connection_key(), name.clone())).cloned().unwrap_or_default()
    }

    fn budget(&self, connection: &Key) -> Option<Budget> {
        self.connections.get(connection).map(|connection| Budget::of(&connection.spec.switch.budget))
    }
}

/// A decision on an object, before the budget is considered.
struct Decided<'a> {
    object: &'a TenantPricing,
    decision: Decision,
    read: TenantRead,
    access: Access,
    memory: Memory,
}

impl Decided<'_> {
    /// The facts at `now`.
    fn facts(&self, now: Timestamp) -> Facts<'_> {
        let Self { object, read, access, memory, .. } = self;
        Facts { object, access, read, memory, now }
    }
}

/// Decides every subject at `now`, which is `instant` by the monotonic clock. `others` are the objects of the cluster that
/// the manifests do not touch.
pub(crate) fn entries(
    subjects: &[Subject],
    others: &[TenantPricing],
    knowledge: &Knowledge,
    now: Timestamp,
    instant: Instant,
) -> Vec<Entry> {
    let decisions = Decisions::on(subjects, others, knowledge, now, instant);
    subjects.iter().map(|subject| decisions.entry(subject)).collect()
}

/// Decides one subject, as [`entries`] does.
pub(crate) fn single(
    subject: &Subject,
    others: &[TenantPricing],
    knowledge: &Knowledge,
    now: Timestamp,
    instant: Instant,
) -> Entry {
    Decisions::on(std::slice::from_ref(subject), others, knowledge, now, instant).entry(subject)
}

/// The decisions on all subjects together.
struct Decisions<'a> {
    planned: BTreeMap<Key, Decided<'a>>,
    /// The decisions on the objects before the change.
    earlier: BTreeMap<Key, Decided<'a>>,
    /// When each switch is admitted.
    times: HashMap<Key, Timestamp>,
    knowledge: &'a Knowledge,
    now: Timestamp,
}

impl<'a> Decisions<'a> {
    fn on(
        subjects: &'a [Subject],
        others: &[TenantPricing],
        knowledge: &'a Knowledge,
        now: Timestamp,
        instant: Instant,
    ) -> Self {
        let after = subjects.iter().filter_map(|subject| match &subject.rejected {
            // What the API server refuses stays as it is.
            Some(_) => subject.before.as_ref(),
            None => subject.after.as_ref(),
        });
        let after: Vec<&TenantPricing> = after.collect();
        let before: Vec<&TenantPricing> =
            subjects.iter().filter_map(|subject| subject.before.as_ref()).collect();
        let (mut planned, index) = decide_all(&after, others, knowledge, now);
        let (earlier, _) = decide_all(&before, others, knowledge, now);
        let times = admit(&mut planned, &index, knowledge, now, instant);
        Self { planned, earlier, times, knowledge, now }
    }

    fn entry(&self, subject: &Subject) -> Entry {
        let key = &subject.key;
        let was_planned = self.earlier.get(key).is_some_and(|earlier| plans_a_switch(&earlier.decision));
        let at = self.times.get(key).copied();
        entry(subject, self.planned.get(key), was_planned, at, self.knowledge, self.now)
    }
}

/// Decides the objects of one state of the cluster. Returns the index of that state as well.
fn decide_all<'a>(
    objects: &[&'a TenantPricing],
    others: &[TenantPricing],
    knowledge: &Knowledge,
    now: Timestamp,
) -> (BTreeMap<Key, Decided<'a>>, Index) {
    let index = Index::default();
    for object in objects.iter().copied().chain(others) {
        // The triggered objects are decided anyway.
        drop(index.apply(&Key::of(object), object));
    }
    for object in objects {
        if let TenantRead::Seen(seen) = knowledge.read(object) {
            let connection = knowledge.connections.get(&object.connection_key());
            let uid =
                connection.and_then(|connection| connection.metadata.uid.as_deref()).unwrap_or_default();
            drop(index.record_tenant(&Key::of(*object), &seen.tenant.id, uid));
        }
    }
    let decided = objects.iter().map(|object| (Key::of(*object), decide_one(object, &index, knowledge, now)));
    (decided.collect(), index)
}

fn decide_one<'a>(
    object: &'a TenantPricing,
    index: &Index,
    knowledge: &Knowledge,
    now: Timestamp,
) -> Decided<'a> {
    let (access, read) = (knowledge.access(object), knowledge.read(object));
    let tenant = match (&access, read.tenant()) {
        (Access::Open(connection), Some(tenant)) => Some((connection.origin.clone(), tenant.clone())),
        _ => None,
    };
    let memory = Memory { proof: knowledge.proof(object), ..Memory::default() };
    let via = |connection: &Key, other: &Key| {
        let connection = knowledge.connections.get(connection)?;
        let admits = knowledge.access.get(&(other.clone(), Key::of(connection)));
        let is_refused = matches!(admits, Some(Access::NotAllowed | Access::NotFound | Access::Unusable(_)));
        if is_refused || needs_a_person(connection) {
            return None;
        }
        Some(Via {
            platform: Origin::parse(&connection.spec.url).ok()?,
            uid: connection.metadata.uid.clone().unwrap_or_default(),
            suspended: connection.spec.suspend,
            has_just_read: knowledge.reads.contains_key(&(other.clone(), Key::of(connection))),
        })
    };
    // This process has made no attempt, so it remembers none.
    let memory = siblings::with_siblings(memory, object, tenant, index, |_| (false, None), via);
    let decision = decide::decide(&Facts { object, access: &access, read: &read, memory: &memory, now });
    Decided { object, decision, read, access, memory }
}

fn plans_a_switch(decision: &Decision) -> bool {
    matches!(decision.verdict, Verdict::Switch { .. } | Verdict::Ready(ReadyReason::SwitchScheduled))
        || (decision.requeue == Requeue::WhenAdmitted)
}

/// Gives each switch its place in the budget of its connection. Returns when each is admitted at the earliest; a budget
/// of zero admits none.
fn admit(
    planned: &mut BTreeMap<Key, Decided<'_>>,
    index: &Index,
    knowledge: &Knowledge,
    now: Timestamp,
    instant: Instant,
) -> HashMap<Key, Timestamp> {
    let mut due: BTreeMap<Key, Vec<(Timestamp, Key)>> = BTreeMap::new();
    for (key, decided) in planned.iter() {
        if let Some(at) = due_at(&decided.decision) {
            due.entry(decided.object.connection_key()).or_default().push((at, key.clone()));
        }
    }
    let mut times = HashMap::new();
    for (connection, mut queue) in due {
        let Some(budget) = knowledge.budget(&connection) else { continue };
        queue.sort();
        let mut admitted: Vec<Timestamp> = Vec::new();
        let clocks = Clocks { controller: now, platform: now };
        let spent = account(index, &connection, budget, 0, clocks, instant);
        let room = spent.left();
        for (place, (at, key)) in queue.into_iter().enumerate() {
            let Some(decided) = planned.get_mut(&key) else { continue };
            let earliest = earliest(&budget, &spent, &admitted, room, place).map(|turn| turn.max(at));
            let Some(earliest) = earliest else {
                hold_back(decided, &spent, place.saturating_sub(room), now);
                continue;
            };
            let at = within_its_month(decided, at, earliest);
            admitted.push(at);
            if at > now && matches!(decided.decision.verdict, Verdict::Switch { .. }) {
                hold_back(decided, &spent, place.saturating_sub(room), now);
            }
            times.insert(key, at);
        }
    }
    times
}

/// When a switch is due: now, or at the time that it is scheduled for.
fn due_at(decision: &Decision) -> Option<Timestamp> {
    match (decision.verdict, decision.journal) {
        (Verdict::Switch { scheduled_for }, _) => Some(scheduled_for),
        (Verdict::Ready(ReadyReason::SwitchScheduled), JournalStep::Schedule(at)) => Some(at),
        _ => None,
    }
}

/// The earliest turn of the switch at this place, after those in `admitted`. `None`: the budget admits none.
fn earliest(
    budget: &Budget,
    spent: &Account,
    admitted: &[Timestamp],
    room: usize,
    place: usize,
) -> Option<Timestamp> {
    let count = budget.count as usize;
    if count == 0 {
        return None;
    }
    if place < room {
        return Some(Timestamp::MIN);
    }
    if place < count {
        // The switch waits for one that is in the budget already.
        return spent.next(place - room);
    }
    // The switch waits until the one `count` places ahead of it leaves the window.
    let before = admitted.get(place - count)?;
    before.checked_add(budget.window).ok()
}

/// A month start whose turn comes in a later month is planned again, for the start of a month.
fn within_its_month(decided: &Decided<'_>, scheduled_for: Timestamp, turn: Timestamp) -> Timestamp {
    let Access::Open(connection) = &decided.access else { return turn };
    let is_missed = decided.facts(turn).switch_at(connection) == SwitchAt::MonthStart
        && turn >= calendar::next_month_start(scheduled_for)
        && !calendar::is_first_of_month(turn);
    if is_missed { calendar::next_month_start(turn) } else { turn }
}

/// Decides again, with a budget that is used up.
fn hold_back(decided: &mut Decided<'_>, spent: &Account, ahead: usize, now: Timestamp) {
    let namespace = decided.object.metadata.namespace.as_deref().unwrap_or_default();
    decided.memory.queue_state = QueueState::Exhausted(spent.exhausted(ahead, namespace));
    decided.decision = decide::decide(&decided.facts(now));
}

fn entry(
    subject: &Subject,
    planned: Option<&Decided<'_>>,
    was_planned: bool,
    at: Option<Timestamp>,
    knowledge: &Knowledge,
    now: Timestamp,
) -> Entry {
    let key = &subject.key;
    let mut entry = Entry {
        namespace: key.namespace().to_owned(),
        name: key.name().to_owned(),
        source: subject.source.clone(),
        change: subject.change(),
        tenant: subject.object().map(|object| tenant(object, &knowledge.read(object))).unwrap_or_default(),
        outcome: Outcome::Unknown,
        at: None,
        in_days: None,
        billed_month: None,
        reason: String::new(),
        message: String::new(),
        asks_for_production: subject.after.as_ref().is_some_and(asks_for_production),
    };
    if let Some(message) = &subject.rejected {
        (entry.outcome, entry.reason) = (Outcome::Refused, "RejectedAtAdmission".to_owned());
        entry.message = format!("The API server will refuse this object: {message}");
        return entry;
    }
    let Some(decided) = planned else {
        return deleted(entry, was_planned);
    };
    let Decided { object, decision, .. } = decided;
    if let Some(failure) = knowledge.failures.get(&object.connection_key())
        && !object.spec.suspend
    {
        return unread(entry, failure, decided, now);
    }
    entry.message.clone_from(&decision.message);
    (entry.outcome, entry.reason) = outcome(decided, was_planned, at, now);
    if entry.outcome == Outcome::Unknown && entry.message.is_empty() {
        let why = if knowledge.is_offline {
            "The tenant is not read (--offline)."
        } else {
            "The tenant could not be read."
        };
        return unread(entry, why, decided, now);
    }
    if entry.outcome == Outcome::Cancelled {
        entry.message = format!("The planned switch is cancelled: nothing is billed. {}", entry.message);
    }
    if matches!(entry.outcome, Outcome::SwitchNow | Outcome::SwitchLater)
        && let Some(at) = at.map(|at| at.max(now))
    {
        entry.at = Some(at);
        entry.in_days = days(now, at);
        entry.billed_month = Some(month(at));
    }
    if entry.outcome == Outcome::SwitchNow {
        entry.message = format!(
            "The tenant is switched to production at once. That puts the whole of {} on the bill and cannot be undone.",
            calendar::month_name(now)
        );
    }
    entry
}

fn asks_for_production(object: &TenantPricing) -> bool {
    object.spec.mode == Some(DesiredMode::Production) && !object.spec.suspend
}

/// The outcome of a decision, and its reason.
fn outcome(
    decided: &Decided<'_>,
    was_planned: bool,
    at: Option<Timestamp>,
    now: Timestamp,
) -> (Outcome, String) {
    let Decided { object, decision, .. } = decided;
    let wants = object.spec.mode == Some(DesiredMode::Production);
    match decision.verdict {
        Verdict::Switch { .. } if at.is_none_or(|at| at <= now) => {
            (Outcome::SwitchNow, "Switching".to_owned())
        }
        Verdict::Switch { .. } => (Outcome::SwitchLater, "Switching".to_owned()),
        Verdict::Stalled(reason) => (Outcome::Refused, reason.to_string()),
        Verdict::Ready(ReadyReason::SwitchScheduled) => {
            (Outcome::SwitchLater, ReadyReason::SwitchScheduled.to_string())
        }
        Verdict::Ready(ReadyReason::Suspended) => (Outcome::Suspended, ReadyReason::Suspended.to_string()),
        Verdict::Ready(reason) if decision.journal == JournalStep::Cancel || (was_planned && !wants) => {
            (Outcome::Cancelled, reason.to_string())
        }
        Verdict::Ready(reason) => (Outcome::NoSwitch, reason.to_string()),
        Verdict::Reconciling(reason) if at.is_some() => (Outcome::SwitchLater, reason.to_string()),
        Verdict::Reconciling(reason) => {
            let is_waiting = decision.requeue == Requeue::WhenAdmitted;
            let outcome = if decided.facts(now).in_flight() || is_waiting {
                Outcome::InProgress
            } else {
                Outcome::Unknown
            };
            (outcome, reason.to_string())
        }
        Verdict::Unchanged => (Outcome::Unknown, "NotRead".to_owned()),
    }
}

/// The entry of an object that is deleted.
fn deleted(mut entry: Entry, was_planned: bool) -> Entry {
    if was_planned {
        (entry.outcome, entry.reason) = (Outcome::Cancelled, "Deleted".to_owned());
        "The object is deleted, and its planned switch is cancelled: nothing is billed."
            .clone_into(&mut entry.message);
    } else {
        (entry.outcome, entry.reason) = (Outcome::NoSwitch, "Deleted".to_owned());
        "The object is deleted. Nothing changes on the platform.".clone_into(&mut entry.message);
    }
    entry
}

/// The entry of an object whose tenant was not read: what happens if it is a customer in trial.
fn unread(mut entry: Entry, why: &str, decided: &Decided<'_>, now: Timestamp) -> Entry {
    let object = decided.object;
    (entry.outcome, entry.reason) = (Outcome::Unknown, "NotRead".to_owned());
    let rest = match object.spec.mode {
        Some(DesiredMode::Trial) => "Nothing is switched for spec.mode: trial.".to_owned(),
        None => "Nothing is switched without spec.mode.".to_owned(),
        Some(DesiredMode::Production) => match if_in_trial(decided, now) {
            None => "If it is a customer in trial, it is switched to production. That starts billing and cannot be \
                     undone."
                .to_owned(),
            Some(at) => {
                entry.at = Some(at);
                entry.in_days = days(now, at);
                entry.billed_month = Some(month(at));
                let when = if at <= now { "at once".to_owned() } else { format!("on {at}") };
                format!(
                    "If it is a customer in trial, it is switched to production {when}. That puts the whole of {} on the \
                     bill and cannot be undone.",
                    calendar::month_name(at)
                )
            }
        },
    };
    entry.message = format!("{why} {rest}");
    entry
}

/// When the tenant is switched if it is a customer in trial, by the same rules. `None`: its connection is not known.
fn if_in_trial(decided: &Decided<'_>, now: Timestamp) -> Option<Timestamp> {
    let object = decided.object;
    let pinned = object.status.as_ref().and_then(|status| status.tenant_id.as_deref());
    let id = object.spec.tenant.id.as_deref().or(pinned).unwrap_or("00000000-0000-4000-8000-000000000000");
    let name = object.spec.tenant.name.clone().unwrap_or_default();
    let seen = assumed(id.parse().ok()?, name, Mode::Trial, now);
    let memory = Memory { proof: Proof::Customers(vec![seen.tenant.id.clone()]), ..Memory::default() };
    let read = TenantRead::Seen(Box::new(seen));
    let decision =
        decide::decide(&Facts { object, access: &decided.access, read: &read, memory: &memory, now });
    due_at(&decision).map(|at| at.max(now))
}

fn tenant(object: &TenantPricing, read: &TenantRead) -> TenantView {
    let selector = &object.spec.tenant;
    let pinned = object.status.as_ref().and_then(|status| status.tenant_id.clone());
    let mut view = TenantView {
        id: selector.id.as_deref().map(str::to_ascii_lowercase).or(pinned),
        name: selector.name.clone(),
        mode: None,
    };
    if let TenantRead::Seen(seen) = read {
        view.id = Some(seen.tenant.id.to_string());
        view.name = Some(seen.tenant.name.clone());
        view.mode = Some(seen.mode().to_string());
    }
    view
}

/// The number of days from one instant to another, by their dates in UTC.
fn days(now: Timestamp, at: Timestamp) -> Option<i64> {
    let date = |instant: Timestamp| TimeZone::UTC.to_datetime(instant).date();
    date(now).until((jiff::Unit::Day, date(at))).ok().map(|span| i64::from(span.get_days()))
}
