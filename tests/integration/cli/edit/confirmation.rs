//! The confirmation on a terminal, and Ctrl-C.

use serde_json::json;
use tenant_pricing_controller::{api::TenantPricing, simulator::TenantSpec};

use super::{observed, patches, scheduled, stored, switched};
use crate::harness::{Terminal, Test, reason};

const QUESTION: &str = "to go on, or press Enter to leave everything as it is: ";

#[tokio::test(flavor = "multi_thread")]
async fn the_name_of_the_tenant_confirms_a_switch() {
    let test = Test::new("confirmed").await;
    let tenant = observed(&test).await;
    let editor = test.editor().await;
    let mut terminal = Terminal::start(editor.on_a_terminal(&["switch", "acme"]));
    let shown = terminal.until(QUESTION).await;
    assert!(shown.contains("Type the name of the tenant (Acme GmbH)"), "{shown}");
    assert!(
        shown.contains("on the bill and cannot be undone"),
        "the bill comes before the question: {shown}"
    );
    assert_eq!(patches(&editor).await, 0, "nothing is edited before the answer");
    terminal.enter("Acme GmbH").await;
    let output = terminal.end().await;
    assert_eq!(output.code, 0, "{}", output.stdout);
    assert!(output.stdout.contains("/acme: Done (InSync). "), "{}", output.stdout);
    switched(&test).await;
    assert_eq!((test.simulator.puts(&tenant), patches(&editor).await), (1, 1));
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn any_other_answer_edits_nothing() {
    let test = Test::new("not-confirmed").await;
    let tenant = observed(&test).await;
    let editor = test.editor().await;
    let before = stored(&test, "acme").await;
    for answer in ["acme", "y", "acme gmbh", "", "Acme GmbH \u{e9}"] {
        let mut terminal = Terminal::start(editor.on_a_terminal(&["switch", "acme"]));
        terminal.until(QUESTION).await;
        terminal.enter(answer).await;
        let output = terminal.end().await;
        assert_eq!(output.code, 1, "{answer:?}: {}", output.stdout);
        let error = "is not the name of the tenant. Run the command again, or give --yes";
        assert!(output.stdout.contains(error), "{answer:?}: {}", output.stdout);
    }
    // Ctrl-C at the question ends the command before anything is edited.
    let mut terminal = Terminal::start(editor.on_a_terminal(&["switch", "acme"]));
    terminal.until(QUESTION).await;
    terminal.interrupt().await;
    assert_ne!(terminal.end().await.code, 0);
    assert_eq!(
        before["metadata"]["resourceVersion"],
        stored(&test, "acme").await["metadata"]["resourceVersion"]
    );
    assert_eq!((test.simulator.puts(&tenant), patches(&editor).await), (0, 0));
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_terminal_a_switch_needs_yes() {
    let test = Test::new("no-terminal").await;
    let tenant = scheduled(&test).await;
    test.edit::<TenantPricing>("acme", json!({"spec": {"suspend": true}})).await;
    test.until("acme", "is suspended", |object| reason(object, "Ready") == "Suspended").await;
    let bolt = test.simulator.add_tenant(TenantSpec::customer("Bolt AG"));
    test.tenant_pricing("bolt", json!({"tenant": {"id": bolt}, "mode": "trial"})).await;
    test.until("bolt", "is in trial", |object| reason(object, "Ready") == "InSync").await;
    let editor = test.editor().await;
    for arguments in
        [&["switch", "bolt"][..], &["switch", "bolt", "--at", "month-start"], &["resume", "acme"]]
    {
        let output = editor.run(arguments).await;
        assert!(output.stderr.contains("Billed from: 20"), "{arguments:?}: {}", output.stderr);
        assert_eq!(output.code, 1);
        let error = output.failure();
        assert!(error.contains("standard input is no terminal"), "{arguments:?}: {error}");
        assert!(error.contains("or give --yes"), "{arguments:?}: {error}");
    }
    assert_eq!(patches(&editor).await, 0);
    assert_eq!(test.simulator.puts(&tenant) + test.simulator.puts(&bolt), 0);
    test.finish().await;
}

/// The answer may take long. What was shown must still hold then.
#[tokio::test(flavor = "multi_thread")]
async fn an_edit_during_the_question_is_not_overwritten() {
    let test = Test::new("changed-meanwhile").await;
    let tenant = observed(&test).await;
    let editor = test.editor().await;
    let mut terminal = Terminal::start(editor.on_a_terminal(&["switch", "acme"]));
    terminal.until(QUESTION).await;
    test.edit::<TenantPricing>("acme", json!({"spec": {"switch": {"at": "MonthStart"}}})).await;
    terminal.enter("Acme GmbH").await;
    let output = terminal.end().await;
    assert_eq!(output.code, 1, "{}", output.stdout);
    assert!(output.stdout.contains("changed while you were asked"), "{}", output.stdout);
    assert_eq!((test.simulator.puts(&tenant), patches(&editor).await), (0, 0));

    // What does not concern the switch does not disturb it.
    let mut terminal = Terminal::start(editor.on_a_terminal(&["switch", "acme", "--at", "immediately"]));
    terminal.until(QUESTION).await;
    test.edit::<TenantPricing>("acme", json!({"metadata": {"labels": {"team": "a"}}})).await;
    terminal.enter("Acme GmbH").await;
    let output = terminal.end().await;
    assert_eq!(output.code, 0, "{}", output.stdout);
    assert_eq!((test.simulator.puts(&tenant), patches(&editor).await), (1, 1));
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_ends_the_waiting_and_not_the_switch() {
    let test = Test::new("interrupted").await;
    // There is no controller yet, so the outcome is still to come.
    let tenant = test.simulator.add_tenant(TenantSpec::customer("Acme GmbH"));
    test.connection("default", json!({})).await;
    test.tenant_pricing("acme", json!({"tenant": {"id": tenant}})).await;
    let editor = test.editor().await;
    let mut terminal = Terminal::start(editor.on_a_terminal(&["switch", "acme", "--yes"]));
    terminal.until("is edited. Waiting for the controller.").await;
    terminal.interrupt().await;
    let output = terminal.end().await;
    assert_eq!(output.code, 130, "{}", output.stdout);
    for said in [
        "You no longer wait",
        "the controller still switches the tenant when it is due",
        "kubectl-tenantpricing cancel",
    ] {
        assert!(output.stdout.contains(said), "{said}\n{}", output.stdout);
    }
    assert_eq!(stored(&test, "acme").await["spec"]["mode"], "production");
    test.controller().await;
    switched(&test).await;
    assert_eq!((test.simulator.puts(&tenant), patches(&editor).await), (1, 1));
    test.finish().await;
}
