//! `switch`: from the request to the outcome.

use serde_json::json;
use tenant_pricing_controller::{
    api::{SwitchedBy, TenantPricing},
    simulator::TenantSpec,
};

use super::{LATER, observed, patches, scheduled, stored, switched};
use crate::harness::{Test, reason};

#[tokio::test(flavor = "multi_thread")]
async fn a_switch_by_hand_is_carried_out_by_the_controller() {
    let test = Test::new("by-hand").await;
    let tenant = observed(&test).await;
    let editor = test.editor().await;
    let output = editor.run(&["switch", "acme", "--yes"]).await;
    let journal = switched(&test).await.status.unwrap().switch.unwrap();
    let month = journal.completed_at.as_ref().unwrap().0.strftime("%B %Y").to_string();
    for shown in [
        "Tenant:      Acme GmbH",
        "Mode:        trial",
        "Edit:        spec.mode: not set -> production",
        "Outcome:     switch now",
        &format!("That puts the whole of {month} on the bill and cannot be undone"),
        "Whether the tenant is still a customer in trial",
    ] {
        assert!(output.stderr.contains(shown), "{shown}\n{}", output.stderr);
    }
    let printed = output.success();
    assert!(printed.contains("/acme: Done (InSync). "), "{printed}");
    assert!(printed.contains(&format!("Billed: {month} was the first month on the bill")), "{printed}");
    assert_eq!(journal.requested_by.as_deref(), Some("tenantpricing-cli"));
    assert_eq!((journal.by, journal.attempts), (Some(SwitchedBy::Controller), 1));
    // The journal announced the one request, so the controller sent it. The command edited once.
    assert_eq!((test.simulator.puts(&tenant), patches(&editor).await), (1, 1));

    let again = editor.run(&["switch", "acme"]).await.success();
    assert!(again.contains("nothing to do, the tenant is in production"), "{again}");
    assert!(again.contains(&month), "{again}");
    assert_eq!((test.simulator.puts(&tenant), patches(&editor).await), (1, 1));
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_later_switch_is_scheduled_and_can_be_brought_forward() {
    let test = Test::new("by-hand-later").await;
    let tenant = observed(&test).await;
    let editor = test.editor().await;
    let output = editor.run(&["switch", "acme", "--at", "month-start", "--not-before", LATER, "--yes"]).await;
    assert!(output.stderr.contains("Billed from: 2031-05"), "{}", output.stderr);
    let printed = output.success();
    assert!(printed.contains("/acme: Scheduled (SwitchScheduled). ") && printed.contains(LATER), "{printed}");
    assert!(printed.contains("Billed: Nothing: the tenant was in trial"), "{printed}");
    let spec = stored(&test, "acme").await["spec"].clone();
    assert_eq!(
        (&spec["mode"], &spec["switch"]),
        (&json!("production"), &json!({"at": "MonthStart", "notBefore": LATER}))
    );

    // What is asked for already is no edit.
    let again = editor.run(&["switch", "acme", "--at", "month-start"]).await.success();
    assert!(again.contains("nothing to do, the spec asks for this already"), "{again}");
    assert_eq!((test.simulator.puts(&tenant), patches(&editor).await), (0, 1));

    let output =
        editor.run(&["switch", "acme", "--at", "immediately", "--not-before", "none", "--yes"]).await;
    for edit in
        ["spec.switch.at: MonthStart -> Immediately", &format!("spec.switch.notBefore: {LATER} -> not set")]
    {
        assert!(output.stderr.contains(edit), "{edit}\n{}", output.stderr);
    }
    assert!(!output.stderr.contains("spec.mode:"), "the mode stays: {}", output.stderr);
    assert!(output.success().contains("/acme: Done (InSync). "));
    assert_eq!((test.simulator.puts(&tenant), patches(&editor).await), (1, 2));
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_wait_the_edit_is_all() {
    let test = Test::new("by-hand-no-wait").await;
    // There is no controller that could give an outcome.
    let tenant = test.simulator.add_tenant(TenantSpec::customer("Acme GmbH"));
    test.connection("default", json!({})).await;
    test.tenant_pricing("acme", json!({"tenant": {"id": tenant}})).await;
    let editor = test.editor().await;
    let output = editor.run(&["switch", "acme", "--yes", "--no-wait"]).await;
    assert!(output.stderr.contains("The controller has not read the tenant yet."), "{}", output.stderr);
    assert_eq!(output.success(), "tenantpricing.tenantpricing.io/acme edited\n");
    assert_eq!(stored(&test, "acme").await["spec"]["mode"], "production");

    // A watch that is quiet for longer than one request may take is not worth a word.
    let late = editor.run(&["suspend", "acme", "--timeout", "3s", "--request-timeout", "1s"]).await;
    assert_eq!(late.code, 1);
    assert!(!late.stderr.contains("interrupted"), "{}", late.stderr);
    let error = late.failure();
    assert!(
        error.contains("acme has no outcome after 3 s") && error.contains("The edit is stored"),
        "{error}"
    );
    assert!(error.contains("No controller has seen it yet"), "{error}");
    assert_eq!(stored(&test, "acme").await["spec"]["suspend"], true);
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_switch_that_a_person_must_help_ends_with_3() {
    let test = Test::new("by-hand-stalled").await;
    let tenant = observed(&test).await;
    let disabled =
        test.simulator.add_tenant(TenantSpec { enabled: Some(false), ..TenantSpec::customer("Bolt AG") });
    test.tenant_pricing("bolt", json!({"tenant": {"id": disabled}})).await;
    test.until("bolt", "is observed", |object| reason(object, "Ready") == "Observed").await;
    let editor = test.editor().await;
    let stalled = editor.run(&["switch", "bolt", "--yes"]).await;
    assert_eq!(stalled.code, 3, "{stalled:?}");
    assert!(
        stalled.stdout.contains("/bolt: Stalled: a person must act (TenantDisabled). "),
        "{}",
        stalled.stdout
    );

    // A budget of zero holds the switch back for as long as it is zero.
    let budget = json!({"spec": {"switch": {"budget": {"count": 0}}}});
    test.edit::<tenant_pricing_controller::api::PlatformConnection>("default", budget).await;
    let held = editor.run(&["switch", "acme", "--yes"]).await;
    assert!(
        held.stderr.contains("SwitchBudgetExhausted") || held.stderr.contains("budget"),
        "{}",
        held.stderr
    );
    let printed = held.success();
    assert!(printed.contains("/acme: Held back (SwitchBudgetExhausted). "), "{printed}");
    assert_eq!((test.simulator.puts(&tenant), test.simulator.puts(&disabled)), (0, 0));
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_shows_everything_and_stores_nothing() {
    let test = Test::new("by-hand-dry").await;
    let tenant = scheduled(&test).await;
    let editor = test.editor().await;
    let before = stored(&test, "acme").await;
    let at_once = ["switch", "acme", "--at", "immediately", "--not-before", "none"];
    for (arguments, flag, said) in [
        (&at_once[..], "--dry-run", "(server dry run)"),
        (&at_once[..], "--dry-run=server", "(server dry run)"),
        (&at_once[..], "--dry-run=client", "(client dry run)"),
        (&["cancel", "acme"], "--dry-run=server", "(server dry run)"),
        (&["suspend", "acme"], "--dry-run=client", "(client dry run)"),
    ] {
        // Nothing is asked, since nothing happens.
        let output = editor.run(&[arguments, &[flag]].concat()).await;
        assert!(output.stderr.contains("Edit:        spec."), "{arguments:?}: {}", output.stderr);
        assert!(output.stderr.contains("Outcome:     "), "{arguments:?}: {}", output.stderr);
        let printed = output.success();
        assert_eq!(printed, format!("tenantpricing.tenantpricing.io/acme would be edited {said}\n"));
    }
    let reconciled = editor.run(&["reconcile", "acme", "--dry-run=server"]).await.success();
    assert!(reconciled.contains("/acme: would be annotated (server dry run)"), "{reconciled}");
    let after = stored(&test, "acme").await;
    assert_eq!(before["metadata"]["resourceVersion"], after["metadata"]["resourceVersion"]);
    let writes = editor.writes().await;
    assert_eq!(writes.len(), 4, "a client's dry run sends nothing: {writes:#?}");
    assert!(writes.iter().all(|write| write.uri.contains("dryRun=All")), "{writes:#?}");
    super::super::assert_only_reads(&test.simulator.requests());
    assert_eq!(test.simulator.puts(&tenant), 0);

    // What the API server refuses is refused in the dry run, too.
    let refused = editor.run(&["switch", "acme", "--not-before", "2300-01-01T00:00:00Z", "--dry-run"]).await;
    let error = refused.failure();
    assert!(error.contains("must lie between the years 2000 and 2199"), "{error}");
    test.finish().await;
}

/// The name in the journal is that of the last client that set the mode.
#[tokio::test(flavor = "multi_thread")]
async fn the_one_who_asked_last_is_in_the_journal() {
    let test = Test::new("by-hand-asked").await;
    scheduled(&test).await;
    let editor = test.editor().await;
    editor.run(&["cancel", "acme"]).await.success();
    let spec = json!({"spec": {"switch": {"notBefore": null}}});
    test.edit::<TenantPricing>("acme", spec).await;
    editor.run(&["switch", "acme", "--yes"]).await.success();
    let journal = switched(&test).await.status.unwrap().switch.unwrap();
    assert_eq!(journal.requested_by.as_deref(), Some("tenantpricing-cli"));
    test.finish().await;
}
