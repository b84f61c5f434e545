//! What to do about a fault, where the API server does not say it.

use serde_json::Value;

use super::{
    invalid::{Invalid, Reason},
    path::Path,
    schema::Schema,
};

/// How similar a name must be to be suggested, from 0 to 1.
const SIMILAR: f64 = 0.8;

/// The same faults, each with its remedy if there is one.
pub(super) fn add(schema: &Schema, mut found: Vec<Invalid>) -> Vec<Invalid> {
    for invalid in &mut found {
        invalid.hint = of(schema, invalid);
    }
    found
}

fn of(schema: &Schema, invalid: &Invalid) -> Option<String> {
    match invalid.reason {
        Reason::Undecodable => unknown_field(schema, &invalid.pointer),
        Reason::NotSupported => {
            let known = at(schema, &invalid.pointer)?.enum_.iter().filter_map(Value::as_str);
            let nearest = nearest(invalid.value.as_ref()?.as_str()?, known)?;
            Some(format!("write {nearest}"))
        }
        Reason::TypeInvalid => {
            let is_text = at(schema, &invalid.pointer)?.type_ == "string";
            let is_scalar =
                matches!(invalid.value.as_ref()?.as_str()?, "integer" | "boolean" | "float64" | "");
            (is_text && is_scalar).then(|| "put the value in quotes".to_owned())
        }
        _ => None,
    }
}

/// The field that was probably meant: one of the same name elsewhere, or one of a similar name beside it.
fn unknown_field(schema: &Schema, pointer: &str) -> Option<String> {
    let (around, name) = pointer.rsplit_once('/')?;
    if around.starts_with("/metadata") || around.starts_with("/status") {
        return None;
    }
    let siblings = at(schema, around).into_iter().flat_map(|schema| schema.properties.keys());
    if let Some(nearest) = nearest(name, siblings.map(String::as_str)) {
        return Some(format!("did you mean {nearest}?"));
    }
    let spec = schema.properties.get("spec")?;
    let path = elsewhere(spec, &Path::default().child("spec"), name)?;
    Some(format!("did you mean {}?", path.field()))
}

fn elsewhere(schema: &Schema, path: &Path, name: &str) -> Option<Path> {
    if schema.properties.contains_key(name) {
        return Some(path.child(name));
    }
    schema.properties.iter().find_map(|(child, schema)| elsewhere(schema, &path.child(child), name))
}

fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let lower = name.to_lowercase();
    let similarity = |known: &str| strsim::jaro_winkler(&known.to_lowercase(), &lower);
    known
        .map(|known| (similarity(known), known))
        .filter(|(similarity, _)| *similarity >= SIMILAR)
        .max_by(|(first, _), (second, _)| first.total_cmp(second))
        .map(|(_, known)| known)
}

/// The schema of a field.
fn at<'a>(schema: &'a Schema, pointer: &str) -> Option<&'a Schema> {
    let mut schema = schema;
    for part in pointer.split('/').skip(1) {
        schema = schema.of_field(part).or(schema.items.as_deref())?;
    }
    Some(schema)
}
