//! The CRDs as they are installed: what the derives generate, completed by what they cannot express.

use std::collections::BTreeMap;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceColumnDefinition, CustomResourceDefinition, JSON, JSONSchemaProps, JSONSchemaPropsOrArray,
    JSONSchemaPropsOrBool,
};
use kube::CustomResourceExt;
use serde_json::json;

use super::{PlatformConnection, TenantPricing, columns, schema};

/// The CRDs of both kinds, ready to be installed. (`TenantPricing::crd()` alone is incomplete.)
#[must_use]
pub fn custom_resource_definitions() -> Vec<CustomResourceDefinition> {
    vec![
        finished(TenantPricing::crd(), &columns::of_tenant_pricing()),
        finished(PlatformConnection::crd(), &columns::of_platform_connection()),
    ]
}

fn finished(
    mut crd: CustomResourceDefinition,
    columns: &[CustomResourceColumnDefinition],
) -> CustomResourceDefinition {
    for version in &mut crd.spec.versions {
        version.additional_printer_columns = Some(columns.to_vec());
        let Some(root) = version.schema.as_mut().and_then(|schema| schema.open_api_v3_schema.as_mut()) else {
            continue;
        };
        polish(root);
        let properties = root.properties.get_or_insert_default();
        properties.extend(type_and_metadata());
        if let Some(status) = properties.get_mut("status") {
            // As in Flux: with this default, kstatus takes an object without a first reconcile for unfinished.
            status.default = Some(JSON(json!({ "observedGeneration": -1 })));
        }
    }
    crd
}

/// Changes in a schema, and in all schemas inside it, what does not belong in a clean API.
fn polish(schema: &mut JSONSchemaProps) {
    // Without it, the server prunes a null, and an absent value is what a null means here.
    schema.nullable = None;
    if schema.default.as_ref().is_some_and(|JSON(default)| default == &json!([])) {
        schema.default = None; // an empty list means the same as none
    }
    schema.description = schema.description.take().map(|text| without_line_breaks(&text));
    if schema.format.as_deref() == Some("uint32") {
        // The API server has no unsigned integers, and would warn about the format.
        schema.format = Some("int64".to_owned());
        if schema.x_kubernetes_validations.is_some() {
            schema.minimum = None; // the CEL rule has the better message
        } else {
            schema.maximum = Some(f64::from(u32::MAX));
        }
    }
    if schema.format.as_deref() == Some("date-time") {
        schema.pattern = Some(schema::INSTANT.to_owned());
    }
    for property in schema.properties.iter_mut().flat_map(BTreeMap::values_mut) {
        polish(property);
    }
    match &mut schema.items {
        Some(JSONSchemaPropsOrArray::Schema(item)) => polish(item),
        Some(JSONSchemaPropsOrArray::Schemas(items)) => items.iter_mut().for_each(polish),
        None => {}
    }
    if let Some(JSONSchemaPropsOrBool::Schema(value)) = &mut schema.additional_properties {
        polish(value);
    }
}

/// A doc comment as a text for readers. Paragraphs stay, and line breaks of the source are removed.
fn without_line_breaks(text: &str) -> String {
    let paragraphs =
        text.split("\n\n").map(|paragraph| paragraph.split_whitespace().collect::<Vec<_>>().join(" "));
    paragraphs.collect::<Vec<_>>().join("\n\n")
}

/// The properties of every kind. The server knows them anyway, but checkers that read only the file do not.
fn type_and_metadata() -> [(String, JSONSchemaProps); 3] {
    let property = |name: &str, type_: &str, description: Option<&str>| {
        let schema = JSONSchemaProps {
            type_: Some(type_.to_owned()),
            description: description.map(ToOwned::to_owned),
            ..JSONSchemaProps::default()
        };
        (name.to_owned(), schema)
    };
    [
        property("apiVersion", "string", Some("The version of the schema that this object is written in.")),
        property("kind", "string", Some("The kind of resource that this object is.")),
        property("metadata", "object", None),
    ]
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
    use kube::core::cel::Validator;
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;
    use crate::api::{PlatformConnectionSpec, TenantPricingSpec};

    /// Calls `visit` with each schema in the CRDs, and with the path that leads to it.
    fn each_schema(mut visit: impl FnMut(&str, &Value)) {
        fn walk(path: &str, schema: &Value, visit: &mut impl FnMut(&str, &Value)) {
            visit(path, schema);
            for (name, property) in schema["properties"].as_object().into_iter().flatten() {
                walk(&format!("{path}.{name}"), property, visit);
            }
            for inner in ["items", "additionalProperties"] {
                if schema[inner].is_object() {
                    walk(&format!("{path}[]"), &schema[inner], visit);
                }
            }
        }
        for crd in custom_resource_definitions() {
            let schema = serde_json::to_value(&crd.spec.versions[0].schema).unwrap();
            walk(&crd.spec.names.kind, &schema["openAPIV3Schema"], &mut visit);
        }
    }

    #[test]
    fn every_field_is_explained() {
        let mut fields = 0;
        each_schema(|path, schema| {
            let is_value = path.ends_with("[]") && schema["type"] == "string";
            let explained = schema["description"].as_str().is_some_and(|text| text.ends_with(['.', ':']));
            assert!(
                explained || is_value || path.ends_with(".metadata"),
                "{path}: {}",
                schema["description"]
            );
            fields += 1;
        });
        assert!(fields > 70, "checked {fields} only");
    }

    #[test]
    fn nulls_are_pruned() {
        each_schema(|path, schema| assert_eq!(schema["nullable"], Value::Null, "{path}"));
    }

    fn matches(pattern: &str, text: &str) -> bool {
        let rule = json!({"rule": format!("self.matches('{pattern}')"), "message": "it does not"});
        let schema = json!({"type": "string", "x-kubernetes-validations": [rule]});
        Validator::new().validate(&schema, &json!(text), None).is_ok()
    }

    /// Whether the API server's own check of a `date-time` and the pattern both accept the text.
    fn is_admitted(text: &str) -> bool {
        let lower = text.to_lowercase();
        let Some((date, time)) = lower.split_once('t') else { return false };
        let is_day = matches("^[0-9]{4}-[0-9]{2}-[0-9]{2}$", date);
        is_day
            && date.parse::<jiff::civil::Date>().is_ok()
            && matches(
                "^([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](.[0-9]+)?(z|([+-][0-9]{2}:[0-9]{2}))$",
                time,
            )
            && matches(schema::INSTANT, text)
    }

    fn is_read(text: &str) -> bool {
        serde_json::from_value::<Time>(json!(text)).is_ok()
    }

    #[test]
    fn edge_cases_of_times_are_refused_or_parsed() {
        for (text, admitted) in [
            ("2026-12-01T00:00:00Z", true),
            ("2026-12-01t00:00:00z", true),
            ("2026-12-01T00:00:00.123456789Z", true),
            ("2026-12-01T00:00:00,5Z", true),
            ("2026-12-01T00:00:00+23:59", true),
            ("2026-12-01T00:00:00-23:59", true),
            ("2026-12-01T00:00:00+24:00", true),
            ("2026-12-01T00:00:00-00:00", true),
            ("0000-01-01T00:00:00+24:00", true),
            ("9998-12-31T23:59:59-24:59", true),
            ("2026-12-01T00:00:00.1234567890Z", false),
            ("2026-12-01T00:00:00.123456789012Z", false),
            ("2026-12-01T00:00:00x5Z", false),
            ("2026-12-01T00:00:00.Z", false),
            ("2026-12-01T00:00:60Z", false),
            ("2026-12-01T24:00:00Z", false),
            ("2026-12-01T00:00:00+25:00", false),
            ("2026-12-01T00:00:00+00:60", false),
            ("2026-12-01T00:00:00", false),
            ("2026-12-01 00:00:00Z", false),
            ("2026-02-30T00:00:00Z", false),
            ("9999-12-31T23:59:59Z", false),
            ("12026-12-01T00:00:00Z", false),
        ] {
            assert_eq!(is_admitted(text), admitted, "{text}");
            assert!(!admitted || is_read(text), "{text} is stored and cannot be read");
        }
    }

    #[test]
    fn every_instant_of_the_schemas_has_the_pattern() {
        let mut instants = 0;
        each_schema(|path, schema| {
            if schema["format"] == "date-time" {
                assert_eq!(schema["pattern"], schema::INSTANT, "{path}");
                instants += 1;
            }
        });
        assert!(instants > 5, "{instants} only");
    }

    #[test]
    fn every_number_of_the_schemas_fits_its_type() {
        each_schema(|path, schema| {
            if schema["type"] == "integer"
                && schema["minimum"] == 0.0
                && !path.ends_with(".observedGeneration")
            {
                assert_eq!(schema["maximum"], f64::from(u32::MAX), "{path}");
            }
        });
    }

    proptest! {
        #![proptest_config(crate::testing::adversarial::cases(200))]

        #[test]
        fn every_time_that_the_schema_admits_is_parsed(
            text in "[0-9]{4}-(0[0-9]|1[0-3])-[0-3][0-9][Tt ][0-2][0-9]:[0-6][0-9]:[0-6][0-9]([.,x][0-9]{1,14})?([Zz]|[+-][0-2][0-9]:[0-6][0-9])",
        ) {
            prop_assert!(!is_admitted(&text) || is_read(&text), "{text} is stored and cannot be read");
        }
    }

    #[test]
    fn the_server_knows_every_format() {
        each_schema(|path, schema| {
            assert!(
                matches!(schema["format"].as_str(), None | Some("int64" | "date-time")),
                "{path}: {}",
                schema["format"]
            );
        });
    }

    #[test]
    fn every_rule_has_a_message_of_its_own() {
        let mut rules = 0;
        each_schema(|path, schema| {
            for rule in schema["x-kubernetes-validations"].as_array().into_iter().flatten() {
                assert!(rule["message"].as_str().is_some_and(|message| message.len() > 40), "{path}: {rule}");
                assert!(rule["reason"].is_string(), "{path}: {rule}");
                rules += 1;
            }
        });
        assert!(rules > 25, "checked {rules} only");
    }

    #[test]
    fn every_text_and_list_of_a_status_is_bounded() {
        let mut bounded = 0;
        each_schema(|path, schema| {
            if !path.contains(".status") {
                return;
            }
            let is_closed = schema["enum"].is_array() || schema["format"] == "date-time";
            if schema["type"] == "string" && !is_closed {
                assert!(schema["maxLength"].is_u64(), "{path}: {schema}");
                bounded += 1;
            }
            if schema["type"] == "array" {
                assert!(schema["maxItems"].is_u64(), "{path}: {schema}");
                bounded += 1;
            }
        });
        assert!(bounded > 14, "{bounded} only");
    }

    #[test]
    fn both_kinds_begin_as_not_observed() {
        let mut kinds = 0;
        each_schema(|path, schema| {
            if path.ends_with(".status") && path.matches('.').count() == 1 {
                assert_eq!(schema["default"], json!({"observedGeneration": -1}), "{path}");
                kinds += 1;
            }
        });
        assert_eq!(kinds, 2);
    }

    /// The defaults of the server and of the types are equal, so that an object means the same either way.
    #[test]
    fn defaults_are_those_of_the_types() {
        let connection: PlatformConnectionSpec =
            serde_json::from_value(json!({"url": "https://h", "credentialsSecretRef": {"name": "s"}}))
                .unwrap();
        let connection = serde_json::to_value(connection).unwrap();
        let pricing: TenantPricingSpec =
            serde_json::from_value(json!({"tenant": {"name": "Acme GmbH"}})).unwrap();
        let pricing = serde_json::to_value(pricing).unwrap();
        let mut defaults = 0;
        each_schema(|path, schema| {
            let spec = if path.starts_with("TenantPricing.") { &pricing } else { &connection };
            if let (Some((_, field)), false) = (path.split_once(".spec."), schema["default"].is_null()) {
                let pointer = format!("/{}", field.replace('.', "/"));
                assert_eq!(spec.pointer(&pointer), Some(&schema["default"]), "{path}");
                defaults += 1;
            }
        });
        assert!(defaults > 8, "checked {defaults} only");
    }
}
