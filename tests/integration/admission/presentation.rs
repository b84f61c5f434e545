//! What `kubectl` shows of the two kinds: columns, selection by fields, explanations.

use serde_json::json;
use tenant_pricing_controller::testing::golden;

use super::{ID, object, tenant_pricing, write_status};
use crate::harness::{PATIENCE, Test};

/// A table without what differs between runs: the width of columns and the age.
fn normalised(table: &str) -> String {
    let lines = table.lines().map(|line| {
        let cells = line.split("   ").map(str::trim).filter(|cell| !cell.is_empty());
        let is_age = |cell: &str| cell.strip_suffix('s').is_some_and(|digits| digits.parse::<u32>().is_ok());
        let cells = cells.map(|cell| if is_age(cell) { "<age>" } else { cell });
        cells.collect::<Vec<_>>().join(" | ") + "\n"
    });
    lines.collect()
}

fn ready(status: &str, reason: &str, message: &str) -> serde_json::Value {
    json!([{
        "type": "Ready", "status": status, "reason": reason, "message": message,
        "lastTransitionTime": "2026-11-20T00:00:00Z",
    }])
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_show_the_state() {
    let test = Test::new("columns").await;
    let spec = json!({"tenant": {"id": ID}, "mode": "production", "switch": {"at": "MonthStart"}});
    test.apply(&tenant_pricing("waiting", &spec).to_string()).await;
    let status = json!({
        "observedGeneration": 1,
        "tenantId": ID,
        "observed": {"mode": "trial", "tenantName": "Acme GmbH", "productionStartDate": "2026-12-31T23:59:59Z"},
        "switch": {"phase": "Scheduled", "scheduledFor": "2026-12-01T00:00:00Z"},
        "conditions": ready("True", "SwitchScheduled", "Will be switched on 1 December 2026."),
    });
    write_status(&test, "waiting", &status).await;
    test.apply(&tenant_pricing("new", &json!({"tenant": {"id": ID}})).to_string()).await;
    let spec = json!({"url": "https://eu2-cloud.acronis.com", "credentialsSecretRef": {"name": "s"}});
    test.apply(&object("PlatformConnection", "default", &spec).to_string()).await;
    let status = json!({"status": {
        "tenantId": ID,
        "tenants": {"trial": 12, "production": 3},
        "conditions": ready("True", "CredentialsAccepted", "The platform accepts the credentials."),
    }});
    let arguments = ["patch", "pconn", "default", "--subresource=status", "--type=merge", "-p"];
    test.kubectl(&[&arguments[..], &[&status.to_string()]].concat()).await.success();

    let mut tables = Vec::new();
    for command in ["get tp", "get tp -o wide", "get pconn", "get pconn -o wide"] {
        let table = test.kubectl(&command.split(' ').collect::<Vec<_>>()).await.success();
        tables.push(format!("$ kubectl {command}\n{}", normalised(&table)));
    }
    golden::compare("tests/integration/admission/columns.golden", &tables.join("\n")).unwrap();
    test.abandon(); // its statuses are made up
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_are_selected_by_mode_tenant_and_phase() {
    let test = Test::new("selected").await;
    test.apply(&tenant_pricing("observed", &json!({"tenant": {"name": "Acme GmbH"}})).to_string()).await;
    let spec = json!({"tenant": {"id": ID}, "mode": "production"});
    test.apply(&tenant_pricing("switching", &spec).to_string()).await;
    write_status(&test, "switching", &json!({"switch": {"phase": "InFlight"}})).await;

    let id = format!("spec.tenant.id={ID}");
    for (selector, expected) in [
        ("spec.mode=production", "switching"),
        ("spec.mode=", "observed"),
        ("spec.mode!=production", "observed"),
        ("spec.mode=trial", ""),
        (&id, "switching"),
        ("spec.tenant.id=", "observed"),
        ("status.switch.phase=InFlight", "switching"),
        ("status.switch.phase=", "observed"),
        ("status.switch.phase!=Completed", "observed switching"),
    ] {
        let arguments =
            ["get", "tp", "--field-selector", selector, "-o", "jsonpath={.items[*].metadata.name}"];
        assert_eq!(test.kubectl(&arguments).await.success(), expected, "{selector}");
    }
    test.abandon();
}

#[tokio::test(flavor = "multi_thread")]
async fn explanations_read_as_a_manual() {
    let test = Test::new("explained").await;
    for (path, expected) in [
        ("tp", "The switch starts billing"),
        ("tp.spec", "Without it, the tenant is only observed"),
        ("tp.spec.switch", "The whole current month is"),
        ("tp.status.switch", "`InFlight`: the request may be on its way"),
        ("pconn", "is the emergency stop"),
        ("pconn.spec", "the keys `clientId` and"),
        ("pconn.spec.switch.budget", "The maximum number of switches in a window"),
    ] {
        // The API server publishes the schemas a little later than it serves the kinds.
        let published = async || {
            let output = test.kubectl(&["explain", path]).await;
            (output.code == 0).then_some(output.stdout)
        };
        let manual = test.wait_for("kubectl explain knows the kind", PATIENCE, published).await;
        assert!(manual.contains(expected), "{path}: {manual}");
    }
    test.abandon();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_printed_definitions_can_be_installed_without_a_warning() {
    let test = Test::new("printed").await;
    let printed = test.binary(&["crds"]).await.success();
    let output =
        test.kubectl_with(&["apply", "--server-side", "--dry-run=server", "-f", "-"], &printed).await;
    assert_eq!((output.code, output.stderr.as_str()), (0, ""));
    for kind in ["tenantpricings", "platformconnections"] {
        let line = format!(
            "customresourcedefinition.apiextensions.k8s.io/{kind}.tenantpricing.io serverside-applied"
        );
        assert!(output.stdout.contains(&line), "{}", output.stdout);
    }
    test.abandon();
}
