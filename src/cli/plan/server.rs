//! The verdict of the cluster's API server on the manifests: it is asked to store each of them, as a dry run.
//!
//! The API server knows what the local validation cannot: policies, webhooks, quotas, and whether a namespace exists.
//! A dry run goes through all of it and stores nothing.

use axum::http::{Method, Request};
use futures::{StreamExt, stream};
use kube::{Client, Resource, core::Status};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use super::{
    document::Note,
    input::{Input, Refusal, decode, source, title},
    stored::{State, applied, apply::merge},
};
use crate::{
    api::{PlatformConnection, TenantPricing},
    cli::{cluster::Cluster, manifests::Manifest},
    cluster::{Key, explain},
};

/// How many requests are sent at once.
const CONCURRENCY: usize = 8;

/// The manager of the fields that a dry run would own.
const QUERY: &str = "dryRun=All&fieldValidation=Strict&fieldManager=tenantpricing-cli";

/// What the API server says of a manifest.
enum Verdict<K> {
    /// It accepts the object. This is what it would store.
    Accepted(K),
    /// It refuses the object.
    Refused(Refusal),
    /// The namespace does not exist, so that it did not check the object.
    NoNamespace,
    /// It was not asked, or did not answer: the reason.
    Unknown(String),
}

/// Has the API server check every manifest of the input. Its verdict replaces that of the local validation, except
/// where a namespace does not exist yet.
pub(crate) async fn check(cluster: &Cluster, input: &mut Input, state: &State, notes: &mut Vec<Note>) {
    let client = &cluster.client;
    let stored = |key: &Key| state.unread.connection(key).map_or_else(|| Ok(state.connections.get(key)), Err);
    for (manifest, verdict) in
        ask::<PlatformConnection>(client, &input.connection_manifests, stored, notes).await
    {
        let key = Key::new(&manifest.namespace, &manifest.name);
        match verdict {
            Ok(connection) => {
                let connection = applied(state.connections.get(&key), connection);
                input.connections.insert(key, connection);
            }
            Err(refusal) => {
                input.connections.remove(&key);
                notes.push(refusal.note(manifest));
            }
        }
    }
    let stored = |key: &Key| state.unread.object(key).map_or_else(|| Ok(state.objects.get(key)), Err);
    let verdicts = ask::<TenantPricing>(client, &input.objects, stored, notes).await.into_iter();
    input.verdicts = verdicts
        .map(|(manifest, verdict)| (Key::new(&manifest.namespace, &manifest.name), verdict))
        .collect();
}

fn no_namespace(manifest: &Manifest) -> Note {
    Note {
        is_error: false,
        source: Some(source(&manifest.position("/metadata/namespace"))),
        message: format!(
            "The API server did not check {}: namespace {} does not exist. The checks of this program apply, which \
             know no policies and no webhooks.",
            title(manifest),
            manifest.namespace
        ),
    }
}

fn unknown(manifest: &Manifest, why: &str) -> Note {
    Note {
        is_error: true,
        source: Some(source(&manifest.position(""))),
        message: format!(
            "The API server did not check {}: {why}. --validate=local needs no right to write.",
            title(manifest)
        ),
    }
}

/// Asks for the verdict on each manifest, in the order of the input, and notes where there is none. `stored` is the
/// object that a manifest is applied over, or why that is not known.
async fn ask<'a, K>(
    client: &Client,
    manifests: &'a [Manifest],
    stored: impl Fn(&Key) -> Result<Option<&'a K>, String>,
    notes: &mut Vec<Note>,
) -> Vec<(&'a Manifest, Result<K, Refusal>)>
where
    K: Resource<DynamicType = ()> + Serialize + DeserializeOwned + 'a,
{
    let questions = manifests.iter().map(|manifest| {
        let stored = stored(&Key::new(&manifest.namespace, &manifest.name));
        async move {
            let verdict = match stored {
                Ok(stored) => verdict::<K>(client, manifest, stored).await,
                Err(why) => Verdict::Unknown(why),
            };
            (manifest, verdict)
        }
    });
    let answers: Vec<_> = stream::iter(questions).buffered(CONCURRENCY).collect().await;
    let mut verdicts = Vec::with_capacity(answers.len());
    for (manifest, verdict) in answers {
        match verdict {
            Verdict::Accepted(object) => verdicts.push((manifest, Ok(object))),
            Verdict::Refused(refusal) => verdicts.push((manifest, Err(refusal))),
            Verdict::NoNamespace => notes.push(no_namespace(manifest)),
            Verdict::Unknown(why) => notes.push(unknown(manifest, &why)),
        }
    }
    verdicts
}

async fn verdict<K>(client: &Client, manifest: &Manifest, stored: Option<&K>) -> Verdict<K>
where
    K: Resource<DynamicType = ()> + Serialize + DeserializeOwned,
{
    let mut object = manifest.value.clone();
    let all = K::url_path(&(), Some(&manifest.namespace));
    let (method, path) = match stored {
        None => (Method::POST, all),
        Some(stored) => {
            // The whole object as the apply leaves it: that needs no other right, and no field manager.
            let as_json = serde_json::to_value(stored).unwrap_or_default();
            object = merge(&as_json, &object, None).value;
            // A manifest may carry the version of an older state. What counts is the object of this plan.
            if let Some(Value::Object(metadata)) = object.get_mut("metadata") {
                metadata.insert("resourceVersion".to_owned(), json!(stored.meta().resource_version));
                metadata.remove("uid");
            }
            (Method::PUT, format!("{all}/{}", manifest.name))
        }
    };
    let request = Request::builder()
        .method(method)
        .uri(format!("{path}?{QUERY}"))
        .header("Content-Type", "application/json")
        .body(object.to_string().into_bytes());
    let request = match request {
        Ok(request) => request,
        Err(error) => return Verdict::Unknown(error.to_string()),
    };
    match client.request::<Value>(request).await {
        Ok(accepted) => decode(manifest, accepted).map_or_else(Verdict::Refused, Verdict::Accepted),
        Err(kube::Error::Api(status)) => refused(manifest, *status),
        Err(error) => Verdict::Unknown(explain(&error)),
    }
}

/// Whether a status is a verdict on the object, or only says that it was not checked.
fn refused<K>(manifest: &Manifest, status: Status) -> Verdict<K> {
    let details = status.details.as_ref();
    match status.code {
        404 if details.is_some_and(|details| details.kind == "namespaces") => Verdict::NoNamespace,
        // The message of the authorizer (`apiserver/pkg/endpoints/handlers/responsewriters`). A policy speaks
        // otherwise.
        403 if status.message.contains(" cannot ") && status.message.contains(" resource ") => {
            Verdict::Unknown(status.message)
        }
        400 | 403 | 413 | 422 => Verdict::Refused(refusal(manifest, &status)),
        _ => Verdict::Unknown(status.message),
    }
}

/// The refusal with each cause and its field, as the local validation writes it.
fn refusal(manifest: &Manifest, status: &Status) -> Refusal {
    let causes = status.details.iter().flat_map(|details| &details.causes);
    let causes: Vec<_> = causes.filter(|cause| !cause.message.is_empty()).collect();
    let Some(first) = causes.first() else {
        return Refusal::new(
            manifest,
            unknown_field(&status.message).unwrap_or_default(),
            status.message.clone(),
        );
    };
    let text = |field: &str, message: &str| match field {
        "" | "<nil>" => message.to_owned(),
        field => format!("{field}: {message}"),
    };
    let texts: Vec<String> = causes.iter().map(|cause| text(&cause.field, &cause.message)).collect();
    Refusal::new(manifest, &first.field, texts.join("; "))
}

/// The field of a strict decoding error: `strict decoding error: unknown field "spec.mod"`.
fn unknown_field(message: &str) -> Option<&str> {
    message.split_once("unknown field \"")?.1.split('"').next()
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use kube::core::response::StatusDetails;

    use super::*;
    use crate::cli::manifests::{ReadOptions, STANDARD_INPUT, read};

    const MANIFEST: &str = "apiVersion: tenantpricing.io/v1alpha1\nkind: TenantPricing\nmetadata:\n  name: acme\n  \
                            namespace: team\nspec:\n  tenant: {name: Acme}\n  mod: production\n";

    fn manifest() -> Manifest {
        let paths = [PathBuf::from(STANDARD_INPUT)];
        read(&paths, &ReadOptions::default(), &mut MANIFEST.as_bytes()).objects.remove(0)
    }

    fn verdict(code: u16, message: &str, details: Option<StatusDetails>) -> Verdict<TenantPricing> {
        let status = Status { code, message: message.to_owned(), details, ..Status::default() };
        refused(&manifest(), status)
    }

    fn causes(causes: &[(&str, &str)]) -> StatusDetails {
        let cause =
            |(field, message): &(&str, &str)| json!({"field": field, "message": message, "reason": "x"});
        let causes: Vec<Value> = causes.iter().map(cause).collect();
        details(json!({ "causes": causes }))
    }

    fn details(details: Value) -> StatusDetails {
        serde_json::from_value(details).unwrap()
    }

    fn note(verdict: Verdict<TenantPricing>) -> Note {
        let Verdict::Refused(refusal) = verdict else { panic!("it is no refusal") };
        refusal.note(&manifest())
    }

    #[test]
    fn every_cause_is_named_at_the_place_of_the_first() {
        let found =
            causes(&[("spec.tenant.name", "Too long: may not be more"), ("<nil>", "Invalid value: all")]);
        let note = note(verdict(422, "TenantPricing \"acme\" is invalid", Some(found)));
        assert!(
            note.message
                .ends_with("refused: spec.tenant.name: Too long: may not be more; Invalid value: all"),
            "{}",
            note.message
        );
        assert_eq!(note.source.unwrap().line, 7);
    }

    #[test]
    fn an_unknown_field_is_found_in_the_manifest() {
        let message = "TenantPricing in version \"v1alpha1\" cannot be handled as a TenantPricing: strict decoding \
                       error: unknown field \"spec.mod\"";
        assert_eq!(note(verdict(400, message, None)).source.unwrap().line, 8);
    }

    #[test]
    fn a_missing_right_is_no_refusal_but_a_policy_is() {
        let right = "tenantpricings.tenantpricing.io \"acme\" is forbidden: User \"ci\" cannot create resource \
                     \"tenantpricings\" in API group \"tenantpricing.io\" in the namespace \"team\"";
        assert!(matches!(verdict(403, right, None), Verdict::Unknown(why) if why == right));
        let policy = "tenantpricings.tenantpricing.io \"acme\" is forbidden: ValidatingAdmissionPolicy 'switch' with \
                      binding 'switch' denied request: only billing may switch";
        assert!(note(verdict(403, policy, None)).message.contains("only billing may switch"));
    }

    #[test]
    fn only_a_missing_namespace_falls_back_to_the_local_checks() {
        let namespace = Some(details(json!({"kind": "namespaces"})));
        assert!(matches!(verdict(404, "namespaces \"team\" not found", namespace), Verdict::NoNamespace));
        assert!(matches!(
            verdict(404, "the server could not find the requested resource", None),
            Verdict::Unknown(_)
        ));
        for code in [409, 429, 500, 503, 504] {
            assert!(matches!(verdict(code, "later", None), Verdict::Unknown(_)), "{code}");
        }
    }
}
