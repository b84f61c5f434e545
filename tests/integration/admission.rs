//! What the API server itself accepts and refuses, and in which words.
//!
//! Tables say what is tried and what must come of it; golden files beside them hold the server's whole
//! answers. A regenerated golden file cannot hide a wrong verdict: the tables say it too.

mod edits;
mod local;
mod manifests;
mod presentation;
mod taking_back;
mod yaml;

use futures::{StreamExt as _, stream};
use kube::api::{Api, ApiResource, DynamicObject, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use tenant_pricing_controller::api::TenantPricing;

use crate::harness::Test;

const ID: &str = "0fcd4a69-8a40-4de8-b711-d9c83dc000f7";

const AT_A_TIME: usize = 4;

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

/// The server's own words of refusal, free of the names that differ between runs.
fn refusal<T>(answer: kube::Result<T>, test: &Test, name: &str) -> Result<T, String> {
    answer.map_err(|error| match error {
        kube::Error::Api(status) => normalised(&status.message, test, name),
        error => panic!("{error}"),
    })
}

fn normalised(message: &str, test: &Test, name: &str) -> String {
    message.replace(&test.namespace, "<namespace>").replace(name, "acme").trim_end().to_owned()
}

fn tenant_pricings(test: &Test) -> Api<DynamicObject> {
    let resource = ApiResource::erase::<TenantPricing>(&());
    Api::namespaced_with(test.client.clone(), &test.namespace, &resource)
}

async fn create(test: &Test, name: &str, spec: &Value) {
    let object = serde_json::from_value(tenant_pricing(name, spec)).unwrap();
    tenant_pricings(test).create(&PostParams::default(), &object).await.unwrap();
}

async fn merge(test: &Test, name: &str, patch: &Value) -> Result<DynamicObject, String> {
    let answer = tenant_pricings(test).patch(name, &PatchParams::default(), &Patch::Merge(patch)).await;
    refusal(answer, test, name)
}

/// Writes a status as the controller does: a merge patch on the subresource.
async fn write_status(test: &Test, name: &str, status: &Value) {
    let patch = Patch::Merge(json!({"status": status}));
    tenant_pricings(test).patch_status(name, &PatchParams::default(), &patch).await.unwrap();
}

/// The object as stored.
async fn stored(test: &Test, name: &str) -> Value {
    serde_json::to_value(tenant_pricings(test).get(name).await.unwrap()).unwrap()
}
