//! What happens to each object, decided by the controller's own rules. Pure.
//!
//! Nothing is decided a second time here. The rules of `pricing::decide` see the facts that the controller would see.
//! The index says which object owns a tenant. The account of the budget says who waits for whom.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    hash::{DefaultHasher, Hash, Hasher},
};

use jiff::{Timestamp, tz::TimeZone};
use tokio::time::Instant;

use super::{
    connections::{ConnectionChange, Effect, Links},
    document::{Change, Entry, Outcome, Source, TenantView},
    watch::Watch,
};
use crate::{
    api::{DesiredMode, ReadyReason, SwitchAt, TenantPricing},
    calendar,
    cli::{output::time::month, platform::facts::assumed},
    cluster::Key,
    connections::{ConnectionProblem, needs_a_person},
    index::{Index, Via},
    platform::{Mode, Origin, TenantId},
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
    /// Whether the input or the base names it. Another object is in the plan only if something happens to it.
    pub is_given: bool,
}

impl Subject {
    /// An object of the cluster that the input does not name.
    pub(crate) fn bystander(object: TenantPricing) -> Self {
        Self {
            key: Key::of(&object),
            before: Some(object.clone()),
            after: Some(object),
            source: None,
            rejected: None,
            is_given: false,
        }
    }

    /// The object as it will be, or as it was.
    pub(crate) fn object(&self) -> Option<&TenantPricing> {
        self.after.as_ref().or(self.before.as_ref())
    }

    /// Whether the input changes the object itself.
    pub(crate) fn is_changed(&self) -> bool {
        self.change() != Change::None
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
    /// The connections as they are.
    pub before: Links,
    /// The connections as they will be.
    pub after: Links,
    /// How the connections change.
    pub changes: BTreeMap<Key, ConnectionChange>,
    /// What was read for an object, by the keys of the object and of the connection.
    pub reads: HashMap<(Key, Key), TenantRead>,
    /// The customers with a name, by the key of the connection and the name.
    pub proofs: HashMap<(Key, String), Proof>,
    /// Why nothing is known about a connection, in the words of a person: its credentials are for another platform.
    pub failures: HashMap<Key, String>,
    /// Whether the platform is read at all.
    pub is_offline: bool,
    /// Which objects a controller watches.
    pub watch: Watch,
}

impl Knowledge {
    /// Sets the platform's clock to the time that the plan is made for.
    pub(crate) fn set_platform_clocks(&mut self, now: Timestamp) {
        for read in self.reads.values_mut() {
            if let TenantRead::Seen(seen) = read {
                seen.date = seen.date.map(|_| now);
            }
        }
    }

    fn read(&self, object: &TenantPricing) -> TenantRead {
        let key = (Key::of(object), object.connection_key());
        self.reads.get(&key).cloned().unwrap_or(TenantRead::NotRead)
    }

    fn proof(&self, object: &TenantPricing) -> Proof {
        let Some(name) = &object.spec.tenant.name else { return Proof::Missing };
        self.proofs.get(&(object.connection_key(), name.clone())).cloned().unwrap_or_default()
    }

    /// What the change of its connection can bring about for an object.
    fn effect(&self, object: &TenantPricing) -> Effect {
        self.changes.get(&object.connection_key()).map_or(Effect::None, |change| change.effect)
    }
}

/// A decision on an object.
struct Decided<'a> {
    object: &'a TenantPricing,
    decision: Decision,
    /// The decision if the tenant, which was not read, is a customer in trial.
    if_in_trial: Option<Decision>,
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
    let entries = subjects.iter().map(|subject| (subject.is_given, decisions.entry(subject)));
    entries
        .filter(|(is_given, entry)| *is_given || entry.change != Change::None)
        .map(|(_, entry)| entry)
        .collect()
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

/// The decisions on all subjects together, before the change and after it.
struct Decisions<'a> {
    before: Side<'a>,
    after: Side<'a>,
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
        let before = subjects.iter().filter_map(|subject| subject.before.as_ref());
        let changed =
            subjects.iter().filter(|subject| subject.is_changed()).map(|subject| &subject.key).collect();
        let side = |objects: Vec<&'a TenantPricing>, links: &'a Links| {
            Side::on(&objects, others, &changed, (knowledge, links), now, instant)
        };
        let (before, after) = (before.collect(), after.collect());
        Self { before: side(before, &knowledge.before), after: side(after, &knowledge.after), knowledge, now }
    }

    fn entry(&self, subject: &Subject) -> Entry {
        let (knowledge, now) = (self.knowledge, self.now);
        let earlier = self.before.decided.get(&subject.key);
        let mut entry = self.after.entry(subject, earlier, knowledge, now);
        let Some(after) = subject.after.as_ref().filter(|_| entry.change == Change::None) else {
            return entry;
        };
        // Only a comparison shows what something else brings about for an object that stays as it is.
        let before = self.before.entry(subject, None, knowledge, now);
        if is_same(&before, &entry) && !self.may_differ(after, &entry) {
            return entry;
        }
        entry.change = Change::Indirect;
        let labels = |object: &Option<TenantPricing>| object.as_ref()?.metadata.labels.clone();
        let cause = if knowledge.changes.contains_key(&after.connection_key()) {
            format!("PlatformConnection {} changes", after.connection_key())
        } else if labels(&subject.before) != labels(&subject.after) {
            "its labels change".to_owned()
        } else {
            "another object or connection changes".to_owned()
        };
        entry.message = format!("Its spec stays as it is, and {cause}. {}", entry.message);
        entry
    }

    /// Whether the change of its connection may bring about a switch that the decisions do not show.
    fn may_differ(&self, object: &TenantPricing, entry: &Entry) -> bool {
        if !asks_for_production(object) {
            return false;
        }
        let is_unknown = entry.outcome == Outcome::Unknown;
        match self.knowledge.effect(object) {
            Effect::None => false,
            Effect::Settings => is_unknown,
            Effect::Credentials => {
                is_unknown || matches!(entry.outcome, Outcome::SwitchNow | Outcome::SwitchLater)
            }
            Effect::Platform => true,
        }
    }
}

/// Whether both say the same about the bill.
fn is_same(one: &Entry, other: &Entry) -> bool {
    let is_at_rest = |entry: &Entry| matches!(entry.outcome, Outcome::NoSwitch | Outcome::Suspended);
    if is_at_rest(one) && is_at_rest(other) {
        return one.not_watched.is_some() == other.not_watched.is_some();
    }
    let of = |entry: &Entry| {
        let Entry { outcome, reason, in_days, billed_month, not_watched, .. } = entry.clone();
        (outcome, reason, in_days, billed_month, not_watched.is_some())
    };
    of(one) == of(other)
}

/// The decisions on the objects of one state of the cluster.
struct Side<'a> {
    decided: BTreeMap<Key, Decided<'a>>,
    /// When each switch is admitted.
    times: HashMap<Key, Timestamp>,
    links: &'a Links,
}

impl<'a> Side<'a> {
    fn on(
        objects: &[&'a TenantPricing],
        others: &[TenantPricing],
        changed: &BTreeSet<&Key>,
        (knowledge, links): (&Knowledge, &'a Links),
        now: Timestamp,
        instant: Instant,
    ) -> Self {
        let others: Vec<&TenantPricing> = others.iter().collect();
        let seen = |object: &TenantPricing| knowledge.read(object).tenant().cloned();
        let index = indexed(objects, &others, links, seen);
        let is_unread = |object: &&TenantPricing| is_unread(&knowledge.read(object));
        let guessed = objects.iter().copied().any(|object| is_unread(&object)).then(|| {
            let guess = |object: &TenantPricing| seen(object).or_else(|| guessed_id(object));
            indexed(objects, &others, links, guess)
        });
        let decide = |object: &&'a TenantPricing| {
            let decided = decide_one(object, (&index, guessed.as_ref()), (knowledge, links), now);
            (Key::of(*object), decided)
        };
        let mut decided: BTreeMap<Key, Decided<'a>> = objects.iter().map(decide).collect();
        let times = admit(&mut decided, &index, changed, links, now, instant);
        Self { decided, times, links }
    }
}

/// The index of one state. `tenant` says which tenant was read for an object.
fn indexed(
    objects: &[&TenantPricing],
    others: &[&TenantPricing],
    links: &Links,
    tenant: impl Fn(&TenantPricing) -> Option<TenantId>,
) -> Index {
    let index = Index::default();
    for object in objects.iter().chain(others).copied() {
        // The triggered objects are decided anyway.
        drop(index.apply(&Key::of(object), object));
    }
    for object in objects.iter().copied() {
        if let Some(tenant) = tenant(object) {
            let connection = links.connections.get(&object.connection_key());
            let uid =
                connection.and_then(|connection| connection.metadata.uid.as_deref()).unwrap_or_default();
            drop(index.record_tenant(&Key::of(object), &tenant, uid));
        }
    }
    index
}

/// Whether a read says nothing about the tenant.
fn is_unread(read: &TenantRead) -> bool {
    matches!(read, TenantRead::NotRead | TenantRead::Failed(_))
}

/// The tenant that an object would have if the platform were read. One that is only named gets an id made of its name, so
/// that two objects with one name have one tenant.
fn guessed_id(object: &TenantPricing) -> Option<TenantId> {
    let pinned = object.status.as_ref().and_then(|status| status.tenant_id.as_deref());
    let known = object.spec.tenant.id.as_deref().or(pinned).map(str::to_owned);
    let id = known.unwrap_or_else(|| {
        let mut hasher = DefaultHasher::new();
        object.spec.tenant.name.hash(&mut hasher);
        format!("00000000-0000-4000-8000-{:012x}", hasher.finish() & 0xffff_ffff_ffff)
    });
    id.parse().ok()
}

fn decide_one<'a>(
    object: &'a TenantPricing,
    (index, guessed): (&Index, Option<&Index>),
    (knowledge, links): (&Knowledge, &Links),
    now: Timestamp,
) -> Decided<'a> {
    let (access, read) = (links.access(object), knowledge.read(object));
    let own = object.connection_key();
    let via = |connection: &Key, other: &Key| {
        let found = links.connections.get(connection)?;
        let pair = (other.clone(), connection.clone());
        // A suspended connection keeps its claims.
        let is_refused = match links.access.get(&pair) {
            Some(Access::Unusable(problem)) => !matches!(problem, ConnectionProblem::Suspended),
            Some(Access::NotAllowed | Access::NotFound) => true,
            _ => false,
        };
        // What has read the tenant for this object works, although its status may not say so.
        if is_refused || (*connection != own && needs_a_person(found)) {
            return None;
        }
        Some(Via {
            platform: Origin::parse(&found.spec.url).ok()?,
            uid: found.metadata.uid.clone().unwrap_or_default(),
            suspended: found.spec.suspend,
            has_just_read: *connection == own
                || matches!(knowledge.reads.get(&pair), Some(TenantRead::Seen(_))),
        })
    };
    // This process has made no attempt, so it remembers none.
    let remembered = |proof: Proof, tenant: Option<&TenantId>, index: &Index| {
        let tenant = match &access {
            Access::Open(connection) => tenant.map(|tenant| (connection.origin.clone(), tenant.clone())),
            _ => None,
        };
        let memory = Memory { proof, ..Memory::default() };
        siblings::with_siblings(memory, object, tenant, index, |_| (false, None), via, now)
    };
    let memory = remembered(knowledge.proof(object), read.tenant(), index);
    let mut decision = decide::decide(&Facts { object, access: &access, read: &read, memory: &memory, now });
    if decision.verdict == Verdict::Unchanged && !matches!(access, Access::Open(_)) {
        // An object at rest does not report the trouble of its connection, and a plan does.
        let mut edited = object.clone();
        *edited.metadata.generation.get_or_insert_default() += 1;
        decision =
            decide::decide(&Facts { object: &edited, access: &access, read: &read, memory: &memory, now });
    }
    let if_in_trial =
        guessed.filter(|_| is_unread(&read) && matches!(access, Access::Open(_))).and_then(|index| {
            let name = object.spec.tenant.name.clone().unwrap_or_default();
            let seen = assumed(guessed_id(object)?, name, Mode::Trial, now);
            let proof = Proof::Customers(vec![seen.tenant.id.clone()]);
            let memory = remembered(proof, Some(&seen.tenant.id), index);
            let read = TenantRead::Seen(Box::new(seen));
            Some(decide::decide(&Facts { object, access: &access, read: &read, memory: &memory, now }))
        });
    Decided { object, decision, if_in_trial, read, access, memory }
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
    changed: &BTreeSet<&Key>,
    links: &Links,
    now: Timestamp,
    instant: Instant,
) -> HashMap<Key, Timestamp> {
    let mut due: BTreeMap<Key, Vec<(Timestamp, bool, Key)>> = BTreeMap::new();
    for (key, decided) in planned.iter() {
        if let Some(at) = due_at(&decided.decision) {
            // What is there already was due earlier than what the input changes.
            let place = (at, changed.contains(key), key.clone());
            due.entry(decided.object.connection_key()).or_default().push(place);
        }
    }
    let mut times = HashMap::new();
    for (connection, mut queue) in due {
        let Some(budget) = links.budget(&connection) else { continue };
        queue.sort();
        let mut admitted: Vec<Timestamp> = Vec::new();
        let clocks = Clocks { controller: now, platform: now };
        let spent = account(index, &connection, budget, 0, clocks, instant);
        let room = spent.left();
        for (place, (at, _, key)) in queue.into_iter().enumerate() {
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

impl Side<'_> {
    /// What happens to a subject in this state. `earlier`: the decision on it before the change.
    fn entry(
        &self,
        subject: &Subject,
        earlier: Option<&Decided<'_>>,
        knowledge: &Knowledge,
        now: Timestamp,
    ) -> Entry {
        let mut entry = self.decided_entry(subject, earlier, knowledge, now);
        let decided = self.decided.get(&subject.key).filter(|_| subject.rejected.is_none());
        entry.not_watched = decided.and_then(|decided| knowledge.watch.misses(decided.object));
        if let Some(why) = &entry.not_watched {
            // A controller that is not of the chart may watch it, so the rest holds.
            entry.message = format!("{why} If another controller watches it: {}", entry.message);
        }
        entry
    }

    fn decided_entry(
        &self,
        subject: &Subject,
        earlier: Option<&Decided<'_>>,
        knowledge: &Knowledge,
        now: Timestamp,
    ) -> Entry {
        let key = &subject.key;
        let mut entry = Entry {
            namespace: key.namespace().to_owned(),
            name: key.name().to_owned(),
            source: subject.source.clone(),
            change: subject.change(),
            tenant: subject
                .object()
                .map(|object| tenant(object, &knowledge.read(object)))
                .unwrap_or_default(),
            outcome: Outcome::Unknown,
            at: None,
            in_days: None,
            billed_month: None,
            reason: String::new(),
            message: String::new(),
            asks_for_production: subject.after.as_ref().is_some_and(asks_for_production),
            not_watched: None,
        };
        if let Some(message) = &subject.rejected {
            (entry.outcome, entry.reason) = (Outcome::Refused, "RejectedAtAdmission".to_owned());
            entry.message = format!("The API server will refuse this object: {message}");
            return entry;
        }
        let Some(decided) = self.decided.get(key) else {
            return deleted(entry, earlier);
        };
        let at = self.times.get(key).copied();
        let Decided { object, decision, .. } = decided;
        if let Some(failure) = self.failure(object, knowledge)
            && !object.spec.suspend
        {
            return unread(entry, failure, decided, now);
        }
        let was_planned = earlier.is_some_and(|earlier| plans_a_switch(&earlier.decision));
        entry.message.clone_from(&decision.message);
        (entry.outcome, entry.reason) = outcome(decided, was_planned, at, now);
        let is_stopped = matches!(decided.access, Access::Unusable(ConnectionProblem::Suspended));
        if is_stopped && entry.change == Change::None && entry.outcome == Outcome::Refused {
            // An emergency stop is meant, and the object is as it was.
            entry.outcome = Outcome::Suspended;
        }
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
                "The tenant is switched to production at once. That puts the whole of {} on the bill and cannot be \
                 undone.",
                calendar::month_name(now)
            );
        }
        if let (Outcome::SwitchLater, None, Some(due)) = (entry.outcome, at, due_at(decision)) {
            entry.message = format!(
                "The switch is due on {due}, and the connection's budget (spec.switch.budget.count: 0) allows none. Until \
                 the budget is raised, the tenant stays in trial."
            );
        }
        entry
    }

    /// Why nothing is known about the tenant of an object: there is no way to read through its connection.
    fn failure<'k>(&self, object: &TenantPricing, knowledge: &'k Knowledge) -> Option<&'k String> {
        let connection = object.connection_key();
        let failure = knowledge.failures.get(&connection)?;
        match self.links.access.get(&(Key::of(object), connection)) {
            None | Some(Access::Open(_)) => Some(failure),
            Some(_) => None,
        }
    }
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

/// The entry of an object that is no longer in the manifests. Whether the cluster loses it too is not known.
fn deleted(mut entry: Entry, earlier: Option<&Decided<'_>>) -> Entry {
    let is_planned = |decision: Option<&Decision>| decision.is_some_and(plans_a_switch);
    "The object is no longer in the manifests.".clone_into(&mut entry.message);
    if is_planned(earlier.map(|earlier| &earlier.decision)) {
        (entry.outcome, entry.reason) = (Outcome::Cancelled, "Deleted".to_owned());
        entry.message += " If it is deleted in the cluster, its planned switch is cancelled and nothing is billed. \
                          Without pruning it stays, and is switched as planned.";
    } else if is_planned(earlier.and_then(|earlier| earlier.if_in_trial.as_ref())) {
        (entry.outcome, entry.reason) = (Outcome::Unknown, "NotRead".to_owned());
        entry.message += " The tenant is not read. If a switch is still to come, deleting the object in the cluster cancels \
                          it. Without pruning the object stays, and is switched as planned.";
    } else {
        (entry.outcome, entry.reason) = (Outcome::NoSwitch, "Deleted".to_owned());
        entry.message += " It plans no switch. So nothing changes on the platform.";
    }
    entry
}

/// The entry of an object whose tenant was not read: what happens if it is a customer in trial.
fn unread(mut entry: Entry, why: &str, decided: &Decided<'_>, now: Timestamp) -> Entry {
    let object = decided.object;
    (entry.outcome, entry.reason) = (Outcome::Unknown, "NotRead".to_owned());
    let if_in_trial = decided.if_in_trial.as_ref();
    let rest = match object.spec.mode {
        Some(DesiredMode::Trial) => "Nothing is switched for spec.mode: trial.".to_owned(),
        None => "Nothing is switched without spec.mode.".to_owned(),
        Some(DesiredMode::Production) => match (if_in_trial, if_in_trial.and_then(due_at)) {
            (_, Some(at)) => {
                let at = at.max(now);
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
            (Some(Decision { verdict: Verdict::Stalled(_), message, .. }), None) => {
                format!("If it is a customer in trial: {message}")
            }
            _ => "If it is a customer in trial, it is switched to production. That starts billing and cannot be undone."
                .to_owned(),
        },
    };
    entry.message = format!("{why} {rest}");
    entry
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
