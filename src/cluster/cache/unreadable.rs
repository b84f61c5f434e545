//! Why a part of an object cannot be read.

use serde::de::DeserializeOwned;
use serde_json::Value;

/// The most characters of an error that are kept.
pub(super) const MAX_ERROR_CHARS: usize = 200;

/// The field of a part of an object, such as its `spec`, that cannot be read, and why. `None` if all of it can be read.
/// `needed` holds the fields that a `T` always has.
pub(crate) fn unreadable_field<T: DeserializeOwned>(
    part: &str,
    value: &Value,
    needed: &Value,
) -> Option<String> {
    let error = serde_json::from_value::<Option<T>>(value.clone()).err()?;
    let mut error = error.to_string();
    if let Some((end, _)) = error.char_indices().nth(MAX_ERROR_CHARS) {
        error.truncate(end);
    }
    Some(match wrong_field::<T>(value, needed) {
        Some(field) => format!("{part}.{field}: {error}"),
        None => format!("{part}: {error}"),
    })
}

/// The first field that alone makes a value unreadable.
fn wrong_field<T: DeserializeOwned>(value: &Value, needed: &Value) -> Option<String> {
    let fields = value.as_object()?.iter();
    let mut wrong = fields.filter(|(name, field)| {
        let mut alone = needed.clone();
        alone[name.as_str()] = (*field).clone();
        serde_json::from_value::<T>(alone).is_err()
    });
    wrong.next().map(|(name, _)| name.clone())
}
