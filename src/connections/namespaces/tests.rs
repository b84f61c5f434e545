use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use serde_json::{Value, json};

use super::*;
use crate::{
    api::{AllowedNamespaces, ConnectionSwitch, PlatformConnectionSpec, SecretRef},
    connections::api_server,
};

/// A connection in the namespace `platform`.
fn connection(from: NamespacesFrom, selector: Option<Value>) -> PlatformConnection {
    let selector = selector.map(|selector| serde_json::from_value::<LabelSelector>(selector).unwrap());
    let spec = PlatformConnectionSpec {
        url: "https://eu2-cloud.acronis.com".to_owned(),
        credentials_secret_ref: SecretRef { name: "eu2".to_owned() },
        allowed_namespaces: AllowedNamespaces { from, selector },
        requests_per_second: 10,
        poll_interval: "10m".to_owned(),
        switch: ConnectionSwitch::default(),
        ca_bundle: None,
        suspend: false,
    };
    let mut connection = PlatformConnection::new("eu2", spec);
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
async fn same_admits_its_own_namespace_and_all_admits_every_one_without_asking_anybody() {
    let client = api_server::absent().await;
    for (from, asking, admission) in [
        (NamespacesFrom::Same, "platform", Admission::Admitted),
        (NamespacesFrom::Same, "team", Admission::Refused),
        (NamespacesFrom::Same, "", Admission::Refused),
        (NamespacesFrom::All, "platform", Admission::Admitted),
        (NamespacesFrom::All, "team", Admission::Admitted),
    ] {
        assert_eq!(admits(&client, &connection(from, None), asking).await, admission, "{from:?} {asking:?}");
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
        assert_eq!(admits(&client, &connection, "team").await, admission, "{labels} {selector}");
    }
}

#[tokio::test]
async fn a_namespace_that_is_gone_is_refused_and_one_that_cannot_be_read_is_undecided() {
    let connection =
        connection(NamespacesFrom::Selector, Some(json!({"matchLabels": {"stage": "production"}})));
    let gone = api_server::answering(404, &api_server::not_found()).await;
    assert_eq!(admits(&gone, &connection, "team").await, Admission::Refused);
    let broken = api_server::answering(500, &json!({"code": 500})).await;
    assert_eq!(admits(&broken, &connection, "team").await, Admission::Undecided);
    assert_eq!(admits(&api_server::absent().await, &connection, "team").await, Admission::Undecided);
}

#[tokio::test]
async fn a_selector_that_is_missing_or_makes_no_sense_admits_nobody() {
    let client = api_server::answering(200, &namespace(&json!({"stage": "production"}))).await;
    let senseless = json!({"matchExpressions": [{"key": "stage", "operator": "Near", "values": ["x"]}]});
    for selector in [None, Some(senseless)] {
        let connection = connection(NamespacesFrom::Selector, selector);
        assert_eq!(admits(&client, &connection, "team").await, Admission::Refused);
    }
}
