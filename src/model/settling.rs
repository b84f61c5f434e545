//! Checks that every object settles once faults have stopped.
//!
//! In every state that the checker reaches, faults are stopped. Then *every* order of the remaining steps is followed
//! to its end. No order may go in a circle. Each must end with every object as its spec asks for it, or Stalled for a
//! true reason. The only fairness is that watches catch up before a replica acts after a read.
//!
//! The checker's own `eventually` finds less. It checks only the ends of runs. It never checks a run that goes in a
//! circle or that another run has joined.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
    sync::Mutex,
};

use stateright::Model;

use super::{
    Switching,
    faults::Faults,
    rules,
    state::{Replica, State},
};

/// What is known of the states without further faults.
#[derive(Debug, Default)]
pub(super) struct Settled {
    known: Mutex<HashMap<u64, Mark>>,
    /// What is wrong with the first state that does not settle.
    pub fault: Mutex<Option<String>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mark {
    OnTheWay,
    Settles,
}

impl Settled {
    pub fn count(&self) -> usize {
        self.known.lock().unwrap().len()
    }
}

impl Switching {
    /// Whether every run that follows without more faults ends well.
    pub fn settles(&self, state: &State) -> bool {
        let calm = State { faults: Faults::default(), is_calm: true, ..state.clone() };
        self.ends_well(&self.canonical(calm))
    }

    fn ends_well(&self, state: &State) -> bool {
        let mut hasher = DefaultHasher::new();
        state.hash(&mut hasher);
        let number = hasher.finish();
        let known = self.settled.known.lock().unwrap().get(&number).copied();
        match known {
            Some(Mark::Settles) => return true,
            Some(Mark::OnTheWay) => return self.finds(format!("goes in a circle: {state:#?}")),
            None => self.marks(number, Mark::OnTheWay),
        }
        if let Some(rule) = state.broken {
            return self.finds(format!("{rule:?} is broken when faults have stopped: {state:#?}"));
        }
        let following = self.next_states(state);
        if following.is_empty()
            && let Some(fault) = self.unrest(state)
        {
            return self.finds(format!("{fault}: {state:#?}"));
        }
        let ends_well = following.iter().all(|next| self.ends_well(next));
        if ends_well {
            self.marks(number, Mark::Settles);
        }
        ends_well
    }

    fn marks(&self, number: u64, mark: Mark) {
        self.settled.known.lock().unwrap().insert(number, mark);
    }

    fn finds(&self, fault: String) -> bool {
        self.settled.fault.lock().unwrap().get_or_insert(fault);
        false
    }

    /// What is wrong with a state without a next step. `None`: nothing.
    pub fn unrest(&self, state: &State) -> Option<String> {
        if !state.requests.is_empty() || !state.replicas.iter().all(Replica::is_idle) {
            return Some("a reconcile began and does not continue".to_owned());
        }
        self.setting.places().find_map(|place| rules::unrest(&self.setting, state, place))
    }

    /// Whether a run ends well in this state.
    pub fn is_at_rest(&self, state: &State) -> bool {
        state.broken.is_none() && self.unrest(state).is_none() && self.next_states(state).is_empty()
    }
}
