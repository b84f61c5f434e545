//! The protocol of the switch, with everything that can happen between two of its steps, explored exhaustively.
//!
//! What decides, what reports, what is remembered and what leads from one step to the next is the code that ships
//! (`shipped`, `remembered`). Modelled is the rest: the order of the requests that `act` and `reconcile` make, one
//! step each (`reconciles`, `attempts`), the API server with its caches (`people`, `steps`), the platform
//! (`platform`), who leads (`lease`), clocks (`time`), and how much may go wrong (`faults`).
//!
//! Time is abstract. Nothing is measured; what matters of it may have passed, or not: the life of a look and of an
//! announcement, the lease, the quiet time. What is assumed of true time is in `time`.
//!
//! The rules (`rules`) look at the truth. `bugs` shows that they can be broken: there the model, not the code that
//! ships, leaves something out, and each time the checker says how that ends.

mod attempts;
mod bugs;
mod faults;
mod lease;
mod people;
mod platform;
mod properties;
mod reconciles;
mod remembered;
mod rules;
mod settings;
mod settling;
mod shipped;
mod state;
mod statuses;
mod steps;
mod tests;
mod time;

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
    state::{Asked, History, MOST, Mode, Object, Replica, State, Tenant, Term},
    statuses::Status,
    steps::Step,
};

/// What there is to begin with, and what may happen.
#[derive(Clone, Debug)]
struct Setting {
    pub name: &'static str,
    /// What the objects ask for, the oldest first.
    pub objects: Vec<(Asked, Suspended)>,
    /// Each object stands for a tenant of its own.
    pub tenants_differ: bool,
    pub replicas: u8,
    /// Each switch waits for the first of the month.
    pub month_start: bool,
    /// So many switches in the time looked at.
    pub budget: usize,
    /// The platform refuses the first tenant for good.
    pub first_is_refused: bool,
    pub faults: Faults,
}

/// `spec.suspend`.
type Suspended = bool;

/// The model of a setting.
#[derive(Clone)]
struct Switching {
    pub setting: Setting,
    /// What the model leaves out on purpose.
    pub bugs: &'static [Bug],
    /// How often each step was taken, by what it met.
    pub taken: Arc<Mutex<BTreeMap<(&'static str, &'static str), u64>>>,
    /// How often each fault befell.
    pub befallen: Arc<Mutex<BTreeMap<Fault, u64>>>,
    pub settled: Arc<Settled>,
    /// Whether convergence is looked at as well.
    pub looks_at_ends: bool,
    /// With something left out: it is found what that breaks, and nothing is looked at any more.
    is_found: Arc<AtomicBool>,
}

impl Setting {
    pub fn places(&self) -> impl Iterator<Item = u8> + use<> {
        0..u8::try_from(self.objects.len()).unwrap()
    }

    /// Whether the budget can be used up.
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
            taken: Arc::default(),
            befallen: Arc::default(),
            settled: Arc::default(),
            looks_at_ends: bugs.is_empty(),
            is_found: Arc::default(),
        }
    }

    pub fn has(&self, bug: Bug) -> bool {
        self.bugs.contains(&bug)
    }

    /// Notes that a step was taken, and what it met.
    pub fn note(&self, step: &'static str, met: &'static str) {
        *self.taken.lock().unwrap().entry((step, met)).or_default() += 1;
    }
}

impl Model for Switching {
    type State = State;
    type Action = Step;

    fn init_states(&self) -> Vec<State> {
        let setting = &self.setting;
        let mut state = State {
            stored: [None; MOST],
            histories: [History::default(); MOST],
            created: 0,
            tenants: [Tenant { mode: Mode::Trial, version: 1, switched: 0, unknown: None, is_stale: false };
                MOST],
            requests: Vec::new(),
            replicas: [Replica::started(false), Replica::started(false)],
            attempts: 0,
            connection_is_open: true,
            month_has_come: false,
            faults: setting.faults,
            is_calm: false,
            broken: None,
        };
        for (place, (asked, suspended)) in setting.objects.iter().enumerate() {
            let (asked, suspended) = (*asked, *suspended);
            let uid = state.created;
            state.created += 1;
            let status = Status::first();
            state.stored[place] = Some(Object { uid, generation: 1, asked, suspended, status });
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
        for fault in last.faults.spent(&next.faults) {
            *self.befallen.lock().unwrap().entry(fault).or_default() += 1;
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
