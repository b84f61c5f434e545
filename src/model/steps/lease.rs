//! The lease: who holds it, what each replica knows of that, and what it may begin.
//!
//! The code that ships decides whether there is time for a step (`has_time`). The model covers what the elector does. A
//! renewal carries the resource version. It fails if another replica has acquired the lease. If none has, it succeeds
//! even when the lease has expired unnoticed. A leader whose monotonic clock shows that the lease has expired does not
//! renew it, and its next term is a new one. Any time may pass until a lease is lost and acquired again.

use std::time::Duration;

use jiff::SignedDuration;

use crate::{
    cluster::lease::has_time,
    model::{
        Switching,
        bugs::Bug,
        faults::Fault,
        state::{Age, Begun, Replica, State, Term},
        steps::Step,
    },
    platform::PUT_TIMEOUT,
};

impl Age {
    /// The largest age that still leaves enough time, the smallest that does not, and the smallest that is over. The
    /// numbers are repeated here on purpose.
    fn elapsed(self) -> Duration {
        match self {
            Self::Fresh => Duration::from_secs(5),
            Self::Short => Duration::from_millis(5001),
            Self::Over => Duration::from_secs(15),
        }
    }
}

impl Switching {
    /// Whether a replica may begin something that takes at most `limit`, according to its term.
    pub fn has_time(&self, replica: &Replica, limit: Duration) -> bool {
        replica.term.is_some_and(|term| {
            let elapsed = term.age.elapsed();
            let asleep = if term.has_slept { SignedDuration::from_mins(1) } else { SignedDuration::ZERO };
            let by_the_clock = SignedDuration::try_from(elapsed).unwrap() + asleep;
            let is_asked = !self.has(Bug::WallClockIgnored);
            has_time(elapsed, if is_asked { by_the_clock } else { SignedDuration::ZERO }, limit)
        })
    }

    /// Whether an attempt may still lead to a PUT. This is checked before the announcement and before the PUT. An
    /// attempt from an ended term may not, even if its replica leads again.
    pub fn may_go_on(&self, state: &State, (replica, place): (u8, u8)) -> bool {
        let is_of_this_term =
            state.seat(replica, place).begun == Begun::InThisTerm || self.has(Bug::TermIgnored);
        let has_time = self.has_time(state.replica(replica), PUT_TIMEOUT);
        is_of_this_term && has_time || self.has(Bug::LeaseUnchecked)
    }

    /// The steps that change who leads, or who believes to lead.
    pub fn of_lease(state: &State, replica: u8, steps: &mut Vec<Step>) {
        let (faults, own) = (&state.faults, state.replica(replica));
        let none_leads = state.replicas.iter().all(|replica| !replica.leads);
        let Some(term) = own.term else {
            steps.extend(none_leads.then_some(Step::Acquire(replica)));
            return;
        };
        match term.age {
            Age::Fresh if own.leads && faults.allow(Fault::Lease) => steps.push(Step::Age(replica)),
            Age::Short if own.leads => steps.push(Step::Age(replica)),
            _ => {}
        }
        // A replica that has not noticed renews an expired lease as well, unless another one has acquired it.
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
                self.count_step("lease", "ages");
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
                self.count_step(
                    "lease",
                    if own.leads { "renewed" } else { "renewed, though it had run out" },
                );
                (own.term, own.leads) = (Some(Term::default()), true);
            }
            Step::Notice(replica) => {
                self.count_step("lease", "lost");
                let own = next.replica_mut(replica);
                own.term = None;
                for seat in &mut own.seats {
                    // `canonical` forgets it where it makes no difference.
                    seat.begun = Begun::InAnEarlierTerm;
                }
            }
            Step::Acquire(replica) => self.acquire(&mut next, replica),
            _ => return None,
        }
        Some(next)
    }

    /// A replica acquires the lease. Before anything else it merges a quorum LIST that was made after that.
    fn acquire(&self, next: &mut State, replica: u8) {
        let is_listed = !self.has(Bug::NoQuorumList);
        let own = next.replica_mut(replica);
        let is_again = own.seats.iter().any(|seat| seat.begun == Begun::InAnEarlierTerm);
        self.count_step("lease", if is_again { "regained in the middle of an attempt" } else { "acquired" });
        (own.term, own.leads) = (Some(Term::default()), true);
        for seat in &mut own.seats {
            seat.is_behind &= !is_listed;
        }
        for (number, other) in (0..).zip(&mut next.replicas) {
            if let Some(term) = other.term.as_mut().filter(|_| number != replica) {
                // An expired lease is not renewed anyway.
                term.is_taken = term.age < Age::Over;
            }
        }
    }
}
