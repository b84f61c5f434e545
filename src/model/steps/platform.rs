//! The platform. It accepts only a PUT with the present version, and only once. It may refuse, answers may be lost, and
//! it may change a tenant on its own.

use crate::model::{
    Switching,
    faults::Fault,
    rules,
    state::{Mode, Reply, State},
    steps::Step,
};

impl Switching {
    pub fn at_the_platform(&self, mut next: State, step: Step) -> Option<State> {
        match step {
            Step::Arrive(number) => {
                let request = *next.requests.get(usize::from(number))?;
                let is_refused = self.setting.refuses(request.tenant);
                let tenant = &mut next.tenants[usize::from(request.tenant)];
                let is_accepted =
                    !is_refused && tenant.version == request.version && tenant.mode == Mode::Trial;
                if is_accepted {
                    tenant.mode = Mode::Production;
                    tenant.version += 1;
                    tenant.switched += 1;
                    rules::at_effect(&mut next, request.place, request.uid, request.tenant);
                }
                self.count_step("arrive", if is_accepted { "accepted" } else { "refused" });
                answer(&mut next, number, if is_accepted { Reply::Accepted } else { Reply::Refused });
            }
            Step::Refuse(number) => {
                next.faults.spend(Fault::Refusal);
                self.count_step("refuse", "");
                answer(&mut next, number, Reply::Refused);
            }
            Step::Vanish(number) => {
                next.faults.spend(Fault::Request);
                self.count_step("vanish", "");
                next.requests.remove(usize::from(number));
            }
            Step::SwitchItself(tenant) => {
                next.faults.spend(Fault::Switch);
                self.becomes(&mut next, tenant, Mode::Trial, Mode::Production)?;
            }
            Step::Reset(tenant) => {
                next.faults.spend(Fault::Reset);
                if next.tenants[usize::from(tenant)].mode == Mode::Trial {
                    return None;
                }
                let mode = next.tenants[usize::from(tenant)].mode;
                self.becomes(&mut next, tenant, mode, Mode::Trial)?;
                next.tenants[usize::from(tenant)].switched = 0;
            }
            Step::SuspendTenant(tenant) => {
                next.faults.spend(Fault::Suspension);
                self.becomes(&mut next, tenant, Mode::Production, Mode::Suspended)?;
            }
            Step::ChangeVersion(tenant) => {
                next.faults.spend(Fault::Version);
                self.count_step("version", "");
                next.tenants[usize::from(tenant)].version += 1;
            }
            Step::GoStale(tenant) => {
                next.faults.spend(Fault::Stale);
                self.count_step("stale", "begins");
                next.tenants[usize::from(tenant)].is_stale = true;
            }
            Step::ReadsCatchUp(tenant) => {
                self.count_step("stale", "ends");
                next.tenants[usize::from(tenant)].is_stale = false;
            }
            _ => return None,
        }
        Some(next)
    }

    fn becomes(&self, next: &mut State, tenant: u8, from: Mode, to: Mode) -> Option<()> {
        let tenant = &mut next.tenants[usize::from(tenant)];
        if tenant.mode != from {
            return None;
        }
        self.count_step("becomes", ["trial", "production", "suspended"][to as usize]);
        tenant.mode = to;
        tenant.version += 1;
        Some(())
    }
}

/// Answers a PUT. A PUT whose sender no longer waits has ended.
fn answer(next: &mut State, number: u8, reply: Reply) {
    let number = usize::from(number);
    if next.requests[number].is_awaited {
        next.requests[number].reply = Some(reply);
    } else {
        next.requests.remove(number);
    }
}
