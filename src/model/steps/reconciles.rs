//! An ordinary reconcile (`reconcile`): a read, the decision after it, and the status write.

use crate::{
    api::Phase,
    model::{
        Switching,
        bugs::Bug,
        faults::Fault,
        rules,
        shipped::{self, Case, Judged, Known, Subject},
        state::{AttemptOutcome, Begun, Mode, Object, Reading, Remembered, Seat, Seen, Stage, State},
        steps::Answer,
    },
    platform::PUT_TIMEOUT,
    pricing::switch::protocol,
};

impl Switching {
    pub fn subject(&self, object: Object, place: u8) -> Subject {
        let tenant = self.setting.tenant_of(place);
        Subject { object, place, tenant, month_start: self.setting.month_start }
    }

    /// What the platform shows of the tenant of an object.
    pub fn reading(&self, state: &State, place: u8, is_answered: bool) -> Reading {
        let tenant = state.tenants[usize::from(self.setting.tenant_of(place))];
        let month_has_come = state.month_has_come;
        let seen = if tenant.is_stale {
            Seen { mode: Mode::Trial, version: tenant.version - 1, month_has_come }
        } else {
            Seen { mode: tenant.mode, version: tenant.version, month_has_come }
        };
        if is_answered { Reading::Seen(seen) } else { Reading::Failed }
    }

    /// Decides as a replica would now. What it remembers of an open attempt begins here, as it does in the code that
    /// ships.
    pub fn judge(
        &self,
        state: &mut State,
        (replica, place): (u8, u8),
        object: Object,
        first: Option<Mode>,
        reading: Reading,
        budget_is_exhausted: bool,
    ) -> (Case, Judged) {
        let subject = self.subject(object, place);
        let known = self.known(state, replica);
        let connection_is_open = state.connection_is_open;
        let own = state.replica_mut(replica);
        let open = object.status.open_attempt();
        let is_backing_off = own.seats[usize::from(place)].is_backing_off;
        if let Some(attempt) = object.status.completed_attempt() {
            own.circumstances.resolved(attempt);
            own.has_heard[usize::from(subject.tenant)] = false;
        }
        let mut remembered =
            shipped::Remembered { budget_is_exhausted, is_backing_off, ..shipped::Remembered::default() };
        remembered.outcome = open.map(|attempt| self.outcome(&mut own.circumstances, attempt, &subject));
        if connection_is_open && matches!(reading, Reading::Seen(_)) {
            let in_grace_period =
                own.circumstances.in_grace_period(subject.tenant) && !self.has(Bug::GraceSkipped);
            let accepted = own.circumstances.accepted(subject.tenant);
            remembered.others = shipped::beside_others(&known, &subject, (in_grace_period, accepted));
            if self.has(Bug::NoOlderOwner) {
                remembered.others.has_older_owner = false;
            }
            if self.has(Bug::OpenElsewhereIgnored) {
                remembered.others = shipped::Others {
                    has_older_owner: remembered.others.has_older_owner,
                    has_record: remembered.others.has_record,
                    ..shipped::Others::default()
                };
            }
            if self.has(Bug::RecordElsewhereIgnored) {
                remembered.others.has_record = false;
            }
        }
        let month_has_come = own.month_has_come;
        let case = Case { subject, first, reading, connection_is_open, remembered, month_has_come };
        (case, shipped::judge(&case))
    }

    fn outcome(&self, circumstances: &mut Remembered, attempt: u8, subject: &Subject) -> AttemptOutcome {
        let outcome = circumstances.outcome(attempt, subject.tenant, subject.object.status.is_accepted());
        match outcome {
            AttemptOutcome::Unknown if self.has(Bug::GraceSkipped) => AttemptOutcome::UnknownForLong,
            outcome => outcome,
        }
    }

    /// The input of a replica's index.
    pub fn known(&self, state: &State, replica: u8) -> Known {
        let seats = (0..).zip(&state.replica(replica).seats);
        let cached = seats.filter_map(|(place, seat)| {
            let subject = self.subject(seat.cached?, place);
            Some((
                subject,
                Seat { stage: Stage::Idle, begun: Begun::default(), is_backing_off: false, ..*seat },
            ))
        });
        Known(cached.collect())
    }

    /// Whether the budget has no room for an object.
    pub fn is_exhausted(&self, state: &State, (replica, place): (u8, u8), object: Object) -> bool {
        if !self.setting.has_budget() {
            return false;
        }
        let seats = (0..).zip(&state.replica(replica).seats);
        let others = seats.filter(|(other, seat)| *other != place && self.uses_up(seat)).count();
        let others = u32::try_from(others).unwrap();
        let subject = self.subject(object, place);
        !shipped::has_room(&self.known(state, replica), &subject, self.setting.budget, others)
    }

    /// Whether another object holds a place in the budget that no announcement shows.
    fn uses_up(&self, seat: &Seat) -> bool {
        let was_closed = |object: Object| {
            object.status.phase() == Some(Phase::Scheduled) && object.status.attempt().is_some()
        };
        let counts_in_vain = self.has(Bug::RefusedCount) && seat.cached.is_some_and(was_closed);
        seat.stage.is_about_to_announce() || counts_in_vain
    }

    /// A read, and the decision that follows from it and from the cache.
    pub fn read(&self, mut next: State, replica: u8, place: u8, is_answered: bool) -> Option<State> {
        // In calm, watches catch up and leases are renewed or gone before a reconcile begins.
        let own = next.replica(replica);
        let is_steady =
            own.leads && self.has_time(own, PUT_TIMEOUT) && own.seats.iter().all(|seat| !seat.is_behind);
        let is_stale = next.tenants[usize::from(self.setting.tenant_of(place))].is_stale;
        if next.is_calm && (!is_steady || is_stale) {
            return None;
        }
        let object = next.seat(replica, place).cached?;
        let is_open = object.status.open_attempt().is_some();
        let is_read = next.connection_is_open && (!object.suspended || is_open);
        let reading = if is_read { self.reading(&next, place, is_answered) } else { Reading::NotRead };
        if !is_answered && reading != Reading::Failed {
            return None;
        }
        next.seat_mut(replica, place).seen |= matches!(reading, Reading::Seen(_));
        let (_, judged) = self.judge(&mut next, (replica, place), object, None, reading, false);
        let judged = if judged.switches && self.is_exhausted(&next, (replica, place), object) {
            self.judge(&mut next, (replica, place), object, None, reading, true).1
        } else {
            judged
        };
        if judged.switches {
            let Reading::Seen(seen) = reading else { return None };
            if is_stale {
                // The platform refuses each of these for its version, and the next one would follow.
                if !next.faults.allow(Fault::Stale) {
                    return None;
                }
                next.faults.spend(Fault::Stale);
            }
            let tenant = self.setting.tenant_of(place);
            let is_claimed = next.replica_mut(replica).circumstances.claim(tenant);
            if !is_claimed && !self.has(Bug::NothingIsClaimed) {
                return None;
            }
            self.count_step("read", "switch");
            next.seat_mut(replica, place).stage = Stage::Granted { first: seen.mode };
        } else {
            self.count_step("read", "status");
            Self::finish(&mut next, (replica, place), object, judged);
        }
        Some(next)
    }

    /// Starts the status write of a reconcile, if the status changes.
    pub fn finish(next: &mut State, (replica, place): (u8, u8), object: Object, judged: Judged) {
        let status = judged.status;
        let is_new = status != object.status;
        next.seat_mut(replica, place).stage =
            if is_new { Stage::Writing { object, status } } else { Stage::Idle };
    }

    /// The last step of a reconcile: the status is written over the object that it was made for, or not at all.
    pub fn write(&self, mut next: State, replica: u8, place: u8, answer: Answer) -> Option<State> {
        let Stage::Writing { object, status } = next.seat(replica, place).stage else { return None };
        let is_unchanged = next.object(place) == Some(object);
        let is_stored = is_unchanged && answer != Answer::LostBefore;
        if answer != Answer::Comes {
            next.faults.spend(Fault::Write);
            // A conflict whose answer is lost is the same as a lost write.
            if answer == Answer::LostAfter && !is_unchanged {
                return None;
            }
        }
        self.count_step("write", if is_stored { "stored" } else { "not stored" });
        if status.completed_attempt().is_some() && status.is_by_the_controller() {
            next.seat_mut(replica, place).record_completion = Some(status);
        }
        if is_stored {
            let after = Object { status, ..object };
            next.stored[usize::from(place)] = Some(after);
            rules::at_status(&mut next, place);
            // A stored completion is known, whether or not the answer to the write arrives.
            if object.status.open_attempt().is_some_and(|open| status.completed_attempt() == Some(open)) {
                next.tenants[usize::from(self.setting.tenant_of(place))].unknown = None;
            }
            if answer == Answer::Comes && object.status.open_attempt().is_some() {
                let (before, after) = (self.subject(object, place).get(), self.subject(after, place).get());
                let resolved = protocol::resolved(&before, &after).is_some();
                if let Some(attempt) = object.status.open_attempt().filter(|_| resolved) {
                    next.replica_mut(replica).circumstances.resolved(attempt);
                    let tenant = usize::from(self.setting.tenant_of(place));
                    if status.completed_attempt() == Some(attempt) {
                        next.replica_mut(replica).has_heard[tenant] = false;
                    }
                }
                if protocol::returns(&before, &status.get()) {
                    next.seat_mut(replica, place).record_attempt = None;
                }
            }
        }
        next.seat_mut(replica, place).stage = Stage::Idle;
        Some(next)
    }
}
