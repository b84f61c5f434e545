//! The harness does what the other tests rely on: a check that cannot fail would accept everything.

use std::{path::Path, process::Stdio, time::Duration};

use kube::{
    api::{Api, Patch, PatchParams},
    config::{KubeConfigOptions, Kubeconfig},
};
use serde_json::json;
use tenant_pricing_controller::{
    api::{PlatformConnection, TenantPricing},
    simulator::TenantSpec,
};

use crate::harness::{Controller, Environment, PATIENCE, Test};

#[tokio::test(flavor = "multi_thread")]
async fn each_test_has_a_namespace_of_its_own() {
    let (one, other) = tokio::join!(Test::new("isolation"), Test::new("isolation"));
    assert_ne!(one.namespace, other.namespace);
    one.kubectl(&["create", "configmap", "mine"]).await.success();
    let seen = other.kubectl(&["get", "configmap", "mine"]).await.failure();
    assert!(seen.contains("NotFound"), "{seen}");
}

#[tokio::test(flavor = "multi_thread")]
async fn both_kinds_are_served() {
    let test = Test::new("served").await;
    let kinds =
        test.kubectl(&["api-resources", "--api-group=tenantpricing.io", "-o", "name"]).await.success();
    assert_eq!(kinds, "platformconnections.tenantpricing.io\ntenantpricings.tenantpricing.io\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_account_can_be_given_a_token() {
    let test = Test::new("token").await;
    test.kubectl(&["create", "serviceaccount", "visitor"]).await.success();
    let kubeconfig = format!("--kubeconfig={}", test.service_account_kubeconfig("visitor").await.display());
    let user = "jsonpath={.status.userInfo.username}";
    let who = test.kubectl(&["auth", "whoami", "-o", user, &kubeconfig]).await.success();
    assert_eq!(who, format!("system:serviceaccount:{}:visitor", test.namespace));
    let refused = test.kubectl(&["get", "secrets", &kubeconfig]).await.failure();
    assert!(refused.contains("Forbidden"), "without a Role it may do nothing: {refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn helm_speaks_to_the_same_control_plane() {
    let test = Test::new("helm").await;
    assert_eq!(test.helm(&["list", "--short"]).await.success(), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_version_is_recorded_with_its_writer() {
    let test = Test::new("recorder").await;
    let tenant = test.simulator.add_tenant(TenantSpec::customer("Acme GmbH"));
    test.production("acme", &tenant, json!({})).await;
    let api: Api<TenantPricing> = Api::namespaced(test.client.clone(), &test.namespace);
    for number in 1..=20 {
        let status =
            json!({"status": {"observedGeneration": 1, "lastHandledReconcileAt": number.to_string()}});
        api.patch_status("acme", &PatchParams::default(), &Patch::Merge(status)).await.unwrap();
    }
    let kubeconfig = Kubeconfig::read_from(test.controller_options().kubeconfig).unwrap();
    let config =
        kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
    let client = kube::Client::try_from(config).unwrap();
    let by_controller: Api<TenantPricing> = Api::namespaced(client, &test.namespace);
    by_controller.get("acme").await.unwrap();
    let patch = Patch::Merge(json!({"status": {"lastHandledReconcileAt": "21"}}));
    by_controller.patch_status("acme", &PatchParams::default(), &patch).await.unwrap();
    test.until("acme", "is patched by the other user", |object| {
        let status = object.status.as_ref().unwrap();
        status.last_handled_reconcile_at.as_deref() == Some("21")
    })
    .await;

    let recorded: Vec<String> = test
        .recorded_statuses("acme")
        .into_iter()
        .filter_map(|status| status["lastHandledReconcileAt"].as_str().map(str::to_owned))
        .collect();
    let expected: Vec<String> = (1..=21).map(|number: u32| number.to_string()).collect();
    assert_eq!(recorded, expected);

    let writes = test.writes().await;
    let of_status = writes.iter().filter(|write| write.subresource == "status" && write.code == 200);
    assert_eq!(of_status.filter(|write| write.by_the_test()).count(), 20, "{writes:#?}");
    let controllers = test.controller_writes().await;
    assert_eq!(controllers.len(), 1, "{controllers:#?}");
    let [write] = &controllers[..] else { unreachable!() };
    assert_eq!(
        (write.verb.as_str(), write.resource.as_str(), write.name.as_str(), write.user.as_str()),
        ("patch", "tenantpricings.tenantpricing.io", "acme", "controller"),
        "its reads are no writes"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_verdict_finds_a_secret_a_second_put_and_a_wrong_body() {
    let test = Test::new("verdict").await;
    let tenant = test.simulator.add_tenant(TenantSpec::customer("Acme GmbH"));
    test.connection("default", json!({})).await;
    assert_eq!(test.faults().await, [""; 0], "nothing is wrong yet");

    let url = format!("{}/api/2/tenants/{tenant}/pricing", test.simulator.url());
    let http = reqwest::Client::new();
    for body in [json!({"version": 1, "mode": "production"}), json!({"version": 1, "mode": "trial"})] {
        // Without a token it is refused; it was sent nevertheless.
        assert_eq!(http.put(&url).json(&body).send().await.unwrap().status(), 401);
    }
    let secret = test.simulator.client_secret();
    test.kubectl(&["annotate", "pconn", "default", &format!("leaked={secret}")]).await.success();
    // What is stored only for a moment is found as well, and so is a program's output.
    test.edit::<PlatformConnection>("default", json!({"metadata": {"annotations": {"leaked": null}}})).await;
    test.kubectl(&["get", "secret", "default", "-o", "jsonpath={.data}"]).await.success();
    let of_map = json!({"name": "leaking", "namespace": test.namespace});
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": of_map, "data": {"said": secret}});
    test.apply(&map.to_string()).await;

    let faults = test.faults().await.join("\n");
    assert!(faults.contains(&format!("2 PUTs for tenant {tenant}, at most 1 expected")), "{faults}");
    assert!(faults.contains("PUT 2 had the body"), "{faults}");
    assert!(!faults.contains("PUT 1 had the body"), "{faults}");
    assert!(faults.contains("a secret or token stands in default"), "{faults}");
    let maps = format!("a secret or token stands in /api/v1/namespaces/{}/configmaps", test.namespace);
    assert!(faults.contains(&maps), "{faults}");
    assert!(
        faults.contains("stands in what kubectl get secret default -o jsonpath={.data} said"),
        "{faults}"
    );
    assert!(!faults.contains(&secret), "the verdict must not tell it again");
    test.abandon();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_shows_objects_requests_and_logs() {
    let test = Test::new("diagnosis").await;
    test.simulator.add_tenant(TenantSpec::customer("Acme GmbH"));
    test.connection("default", json!({})).await;
    reqwest::get(format!("{}/api/2/tenants", test.simulator.url())).await.unwrap();
    let shown = test.diagnosis().await;
    assert!(shown.contains(&format!("namespace: {}", test.namespace)), "{shown}");
    assert!(shown.contains("kind: PlatformConnection"), "{shown}");
    assert!(shown.contains("FetchTenants  GET /api/2/tenants"), "{shown}");
    test.finish().await;
}

/// A program that prints its process id and then sleeps.
fn sleeper(test: &Test, log: &str) -> (Controller, std::path::PathBuf) {
    let log = test.directory().join(log);
    let script = "echo $$; exec sleep 1000".to_owned();
    (Controller::supervise(Path::new("/bin/sh"), &["-c".to_owned(), script], &log, |_| ()), log)
}

async fn process_of(test: &Test, log: &Path) -> String {
    let said = || std::fs::read_to_string(log).ok().filter(|text| text.ends_with('\n'));
    test.wait_for("the program prints its process id", PATIENCE, async || said()).await.trim().to_owned()
}

fn exists(process: &str) -> bool {
    std::process::Command::new("kill").args(["-0", process]).stderr(Stdio::null()).status().unwrap().success()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_reaches_the_program_and_its_exit_code_comes_back() {
    let test = Test::new("signals").await;
    let (program, log) = sleeper(&test, "terminated");
    process_of(&test, &log).await;
    assert_eq!(program.exit_code().await, None);
    program.terminate().await;
    assert_eq!(program.wait(PATIENCE).await, Some(128 + 15));
    let (program, log) = sleeper(&test, "killed");
    let process = process_of(&test, &log).await;
    program.kill().await;
    assert_eq!(program.exit_code().await, Some(128 + 9));
    assert!(!exists(&process));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_ends_with_its_last_holder() {
    let test = Test::new("held").await;
    let (program, log) = sleeper(&test, "held");
    let process = process_of(&test, &log).await;
    assert!(exists(&process));
    drop(program);
    test.wait_for("the program is gone", PATIENCE, async || (!exists(&process)).then_some(())).await;
}

/// Names the file in which [`holds_a_control_plane`] writes where its control plane lives.
const HOLD: &str = "TENANT_PRICING_TEST_HOLD";

#[tokio::test(flavor = "multi_thread")]
#[ignore = "started by nothing_is_left_of_a_killed_test"]
async fn holds_a_control_plane() {
    let Some(file) = std::env::var_os(HOLD) else { return };
    let test = Test::new("hold").await;
    let (_program, log) = sleeper(&test, "held");
    let process = process_of(&test, &log).await;
    let draft = test.directory().join("held.new");
    let directory = Environment::get().await.directory.display();
    std::fs::write(&draft, format!("{directory}\n{process}")).unwrap();
    std::fs::rename(draft, file).unwrap();
    std::future::pending::<()>().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_left_of_a_killed_test() {
    let test = Test::new("killed").await;
    let file = test.directory().join("where");
    let mut other = tokio::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "harness::tests::holds_a_control_plane", "--ignored", "--nocapture"])
        .env(HOLD, &file)
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let limit = Duration::from_mins(2);
    let said =
        test.wait_for("the other one is up", limit, async || std::fs::read_to_string(&file).ok()).await;
    let (directory, program) = said.split_once('\n').unwrap();
    assert!(exists(program));
    assert!(
        processes_of(directory).len() >= 3,
        "etcd, API server and program: {:?}",
        processes_of(directory)
    );
    other.start_kill().unwrap();
    test.wait_for("all its processes are gone", PATIENCE, async || {
        (processes_of(directory).is_empty() && !exists(program)).then_some(())
    })
    .await;
    test.wait_for("its files are gone", PATIENCE, async || (!Path::new(directory).exists()).then_some(()))
        .await;
}

/// The command lines of all processes that have to do with this folder.
fn processes_of(directory: &str) -> Vec<String> {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let command_lines =
        processes.filter_map(|process| std::fs::read_to_string(process.path().join("cmdline")).ok());
    command_lines.map(|line| line.replace('\0', " ")).filter(|line| line.contains(directory)).collect()
}
