//! The harness does what the other tests rely on.

use crate::harness::Test;

#[tokio::test(flavor = "multi_thread")]
async fn each_test_has_a_namespace_of_its_own() {
    let (one, other) = tokio::join!(Test::new("isolation"), Test::new("isolation"));
    assert_ne!(one.namespace, other.namespace);
    one.kubectl(&["create", "configmap", "mine"]).await.success();
    let seen = other.kubectl(&["get", "configmap", "mine"]).await.failure();
    assert!(seen.contains("NotFound"), "{seen}");
}

#[tokio::test(flavor = "multi_thread")]
async fn both_kinds_are_served() {
    let test = Test::new("served").await;
    let kinds =
        test.kubectl(&["api-resources", "--api-group=tenantpricing.io", "-o", "name"]).await.success();
    assert_eq!(kinds, "platformconnections.tenantpricing.io\ntenantpricings.tenantpricing.io\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_account_can_be_given_a_token() {
    let test = Test::new("token").await;
    test.kubectl(&["create", "serviceaccount", "somebody"]).await.success();
    let token = test.kubectl(&["create", "token", "somebody"]).await.success();
    let token = format!("--token={}", token.trim());
    let who = test.kubectl(&["auth", "whoami", &token, "-o", "jsonpath={.status.userInfo.username}"]).await;
    assert!(who.success().ends_with(":somebody"));
}
