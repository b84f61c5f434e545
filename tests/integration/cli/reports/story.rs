//! `status NAME`: the story of one object.

use serde_json::{Value, json};

use super::{SCHEDULED, fleet};
use crate::harness::Test;

/// The texts of the past that come from this source.
fn texts(story: &Value, source: &str) -> Vec<String> {
    let past = story["past"].as_array().unwrap().iter();
    past.filter(|entry| entry["source"] == source)
        .map(|entry| entry["text"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_story_goes_from_the_edit_to_the_bill_and_beyond() {
    let test = Test::new("story").await;
    fleet(&test).await;
    let reader = test.reader().await;
    let acme = reader.json(&["status", "acme", "-o", "json"]).await;
    assert_eq!(acme["schema"], "tenantpricing.io/story/v1");
    assert_eq!(acme["requestedBy"], "integration-test");
    assert_eq!(texts(&acme, "edit"), ["Set spec.connectionRef, spec.mode, spec.suspend, spec.tenant."]);
    let journal = texts(&acme, "journal");
    assert!(
        journal[0].starts_with("Attempt 1 (") && journal[0].contains("field manager integration-test"),
        "{journal:?}"
    );
    assert!(journal[1].contains("switched by this controller"), "{journal:?}");
    let events = texts(&acme, "event");
    assert!(
        events[0].starts_with("SwitchRequested (Normal)") && events[1].starts_with("SwitchCompleted"),
        "{events:?}"
    );
    let completed =
        test.until("acme", "is there", |_| true).await.status.unwrap().switch.unwrap().completed_at.unwrap();
    assert_eq!(acme["billedMonth"], completed.0.strftime("%Y-%m").to_string());
    assert_eq!(acme["unknown"], json!([]));

    let bolt = reader.json(&["status", "bolt", "-o", "json"]).await;
    assert_eq!(
        (&bolt["next"][0]["reason"], &bolt["next"][0]["at"]),
        (&json!("SwitchScheduled"), &json!(SCHEDULED))
    );
    assert_eq!(bolt["next"][0]["billedMonth"], "2031-05");
    // The trial ends before that.
    assert_eq!(
        (&bolt["next"][1]["reason"], &bolt["next"][1]["billedMonth"]),
        (&json!("AutomaticSwitch"), &json!("2031-03"))
    );
    assert!(bolt["unknown"].as_array().unwrap().len() >= 2, "{:#}", bolt["unknown"]);

    let dawn = reader.run(&["status", "dawn"]).await.success();
    assert!(dawn.contains("Nothing, until a person acts. Set mode: production, or remove mode."), "{dawn}");
    let absent = reader.run(&["status", "absent"]).await.failure();
    assert!(absent.contains("there is no TenantPricing") && absent.contains("/absent"), "{absent}");
    let refused = reader.run(&["status", "acme", "-o", "csv"]).await.failure();
    assert!(refused.contains("leave out -o csv"), "{refused}");
    reader.wrote_nothing(1).await;
    test.finish().await;
}
