//! An object as lists and watches bring it, reduced while it is read.

use std::{borrow::Cow, collections::BTreeMap};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube::Resource;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::api::{RECONCILE_NOW, TenantPricing};

/// A `TenantPricing` as a list or a watch brings it, with only what decisions need.
///
/// Who owns which field is the larger part of an object, and is read from the API server when it matters; the
/// last applied configuration of kubectl is not read at all. What cannot be read (written by a newer version,
/// say) is brought as such, and is in nobody's way.
#[derive(Clone, Debug)]
pub struct Listed {
    /// The object, or why it cannot be read.
    pub object: Result<TenantPricing, Unreadable>,
}

/// An object that cannot be read.
#[derive(Clone, Debug)]
pub struct Unreadable {
    /// Its metadata, as far as it is read anywhere.
    pub metadata: ObjectMeta,
    /// What is wrong with it.
    pub error: String,
}

/// What is read of an object. Spec and status are small, and may turn out not to be readable.
#[derive(Deserialize)]
struct Read {
    metadata: Metadata,
    #[serde(default)]
    spec: Value,
    #[serde(default)]
    status: Value,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    name: Option<String>,
    namespace: Option<String>,
    uid: Option<String>,
    resource_version: Option<String>,
    generation: Option<i64>,
    creation_timestamp: Option<Time>,
    deletion_timestamp: Option<Time>,
    #[serde(default)]
    annotations: Option<Annotations>,
}

/// The one annotation that is kept; the others are skipped without being copied.
#[derive(Deserialize)]
struct Annotations {
    #[serde(rename = "tenantpricing.io/reconcile-now")]
    reconcile_now: Option<String>,
}

impl From<Metadata> for ObjectMeta {
    fn from(read: Metadata) -> Self {
        let asked = read.annotations.and_then(|annotations| annotations.reconcile_now);
        Self {
            name: read.name,
            namespace: read.namespace,
            uid: read.uid,
            resource_version: read.resource_version,
            generation: read.generation,
            creation_timestamp: read.creation_timestamp,
            deletion_timestamp: read.deletion_timestamp,
            annotations: asked.map(|value| BTreeMap::from([(RECONCILE_NOW.to_owned(), value)])),
            ..Self::default()
        }
    }
}

impl<'de> Deserialize<'de> for Listed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Read { metadata, spec, status } = Read::deserialize(deserializer)?;
        let metadata = metadata.into();
        let object = match (serde_json::from_value(spec), serde_json::from_value(status)) {
            (Ok(spec), Ok(status)) => Ok(TenantPricing { metadata, spec, status }),
            (Err(error), _) => Err(Unreadable { metadata, error: format!("spec: {error}") }),
            (_, Err(error)) => Err(Unreadable { metadata, error: format!("status: {error}") }),
        };
        Ok(Self { object })
    }
}

impl Serialize for Listed {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.object {
            Ok(object) => object.serialize(serializer),
            Err(_) => serializer.serialize_unit(),
        }
    }
}

impl Resource for Listed {
    type DynamicType = ();
    type Scope = <TenantPricing as Resource>::Scope;

    fn kind(unit: &()) -> Cow<'_, str> {
        TenantPricing::kind(unit)
    }

    fn group(unit: &()) -> Cow<'_, str> {
        TenantPricing::group(unit)
    }

    fn version(unit: &()) -> Cow<'_, str> {
        TenantPricing::version(unit)
    }

    fn plural(unit: &()) -> Cow<'_, str> {
        TenantPricing::plural(unit)
    }

    fn meta(&self) -> &ObjectMeta {
        self.object.as_ref().map_or_else(|unreadable| &unreadable.metadata, Resource::meta)
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        self.object.as_mut().map_or_else(|unreadable| &mut unreadable.metadata, Resource::meta_mut)
    }
}

#[cfg(test)]
mod tests {
    use kube::core::WatchEvent;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::hostile::{cases, corpus, nearly};

    fn stored() -> Value {
        json!({
            "apiVersion": "tenantpricing.io/v1alpha1",
            "kind": "TenantPricing",
            "metadata": {
                "name": "acme", "namespace": "team", "uid": "u-1", "resourceVersion": "17", "generation": 3,
                "creationTimestamp": "2026-11-23T10:00:00Z",
                "annotations": {
                    "kubectl.kubernetes.io/last-applied-configuration": "{}",
                    "tenantpricing.io/reconcile-now": "yes",
                },
                "managedFields": [{"manager": "kubectl", "operation": "Update", "fieldsV1": {"f:spec": {}}}],
            },
            "spec": {"tenant": {"name": "Acme GmbH"}, "mode": "trial"},
            "status": {"observedGeneration": -1},
        })
    }

    #[test]
    fn only_what_decisions_need_is_read() {
        let event = json!({"type": "MODIFIED", "object": stored()}).to_string();
        let WatchEvent::Modified(Listed { object: Ok(listed) }) = serde_json::from_str(&event).unwrap()
        else {
            panic!("not read: {event}");
        };
        let whole: TenantPricing = serde_json::from_value(stored()).unwrap();
        assert_eq!((&listed.spec, &listed.status), (&whole.spec, &whole.status));
        let metadata = json!(listed.metadata);
        assert_eq!(
            metadata,
            json!({
                "name": "acme", "namespace": "team", "uid": "u-1", "resourceVersion": "17", "generation": 3,
                "creationTimestamp": "2026-11-23T10:00:00Z",
                "annotations": {"tenantpricing.io/reconcile-now": "yes"},
            })
        );
    }

    #[test]
    fn an_object_that_cannot_be_read_is_brought_as_such() {
        let mut broken = stored();
        broken["spec"]["mode"] = json!("free");
        let listed: Listed = serde_json::from_str(&broken.to_string()).unwrap();
        assert_eq!(listed.meta().name.as_deref(), Some("acme"));
        let error = listed.object.unwrap_err().error;
        assert!(error.starts_with("spec: ") && error.contains("free"), "{error}");
    }

    #[test]
    fn the_corpus_of_objects() {
        for (_, bytes) in corpus("objects") {
            drop(serde_json::from_slice::<Listed>(&bytes));
        }
    }

    proptest! {
        #![proptest_config(cases(500))]

        #[test]
        fn any_object_is_read_or_brought_as_one_that_cannot_be(
            object in nearly(stored()), kind in prop::sample::select(&["ADDED", "MODIFIED", "DELETED", "BOOKMARK"][..]),
        ) {
            if let Ok(listed) = serde_json::from_value::<Listed>(object.clone()) {
                prop_assert_eq!(listed.meta().name.as_deref(), object["metadata"]["name"].as_str());
                prop_assert!(listed.meta().annotations.as_ref().is_none_or(|kept| kept.len() == 1));
                match &listed.object {
                    // What is read here is what would be read of the whole object.
                    Ok(read) => {
                        if let Ok(whole) = serde_json::from_value::<TenantPricing>(object.clone()) {
                            prop_assert_eq!((&whole.spec, &whole.status), (&read.spec, &read.status));
                        }
                    }
                    Err(unreadable) => prop_assert!(!unreadable.error.is_empty()),
                }
            }
            let event = json!({"type": kind, "object": object}).to_string();
            let _ = serde_json::from_str::<WatchEvent<Listed>>(&event);
        }
    }

    #[test]
    fn the_annotation_that_is_read_is_the_one_that_is_documented() {
        let object = stored();
        let listed: Listed = serde_json::from_str(&object.to_string()).unwrap();
        assert_eq!(listed.meta().annotations.as_ref().unwrap()[RECONCILE_NOW], "yes");
    }
}
