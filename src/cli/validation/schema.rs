//! The schemas of both kinds, read once from the CRDs.

use std::{collections::BTreeMap, sync::LazyLock};

use kube::core::cel::{CompiledSchema, compile_schema};
use regex::Regex;
use serde_json::Value;

use super::{
    invalid::{Invalid, Reason},
    path::Path,
};
use crate::api::custom_resource_definitions;

/// A kind with its schema.
pub(super) struct Kind {
    name: String,
    /// Such as `tenantpricing.io/v1alpha1`.
    api_version: String,
    pub(super) schema: Schema,
    /// The schema with its rules, as CEL needs it.
    pub(super) compiled: CompiledSchema,
}

static KINDS: LazyLock<Vec<Kind>> = LazyLock::new(|| {
    let of = |crd: k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition| {
        let version = crd.spec.versions.into_iter().find(|version| version.storage)?;
        let schema = serde_json::to_value(version.schema?.open_api_v3_schema?).ok()?;
        Some(Kind {
            api_version: format!("{}/{}", crd.spec.group, version.name),
            name: crd.spec.names.kind,
            schema: Schema::new(&schema),
            compiled: compile_schema(&schema),
        })
    };
    custom_resource_definitions().into_iter().filter_map(of).collect()
});

impl Kind {
    /// The kind of an object.
    pub(super) fn of(object: &Value) -> Result<&'static Self, Vec<Invalid>> {
        let field = |name: &str| object.get(name).and_then(Value::as_str).unwrap_or_default();
        let (kind, api_version) = (field("kind"), field("apiVersion"));
        let known = KINDS.iter().find(|known| known.name == kind && known.api_version == api_version);
        known.ok_or_else(|| {
            let known: Vec<&str> = KINDS.iter().map(|known| known.name.as_str()).collect();
            let message = format!(
                "this program does not know the kind {kind:?} of {api_version:?}, only {}",
                known.join(" and ")
            );
            vec![Invalid::with_message(&Path::default().child("kind"), Reason::Undecodable, message)]
        })
    }
}

/// What a schema says about one value. The keywords are those that the CRDs use; a test finds any other.
#[derive(Debug, Default)]
pub(super) struct Schema {
    pub(super) type_: String,
    pub(super) format: Option<String>,
    pub(super) default: Option<Value>,
    pub(super) required: Vec<String>,
    pub(super) properties: BTreeMap<String, Schema>,
    pub(super) additional_properties: Option<Box<Schema>>,
    pub(super) items: Option<Box<Schema>>,
    pub(super) enum_: Vec<Value>,
    pub(super) pattern: Option<Regex>,
    pub(super) max_length: Option<usize>,
    pub(super) max_items: Option<usize>,
    pub(super) max_properties: Option<usize>,
    pub(super) rules: Vec<SchemaRule>,
}

/// A CEL rule of a schema.
#[derive(Debug)]
pub(super) struct SchemaRule {
    pub(super) rule: String,
    pub(super) message: String,
    /// The part of the path that the rule adds.
    pub(super) field_path: String,
}

impl Schema {
    pub(super) fn new(schema: &Value) -> Self {
        let text = |name: &str| schema[name].as_str().map(ToOwned::to_owned);
        let number = |name: &str| schema[name].as_u64().and_then(|number| usize::try_from(number).ok());
        let inner = |name: &str| schema[name].is_object().then(|| Box::new(Self::new(&schema[name])));
        let values = |name: &str| schema[name].as_array().cloned().unwrap_or_default();
        let texts = |values: Vec<Value>| {
            values.iter().filter_map(Value::as_str).map(ToOwned::to_owned).collect::<Vec<String>>()
        };
        let rule = |rule: &Value| {
            let text = |name: &str| rule[name].as_str().unwrap_or_default().to_owned();
            SchemaRule { rule: text("rule"), message: text("message"), field_path: text("fieldPath") }
        };
        Self {
            type_: text("type").unwrap_or_default(),
            format: text("format"),
            default: schema.get("default").cloned(),
            required: texts(values("required")),
            properties: schema["properties"]
                .as_object()
                .into_iter()
                .flatten()
                .map(|(name, property)| (name.clone(), Self::new(property)))
                .collect(),
            additional_properties: inner("additionalProperties"),
            items: inner("items"),
            enum_: values("enum"),
            pattern: text("pattern").and_then(|pattern| Regex::new(&pattern).ok()),
            max_length: number("maxLength"),
            max_items: number("maxItems"),
            max_properties: number("maxProperties"),
            rules: values("x-kubernetes-validations").iter().map(rule).collect(),
        }
    }

    /// The schema of a field of an object.
    pub(super) fn of_field(&self, name: &str) -> Option<&Self> {
        self.properties.get(name).or(self.additional_properties.as_deref())
    }
}
