//! `suspend` and `resume`.

use serde_json::json;
use tenant_pricing_controller::api::TenantPricing;

use super::{observed, patches, scheduled, stored, switched};
use crate::harness::{Test, reason};

#[tokio::test(flavor = "multi_thread")]
async fn a_suspended_object_is_held_until_it_is_resumed() {
    let test = Test::new("suspend").await;
    let tenant = scheduled(&test).await;
    let editor = test.editor().await;
    let output = editor.run(&["suspend", "acme"]).await;
    for shown in ["Edit:        spec.suspend: false -> true", "Outcome:     suspended"] {
        assert!(output.stderr.contains(shown), "{shown}\n{}", output.stderr);
    }
    assert!(output.success().contains("/acme: Done (Suspended). "));
    assert!(editor.run(&["suspend", "acme"]).await.success().contains("nothing to do"));

    // It is due once it is resumed, so resuming it is asked for by `--yes`.
    test.edit::<TenantPricing>("acme", json!({"spec": {"switch": {"notBefore": null}}})).await;
    test.until("acme", "is seen", |object| {
        object.status.as_ref().map(|status| status.observed_generation) == object.metadata.generation
    })
    .await;
    let output = editor.run(&["resume", "acme", "--yes"]).await;
    assert!(output.stderr.contains("Outcome:     switch now"), "{}", output.stderr);
    assert!(output.success().contains("/acme: Done (InSync). "));
    switched(&test).await;
    assert!(editor.run(&["resume", "acme"]).await.success().contains("nothing to do"));
    assert_eq!((test.simulator.puts(&tenant), patches(&editor).await), (1, 2));
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn resuming_without_a_switch_asks_nothing() {
    let test = Test::new("resume").await;
    let tenant = observed(&test).await;
    let editor = test.editor().await;
    editor.run(&["suspend", "acme"]).await.success();
    // There is no terminal, and no --yes.
    assert!(editor.run(&["resume", "acme"]).await.success().contains("/acme: Done (Observed). "));
    assert_eq!(stored(&test, "acme").await["spec"]["suspend"], false);

    test.edit::<TenantPricing>("acme", json!({"spec": {"mode": "production"}})).await;
    switched(&test).await;
    editor.run(&["suspend", "acme"]).await.success();
    test.until("acme", "is suspended", |object| reason(object, "Ready") == "Suspended").await;
    let output = editor.run(&["resume", "acme"]).await;
    assert!(output.stderr.contains("Outcome:     no switch"), "{}", output.stderr);
    assert!(output.success().contains("/acme: Done (InSync). "));
    assert_eq!((test.simulator.puts(&tenant), patches(&editor).await), (1, 4));
    test.finish().await;
}
