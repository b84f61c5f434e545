//! The checks of `metadata` (`ValidateObjectMeta` in `apimachinery/pkg/api/validation`).

use std::sync::LazyLock;

use regex::Regex;
use serde_json::{Map, Value};

use super::{
    invalid::{Invalid, Reason},
    path::Path,
};

/// The maximum size of all annotations in bytes, keys and values together.
const MAX_ANNOTATIONS: usize = 256 * 1024;

const LABEL: &str = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";
const SUBDOMAIN: &str = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*";
const KEY: &str = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]";
const VALUE: &str = "(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?";

/// The faults of an object's metadata. The name is that of a DNS subdomain, as of most kinds.
pub(super) fn check(object: &Value) -> Vec<Invalid> {
    let path = Path::default().child("metadata");
    let metadata = &object["metadata"];
    let mut found = Vec::new();
    let text = |name: &str| metadata[name].as_str().filter(|text| !text.is_empty());
    let invalid = |path: &Path, value: &str, message: &String| {
        Invalid::with_value(path, Reason::Invalid, value.into(), message)
    };
    if let Some(prefix) = text("generateName") {
        // A dash at the end is fine, since something follows.
        let checked = match prefix.strip_suffix('-') {
            Some(start) if !start.is_empty() => format!("{start}a"),
            _ => prefix.to_owned(),
        };
        found.extend(
            subdomain(&checked, "characters")
                .iter()
                .map(|message| invalid(&path.child("generateName"), prefix, message)),
        );
    }
    match text("name") {
        Some(name) => {
            found.extend(
                subdomain(name, "characters")
                    .iter()
                    .map(|message| invalid(&path.child("name"), name, message)),
            );
        }
        None => found.push(Invalid::without_value(
            &path.child("name"),
            Reason::Required,
            "name or generateName is required",
        )),
    }
    match text("namespace") {
        Some(namespace) => {
            found.extend(
                label(namespace).iter().map(|message| invalid(&path.child("namespace"), namespace, message)),
            );
        }
        None => found.push(Invalid::without_value(&path.child("namespace"), Reason::Required, "")),
    }
    let entries = |name: &str| metadata[name].as_object().into_iter().flatten();
    let labels = path.child("labels");
    for (key, value) in entries("labels") {
        let at = |message: &String, wrong: &str| Invalid {
            pointer: labels.child(key).pointer().to_owned(),
            ..invalid(&labels, wrong, message)
        };
        found.extend(qualified_name(key).iter().map(|message| at(message, key)));
        let value = value.as_str().unwrap_or_default();
        found.extend(label_value(value).iter().map(|message| at(message, value)));
    }
    let annotations = path.child("annotations");
    for (key, _) in entries("annotations") {
        found.extend(qualified_name(&key.to_lowercase()).iter().map(|message| Invalid {
            pointer: annotations.child(key).pointer().to_owned(),
            ..invalid(&annotations, key, message)
        }));
    }
    if size(metadata["annotations"].as_object()) > MAX_ANNOTATIONS {
        let detail = format!("may not be more than {MAX_ANNOTATIONS} bytes");
        found.push(Invalid::without_value(&annotations, Reason::TooLong, &detail));
    }
    let finalizers = path.child("finalizers");
    for (index, finalizer) in metadata["finalizers"].as_array().into_iter().flatten().enumerate() {
        let finalizer = finalizer.as_str().unwrap_or_default();
        found.extend(qualified_name(finalizer).iter().map(|message| Invalid {
            pointer: finalizers.index(index).pointer().to_owned(),
            ..invalid(&finalizers, finalizer, message)
        }));
    }
    found
}

fn size(annotations: Option<&Map<String, Value>>) -> usize {
    let length = |(key, value): (&String, &Value)| key.len() + value.as_str().map_or(0, str::len);
    annotations.into_iter().flatten().map(length).sum()
}

/// `IsDNS1123Subdomain`. Kubernetes counts characters in one place and bytes in the other.
fn subdomain(text: &str, unit: &str) -> Vec<String> {
    static PATTERN: LazyLock<Option<Regex>> = LazyLock::new(|| whole(SUBDOMAIN));
    let mut found = Vec::new();
    if text.len() > 253 {
        found.push(format!("must be no more than 253 {unit}"));
    }
    if !matches(PATTERN.as_ref(), text) {
        found.push(format!(
            "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must \
             start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is \
             '{SUBDOMAIN}')"
        ));
    }
    found
}

/// `IsDNS1123Label`.
fn label(text: &str) -> Vec<String> {
    static PATTERN: LazyLock<Option<Regex>> = LazyLock::new(|| whole(LABEL));
    let mut found = Vec::new();
    if text.len() > 63 {
        found.push("must be no more than 63 characters".to_owned());
    }
    if !matches(PATTERN.as_ref(), text) {
        found.push(if subdomain(text, "").is_empty() {
            "must not contain dots".to_owned()
        } else {
            format!(
                "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start \
                 and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is \
                 '{LABEL}')"
            )
        });
    }
    found
}

/// `IsQualifiedName`: the key of a label, with or without a prefix.
fn qualified_name(text: &str) -> Vec<String> {
    static PATTERN: LazyLock<Option<Regex>> = LazyLock::new(|| whole(KEY));
    let rule = format!(
        "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric \
         character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '{KEY}')"
    );
    let mut found = Vec::new();
    let parts: Vec<&str> = text.split('/').collect();
    let name = match parts[..] {
        [name] => name,
        ["", name] => {
            found.push("prefix part must be non-empty".to_owned());
            name
        }
        [prefix, name] => {
            found.extend(
                subdomain(prefix, "bytes").into_iter().map(|message| format!("prefix part {message}")),
            );
            name
        }
        _ => {
            return vec![format!(
                "a valid label key {rule} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
            )];
        }
    };
    if name.is_empty() {
        found.push("name part must be non-empty".to_owned());
    } else if name.len() > 63 {
        found.push("name part must be no more than 63 bytes".to_owned());
    }
    if !matches(PATTERN.as_ref(), name) {
        found.push(format!("name part {rule}"));
    }
    found
}

/// `IsValidLabelValue`.
fn label_value(text: &str) -> Vec<String> {
    static PATTERN: LazyLock<Option<Regex>> = LazyLock::new(|| whole(VALUE));
    let mut found = Vec::new();
    if text.len() > 63 {
        found.push("must be no more than 63 bytes".to_owned());
    }
    if !matches(PATTERN.as_ref(), text) {
        found.push(format!(
            "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must \
             start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for \
             validation is '{VALUE}')"
        ));
    }
    found
}

/// The pattern for a whole text.
fn whole(pattern: &str) -> Option<Regex> {
    Regex::new(&format!("^({pattern})$")).ok()
}

/// A pattern that is none matches nothing. A test calls each, so none is.
fn matches(pattern: Option<&Regex>, text: &str) -> bool {
    pattern.is_some_and(|pattern| pattern.is_match(text))
}
