//! Processes that end, and clocks.
//!
//! The only assumptions about true time:
//! - A replica acquires the lease only after the other lease has expired by true time. That lease was measured from the
//!   start of its last renewal.
//! - The platform processes a PUT, or the PUT is lost, before the minute is over for which nothing more is sent. Until
//!   then it may arrive at any moment, whether or not the sender still waits for it.
//! - Nothing happens between the check of the age of the pre-write read and the start of the journal write. Nor does
//!   anything between the check that a PUT may start and its start. (The version in the PUT covers a process that is
//!   stopped right there.)
//! - All monotonic clocks run equally fast, except that of a machine that sleeps, which stands still. The wall clock
//!   shows that the machine slept.

use crate::model::{
    Switching,
    bugs::Bug,
    faults::Fault,
    state::{Age, Begun, MAX_EACH, Object, Remembered, Replica, Seat, State, Term},
    steps::Step,
};

impl Switching {
    pub fn in_time(&self, mut next: State, step: Step) -> Option<State> {
        match step {
            Step::Crash(replica) => self.crash(&mut next, replica),
            Step::Minute => {
                let waits = |replica: &Replica| replica.circumstances != after_a_minute(replica);
                if !next.replicas.iter().any(waits) {
                    return None;
                }
                // A leader that lets a minute pass in the middle of an attempt is slow.
                let is_slow = |replica: &Replica| {
                    replica.term.is_some_and(|term| term.age < Age::Over)
                        && replica.seats.iter().any(|seat| seat.stage.would_grow_old())
                };
                if next.replicas.iter().any(is_slow) {
                    if !next.faults.allow(Fault::Slow) {
                        return None;
                    }
                    next.faults.spend(Fault::Slow);
                }
                self.a_minute_passes(&mut next, None)?;
            }
            Step::MinuteAsleep(replica) => {
                next.faults.spend(Fault::Sleep);
                self.a_minute_passes(&mut next, Some(replica))?;
            }
            Step::Month => next.month_has_come = true,
            Step::MonthByClock(replica) => next.replica_mut(replica).month_has_come = true,
            _ => return None,
        }
        Some(next)
    }

    /// A process dies and starts again.
    fn crash(&self, next: &mut State, replica: u8) {
        next.faults.spend(Fault::Crash);
        for seat in next.replica(replica).seats {
            self.count_step("crash", seat.stage.stage());
        }
        *next.replica_mut(replica) = Replica::started(next.replica(replica).month_has_come);
        next.requests.retain_mut(|request| {
            request.is_awaited &= request.replica != replica;
            request.is_awaited || request.reply.is_none()
        });
    }

    /// A minute passes for everything that is measured. A machine that sleeps does not renew its lease either.
    fn a_minute_passes(&self, next: &mut State, asleep: Option<u8>) -> Option<()> {
        if next.requests.iter().any(|request| request.reply.is_none()) {
            return None;
        }
        self.count_step("minute", if asleep.is_some() { "asleep" } else { "" });
        for (number, replica) in (0..).zip(&mut next.replicas) {
            let is_awake = asleep != Some(number);
            if is_awake {
                replica.circumstances.a_minute_passes();
            }
            replica.leads &= is_awake;
            if let Some(term) = replica.term.as_mut().filter(|_| !replica.leads) {
                // The leader has renewed it meanwhile.
                let is_over = is_awake || term.age == Age::Over;
                *term = if is_over {
                    Term { age: Age::Over, ..Term::default() }
                } else {
                    Term { has_slept: true, ..*term }
                };
            }
            for seat in &mut replica.seats {
                seat.stage.grows_old(is_awake);
            }
        }
        for tenant in &mut next.tenants {
            tenant.unknown = None;
        }
        Some(())
    }

    /// Adds what follows without a step: watches that are not behind show what is stored. Also maps states that differ
    /// in nothing that matters to the same state. The caches of a standby do not matter, because it reads their content
    /// again before it leads.
    pub fn canonical(&self, mut state: State) -> State {
        let is_listed = !self.has(Bug::NoQuorumList);
        state.faults = state.faults.canonical();
        for replica in &mut state.replicas {
            for seat in &mut replica.seats {
                if !seat.stage.may_send() {
                    seat.begun = Begun::default();
                }
            }
            // An idle replica notices that its lease has expired before it does anything.
            if replica.is_idle() {
                replica.term = replica.term.filter(|term| term.age < Age::Over);
            }
            if is_listed && replica.term.is_none() && replica.is_idle() {
                replica.seats = [Seat::empty(); MAX_EACH];
                continue;
            }
            for (seat, stored) in replica.seats.iter_mut().zip(state.stored) {
                if seat.is_behind {
                    continue;
                }
                if seat.cached.map(|object| object.uid) != stored.map(|object| object.uid) {
                    (seat.seen, seat.record_attempt, seat.is_backing_off) = (false, None, false);
                    seat.record_completion = None;
                }
                seat.cached = stored;
                // The watch has delivered what this process announced.
                seat.record_attempt =
                    seat.record_attempt.filter(|number| shown_attempt(stored) != Some(*number));
                let is_shown = stored.is_some_and(|object| object.status.is_by_the_controller());
                seat.record_completion = seat.record_completion.filter(|_| !is_shown);
            }
        }
        state
    }
}

/// The attempt in the journal of an object, open or not.
fn shown_attempt(object: Option<Object>) -> Option<u8> {
    object?.status.attempt()
}

fn after_a_minute(replica: &Replica) -> Remembered {
    let mut circumstances = replica.circumstances.clone();
    circumstances.a_minute_passes();
    circumstances
}
