//! Connections and Secrets with arbitrary content.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use k8s_openapi::ByteString;
use kube::core::DeserializeGuard;
use proptest::{collection::vec, prelude::*, sample::select};
use serde_json::{Value, json};

use super::{
    credentials::{SecretCredentials, SecretReads},
    interval,
    namespaces::{admits_labels, selector_fault},
    status::{self, CheckResult},
};
use crate::{
    api::PlatformConnection,
    platform::{CredentialError, CredentialSource, ErrorClass},
    pricing::Limits,
    testing::{
        adversarial::{MARK, body, cases, corpus, corpus_texts, nearly, text},
        api_server, fixtures,
    },
};

fn connection() -> Value {
    json!({
        "apiVersion": "tenantpricing.io/v1alpha1", "kind": "PlatformConnection",
        "metadata": {"namespace": "platform", "name": "eu2", "uid": "1", "generation": 4},
        "spec": {
            "url": "https://eu2-cloud.acronis.com", "credentialsSecretRef": {"name": "eu2"}, "requestsPerSecond": 10,
            "pollInterval": "10m", "caBundle": MARK, "suspend": false,
            "allowedNamespaces": {"from": "Selector", "selector": {
                "matchLabels": {"billing": "acronis"},
                "matchExpressions": [{"key": "tier", "operator": "In", "values": ["gold", "silver"]}],
            }},
            "switch": {"at": "MonthStart", "budget": {"count": 3, "window": "1h"}},
        },
        "status": {
            "observedGeneration": 3, "tenantId": "0fcd4a69-8a40-4de8-b711-d9c83dc000f7",
            "tenants": {"trial": 1, "production": 2, "suspended": 3, "unknown": 4},
            "conditions": [{
                "type": "Ready", "status": "True", "reason": "CredentialsAccepted", "message": "They act.",
                "lastTransitionTime": "2026-11-23T10:00:00Z", "observedGeneration": 3,
            }],
        },
    })
}

/// Everything that is derived from a connection without a request.
fn go_through(bytes: &[u8], labels: &BTreeMap<String, String>) {
    let Ok(guarded) = serde_json::from_slice::<DeserializeGuard<PlatformConnection>>(bytes) else { return };
    let Ok(connection) = guarded.0 else { return };
    let fault = selector_fault(&connection);
    let admitted = admits_labels(&connection, labels);
    assert!(fault.is_none() || !admitted, "an invalid selector admits no namespace");
    let _ = Limits::of(&connection).max_concurrent();
    let poll = interval(&connection.spec.poll_interval, Duration::from_mins(10));
    assert!(!poll.is_zero() && tokio::time::Instant::now().checked_add(poll).is_some());
    let (unavailable, missing) = (ErrorClass::Unavailable, ErrorClass::SecretNotFound);
    for tried in [unavailable, missing].map(|class| CheckResult::Failed(fixtures::error(class))) {
        for now in [Timestamp::MIN, Timestamp::UNIX_EPOCH, Timestamp::MAX] {
            let status = status::status(&connection, &tried, None, now);
            let ready: Vec<_> =
                status.conditions.iter().filter(|condition| condition.type_ == "Ready").collect();
            assert!(matches!(ready[..], [ready] if ready.status == "False" && !ready.message.contains(MARK)));
        }
    }
}

fn labels() -> impl Strategy<Value = BTreeMap<String, String>> {
    let key = prop_oneof![Just("billing".to_owned()), Just("tier".to_owned()), text()];
    let value = prop_oneof![Just("acronis".to_owned()), Just("gold".to_owned()), text()];
    vec((key, value), 0..4).prop_map(|pairs| pairs.into_iter().collect())
}

#[test]
fn the_corpora_of_connections_and_durations() {
    let labels = BTreeMap::from([("billing".to_owned(), "acronis".to_owned())]);
    for (_, bytes) in corpus("connections") {
        go_through(&bytes, &labels);
    }
    for (name, text) in corpus_texts("durations") {
        let fallback = Duration::from_secs(7);
        let found = interval(text.trim_end(), fallback);
        assert_eq!(found == fallback, name.starts_with("refused-"), "{name}: {found:?}");
    }
}

proptest! {
    #![proptest_config(cases(800))]

    #[test]
    fn any_connection_can_be_reported_on(document in nearly(connection()), labels in labels()) {
        go_through(document.to_string().as_bytes(), &labels);
    }

    #[test]
    fn any_text_is_a_usable_duration_or_none(
        text in prop_oneof![text(), "[-+0-9.eEnumshµ]{0,24}"],
    ) {
        let found = interval(&text, Duration::from_secs(7));
        prop_assert!(!found.is_zero() && tokio::time::Instant::now().checked_add(found).is_some());
        prop_assert!(Timestamp::UNIX_EPOCH.checked_add(found).is_ok(), "{found:?}");
    }

    #[test]
    fn a_duration_is_read_back_as_it_was_written(hours in 0_u64..8783, minutes in 0_u64..60, seconds in 1_u64..60) {
        let text = format!("{hours}h{minutes}m{seconds}s");
        let expected = Duration::from_secs(hours * 3600 + minutes * 60 + seconds);
        prop_assert_eq!(interval(&text, Duration::ZERO), expected);
    }
}

/// The possible values of a Secret. Each contains something that must not be shown.
fn value() -> impl Strategy<Value = Vec<u8>> + Clone {
    let around = prop_oneof![
        vec(any::<u8>(), 0..40),
        text().prop_map(String::into_bytes),
        select(&["", "\n", "\r\n", "\n\n", "\0", "\u{7f}", ":", "\u{feff}"][..])
            .prop_map(|text| text.as_bytes().to_vec()),
    ];
    (around.clone(), around).prop_map(|(before, after)| [before, MARK.as_bytes().to_vec(), after].concat())
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

async fn read(answer: &str) -> String {
    let client = api_server::answering_text(200, answer).await;
    let source = SecretCredentials {
        client,
        reads: SecretReads::default(),
        namespace: "platform".to_owned(),
        name: "eu2".to_owned(),
    };
    match source.credentials().await {
        Ok(credentials) => format!("{credentials:?}"),
        Err(error) => {
            assert!(error.to_string().contains("platform/eu2"), "{error}");
            assert!(!matches!(error, CredentialError::NotFound { .. }));
            format!("{error} {error:?}")
        }
    }
}

#[test]
fn the_corpus_of_secrets() {
    runtime().block_on(async {
        for (name, answer) in corpus_texts("secrets") {
            let said = read(&answer).await;
            assert!(!said.contains("LEAK") && !said.contains("TEVBS"), "{name}: {said}");
        }
    });
}

proptest! {
    #![proptest_config(cases(60))]

    #[test]
    fn no_error_about_a_secret_shows_its_values(
        id in value(), secret in value(), bytes in body(), broken in prop::bool::weighted(0.2),
    ) {
        let data = json!({"clientId": ByteString(id), "clientSecret": ByteString(secret)});
        let object = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "eu2"}, "data": data});
        let answer = if broken { String::from_utf8_lossy(&bytes).into_owned() } else { object.to_string() };
        let said = runtime().block_on(read(&answer));
        prop_assert!(!said.contains(MARK), "{said}");
    }
}
