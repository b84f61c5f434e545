//! The CEL rules (`apiserver/schema/cel`), evaluated by kube-cel.

use kube::core::cel::{ErrorKind, ValidationError, validate_compiled};
use serde_json::Value;

use super::{
    go,
    invalid::{Invalid, Reason},
    path::Path,
    schema::{Kind, Schema, SchemaRule},
};

/// The faults that the rules find. The structure of the object is right.
pub(super) fn check(kind: &Kind, object: &Value, old: Option<&Value>) -> Vec<Invalid> {
    let mut found = Vec::new();
    let mut evaluated = object.clone();
    unreadable(&kind.schema, &Path::default(), &mut evaluated, &mut found);
    let Err(errors) = validate_compiled(&kind.compiled, &evaluated, old) else { return found };
    for error in errors {
        let Some((schema, rule)) = find(&kind.schema, &error) else { continue };
        let path = Path::parse(&error.field_path);
        let node = Path::parse(error.field_path.strip_suffix(&rule.field_path).unwrap_or(&error.field_path));
        let current = object.pointer(node.pointer());
        // A rule that does not compare with the stored value lets a value be that did not change. One that cannot be
        // evaluated refuses it.
        let is_unchanged = old.is_some_and(|old| old.pointer(node.pointer()) == current);
        let is_false = error.kind == ErrorKind::ValidationFailure;
        if is_unchanged && is_false && !rule.rule.contains("oldSelf") {
            continue;
        }
        found.push(invalid(&error, schema, rule, &path, &node, current));
    }
    found
}

fn invalid(
    error: &ValidationError,
    schema: &Schema,
    rule: &SchemaRule,
    path: &Path,
    node: &Path,
    current: Option<&Value>,
) -> Invalid {
    if error.kind != ErrorKind::ValidationFailure {
        let detail = format!("{} evaluating rule: {}", error.message, rule.message);
        return Invalid::with_value(node, Reason::Invalid, schema.type_.as_str().into(), &detail);
    }
    let detail = error.message.trim();
    match (error.reason.as_deref(), current) {
        (Some("FieldValueForbidden"), _) => Invalid::without_value(path, Reason::Forbidden, detail),
        (Some("FieldValueRequired"), _) => Invalid::without_value(path, Reason::Required, detail),
        (_, Some(value)) if !value.is_object() && !value.is_array() => {
            Invalid::with_value(path, Reason::Invalid, value.clone(), detail)
        }
        _ => Invalid::without_value(path, Reason::Invalid, detail),
    }
}

/// The rule of an error, with the schema that it belongs to.
fn find<'a>(schema: &'a Schema, error: &ValidationError) -> Option<(&'a Schema, &'a SchemaRule)> {
    let own = schema.rules.iter().find(|rule| rule.rule == error.rule && is_of(rule, error));
    let inner = || {
        let inner = schema.properties.values().chain(schema.items.as_deref());
        inner.chain(schema.additional_properties.as_deref()).find_map(|schema| find(schema, error))
    };
    own.map(|rule| (schema, rule)).or_else(inner)
}

fn is_of(rule: &SchemaRule, error: &ValidationError) -> bool {
    error.field_path.ends_with(&rule.field_path)
        && (error.kind != ErrorKind::ValidationFailure || error.message == rule.message)
}

/// Takes out the values that the API server cannot hand to CEL, with its message for each rule of theirs. A time is
/// replaced by the same instant in the notation that kube-cel reads.
fn unreadable(schema: &Schema, path: &Path, value: &mut Value, found: &mut Vec<Invalid>) {
    let fault = match value {
        Value::Object(fields) => {
            for (name, field) in fields.iter_mut() {
                if let Some(schema) = schema.of_field(name) {
                    unreadable(schema, &path.child(name), field, found);
                }
            }
            // What was replaced by null was taken out.
            fields.retain(|_, field| !field.is_null());
            return;
        }
        Value::Array(items) if schema.type_ == "array" => {
            if let Some(schema) = &schema.items {
                for (index, item) in items.iter_mut().enumerate() {
                    unreadable(schema, &path.index(index), item, found);
                }
            }
            return;
        }
        Value::String(text) if schema.format.as_deref() == Some("date-time") => {
            match go::parse_date_time(text) {
                Ok(instant) => {
                    *value = instant.to_string().into();
                    return;
                }
                Err(fault) => format!("Invalid date-time formatted string {text}: {fault}"),
            }
        }
        Value::Array(_) => format!("invalid data, expected {}, got []interface {{}}", schema.type_),
        Value::Number(number) if schema.type_ == "integer" && !number.is_i64() => {
            "invalid data, expected int, got float64".to_owned()
        }
        _ => return,
    };
    for rule in &schema.rules {
        let detail = format!("{fault} evaluating rule: {}", rule.message);
        found.push(Invalid::with_value(path, Reason::Invalid, schema.type_.as_str().into(), &detail));
    }
    *value = Value::Null;
}
