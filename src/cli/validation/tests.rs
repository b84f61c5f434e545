//! The verdicts, against the answers of a real API server in the golden files of `tests/integration/admission`.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::json;

use super::{schema::Schema, *};
use crate::api::custom_resource_definitions;

const ID: &str = "0fcd4a69-8a40-4de8-b711-d9c83dc000f7";

#[derive(Deserialize)]
struct Attempt {
    case: String,
    spec: Value,
}

fn object(kind: &str, spec: &Value) -> Value {
    json!({
        "apiVersion": "tenantpricing.io/v1alpha1", "kind": kind,
        "metadata": {"name": "acme", "namespace": "billing"}, "spec": spec,
    })
}

fn pricing(spec: &Value) -> Value {
    object("TenantPricing", spec)
}

/// The faults as the API server words them, in the order of the text.
fn refusals(new: &Value, old: Option<&Value>) -> Vec<String> {
    let faults = validate(new, old).err().unwrap_or_default();
    let mut texts: Vec<String> = faults.iter().map(in_kubernetes).collect();
    texts.sort();
    texts.dedup();
    texts
}

fn in_kubernetes(fault: &Invalid) -> String {
    let field = if fault.field.is_empty() { "<nil>" } else { &fault.field };
    match fault.reason {
        Reason::Undecodable => fault.message.clone(),
        _ => format!("{field}: {}", fault.message),
    }
}

/// Whether the answer consists of all the texts, in any order.
fn consists_of(answer: &str, texts: &[String]) -> bool {
    if texts.is_empty() {
        return answer.is_empty();
    }
    texts.iter().enumerate().any(|(at, text)| {
        let rest: Vec<String> = [&texts[..at], &texts[at + 1..]].concat();
        answer.strip_prefix(text.as_str()).is_some_and(|after| match after.strip_prefix(", ") {
            Some(after) => consists_of(after, &rest),
            None => consists_of(after, &rest),
        })
    })
}

/// Compares the local verdict on each case of a table with the answer that the API server gave.
fn compare_with_server(kind: &str, table: &str, answers: &str) {
    let attempts: Vec<Attempt> = serde_saphyr::from_str(table).unwrap();
    let answers: Vec<&str> = answers.trim_start_matches("# ").split("\n# ").collect();
    assert_eq!(attempts.len(), answers.len());
    let mut faults = Vec::new();
    for (attempt, answer) in attempts.iter().zip(answers) {
        let (case, answer) = answer.split_once('\n').unwrap();
        assert_eq!(case, attempt.case);
        let answer = answer.trim_end();
        let verdict = validate(&object(kind, &attempt.spec), None);
        let equal = if let Ok(object) = &verdict {
            answer.starts_with(&format!("spec:   {}\n", object["spec"]))
        } else {
            let texts = refusals(&object(kind, &attempt.spec), None);
            let invalid = format!("{kind}.tenantpricing.io \"acme\" is invalid: ");
            let undecodable = format!(
                "{kind} in version \"v1alpha1\" cannot be handled as a {kind}: strict decoding error: "
            );
            let words = answer.strip_prefix(&invalid).or(answer.strip_prefix(&undecodable));
            let words = words.unwrap_or("(accepted)");
            let words = if texts.len() > 1 { words.trim_matches(['[', ']']) } else { words };
            consists_of(words, &texts)
        };
        if !equal {
            faults.push(format!("{case}\n  server: {answer}\n  local:  {verdict:#?}"));
        }
    }
    assert!(faults.is_empty(), "{} of {}:\n{}", faults.len(), attempts.len(), faults.join("\n"));
}

#[test]
fn verdicts_on_tenant_pricings_equal_the_api_servers() {
    compare_with_server(
        "TenantPricing",
        include_str!("../../../tests/integration/admission/tenantpricings.yaml"),
        include_str!("../../../tests/integration/admission/tenantpricings.golden"),
    );
}

#[test]
fn verdicts_on_connections_equal_the_api_servers() {
    compare_with_server(
        "PlatformConnection",
        include_str!("../../../tests/integration/admission/platformconnections.yaml"),
        include_str!("../../../tests/integration/admission/platformconnections.golden"),
    );
}

/// Checks the keywords of a schema, and of all schemas inside it.
fn check_keywords(path: &str, schema: &Value, known: &BTreeSet<&str>, checked: &mut usize) {
    for keyword in schema.as_object().into_iter().flatten().map(|(keyword, _)| keyword.as_str()) {
        assert!(known.contains(keyword), "{path}: {keyword} is checked nowhere in src/cli/validation");
        *checked += 1;
    }
    // Another type of list needs its own comparison of items.
    assert!(matches!(schema["x-kubernetes-list-type"].as_str(), None | Some("atomic")), "{path}");
    assert!(matches!(schema["format"].as_str(), None | Some("int64" | "date-time")), "{path}");
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        check_keywords(&format!("{path}.{name}"), property, known, checked);
    }
    for inner in ["items", "additionalProperties"] {
        if schema[inner].is_object() {
            check_keywords(&format!("{path}[]"), &schema[inner], known, checked);
        }
    }
}

#[test]
fn every_keyword_of_the_schemas_is_checked() {
    let known = BTreeSet::from([
        "additionalProperties",
        "default",
        "description",
        "enum",
        "format",
        "items",
        "maxItems",
        "maxLength",
        "maxProperties",
        "pattern",
        "properties",
        "required",
        "title",
        "type",
        "x-kubernetes-list-type",
        "x-kubernetes-map-type",
        "x-kubernetes-validations",
    ]);
    let mut checked = 0;
    for crd in custom_resource_definitions() {
        let mut schema =
            serde_json::to_value(&crd.spec.versions[0].schema).unwrap()["openAPIV3Schema"].take();
        // Only the controller writes it, so no manifest is checked against it.
        schema["properties"].as_object_mut().unwrap().remove("status");
        check_keywords(&crd.spec.names.kind, &schema, &known, &mut checked);
    }
    assert!(checked > 100, "{checked} only");
}

#[test]
fn every_pattern_of_the_schemas_is_one() {
    fn walk(schema: &Schema, json: &Value, patterns: &mut usize) {
        assert_eq!(schema.pattern.is_some(), json["pattern"].is_string(), "{}", json["pattern"]);
        *patterns += usize::from(schema.pattern.is_some());
        schema.properties.iter().for_each(|(name, inner)| walk(inner, &json["properties"][name], patterns));
        schema.items.iter().for_each(|inner| walk(inner, &json["items"], patterns));
    }
    let mut patterns = 0;
    for crd in custom_resource_definitions() {
        let json = serde_json::to_value(&crd.spec.versions[0].schema).unwrap()["openAPIV3Schema"].take();
        walk(&Schema::new(&json), &json, &mut patterns);
    }
    assert!(patterns > 5, "{patterns} only");
}

fn stored(mode: Option<&str>, status: &Value) -> Value {
    let mut stored = pricing(&json!({"tenant": {"id": ID}}));
    stored["status"] = status.clone();
    if let Some(mode) = mode {
        stored["spec"]["mode"] = mode.into();
    }
    stored
}

#[test]
fn an_edit_is_held_against_the_stored_object() {
    let in_flight = stored(Some("production"), &json!({"switch": {"phase": "InFlight"}}));
    let mut edited = pricing(&json!({"tenant": {"id": ID}, "mode": "trial"}));
    // What a manifest says about the status does not count.
    edited["status"] = json!({"observed": {"mode": "trial"}});
    let found = refusals(&edited, Some(&in_flight));
    assert!(
        found.iter().any(|text| text.starts_with("spec.mode: Forbidden: mode: production cannot")),
        "{found:?}"
    );
    assert_eq!(refusals(&edited, None), Vec::<String>::new(), "nothing is stored, so nothing is forbidden");

    let kept = pricing(&json!({"tenant": {"id": ID.to_uppercase()}, "mode": "production", "suspend": true}));
    let result = validate(&kept, Some(&in_flight)).unwrap();
    assert_eq!(result["status"]["switch"]["phase"], "InFlight");
    let other = pricing(&json!({"tenant": {"name": "Acme"}, "mode": "production"}));
    let found = refusals(&other, Some(&in_flight));
    assert!(
        found.iter().any(|text| text.starts_with("spec.tenant: Forbidden: tenant cannot be changed")),
        "{found:?}"
    );
}

#[test]
fn what_is_stored_and_wrong_may_stay_but_not_come() {
    let wrong = |suspend: bool| {
        let mut object = pricing(&json!({"tenant": {"id": ID}, "mode": "Production", "suspend": suspend}));
        object["spec"]["switch"] = json!({"notBefore": "1999-01-01T00:00:00Z"});
        object
    };
    assert_eq!(refusals(&wrong(true), Some(&wrong(false))), Vec::<String>::new());
    assert_eq!(refusals(&wrong(true), None).len(), 2);
}

#[test]
fn defaults_are_filled_in_and_nulls_go() {
    let found =
        validate(&pricing(&json!({"tenant": {"id": ID, "name": null}, "suspend": null})), None).unwrap();
    assert_eq!(
        found["spec"],
        json!({"tenant": {"id": ID}, "suspend": false, "connectionRef": {"name": "default"}})
    );
    assert_eq!(found["status"], Value::Null);
}

#[test]
fn a_hint_says_what_was_probably_meant() {
    let hint = |new: Value| validate(&new, None).unwrap_err().remove(0).hint;
    let spec = |field: &str, value: Value| {
        let mut spec = json!({"tenant": {"name": "Acme"}});
        spec[field] = value;
        hint(pricing(&spec))
    };
    assert_eq!(spec("mods", "trial".into()).as_deref(), Some("did you mean mode?"));
    assert_eq!(
        spec("notBefore", "2027-01-01T00:00:00Z".into()).as_deref(),
        Some("did you mean spec.switch.notBefore?")
    );
    assert_eq!(spec("connection_ref", json!({})).as_deref(), Some("did you mean connectionRef?"));
    assert_eq!(spec("zzz", json!({})), None);
    assert_eq!(spec("mode", "Production".into()).as_deref(), Some("write production"));
    assert_eq!(hint(pricing(&json!({"tenant": {"id": 12}}))).as_deref(), Some("put the value in quotes"));
}

#[test]
fn a_fault_points_to_its_field() {
    let mut new = pricing(&json!({"tenant": {"id": "x"}}));
    new["metadata"]["labels"] = json!({"a/b~c": "d e"});
    let found = validate(&new, None).unwrap_err();
    let pointers: Vec<&str> = found.iter().map(|invalid| invalid.pointer.as_str()).collect();
    assert_eq!(pointers, ["/metadata/labels/a~1b~0c", "/metadata/labels/a~1b~0c", "/spec/tenant/id"]);
    assert_eq!(found[2].value, Some("x".into()));
    assert!(found[2].to_string().starts_with("spec.tenant.id: Invalid value: \"x\": not a tenant id"));
}

#[test]
fn a_value_that_may_be_secret_is_not_repeated() {
    let new = object(
        "PlatformConnection",
        &json!({
            "url": "https://admin:hunter2@eu2-cloud.acronis.com", "credentialsSecretRef": {"name": "s"},
            "caBundle": "-----BEGIN CERTIFICATE-----\n-----BEGIN PRIVATE KEY-----\nhunter2",
        }),
    );
    let found = validate(&new, None).unwrap_err();
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(!format!("{found:?}").contains("hunter2"), "{found:?}");
}

#[test]
fn an_object_of_another_kind_is_named() {
    let found = validate(&json!({"apiVersion": "v1", "kind": "Secret"}), None).unwrap_err();
    assert!(found[0].to_string().contains("does not know the kind \"Secret\" of \"v1\""), "{found:?}");
}

#[test]
fn values_are_printed_as_go_prints_them() {
    for (value, text) in [
        (
            json!("a\"b\\c\n\t\u{7}\u{1}\u{7f}\u{a0}\u{200b}é株e\u{301}\u{1f600}\u{10ffff}'"),
            "\"a\\\"b\\\\c\\n\\t\\a\\x01\\x7f\\u00a0\\u200bé株e\u{301}😀\\U0010ffff'\"",
        ),
        (json!(0.5), "0.5"),
        (json!(-3), "-3"),
        (json!(1e21), "1e+21"),
        (json!(123_456.5), "123456.5"),
        (json!(1_234_567.0), "1.234567e+06"),
        (json!(10.0), "10"),
        (json!(0.000_012_5), "1.25e-05"),
        (json!(u64::MAX), "1.8446744073709552e+19"),
        (json!({"a": ["<&>"]}), "{\"a\":[\"\\u003c\\u0026\\u003e\"]}"),
        (json!(null), "null"),
    ] {
        assert_eq!(go::bad_value(&value), text);
    }
}

#[test]
fn times_are_parsed_as_go_parses_them() {
    for (text, expected) in [
        ("2026-12-01T00:00:00Z", Ok("2026-12-01T00:00:00Z")),
        ("2026-12-01T00:00:00.5+01:30", Ok("2026-11-30T22:30:00Z")),
        ("2026-12-01T00:00:00,123456789012-24:60", Ok("2026-12-02T01:00:00Z")),
        ("9999-12-31T23:59:59-24:00", Ok("9999-12-30T22:00:00.999999999Z")),
        ("0000-01-01T00:00:00+24:00", Ok("0001-01-01T00:00:00Z")),
        ("2026-12-01t00:00:00z", Err("cannot parse \"t00:00:00z\" as \"T\"")),
        ("2026-12-01T00:00:00z", Err("extra text: \"z\"")),
        ("2026-12-01T00:00:00ä5Z", Err("extra text: \"\\xc3\\xa45Z\"")),
        ("2026-12-01T00:00:00+25:00", Err("extra text: \"+25:00\"")),
        ("2026-12-01T00:00:00ZtX", Err("extra text: \"ZtX\"")),
    ] {
        assert!(go::is_date_time(text), "{text}");
        match (go::parse_date_time(text), expected) {
            (Ok(instant), Ok(expected)) => assert_eq!(instant.to_string(), expected, "{text}"),
            (Err(fault), Err(expected)) => assert!(fault.contains(expected), "{text}: {fault}"),
            (actual, _) => panic!("{text}: {actual:?}"),
        }
    }
    for text in [
        "",
        "2026-12-01",
        "2026-12-01T00:00:60Z",
        "2026-02-30T00:00:00Z",
        "2026-12-01T24:00:00Z",
        "2026-12-01T00:00:00",
    ] {
        assert!(!go::is_date_time(text), "{text}");
        assert!(go::parse_date_time(text).is_err(), "{text}");
    }
}
