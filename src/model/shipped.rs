//! The way into the code that ships: `decide`, `report`, the index, the attempt tracker, and the small decisions of
//! `protocol`. A state of the model is translated for them, and their results are translated back.
//!
//! The results depend only on the input. They are cached, since the same input occurs in thousands of states.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{LazyLock, Mutex},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use tokio::time::Instant;

use super::{
    state::{AttemptOutcome, MAX_EACH, Mode, Object, Reading, Seat, Seen, SpecMode},
    statuses::Status,
};
use crate::{
    api::{DesiredMode, SwitchAt, SwitchSpec, TenantPricing},
    cluster::Key,
    connections::ConnectionProblem,
    index::{Index, TenantKey, Via},
    platform::{self, ErrorClass, Pricing, PricingVersion},
    pricing::{
        budget::{Budget, Exhausted, Users},
        decide::{self, Decision, GRACE_PERIOD, STALE_LIMIT, Verdict},
        facts::{
            self, Acceptance, AcceptedSibling, Access, AttemptBackoff, Circumstances, CompletedSibling,
            Facts, Proof, QueueState, TenantRead,
        },
        observe::siblings::{self, KnownAttempts},
        schedule::Clocks,
        status::report::{self, Intent},
        switch::protocol,
    },
    testing::fixtures::{
        self, CONNECTION_UID, DECEMBER, NOW, OTHER_TENANT, Scene, TENANT, error, instant, origin, tenant_id,
    },
};

/// An object, and what does not change about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Subject {
    pub object: Object,
    pub place: u8,
    pub tenant: u8,
    /// Whether `spec.switch.at` is `MonthStart`.
    pub month_start: bool,
}

/// Everything that a decision depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Case {
    pub subject: Subject,
    /// At the pre-write read: the mode that the first read showed.
    pub first: Option<Mode>,
    pub reading: Reading,
    pub connection_is_open: bool,
    pub remembered: Remembered,
    /// Whether the first of the month has come by the controller's clock.
    pub month_has_come: bool,
}

/// The content of `Circumstances`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Remembered {
    pub outcome: Option<AttemptOutcome>,
    pub others: Others,
    pub budget_is_exhausted: bool,
    pub is_backing_off: bool,
}

/// What the other objects with the same tenant are doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[allow(clippy::struct_excessive_bools)] // each is one field of `Memory`
pub(super) struct Others {
    pub has_older_owner: bool,
    pub is_open: bool,
    pub is_stalled: bool,
    /// The platform accepted an attempt of another object. Holds whether that was long ago.
    pub accepted: Option<bool>,
    /// The record of another object says that this controller switched the tenant.
    pub has_record: bool,
}

/// The result of a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Judged {
    /// Whether the decision is to switch.
    pub switches: bool,
    /// The status to write otherwise.
    pub status: Status,
}

/// Answers a question from a cache, if it was asked before.
fn remembering<Q: Eq + Hash + Clone, A: Copy>(
    answers: &Mutex<HashMap<Q, A>>,
    question: &Q,
    answer: impl FnOnce() -> A,
) -> A {
    let known = answers.lock().unwrap().get(question).copied();
    known.unwrap_or_else(|| {
        let answer = answer();
        answers.lock().unwrap().insert(question.clone(), answer);
        answer
    })
}

/// Decides, and builds the status that reports the decision.
pub(super) fn judge(case: &Case) -> Judged {
    static ANSWERS: LazyLock<Mutex<HashMap<Case, Judged>>> = LazyLock::new(Mutex::default);
    remembering(&ANSWERS, case, || {
        case.with_facts(|facts, stored| {
            let decision = decide::decide(facts);
            let switches = matches!(decision.verdict, Verdict::Switch { .. });
            // As in `switch`: without a tenant from a fresh read, the status continues the stored one.
            let facts =
                Facts { object: if facts.seen().is_some() { facts.object } else { stored }, ..*facts };
            Judged { switches, status: Status::of(&report::status(&facts, &decision)) }
        })
    })
}

/// The status that announces an attempt.
pub(super) fn announcement(case: &Case, attempt: u8) -> Status {
    static ANSWERS: LazyLock<Mutex<HashMap<(Case, u8), Status>>> = LazyLock::new(Mutex::default);
    remembering(&ANSWERS, &(*case, attempt), || {
        case.with_facts(|facts, _| {
            let decision = decide::decide(facts);
            let Decision { verdict: Verdict::Switch { scheduled_for }, .. } = decision else {
                panic!("the decision is not to switch: {decision:?}")
            };
            let intent = Intent { attempt_id: attempt_id(attempt), scheduled_for };
            Status::of(&report::announcing(facts, &decision, &intent))
        })
    })
}

impl Case {
    fn with_facts<T>(&self, with: impl FnOnce(&Facts<'_>, &TenantPricing) -> T) -> T {
        let stored = self.subject.get();
        let first = self.first.map(|mode| self.read(Reading::Seen(Seen { mode, ..Seen::default() })));
        let object = match &first {
            Some(first) => protocol::compared_with(&stored, first),
            None => stored.clone(),
        };
        let access = match (self.connection_is_open, self.reading) {
            (false, _) => Access::Unusable(ConnectionProblem::Suspended),
            (true, Reading::NotRead) => Access::NotResolved,
            (true, _) => Scene::new().access,
        };
        let (read, circumstances) = (self.read(self.reading), self.remembered.get());
        let now = time(self.month_has_come);
        with(
            &Facts { object: &object, access: &access, read: &read, circumstances: &circumstances, now },
            &stored,
        )
    }

    fn read(&self, reading: Reading) -> TenantRead {
        let Reading::Seen(seen) = reading else {
            return match reading {
                Reading::Failed => TenantRead::Failed(error(ErrorClass::Unavailable)),
                _ => TenantRead::NotRead,
            };
        };
        let word = match seen.mode {
            Mode::Trial => "trial",
            Mode::Production => "production",
            Mode::Suspended => "suspended",
        };
        let pricing = Pricing {
            mode: platform::Mode::from(word),
            version: PricingVersion::new(i128::from(seen.version)),
            production_start: None,
        };
        let scene = Scene::new().mode(word).seen(|scene| {
            scene.tenant.id = tenant_id(tenant(self.subject.tenant));
            scene.date = Some(time(seen.month_has_come));
            scene.pricing = Some(pricing);
        });
        scene.read
    }
}

fn backoff() -> AttemptBackoff {
    AttemptBackoff { error: error(ErrorClass::ParentDisabled), remaining: Duration::from_secs(40) }
}

fn the_other() -> Key {
    Key::new("team", "the-other")
}

impl Remembered {
    fn get(self) -> Circumstances {
        let budget = Budget { count: 1, window: Duration::from_hours(1) };
        let exhausted = Exhausted { used: 1, budget, next: Some(instant(DECEMBER)), users: Users::default() };
        Circumstances {
            outcome: self.outcome.map(AttemptOutcome::get),
            backoff: self.is_backing_off.then(backoff),
            older_owner: self.others.has_older_owner.then(the_other),
            sibling_open: self.others.is_open,
            sibling_stalled: self.others.is_stalled.then(the_other),
            sibling_accepted: self
                .others
                .accepted
                .map(|for_long| AcceptedSibling { key: Some(the_other()), for_long }),
            sibling_completed: self
                .others
                .has_record
                .then(|| CompletedSibling { key: the_other(), for_long: false }),
            queue_state: if self.budget_is_exhausted {
                QueueState::Exhausted(exhausted)
            } else {
                QueueState::Admitted
            },
            namespace_terminates: false,
            // These objects name their tenant by id.
            proof: Proof::Missing,
        }
    }
}

fn accepted(since: Duration) -> facts::AttemptOutcome {
    facts::AttemptOutcome::Accepted(Acceptance { at: instant(NOW), since })
}

impl AttemptOutcome {
    pub fn get(self) -> facts::AttemptOutcome {
        match self {
            Self::Unknown => facts::AttemptOutcome::Unknown(Duration::ZERO),
            Self::UnknownForLong => facts::AttemptOutcome::Unknown(GRACE_PERIOD),
            Self::NotSent => facts::AttemptOutcome::NotSent(None),
            Self::Unsent => facts::AttemptOutcome::NotSent(Some(error(ErrorClass::Unavailable))),
            Self::Refused => facts::AttemptOutcome::Refused(error(ErrorClass::VersionMismatch)),
            Self::RefusedForGood => facts::AttemptOutcome::Refused(error(ErrorClass::ParentDisabled)),
            Self::Accepted => accepted(Duration::ZERO),
            Self::AcceptedForLong => accepted(STALE_LIMIT),
        }
    }

    pub fn of(outcome: &facts::AttemptOutcome) -> Self {
        match outcome {
            facts::AttemptOutcome::Unknown(since) if *since < GRACE_PERIOD => Self::Unknown,
            facts::AttemptOutcome::Unknown(_) => Self::UnknownForLong,
            facts::AttemptOutcome::NotSent(None) => Self::NotSent,
            facts::AttemptOutcome::NotSent(Some(_)) => Self::Unsent,
            facts::AttemptOutcome::Refused(error) if error.class() == ErrorClass::ParentDisabled => {
                Self::RefusedForGood
            }
            facts::AttemptOutcome::Refused(_) => Self::Refused,
            facts::AttemptOutcome::Accepted(acceptance) if acceptance.since < STALE_LIMIT => Self::Accepted,
            facts::AttemptOutcome::Accepted(_) => Self::AcceptedForLong,
        }
    }
}

impl Subject {
    /// The object as the API server would return it.
    pub fn get(&self) -> TenantPricing {
        let Object { uid, generation, spec_mode, suspended, status } = self.object;
        let desired = match spec_mode {
            SpecMode::Unset => None,
            SpecMode::Trial => Some(DesiredMode::Trial),
            SpecMode::Production => Some(DesiredMode::Production),
        };
        let mut object = Scene::new().desired(desired).object;
        object.metadata.name = Some(format!("acme-{}", self.place));
        object.metadata.uid = Some(format!("uid-{uid}"));
        object.metadata.generation = Some(i64::from(generation));
        let age = SignedDuration::from_hours(10) - SignedDuration::from_mins(i64::from(uid));
        object.metadata.creation_timestamp = Some(Time(instant(NOW) - age));
        object.spec.tenant.id = Some(tenant(self.tenant).to_owned());
        object.spec.switch =
            self.month_start.then_some(SwitchSpec { at: Some(SwitchAt::MonthStart), not_before: None });
        object.spec.suspend = suspended;
        object.status = Some(status.get());
        object
    }
}

/// The input of a replica's index: each object as it is cached, whether its tenant was read for it, and whether this
/// process announced or completed an attempt for it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Known(pub Vec<(Subject, Seat)>);

impl Known {
    fn index(&self) -> Index {
        let index = Index::default();
        for (subject, seat) in &self.0 {
            let object = subject.get();
            let key = Key::of(&object);
            // The announcement came before the watch event. The cache may show it already.
            if let Some(attempt) = seat.record_attempt {
                index.record_attempt(&object, &attempt_id(attempt), instant(NOW));
            }
            // The returned keys do not matter here, since any process may take a step at any time.
            let _affected = index.apply(&key, &object);
            if seat.seen {
                let _affected = index.record_tenant(&key, &tenant_key(subject.tenant).tenant, CONNECTION_UID);
            }
            if let Some(status) = seat.record_completion {
                index.record_completion(&object, &status.get());
            }
        }
        index
    }
}

/// Whether an older object owns the tenant, whether another object has an open attempt for it, and whether that object
/// is stalled.
///
/// `remembered`: whether a process remembers an attempt with an unknown outcome, and an accepted one.
pub(super) fn beside_others(
    known: &Known,
    subject: &Subject,
    remembered: (bool, Option<AttemptOutcome>),
) -> Others {
    type Question = (Known, Subject, (bool, Option<AttemptOutcome>));
    static ANSWERS: LazyLock<Mutex<HashMap<Question, Others>>> = LazyLock::new(Mutex::default);
    remembering(&ANSWERS, &(known.clone(), *subject, remembered), || {
        let tenant = Some(tenant_key(subject.tenant).clone());
        let via = |_: &Key, _: &Key| Some(via());
        let object = subject.get();
        let acceptance = remembered.1.and_then(|outcome| match outcome.get() {
            facts::AttemptOutcome::Accepted(acceptance) => Some(acceptance),
            _ => None,
        });
        let known_of_tenant =
            |_: &TenantKey| KnownAttempts { in_grace_period: remembered.0, accepted: acceptance };
        let circumstances = siblings::with_siblings(
            Circumstances::default(),
            &object,
            tenant,
            &known.index(),
            known_of_tenant,
            via,
            instant(NOW),
        );
        Others {
            has_older_owner: circumstances.older_owner.is_some(),
            is_open: circumstances.sibling_open,
            is_stalled: circumstances.sibling_stalled.is_some(),
            accepted: circumstances.sibling_accepted.map(|other| other.for_long),
            has_record: circumstances.sibling_completed.is_some(),
        }
    })
}

/// Whether the budget has room for an object while `others` attempts of others are about to be announced.
pub(super) fn has_room(known: &Known, subject: &Subject, count: usize, others: u32) -> bool {
    type Question = (Known, Subject, usize, u32);
    static ANSWERS: LazyLock<Mutex<HashMap<Question, bool>>> = LazyLock::new(Mutex::default);
    remembering(&ANSWERS, &(known.clone(), *subject, count, others), || {
        let budget = Budget { count: u32::try_from(count).unwrap(), window: Duration::from_hours(1) };
        let clocks = Clocks { controller: instant(NOW), platform: instant(NOW) };
        protocol::room(&known.index(), budget, &subject.get(), others, clocks, Instant::now())
            == QueueState::Admitted
    })
}

/// The one connection, which has just read the tenant.
fn via() -> Via {
    Via { has_just_read: true, ..fixtures::via(origin()) }
}

pub(super) fn attempt_id(attempt: u8) -> String {
    format!("attempt-{attempt}")
}

pub(super) fn tenant_key(number: u8) -> &'static TenantKey {
    static KEYS: LazyLock<[TenantKey; MAX_EACH]> = LazyLock::new(|| {
        [TENANT, OTHER_TENANT].map(|tenant| TenantKey { platform: origin(), tenant: tenant_id(tenant) })
    });
    &KEYS[usize::from(number)]
}

fn tenant(number: u8) -> &'static str {
    if number == 0 { TENANT } else { OTHER_TENANT }
}

fn time(month_has_come: bool) -> Timestamp {
    instant(if month_has_come { DECEMBER } else { NOW })
}

impl Default for Seen {
    fn default() -> Self {
        Self { mode: Mode::Trial, version: 0, month_has_come: false }
    }
}
