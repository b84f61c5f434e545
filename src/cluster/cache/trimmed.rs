//! An object from a list or a watch, trimmed while it is parsed.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    hash::{DefaultHasher, Hash, Hasher},
};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, ObjectMeta, Time};
use kube::Resource;
use serde::{Deserialize, Deserializer, Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use super::unreadable::unreadable_field;
use crate::api::{
    Journal, Phase, RECONCILE_NOW, TenantPricing, TenantPricingSpec, TenantPricingStatus, is_short,
};

/// A `TenantPricing` from a list or a watch, with only what decisions need.
///
/// The managed fields are the larger part of an object; they are read from the API server when they matter. The last
/// applied configuration of kubectl is never read. An object that cannot be read (written by a newer version, say) is
/// passed on as [`Unreadable`].
#[derive(Clone, Debug)]
pub struct TrimmedTenantPricing {
    /// The object, or why it cannot be read.
    pub object: Result<TenantPricing, Unreadable>,
    /// A digest of the annotation `tenantpricing.io/reconcile-now`, if its value is too long to count.
    pub ignored: Option<u64>,
}

/// An object that cannot be read.
#[derive(Clone, Debug)]
pub struct Unreadable {
    /// The parts of its metadata that the controller reads.
    pub metadata: ObjectMeta,
    /// The error: the field, and why it cannot be read.
    pub error: String,
    /// What can be read of the object. It requests nothing. An attempt whose phase is not known counts as open.
    pub rest: Box<TenantPricing>,
}

/// The parts of an object that are parsed. Spec and status are small, and may turn out to be unreadable.
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

/// The one annotation that is kept. The others are skipped without a copy.
#[derive(Deserialize)]
struct Annotations {
    #[serde(rename = "tenantpricing.io/reconcile-now", default)]
    reconcile_now: Option<ReconcileNow>,
}

/// The value of the annotation.
enum ReconcileNow {
    /// The value counts.
    Kept(String),
    /// The value is too long to be kept. The number is its digest.
    TooLong(u64),
}

impl<'de> Deserialize<'de> for ReconcileNow {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = String::deserialize(deserializer)?;
        if is_short(&value) {
            return Ok(Self::Kept(value));
        }
        let mut hasher = DefaultHasher::new();
        value.hash(&mut hasher);
        Ok(Self::TooLong(hasher.finish()))
    }
}

impl Metadata {
    /// The metadata that is kept, and the digest of an ignored value.
    fn reduced(self) -> (ObjectMeta, Option<u64>) {
        let read = self;
        let (value, ignored) = match read.annotations.and_then(|annotations| annotations.reconcile_now) {
            Some(ReconcileNow::Kept(value)) => (Some(value), None),
            Some(ReconcileNow::TooLong(ignored)) => (None, Some(ignored)),
            None => (None, None),
        };
        let kept = ObjectMeta {
            name: read.name,
            namespace: read.namespace,
            uid: read.uid,
            resource_version: read.resource_version,
            generation: read.generation,
            creation_timestamp: read.creation_timestamp,
            deletion_timestamp: read.deletion_timestamp,
            annotations: value.map(|value| BTreeMap::from([(RECONCILE_NOW.to_owned(), value)])),
            ..ObjectMeta::default()
        };
        (kept, ignored)
    }
}

impl<'de> Deserialize<'de> for TrimmedTenantPricing {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Read { metadata, spec, status } = Read::deserialize(deserializer)?;
        let (metadata, ignored) = metadata.reduced();
        let read =
            (TenantPricingSpec::deserialize(&spec), Option::<TenantPricingStatus>::deserialize(&status));
        let object = match read {
            (Ok(spec), Ok(status)) => Ok(TenantPricing { metadata, spec, status }),
            _ => Err(unreadable(metadata, &spec, &status)),
        };
        Ok(Self { object, ignored })
    }
}

fn unreadable(metadata: ObjectMeta, spec: &Value, status: &Value) -> Unreadable {
    let error = unreadable_field::<TenantPricingSpec>("spec", spec, &json!({"tenant": {}}))
        .or_else(|| unreadable_field::<TenantPricingStatus>("status", status, &json!({})));
    let rest = TenantPricing {
        metadata: metadata.clone(),
        spec: TenantPricingSpec {
            tenant: lenient(&spec["tenant"]),
            mode: None,
            switch: None,
            connection_ref: lenient(&spec["connectionRef"]),
            suspend: lenient(&spec["suspend"]),
        },
        status: Some(rest_of_status(spec, status)),
    };
    Unreadable {
        metadata,
        error: error.unwrap_or_else(|| "spec is missing".to_owned()),
        rest: Box::new(rest),
    }
}

fn lenient<T: DeserializeOwned + Default>(value: &Value) -> T {
    T::deserialize(value).unwrap_or_default()
}

/// What can be read of a status.
fn rest_of_status(spec: &Value, status: &Value) -> TenantPricingStatus {
    if let Ok(Some(status)) = Option::<TenantPricingStatus>::deserialize(status) {
        return status;
    }
    let conditions = status["conditions"].as_array().into_iter().flatten();
    let switch = status["switch"].as_object().map(|_| rest_of_journal(&status["switch"]));
    let tenant = status["tenantId"].as_str().or_else(|| spec["tenant"]["id"].as_str());
    TenantPricingStatus {
        observed_generation: status["observedGeneration"].as_i64().unwrap_or(-1),
        tenant_id: tenant.map(str::to_owned),
        observed: lenient(&status["observed"]),
        switch,
        last_handled_reconcile_at: lenient(&status["lastHandledReconcileAt"]),
        conditions: conditions.filter_map(|condition| Condition::deserialize(condition).ok()).collect(),
    }
}

/// What can be read of a journal. Nothing is sent while an attempt may be open.
fn rest_of_journal(journal: &Value) -> Journal {
    Journal {
        phase: Phase::deserialize(&journal["phase"]).unwrap_or(Phase::InFlight),
        scheduled_for: lenient(&journal["scheduledFor"]),
        intent_at: lenient(&journal["intentAt"]),
        intent_generation: lenient(&journal["intentGeneration"]),
        attempts: lenient(&journal["attempts"]),
        attempt_id: lenient(&journal["attemptId"]),
        platform: lenient(&journal["platform"]),
        connection: lenient(&journal["connection"]),
        accepted_at: lenient(&journal["acceptedAt"]),
        completed_at: lenient(&journal["completedAt"]),
        by: lenient(&journal["by"]),
        requested_by: lenient(&journal["requestedBy"]),
    }
}

impl Serialize for TrimmedTenantPricing {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.object {
            Ok(object) => object.serialize(serializer),
            Err(_) => serializer.serialize_unit(),
        }
    }
}

impl Resource for TrimmedTenantPricing {
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

    use super::*;
    use crate::{
        api::reconcile_now,
        testing::adversarial::{cases, corpus, nearly},
    };

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
        let WatchEvent::Modified(TrimmedTenantPricing { object: Ok(listed), .. }) =
            serde_json::from_str(&event).unwrap()
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
    fn a_value_of_more_than_63_characters_is_not_kept() {
        let read = |value: &str| {
            let mut object = stored();
            object["metadata"]["annotations"]["tenantpricing.io/reconcile-now"] = json!(value);
            let listed: TrimmedTenantPricing = serde_json::from_str(&object.to_string()).unwrap();
            (
                reconcile_now(listed.meta()).map(str::to_owned),
                listed.meta().annotations.clone(),
                listed.ignored,
            )
        };
        for counts in ["", "2026-11-27T10:00:00+01:00", &"x".repeat(63), &"ü".repeat(63)] {
            let (value, _, ignored) = read(counts);
            assert_eq!((value.as_deref(), ignored), (Some(counts), None));
        }
        let mut numbers = std::collections::HashSet::new();
        for long in ["x".repeat(64), "ü".repeat(64), "x".repeat(250_000), "\n".repeat(64)] {
            let (value, kept, ignored) = read(&long);
            assert_eq!((value, kept), (None, None));
            assert!(numbers.insert(ignored.unwrap()), "another value is another number");
            assert_eq!(read(&long).2, ignored, "the same value is the same number");
        }
    }

    #[test]
    fn an_unreadable_object_is_passed_on_as_unreadable() {
        let mut broken = stored();
        broken["spec"]["mode"] = json!("free");
        let listed: TrimmedTenantPricing = serde_json::from_str(&broken.to_string()).unwrap();
        assert_eq!(listed.meta().name.as_deref(), Some("acme"));
        let error = listed.object.unwrap_err().error;
        assert!(error.starts_with("spec.mode: ") && error.contains("free"), "{error}");
    }

    /// What can be read of an unreadable object.
    fn rest_of(object: &Value) -> TenantPricing {
        let listed: TrimmedTenantPricing = serde_json::from_value(object.clone()).unwrap();
        *listed.object.unwrap_err().rest
    }

    #[test]
    fn an_open_attempt_that_cannot_be_read_counts_as_open() {
        let open = json!({"phase": "InFlight", "platform": "https://h", "attemptId": "a"});
        for (field, value) in [
            ("by", json!("Reseller")),
            ("phase", json!("Accepted")),
            ("phase", json!(null)),
            ("attempts", json!(-1)),
            ("intentAt", json!("2026-12-01T00:00:00.123456789012Z")),
            ("scheduledFor", json!({"month": 12})),
        ] {
            let mut object = stored();
            object["status"] = json!({"observedGeneration": 1, "tenantId": "t-1", "switch": open});
            object["status"]["switch"][field] = value;
            let rest = rest_of(&object);
            let status = rest.status.unwrap();
            let journal = status.switch.unwrap();
            assert_eq!(
                (journal.phase, status.tenant_id.as_deref()),
                (Phase::InFlight, Some("t-1")),
                "{field}"
            );
            assert_eq!(journal.platform.as_deref(), Some("https://h"), "{field}");
            assert_eq!(rest.spec.mode, None, "it asks for nothing");
        }
    }

    #[test]
    fn a_plan_or_a_record_that_cannot_be_read_is_not_open() {
        for phase in ["Scheduled", "Completed"] {
            let mut object = stored();
            object["status"] = json!({"switch": {"phase": phase, "by": "Reseller"}});
            assert_eq!(json!(rest_of(&object).status.unwrap().switch.unwrap().phase), phase);
        }
        let mut object = stored();
        object["status"] = json!({"observedGeneration": "one"});
        assert_eq!(rest_of(&object).status.unwrap().switch, None);
    }

    #[test]
    fn the_journal_stays_where_only_the_spec_cannot_be_read() {
        let mut object = stored();
        object["status"] =
            json!({"observedGeneration": 1, "switch": {"phase": "Completed", "by": "Controller"}});
        let whole: TenantPricing = serde_json::from_value(object.clone()).unwrap();
        object["spec"]["switch"] = json!({"notBefore": "2027-03-01T00:00:00.123456789012Z"});
        object["spec"]["connectionRef"] = json!({"name": "eu2"});
        let rest = rest_of(&object);
        assert_eq!(rest.status, whole.status);
        assert_eq!(rest.spec.connection_ref.name, "eu2");
        let listed: TrimmedTenantPricing = serde_json::from_value(object).unwrap();
        assert!(listed.object.unwrap_err().error.starts_with("spec.switch: "));
    }

    #[test]
    fn an_error_is_cut_where_a_value_is_long() {
        let mut object = stored();
        object["spec"]["mode"] = json!("ä".repeat(10_000));
        let listed: TrimmedTenantPricing = serde_json::from_value(object).unwrap();
        assert!(
            listed.object.unwrap_err().error.chars().count()
                <= super::super::unreadable::MAX_ERROR_CHARS + "spec.mode: ".len()
        );
    }

    #[test]
    fn the_corpus_of_objects() {
        for (_, bytes) in corpus("objects") {
            drop(serde_json::from_slice::<TrimmedTenantPricing>(&bytes));
        }
    }

    proptest! {
        #![proptest_config(cases(500))]

        #[test]
        fn any_object_is_read_or_passed_on_as_unreadable(
            object in nearly(stored()), kind in prop::sample::select(&["ADDED", "MODIFIED", "DELETED", "BOOKMARK"][..]),
        ) {
            if let Ok(listed) = serde_json::from_value::<TrimmedTenantPricing>(object.clone()) {
                prop_assert_eq!(listed.meta().name.as_deref(), object["metadata"]["name"].as_str());
                prop_assert!(listed.meta().annotations.as_ref().is_none_or(|kept| kept.len() == 1));
                match &listed.object {
                    // The text parsed here must equal the text parsed from the whole object.
                    Ok(read) => {
                        if let Ok(whole) = serde_json::from_value::<TenantPricing>(object.clone()) {
                            prop_assert_eq!((&whole.spec, &whole.status), (&read.spec, &read.status));
                        }
                    }
                    Err(unreadable) => prop_assert!(!unreadable.error.is_empty()),
                }
            }
            let event = json!({"type": kind, "object": object}).to_string();
            let _ = serde_json::from_str::<WatchEvent<TrimmedTenantPricing>>(&event);
        }
    }

    #[test]
    fn the_annotation_that_is_read_is_the_one_that_is_documented() {
        let object = stored();
        let listed: TrimmedTenantPricing = serde_json::from_str(&object.to_string()).unwrap();
        assert_eq!(listed.meta().annotations.as_ref().unwrap()[RECONCILE_NOW], "yes");
    }
}
