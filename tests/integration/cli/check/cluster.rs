//! The cluster: no kubeconfig, an API server that does not answer, and a user who may only read.

use serde_json::json;
use tenant_pricing_controller::simulator::TenantSpec;

use super::{assert_finding, findings, install, parse, report, run, verdicts};
use crate::harness::{Test, has, until_connection};

#[tokio::test(flavor = "multi_thread")]
async fn without_a_kubeconfig_the_rest_is_skipped() {
    let test = Test::new("check-kubeconfig").await;
    let missing = test.directory().join("missing").display().to_string();
    let output = test.plugin(&["check", "-o", "json"], &[("KUBECONFIG", &missing)], "").await;
    assert_eq!(output.code, 1);
    let report = parse(&output);
    assert_finding(&report, "kubeconfig", "error", &["no file that KUBECONFIG names exists", &missing]);
    assert_eq!((&report["errors"], &report["warnings"]), (&json!(1), &json!(0)));
    assert_finding(&report, "connection-ready", "skipped", &["An earlier check failed"]);
    // No time mends a kubeconfig, so there is nothing to wait for.
    let waited = ["check", "-o", "short", "--wait", "--timeout", "20s"];
    let short = test.plugin(&waited, &[("KUBECONFIG", &missing)], "").await;
    assert_eq!((short.code, short.stderr.as_str()), (1, ""), "{short:?}");
    assert!(
        short.stdout.starts_with("Cluster\n  ✘ kubeconfig: ") && short.stdout.contains("--context"),
        "{short:?}"
    );
    assert!(short.stdout.ends_with("1 error, 0 warnings, 20 skipped.\n"), "{short:?}");
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_server_that_does_not_answer_is_named() {
    let test = Test::new("check-unreachable").await;
    let address = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let kubeconfig = std::fs::read_to_string(test.directory().join("kubeconfig")).unwrap();
    let (before, rest) = kubeconfig.split_once("server: https://").unwrap();
    let (_, after) = rest.split_once('\n').unwrap();
    let path = test.directory().join("unreachable.kubeconfig");
    std::fs::write(&path, format!("{before}server: https://{address}\n{after}")).unwrap();
    let path = path.display().to_string();
    let output = test.plugin(&["check", "-o", "json"], &[("KUBECONFIG", &path)], "").await;
    assert_eq!(output.code, 1);
    let report = parse(&output);
    assert_finding(&report, "kubeconfig", "ok", &[&address.to_string()]);
    assert_finding(&report, "api-server", "error", &[&address.to_string(), "Connection refused"]);
    assert_finding(&report, "crd-served", "skipped", &[]);
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_that_are_refused_are_named() {
    let test = Test::new("check-unauthorized").await;
    let kubeconfig = std::fs::read_to_string(test.directory().join("kubeconfig")).unwrap();
    let (before, rest) = kubeconfig.split_once("token: ").unwrap();
    let (_, after) = rest.split_once('}').unwrap();
    let path = test.directory().join("refused.kubeconfig");
    std::fs::write(&path, format!("{before}token: not-a-token}}{after}")).unwrap();
    let output =
        test.plugin(&["check", "-o", "json"], &[("KUBECONFIG", &path.display().to_string())], "").await;
    assert_eq!(output.code, 1);
    assert_finding(&parse(&output), "api-server", "error", &["401"]);
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sound_installation_has_no_fault() {
    let test = Test::new("check-sound").await;
    install(&test, &[]).await;
    let tenant = test.simulator.add_tenant(TenantSpec::customer("Acme GmbH"));
    test.connection("default", json!({})).await;
    test.controller().await;
    test.tenant_pricing("acme", json!({"tenant": {"id": tenant}})).await;
    test.until("acme", "is observed", |object| has(object, "Ready", "True")).await;
    let report = report(&test).await;
    assert_eq!(verdicts(&report), ["ok"].into(), "{report:#}");
    assert_eq!(report["schema"], "tenantpricing.io/check/v1");
    assert_finding(&report, "api-server", "ok", &["v1."]);
    assert_finding(&report, "controller-rights", "ok", &["all 15 rights"]);
    assert_finding(&report, "controller-lease", "ok", &["holds Lease"]);
    assert_finding(&report, "connection-namespaces", "ok", &["admits 1 of 1"]);
    let subjects: Vec<_> =
        findings(&report, "crd-matches").iter().map(|finding| &finding["subject"]).collect();
    assert_eq!(subjects, ["tenantpricings.tenantpricing.io", "platformconnections.tenantpricing.io"]);
    let table = run(&test, &[]).await.success();
    for line in ["Cluster\n  ✔ kubeconfig: ", "\nConnections\n  ✔ connection-ready ", "No faults found in "]
    {
        assert!(table.contains(line), "{line}\n{table}");
    }
    assert!(!table.contains('\u{1b}'), "no colour without a terminal\n{table}");
    let short = run(&test, &["-o", "short"]).await.success();
    assert!(short.starts_with("No faults found in ") && short.lines().count() == 1, "{short}");

    // A user who may only read learns the same, but for the rights of others.
    let resources =
        [("apps", "deployments"), ("coordination.k8s.io", "leases"), ("", "secrets"), ("", "namespaces")];
    let reader = test.reader_of(&resources).await;
    let arguments = ["check", "-n", &test.namespace, "--controller-namespace", &test.namespace, "-o", "json"];
    let read = reader.json(&arguments).await;
    assert_eq!(verdicts(&read), ["ok", "skipped"].into(), "{read:#}");
    assert_finding(&read, "crd-served", "ok", &["serves this kind"]);
    assert_finding(&read, "crd-matches", "skipped", &["You may not get CRDs"]);
    assert_finding(&read, "controller-rights", "skipped", &["You may not create subjectaccessreviews"]);
    assert_finding(&read, "connection-secret", "ok", &["has both keys"]);
    assert_eq!(reader.reviews(0).await, ["subjectaccessreviews.authorization.k8s.io".to_owned()].into());
    let terminal = reader.on_a_terminal(&arguments[..5]).output().await.unwrap();
    let terminal = String::from_utf8(terminal.stdout).unwrap();
    assert!(terminal.contains("\u{1b}[32m✔\u{1b}[0m kubeconfig: "), "{terminal:?}");
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_of_one_namespace_is_told_what_was_skipped() {
    let test = Test::new("check-narrow").await;
    test.connection("default", json!({})).await;
    test.controller().await;
    until_connection(&test, "default", "CredentialsAccepted").await;
    let reader = test.reader().await;
    // Neither all namespaces nor Deployments may be read: what can be read in the context's namespace is checked.
    let report = reader.json(&["check", "-o", "json"]).await;
    assert_finding(&report, "controller-installed", "skipped", &["403", "--controller-namespace"]);
    assert_finding(&report, "connection-ready", "ok", &["CredentialsAccepted"]);
    assert_finding(&report, "connection-secret", "skipped", &["You may not get Secret"]);
    assert_finding(
        &report,
        "object-connection",
        "ok",
        &[&format!("0 TenantPricings in namespace {}", test.namespace)],
    );
    assert_finding(&report, "switch-policy", "skipped", &["You may not list"]);
    assert_eq!(reader.reviews(0).await, [].into());
    test.finish().await;
}
