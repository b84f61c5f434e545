//! The structure: types, required fields, formats, lengths and patterns (`kube-openapi/pkg/validation/validate`).

use serde_json::{Map, Number, Value};

use super::{
    go,
    invalid::{Invalid, Reason},
    path::Path,
    schema::Schema,
};

/// The largest whole number that a `float64` of JSON stands for (`IsFloat64AJSONInteger` in go-openapi).
const MAX_JSON_INTEGER: f64 = 9_007_199_254_740_991.0;

/// The faults of an object's structure. A value that did not change may stay as it is stored, however wrong it is.
pub(super) fn check(schema: &Schema, object: &Value, old: Option<&Value>) -> Vec<Invalid> {
    value(schema, &Path::default(), object, old)
}

fn value(schema: &Schema, path: &Path, value: &Value, old: Option<&Value>) -> Vec<Invalid> {
    let mut found: Vec<Invalid> = type_fault(schema, path, value).into_iter().collect();
    match value {
        Value::String(text) => string(schema, path, text, &mut found),
        Value::Number(number) if schema.type_ == "integer" && !fits_integer(number) => {
            let format = schema.format.as_deref().unwrap_or_default();
            let detail =
                format!("Checked value must be of type integer with format {format} in {}", path.field());
            found.push(Invalid::with_value(&path.unnamed(), Reason::Invalid, "".into(), &detail));
        }
        Value::Array(items) => array(schema, path, items, &mut found),
        _ => {}
    }
    if !schema.enum_.is_empty() && !schema.enum_.contains(value) {
        let supported: Vec<String> = schema.enum_.iter().filter_map(Value::as_str).map(go::quoted).collect();
        let detail = format!("supported values: {}", supported.join(", "));
        found.push(Invalid::with_value(path, Reason::NotSupported, value.clone(), &detail));
    }
    if let Value::Object(fields) = value {
        object(schema, path, fields, old, &mut found);
    }
    if old == Some(value) {
        found.clear();
    }
    found
}

/// Whether a value has another type (`typeValidator`).
fn type_fault(schema: &Schema, path: &Path, value: &Value) -> Option<Invalid> {
    let wrong = |expected: &str, actual: &str| {
        let detail = format!("{} in body must be of type {expected}: {}", path.field(), go::quoted(actual));
        Some(Invalid::with_value(path, Reason::TypeInvalid, actual.into(), &detail))
    };
    let (type_, type_format) = match value {
        Value::Null => return wrong(&schema.type_, "null"),
        Value::Bool(_) => ("boolean", ""),
        Value::String(_) => ("string", ""),
        Value::Array(_) => ("array", ""),
        Value::Object(_) => ("object", ""),
        Value::Number(number) if number.is_i64() => ("integer", "int64"),
        Value::Number(_) => ("number", "float64"),
    };
    let whole = value.as_f64().is_some_and(|float| float.fract() == 0.0 && float.abs() <= MAX_JSON_INTEGER);
    let is_whole = type_ == "number" && whole && schema.type_ == "integer";
    if schema.type_ == type_ || is_whole {
        return None;
    }
    let is_text_or_list = matches!(value, Value::String(_) | Value::Array(_));
    match schema.format.as_deref() {
        Some(format) if !is_text_or_list && format != type_format => wrong(format, type_format),
        // The API server leaves a list in place of a text with a format to the rules.
        Some(_) if is_text_or_list && schema.type_ != "integer" => None,
        _ => wrong(&schema.type_, type_),
    }
}

/// Whether a number is an integer of 64 bits. One in another notation, such as `1.0`, is a `float64` in the API server.
#[allow(clippy::cast_precision_loss)] // the limits are powers of two
fn fits_integer(number: &Number) -> bool {
    let fits = |float: f64| float.fract() == 0.0 && float >= i64::MIN as f64 && float < i64::MAX as f64;
    number.is_i64() || number.as_f64().is_some_and(fits)
}

fn string(schema: &Schema, path: &Path, text: &str, found: &mut Vec<Invalid>) {
    let too_long = schema.max_length.filter(|max| text.chars().nth(*max).is_some());
    if let Some(max) = too_long {
        found.push(Invalid::without_value(path, Reason::TooLong, &at_most(max, "byte")));
    } else if let Some(pattern) = schema.pattern.as_ref().filter(|pattern| !pattern.is_match(text)) {
        let detail = format!("{} in body should match '{pattern}'", path.field());
        found.push(Invalid::with_value(path, Reason::Invalid, text.into(), &detail));
    }
    if schema.format.as_deref() == Some("date-time") && !go::is_date_time(text) {
        let detail = format!("{} in body must be of type date-time: {}", path.field(), go::quoted(text));
        found.push(Invalid::with_value(path, Reason::TypeInvalid, text.into(), &detail));
    }
}

fn at_most(max: usize, unit: &str) -> String {
    format!("may not be more than {max} {unit}{}", if max == 1 { "" } else { "s" })
}

fn array(schema: &Schema, path: &Path, items: &[Value], found: &mut Vec<Invalid>) {
    if let Some(schema) = &schema.items {
        for (index, item) in items.iter().enumerate() {
            // The items of a list have no identity, so each counts as new.
            found.extend(value(schema, &path.index(index), item, None));
        }
    }
    too_many(path, items.len(), schema.max_items, found);
}

fn too_many(path: &Path, actual: usize, max: Option<usize>, found: &mut Vec<Invalid>) {
    if let Some(max) = max.filter(|max| actual > *max) {
        let detail = format!("must have at most {max} item{}", if max == 1 { "" } else { "s" });
        found.push(Invalid::with_value(path, Reason::TooMany, actual.into(), &detail));
    }
}

fn object(
    schema: &Schema,
    path: &Path,
    fields: &Map<String, Value>,
    old: Option<&Value>,
    found: &mut Vec<Invalid>,
) {
    too_many(path, fields.len(), schema.max_properties, found);
    for (name, field) in fields {
        if let Some(schema) = schema.of_field(name) {
            let old = old.and_then(|old| old.get(name));
            found.extend(value(schema, &path.child(name), field, old));
        }
    }
    for name in schema.required.iter().filter(|name| !fields.contains_key(*name)) {
        found.push(Invalid::without_value(&path.child(name), Reason::Required, ""));
    }
}
