//! An upgrade starts new pods beside the old ones only if all of them stand for the same Lease.

use super::{CHART, HELMS, Release};
use crate::harness::{Controller, PATIENCE, Test};

#[tokio::test(flavor = "multi_thread")]
async fn pods_of_two_elections_never_run_side_by_side() {
    let test = Test::new("chart-upgrades").await;
    let common = "crds.enabled=false,fullnameOverride=controller,rbac.create=false,rbac.userRoles=false";
    let steps = [
        ("install", "", "RollingUpdate"),
        ("upgrade", "", "RollingUpdate"),
        // The API server refuses the parameters of one strategy with the other: they have to go as well.
        ("upgrade", "leaderElection.leaseName=other", "Recreate"),
        ("upgrade", "leaderElection.leaseName=other", "RollingUpdate"),
        ("upgrade", "leaderElection.enabled=false", "Recreate"),
        ("upgrade", "leaderElection.enabled=false", "Recreate"),
        // The running pods use no lease.
        ("upgrade", "", "Recreate"),
        ("upgrade", "replicaCount=3", "RollingUpdate"),
    ];
    for helm in HELMS {
        for (number, (verb, values, expected)) in steps.into_iter().enumerate() {
            let values = format!("{common},{values}");
            let arguments = [verb, "it", CHART, "--set", values.trim_end_matches(',')];
            test.helm_of(helm, &arguments).await.success();
            let strategy = ["get", "deployment", "controller", "-o", "jsonpath={.spec.strategy.type}"];
            let strategy = test.kubectl(&strategy).await.success();
            assert_eq!(strategy, expected, "step {number} of {helm}: {verb} with {values}");
        }
        test.helm_of(helm, &["uninstall", "it"]).await.success();
    }
    test.finish().await;
}

/// Helm starts the new Deployment first, and deletes the old one last: two pods of one release run meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn a_renamed_release_goes_on_with_one_election() {
    let test = Test::new("chart-renamed").await;
    let account = "pricing-account";
    test.kubectl(&["create", "serviceaccount", account]).await.success();
    let own = format!(
        "crds.enabled=false,rbac.userRoles=false,serviceAccount.create=false,serviceAccount.name={account},\
         watchNamespaces={{{}}}",
        test.namespace
    );
    let mut former: Option<Controller> = None;
    for (verb, values, fullname) in [
        ("install", "", "it-tenant-pricing-controller"),
        ("upgrade", ",nameOverride=pricing", "it-pricing"),
        ("upgrade", ",fullnameOverride=billing", "billing"),
    ] {
        test.helm(&[verb, "it", CHART, "--set", &format!("{own}{values}")]).await.success();
        let release = Release { namespace: &test.namespace, fullname };
        let controller = release.start_controller_as(&test, account).await;
        if let Some(former) = former.take() {
            until_said(&test, &controller, "standing by").await;
            former.terminate().await;
        }
        until_said(&test, &controller, "became leader").await;
        former = Some(controller);
    }
    let leases = test.kubectl(&["get", "leases", "-o", "jsonpath={.items[*].metadata.name}"]).await;
    assert_eq!(leases.success(), "it-tenant-pricing-controller");
    test.helm(&["uninstall", "it"]).await.success();
    test.finish().await;
}

/// The API server would refuse the new selector after other objects have changed.
#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_that_cannot_change_the_selector_changes_nothing() {
    let test = Test::new("chart-selector").await;
    let common = "crds.enabled=false,rbac.create=false,rbac.userRoles=false";
    for helm in HELMS {
        for (release, values) in
            [("it", ",fullnameOverride=controller"), ("it-tenant-pricing-controller", "")]
        {
            let run = async |verb: &str, more: &str| {
                let values = format!("{common}{values}{more}");
                test.helm_of(helm, &[verb, release, CHART, "--set", &values]).await
            };
            run("install", "").await.success();
            let instance = format!("app.kubernetes.io/instance={release}");
            let versions = ["get", "deployments,serviceaccounts", "-l", &instance, "-o"];
            let versions = [&versions[..], &["jsonpath={.items[*].metadata.resourceVersion}"]].concat();
            let before = test.kubectl(&versions).await.success();
            assert_eq!(before.split(' ').count(), 2, "{before}");
            let message = run("upgrade", ",nameOverride=it,commonLabels.team=a").await.failure();
            for word in ["Nothing has changed yet", "Set nameOverride to tenant-pricing-controller", "to it,"]
            {
                assert!(message.contains(word), "{helm}, {release}: {message}");
            }
            assert_eq!(test.kubectl(&versions).await.success(), before, "{helm}, {release}");
            // The ways out.
            run("upgrade", ",nameOverride=tenant-pricing-controller,commonLabels.team=a").await.success();
            run("upgrade", ",nameOverride=it,fullnameOverride=another").await.success();
            test.helm_of(helm, &["uninstall", release]).await.success();
        }
    }
    test.finish().await;
}

async fn until_said(test: &Test, controller: &Controller, message: &str) {
    let said =
        async || controller.log_entries().iter().any(|entry| entry["message"] == message).then_some(());
    test.wait_for(&format!("a controller logs {message:?}"), PATIENCE, said).await;
}
