//! An attempt (`switch`): read the object, read the tenant, decide, announce, send, receive the answer, read back. Each
//! request is one step, so that everything else can happen in between.

use std::time::Duration;

use jiff::SignedDuration;

use crate::{
    clock::Elapsed,
    cluster::{WriteError, Written},
    model::{
        Switching,
        bugs::Bug,
        faults::Fault,
        rules,
        shipped::{self, Case, attempt_id},
        state::{AttemptOutcome, Late, Object, Reading, Reply, Request, Stage, State},
        steps::Answer,
    },
    platform::{ErrorClass, PutOutcome},
    pricing::switch::protocol,
    testing::fixtures::{NOW, error, instant},
};

/// The elapsed time by each clock.
fn passed(late: Late) -> Elapsed {
    let monotonic = if late.monotonic { Duration::from_mins(1) } else { Duration::ZERO };
    let wall = if late.wall { SignedDuration::from_mins(1) } else { SignedDuration::ZERO };
    Elapsed { monotonic, wall }
}

impl Switching {
    /// Ends the attempt, and releases the tenant.
    fn give_up(&self, next: &mut State, replica: u8, place: u8) {
        let tenant = self.setting.tenant_of(place);
        next.replica_mut(replica).circumstances.release(tenant);
        next.seat_mut(replica, place).stage = Stage::Idle;
    }

    pub fn read_stored(&self, mut next: State, replica: u8, place: u8, is_answered: bool) -> Option<State> {
        let Stage::Granted { first } = next.seat(replica, place).stage else { return None };
        let cached = next.seat(replica, place).cached;
        let stored = if self.has(Bug::CachedObject) { cached } else { next.object(place) };
        // It must be the object of the decision, not another one of the same name.
        let is_same = |object: &Object| cached.is_none_or(|cached| cached.uid == object.uid);
        match stored.filter(|object| is_answered && is_same(object)) {
            Some(object) => next.seat_mut(replica, place).stage = Stage::ObjectRead { first, object },
            None => self.give_up(&mut next, replica, place),
        }
        self.count_step("read stored", "");
        Some(next)
    }

    pub fn prewrite_read(&self, mut next: State, replica: u8, place: u8, is_answered: bool) -> Option<State> {
        let Stage::ObjectRead { first, object } = next.seat(replica, place).stage else { return None };
        let reading = self.reading(&next, place, is_answered);
        self.count_step("pre-write read", if is_answered { "sent" } else { "failed" });
        next.seat_mut(replica, place).stage =
            Stage::ReadingTenant { first, object, reading, begun: Late::default() };
        Some(next)
    }

    /// The answer arrives. The tenant that it shows may be as old as the read took.
    pub fn prewrite_read_arrives(&self, mut next: State, replica: u8, place: u8) -> Option<State> {
        let Stage::ReadingTenant { first, object, reading, begun } = next.seat(replica, place).stage else {
            return None;
        };
        self.count_step("pre-write read", if begun.wall { "came late" } else { "came" });
        let answered = Late::default();
        next.seat_mut(replica, place).stage = Stage::TenantRead { first, object, reading, begun, answered };
        Some(next)
    }

    /// The connection is read from the API server, and the attempt decides.
    pub fn decide(&self, mut next: State, replica: u8, place: u8) -> Option<State> {
        let Stage::TenantRead { first, object, reading, begun, answered } = next.seat(replica, place).stage
        else {
            return None;
        };
        let is_exhausted = self.is_exhausted(&next, (replica, place), object);
        let (_, judged) = self.judge(&mut next, (replica, place), object, Some(first), reading, is_exhausted);
        let asked = if self.has(Bug::ReadsUnbounded) { answered } else { begun };
        let is_too_old = protocol::is_too_old(passed(answered), passed(asked));
        let may_go_on = self.may_go_on(&next, (replica, place));
        match reading {
            Reading::Seen(_) if judged.switches && !may_go_on => {
                self.count_step("decide", "without a lease");
                self.give_up(&mut next, replica, place);
            }
            Reading::Seen(_) if judged.switches && is_too_old => {
                self.count_step("decide", "too late");
                next.seat_mut(replica, place).stage = Stage::Granted { first };
            }
            Reading::Seen(seen) if judged.switches => {
                self.count_step("decide", "switch");
                rules::at_decision(&mut next, begun.wall);
                let late = Late::default();
                next.seat_mut(replica, place).stage = Stage::Announcing { first, object, seen, late };
            }
            _ => {
                self.count_step("decide", "not now");
                self.give_up(&mut next, replica, place);
                Self::finish(&mut next, (replica, place), object, judged);
            }
        }
        Some(next)
    }

    /// The journal is written over the object that was read.
    pub fn announce(&self, mut next: State, replica: u8, place: u8, answer: Answer) -> Option<State> {
        let Stage::Announcing { first, object, seen, late } = next.seat(replica, place).stage else {
            return None;
        };
        if answer != Answer::Comes {
            next.faults.spend(Fault::Write);
        }
        let stored = next.object(place);
        let is_guarded = !self.has(Bug::JournalUnguarded);
        let over =
            stored.filter(|stored| if is_guarded { *stored == object } else { stored.uid == object.uid });
        if over.is_none() && answer == Answer::LostAfter {
            return None;
        }
        let (attempt, tenant) = (next.attempts + 1, self.setting.tenant_of(place));
        let case = Case {
            subject: self.subject(object, place),
            first: Some(first),
            reading: Reading::Seen(seen),
            connection_is_open: true,
            remembered: shipped::Remembered::default(),
            month_has_come: next.replica(replica).month_has_come,
        };
        let announced = over.map(|over| Object { status: shipped::announcement(&case, attempt), ..over });
        let (before, announced) = (over, announced.filter(|_| answer != Answer::LostBefore));
        if let (Some(before), Some(announced)) = (before, announced) {
            next.attempts = attempt;
            next.stored[usize::from(place)] = Some(announced);
            rules::at_journal_write(&self.setting, &mut next, place, before);
            rules::at_status(&mut next, place);
        }
        let written = match (answer, announced) {
            (Answer::Comes, Some(announced)) => {
                Written::Stored(Box::new(self.subject(announced, place).get()))
            }
            (Answer::Comes, None) => Written::Conflict,
            _ => Written::Unknown(WriteError::Timeout),
        };
        let is_announced = protocol::is_announced(&written, &attempt_id(attempt));
        if is_announced {
            next.seat_mut(replica, place).record_attempt =
                Some(attempt).filter(|_| self.setting.has_budget());
        } else if protocol::may_be_stored(&written) {
            next.attempts = attempt;
            next.replica_mut(replica).circumstances.record(attempt, tenant, AttemptOutcome::NotSent.get());
        }
        if let (true, Some(object)) = (is_announced, announced) {
            self.count_step("announce", "announced");
            next.seat_mut(replica, place).stage =
                Stage::Announced { object, attempt, version: seen.version, late };
            return Some(next);
        }
        self.count_step("announce", if announced.is_some() { "stored, not known" } else { "not stored" });
        self.give_up(&mut next, replica, place);
        Some(next)
    }

    /// The PUT is sent, unless a check prevents it.
    pub fn send(&self, mut next: State, replica: u8, place: u8) -> Option<State> {
        let Stage::Announced { object, attempt, version, late } = next.seat(replica, place).stage else {
            return None;
        };
        let has_lease = self.may_go_on(&next, (replica, place));
        let tenant = self.setting.tenant_of(place);
        if !protocol::is_in_time(passed(late)) || !has_lease {
            self.count_step("send", if has_lease { "too late" } else { "without a lease" });
            next.replica_mut(replica).circumstances.record(attempt, tenant, AttemptOutcome::NotSent.get());
            next.seat_mut(replica, place).stage = Stage::Ended { object };
            return Some(next);
        }
        self.count_step("send", "sent");
        rules::at_send(&self.setting, &mut next, (replica, place), (attempt, object.uid));
        next.tenants[usize::from(tenant)].unknown = Some((place, object.uid));
        let (uid, is_awaited) = (object.uid, true);
        next.requests.push(Request { replica, place, uid, tenant, version, reply: None, is_awaited });
        next.seat_mut(replica, place).stage = Stage::Waiting { object, attempt, version };
        Some(next)
    }

    pub fn send_fails(&self, mut next: State, replica: u8, place: u8) -> Option<State> {
        let Stage::Announced { object, attempt, .. } = next.seat(replica, place).stage else { return None };
        let outcome = PutOutcome::NotSent(error(ErrorClass::Unavailable));
        let tenant = self.setting.tenant_of(place);
        next.replica_mut(replica).circumstances.record(
            attempt,
            tenant,
            protocol::outcome_of(outcome, instant(NOW)),
        );
        next.seat_mut(replica, place).stage = Stage::Ended { object };
        self.count_step("send", "no connection");
        Some(next)
    }

    pub fn dawdle(&self, mut next: State, replica: u8, place: u8) -> Option<State> {
        let Stage::Announced { late, .. } = &mut next.seat_mut(replica, place).stage else { return None };
        *late = Late { monotonic: true, wall: true };
        self.count_step("dawdle", "");
        Some(next)
    }

    /// The answer to a PUT arrives.
    pub fn hear(&self, mut next: State, replica: u8, place: u8) -> Option<State> {
        let request = next.take_awaited(replica, place)?;
        let outcome = match request.reply? {
            Reply::Accepted => PutOutcome::Accepted,
            Reply::Refused if self.setting.refuses(request.tenant) => {
                PutOutcome::Refused(error(ErrorClass::ParentDisabled))
            }
            Reply::Refused => PutOutcome::Refused(error(ErrorClass::VersionMismatch)),
        };
        self.count_step("hear", if outcome == PutOutcome::Accepted { "accepted" } else { "refused" });
        if outcome == PutOutcome::Accepted {
            next.replica_mut(replica).has_heard[usize::from(request.tenant)] = true;
        } else {
            next.tenants[usize::from(request.tenant)].unknown = None;
        }
        let is_forgotten = outcome == PutOutcome::Accepted && self.has(Bug::AcceptedForgotten);
        let outcome =
            if is_forgotten { PutOutcome::Unknown(error(ErrorClass::Unavailable)) } else { outcome };
        self.ended(next, replica, place, outcome)
    }

    /// No certain answer arrives. The PUT may still be in flight.
    pub fn time_out(&self, mut next: State, replica: u8, place: u8) -> Option<State> {
        let Stage::Waiting { object, attempt, version } = next.seat(replica, place).stage else {
            return None;
        };
        match next.take_awaited(replica, place) {
            Some(request) => {
                next.faults.spend(Fault::Answer);
                if request.reply.is_none() {
                    next.requests.push(Request { is_awaited: false, ..request });
                }
            }
            // The PUT is lost.
            None => self.count_step("time out", "lost"),
        }
        self.count_step("time out", "");
        if self.has(Bug::BlindRepeat) {
            let late = Late::default();
            next.seat_mut(replica, place).stage = Stage::Announced { object, attempt, version, late };
            return Some(next);
        }
        self.ended(next, replica, place, PutOutcome::Unknown(error(ErrorClass::Unavailable)))
    }

    fn ended(&self, mut next: State, replica: u8, place: u8, outcome: PutOutcome) -> Option<State> {
        let Stage::Waiting { object, attempt, .. } = next.seat(replica, place).stage else { return None };
        let tenant = self.setting.tenant_of(place);
        let outcome = protocol::outcome_of(outcome, instant(NOW));
        // As in `switch`: the next attempt waits after a failed one. A temporary refusal is decided again sooner or
        // later in any case.
        let is_backing_off = protocol::failure(&outcome).is_some()
            && AttemptOutcome::of(&outcome) == AttemptOutcome::RefusedForGood;
        next.replica_mut(replica).circumstances.record(attempt, tenant, outcome);
        let seat = next.seat_mut(replica, place);
        (seat.stage, seat.is_backing_off) = (Stage::Ended { object }, is_backing_off);
        Some(next)
    }

    /// The tenant is read, and the outcome of the attempt is decided as after a crash.
    pub fn read_back(&self, mut next: State, replica: u8, place: u8, is_answered: bool) -> Option<State> {
        let Stage::Ended { object } = next.seat(replica, place).stage else { return None };
        let reading = self.reading(&next, place, is_answered);
        // The read uses the connection as it was read before: it was open then.
        let connection_is_open = std::mem::replace(&mut next.connection_is_open, true);
        let (_, judged) = self.judge(&mut next, (replica, place), object, None, reading, false);
        next.connection_is_open = connection_is_open;
        self.count_step("read back", if is_answered { "seen" } else { "failed" });
        self.give_up(&mut next, replica, place);
        Self::finish(&mut next, (replica, place), object, judged);
        Some(next)
    }
}
