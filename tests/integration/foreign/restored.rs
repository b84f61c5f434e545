//! A cluster that is restored: etcd as it was before a switch, or objects without status in an empty cluster.

use std::{fmt::Debug, time::Duration};

use kube::{
    Resource,
    api::{Api, ListParams},
    core::NamespaceResourceScope,
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tenant_pricing_controller::{
    api::{Phase, PlatformConnection, TenantPricing},
    simulator::{SimulatorOptions, TenantSpec},
};
use tokio::{net::UnixStream, process::Command};

use crate::harness::{ControllerOptions, Environment, PATIENCE, Server, Test, has, reason, run};

/// How long nothing may be sent, where nothing is to be sent.
const CALM: Duration = Duration::from_secs(5);
/// A restarted API server, and the 30 s between two lists of a watch that shows an older state.
const BACK: Duration = Duration::from_secs(120);

/// A kind of ours.
trait Stored:
    Resource<DynamicType = (), Scope = NamespaceResourceScope> + DeserializeOwned + Clone + Debug
{
}
impl Stored for TenantPricing {}
impl Stored for PlatformConnection {}

/// The etcd and the API server of a control plane.
struct Servers {
    environment: &'static Environment,
}

impl Servers {
    /// Ends etcd. It stays away.
    async fn end_etcd(&self, test: &Test) {
        self.environment.down(Server::Etcd, true);
        self.environment.signal(Server::Etcd, "KILL");
        let socket = self.environment.directory.join("etcd.sock");
        test.wait_for("etcd ends", BACK, async || UnixStream::connect(&socket).await.is_err().then_some(()))
            .await;
    }

    /// Starts etcd again.
    async fn start_etcd(&self, test: &Test) {
        self.environment.down(Server::Etcd, false);
        let socket = self.environment.directory.join("etcd.sock");
        test.wait_for("etcd starts", BACK, async || UnixStream::connect(&socket).await.ok()).await;
        test.wait_for("the API server answers", BACK, async || {
            let (api, all) = (objects::<TenantPricing>(test), ListParams::default());
            tokio::time::timeout(Duration::from_secs(2), api.list(&all)).await.ok()?.ok()
        })
        .await;
    }

    /// Copies etcd's folder while etcd does not run.
    async fn back_up(&self, test: &Test) {
        self.end_etcd(test).await;
        self.copy("etcd", "backup").await;
        self.start_etcd(test).await;
    }

    /// Puts the copy in the place of etcd's folder, and restarts the API server, as Kubernetes recommends.
    async fn restore(&self, test: &Test) {
        self.environment.down(Server::ApiServer, true);
        self.environment.signal(Server::ApiServer, "KILL");
        self.end_etcd(test).await;
        self.copy("backup", "etcd").await;
        self.environment.down(Server::ApiServer, false);
        self.start_etcd(test).await;
    }

    async fn copy(&self, from: &str, to: &str) {
        let path = |name: &str| self.environment.directory.join(name);
        if path(to).exists() {
            std::fs::remove_dir_all(path(to)).unwrap();
        }
        let mut command = Command::new("cp");
        command.arg("-a").args([path(from), path(to)]);
        run(command, "").await.success();
    }
}

/// An object as it is stored now. The record of the harness ends with a restore: versions are given twice.
async fn stored<K: Stored>(test: &Test, name: &str) -> K {
    objects(test).get(name).await.unwrap()
}

async fn until_stored<K: Stored>(test: &Test, name: &str, is_there: impl Fn(&K) -> bool) -> K {
    test.wait_for(&format!("{name} is recorded again"), BACK, async || {
        Some(stored(test, name).await).filter(&is_there)
    })
    .await
}

fn objects<K: Stored>(test: &Test) -> Api<K> {
    Api::namespaced(test.client.clone(), &test.namespace)
}

fn is_switched(object: &TenantPricing) -> bool {
    has(object, "Production", "True") && has(object, "Ready", "True")
}

async fn suspend(test: &Test, suspended: bool) {
    let patch = json!({"spec": {"suspend": suspended}}).to_string();
    test.kubectl_patch("pconn", "default", &patch).await.success();
}

/// Waits until the connection is suspended and the object says so, and checks that no request is sent.
async fn expect_silence(test: &Test, name: &str, requests: usize) {
    let is_suspended = |connection: &PlatformConnection| {
        let mut conditions = connection.status.iter().flat_map(|status| &status.conditions);
        conditions.any(|condition| condition.type_ == "Ready" && condition.reason == "Suspended")
    };
    until_stored(test, "default", is_suspended).await;
    until_stored(test, name, |object| reason(object, "Ready") == "ConnectionNotReady").await;
    // The pause itself is what is tested here.
    tokio::time::sleep(CALM).await;
    assert_eq!(test.simulator.requests().len(), requests, "no request is sent while it is suspended");
}

/// A switch that was cancelled after the backup is asked for again. By the documented order it is cancelled again
/// before anything is sent.
#[tokio::test(flavor = "multi_thread")]
async fn an_older_etcd_leads_to_no_second_switch() {
    let environment = Environment::fragile().await;
    let test = Test::on(environment, "restored-etcd", SimulatorOptions::default()).await;
    let servers = Servers { environment };
    test.set_time("2026-11-23T10:00:00Z".parse().unwrap());
    test.connection("default", json!({})).await;
    let [acme, bolt] =
        ["Acme GmbH", "Bolt & Sons"].map(|name| test.simulator.add_tenant(TenantSpec::customer(name)));
    let first = test.controller().await;
    let waits = |object: &TenantPricing| reason(object, "Ready") == "SwitchScheduled";
    for (name, tenant) in [("acme", &acme), ("bolt", &bolt)] {
        test.production(name, tenant, json!({"switch": {"at": "MonthStart"}})).await;
        test.until(name, "waits for its day", waits).await;
    }
    servers.back_up(&test).await;
    test.kubectl_patch("tp", "bolt", r#"{"spec": {"mode": null}}"#).await.success();
    test.set_time("2026-12-01T00:00:10Z".parse().unwrap());
    test.request_reconcile("acme", "in-december").await;
    until_stored(&test, "acme", is_switched).await;
    until_stored(&test, "bolt", |object| reason(object, "Ready") == "Observed").await;
    assert_eq!((test.simulator.puts(&acme), test.simulator.puts(&bolt)), (1, 0));

    // The order of docs/operations.md. The controller starts when nothing can be sent.
    first.terminate().await;
    assert_eq!(first.wait(Duration::from_secs(25)).await, Some(0));
    servers.restore(&test).await;
    assert!(waits(&stored(&test, "acme").await), "the status of before the switch");
    suspend(&test, true).await;
    let requests = test.simulator.requests().len();
    let second = test.controller().await;
    expect_silence(&test, "acme", requests).await;
    test.kubectl_patch("tp", "bolt", r#"{"spec": {"mode": null}}"#).await.success();
    suspend(&test, false).await;
    let object = until_stored(&test, "acme", is_switched).await;
    assert_eq!(reason(&object, "Production"), "SwitchedByPlatform", "no record says who it was");
    until_stored(&test, "bolt", |object| reason(object, "Ready") == "Observed").await;
    assert_eq!((test.simulator.puts(&acme), test.simulator.puts(&bolt)), (1, 0));

    // Under a controller that runs, and without that order: what was switched is not switched again, and what the
    // restored object asks for is carried out.
    servers.restore(&test).await;
    until_stored(&test, "acme", is_switched).await;
    until_stored(&test, "bolt", is_switched).await;
    assert_eq!((test.simulator.puts(&acme), test.simulator.puts(&bolt)), (1, 1), "{}", second.log());
    assert_eq!(second.exit_code().await, None, "it needs no restart: {}", second.log());
    second.terminate().await;
    assert_eq!(second.wait(Duration::from_secs(25)).await, Some(0));
    assert_eq!(environment.refused_requests(), [].into());
    test.abandon(); // the record has a gap, so what must hold was asserted here
    environment.end();
}

/// What Velero restores, and what Git holds.
#[tokio::test(flavor = "multi_thread")]
async fn imported_objects_lead_to_no_second_switch() {
    let test = Test::new("restored-import").await;
    test.set_time("2026-11-23T10:00:00Z".parse().unwrap());
    test.connection("default", json!({})).await;
    let [acme, dune] =
        ["Acme GmbH", "Dune Studios"].map(|name| test.simulator.add_tenant(TenantSpec::customer(name)));
    let first = test.controller().await;
    test.production("acme", &acme, json!({})).await;
    test.production("dune", &dune, json!({"switch": {"at": "MonthStart"}})).await;
    test.until("acme", "is switched", is_switched).await;
    test.until("dune", "waits", |object| reason(object, "Ready") == "SwitchScheduled").await;
    let backup = test.kubectl(&["get", "tp,pconn", "-o", "json"]).await.success();
    first.terminate().await;
    assert_eq!(first.wait(Duration::from_secs(25)).await, Some(0));
    test.kubectl(&["delete", "tp,pconn", "--all"]).await.success();

    let mut backup: Value = serde_json::from_str(&backup).unwrap();
    for object in backup["items"].as_array_mut().unwrap() {
        let name = object["metadata"]["name"].clone();
        object["metadata"] = json!({"name": name});
        if object["kind"] == "PlatformConnection" {
            object["spec"]["suspend"] = json!(true);
        }
    }
    let requests = test.simulator.requests().len();
    test.kubectl_with(&["create", "-f", "-"], &backup.to_string()).await.success();
    let imported = stored::<TenantPricing>(&test, "acme").await.status.unwrap();
    assert_eq!(
        (imported.observed_generation, imported.switch),
        (-1, None),
        "the API server drops the status"
    );
    test.controller().await;
    expect_silence(&test, "acme", requests).await;
    suspend(&test, false).await;
    let object = until_stored(&test, "acme", is_switched).await;
    assert_eq!(reason(&object, "Production"), "AlreadyProduction");
    until_stored(&test, "dune", |object| reason(object, "Ready") == "SwitchScheduled").await;
    assert_eq!((test.simulator.puts(&acme), test.simulator.puts(&dune)), (1, 0));
    test.finish().await;
}

/// A process that ends at this failpoint in the middle of the switch of `acme`, and what a backup of that moment holds.
async fn ended_in_a_switch(test: &Test, failpoint: &str) -> (String, Value) {
    test.exempt("acme");
    test.set_time("2026-11-23T10:00:00Z".parse().unwrap());
    test.connection("default", json!({})).await;
    let acme = test.simulator.add_tenant(TenantSpec::customer("Acme GmbH"));
    let options =
        ControllerOptions { failpoints: format!("{failpoint}=return"), ..test.controller_options() };
    let first = test.controller_with(&options).await;
    test.production("acme", &acme, json!({})).await;
    test.wait_for("the process ends in the switch", PATIENCE, async || first.exit_code().await).await;
    let backup = test.kubectl(&["get", "tp,pconn", "-o", "json"]).await.success();
    (acme, serde_json::from_str(&backup).unwrap())
}

/// Deletes the objects and creates them from the backup, statuses included, as Velero does with
/// `--status-include-resources`. Their connections are suspended.
async fn restore_objects(test: &Test, backup: &Value) {
    test.kubectl(&["delete", "tp,pconn", "--all"]).await.success();
    for object in backup["items"].as_array().unwrap() {
        let (name, kind) = (object["metadata"]["name"].as_str().unwrap(), object["kind"].as_str().unwrap());
        let mut restored = object.clone();
        restored["metadata"] = json!({"name": name});
        if kind == "PlatformConnection" {
            restored["spec"]["suspend"] = json!(true);
        }
        test.kubectl_with(&["create", "-f", "-"], &restored.to_string()).await.success();
        let patch = json!({"status": object["status"]}).to_string();
        let status = ["patch", kind, name, "--subresource=status", "--type=merge", "-p", &patch];
        test.kubectl(&status).await.success();
    }
    let journal = stored::<TenantPricing>(test, "acme").await.status.unwrap().switch.unwrap();
    assert_eq!(journal.phase, Phase::InFlight, "the backup is from the middle of a switch");
}

/// Restores what a process that ended at this failpoint left, and starts another one. It sends nothing while its
/// connection is suspended. Returns the tenant, and the number of requests so far.
async fn restored_in_a_switch(test: &Test, failpoint: &str) -> (String, usize) {
    let (acme, backup) = ended_in_a_switch(test, failpoint).await;
    restore_objects(test, &backup).await;
    let requests = test.simulator.requests().len();
    test.controller().await;
    expect_silence(test, "acme", requests).await;
    (acme, requests)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_attempt_that_took_effect_is_recorded_once() {
    let test = Test::new("restored-effect").await;
    let (acme, _) = restored_in_a_switch(&test, "put.after").await;
    suspend(&test, false).await;
    let object = until_stored(&test, "acme", is_switched).await;
    assert_eq!(reason(&object, "Production"), "SwitchedByController");
    assert_eq!(test.simulator.puts(&acme), 1);
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_attempt_that_was_not_sent_waits_a_minute() {
    let test = Test::new("restored-unsent").await;
    let (acme, requests) = restored_in_a_switch(&test, "journal.after").await;
    // By the clock of the test the attempt is seconds old, however long the machine took.
    test.set_time("2026-11-23T10:00:10Z".parse().unwrap());
    suspend(&test, false).await;
    let reads = async || (test.simulator.requests().len() > requests + 1).then_some(());
    test.wait_for("the tenant is read", PATIENCE, reads).await;
    tokio::time::sleep(CALM).await;
    assert_eq!(test.simulator.puts(&acme), 0, "nothing is sent for 60 s");
    test.set_time("2026-11-23T10:05:00Z".parse().unwrap());
    test.request_reconcile("acme", "later").await;
    let object = until_stored(&test, "acme", is_switched).await;
    assert_eq!(reason(&object, "Production"), "SwitchedByController");
    assert_eq!(test.simulator.puts(&acme), 1);
    test.finish().await;
}
