//! What the API server refuses, and what cannot be read.

use kube::{
    Api,
    api::{Patch, PatchParams},
};
use serde_json::json;
use tenant_pricing_controller::{api::TenantPricing, simulator::TenantSpec};

use super::{observed, patches};
use crate::harness::{ApiProxy, Test, reason};

/// Another client edits the object after the command has read it.
#[tokio::test(flavor = "multi_thread")]
async fn a_conflict_edits_nothing_and_says_so() {
    let test = Test::new("edit-conflict").await;
    let tenant = observed(&test).await;
    let editor = test.editor().await;
    for (number, patch) in
        [json!({"spec": {"suspend": true}}), json!({"metadata": {"labels": {"team": "a"}}})]
            .into_iter()
            .enumerate()
    {
        let directory = test.directory().join(format!("proxy-{number}"));
        std::fs::create_dir_all(&directory).unwrap();
        let proxy = ApiProxy::start(editor.kubeconfig(), &directory, test.client.clone()).await;
        // The list comes after the read of the object.
        proxy.hold_list(Some(&test.namespace));
        let kubeconfig = proxy.kubeconfig();
        let arguments = ["switch", "acme", "--yes", "--kubeconfig", kubeconfig.to_str().unwrap()];
        let meanwhile = async {
            proxy.until_a_list_is_held().await;
            test.edit::<TenantPricing>("acme", patch).await;
            proxy.hold_list(None);
        };
        let (output, ()) = tokio::join!(editor.run(&arguments), meanwhile);
        assert_eq!(output.code, 1, "{output:?}");
        let error = output.failure();
        assert!(error.contains("acme changed after it was read. Run the command again"), "{error}");
        test.edit::<TenantPricing>("acme", json!({"spec": {"suspend": false}})).await;
        test.until("acme", "is observed", |object| reason(object, "Ready") == "Observed").await;
    }
    assert_eq!(test.simulator.puts(&tenant), 0);
    assert!(editor.writes().await.iter().all(|write| write.code == 409), "{:?}", editor.writes().await);
    test.finish().await;
}

/// The controller writes the status after the command has read the object, and nothing else changes.
#[tokio::test(flavor = "multi_thread")]
async fn a_status_that_is_written_meanwhile_is_no_conflict() {
    let test = Test::new("edit-beside-status").await;
    let tenant = observed(&test).await;
    let editor = test.editor().await;
    let proxy = ApiProxy::start(editor.kubeconfig(), test.directory(), test.client.clone()).await;
    proxy.hold_list(Some(&test.namespace));
    let kubeconfig = proxy.kubeconfig();
    let arguments = ["switch", "acme", "--yes", "--kubeconfig", kubeconfig.to_str().unwrap()];
    let meanwhile = async {
        proxy.until_a_list_is_held().await;
        let objects: Api<TenantPricing> = Api::namespaced(test.client.clone(), &test.namespace);
        let others = json!({"type": "Backup", "status": "True", "reason": "Done", "message": "",
            "lastTransitionTime": "2026-01-01T00:00:00Z"});
        let object = objects.get("acme").await.unwrap();
        let mut conditions = serde_json::to_value(object.status.unwrap().conditions).unwrap();
        conditions.as_array_mut().unwrap().push(others);
        let status = Patch::Merge(json!({"status": {"conditions": conditions}}));
        objects.patch_status("acme", &PatchParams::default(), &status).await.unwrap();
        proxy.hold_list(None);
    };
    let (output, ()) = tokio::join!(editor.run(&arguments), meanwhile);
    assert_eq!(output.code, 0, "{output:?}");
    assert_eq!(test.simulator.puts(&tenant), 1);
    let codes: Vec<_> = editor.writes().await.into_iter().map(|write| write.code).collect();
    assert_eq!(codes, [409, 200], "the first edit meets the status");
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_of_the_api_server_is_quoted() {
    let test = Test::new("edit-refused").await;
    let tenant = observed(&test).await;
    let editor = test.editor().await;
    for instant in ["2300-01-01T00:00:00Z", "1999-12-31T23:59:59Z"] {
        let error = editor.run(&["switch", "acme", "--not-before", instant, "--yes"]).await.failure();
        assert!(
            error.contains("spec.switch.notBefore: Invalid value") && error.contains("2000 and 2199"),
            "{error}"
        );
    }
    // A user without the right to edit.
    let reader = test.reader().await;
    for arguments in [&["switch", "acme", "--yes"][..], &["suspend", "acme"], &["reconcile", "acme"]] {
        let error = reader.run(arguments).await.failure();
        assert!(error.contains("cannot patch resource \"tenantpricings\""), "{arguments:?}: {error}");
    }
    assert_eq!(test.simulator.puts(&tenant), 0);
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_absent_object_and_a_bad_flag_are_named() {
    let test = Test::new("edit-absent").await;
    let editor = test.editor().await;
    for command in ["switch", "cancel", "suspend", "resume"] {
        let error = editor.run(&[command, "absent"]).await.failure();
        assert!(
            error.contains("there is no TenantPricing") && error.contains("/absent"),
            "{command}: {error}"
        );
        let error = editor.run(&[command]).await.failure();
        assert!(error.contains("<NAME>"), "{command}: {error}");
    }
    for (flag, value, way_out) in [
        ("--not-before", "tomorrow", "write an instant such as 2031-05-01T00:00:00Z, or none"),
        ("--not-before", "2031-05-01", "write an instant such as 2031-05-01T00:00:00Z, or none"),
        ("--at", "now", "immediately, month-start"),
        ("--timeout", "soon", "write a duration such as 30s"),
        ("--dry-run=maybe", "", "none, server, client"),
    ] {
        let arguments = [&["switch", "acme", flag][..], &[value][..usize::from(!value.is_empty())]].concat();
        let error = editor.run(&arguments).await.failure();
        assert!(error.contains(way_out), "{flag} {value}: {error}");
    }
    assert_eq!(patches(&editor).await, 0);
    test.finish().await;
}

/// The tenant is named by a name, and the connection is missing.
#[tokio::test(flavor = "multi_thread")]
async fn a_missing_connection_is_said_before_and_after() {
    let test = Test::new("edit-connection").await;
    test.simulator.add_tenant(TenantSpec::customer("Acme GmbH"));
    test.controller().await;
    test.tenant_pricing("acme", json!({"tenant": {"name": "Acme GmbH"}})).await;
    test.until("acme", "is stalled", |object| reason(object, "Ready") == "ConnectionNotFound").await;
    let editor = test.editor().await;
    let output = editor.run(&["switch", "acme", "--yes"]).await;
    assert_eq!(output.code, 3, "{output:?}");
    assert!(output.stderr.contains("Outcome:     refused"), "{}", output.stderr);
    assert!(output.stdout.contains("Stalled: a person must act (ConnectionNotFound)"), "{}", output.stdout);
    test.finish().await;
}
