//! The API server's verdict on an object, without an API server.
//!
//! An object goes through the same steps as in the API server, with the CRDs of this program: strict decoding, nulls
//! and defaults, metadata, structure, and at last the CEL rules. The steps follow `apiextensions-apiserver` of
//! Kubernetes 1.36 (`registry/customresource`, `apiserver/validation`, `apiserver/schema/cel`). Its texts are repeated
//! to the letter, so that tests can compare them. The integration test `admission::local` does so, and lists what
//! differs.
//!
//! What only a server can know is not checked: quotas, webhooks, policies, and whether the namespace exists. Nor are
//! the fields of `metadata` that no manifest has: owners, managers and times.

mod decode;
mod go;
mod hints;
mod invalid;
mod metadata;
mod path;
mod rules;
mod schema;
mod structure;
#[cfg(test)]
mod tests;

pub use invalid::{Invalid, Reason};
use path::Path;
use schema::Kind;
use serde_json::Value;

/// The JSON pointer (RFC 6901) of a field as the API server names it: `/spec/items/0` for `spec.items[0]`.
#[must_use]
pub fn pointer(field: &str) -> String {
    Path::parse(field).pointer().to_owned()
}

/// The object with the defaults filled in, whether it is valid or not. `None`: its kind is none of this program.
#[must_use]
pub fn with_defaults(object: &Value) -> Option<Value> {
    let kind = Kind::of(object).ok()?;
    Some(decode::stored(&kind.schema, object))
}

/// Validates an object as `kubectl apply` has it validated: with strict field validation.
///
/// `new` is the whole object as it is to be stored. `old` is the stored object, if there is one, and then the
/// transition rules count too. The answer is the object with the defaults filled in. Its status is that of `old`, since
/// only the controller writes the status.
///
/// # Errors
/// Everything that the API server finds, in its own words. Like the API server, it checks the rules only if the
/// structure is right; [`Reason::RulesNotChecked`] says so.
pub fn validate(new: &Value, old: Option<&Value>) -> Result<Value, Vec<Invalid>> {
    let kind = Kind::of(new)?;
    let schema = &kind.schema;
    let mut object = decode::decode(kind, new).map_err(|found| hints::add(schema, found))?;
    let old = old.map(|old| decode::stored(schema, old));
    if let Value::Object(fields) = &mut object {
        fields.remove("status");
        if let Some(status) = old.as_ref().and_then(|old| old.get("status")) {
            fields.insert("status".to_owned(), status.clone());
        }
    }

    let mut found = metadata::check(&object);
    found.extend(structure::check(schema, &object, old.as_ref()));
    if found.iter().any(|invalid| invalid.reason.blocks_rules()) {
        found.push(Invalid::rules_not_checked());
    } else {
        found.extend(rules::check(kind, &object, old.as_ref()));
    }
    if found.is_empty() {
        return Ok(object);
    }
    Err(hints::add(schema, found))
}
