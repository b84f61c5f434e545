//! `history`: every switch on record.

use serde_json::{Value, json};

use super::fleet;
use crate::harness::{Test, has};

fn names(history: &Value) -> Vec<&str> {
    history["switches"].as_array().unwrap().iter().map(|switch| switch["name"].as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_switch_is_listed_with_its_month_and_its_edit() {
    let test = Test::new("history").await;
    fleet(&test).await;
    // The platform switches a tenant that is only observed.
    let core = test.until("core", "is there", |_| true).await.status.unwrap().tenant_id.unwrap();
    test.simulator.update_tenant(&core, |tenant| {
        tenant.pricing.mode = "production".into();
        tenant.pricing.production_start_date = "2026-10-01T00:00:00Z".parse().ok();
    });
    test.reconcile_now("core", "now").await;
    test.until("core", "is in production", |object| has(object, "Production", "True")).await;
    let reader = test.reader().await;
    let history = reader.json(&["history", "-o", "json"]).await;
    assert_eq!(history["schema"], "tenantpricing.io/history/v1");
    assert_eq!(names(&history), ["core", "acme"], "the oldest comes first\n{history:#}");
    let (core, acme) = (&history["switches"][0], &history["switches"][1]);
    assert_eq!(
        (&core["by"], &core["billedMonth"], &core["attempt"]),
        (&json!("Platform"), &json!("2026-10"), &json!(0))
    );
    assert_eq!((&acme["by"], &acme["requestedBy"]), (&json!("Controller"), &json!("integration-test")));
    assert_eq!(
        (&acme["generation"], &acme["attempt"], &acme["outcome"]),
        (&json!(1), &json!(1), &json!("switched"))
    );
    let journal = test.until("acme", "is there", |_| true).await.status.unwrap().switch.unwrap();
    assert_eq!(acme["attemptId"].as_str(), journal.attempt_id.as_deref());
    let month = journal.completed_at.unwrap().0.strftime("%Y-%m").to_string();
    assert_eq!(acme["billedMonth"], month.as_str());
    assert_eq!(
        history["months"],
        json!([
            {"month": "2026-10", "switches": 1, "byController": 0, "byPlatform": 1},
            {"month": month, "switches": 1, "byController": 1, "byPlatform": 0},
        ])
    );
    // `dawn` was in production before.
    assert_eq!(history["switchedBefore"], 1);
    let table = reader.run(&["history"]).await.success();
    let last = table.lines().last().unwrap();
    assert!(
        last.contains("deleted since") && last.contains("1 tenant that was in production before"),
        "{table}"
    );
    let since = reader.json(&["history", "--since", "2026-11-01", "-o", "json"]).await;
    assert_eq!(names(&since), ["acme"]);
    let october = reader.json(&["history", "--since", "2026-10", "--until", "2026-11", "-o", "json"]).await;
    assert_eq!(names(&october), ["core"]);
    let csv = reader.run(&["history", "-o", "csv"]).await;
    assert!(
        csv.stderr.contains("2026-10: 1 switches") && csv.stderr.contains("deleted since"),
        "{}",
        csv.stderr
    );
    let csv = csv.success();
    assert!(csv.starts_with("\"billed_month\",\"switched_at\",") && csv.split("\r\n").count() == 4, "{csv}");
    let wrong = reader.run(&["history", "--since", "soon"]).await.failure();
    assert!(wrong.contains("--since") && wrong.contains("2026-11-05"), "{wrong}");
    reader.wrote_nothing(1).await;
    test.finish().await;
}
