//! Flags and variables that cannot be used, or mean something that does not exist.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use super::until_logged;
use crate::harness::{BINARY, Output, PATIENCE, Test};

/// A start that cannot work ends within this time, on a loaded machine.
const SOON: Duration = Duration::from_secs(10);

async fn run(arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command = tokio::process::Command::new(BINARY);
    let variables: BTreeMap<&str, &str> = variables.iter().copied().collect();
    command.arg("run").args(arguments).envs(variables).env("KUBECONFIG", "/nowhere").kill_on_drop(true);
    let output = tokio::time::timeout(PATIENCE, command.output()).await.expect("it ends").unwrap();
    Output {
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
        code: output.status.code().unwrap(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn all_that_cannot_be_used_is_reported_at_once() {
    let begun = Instant::now();
    let refused = run(
        &["--watch-namespaces=Platform", "--lease-name="],
        &[("TENANT_PRICING_LOG_LEVEL", "verbose"), ("TENANT_PRICING_LEASE_NAMESPACE", "a b")],
    )
    .await;
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
    assert_eq!(refused.code, 2, "{}", refused.stderr);
    let said = refused.failure();
    for words in [
        "4 settings cannot be used",
        "--watch-namespaces (TENANT_PRICING_WATCH_NAMESPACES): \"Platform\"",
        "--lease-name (TENANT_PRICING_LEASE_NAME): it is empty",
        "--log-level (TENANT_PRICING_LOG_LEVEL): \"verbose\"",
        "--lease-namespace (TENANT_PRICING_LEASE_NAMESPACE): \"a b\"",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_variable_is_as_if_unset() {
    let variables = [
        "ALLOWED_HOSTS",
        "PLATFORM_PROXY",
        "WATCH_NAMESPACES",
        "WATCH_LABEL_SELECTOR",
        "LEADER_ELECT",
        "LEASE_NAMESPACE",
        "LEASE_NAME",
        "LOG_FORMAT",
        "LOG_LEVEL",
    ];
    let names = variables.map(|name| format!("TENANT_PRICING_{name}"));
    let empty: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "")).collect();
    let ended = run(&["--admin-address=127.0.0.1:0"], &empty).await;
    // There is no cluster: all that comes before was fine.
    assert_eq!(ended.code, 1, "{}", ended.stderr);
    assert!(ended.failure().contains("the cluster"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watched_namespace_that_does_not_exist_is_a_warning() {
    let test = Test::new("watched-missing").await;
    let missing = format!("{}-later", test.namespace);
    let mut options = test.controller_options();
    options.namespaces.push(format!(" {missing}"));
    let controller = test.controller_with(&options).await;
    let warning = until_logged(&test, &controller, "WARN", "--watch-namespaces does not exist").await;
    assert_eq!(warning["namespace"], missing);
    test.kubectl(&["create", "namespace", &missing]).await.success();
    until_logged(&test, &controller, "INFO", "--watch-namespaces exists now").await;
    test.kubectl(&["delete", "namespace", &missing, "--wait=false"]).await.success();
    test.finish().await;
}
