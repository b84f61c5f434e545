use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use serde_json::{Value, json};

use super::*;
use crate::{
    api::AllowedNamespaces,
    telemetry::capture::Log,
    testing::{api_server, fixtures},
};

/// A connection in the namespace `platform`.
fn connection(from: NamespacesFrom, selector: Option<Value>) -> PlatformConnection {
    let selector = selector.map(|selector| serde_json::from_value::<LabelSelector>(selector).unwrap());
    let mut connection = fixtures::connection(AllowedNamespaces { from, selector });
    connection.metadata.namespace = Some("platform".to_owned());
    connection
}

fn namespace(labels: &Value) -> Value {
    json!({
        "apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata",
        "metadata": {"name": "team", "labels": labels},
    })
}

#[tokio::test]
async fn same_and_all_are_decided_without_a_request() {
    let client = api_server::absent().await;
    for (from, asking, admission) in [
        (NamespacesFrom::Same, "platform", Admission::Admitted),
        (NamespacesFrom::Same, "team", Admission::Refused),
        (NamespacesFrom::Same, "", Admission::Refused),
        (NamespacesFrom::All, "platform", Admission::Admitted),
        (NamespacesFrom::All, "team", Admission::Admitted),
    ] {
        let (connection, (namespaces, _)) = (connection(from, None), Namespaces::new(client.clone()));
        assert_eq!(namespaces.admits(&connection, asking), admission, "{from:?} {asking:?}");
        assert_eq!(
            namespaces.admission(&connection, asking, Confirm::Refusals).await,
            admission,
            "{from:?} {asking:?}"
        );
        assert_eq!(namespaces.admits_afresh(&connection, asking).await, admission, "{from:?} {asking:?}");
    }
}

#[tokio::test]
async fn a_selector_admits_by_the_labels_of_the_namespace() {
    let production = json!({"matchLabels": {"stage": "production"}});
    let not_sandbox =
        json!({"matchExpressions": [{"key": "stage", "operator": "NotIn", "values": ["sandbox"]}]});
    for (labels, selector, admission) in [
        (json!({"stage": "production"}), &production, Admission::Admitted),
        (json!({"stage": "test"}), &production, Admission::Refused),
        (json!({}), &production, Admission::Refused),
        (Value::Null, &production, Admission::Refused),
        (json!({"stage": "test"}), &not_sandbox, Admission::Admitted),
        (json!({"stage": "sandbox"}), &not_sandbox, Admission::Refused),
    ] {
        let client = api_server::answering(200, &namespace(&labels)).await;
        let connection = connection(NamespacesFrom::Selector, Some(selector.clone()));
        assert_eq!(afresh(client, &connection).await, admission, "{labels} {selector}");
        // The cache gives the same answer.
        let (namespaces, _) = Namespaces::new(api_server::absent().await);
        let labels = serde_json::from_value::<Option<BTreeMap<_, _>>>(labels).unwrap().unwrap_or_default();
        namespaces.known().record("team", Found::Labelled(cache::Labels::of(&labels)));
        assert_eq!(namespaces.admits(&connection, "team"), admission, "{labels:?} {selector}");
    }
}

#[tokio::test]
async fn a_missing_namespace_is_refused_an_unreadable_one_undecided() {
    let connection =
        connection(NamespacesFrom::Selector, Some(json!({"matchLabels": {"stage": "production"}})));
    let gone = api_server::answering(404, &api_server::not_found()).await;
    assert_eq!(afresh(gone, &connection).await, Admission::Refused);
    let broken = api_server::answering(500, &json!({"code": 500})).await;
    assert_eq!(afresh(broken, &connection).await, Admission::Undecided);
    assert_eq!(afresh(api_server::absent().await, &connection).await, Admission::Undecided);
}

#[tokio::test]
async fn a_missing_or_invalid_selector_admits_none_and_reports_why() {
    let client = api_server::answering(200, &namespace(&json!({"stage": "production"}))).await;
    let expression = |operator: &str| json!({"matchExpressions": [{"key": "stage", "operator": operator}]});
    for (selector, word) in [
        (None, "from: Selector needs a selector"),
        (Some(expression("Near")), "the operator \"Near\" of the key \"stage\" is none of In, NotIn"),
        (Some(expression("In")), "values"),
    ] {
        let connection = connection(NamespacesFrom::Selector, selector);
        assert_eq!(afresh(client.clone(), &connection).await, Admission::Refused);
        let (namespaces, _) = Namespaces::new(client.clone());
        assert_eq!(namespaces.admits(&connection, "team"), Admission::Refused);
        let fault = selector_fault(&connection).unwrap();
        assert!(fault.contains(word) && !fault.ends_with('.'), "{fault}");
    }
    for from in [NamespacesFrom::Same, NamespacesFrom::All] {
        assert_eq!(selector_fault(&connection(from, None)), None);
    }
    assert_eq!(selector_fault(&by_stage()), None);
}

#[tokio::test]
async fn a_cached_refusal_needs_the_api_servers_confirmation() {
    let labelled = api_server::answering(200, &namespace(&json!({"stage": "production"}))).await;
    let (namespaces, _) = Namespaces::new(labelled);
    namespaces.shared.source_known.send_replace(true);
    namespaces.known().record("team", Found::Labelled(cache::Labels::default()));
    assert_eq!(namespaces.admits(&by_stage(), "team"), Admission::Refused);
    assert_eq!(namespaces.admission(&by_stage(), "team", Confirm::Refusals).await, Admission::Admitted);
    assert_eq!(namespaces.admission(&by_stage(), "newer", Confirm::Refusals).await, Admission::Admitted);
}

#[tokio::test]
async fn a_reported_refusal_costs_no_request() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    let client = api_server::answering_by_path(move |_| {
        count.fetch_add(1, Ordering::Relaxed);
        (200, namespace(&json!({"stage": "test"})).to_string())
    })
    .await;
    let (namespaces, _) = Namespaces::new(client);
    namespaces.shared.source_known.send_replace(true);
    namespaces.known().record("team", Found::Labelled(cache::Labels::default()));
    for (confirm, requests) in [(Confirm::Nothing, 0), (Confirm::Refusals, 1), (Confirm::Nothing, 1)] {
        assert_eq!(namespaces.admission(&by_stage(), "team", confirm).await, Admission::Refused);
        assert_eq!(asked.load(Ordering::Relaxed), requests, "{confirm:?}");
    }
    // An uncached namespace is read in any case.
    assert_eq!(namespaces.admission(&by_stage(), "newer", Confirm::Nothing).await, Admission::Refused);
    assert_eq!(asked.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn concurrent_callers_share_the_reads_of_a_namespace() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    let client = api_server::answering_by_path(move |_| {
        count.fetch_add(1, Ordering::Relaxed);
        (200, namespace(&json!({"stage": "production"})).to_string())
    })
    .await;
    let (namespaces, _) = Namespaces::new(client);
    namespaces.shared.source_known.send_replace(true);
    let connection = by_stage();
    let all = (0..50).map(|_| namespaces.admission(&connection, "team", Confirm::Refusals));
    let all = futures::future::join_all(all).await;
    assert!(all.iter().all(|admission| *admission == Admission::Admitted));
    let shared = asked.load(Ordering::Relaxed);
    assert!((1..=2).contains(&shared), "{shared} reads for 50");
    assert!(namespaces.shared.reads.lock().is_empty(), "nothing is kept of them");
    // An earlier read does not answer a later call.
    assert_eq!(namespaces.admission(&connection, "team", Confirm::Refusals).await, Admission::Admitted);
    assert_eq!(asked.load(Ordering::Relaxed), shared + 1);
}

#[tokio::test]
async fn without_the_list_right_each_requested_namespace_is_read() {
    let log = Log::new();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let is_labelled = Arc::new(AtomicBool::new(true));
    let switch = is_labelled.clone();
    let client = api_server::answering_by_path(move |path| match path {
        "/api/v1/namespaces/team" if switch.load(Ordering::Relaxed) => {
            (200, namespace(&json!({"stage": "production"})).to_string())
        }
        "/api/v1/namespaces/team" => (404, api_server::not_found().to_string()),
        _ => (
            403,
            json!({"kind": "Status", "status": "Failure", "reason": "Forbidden", "code": 403}).to_string(),
        ),
    })
    .await;
    let (namespaces, mut changed) = Namespaces::new(client);
    let following = tokio::spawn(namespaces.clone().run());
    // A call that does not wait, and a notification when the labels are known.
    assert_eq!(namespaces.admits(&by_stage(), "team"), Admission::Undecided);
    assert_eq!(changed.recv().await.as_deref(), Some("team"));
    assert_eq!(namespaces.admits(&by_stage(), "team"), Admission::Admitted);
    // A namespace that may not be read stays undecided, and is not read again and again.
    assert_eq!(namespaces.admission(&by_stage(), "closed", Confirm::Refusals).await, Admission::Undecided);
    is_labelled.store(false, Ordering::Relaxed);
    assert_eq!(namespaces.admits(&by_stage(), "team"), Admission::Admitted, "until it is read again");
    assert_eq!(namespaces.admits_afresh(&by_stage(), "team").await, Admission::Refused);
    namespaces.read_again(&"team".into()).await;
    assert_eq!(changed.recv().await.as_deref(), Some("team"));
    assert_eq!(namespaces.admits(&by_stage(), "team"), Admission::Refused);
    following.abort();
    let log = log.text();
    assert_eq!(log.matches("missing_right=\"list namespaces\"").count(), 1, "{log}");
    assert!(log.contains("missing_right=\"get namespaces\"") && log.contains("closed"), "{log}");
}

#[tokio::test]
async fn without_a_watch_a_termination_is_read_before_a_switch() {
    let mut terminating = namespace(&json!({}));
    terminating["metadata"]["deletionTimestamp"] = json!("2026-11-27T12:00:00Z");
    let (namespaces, _) = Namespaces::new(api_server::answering(200, &terminating).await);
    assert!(!namespaces.is_terminating("team"), "it is not known");
    assert!(namespaces.learn_of_termination("team").await);
    assert!(namespaces.is_terminating("team"));
    // A watch reports the deletion, or that there is none, so no request is made.
    let (watched, _) = Namespaces::new(api_server::answering(200, &terminating).await);
    watched.known().end_list();
    assert!(watched.learn_of_termination("team").await);
    assert!(!watched.is_terminating("team"));
    // Without the right to read it nothing is known, and no switch is held back.
    let (refused, _) =
        Namespaces::new(api_server::answering(403, &json!({"kind": "Status", "code": 403})).await);
    assert!(refused.learn_of_termination("team").await);
    assert!(!refused.is_terminating("team"));
    // A temporary failure says nothing, so the switch waits.
    for code in [401, 429, 500] {
        let status = json!({"kind": "Status", "code": code});
        let (unread, _) = Namespaces::new(api_server::answering(code, &status).await);
        assert!(!unread.learn_of_termination("team").await, "{code}");
    }
}

fn by_stage() -> PlatformConnection {
    connection(NamespacesFrom::Selector, Some(json!({"matchLabels": {"stage": "production"}})))
}

async fn afresh(client: Client, connection: &PlatformConnection) -> Admission {
    Namespaces::new(client).0.admits_afresh(connection, "team").await
}
