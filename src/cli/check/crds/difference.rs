//! Compares a stored CRD with the one of this program, field by field. Pure.
//!
//! What the API server fills in (`conversion`, `listKind`, a status) is left out.

use std::collections::BTreeSet;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use serde_json::Value;

/// The result of a comparison, with the fields that differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    /// Nothing differs.
    Same,
    /// Only texts for people differ.
    Texts(Vec<String>),
    /// The stored one lacks something, and has nothing more.
    Older(Vec<String>),
    /// The stored one has something more, and lacks nothing.
    Newer(Vec<String>),
    /// Anything else.
    Different(Vec<String>),
}

/// What differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// The stored one lacks it.
    Missing,
    /// This program does not know it.
    Added,
    /// Both have it, with other values.
    Changed,
}

/// Keywords and fields that change no rule: texts, columns and the names for `kubectl`.
const TEXTS: [&str; 4] = ["description", "additionalPrinterColumns", "shortNames", "categories"];

/// The parts of a version beside its schema.
const VERSION_PARTS: [&str; 6] =
    ["served", "storage", "deprecated", "subresources", "selectableFields", "additionalPrinterColumns"];

/// Compares two CRDs.
pub(super) fn compare(known: &CustomResourceDefinition, stored: &CustomResourceDefinition) -> Comparison {
    let (known, stored) = (spec(known), spec(stored));
    let mut found = Differences::default();
    for field in ["group", "scope"] {
        found.leaf(field, &known[field], &stored[field]);
    }
    for field in ["kind", "plural", "shortNames", "categories"] {
        found.leaf(field, &known["names"][field], &stored["names"][field]);
    }
    found.versions(&known["versions"], &stored["versions"]);
    found.comparison()
}

fn spec(crd: &CustomResourceDefinition) -> Value {
    serde_json::to_value(&crd.spec).unwrap_or_default()
}

#[derive(Default)]
struct Differences(Vec<(Kind, String, bool)>);

impl Differences {
    fn add(&mut self, kind: Kind, place: &str, keyword: &str) {
        let is_text = TEXTS.contains(&keyword);
        let name = match (keyword, place) {
            ("", place) => place.to_owned(),
            (keyword, "") => keyword.to_owned(),
            (keyword, place) => format!("{keyword} of {place}"),
        };
        self.0.push((kind, name, is_text));
    }

    fn comparison(self) -> Comparison {
        let is_rule = |(.., is_text): &&(Kind, String, bool)| !is_text;
        let kinds: Vec<Kind> = self.0.iter().filter(is_rule).map(|(kind, ..)| *kind).collect();
        let names = |all: bool| {
            let named = self.0.iter().filter(|difference| all || is_rule(difference));
            named.map(|(_, name, _)| name.clone()).collect::<BTreeSet<_>>().into_iter().collect()
        };
        if self.0.is_empty() {
            Comparison::Same
        } else if kinds.is_empty() {
            Comparison::Texts(names(true))
        } else if kinds.iter().all(|kind| *kind == Kind::Missing) {
            Comparison::Older(names(false))
        } else if kinds.iter().all(|kind| *kind == Kind::Added) {
            Comparison::Newer(names(false))
        } else {
            Comparison::Different(names(false))
        }
    }

    fn versions(&mut self, known: &Value, stored: &Value) {
        let name = |version: &Value| version["name"].as_str().unwrap_or_default().to_owned();
        let named = |versions: &Value| -> Vec<(String, Value)> {
            versions
                .as_array()
                .into_iter()
                .flatten()
                .map(|version| (name(version), version.clone()))
                .collect()
        };
        let (known, stored) = (named(known), named(stored));
        for (name, known) in &known {
            match stored.iter().find(|(other, _)| other == name) {
                None => self.add(Kind::Missing, &format!("version {name}"), ""),
                Some((_, stored)) => {
                    for part in VERSION_PARTS {
                        self.leaf_of("", part, &known[part], &stored[part]);
                    }
                    let path = "/schema/openAPIV3Schema";
                    let null = Value::Null;
                    let schema = |version: &Value| version.pointer(path).unwrap_or(&null).clone();
                    self.schema("", &schema(known), &schema(stored));
                }
            }
        }
        for (name, _) in stored.iter().filter(|(name, _)| !known.iter().any(|(other, _)| other == name)) {
            self.add(Kind::Added, &format!("version {name}"), "");
        }
    }

    /// Compares the schemas of a field, and of all fields below it.
    fn schema(&mut self, place: &str, known: &Value, stored: &Value) {
        for keyword in keys(known, stored) {
            let (known, stored) = (&known[keyword.as_str()], &stored[keyword.as_str()]);
            match keyword.as_str() {
                "properties" => self.properties(place, known, stored),
                "items" | "additionalProperties" if known.is_object() && stored.is_object() => {
                    self.schema(&format!("{place}[]"), known, stored);
                }
                keyword => self.leaf_of(place, keyword, known, stored),
            }
        }
    }

    fn properties(&mut self, place: &str, known: &Value, stored: &Value) {
        for name in keys(known, stored) {
            let field = if place.is_empty() { name.clone() } else { format!("{place}.{name}") };
            match (known.get(&name), stored.get(&name)) {
                (Some(_), None) => self.add(Kind::Missing, &field, ""),
                (None, Some(_)) => self.add(Kind::Added, &field, ""),
                (Some(known), Some(stored)) => self.schema(&field, known, stored),
                (None, None) => {}
            }
        }
    }

    fn leaf(&mut self, name: &str, known: &Value, stored: &Value) {
        self.leaf_of("", name, known, stored);
    }

    /// Compares two values. Lists are compared as sets: what one of them lacks is missing or added.
    fn leaf_of(&mut self, place: &str, keyword: &str, known: &Value, stored: &Value) {
        if known == stored {
            return;
        }
        let kind = match (known, stored) {
            (_, Value::Null) => Kind::Missing,
            (Value::Null, _) => Kind::Added,
            (Value::Array(known), Value::Array(stored)) => {
                let lacks = known.iter().any(|item| !stored.contains(item));
                let has_more = stored.iter().any(|item| !known.contains(item));
                match (lacks, has_more) {
                    (true, false) => Kind::Missing,
                    (false, true) => Kind::Added,
                    // The order of a list of rules says nothing.
                    (false, false) => return,
                    (true, true) => Kind::Changed,
                }
            }
            _ => Kind::Changed,
        };
        self.add(kind, place, keyword);
    }
}

/// The keys of either object.
fn keys(known: &Value, stored: &Value) -> BTreeSet<String> {
    let of = |value: &Value| value.as_object().map(|fields| fields.keys().cloned().collect::<Vec<_>>());
    of(known).into_iter().chain(of(stored)).flatten().collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::api::custom_resource_definitions;

    /// The CRD of `TenantPricing`, after an edit of it as JSON.
    fn edited(edit: impl FnOnce(&mut Value)) -> Comparison {
        let known = custom_resource_definitions().remove(0);
        let mut value = serde_json::to_value(&known).unwrap();
        edit(&mut value);
        compare(&known, &serde_json::from_value(value).unwrap())
    }

    fn schema(crd: &mut Value) -> &mut Value {
        &mut crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    }

    #[test]
    fn what_the_api_server_fills_in_is_no_difference() {
        let same = edited(|crd| {
            crd["spec"]["conversion"] = json!({"strategy": "None"});
            crd["spec"]["names"]["listKind"] = json!("TenantPricingList");
            crd["metadata"]["annotations"] = json!({"helm.sh/resource-policy": "keep"});
            crd["status"] = json!({"storedVersions": ["v1alpha1"]});
        });
        assert_eq!(same, Comparison::Same);
    }

    #[test]
    fn a_field_or_rule_that_is_missing_makes_it_older() {
        let field = edited(|crd| {
            let spec = &mut schema(crd)["properties"]["spec"]["properties"];
            spec.as_object_mut().unwrap().remove("suspend");
        });
        assert_eq!(field, Comparison::Older(vec!["spec.suspend".to_owned()]));
        let rule = edited(|crd| {
            schema(crd)["x-kubernetes-validations"].as_array_mut().unwrap().remove(0);
        });
        assert_eq!(rule, Comparison::Older(vec!["x-kubernetes-validations".to_owned()]));
        let version = edited(|crd| crd["spec"]["versions"] = json!([]));
        assert_eq!(version, Comparison::Older(vec!["version v1alpha1".to_owned()]));
    }

    #[test]
    fn a_field_that_is_not_known_makes_it_newer() {
        let field = edited(|crd| {
            let spec = &mut schema(crd)["properties"]["spec"]["properties"];
            spec["switch"]["properties"]["window"] = json!({"type": "string"});
        });
        assert_eq!(field, Comparison::Newer(vec!["spec.switch.window".to_owned()]));
    }

    #[test]
    fn other_changes_make_it_different() {
        let changed = edited(|crd| {
            schema(crd)["properties"]["spec"]["properties"]["suspend"]["type"] = json!("string");
        });
        assert_eq!(changed, Comparison::Different(vec!["type of spec.suspend".to_owned()]));
        let both = edited(|crd| {
            let spec = schema(crd)["properties"]["spec"]["properties"].as_object_mut().unwrap();
            let suspend = spec.remove("suspend").unwrap();
            spec.insert("held".to_owned(), suspend);
        });
        assert_eq!(both, Comparison::Different(vec!["spec.held".to_owned(), "spec.suspend".to_owned()]));
        let scope = edited(|crd| crd["spec"]["scope"] = json!("Cluster"));
        assert_eq!(scope, Comparison::Different(vec!["scope".to_owned()]));
    }

    #[test]
    fn texts_for_people_change_no_rule() {
        let texts = edited(|crd| {
            crd["spec"]["names"]["shortNames"] = json!(["older"]);
            schema(crd)["properties"]["spec"]["description"] = json!("Something else.");
        });
        assert_eq!(texts, Comparison::Texts(vec!["description of spec".to_owned(), "shortNames".to_owned()]));
    }
}
