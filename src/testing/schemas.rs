//! The JSON documents of the command line, held against the schemas in `schemas/`. The integration tests use this file,
//! too.

use std::{fs, path::Path};

use serde::Serialize;
use serde_json::{Value, json};

/// Checks a document against the schema that it names, such as `tenantpricing.io/plan/v1`. A field that the schema does
/// not describe is a fault, too.
#[track_caller]
pub fn assert_valid(document: &Value) {
    let faults = faults(document);
    assert!(faults.is_empty(), "{}\n{document:#}", faults.join("\n"));
}

/// The document, which follows its schema.
#[track_caller]
pub fn valid<T: Serialize>(document: T) -> T {
    assert_valid(&serde_json::to_value(&document).unwrap());
    document
}

fn faults(document: &Value) -> Vec<String> {
    let Some(name) = document["schema"].as_str().and_then(|schema| schema.strip_prefix("tenantpricing.io/"))
    else {
        return vec!["it names no schema".to_owned()];
    };
    let file = format!("schemas/{}.json", name.replace('/', "-"));
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(&file));
    let text = text.unwrap_or_else(|error| panic!("{file}: {error}"));
    let mut schema: Value = serde_json::from_str(&text).unwrap();
    close(&mut schema);
    let validator = jsonschema::validator_for(&schema).unwrap();
    let faults = validator.iter_errors(document);
    faults.map(|fault| format!("{}: {fault}", fault.instance_path())).collect()
}

/// Allows no object a field that is not among its properties.
fn close(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            fields.values_mut().for_each(close);
            if fields.contains_key("properties") {
                fields.entry("additionalProperties").or_insert(json!(false));
            }
        }
        Value::Array(items) => items.iter_mut().for_each(close),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_that_departs_from_its_schema_is_found() {
        let events = json!({"schema": "tenantpricing.io/events/v1", "events": []});
        assert_eq!(faults(&events), [""; 0]);
        for (pointer, value) in [("/events", json!("none")), ("/extra", json!(1)), ("/schema", json!(1))] {
            let mut broken = events.clone();
            broken[&pointer[1..]] = value;
            assert_ne!(faults(&broken), [""; 0], "{broken}");
        }
        let entry = json!({"schema": "tenantpricing.io/events/v1", "events": [{}]});
        assert!(faults(&entry).iter().any(|fault| fault.starts_with("/events/0: ")), "{:?}", faults(&entry));
    }
}
