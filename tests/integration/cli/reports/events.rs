//! `events`: what was reported about TenantPricings.

use super::fleet;
use crate::harness::Test;

#[tokio::test(flavor = "multi_thread")]
async fn events_are_chosen_by_object_and_by_type() {
    let test = Test::new("events").await;
    fleet(&test).await;
    let reader = test.reader().await;
    let reasons = async |arguments: &[&str]| {
        let events = reader.json(&[&["events", "-o", "json"], arguments].concat()).await;
        assert_eq!(events["schema"], "tenantpricing.io/events/v1");
        let events = events["events"].as_array().unwrap().iter();
        events.map(|event| event["reason"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(reasons(&["--for", "acme"]).await, ["SwitchRequested", "SwitchCompleted"]);
    assert_eq!(reasons(&["--for", "tp/acme", "--types", "warning"]).await, [""; 0]);
    assert_eq!(reasons(&["--types", "Warning"]).await, ["ReversalRefused"]);
    let all = reasons(&["--types", "Warning,Normal"]).await;
    assert_eq!(all.len(), 4, "{all:?}");
    let table = reader.run(&["events", "--for", "dawn"]).await.success();
    assert!(table.starts_with("LAST SEEN") && table.contains("Warning  ReversalRefused"), "{table}");
    let none = reader.run(&["events", "--for", "absent"]).await;
    assert!(none.stderr.contains("No events") && none.code == 0, "{none:?}");
    let wrong = reader.run(&["events", "--for", "secret/acme"]).await.failure();
    assert!(wrong.contains("tp/acme"), "{wrong}");
    let refused = reader.run(&["events", "-A"]).await.failure();
    assert!(refused.contains("403") && refused.contains("with -n, in place of -A"), "{refused}");
    reader.wrote_nothing(1).await;
    test.finish().await;
}
