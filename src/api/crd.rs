//! The CRDs as they are installed: what the derives generate, and what they cannot say.

use std::collections::BTreeMap;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSON, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use kube::CustomResourceExt;
use serde_json::json;

use super::{PlatformConnection, TenantPricing};

/// The CRDs of both kinds, ready to be installed. (`TenantPricing::crd()` alone lacks the finish.)
#[must_use]
pub fn custom_resource_definitions() -> Vec<CustomResourceDefinition> {
    vec![finished(TenantPricing::crd()), finished(PlatformConnection::crd())]
}

fn finished(mut crd: CustomResourceDefinition) -> CustomResourceDefinition {
    let schemas = crd.spec.versions.iter_mut().filter_map(|version| version.schema.as_mut());
    for root in schemas.filter_map(|schema| schema.open_api_v3_schema.as_mut()) {
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
