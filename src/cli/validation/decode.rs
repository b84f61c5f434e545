//! Decoding: unknown fields, the types of metadata, nulls and defaults.

use serde_json::{Map, Value};

use super::{
    invalid::{Invalid, Reason},
    path::Path,
    schema::{Kind, Schema},
};

/// The fields that every object has.
const OBJECT_FIELDS: [&str; 3] = ["apiVersion", "kind", "metadata"];

/// The fields of `metadata` (`ObjectMeta` in `apimachinery/pkg/apis/meta/v1`).
const METADATA_FIELDS: [&str; 15] = [
    "annotations",
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "finalizers",
    "generateName",
    "generation",
    "labels",
    "managedFields",
    "name",
    "namespace",
    "ownerReferences",
    "resourceVersion",
    "selfLink",
    "uid",
];

/// The fields of `metadata` that are texts.
const METADATA_TEXTS: [&str; 6] = ["generateName", "name", "namespace", "resourceVersion", "selfLink", "uid"];

/// The object as the API server decodes it: without nulls, and with defaults.
///
/// # Errors
/// What the API server answers before it validates anything.
pub(super) fn decode(kind: &Kind, object: &Value) -> Result<Value, Vec<Invalid>> {
    let root = Path::default();
    let metadata = root.child("metadata");
    if let Some((path, fault)) = metadata_fault(&metadata, &object["metadata"]) {
        return Err(vec![Invalid::with_message(&path, Reason::Undecodable, fault)]);
    }
    let mut unknown = Vec::new();
    for name in object["metadata"].as_object().into_iter().flatten().map(|(name, _)| name) {
        if !METADATA_FIELDS.contains(&name.as_str()) {
            unknown.push(metadata.child(name));
        }
    }
    let mut elsewhere = Vec::new();
    for (name, value) in object.as_object().into_iter().flatten() {
        if OBJECT_FIELDS.contains(&name.as_str()) {
            continue;
        }
        match kind.schema.properties.get(name) {
            Some(schema) => unknown_fields(&root.child(name), value, Some(schema), &mut elsewhere),
            None => elsewhere.push(root.child(name)),
        }
    }
    elsewhere.sort_by(|first, second| first.field().cmp(second.field()));
    unknown.extend(elsewhere);
    if !unknown.is_empty() {
        let invalid = |path: &Path| {
            Invalid::with_message(path, Reason::Undecodable, format!("unknown field \"{}\"", path.field()))
        };
        return Err(unknown.iter().map(invalid).collect());
    }
    Ok(stored(&kind.schema, object))
}

/// The object without nulls, and with defaults.
pub(super) fn stored(schema: &Schema, object: &Value) -> Value {
    let mut object = object.clone();
    remove_nulls(schema, &mut object);
    fill_in_defaults(schema, &mut object);
    object
}

/// The fields that no schema knows (`prune` in `apiserver/schema/pruning`).
fn unknown_fields(path: &Path, value: &Value, schema: Option<&Schema>, unknown: &mut Vec<Path>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                match schema.and_then(|schema| schema.of_field(name)) {
                    Some(schema) => unknown_fields(&path.child(name), value, Some(schema), unknown),
                    None => unknown.push(path.child(name)),
                }
            }
        }
        Value::Array(items) => {
            let schema = schema.and_then(|schema| schema.items.as_deref());
            for (index, item) in items.iter().enumerate() {
                unknown_fields(&path.index(index), item, schema, unknown);
            }
        }
        _ => {}
    }
}

/// The first field of `metadata` with another type, in Go's words. The lists of references and managers, and the times,
/// are not checked, since no manifest has them.
fn metadata_fault(path: &Path, metadata: &Value) -> Option<(Path, String)> {
    let fault = |path: Path, value: &Value, of: &str, type_: &str| {
        let message = format!("json: cannot unmarshal {} into Go {of} of type {type_}", go_type(value));
        Some((path, message))
    };
    let Value::Object(fields) = metadata else {
        return if metadata.is_null() {
            None
        } else {
            fault(path.clone(), metadata, "value", "v1.ObjectMeta")
        };
    };
    for (name, value) in fields {
        let of = format!("struct field ObjectMeta.{name}");
        let (inner, whole): (Vec<(Path, &Value)>, &str) = match (name.as_str(), value) {
            (_, Value::Null) => continue,
            ("labels" | "annotations", Value::Object(entries)) => {
                (entries.iter().map(|(key, value)| (path.child(name).child(key), value)).collect(), "")
            }
            ("labels" | "annotations", _) => (Vec::new(), "map[string]string"),
            ("finalizers", Value::Array(items)) => {
                (items.iter().enumerate().map(|(at, item)| (path.child(name).index(at), item)).collect(), "")
            }
            ("finalizers", _) => (Vec::new(), "[]string"),
            (text, _) if METADATA_TEXTS.contains(&text) => (vec![(path.child(name), value)], ""),
            _ => continue,
        };
        if !whole.is_empty() {
            return fault(path.child(name), value, &of, whole);
        }
        let wrong = inner.into_iter().find(|(_, value)| !value.is_string() && !value.is_null());
        if let Some((path, value)) = wrong {
            return fault(path, value, &of, "string");
        }
    }
    None
}

fn go_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// Removes nulls of fields without a default, since no field of the CRDs is nullable
/// (`PruneNonNullableNullsWithoutDefaults` in `apiserver/schema/defaulting`).
fn remove_nulls(schema: &Schema, value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|name, value| {
                !value.is_null() || schema.of_field(name).is_none_or(|schema| schema.default.is_some())
            });
            for (name, value) in fields {
                if let Some(schema) = schema.of_field(name) {
                    remove_nulls(schema, value);
                }
            }
        }
        Value::Array(items) => {
            if let Some(schema) = &schema.items {
                for item in items {
                    remove_nulls(schema, item);
                }
            }
        }
        _ => {}
    }
}

/// Fills in the defaults of fields that are missing or null (`Default` in `apiserver/schema/defaulting`).
fn fill_in_defaults(schema: &Schema, value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, property) in &schema.properties {
                if let Some(default) = &property.default {
                    fill_in(fields, name, default);
                }
            }
            for (name, value) in fields {
                if let Some(schema) = schema.of_field(name) {
                    fill_in_defaults(schema, value);
                }
            }
        }
        Value::Array(items) => {
            if let Some(schema) = &schema.items {
                for item in items {
                    fill_in_defaults(schema, item);
                }
            }
        }
        _ => {}
    }
}

fn fill_in(fields: &mut Map<String, Value>, name: &str, default: &Value) {
    if fields.get(name).is_none_or(Value::is_null) {
        fields.insert(name.to_owned(), default.clone());
    }
}
