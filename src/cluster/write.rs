//! The writes to Kubernetes. Each is one server-side patch of the status, bound to the resource version of the
//! decision. So a decision on one state is never written over another.

use std::{
    fmt::Debug,
    hash::{DefaultHasher, Hash, Hasher},
    time::Duration,
};

use kube::{
    Api, Client, Resource, ResourceExt,
    api::{ApiResource, DynamicObject, Patch, PatchParams},
    core::NamespaceResourceScope,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use super::TrimmedTenantPricing;
use crate::{
    api::{ConditionType, PlatformConnection, TenantPricing},
    failpoints::{SideEffect, side_effect},
};

/// The field manager of everything this program writes.
pub const FIELD_MANAGER: &str = "tenant-pricing-controller";

/// The timeout of a write. After it, whether the write was stored is not known.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

/// After a write that met a newer object, the watch usually catches up within this time.
pub const CACHE_CATCH_UP: Duration = Duration::from_millis(200);

/// The outcome of a write.
#[derive(Debug)]
pub enum Written<K> {
    /// The write is stored. This is the object now.
    Stored(Box<K>),
    /// The object has changed since it was read, or is gone: nothing is stored.
    Conflict,
    /// The API server refused the write: nothing is stored.
    Refused(kube::Error),
    /// No certain answer: the write may be stored or not.
    Unknown(WriteError),
}

/// Why the outcome of a write is not known.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The API server did not answer in time.
    #[error("no answer within {} s", WRITE_TIMEOUT.as_secs())]
    Timeout,
    /// The request failed on its way, or the API server answered with an error that leaves the outcome open.
    #[error("{0}")]
    Unavailable(#[source] Box<kube::Error>),
    /// The object in the answer cannot be read.
    #[error("the object in the answer cannot be read")]
    Unreadable,
    /// Server-side apply kept a field of another manager, and the merge patch that removes it failed. A conflict is no
    /// error of kube, so the source is missing then.
    #[error("a field of another manager could not be removed")]
    LeftOver(#[source] Option<Box<dyn std::error::Error + Send + Sync>>),
}

/// A kind whose status this program owns, but for the conditions of other writers.
pub trait OwnedStatus {
    /// The types of the conditions that this program sets. Conditions of other types belong to other writers.
    const OWNED_CONDITIONS: &'static [ConditionType];

    /// The type that the answer to a write is parsed as.
    type Answer: Clone + Debug + DeserializeOwned + Resource<DynamicType = (), Scope = NamespaceResourceScope>;

    /// The object in the answer, if it can be read.
    fn answered(answer: Self::Answer) -> Option<Self>
    where
        Self: Sized;

    /// The status as it is stored.
    fn stored_status(&self) -> Value;
}

impl OwnedStatus for TenantPricing {
    const OWNED_CONDITIONS: &'static [ConditionType] = ConditionType::ALL;

    // The trimmed type omits the larger part of an object, which is of no use here. Ten thousand of them may be read.
    type Answer = TrimmedTenantPricing;

    fn answered(answer: TrimmedTenantPricing) -> Option<Self> {
        answer.object.ok()
    }

    fn stored_status(&self) -> Value {
        json!(self.status)
    }
}

impl OwnedStatus for PlatformConnection {
    const OWNED_CONDITIONS: &'static [ConditionType] = ConditionType::OF_CONNECTION;

    type Answer = Self;

    fn answered(answer: Self) -> Option<Self> {
        Some(answer)
    }

    fn stored_status(&self) -> Value {
        json!(self.status)
    }
}

/// Writes the status of `object` if the stored object is still the one that was read. `effect` is the side effect that
/// this write has.
///
/// Conditions of other writers are left out: server-side apply would make this program their owner, and the others
/// could no longer remove them. Nothing is written if only such conditions, or the order of conditions, differ.
///
/// Server-side apply keeps a field that another manager owns as well. So the answer is compared with what was applied.
/// A merge patch removes fields that are left over.
pub async fn write_status<K>(
    client: &Client,
    object: &K,
    status: &impl Serialize,
    effect: SideEffect,
) -> Written<K>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + OwnedStatus + Clone,
{
    let (wanted, stored) =
        (bounded(own(json!(status), K::OWNED_CONDITIONS)), own(object.stored_status(), K::OWNED_CONDITIONS));
    // A status without conditions was never written by this program.
    let is_written = stored["conditions"].as_array().is_some_and(|conditions| !conditions.is_empty());
    if is_written && in_order(&wanted) == in_order(&stored) {
        return Written::Stored(Box::new(object.clone()));
    }
    let apply = Patch::Apply(json!({
        "apiVersion": K::api_version(&()),
        "kind": K::kind(&()),
        "metadata": identity(object),
        "status": wanted,
    }));
    let forced = PatchParams::apply(FIELD_MANAGER).force();
    let mut written = patch(client, object, &forced, &apply, effect).await;
    if matches!(&written, Written::Stored(answer) if is_unchanged(object, &**answer) && !shows(&**answer, &wanted))
    {
        // The first request did not arrive. A merge patch instead would make this program a second owner of the fields,
        // and an apply could no longer remove them.
        written = patch(client, object, &forced, &apply, effect).await;
    }
    match written {
        // A field that another manager keeps contradicts what was applied. Nothing is stored.
        Written::Refused(error) if is_invalid(&error) => replace(client, object, &wanted, effect).await,
        Written::Stored(answer) if !shows(&*answer, &wanted) => {
            match replace(client, &*answer, &wanted, effect).await {
                Written::Stored(replaced) => Written::Stored(replaced),
                // The stored status is not the wanted one, so nothing may follow from it.
                Written::Conflict => Written::Unknown(WriteError::LeftOver(None)),
                Written::Refused(error) => Written::Unknown(WriteError::LeftOver(Some(error.into()))),
                Written::Unknown(error) => Written::Unknown(WriteError::LeftOver(Some(error.into()))),
            }
        }
        written => written,
    }
}

/// The HTTP code for a request that is well formed but invalid.
const INVALID: u16 = 422;

/// Whether the API server refused a write because what it says is invalid. The same write is refused again.
#[must_use]
pub fn is_invalid(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == INVALID)
}

/// Whether an answer shows the object in the version before the write.
fn is_unchanged<K: Resource>(before: &K, answer: &K) -> bool {
    answer.resource_version().is_some() && answer.resource_version() == before.resource_version()
}

/// Whether the own part of an object's status is exactly this.
fn shows<K: OwnedStatus>(object: &K, wanted: &Value) -> bool {
    in_order(&own(object.stored_status(), K::OWNED_CONDITIONS)) == in_order(wanted)
}

/// Whether the own part of a stored status has all fields of an applied one. Server-side apply leaves fields of other
/// managers beside them.
pub fn shows_at_least<K: OwnedStatus>(stored: &impl Serialize, applied: &impl Serialize) -> bool {
    let (stored, applied) =
        (own(json!(stored), K::OWNED_CONDITIONS), own(json!(applied), K::OWNED_CONDITIONS));
    is_within(&bounded(applied), &stored)
}

/// Whether a value is part of another one: fields by their names, the elements of a list in any order.
fn is_within(part: &Value, whole: &Value) -> bool {
    match (part, whole) {
        (Value::Object(part), Value::Object(whole)) => {
            part.iter().all(|(name, value)| whole.get(name).is_some_and(|whole| is_within(value, whole)))
        }
        (Value::Array(part), Value::Array(whole)) => {
            part.iter().all(|element| whole.iter().any(|whole| is_within(element, whole)))
        }
        _ => part == whole,
    }
}

/// Makes the own part of the stored status exactly `wanted`, also in fields of other managers. The patch sets what
/// differs, and writes null for what must go. Conditions of other writers stay.
async fn replace<K>(client: &Client, object: &K, wanted: &Value, effect: SideEffect) -> Written<K>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + OwnedStatus + Clone,
{
    let stored = object.stored_status();
    let mut whole = wanted.clone();
    let foreign = stored["conditions"].as_array().into_iter().flatten();
    let foreign = foreign.filter(|condition| !is_own(condition, K::OWNED_CONDITIONS)).cloned();
    if let Some(conditions) = whole.get_mut("conditions").and_then(Value::as_array_mut) {
        // A merge patch replaces a list.
        conditions.extend(foreign);
    }
    let merge = Patch::Merge(json!({"metadata": identity(object), "status": difference(&stored, &whole)}));
    patch(client, object, &merging(), &merge, effect).await
}

/// The merge patch that turns `from` into `to`.
fn difference(from: &Value, to: &Value) -> Value {
    let (Value::Object(from), Value::Object(to)) = (from, to) else { return to.clone() };
    let gone = from.keys().filter(|key| !to.contains_key(*key)).map(|key| (key.clone(), Value::Null));
    let changed = to.iter().filter(|(key, value)| from.get(*key) != Some(*value));
    let changed =
        changed.map(|(key, value)| (key.clone(), difference(from.get(key).unwrap_or(&Value::Null), value)));
    gone.chain(changed).collect()
}

/// The part of a patch that names its object: this object only, in exactly this version.
fn identity<K: Resource>(object: &K) -> Value {
    json!({
        "name": object.name_any(),
        "namespace": object.namespace(),
        "uid": object.uid(),
        "resourceVersion": object.resource_version(),
    })
}

/// Writes these fields of the status of an unreadable object of this kind, and leaves all others as they are.
pub async fn write_fields<K: Resource<DynamicType = ()>>(
    client: &Client,
    object: &DynamicObject,
    fields: &Value,
    effect: SideEffect,
) -> Written<DynamicObject> {
    let kind = ApiResource::erase::<K>(&());
    let namespace = object.namespace().unwrap_or_default();
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), &namespace, &kind);
    let merge = Patch::Merge(json!({"metadata": identity(object), "status": fields}));
    patch_status(&api, &object.name_any(), &merging(), &merge, effect).await
}

fn merging() -> PatchParams {
    PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() }
}

async fn patch<K>(
    client: &Client,
    object: &K,
    parameters: &PatchParams,
    patch: &Patch<Value>,
    effect: SideEffect,
) -> Written<K>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + OwnedStatus,
{
    let api: Api<K::Answer> = Api::namespaced(client.clone(), &object.namespace().unwrap_or_default());
    match patch_status(&api, &object.name_any(), parameters, patch, effect).await {
        Written::Stored(answer) => match K::answered(*answer) {
            Some(stored) => Written::Stored(Box::new(stored)),
            None => Written::Unknown(WriteError::Unreadable),
        },
        Written::Conflict => Written::Conflict,
        Written::Refused(error) => Written::Refused(error),
        Written::Unknown(error) => Written::Unknown(error),
    }
}

async fn patch_status<A>(
    api: &Api<A>,
    name: &str,
    parameters: &PatchParams,
    patch: &Patch<Value>,
    effect: SideEffect,
) -> Written<A>
where
    A: Clone + Debug + DeserializeOwned,
{
    let write = side_effect(effect, api.patch_status(name, parameters, patch));
    match tokio::time::timeout(WRITE_TIMEOUT, write).await {
        Ok(Ok(answer)) => Written::Stored(Box::new(answer)),
        Ok(Err(kube::Error::Api(error))) if error.code == 409 || error.code == 404 => Written::Conflict,
        Ok(Err(kube::Error::Api(error))) if (400..500).contains(&error.code) && error.code != 408 => {
            Written::Refused(kube::Error::Api(error))
        }
        Ok(Err(error)) => Written::Unknown(WriteError::Unavailable(Box::new(error))),
        Err(_) => Written::Unknown(WriteError::Timeout),
    }
}

/// A digest of the own part of a status. Conditions of other writers and the order of conditions do not change it.
pub fn own_digest<K: OwnedStatus>(status: &impl Serialize) -> u64 {
    let mut hasher = DefaultHasher::new();
    // In the form in which it is stored.
    in_order(&bounded(own(json!(status), K::OWNED_CONDITIONS))).to_string().hash(&mut hasher);
    hasher.finish()
}

fn is_own(condition: &Value, own: &[ConditionType]) -> bool {
    own.iter().any(|own| condition["type"] == own.as_str())
}

/// The texts of a status that come from outside, by their path, and their maximum lengths in the CRDs.
const MAX_TEXT_CHARS: [(&str, usize); 5] = [
    ("/lastHandledReconcileAt", 63),
    ("/observed/mode", 256),
    ("/observed/tenantName", 1024),
    ("/switch/platform", 2048),
    ("/switch/requestedBy", 256),
];

/// The maximum length of a condition's message.
const MAX_MESSAGE_CHARS: usize = 32768;

/// A status that the API server does not refuse for its length: texts beyond the limits of the CRD are cut. A refused
/// status would leave the object as it was, without any message.
fn bounded(mut status: Value) -> Value {
    for (place, longest) in MAX_TEXT_CHARS {
        if let Some(Value::String(text)) = status.pointer_mut(place) {
            cut(text, longest);
        }
    }
    for condition in status.get_mut("conditions").and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(Value::String(message)) = condition.get_mut("message") {
            cut(message, MAX_MESSAGE_CHARS);
        }
    }
    status
}

/// Cuts a text to this number of characters. The last character then shows that text is missing.
fn cut(text: &mut String, longest: usize) {
    if text.len() > longest && text.chars().count() > longest {
        let end = text.char_indices().nth(longest - 1).map_or(0, |(end, _)| end);
        text.truncate(end);
        text.push('…');
    }
}

/// A status without the conditions of other writers.
fn own(mut status: Value, own: &[ConditionType]) -> Value {
    if let Some(conditions) = status.get_mut("conditions").and_then(Value::as_array_mut) {
        conditions.retain(|condition| is_own(condition, own));
    }
    status
}

/// A status with its conditions sorted by type, because their stored order depends on who wrote first.
fn in_order(status: &Value) -> Value {
    let mut status = status.clone();
    if let Some(conditions) = status.get_mut("conditions").and_then(Value::as_array_mut) {
        conditions.sort_by(|left, right| left["type"].as_str().cmp(&right["type"].as_str()));
    }
    status
}

#[cfg(test)]
mod tests {
    use std::{
        convert::Infallible,
        future::ready,
        sync::{Arc, Mutex},
    };

    use axum::http::{Request, Response};
    use kube::client::Body;
    use tower::service_fn;

    use super::*;
    use crate::{api::custom_resource_definitions, testing::fixtures::Scene};

    #[test]
    fn a_merge_patch_makes_one_status_of_the_other() {
        let cases = [
            (
                json!({"a": 1, "b": {"c": 1, "d": 2}}),
                json!({"b": {"d": 3}}),
                json!({"a": null, "b": {"c": null, "d": 3}}),
            ),
            (json!({"switch": {"scheduledFor": "x"}}), json!({}), json!({"switch": null})),
            (json!({}), json!({"switch": {"phase": "Scheduled"}}), json!({"switch": {"phase": "Scheduled"}})),
            (json!({"conditions": [1, 2]}), json!({"conditions": [1]}), json!({"conditions": [1]})),
            (json!({"a": {"b": 1}}), json!({"a": {"b": 1}}), json!({})),
            (json!({"a": "text"}), json!({"a": {"b": 1}}), json!({"a": {"b": 1}})),
            (Value::Null, json!({"a": 1}), json!({"a": 1})),
        ];
        for (from, to, patch) in cases {
            assert_eq!(difference(&from, &to), patch, "from {from} to {to}");
        }
    }

    /// The CRD's limit for the text at a path of the status.
    fn limit(kind: &str, place: &str) -> Option<u64> {
        in_schema(kind, &format!("{}/maxLength", place.replace('/', "/properties/")))
    }

    fn message_limit(kind: &str) -> Option<u64> {
        in_schema(kind, "/properties/conditions/items/properties/message/maxLength")
    }

    fn in_schema(kind: &str, place: &str) -> Option<u64> {
        let crds = custom_resource_definitions();
        let crd = crds.iter().find(|crd| crd.spec.names.kind == kind)?;
        let schema = json!(crd.spec.versions[0].schema);
        schema.pointer(&format!("/openAPIV3Schema/properties/status{place}"))?.as_u64()
    }

    #[test]
    fn what_is_cut_is_cut_to_the_limits_of_the_crd() {
        for (place, longest) in MAX_TEXT_CHARS {
            assert_eq!(limit("TenantPricing", place), u64::try_from(longest).ok(), "{place}");
        }
        for kind in ["TenantPricing", "PlatformConnection"] {
            assert_eq!(message_limit(kind), u64::try_from(MAX_MESSAGE_CHARS).ok(), "{kind}");
        }
    }

    #[test]
    fn the_digest_leaves_out_what_is_not_own() {
        let digest = |conditions: Value| {
            own_digest::<TenantPricing>(&json!({"observedGeneration": 1, "conditions": conditions}))
        };
        let (ready, stalled) = (json!({"type": "Ready", "status": "True"}), json!({"type": "Stalled"}));
        let ours = digest(json!([ready, stalled]));
        assert_eq!(ours, digest(json!([stalled, ready])), "the order");
        assert_eq!(ours, digest(json!([ready, {"type": "Theirs"}, stalled])), "the condition of another");
        assert_ne!(ours, digest(json!([ready])));
        assert_ne!(ours, digest(json!([ready, {"type": "Stalled", "message": "changed"}])));
        assert_ne!(
            ours,
            own_digest::<PlatformConnection>(&json!({"observedGeneration": 1, "conditions": []}))
        );
    }

    #[test]
    fn a_text_is_cut_between_characters_and_says_so() {
        for (text, longest, expected) in [
            ("abc", 3, "abc"),
            ("abcd", 3, "ab…"),
            ("üüüü", 4, "üüüü"),
            ("üüüüü", 4, "üüü…"),
            ("a👍🏽b", 3, "a👍…"),
            ("", 1, ""),
        ] {
            let mut text = text.to_owned();
            cut(&mut text, longest);
            assert_eq!(text, expected);
            assert!(text.chars().count() <= longest);
        }
    }

    #[test]
    fn only_what_is_too_long_is_changed() {
        let long = "ü".repeat(40_000);
        let condition = json!({"type": "Ready", "message": long});
        let status = json!({
            "observedGeneration": 3, "tenantId": "an id",
            "observed": {"mode": "trial", "tenantName": long},
            "switch": {"phase": "Scheduled", "requestedBy": "kubectl"},
            "conditions": [condition, {"type": "Stalled", "message": "short"}],
        });
        let bounded = bounded(status.clone());
        assert_eq!(bounded["observed"]["tenantName"].as_str().unwrap().chars().count(), 1024);
        assert_eq!(bounded["conditions"][0]["message"].as_str().unwrap().chars().count(), MAX_MESSAGE_CHARS);
        for kept in ["/observedGeneration", "/tenantId", "/observed/mode", "/switch", "/conditions/1"] {
            assert_eq!(bounded.pointer(kept), status.pointer(kept), "{kept}");
        }
        assert_eq!(super::bounded(bounded.clone()), bounded, "what is cut is not cut again");
    }

    #[test]
    fn the_digest_is_that_of_the_status_as_it_is_stored() {
        let long = json!({"observed": {"tenantName": "ü".repeat(2000)}, "conditions": [
            {"type": "Ready", "message": "m".repeat(40_000)}]});
        let digest = |status: &Value| own_digest::<TenantPricing>(status);
        assert_eq!(digest(&long), digest(&bounded(long.clone())));
        let other = json!({"observed": {"tenantName": "ö".repeat(2000)}, "conditions": []});
        assert_ne!(digest(&long), digest(&other));
    }

    /// The outcome of a write whose first answer shows a field of another manager, and whose second answer is this.
    async fn written(second: (u16, Value), effect: SideEffect) -> Written<TenantPricing> {
        let mut object = Scene::new().object;
        object.metadata.resource_version = Some("1".to_owned());
        let status = Scene::new().stored().object.status.unwrap();
        let mut left_over = object.clone();
        left_over.metadata.resource_version = Some("2".to_owned());
        left_over.status = Some(status.clone());
        left_over.status.as_mut().unwrap().last_handled_reconcile_at = Some("theirs".to_owned());
        let answers = [second, (200, json!(left_over))];
        let answers = Arc::new(Mutex::new(Vec::from(answers)));
        let service = service_fn(move |_: Request<Body>| {
            let (code, answer) = answers.lock().unwrap().pop().unwrap();
            let answer = Response::builder().status(code).body(Body::from(answer.to_string().into_bytes()));
            ready(Ok::<_, Infallible>(answer.unwrap()))
        });
        write_status(&Client::new(service, "team"), &object, &status, effect).await
    }

    #[tokio::test]
    async fn a_status_that_could_not_be_written_whole_is_not_stored() {
        let failure = |code: u16| {
            (code, json!({"kind": "Status", "status": "Failure", "reason": "", "message": "", "code": code}))
        };
        for effect in [SideEffect::Journal, SideEffect::TenantPricingStatus] {
            for code in [409, 403, 500] {
                let written = written(failure(code), effect).await;
                assert!(matches!(written, Written::Unknown(_)), "{code}: {written:?}");
            }
            let mut whole = Scene::new().stored().object;
            whole.metadata.resource_version = Some("3".to_owned());
            let written = written((200, json!(whole)), effect).await;
            assert!(matches!(written, Written::Stored(_)), "{written:?}");
        }
    }

    #[tokio::test]
    async fn an_apply_answered_with_the_old_object_is_repeated() {
        let mut object = Scene::new().object;
        object.metadata.resource_version = Some("1".to_owned());
        let mut whole = Scene::new().stored().object;
        whole.metadata.resource_version = Some("2".to_owned());
        let status = whole.status.clone().unwrap();
        let answers = Arc::new(Mutex::new(vec![json!(whole), json!(object)]));
        let kinds = Arc::new(Mutex::new(Vec::new()));
        let requests = Arc::clone(&kinds);
        let service = service_fn(move |request: Request<Body>| {
            requests.lock().unwrap().push(request.headers()["content-type"].to_str().unwrap().to_owned());
            let answer = answers.lock().unwrap().pop().unwrap();
            ready(Ok::<_, Infallible>(Response::new(Body::from(answer.to_string().into_bytes()))))
        });
        let client = Client::new(service, "team");
        let written = write_status(&client, &object, &status, SideEffect::Journal).await;
        assert!(matches!(written, Written::Stored(_)), "{written:?}");
        assert_eq!(*kinds.lock().unwrap(), ["application/apply-patch+yaml"; 2]);
    }
}
