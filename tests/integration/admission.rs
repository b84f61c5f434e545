//! What the API server itself accepts and refuses, and in which words.
//!
//! Tables say what is tried and what must come of it; golden files beside them hold the server's whole
//! answers. A regenerated golden file cannot hide a wrong verdict: the tables say it too.

mod edits;
mod manifests;
mod presentation;
mod taking_back;

use futures::{StreamExt as _, stream};
use serde_json::{Value, json};

use crate::harness::{Output, Test};

const ID: &str = "0fcd4a69-8a40-4de8-b711-d9c83dc000f7";

/// kubectl processes at a time: they need a core each.
const AT_A_TIME: usize = 3;

fn tenant_pricing(name: &str, spec: &Value) -> Value {
    object("TenantPricing", name, spec)
}

fn object(kind: &str, name: &str, spec: &Value) -> Value {
    json!({"apiVersion": "tenantpricing.io/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec})
}

/// Runs `step` for each case, a few at a time, and gives the transcript in the order of the cases.
async fn transcript<Case, Step, Done>(cases: Vec<Case>, step: Step) -> String
where
    Step: Fn(usize, Case) -> Done,
    Done: Future<Output = String>,
{
    let steps = cases.into_iter().enumerate().map(|(number, case)| step(number, case));
    let texts: Vec<String> = stream::iter(steps).buffered(AT_A_TIME).collect().await;
    texts.join("\n")
}

/// What the server answered, free of the names that differ between runs.
fn answer(output: &Output, test: &Test, name: &str) -> String {
    let text = if output.code == 0 { &output.stdout } else { &output.stderr };
    text.replace(&test.namespace, "<namespace>").replace(name, "acme").trim_end().to_owned()
}

/// Writes a status as the controller does: a merge patch on the subresource.
async fn write_status(test: &Test, name: &str, status: &Value) -> Output {
    let patch = json!({"status": status}).to_string();
    test.kubectl(&["patch", "tenantpricing", name, "--subresource=status", "--type=merge", "-p", &patch])
        .await
}

/// One field of the stored object; empty when it is absent.
async fn stored(test: &Test, name: &str, path: &str) -> String {
    let output = format!("jsonpath={{{path}}}");
    test.kubectl(&["get", "tenantpricing", name, "-o", &output]).await.success()
}
