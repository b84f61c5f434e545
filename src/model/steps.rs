//! All steps of replicas, users, the platform, and time.

mod attempts;
mod lease;
mod people;
mod platform;
mod reconciles;
mod time;

use std::time::Duration;

use super::{
    Setting, Switching,
    bugs::Bug,
    faults::Fault,
    state::{Mode, Seat, SpecMode, Stage, State},
};

/// The result of a write of a status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Answer {
    /// The write is answered.
    Comes,
    /// The write is lost before it is stored.
    LostBefore,
    /// The write is stored, and its answer is lost.
    LostAfter,
}

/// A step. A step of a replica holds the replica, and the place of the object that it acts for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Step {
    /// A watch falls behind: it still shows an older object.
    FallBehind(u8, u8),
    /// The watch catches up: it shows the stored object.
    CatchUp(u8, u8),
    /// A reconcile reads the tenant and decides.
    ReadTenant(u8, u8),
    ReadFails(u8, u8),
    /// The last step of a reconcile: the status is written.
    Write(u8, u8, Answer),
    /// An attempt reads the object from the API server.
    ReadStored(u8, u8),
    ReadStoredFails(u8, u8),
    /// The attempt sends the pre-write read to the platform.
    PrewriteRead(u8, u8),
    PrewriteReadFails(u8, u8),
    PrewriteReadArrives(u8, u8),
    /// The attempt reads the connection and decides.
    Decide(u8, u8),
    /// The attempt writes its announcement.
    Announce(u8, u8, Answer),
    /// The attempt sends the PUT.
    Send(u8, u8),
    /// The PUT cannot be sent, because no TCP connection is established.
    SendFails(u8, u8),
    /// Time passes before the next step of an attempt.
    Dawdle(u8, u8),
    /// The answer to the PUT arrives.
    Hear(u8, u8),
    /// The answer to the PUT does not arrive.
    TimeOut(u8, u8),
    /// The tenant is read back.
    ReadBack(u8, u8),
    ReadBackFails(u8, u8),
    /// A permanently refused switch is retried.
    BackoffEnds(u8, u8),
    /// A PUT reaches the platform.
    Arrive(u8),
    /// The platform refuses a PUT.
    Refuse(u8),
    /// A PUT is lost.
    Vanish(u8),
    /// The platform switches a tenant automatically.
    SwitchItself(u8),
    /// The platform takes a tenant back to trial.
    Reset(u8),
    /// The platform suspends a tenant.
    SuspendTenant(u8),
    /// The pricing settings of a tenant change in another way.
    ChangeVersion(u8),
    /// Reads fall behind, and show a tenant as it was before its switch.
    GoStale(u8),
    /// Reads catch up.
    ReadsCatchUp(u8),
    Crash(u8),
    /// A lease grows older, or expires.
    Age(u8),
    /// A lease is renewed.
    Renew(u8),
    /// A replica notices that its lease is lost.
    Notice(u8),
    /// A replica acquires the lease.
    Acquire(u8),
    /// A minute passes everywhere.
    Minute,
    /// A minute passes, except by the monotonic clock of a machine that sleeps.
    MinuteAsleep(u8),
    /// The first of the month comes by true time.
    Month,
    /// The first of the month comes by a replica's clock.
    MonthByClock(u8),
    Edit(u8, SpecMode),
    Suspend(u8),
    Delete(u8),
    Create(u8, SpecMode),
    /// The connection is closed or opened.
    TurnConnection,
}

fn of_time(setting: &Setting, state: &State, replica: u8, steps: &mut Vec<Step>) {
    if state.faults.allow(Fault::Sleep) {
        steps.push(Step::MinuteAsleep(replica));
    }
    if setting.month_start && !state.replica(replica).month_has_come {
        steps.push(Step::MonthByClock(replica));
    }
}

fn of_people(state: &State, place: u8, steps: &mut Vec<Step>) {
    const SPEC_MODES: [SpecMode; 3] = [SpecMode::Unset, SpecMode::Trial, SpecMode::Production];
    let faults = &state.faults;
    match state.object(place) {
        Some(object) => {
            if faults.allow(Fault::Edit) {
                let others = SPEC_MODES.into_iter().filter(|spec_mode| *spec_mode != object.spec_mode);
                steps.extend(others.map(|spec_mode| Step::Edit(place, spec_mode)));
                steps.push(Step::Suspend(place));
            }
            if faults.allow(Fault::Deletion) {
                steps.push(Step::Delete(place));
            }
        }
        // A deleted object may be created again.
        None if !state.is_calm => steps.push(Step::Create(place, SpecMode::Production)),
        None => {}
    }
}

impl Switching {
    /// All steps that may be possible.
    pub fn all_steps(&self, state: &State, steps: &mut Vec<Step>) {
        let (setting, faults) = (&self.setting, &state.faults);
        for replica in 0..setting.replicas {
            for place in setting.places() {
                self.of_reconcile(state, replica, place, steps);
            }
            if faults.allow(Fault::Crash) {
                steps.push(Step::Crash(replica));
            }
            Self::of_lease(state, replica, steps);
            of_time(setting, state, replica, steps);
        }
        steps.push(Step::Minute);
        if setting.month_start && !state.month_has_come {
            steps.push(Step::Month);
        }
        for (number, request) in (0..).zip(&state.requests) {
            if request.reply.is_none() {
                steps.push(Step::Arrive(number));
                if faults.allow(Fault::Refusal) {
                    steps.push(Step::Refuse(number));
                }
                if faults.allow(Fault::Request) {
                    steps.push(Step::Vanish(number));
                }
            }
        }
        for tenant in 0..if setting.tenants_differ { 2 } else { 1 } {
            let of_platform = [
                (Fault::Switch, Step::SwitchItself(tenant)),
                (Fault::Reset, Step::Reset(tenant)),
                (Fault::Suspension, Step::SuspendTenant(tenant)),
                (Fault::Version, Step::ChangeVersion(tenant)),
            ];
            let shown = state.tenants[usize::from(tenant)];
            if shown.is_stale {
                steps.push(Step::ReadsCatchUp(tenant));
            } else if shown.switched > 0 && shown.mode == Mode::Production && faults.allow(Fault::Stale) {
                steps.push(Step::GoStale(tenant));
            }
            steps.extend(
                of_platform.into_iter().filter(|(fault, _)| faults.allow(*fault)).map(|(_, step)| step),
            );
        }
        for place in setting.places() {
            of_people(state, place, steps);
        }
        if faults.allow(Fault::Connection) {
            steps.push(Step::TurnConnection);
        }
    }

    fn of_reconcile(&self, state: &State, replica: u8, place: u8, steps: &mut Vec<Step>) {
        let faults = &state.faults;
        let Seat { cached, is_behind, is_backing_off, stage, .. } = *state.seat(replica, place);
        if is_behind {
            steps.push(Step::CatchUp(replica, place));
        } else if faults.allow(Fault::Watch)
            && (self.has(Bug::NoQuorumList) || state.replica(replica).term.is_some())
        {
            steps.push(Step::FallBehind(replica, place));
        }
        let or_if = |fault, step| faults.allow(fault).then_some(step);
        let lost = |step: fn(u8, u8, Answer) -> Step| {
            [Answer::LostBefore, Answer::LostAfter]
                .into_iter()
                .filter(|_| faults.allow(Fault::Write))
                .map(move |answer| step(replica, place, answer))
        };
        match stage {
            Stage::Idle => {
                if cached.is_some() && self.has_time(state.replica(replica), Duration::ZERO) {
                    steps.push(Step::ReadTenant(replica, place));
                    steps.extend(or_if(Fault::Read, Step::ReadFails(replica, place)));
                    steps.extend(
                        or_if(Fault::Retry, Step::BackoffEnds(replica, place)).filter(|_| is_backing_off),
                    );
                }
            }
            Stage::Granted { .. } => {
                steps.push(Step::ReadStored(replica, place));
                steps.extend(or_if(Fault::Read, Step::ReadStoredFails(replica, place)));
            }
            Stage::ObjectRead { .. } => {
                steps.push(Step::PrewriteRead(replica, place));
                steps.extend(or_if(Fault::Read, Step::PrewriteReadFails(replica, place)));
            }
            Stage::ReadingTenant { .. } => steps.push(Step::PrewriteReadArrives(replica, place)),
            Stage::TenantRead { .. } => steps.push(Step::Decide(replica, place)),
            Stage::Announcing { .. } => {
                steps.push(Step::Announce(replica, place, Answer::Comes));
                steps.extend(lost(Step::Announce));
            }
            Stage::Announced { late, .. } => {
                steps.push(Step::Send(replica, place));
                steps.extend(or_if(Fault::Unsent, Step::SendFails(replica, place)));
                steps.extend(or_if(Fault::Slow, Step::Dawdle(replica, place)).filter(|_| !late.monotonic));
            }
            Stage::Waiting { .. } => {
                let own = state.awaited(replica, place);
                let is_answered = own.is_some_and(|request| request.reply.is_some());
                steps.extend(is_answered.then_some(Step::Hear(replica, place)));
                // A PUT that is lost is never answered.
                if own.is_none() || faults.allow(Fault::Answer) {
                    steps.push(Step::TimeOut(replica, place));
                }
            }
            Stage::Ended { .. } => {
                steps.push(Step::ReadBack(replica, place));
                steps.extend(or_if(Fault::Read, Step::ReadBackFails(replica, place)));
            }
            Stage::Writing { .. } => {
                steps.push(Step::Write(replica, place, Answer::Comes));
                steps.extend(lost(Step::Write));
            }
        }
    }

    /// The state after a step. `None` if the step cannot be taken.
    pub fn take(&self, last: &State, step: Step) -> Option<State> {
        let mut next = last.clone();
        match step {
            Step::FallBehind(replica, place) => {
                self.count_step("watch", "behind");
                next.faults.spend(Fault::Watch);
                next.seat_mut(replica, place).is_behind = true;
                Some(next)
            }
            Step::CatchUp(replica, place) => {
                next.seat_mut(replica, place).is_behind = false;
                Some(next)
            }
            Step::ReadTenant(replica, place) => self.read(next, replica, place, true),
            Step::ReadFails(replica, place) => {
                next.faults.spend(Fault::Read);
                self.read(next, replica, place, false)
            }
            Step::Write(replica, place, answer) => self.write(next, replica, place, answer),
            Step::ReadStored(replica, place) => self.read_stored(next, replica, place, true),
            Step::ReadStoredFails(replica, place) => {
                next.faults.spend(Fault::Read);
                self.read_stored(next, replica, place, false)
            }
            Step::PrewriteRead(replica, place) => self.prewrite_read(next, replica, place, true),
            Step::PrewriteReadFails(replica, place) => {
                next.faults.spend(Fault::Read);
                self.prewrite_read(next, replica, place, false)
            }
            Step::PrewriteReadArrives(replica, place) => self.prewrite_read_arrives(next, replica, place),
            Step::Decide(replica, place) => self.decide(next, replica, place),
            Step::Announce(replica, place, answer) => self.announce(next, replica, place, answer),
            Step::Send(replica, place) => self.send(next, replica, place),
            Step::SendFails(replica, place) => {
                next.faults.spend(Fault::Unsent);
                self.send_fails(next, replica, place)
            }
            Step::Dawdle(replica, place) => {
                next.faults.spend(Fault::Slow);
                self.dawdle(next, replica, place)
            }
            Step::BackoffEnds(replica, place) => {
                self.count_step("hold", "ends");
                next.faults.spend(Fault::Retry);
                next.seat_mut(replica, place).is_backing_off = false;
                Some(next)
            }
            Step::Hear(replica, place) => self.hear(next, replica, place),
            Step::TimeOut(replica, place) => self.time_out(next, replica, place),
            Step::ReadBack(replica, place) => self.read_back(next, replica, place, true),
            Step::ReadBackFails(replica, place) => {
                next.faults.spend(Fault::Read);
                self.read_back(next, replica, place, false)
            }
            Step::Arrive(_)
            | Step::Refuse(_)
            | Step::Vanish(_)
            | Step::SwitchItself(_)
            | Step::Reset(_)
            | Step::SuspendTenant(_)
            | Step::ChangeVersion(_)
            | Step::GoStale(_)
            | Step::ReadsCatchUp(_) => self.at_the_platform(next, step),
            Step::Edit(..) | Step::Suspend(_) | Step::Delete(_) | Step::Create(..) | Step::TurnConnection => {
                self.by_people(next, step)
            }
            Step::Age(_) | Step::Renew(_) | Step::Notice(_) | Step::Acquire(_) => {
                self.at_the_lease(next, step)
            }
            Step::Crash(_) | Step::Minute | Step::MinuteAsleep(_) | Step::Month | Step::MonthByClock(_) => {
                self.in_time(next, step)
            }
        }
    }
}
