//! Manifests that are created: one table for each kind.

use serde::Deserialize;
use serde_json::Value;
use tenant_pricing_controller::golden;

use super::{answer, object, transcript};
use crate::harness::Test;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
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
async fn platform_connections_are_accepted_and_refused_as_the_table_says() {
    check("PlatformConnection", "platformconnections", include_str!("platformconnections.yaml")).await;
}

async fn check(kind: &str, plural: &str, table: &str) {
    let test = Test::new("admission").await;
    let cases: Vec<Case> = serde_saphyr::from_str(table).unwrap();
    let text = transcript(cases, async |number, case: Case| {
        let name = format!("case-{number}");
        let manifest = object(kind, &name, &case.spec).to_string();
        let arguments = ["create", "--validate=strict", "-f", "-", "-o", "jsonpath={.spec}\n{.status}\n"];
        let output = test.kubectl_with(&arguments, &manifest).await;
        let answer = answer(&output, &test, &name);
        match &case.verdict {
            Verdict::Accepted => assert!(output.code == 0, "{}: {answer}", case.case),
            Verdict::RefusedAt(field) => {
                assert!(output.code != 0, "{} was accepted: {answer}", case.case);
                assert!(answer.contains(field), "{}: the refusal does not name {field}: {answer}", case.case);
            }
        }
        format!("# {}\n{answer}\n", case.case)
    })
    .await;
    golden::compare(&format!("tests/integration/admission/{plural}.golden"), &text).unwrap();
    test.abandon();
}
