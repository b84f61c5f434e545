//! The CRDs as they are installed: what the derives generate, and what they cannot say.

use std::collections::BTreeMap;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceColumnDefinition, CustomResourceDefinition, JSON, JSONSchemaProps, JSONSchemaPropsOrArray,
    JSONSchemaPropsOrBool,
};
use kube::CustomResourceExt;
use serde_json::json;

use super::{PlatformConnection, TenantPricing, columns};

/// The CRDs of both kinds, ready to be installed. (`TenantPricing::crd()` alone lacks the finish.)
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
            // As Flux does it: kstatus takes an object that nobody has looked at for unfinished.
            status.default = Some(JSON(json!({ "observedGeneration": -1 })));
        }
    }
    crd
}

/// Mends in a schema, and in all that is in it, what stands in the way of a clean API.
fn polish(schema: &mut JSONSchemaProps) {
    // Without it the server prunes a null to absent, which is what it means here.
    schema.nullable = None;
    if schema.default.as_ref().is_some_and(|JSON(default)| default == &json!([])) {
        schema.default = None; // an empty list says no more than none
    }
    schema.description = schema.description.take().map(|text| without_line_breaks(&text));
    if schema.format.as_deref() == Some("uint32") {
        // The API server knows no unsigned integers and would warn of the format.
        schema.format = Some("int64".to_owned());
        if schema.x_kubernetes_validations.is_some() {
            schema.minimum = None; // the rule has the better message
        }
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

/// A doc comment as a text for readers: paragraphs stay, the source's line breaks go.
fn without_line_breaks(text: &str) -> String {
    let paragraphs =
        text.split("\n\n").map(|paragraph| paragraph.split_whitespace().collect::<Vec<_>>().join(" "));
    paragraphs.collect::<Vec<_>>().join("\n\n")
}

/// The properties every kind has. The server knows them anyway; checkers that read only the file do not.
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
    use serde_json::Value;

    use super::*;
    use crate::api::{PlatformConnectionSpec, TenantPricingSpec};

    /// Calls `look` with each schema in the CRDs and the path that leads to it.
    fn each_schema(mut look: impl FnMut(&str, &Value)) {
        fn walk(path: &str, schema: &Value, look: &mut impl FnMut(&str, &Value)) {
            look(path, schema);
            for (name, property) in schema["properties"].as_object().into_iter().flatten() {
                walk(&format!("{path}.{name}"), property, look);
            }
            for inner in ["items", "additionalProperties"] {
                if schema[inner].is_object() {
                    walk(&format!("{path}[]"), &schema[inner], look);
                }
            }
        }
        for crd in custom_resource_definitions() {
            let schema = serde_json::to_value(&crd.spec.versions[0].schema).unwrap();
            walk(&crd.spec.names.kind, &schema["openAPIV3Schema"], &mut look);
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
        assert!(fields > 70, "looked at {fields} only");
    }

    #[test]
    fn nulls_are_pruned() {
        each_schema(|path, schema| assert_eq!(schema["nullable"], Value::Null, "{path}"));
    }

    #[test]
    fn every_format_is_one_the_server_knows() {
        each_schema(|path, schema| {
            assert!(
                matches!(schema["format"].as_str(), None | Some("int64" | "date-time")),
                "{path}: {}",
                schema["format"]
            );
        });
    }

    #[test]
    fn every_rule_says_why_in_words_of_its_own() {
        let mut rules = 0;
        each_schema(|path, schema| {
            for rule in schema["x-kubernetes-validations"].as_array().into_iter().flatten() {
                assert!(rule["message"].as_str().is_some_and(|message| message.len() > 40), "{path}: {rule}");
                assert!(rule["reason"].is_string(), "{path}: {rule}");
                rules += 1;
            }
        });
        assert!(rules > 25, "looked at {rules} only");
    }

    #[test]
    fn both_kinds_begin_as_not_looked_at() {
        let mut kinds = 0;
        each_schema(|path, schema| {
            if path.ends_with(".status") && path.matches('.').count() == 1 {
                assert_eq!(schema["default"], json!({"observedGeneration": -1}), "{path}");
                kinds += 1;
            }
        });
        assert_eq!(kinds, 2);
    }

    /// The server's defaults and the types' are the same, so that an object reads the same either way.
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
        assert!(defaults > 8, "looked at {defaults} only");
    }
}
