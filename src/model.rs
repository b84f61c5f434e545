//! An exhaustive model of the switch protocol, with everything that can happen between two of its steps.
//!
//! The model calls the code that ships to decide, to report, to remember, and to go from one step to the next
//! (`shipped`, `remembered`). It models the rest in `steps`:
//! - the order of the requests of `switch` and `reconcile`, with one step for each (`reconciles`, `attempts`),
//! - the API server and its caches (`people`), and the platform (`platform`),
//! - leadership (`lease`), clocks (`time`), and how much may go wrong (`faults`, beside `steps`).
//!
//! Time is abstract. Nothing is measured. Each limit that matters has passed or not: the maximum age of a read and of
//! an announcement, the lease, and the grace period after an unknown outcome. `steps::time` lists the assumptions about
//! true time.
//!
//! The rules (`rules`) check the truth, not what a replica knows. `bugs` shows that they can fail. There the model, not
//! the code that ships, leaves something out, and the checker reports the rule that breaks.

mod bugs;
mod faults;
mod properties;
mod remembered;
mod rules;
mod settings;
mod settling;
mod shipped;
mod state;
mod statuses;
mod steps;
mod tests;

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use stateright::{Model, Property};

use self::{
    bugs::Bug,
    faults::{Fault, Faults},
    settling::Settled,
    state::{History, MAX_EACH, Mode, Object, Replica, SpecMode, State, Tenant, Term},
    statuses::Status,
    steps::Step,
};

/// The initial state of a model, and what may happen in it.
#[derive(Clone, Debug)]
struct Setting {
    pub name: &'static str,
    /// What the objects ask for, the oldest object first.
    pub objects: Vec<(SpecMode, Suspended)>,
    /// Whether each object names a tenant of its own.
    pub tenants_differ: bool,
    pub replicas: u8,
    /// Whether each switch waits for the first of the month.
    pub month_start: bool,
    /// How many switches the budget allows. The window covers the whole run.
    pub budget: usize,
    /// Whether the platform refuses every switch of the first tenant.
    pub first_is_refused: bool,
    pub faults: Faults,
}

/// `spec.suspend`.
type Suspended = bool;

/// The model of one setting.
#[derive(Clone)]
struct Switching {
    pub setting: Setting,
    /// What this model leaves out on purpose.
    pub bugs: &'static [Bug],
    /// The number of times that each step was taken, by its result.
    pub steps_taken: Arc<Mutex<BTreeMap<(&'static str, &'static str), u64>>>,
    /// The number of times that each fault occurred.
    pub faults_seen: Arc<Mutex<BTreeMap<Fault, u64>>>,
    pub settled: Arc<Settled>,
    /// Whether convergence is checked as well.
    pub checks_convergence: bool,
    /// Whether a model that leaves something out has found a broken rule, so that the search ends.
    is_found: Arc<AtomicBool>,
}

impl Setting {
    pub fn places(&self) -> impl Iterator<Item = u8> + use<> {
        0..u8::try_from(self.objects.len()).unwrap()
    }

    /// Whether the budget can be exhausted.
    pub fn has_budget(&self) -> bool {
        self.budget < self.objects.len()
    }

    /// Whether the platform refuses every PUT for a tenant.
    pub fn refuses(&self, tenant: u8) -> bool {
        self.first_is_refused && tenant == 0
    }

    pub fn tenant_of(&self, place: u8) -> u8 {
        if self.tenants_differ { place } else { 0 }
    }
}

impl Switching {
    pub fn new(setting: Setting, bugs: &'static [Bug]) -> Self {
        Self {
            setting,
            bugs,
            steps_taken: Arc::default(),
            faults_seen: Arc::default(),
            settled: Arc::default(),
            checks_convergence: bugs.is_empty(),
            is_found: Arc::default(),
        }
    }

    pub fn has(&self, bug: Bug) -> bool {
        self.bugs.contains(&bug)
    }

    /// Counts a step and its result.
    pub fn count_step(&self, step: &'static str, met: &'static str) {
        *self.steps_taken.lock().unwrap().entry((step, met)).or_default() += 1;
    }
}

impl Model for Switching {
    type State = State;
    type Action = Step;

    fn init_states(&self) -> Vec<State> {
        let setting = &self.setting;
        let mut state = State {
            stored: [None; MAX_EACH],
            histories: [History::default(); MAX_EACH],
            created: 0,
            tenants: [Tenant { mode: Mode::Trial, version: 1, switched: 0, unknown: None, is_stale: false };
                MAX_EACH],
            requests: Vec::new(),
            replicas: [Replica::started(false), Replica::started(false)],
            attempts: 0,
            connection_is_open: true,
            month_has_come: false,
            faults: setting.faults,
            is_calm: false,
            broken: None,
        };
        for (place, (spec_mode, suspended)) in setting.objects.iter().enumerate() {
            let (spec_mode, suspended) = (*spec_mode, *suspended);
            let uid = state.created;
            state.created += 1;
            let status = Status::first();
            state.stored[place] = Some(Object { uid, generation: 1, spec_mode, suspended, status });
        }
        state.replicas[0].term = Some(Term::default());
        state.replicas[0].leads = true;
        vec![self.canonical(state)]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Step>) {
        if state.broken.is_none() && !self.is_found.load(Ordering::Relaxed) {
            self.all_steps(state, actions);
        }
    }

    fn next_state(&self, last: &State, step: Step) -> Option<State> {
        let next = self.take(last, step)?;
        for fault in last.faults.used(&next.faults) {
            *self.faults_seen.lock().unwrap().entry(fault).or_default() += 1;
        }
        if next.broken.is_some() && !self.bugs.is_empty() {
            self.is_found.store(true, Ordering::Relaxed);
        }
        Some(self.canonical(next)).filter(|next| next != last)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        properties::all(self)
    }
}
