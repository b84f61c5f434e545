//! `check`: each fault is made on the real API server, and the line that names it is asserted.
//!
//! No pod runs here. A Deployment is an object whose status the test writes, and the controller is a process beside it.

mod cluster;
mod connections;
mod controllers;
mod crds;
mod objects;
mod rights;

use serde_json::{Value, json};

use crate::harness::{CHART, Output, PATIENCE, Test};

/// The release of [`install`], which is also the name of its Deployment and of its `ServiceAccount`.
const RELEASE: &str = "tenant-pricing-controller";

/// Installs the chart in the test's namespace, for this namespace and its simulator. Its one replica is available, and
/// its Lease is the one of `Test::controller`.
pub(super) async fn install(test: &Test, values: &[&str]) {
    release(test, RELEASE, values).await;
    available(test, RELEASE, 1).await;
}

/// The same under another name, with no replica available yet.
async fn release(test: &Test, name: &str, values: &[&str]) {
    let watched = format!("watchNamespaces={{{}}}", test.namespace);
    let hosts = format!("allowedHosts[0]={}", test.simulator.url());
    let mut arguments = vec!["install", name, CHART, "--set", "crds.enabled=false,rbac.userRoles=false"];
    for value in [watched.as_str(), hosts.as_str()].iter().chain(values) {
        arguments.extend(["--set", *value]);
    }
    test.helm(&arguments).await.success();
}

/// Sets the number of available replicas, as the controller of Deployments does.
async fn available(test: &Test, name: &str, replicas: u32) {
    let status =
        json!({"status": {"replicas": replicas, "readyReplicas": replicas, "availableReplicas": replicas}});
    let patch = status.to_string();
    let arguments = ["patch", "deployment", name, "--subresource=status", "--type=merge", "-p", &patch];
    test.kubectl(&arguments).await.success();
}

/// A change of the Deployment by a merge patch.
async fn edit_deployment(test: &Test, patch: Value) {
    test.kubectl_patch("deployment", RELEASE, &patch.to_string()).await.success();
}

/// Runs `check` about the test's namespace, as an administrator.
async fn run(test: &Test, arguments: &[&str]) -> Output {
    let own = ["check", "-n", &test.namespace, "--controller-namespace", &test.namespace];
    test.plugin(&[&own[..], arguments].concat(), &[], "").await
}

/// The report about the test's namespace.
pub(super) async fn report(test: &Test) -> Value {
    parse(&run(test, &["-o", "json"]).await)
}

fn parse(output: &Output) -> Value {
    serde_json::from_str(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}{}", output.stdout, output.stderr))
}

/// The findings of a check.
fn findings<'a>(report: &'a Value, id: &str) -> Vec<&'a Value> {
    report["findings"].as_array().unwrap().iter().filter(|finding| finding["id"] == id).collect()
}

/// Whether a check has a finding with this verdict, whose message contains all of these words.
fn has(report: &Value, id: &str, verdict: &str, words: &[&str]) -> bool {
    findings(report, id).iter().any(|finding| {
        let message = finding["message"].as_str().unwrap();
        finding["verdict"] == verdict && words.iter().all(|word| message.contains(word))
    })
}

/// Asserts that a check has such a finding.
#[track_caller]
pub(super) fn assert_finding(report: &Value, id: &str, verdict: &str, words: &[&str]) {
    assert!(
        has(report, id, verdict, words),
        "no {verdict} {id} with {words:?}: {:#}",
        json!(findings(report, id))
    );
}

/// Runs `check` until it has such a finding. The API server needs a moment to learn of some changes, such as of roles.
async fn until(test: &Test, id: &str, verdict: &str, words: &[&str]) -> Value {
    test.wait_for(&format!("{id} is {verdict} with {words:?}"), PATIENCE, async || {
        let report = report(test).await;
        has(&report, id, verdict, words).then_some(report)
    })
    .await
}

/// The verdicts of all findings, each once, but for those of the policies: other tests may install some.
fn verdicts(report: &Value) -> std::collections::BTreeSet<&str> {
    let findings = report["findings"].as_array().unwrap().iter();
    let own = findings.filter(|finding| finding["id"] != "switch-policy");
    own.map(|finding| finding["verdict"].as_str().unwrap()).collect()
}
