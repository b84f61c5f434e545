//! Whether everything comes to rest where it should, once nothing goes wrong any more.
//!
//! From every state that the checker reaches, faults are stopped and *every* order of the steps that are then left
//! is followed to its end. None may go in a circle, and each must end with every object as its spec asks for it, or
//! Stalled for a reason that is true. Fair is only this: watches catch up before a look is acted upon.
//!
//! The checker's own `eventually` sees less. It looks at the ends of runs alone, and never at a run that goes in a
//! circle or that was joined by another one.

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

/// What is known of states in which nothing goes wrong any more.
#[derive(Debug, Default)]
pub(super) struct Settled {
    known: Mutex<HashMap<u64, Mark>>,
    /// What is wrong with the first that does not come to rest.
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
    /// Whether every run that follows, without any more faults, ends well.
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

    /// What is wrong with a state that nothing follows. `None`: nothing is.
    pub fn unrest(&self, state: &State) -> Option<String> {
        if !state.requests.is_empty() || !state.replicas.iter().all(Replica::is_idle) {
            return Some("something was begun and does not go on".to_owned());
        }
        self.setting.places().find_map(|place| rules::unrest(&self.setting, state, place))
    }

    /// Whether this is the good end of a run.
    pub fn is_at_rest(&self, state: &State) -> bool {
        state.broken.is_none() && self.unrest(state).is_none() && self.next_states(state).is_empty()
    }
}
