//! Manifests that are created: one table for each kind.

use kube::api::{DynamicObject, PostParams, Request};
use serde::Deserialize;
use serde_json::Value;
use tenant_pricing_controller::testing::golden;

use super::{object, refusal, transcript};
use crate::harness::Test;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Attempt {
    case: String,
    verdict: Verdict,
    spec: Value,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Verdict {
    Accepted,
    /// The text that the refusal must contain: the field.
    RefusedAt(String),
}

#[tokio::test(flavor = "multi_thread")]
async fn tenant_pricings_are_accepted_and_refused_as_the_table_says() {
    check("TenantPricing", "tenantpricings", include_str!("tenantpricings.yaml")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn platform_connections_are_admitted_as_the_table_says() {
    check("PlatformConnection", "platformconnections", include_str!("platformconnections.yaml")).await;
}

/// Creates an object as kubectl does, which accepts no unknown field.
async fn create_strictly(test: &Test, plural: &str, object: &Value) -> kube::Result<DynamicObject> {
    let path = format!("/apis/tenantpricing.io/v1alpha1/namespaces/{}/{plural}", test.namespace);
    let body = object.to_string().into_bytes();
    let mut request = Request::new(path).create(&PostParams::default(), body).unwrap();
    *request.uri_mut() = format!("{}&fieldValidation=Strict", request.uri()).parse().unwrap();
    test.client.request(request).await
}

async fn check(kind: &str, plural: &str, table: &str) {
    let test = Test::new("admission").await;
    let attempts: Vec<Attempt> = serde_saphyr::from_str(table).unwrap();
    let answers = transcript(attempts, async |number, attempt: Attempt| {
        let name = format!("case-{number}");
        let answer =
            refusal(create_strictly(&test, plural, &object(kind, &name, &attempt.spec)).await, &test, &name);
        match &attempt.verdict {
            Verdict::Accepted => assert!(answer.is_ok(), "{}: {answer:?}", attempt.case),
            Verdict::RefusedAt(field) => {
                let refusal = answer.as_ref().expect_err(&attempt.case);
                assert!(
                    refusal.contains(field),
                    "{}: the refusal does not name {field}: {refusal}",
                    attempt.case
                );
            }
        }
        let answer = answer.map_or_else(
            |refusal| refusal,
            |object| format!("spec:   {}\nstatus: {}", object.data["spec"], object.data["status"]),
        );
        format!("# {}\n{answer}\n", attempt.case)
    })
    .await;
    golden::compare(&format!("tests/integration/admission/{plural}.golden"), &answers).unwrap();
    test.abandon();
}
