//! An upgrade starts new pods beside the old ones only if all of them stand for the same Lease.

use super::{CHART, HELMS};
use crate::harness::Test;

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
