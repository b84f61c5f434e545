//! The scenario of each case, and its expected end.
//!
//! It has two phases, so that work is left after a recovery; and users edit while no controller runs.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Mutex,
    time::Duration,
};

use jiff::SignedDuration;
use kube::{
    ResourceExt,
    api::{Api, DeleteParams, ListParams, Patch, PatchParams},
};
use serde_json::{Value, json};
use tenant_pricing_controller::{
    api::{Phase, TenantPricing},
    simulator::{Fault, FaultAction, LoggedRequest, Operation, TenantSpec},
};

use crate::harness::{Controller, ControllerOptions, Test, has, reason};

/// After an unknown outcome nothing is sent for this time. Repeated here on purpose: a check from outside.
const GRACE_PERIOD: Duration = Duration::from_secs(60);
/// The limit of one wait. It covers the grace period and the wait for the Lease of a dead process. The machine may
/// be so busy that pre-write reads take too long.
const LIMIT: Duration = Duration::from_secs(420);
/// A PUT that takes effect when it was given up long ago.
const LATE_EFFECT: u64 = 12_000;
/// How far the clocks jump between the phases: over the hour for which some objects wait.
const HOURS: i64 = 2;
/// A tenant that the client cannot see.
const UNKNOWN_TENANT: &str = "11111111-2222-4333-8444-555555555555";

/// The expected end of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Goal {
    /// Its tenant is switched, once.
    Switched,
    /// Nothing is sent for it, and it is Ready for this reason.
    Ready(&'static str),
    /// Nothing is sent for it, and a person has to do something, for this reason.
    Stalled(&'static str),
}

/// What a scenario sent, and how often a switch was announced.
#[derive(Debug, Clone, Copy, Default)]
pub struct Figures {
    pub puts: usize,
    pub attempts: usize,
}

pub struct Scenario {
    pub test: Test,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    goals: BTreeMap<&'static str, Goal>,
    /// The tenant of each object that has one of its own.
    tenants: BTreeMap<&'static str, String>,
    edited: bool,
    second_phase: bool,
    /// Entries that were open when a process died.
    open: Vec<&'static str>,
    /// From this instant of the simulator's log on no PUT may come for the tenant within the grace period.
    without_puts: Vec<(String, Duration)>,
}

impl Scenario {
    /// The first phase: everything exists before a controller starts.
    pub async fn begin(label: &str) -> Self {
        let test = Test::new("crash").await;
        eprintln!("{label}: namespace {}", test.namespace);
        let scenario = Self { test, state: Mutex::default() };
        scenario.test.connection("default", json!({})).await;
        let later = (scenario.test.simulator.now() + SignedDuration::from_hours(1)).to_string();
        let waits = json!({"switch": {"notBefore": later}});
        let production = |more: Value| {
            let mut spec = json!({"mode": "production"});
            spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            spec
        };
        for (name, spec, goal) in [
            ("now", production(json!({})), Goal::Switched),
            // Its PUT is given up after 8 s and takes effect after 12.
            ("slow", production(json!({})), Goal::Switched),
            ("wavering", production(json!({})), Goal::Switched),
            ("reborn", production(json!({})), Goal::Switched),
            ("later", production(waits.clone()), Goal::Ready("SwitchScheduled")),
            ("cancelled", production(waits), Goal::Ready("SwitchScheduled")),
            ("suspended", production(json!({"suspend": true})), Goal::Ready("Suspended")),
            ("watched", json!({}), Goal::Ready("Observed")),
        ] {
            let tenant = scenario.tenant(name, TenantSpec::customer(format!("{name} GmbH")));
            if name == "slow" {
                let late = FaultAction::Delay { milliseconds: LATE_EFFECT, after_effect: false };
                let fault = Fault::new(late).on(Operation::PutPricing).tenant(&tenant).once();
                scenario.test.simulator.inject(fault);
            }
            scenario.create(name, json!({"id": tenant}), spec, goal).await;
        }
        // Two for one tenant: the older one owns it, and of the same age the first by name.
        let twin = scenario.tenant("twin-a", TenantSpec::customer("Twin GmbH"));
        scenario.create("twin-a", json!({"id": twin}), production(json!({})), Goal::Switched).await;
        let duplicate = Goal::Stalled("DuplicateTenant");
        scenario.create("twin-b", json!({"id": twin}), production(json!({})), duplicate).await;
        let born = scenario.tenant("born", TenantSpec::customer("Born GmbH").mode("production"));
        scenario.create("born", json!({"id": born}), production(json!({})), Goal::Ready("InSync")).await;
        let missing = Goal::Stalled("TenantNotFound");
        scenario.create("missing", json!({"id": UNKNOWN_TENANT}), production(json!({})), missing).await;
        // A name that is searched for, and one that is too short for it: all tenants are listed.
        scenario.by_name("named", "Named GmbH", production(json!({})), Goal::Switched).await;
        scenario.by_name("short", "Xy", json!({}), Goal::Ready("Observed")).await;
        scenario
    }

    fn tenant(&self, name: &'static str, spec: TenantSpec) -> String {
        let id = self.test.simulator.add_tenant(spec);
        self.state.lock().unwrap().tenants.insert(name, id.clone());
        id
    }

    async fn create(&self, name: &'static str, tenant: Value, mut spec: Value, goal: Goal) {
        spec["tenant"] = tenant;
        self.test.tenant_pricing(name, spec).await;
        self.state.lock().unwrap().goals.insert(name, goal);
    }

    async fn by_name(&self, name: &'static str, tenant: &str, spec: Value, goal: Goal) {
        self.tenant(name, TenantSpec::customer(tenant));
        self.create(name, json!({"name": tenant}), spec, goal).await;
    }

    /// A process that dies where `failpoints` says.
    pub fn start(&self, failpoints: String) -> Controller {
        self.start_with(&ControllerOptions { failpoints, ..self.test.controller_options() })
    }

    /// Another process.
    pub fn start_with(&self, options: &ControllerOptions) -> Controller {
        // Taken before the process exists: it cannot have seen anything earlier.
        let started = self.test.simulator.log_epoch().elapsed();
        let mut state = self.state.lock().unwrap();
        for name in std::mem::take(&mut state.open) {
            let tenant = state.tenants[name].clone();
            state.without_puts.push((tenant, started));
        }
        drop(state);
        self.test.start_controller(options)
    }

    /// The process has the Lease.
    pub async fn until_it_leads(controller: &Controller) {
        let leads = async {
            while !controller.log().contains("became leader") {
                tokio::time::sleep(Duration::from_millis(25)).await;
            }
        };
        tokio::time::timeout(LIMIT, leads).await.expect("the process leads");
    }

    /// More PUTs have come than this.
    pub async fn until_another_put(&self, sent: usize) {
        let has_come = |all: &[LoggedRequest]| all.iter().filter(|request| is_put(request)).count() > sent;
        self.test.simulator.wait_for_requests(has_come).await;
    }

    /// All objects have reached what is asked for.
    pub async fn come_to_rest(&self) {
        let goals = self.state.lock().unwrap().goals.clone();
        for name in goals.keys() {
            // Users may change their minds meanwhile.
            let reached = |object: &TenantPricing| is_reached(object, self.state.lock().unwrap().goals[name]);
            let what = format!("settles ({:?})", goals[name]);
            self.test.until_within(LIMIT, name, &what, reached).await;
        }
    }

    /// A process has died. What it left open is recorded, and the users edit.
    pub async fn the_process_is_dead(&self) {
        let objects = self.api().list(&ListParams::default()).await.unwrap().items;
        let open: Vec<String> =
            objects.iter().filter(|object| is_open(object)).map(ResourceExt::name_any).collect();
        {
            let mut state = self.state.lock().unwrap();
            let names = state.tenants.keys().copied();
            state.open = names.filter(|name| open.iter().any(|open| open == name)).collect();
        }
        self.users_edit().await;
    }

    /// One takes back its request, in time or not; one cancels a scheduled switch; one is created again.
    async fn users_edit(&self) {
        if std::mem::replace(&mut self.state.lock().unwrap().edited, true) {
            return;
        }
        let patch = |mode: Value| Patch::Merge(json!({"spec": {"mode": mode}}));
        let parameters = PatchParams::default();
        // Either the announcement is stored, and this is refused, or it is not and never will be.
        let taken_back = self.api().patch("wavering", &parameters, &patch(json!("trial"))).await;
        match taken_back {
            Ok(_) => self.aim("wavering", Goal::Ready("InSync")),
            Err(kube::Error::Api(refusal)) if refusal.is_invalid() || refusal.is_forbidden() => {}
            Err(error) => panic!("{error}"),
        }
        self.api().patch("cancelled", &parameters, &patch(Value::Null)).await.unwrap();
        self.aim("cancelled", Goal::Ready("Observed"));
        let recreated = self.api().get("reborn").await.unwrap().spec;
        self.api().delete("reborn", &DeleteParams::default()).await.unwrap();
        self.test.tenant_pricing("reborn", json!(recreated)).await;
        // Another object: what the old one left open is not its business.
        self.state.lock().unwrap().open.retain(|name| *name != "reborn");
    }

    fn aim(&self, name: &'static str, goal: Goal) {
        self.state.lock().unwrap().goals.insert(name, goal);
    }

    /// The second phase, once: what waits for an hour is due, tokens have expired, and more is asked for.
    pub async fn go_on(&self) {
        if std::mem::replace(&mut self.state.lock().unwrap().second_phase, true) {
            return;
        }
        self.users_edit().await;
        self.test.set_time(self.test.simulator.now() + SignedDuration::from_hours(HOURS));
        let production = json!({"mode": "production"});
        self.by_name("second", "Second GmbH", production, Goal::Switched).await;
        self.by_name("brief", "Qz", json!({}), Goal::Ready("Observed")).await;
        self.aim("later", Goal::Switched);
        for name in ["later", "cancelled"] {
            self.test.request_reconcile(name, "it-is-time").await;
        }
    }

    /// Checks that exactly what was asked for was sent, when it was allowed; and what holds for every test.
    pub async fn end(self) -> Figures {
        let State { goals, tenants, without_puts, .. } = self.state.into_inner().unwrap();
        let mut faults = Vec::new();
        let simulator = &self.test.simulator;
        for (name, goal) in &goals {
            let Some(tenant) = tenants.get(name) else { continue };
            let (sent, expected) = (simulator.puts(tenant), usize::from(*goal == Goal::Switched));
            if sent != expected {
                faults.push(format!("{name}: {sent} PUTs instead of {expected}"));
            }
        }
        let requests = simulator.requests();
        let puts: Vec<_> = requests.iter().filter(|request| is_put(request)).collect();
        for (tenant, from) in without_puts {
            let early = |put: &&&LoggedRequest| {
                put.tenants.contains(&tenant)
                    && put.started_after > from
                    && put.started_after < from + GRACE_PERIOD
            };
            if let Some(put) = puts.iter().find(early) {
                let after = put.started_after.abs_diff(from);
                faults.push(format!(
                    "a PUT for {tenant} {after:?} after the start of a process that found it open"
                ));
            }
        }
        let attempts = goals.keys().map(|name| announced(&self.test, name)).sum();
        let figures = Figures { puts: puts.len(), attempts };
        assert!(faults.is_empty(), "{}{}", faults.join("\n"), self.test.diagnosis().await);
        self.test.finish().await;
        figures
    }

    fn api(&self) -> Api<TenantPricing> {
        Api::namespaced(self.test.client.clone(), &self.test.namespace)
    }
}

fn is_put(request: &LoggedRequest) -> bool {
    request.operation == Operation::PutPricing
}

fn is_open(object: &TenantPricing) -> bool {
    let journal = object.status.as_ref().and_then(|status| status.switch.as_ref());
    journal.is_some_and(|journal| journal.phase == Phase::InFlight)
}

fn is_reached(object: &TenantPricing, goal: Goal) -> bool {
    let seen = object.status.as_ref().map(|status| status.observed_generation);
    let is = match goal {
        Goal::Switched => has(object, "Production", "True") && reason(object, "Ready") == "InSync",
        Goal::Ready(word) => has(object, "Ready", "True") && reason(object, "Ready") == word,
        Goal::Stalled(word) => reason(object, "Stalled") == word,
    };
    is && seen == object.metadata.generation && !is_open(object)
}

/// How many attempts were announced for an object.
fn announced(test: &Test, name: &str) -> usize {
    let statuses = test.recorded_statuses(name).into_iter();
    let open = statuses.filter(|status| status["switch"]["phase"] == "InFlight");
    let ids: BTreeSet<String> =
        open.filter_map(|status| status["switch"]["attemptId"].as_str().map(str::to_owned)).collect();
    ids.len()
}
