//! Carries out the plan, step by step and on time.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};
use kube::api::{Api, ListParams};
use serde_json::json;
use tenant_pricing_controller::simulator::{
    Fault, FaultAction, FaultId, PRODUCTION, TRIAL, TenantKind, TenantRecord, TenantSpec,
};
use tokio::{sync::Mutex, task::JoinSet};

use super::{
    action::{Action, ConnectionEdit, Console, NewObject, Role, Through, Whose},
    environment::{ChaosEnvironment, TEAMS, WRONG_SECRET, connection, in_order},
    faults,
    history::What,
    plan::{Plan, SPECIAL},
    replicas::Replicas,
    requests::Requests,
    traffic::Least,
    users::{Heard, tenant_id, tenant_name},
};
use crate::harness::Server;

/// A fault of the platform that no request meets ends after this time.
const FAULT_LASTS: Duration = Duration::from_secs(10);
/// So often what was changed in the platform's console without anybody to take it back is taken back.
const TIDIED_EVERY: Duration = Duration::from_secs(8);
/// The first of the month comes.
const NEXT_MONTH: &str = "2026-12-01T00:00:01Z";
/// The longest time until a server that was killed is back.
const BACK: Duration = Duration::from_secs(180);

pub struct Driver {
    pub environment: ChaosEnvironment,
    pub replicas: Replicas,
    pub plan: Plan,
    pub requests: Requests,
    injected: std::sync::Mutex<Vec<(FaultId, Fault)>>,
    /// One edit at a time of each connection, one disruption at a time to the servers.
    connections: [Mutex<()>; 3],
    servers: Mutex<()>,
}

impl Driver {
    pub async fn new(plan: Plan) -> Arc<Self> {
        let environment = ChaosEnvironment::set(plan.narrow()).await;
        let replicas = Replicas::start(&environment, plan.shape.replicas).await;
        let requests = Requests::follow(&environment.simulator);
        Arc::new(Self {
            environment,
            replicas,
            plan,
            requests,
            injected: std::sync::Mutex::default(),
            connections: Default::default(),
            servers: Mutex::default(),
        })
    }

    /// Carries out the whole plan, and ends when nothing is wrong any more.
    pub async fn perform(self: &Arc<Self>, least: &Least) {
        let start = tokio::time::Instant::now();
        let mut tasks = JoinSet::new();
        let tidying = Arc::clone(self);
        tasks.spawn(async move {
            while !tidying.environment.pause(TIDIED_EVERY).await {
                tidying.tidy(|_| true);
            }
        });
        let lasts = self.plan.shape.lasts;
        for step in self.plan.steps.clone() {
            if step.at > lasts && least.too_seldom(&self.counts()).is_empty() {
                break;
            }
            tokio::time::sleep_until(start + step.at).await;
            let this = Arc::clone(self);
            tasks.spawn(async move { this.carry_out(step.action).await });
        }
        tokio::time::sleep_until(start + lasts).await;
        self.environment.history.say("nothing goes wrong any more");
        self.environment.quiet.cancel();
        while let Some(ended) = tasks.join_next().await {
            ended.unwrap();
        }
        self.settle().await;
    }

    async fn carry_out(&self, action: Action) {
        let kind = action.kind();
        self.environment.history.say(format!("{action:?}"));
        let did = match action {
            Action::Create(new) => {
                self.add_tenant(&new);
                self.environment.users.create(&new).await == Heard::Yes
            }
            Action::Edit { object, edit } => self.environment.users.edit(object, edit).await == Heard::Yes,
            Action::Foreign { object, write, number } => {
                self.environment.users.write_foreign(object, write, number).await == Heard::Yes
            }
            Action::Delete { object } => self.environment.users.delete(object).await == Heard::Yes,
            Action::Recreate { object } => self.recreate(object).await,
            Action::Connection { connection, edit, mended_after } => {
                self.edit_connection(connection, edit, mended_after).await
            }
            Action::Console { tenant, change, undone_after } => {
                self.console(tenant, change, undone_after).await
            }
            Action::Platform(fault) => return self.inject(fault).await,
            Action::StaleReads { tenant, lasts } => self.stale_reads(&tenant_id(tenant), lasts).await,
            Action::RevokeTokens => {
                self.environment.simulator.revoke_tokens();
                true
            }
            Action::Clock { whose, seconds, lasts } => self.clock(whose, seconds, lasts).await,
            Action::MonthPasses => {
                self.environment.set_right_time(NEXT_MONTH.parse::<Timestamp>().unwrap());
                self.set_clocks();
                true
            }
            Action::Replica { which, what } => {
                self.replicas.disrupt(&self.environment, self.replicas.place(which), what).await
            }
            Action::Api { which, trouble, times } => {
                let replica = &self.replicas.all()[self.replicas.place(which)];
                (0..times).for_each(|_| replica.proxy.trouble(trouble));
                return;
            }
            Action::Kill { server, back_after } => self.kill(server, back_after).await,
            Action::Stop { server, lasts } => self.stop(server, lasts).await,
        };
        if did {
            self.environment.history.count(&kind, 1);
        }
    }

    async fn recreate(&self, object: usize) -> bool {
        let new = self.plan.steps.iter().find_map(|step| match &step.action {
            Action::Create(new) if new.object == object => Some(new),
            _ => None,
        });
        let Some(new) = new else { return false };
        let deleted = self.environment.users.delete(object).await == Heard::Yes;
        self.environment.users.create(new).await == Heard::Yes && deleted
    }

    fn add_tenant(&self, new: &NewObject) {
        let simulator = &self.environment.simulator;
        let mut spec = TenantSpec::customer(tenant_name(new.tenant, new.role)).id(tenant_id(new.tenant));
        match new.role {
            Role::NoSuchTenant => return,
            Role::NotACustomer => spec.kind = TenantKind::Partner,
            Role::Disabled => spec = spec.disabled(),
            Role::Locked => spec = spec.locked_by(tenant_id(99_999)),
            Role::ParentDisabled => spec.parent_disabled = true,
            Role::UnknownMode => spec = spec.mode("frozen"),
            Role::SuspendedThere => spec = spec.mode("suspended"),
            Role::AlreadyProduction => spec = spec.mode("production"),
            Role::PlatformFirst(seconds) => {
                let at = simulator.now() + SignedDuration::from_secs(seconds.into());
                spec = spec.production_start_date(at);
            }
            Role::Ambiguous => {
                let other = spec.clone().id(tenant_id(90_000 + new.tenant));
                simulator.try_add_tenant(other).unwrap();
            }
            Role::Switched | Role::MonthStart | Role::Observed | Role::Trial => {}
        }
        // A duplicate's is there already.
        let _ = simulator.try_add_tenant(spec);
    }

    async fn edit_connection(&self, through: Through, edit: ConnectionEdit, mended_after: Duration) -> bool {
        let own = (mended_after.as_millis() % 2) as usize;
        let place = if through == Through::Own { own } else { 2 };
        let _alone = self.connections[place].lock().await;
        let users = &self.environment.users;
        let (namespace, name) = connection(through, TEAMS[own]);
        let closed = What::Closed { connection: format!("{namespace}/{name}") };
        let spec = match edit {
            ConnectionEdit::Suspend => json!({"suspend": true}),
            ConnectionEdit::Budget(count) => json!({"switch": {"budget": {"count": count}}}),
            ConnectionEdit::Pace(rate) => json!({"requestsPerSecond": rate}),
            ConnectionEdit::WrongSecret | ConnectionEdit::NoSecret => {
                let wrong =
                    json!({"clientId": self.environment.simulator.client_id(), "clientSecret": WRONG_SECRET});
                let values = (edit == ConnectionEdit::WrongSecret).then_some(wrong);
                let heard = users.secret(namespace, values.as_ref()).await;
                self.environment.simulator.revoke_tokens();
                self.environment.pause(mended_after).await;
                users.secret(namespace, Some(&self.environment.credentials())).await;
                return heard == Heard::Yes;
            }
        };
        let heard = users.edit_connection(namespace, name, &spec).await;
        if heard == Heard::Yes && matches!(edit, ConnectionEdit::Suspend | ConnectionEdit::Budget(0)) {
            self.environment.history.begin(closed.clone());
        }
        self.environment.pause(mended_after).await;
        self.environment.history.end(&closed);
        self.mend_connection(through, TEAMS[own]).await;
        heard == Heard::Yes
    }

    async fn mend_connection(&self, through: Through, team: &str) {
        let (namespace, name) = connection(through, team);
        let mut spec = in_order(through);
        spec["suspend"] = json!(false);
        let heard = self.environment.users.edit_connection(namespace, name, &spec).await;
        assert_eq!(heard, Heard::Yes, "{namespace}/{name} is mended");
    }

    /// Changes a tenant that is in trial: others are read once a day.
    async fn console(&self, tenant: usize, change: Console, undone_after: Duration) -> bool {
        let id = tenant_id(tenant);
        let (now, mut changed) = (self.environment.simulator.now(), false);
        self.environment.simulator.update_tenant(&id, |record| {
            if record.pricing.mode == TRIAL && record.deleted_at.is_none() {
                change.change().apply(record, now);
                changed = true;
            }
        });
        if changed && change.is_undone() {
            self.environment.pause(undone_after).await;
            self.tidy(|number| number == tenant);
        }
        changed
    }

    /// Takes back what was done in the console to these tenants, as far as it can be.
    pub fn tidy(&self, which: impl Fn(usize) -> bool) {
        let simulator = &self.environment.simulator;
        let root = simulator.root_tenant();
        for tenant in simulator.customers() {
            let Some(number) = number_of(&tenant) else { continue };
            if number >= SPECIAL.len() && which(number) {
                simulator.update_tenant(&tenant.id, |record| undo(record, number, &root));
            }
        }
    }

    async fn inject(&self, fault: Fault) {
        let simulator = &self.environment.simulator;
        let stale = fault.action == FaultAction::StaleRead;
        if stale {
            self.environment.history.begin(What::Stale);
        }
        let id = simulator.inject(fault.clone());
        self.injected.lock().unwrap().push((id, fault));
        self.environment.pause(FAULT_LASTS).await;
        simulator.clear_fault(id);
        if stale {
            self.environment.history.end(&What::Stale);
        }
    }

    /// Counts if the tenant was switched and shown in trial.
    async fn stale_reads(&self, tenant: &str, lasts: Duration) -> bool {
        let (simulator, history) = (&self.environment.simulator, &self.environment.history);
        let stale = What::StaleOf { tenant: tenant.to_owned() };
        history.begin(stale.clone());
        let id = simulator.inject(Fault::new(FaultAction::StaleRead).tenant(tenant));
        self.environment.pause(lasts).await;
        simulator.clear_fault(id);
        history.end(&stale);
        simulator.tenant(tenant).is_some_and(|tenant| tenant.pricing.mode == PRODUCTION)
    }

    async fn clock(&self, whose: Whose, seconds: i64, lasts: Duration) -> bool {
        if whose == Whose::Platform {
            self.environment.history.begin(What::PlatformClock);
        }
        self.environment.clock_is_off(whose, seconds);
        self.environment.pause(lasts).await;
        self.environment.clock_is_off(whose, 0);
        if whose == Whose::Platform {
            self.environment.history.end(&What::PlatformClock);
        }
        true
    }

    fn set_clocks(&self) {
        self.environment.clock_is_off(Whose::Platform, 0);
        (0..self.replicas.len()).for_each(|place| self.environment.clock_is_off(Whose::Replica(place), 0));
    }

    async fn kill(&self, server: Server, back_after: Duration) -> bool {
        let _alone = self.servers.lock().await;
        let control_plane = self.environment.control_plane;
        self.until_served().await;
        control_plane.down(server, true);
        control_plane.signal(server, "KILL");
        self.environment.pause(back_after).await;
        control_plane.down(server, false);
        self.until_served().await;
        true
    }

    async fn stop(&self, server: Server, lasts: Duration) -> bool {
        let _alone = self.servers.lock().await;
        self.until_served().await;
        self.environment.control_plane.signal(server, "STOP");
        self.environment.pause(lasts).await;
        self.environment.control_plane.signal(server, "CONT");
        self.until_served().await;
        true
    }

    /// Waits until the API server answers, and etcd behind it.
    async fn until_served(&self) {
        let namespaces: Api<k8s_openapi::api::core::v1::Namespace> =
            Api::all(self.environment.client.clone());
        let served = async {
            let one = ListParams::default().limit(1);
            while !matches!(
                tokio::time::timeout(Duration::from_secs(2), namespaces.list(&one)).await,
                Ok(Ok(_))
            ) {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        tokio::time::timeout(BACK, served).await.expect("the API server comes back");
    }

    /// How often each thing was done, and each fault met a request.
    pub fn counts(&self) -> BTreeMap<String, u32> {
        let mut counts = self.environment.history.counts();
        for (id, fault) in self.injected.lock().unwrap().iter() {
            *counts.entry(faults::kind(fault)).or_default() += self.environment.simulator.fault_hits(*id);
        }
        for (name, hits) in self.replicas.all().iter().flat_map(|replica| replica.proxy.trouble_hits()) {
            *counts.entry(format!("API: {name}")).or_default() += hits;
        }
        counts
    }

    /// Mends all that users can mend.
    async fn settle(&self) {
        let simulator = &self.environment.simulator;
        simulator.clear_faults();
        self.replicas.all().iter().for_each(|replica| replica.proxy.clear_troubles());
        // What was done to every third stays: the reason to be stalled is true then.
        self.tidy(|number| number % 3 != 0);
        for tenant in simulator.customers() {
            // It would be waited for.
            simulator.update_tenant(&tenant.id, |record| record.deprovisioning = false);
        }
        self.set_clocks();
        for (through, team) in [(Through::Wide, TEAMS[0]), (Through::Own, TEAMS[0]), (Through::Own, TEAMS[1])]
        {
            self.mend_connection(through, team).await;
        }
        self.environment.history.say("all is mended");
    }
}

/// The number of a tenant that an object was made for.
fn number_of(tenant: &TenantRecord) -> Option<usize> {
    let number = tenant.id.strip_prefix("7e4a4700-0000-4000-8000-")?;
    number.parse().ok().filter(|number| *number < 90_000)
}

fn undo(record: &mut TenantRecord, number: usize, root: &str) {
    record.locked_by = None;
    record.enabled = true;
    record.deleted_at = None;
    root.clone_into(&mut record.parent_id);
    record.name = tenant_name(number, Role::Switched);
    record.deprovisioning = false;
    if record.pricing.mode == "frozen" {
        TRIAL.clone_into(&mut record.pricing.mode);
    }
}
