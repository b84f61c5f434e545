//! The command line's own verdict against the API server's: on manifests and edits made at random. They are equal, down
//! to the message. A case in which they cannot be equal would stand here, with the reason.
//!
//! `make verdicts` tries more of them, and others each time. `ADMISSION_SEED=…` repeats what failed.

mod mutations;

use std::{collections::BTreeSet, env, str::FromStr, time::Duration};

use futures::{StreamExt as _, stream};
use kube::{
    api::{DynamicObject, Request},
    core::Status,
};
use mutations::Mutator;
use serde_json::{Value, json};
use tenant_pricing_controller::{
    api::custom_resource_definitions,
    cli::validation::{self, Invalid, Reason},
};

use super::{AT_A_TIME, ID};
use crate::harness::{Environment, PATIENCE, Test};

/// The number of cases, unless the environment sets it.
const CASES: usize = 200;

/// The seed, unless the environment sets it. It is fixed, so that a run that fails fails again.
const SEED: u64 = 13;

/// An object that is created, or an edit of a stored one.
struct Case {
    name: String,
    new: Value,
    old: Option<Value>,
}

/// What is found, without order: the fields with their messages, or the object as it would be stored.
#[derive(Debug, PartialEq)]
enum Verdict {
    Accepted(Value),
    Undecodable(String),
    Invalid(BTreeSet<(String, String)>),
}

#[tokio::test(flavor = "multi_thread")]
async fn local_verdicts_equal_the_api_servers_at_random() {
    let test = Test::new("local-verdicts").await;
    let (count, seed) = (number("PROPTEST_CASES").unwrap_or(CASES), number("ADMISSION_SEED").unwrap_or(SEED));
    println!("{count} cases with ADMISSION_SEED={seed}");
    let stored = stored_objects(&test.client, &test.namespace).await;
    let cases = cases(&test.namespace, &stored, count, seed);
    let faults = differences(&test.client, &cases).await;
    let shown = faults.join("\n");
    assert!(faults.is_empty(), "{} of {count} with ADMISSION_SEED={seed}:\n{shown}", faults.len());
    test.abandon(); // its statuses are made up
}

/// Objects that an older CRD admitted. An edit may leave alone what is wrong, and may not add to it.
#[tokio::test(flavor = "multi_thread")]
async fn edits_of_what_is_stored_and_wrong_are_judged_alike() {
    let environment = Environment::alone().await;
    let strict = json!(custom_resource_definitions());
    let mut lax = strict.clone();
    for crd in lax.as_array_mut().unwrap() {
        relax(crd.pointer_mut("/spec/versions/0/schema/openAPIV3Schema").unwrap());
    }
    tokio::task::block_in_place(|| environment.install(&lax)).unwrap();
    let client = kube::Client::try_from(environment.client_config().await).unwrap();
    let (count, seed) = (number("PROPTEST_CASES").unwrap_or(CASES), number("ADMISSION_SEED").unwrap_or(SEED));
    println!("{count} cases with ADMISSION_SEED={seed}");
    let mut mutator = Mutator::new(seed);
    let mut stored = Vec::new();
    for index in 0..count / 4 {
        let object = mutator.manifest(&format!("stored-{index}"), "default");
        // A name or a label can be wrong too, and that no CRD admits.
        if let Ok(object) = send(&client, "POST", &path(&object, ""), &object).await {
            stored.push(object);
        }
    }
    tokio::task::block_in_place(|| environment.install(&strict)).unwrap();
    until_strict(&client).await;

    let mut cases = Vec::new();
    for index in 0..count {
        let known: &Value = mutator.one_of(&stored);
        let place = path(known, &format!("/{}", known["metadata"]["name"].as_str().unwrap()));
        let old = send(&client, "GET", &place, &Value::Null).await.unwrap();
        let new = mutator.edited(&old);
        cases.push(Case { name: format!("edit-{index}"), new, old: Some(old) });
    }
    let faults = differences(&client, &cases).await;
    environment.end();
    let shown = faults.join("\n");
    assert!(faults.is_empty(), "{} of {count} with ADMISSION_SEED={seed}:\n{shown}", faults.len());
}

/// Leaves only the types of a schema.
fn relax(schema: &mut Value) {
    let fields = schema.as_object_mut().unwrap();
    for keyword in ["enum", "maxItems", "maxLength", "maxProperties", "pattern", "x-kubernetes-validations"] {
        fields.remove(keyword);
    }
    for (keyword, inner) in fields {
        match keyword.as_str() {
            "properties" => inner.as_object_mut().unwrap().values_mut().for_each(relax),
            "items" | "additionalProperties" => relax(inner),
            _ => {}
        }
    }
}

/// Waits until both kinds are validated by their rules.
async fn until_strict(client: &kube::Client) {
    let url = json!({"url": "wrong", "credentialsSecretRef": {"name": "s"}});
    for (kind, spec) in [("TenantPricing", json!({"tenant": {}})), ("PlatformConnection", url)] {
        let mut object = super::object(kind, "probe", &spec);
        object["metadata"]["namespace"] = "default".into();
        let is_refused =
            async || send(client, "POST", &(path(&object, "") + "&dryRun=All"), &object).await.is_err();
        let refused = async {
            while !is_refused().await {
                tokio::time::sleep(Duration::from_millis(25)).await;
            }
        };
        tokio::time::timeout(PATIENCE, refused).await.expect("the CRDs are in force");
    }
}

/// A number from the environment.
fn number<Number: FromStr>(name: &str) -> Option<Number> {
    env::var(name).ok()?.parse().ok()
}

fn cases(namespace: &str, stored: &[Value], count: usize, seed: u64) -> Vec<Case> {
    let mut mutator = Mutator::new(seed);
    let case = |number| {
        let name = format!("case-{number}");
        if number % 3 == 0 {
            let old = mutator.one_of(stored).clone();
            let new = mutator.edited(&old);
            return Case { name, new, old: Some(old) };
        }
        Case { new: mutator.manifest(&name, namespace), name, old: None }
    };
    (0..count).map(case).collect()
}

/// Objects of both kinds, in all states in which an edit may meet them.
async fn stored_objects(client: &kube::Client, namespace: &str) -> Vec<Value> {
    let mut stored = Vec::new();
    let statuses = [
        json!({}),
        json!({"observed": {"mode": "trial"}}),
        json!({"observed": {"mode": "production"}}),
        json!({"switch": {"phase": "Scheduled"}, "tenantId": ID}),
        json!({"switch": {"phase": "InFlight"}, "observed": {"mode": "trial"}}),
        json!({"switch": {"phase": "Completed"}, "observed": {"mode": "suspended"}}),
    ];
    for (number, status) in statuses.iter().enumerate() {
        for mode in [None, Some("trial"), Some("production")] {
            let mut object = mutations::tenant_pricing();
            object["metadata"] = json!({"name": format!("stored-{number}-{}", mode.unwrap_or("none"))});
            object["spec"]["mode"] = json!(mode);
            stored.push(store(client, namespace, object, status).await);
        }
    }
    let mut connection = mutations::platform_connection();
    connection["metadata"] = json!({"name": "stored"});
    stored.push(store(client, namespace, connection, &json!({})).await);
    stored
}

/// Creates an object and writes its status. The answer is what is stored then.
async fn store(client: &kube::Client, namespace: &str, mut object: Value, status: &Value) -> Value {
    object["metadata"]["namespace"] = namespace.into();
    let created = send(client, "POST", &path(&object, ""), &object).await.unwrap();
    let name = format!("/{}/status", created["metadata"]["name"].as_str().unwrap());
    let mut with_status = created.clone();
    with_status["status"] = status.clone();
    let mut stored = send(client, "PUT", &path(&created, &name), &with_status).await.unwrap();
    // It is long, and nothing depends on it.
    stored["metadata"].as_object_mut().unwrap().remove("managedFields");
    stored
}

fn path(object: &Value, after: &str) -> String {
    let plural = format!("{}s", object["kind"].as_str().unwrap().to_lowercase());
    let namespace = object["metadata"]["namespace"].as_str().unwrap();
    format!("/apis/tenantpricing.io/v1alpha1/namespaces/{namespace}/{plural}{after}?fieldValidation=Strict")
}

async fn send(client: &kube::Client, method: &str, path: &str, object: &Value) -> Result<Value, Box<Status>> {
    let request = http_request(method, path, object);
    match client.request::<DynamicObject>(request).await {
        Ok(object) => Ok(serde_json::to_value(object).unwrap()),
        Err(kube::Error::Api(status)) => Err(status),
        Err(error) => panic!("{error}"),
    }
}

fn http_request(method: &str, path: &str, object: &Value) -> axum::http::Request<Vec<u8>> {
    let mut request = Request::new(path).create(&kube::api::PostParams::default(), Vec::new()).unwrap();
    *request.method_mut() = method.parse().unwrap();
    *request.uri_mut() = path.parse().unwrap();
    *request.body_mut() = object.to_string().into_bytes();
    request
}

/// The cases in which the two verdicts differ, as texts.
///
/// Each kind of verdict must occur, or the cases show little.
async fn differences(client: &kube::Client, cases: &[Case]) -> Vec<String> {
    let verdicts = stream::iter(cases)
        .map(|case| async move { (case, local_verdict(case), server_verdict(client, case).await) });
    let verdicts: Vec<(&Case, Verdict, Verdict)> = verdicts.buffered(AT_A_TIME).collect().await;
    let count = |is: fn(&Verdict) -> bool| verdicts.iter().filter(|(.., verdict)| is(verdict)).count();
    let counts = [
        count(|verdict| matches!(verdict, Verdict::Accepted(_))),
        count(|verdict| matches!(verdict, Verdict::Undecodable(_))),
        count(|verdict| matches!(verdict, Verdict::Invalid(_))),
    ];
    assert!(counts.iter().all(|count| count * 20 > cases.len()), "{counts:?}");
    let differing = verdicts.iter().filter(|(_, local, server)| local != server);
    differing
        .map(|(Case { name, new, old }, local, server)| {
            format!("{name}: {new}\n  old: {old:?}\n  server: {server:?}\n  local:  {local:?}")
        })
        .collect()
}

fn local_verdict(case: &Case) -> Verdict {
    let found = match validation::validate(&case.new, case.old.as_ref()) {
        Ok(object) => return Verdict::Accepted(object["spec"].clone()),
        Err(found) => found,
    };
    if found[0].reason == Reason::Undecodable {
        let texts: Vec<&str> = found.iter().map(|invalid| invalid.message.as_str()).collect();
        let text = texts.join(", ");
        let is_type = text.starts_with("json:");
        return Verdict::Undecodable(if is_type { text } else { format!("strict decoding error: {text}") });
    }
    let found_at = |invalid: &Invalid| {
        let field = if invalid.field.is_empty() { "<nil>" } else { &invalid.field };
        (field.to_owned(), invalid.message.clone())
    };
    Verdict::Invalid(found.iter().map(found_at).collect())
}

async fn server_verdict(client: &kube::Client, case: &Case) -> Verdict {
    let (method, after) = match &case.old {
        Some(old) => ("PUT", format!("/{}", old["metadata"]["name"].as_str().unwrap())),
        None => ("POST", String::new()),
    };
    let path = path(&case.new, &after) + "&dryRun=All";
    match send(client, method, &path, &case.new).await {
        Ok(object) => Verdict::Accepted(object["spec"].clone()),
        Err(status) if status.code == 422 => {
            let causes = status.details.map(|details| details.causes).unwrap_or_default();
            Verdict::Invalid(causes.into_iter().map(|fault| (fault.field, fault.message)).collect())
        }
        Err(status) => {
            let words = status
                .message
                .split_once(" cannot be handled as a ")
                .and_then(|(_, rest)| rest.split_once(": "));
            Verdict::Undecodable(words.map_or(status.message.clone(), |(_, words)| words.to_owned()))
        }
    }
}
