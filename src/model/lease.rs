//! The lease: who has it, what each replica knows of that, and what it may begin.
//!
//! Whether there is time for something is asked of the code that ships (`has_time`). Modelled is what the elector
//! does: a renewal carries the resource version, so it fails if another replica has taken the lease, and succeeds
//! even when the lease has run out unnoticed, if none has; a leader whose monotonic clock says that it has run out
//! renews it no more, and its next term is a new one. How long it takes to lose a lease and to regain it is open.

use std::time::Duration;

use jiff::SignedDuration;

use super::{
    Switching,
    bugs::Bug,
    faults::Fault,
    state::{Age, Begun, Replica, State, Term},
    steps::Step,
};
use crate::{cluster::lease::has_time, platform::PUT_TIMEOUT};

impl Age {
    /// The longest that still is enough, the shortest that is not, and the shortest that is over: written down here
    /// once more.
    fn elapsed(self) -> Duration {
        match self {
            Self::Fresh => Duration::from_secs(5),
            Self::Short => Duration::from_millis(5001),
            Self::Over => Duration::from_secs(15),
        }
    }
}

impl Switching {
    /// Whether a replica may begin something that takes no longer than this, as its term says.
    pub fn has_time(&self, replica: &Replica, limit: Duration) -> bool {
        replica.term.is_some_and(|term| {
            let elapsed = term.age.elapsed();
            let asleep = if term.has_slept { SignedDuration::from_mins(1) } else { SignedDuration::ZERO };
            let by_the_clock = SignedDuration::try_from(elapsed).unwrap() + asleep;
            let is_asked = !self.has(Bug::WallClockUnasked);
            has_time(elapsed, if is_asked { by_the_clock } else { SignedDuration::ZERO }, limit)
        })
    }

    /// Whether an attempt may still lead to a PUT: asked before it is announced, and before the PUT. What was begun
    /// in a term that has ended may not, even if its replica leads again.
    pub fn may_go_on(&self, state: &State, (replica, place): (u8, u8)) -> bool {
        let is_of_this_term =
            state.seat(replica, place).begun == Begun::InThisTerm || self.has(Bug::TermsUntold);
        let has_time = self.has_time(state.replica(replica), PUT_TIMEOUT);
        is_of_this_term && has_time || self.has(Bug::LeaseUnchecked)
    }

    /// The steps that change who leads, or who is thought to.
    pub fn of_lease(state: &State, replica: u8, steps: &mut Vec<Step>) {
        let (faults, own) = (&state.faults, state.replica(replica));
        let nobody_leads = state.replicas.iter().all(|replica| !replica.leads);
        let Some(term) = own.term else {
            steps.extend(nobody_leads.then_some(Step::Acquire(replica)));
            return;
        };
        match term.age {
            Age::Fresh if own.leads && faults.allow(Fault::Lease) => steps.push(Step::Age(replica)),
            Age::Short if own.leads => steps.push(Step::Age(replica)),
            _ => {}
        }
        // One that has run out is renewed as well by who does not know it, unless another one has taken it.
        let is_due = term.age == Age::Short || term.has_slept;
        if is_due && term.age < Age::Over && !term.is_taken {
            steps.push(Step::Renew(replica));
        }
        if !own.leads {
            steps.push(Step::Notice(replica));
        }
    }

    pub fn at_the_lease(&self, mut next: State, step: Step) -> Option<State> {
        match step {
            Step::Age(replica) => {
                self.note("lease", "ages");
                let own = next.replica_mut(replica);
                let term = own.term.as_mut()?;
                if term.age == Age::Fresh {
                    term.age = Age::Short;
                    next.faults.spend(Fault::Lease);
                } else {
                    *term = Term { age: Age::Over, ..Term::default() };
                    own.leads = false;
                }
            }
            Step::Renew(replica) => {
                let own = next.replica_mut(replica);
                self.note("lease", if own.leads { "renewed" } else { "renewed, though it had run out" });
                (own.term, own.leads) = (Some(Term::default()), true);
            }
            Step::Notice(replica) => {
                self.note("lease", "lost");
                let own = next.replica_mut(replica);
                own.term = None;
                for seat in &mut own.seats {
                    // Of those that it makes no difference to, it is forgotten, see `canonical`.
                    seat.begun = Begun::InAnEarlierTerm;
                }
            }
            Step::Acquire(replica) => self.acquire(&mut next, replica),
            _ => return None,
        }
        Some(next)
    }

    /// A replica takes the lease, and merges a quorum LIST made after that before it does anything else.
    fn acquire(&self, next: &mut State, replica: u8) {
        let is_listed = !self.has(Bug::NoQuorumList);
        let own = next.replica_mut(replica);
        let is_again = own.seats.iter().any(|seat| seat.begun == Begun::InAnEarlierTerm);
        self.note("lease", if is_again { "regained in the middle of an attempt" } else { "taken" });
        (own.term, own.leads) = (Some(Term::default()), true);
        for seat in &mut own.seats {
            seat.is_behind &= !is_listed;
        }
        for (number, other) in (0..).zip(&mut next.replicas) {
            if let Some(term) = other.term.as_mut().filter(|_| number != replica) {
                // What is over is not renewed anyway.
                term.is_taken = term.age < Age::Over;
            }
        }
    }
}
