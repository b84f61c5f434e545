//! `reconcile`: one object, those with a label, and all.

use serde_json::json;
use tenant_pricing_controller::{api::TenantPricing, simulator::TenantSpec};

use super::{observed, patches};
use crate::harness::{Test, reason};

#[tokio::test(flavor = "multi_thread")]
async fn a_reconcile_reads_the_tenant_now() {
    let test = Test::new("reconcile").await;
    let tenant = observed(&test).await;
    let editor = test.editor().await;
    // The controller would notice the new name at the next poll.
    test.simulator.update_tenant(&tenant, |tenant| tenant.name = "Acme AG".to_owned());
    let printed = editor.run(&["reconcile", "acme"]).await.success();
    assert!(printed.contains("/acme: Ready (Observed). The tenant is in mode trial"), "{printed}");
    let is_renamed = |object: &TenantPricing| {
        let observed = object.status.as_ref().and_then(|status| status.observed.as_ref());
        observed.is_some_and(|observed| observed.tenant_name.as_deref() == Some("Acme AG"))
    };
    // The watch of the test may show it a moment after that of the command. The next poll is minutes off.
    test.until("acme", "has the new name", is_renamed).await;
    assert_eq!((test.simulator.puts(&tenant), patches(&editor).await), (0, 1));
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_label_or_all_chooses_several_objects() {
    let test = Test::new("reconcile-many").await;
    observed(&test).await;
    for name in ["bolt", "core"] {
        let tenant = test.simulator.add_tenant(TenantSpec::customer(format!("{name} AG")));
        test.tenant_pricing(name, json!({"tenant": {"id": tenant}})).await;
        test.kubectl(&["label", "tp", name, "of=b"]).await.success();
        test.until(name, "is observed", |object| reason(object, "Ready") == "Observed").await;
    }
    let gone = "0fcd4a69-8a40-4de8-b711-d9c83dc000f7";
    test.tenant_pricing("dune", json!({"tenant": {"id": gone}})).await;
    test.until("dune", "is stalled", |object| reason(object, "Ready") == "TenantNotFound").await;
    let editor = test.editor().await;
    let printed = editor.run(&["reconcile", "-l", "of=b"]).await.success();
    let names: Vec<&str> = printed.lines().filter_map(|line| line.split([':', '/']).nth(1)).collect();
    assert_eq!(names, ["bolt", "core"], "{printed}");
    let all = editor.run(&["reconcile", "--all"]).await;
    assert_eq!(all.code, 3, "one of them is stalled: {all:?}");
    assert_eq!(all.stdout.lines().count(), 4, "{}", all.stdout);
    assert!(all.stdout.contains("/dune: Stalled (TenantNotFound). "), "{}", all.stdout);
    let none = editor.run(&["reconcile", "-l", "of=c"]).await;
    assert!(none.stderr.contains("No TenantPricing in namespace"), "{}", none.stderr);
    none.success();

    let some = editor.run(&["reconcile", "acme", "absent"]).await;
    assert_eq!(some.code, 1);
    assert!(some.stdout.contains("/acme: Ready (Observed). "), "the others are reconciled: {}", some.stdout);
    let error = some.failure();
    assert!(
        error.contains("there is no TenantPricing")
            && error.contains("/absent")
            && error.contains("1 of 2 TenantPricings were not edited"),
        "{error}"
    );
    for arguments in
        [&["reconcile"][..], &["reconcile", "acme", "--all"], &["reconcile", "-l", "a=b", "--all"]]
    {
        let error = editor.run(arguments).await.failure();
        assert!(error.contains("--all"), "{arguments:?}: {error}");
    }
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reconcile_that_no_controller_sees_is_late() {
    let test = Test::new("reconcile-late").await;
    test.tenant_pricing("acme", json!({"tenant": {"name": "Acme GmbH"}})).await;
    let editor = test.editor().await;
    let error = editor.run(&["reconcile", "acme", "--timeout", "1s"]).await.failure();
    assert!(error.contains("did not read 1 of 1 tenants within 1 s"), "{error}");
    let printed = editor.run(&["reconcile", "acme", "--no-wait"]).await.success();
    assert!(printed.ends_with("/acme: annotated\n"), "{printed}");
    assert_eq!(patches(&editor).await, 2);
    test.finish().await;
}
