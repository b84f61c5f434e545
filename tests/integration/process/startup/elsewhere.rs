//! Two processes whose Leases are in different namespaces.

use std::{path::Path, time::Duration};

use super::until_logged;
use crate::harness::{BINARY, Controller, PATIENCE, Test, give_lease};

const LEADS: &str = "became leader";

/// A process that runs searches every 30 s, and compares what it found twice.
const FOUND: Duration = Duration::from_secs(120);

/// A process outside a cluster, which takes the Lease's namespace from its kubeconfig.
fn local(test: &Test, name: &str, lease: &str) -> Controller {
    let kubeconfig = test.directory().join("kubeconfig");
    let line = [
        "run",
        "--log-format=json",
        "--admin-address=127.0.0.1:0",
        &format!("--lease-name={lease}"),
        &format!("--watch-namespaces={}", test.namespace),
    ];
    let log = test.directory().join(name);
    Controller::supervise(Path::new(BINARY), &line.map(str::to_owned), &log, |command| {
        command.env("KUBECONFIG", kubeconfig);
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_outside_does_not_start_beside_another_lease() {
    let (test, installed) = tokio::join!(Test::new("lease-here"), Test::new("lease-there"));
    let lease = format!("lease-{}", test.namespace);
    let options = installed.controller_options().argument(format!("--lease-name={lease}"));
    give_lease(&installed, &lease).await;
    let inside = installed.start_controller(&options);
    until_logged(&installed, &inside, "INFO", LEADS).await;
    let refused = local(&test, "refused.log", &lease);
    assert_eq!(refused.wait(PATIENCE).await, Some(1), "{}", refused.log());
    let said = refused.log();
    for words in [
        format!("renews Lease {}/{lease}", installed.namespace),
        format!("--lease-namespace={}", installed.namespace),
        format!("in namespace {}", test.namespace),
    ] {
        assert!(said.contains(&words), "{words}: {said}");
    }
    assert!(!said.contains(LEADS), "{said}");

    // When the other one has given its Lease up, it starts; and it ends when the other one comes back.
    inside.terminate().await;
    assert_eq!(inside.wait(PATIENCE).await, Some(0));
    let alone = local(&test, "alone.log", &lease);
    until_logged(&test, &alone, "INFO", LEADS).await;
    let back = installed.start_controller(&options);
    until_logged(&installed, &back, "INFO", LEADS).await;
    assert_eq!(alone.wait(FOUND).await, Some(1), "{}", alone.log());
    assert!(alone.log().contains("another process acts already"), "{}", alone.log());
    installed.finish().await;
    test.finish().await;
}
