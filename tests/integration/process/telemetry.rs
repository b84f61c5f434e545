//! What the running controller tells the kubelet, Prometheus and the readers of its log.

use serde_json::json;
use tenant_pricing_controller::simulator::{Fault, FaultAction, Operation, TenantSpec};

use crate::harness::{BINARY, Controller, Output, PATIENCE, Test, has, metrics};

/// The status of an answer of the admin server, once it answers.
async fn status(test: &Test, controller: &Controller, path: &str) -> u16 {
    let what = format!("{path} is answered");
    test.wait_for(&what, PATIENCE, async || controller.ask_admin(path).await).await.0
}

async fn until_ready(test: &Test, controller: &Controller) {
    test.wait_for("the controller is ready", PATIENCE, async || {
        (controller.ask_admin("/readyz").await?.0 == 200).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn probes_and_metrics_show_health_and_writes() {
    let test = Test::new("telemetry").await;
    let tenant = test.simulator.add_tenant(TenantSpec::customer("Acme GmbH"));
    test.connection("default", json!({})).await;
    let controller = test.controller().await;
    until_ready(&test, &controller).await;
    assert_eq!(status(&test, &controller, "/livez").await, 200);
    test.production("unmistakable", &tenant, json!({})).await;
    test.until("unmistakable", "is switched", |object| has(object, "Production", "True")).await;
    test.until_events("unmistakable", &["SwitchRequested", "SwitchCompleted"]).await;

    // A write may fall between the two scrapes; after it they agree again.
    let counted = test.wait_for("the counts are those of the audit log", PATIENCE, async || {
        let (counted, writes) = (metrics(&test, &controller).await, test.controller_writes().await);
        let agree = [
            ("tenantpricings/status", "tenantpricings.tenantpricing.io"),
            ("platformconnections/status", "platformconnections.tenantpricing.io"),
            ("events", "events.events.k8s.io"),
        ]
        .into_iter()
        .all(|(kind, resource)| {
            let series =
                format!("tenantpricing_kubernetes_writes_total{{resource=\"{kind}\",result=\"stored\"}}");
            let seen = writes.iter().filter(|write| write.resource == resource && write.code < 300).count();
            seen > 0 && counted[&series] == seen.to_string()
        });
        agree.then_some(counted)
    });
    let metrics = counted.await;
    let leader = format!(
        "tenantpricing_leader{{lease=\"{0}/tenant-pricing-controller\",watches=\"{0}\"}}",
        test.namespace
    );
    assert_eq!(metrics[&leader], "1");
    for series in metrics.keys() {
        for name in ["unmistakable", "Acme", &tenant] {
            assert!(!series.contains(name), "{series}");
        }
    }
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_show_an_open_attempt_and_why_a_connection_waits() {
    let test = Test::new("telemetry-open").await;
    let tenant = test.simulator.add_tenant(TenantSpec::customer("Acme GmbH"));
    test.connection("default", json!({})).await;
    test.connection("lost", json!({"credentialsSecretRef": {"name": "nowhere"}})).await;
    let controller = test.controller().await;
    let open = async |attempts: &str| {
        test.wait_for(&format!("{attempts} attempts are open"), PATIENCE, async || {
            let served = metrics(&test, &controller).await;
            let shown = served.get("tenantpricing_open_attempts").is_some_and(|shown| shown == attempts);
            shown.then_some(served)
        })
        .await
    };
    let oldest = "tenantpricing_oldest_open_attempt_timestamp_seconds";
    assert!(!open("0").await.contains_key(oldest));
    let held = test.simulator.inject(Fault::new(FaultAction::hold()).on(Operation::PutPricing));
    let object = test.production("acme", &tenant, json!({})).await;
    tokio::time::timeout(PATIENCE, test.simulator.wait_for_hits(held, 1)).await.expect("a switch");
    let announced: i64 = open("1").await[oldest].parse().unwrap();
    let created = object.metadata.creation_timestamp.unwrap().0.as_second();
    assert!((created..created + 60).contains(&announced), "{announced} for an object of {created}");
    test.simulator.release(held);
    assert!(!open("0").await.contains_key(oldest));
    for (name, reason, is_ready) in [("default", "CredentialsAccepted", "1"), ("lost", "SecretNotFound", "0")]
    {
        let namespace = &test.namespace;
        let series = format!(
            "tenantpricing_connection_ready{{connection=\"{namespace}/{name}\",reason=\"{reason}\"}}"
        );
        test.wait_for(&format!("{series} is {is_ready}"), PATIENCE, async || {
            let served = metrics(&test, &controller).await;
            (served.get(&series).map(String::as_str) == Some(is_ready)).then_some(())
        })
        .await;
    }
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_alive_before_its_caches_sync_and_ready_after() {
    let test = Test::new("telemetry-ready").await;
    let proxy = test.api_proxy().await;
    proxy.hold_list(Some(&test.namespace));
    let mut options = test.controller_options();
    options.kubeconfig = proxy.kubeconfig();
    let controller = test.start_controller(&options);
    assert_eq!(status(&test, &controller, "/livez").await, 200);
    assert_eq!(status(&test, &controller, "/readyz").await, 503);
    proxy.hold_list(None);
    until_ready(&test, &controller).await;
    // A restart would not mend an outage, and what was read stays of use.
    proxy.away(true);
    assert_eq!(status(&test, &controller, "/livez").await, 200);
    assert_eq!(status(&test, &controller, "/readyz").await, 200);
    proxy.away(false);
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_finishing_a_switch_it_is_alive_but_not_ready() {
    let test = Test::new("telemetry-end").await;
    let tenant = test.simulator.add_tenant(TenantSpec::customer("Acme GmbH"));
    test.connection("default", json!({})).await;
    let controller = test.controller().await;
    let held = test.simulator.inject(Fault::new(FaultAction::hold()).on(Operation::PutPricing));
    test.production("acme", &tenant, json!({})).await;
    tokio::time::timeout(PATIENCE, test.simulator.wait_for_hits(held, 1)).await.expect("a switch");
    controller.terminate().await;
    test.wait_for("the controller is ready no longer", PATIENCE, async || {
        (controller.ask_admin("/readyz").await?.0 == 503).then_some(())
    })
    .await;
    assert_eq!(status(&test, &controller, "/livez").await, 200);
    test.simulator.release(held);
    assert_eq!(controller.wait(PATIENCE).await, Some(0));
    assert_eq!(controller.ask_admin("/livez").await, None, "it ends with the process");
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unavailable_admin_address_ends_the_start_with_a_remedy() {
    async fn run(address: &str) -> Output {
        let mut command = tokio::process::Command::new(BINARY);
        command.args(["run", "--admin-address", address]).env("KUBECONFIG", "/nowhere");
        let output = tokio::time::timeout(PATIENCE, command.output()).await.expect("it ends").unwrap();
        Output {
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
            code: output.status.code().unwrap(),
        }
    }
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let message = run(&address).await.failure();
    let expected = format!("failed to listen on --admin-address {address}: Address already in use");
    assert!(message.contains(&expected) && message.contains("port 0 to take any"), "{message}");
    let message = run("8080").await.failure();
    assert!(message.contains("--admin-address") && message.contains("Write 0.0.0.0:8080"), "{message}");
}
