use std::{collections::HashSet, time::Duration};

use k8s_openapi::ByteString;
use serde_json::json;
use tokio::time::Instant;

use super::*;
use crate::{
    simulator::{Fault, FaultAction, Operation, Simulator, SimulatorOptions},
    testing::api_server,
};

struct Scene {
    simulator: Simulator,
    registry: Registry,
}

impl Scene {
    async fn new() -> Self {
        let simulator = Simulator::start(SimulatorOptions::default()).await.unwrap();
        simulator.add_customers(2000, "Customer");
        let secret = json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "one"},
            "data": {
                "clientId": ByteString(simulator.client_id().into_bytes()),
                "clientSecret": ByteString(simulator.client_secret().into_bytes()),
            },
        });
        let client = api_server::answering(200, &secret).await;
        let allowed_hosts = AllowedHosts::parse(&simulator.url()).unwrap();
        let (registry, _) = Registry::new(client, Settings { allowed_hosts, ..Settings::default() });
        Self { simulator, registry }
    }

    /// The connection with this generation.
    fn connection(&self, generation: i64, suspend: bool, secret: &str) -> PlatformConnection {
        serde_json::from_value(json!({
            "apiVersion": "tenantpricing.io/v1alpha1",
            "kind": "PlatformConnection",
            "metadata": {"namespace": "platform", "name": "one", "uid": "uid-1", "generation": generation},
            "spec": {
                "url": self.simulator.url(),
                "credentialsSecretRef": {"name": secret},
                "requestsPerSecond": 100_000,
                "suspend": suspend,
            },
        }))
        .unwrap()
    }

    fn requests(&self) -> usize {
        self.simulator.requests().len()
    }

    /// Starts a listing, calls `meanwhile` in the middle of its pages, and counts the requests that follow.
    async fn requests_after(&self, handle: &ConnectionHandle, meanwhile: impl FnOnce()) -> usize {
        let fault = Fault::new(FaultAction::hold()).on(Operation::FetchTenants).skip(4).once();
        let held = self.simulator.inject(fault);
        let listing = tokio::spawn({
            let names = handle.names().clone();
            async move { names.list(Instant::now()).await }
        });
        let hit = tokio::time::timeout(Duration::from_secs(30), self.simulator.wait_for_hits(held, 1));
        hit.await.expect("the listing gets to its fifth page");
        meanwhile();
        let before = self.requests();
        self.simulator.release(held);
        tokio::time::timeout(Duration::from_secs(10), listing).await.unwrap().unwrap();
        tokio::time::sleep(Duration::from_millis(300)).await;
        self.requests() - before
    }
}

#[tokio::test]
async fn the_emergency_stop_ends_a_listing() {
    let scene = Scene::new().await;
    let handle = scene.registry.open(&scene.connection(1, false, "one")).unwrap();
    let suspended = scene.connection(2, true, "one");
    assert_eq!(scene.requests_after(&handle, || scene.registry.revise(&suspended)).await, 0);
    // No other request is sent either: a read, a search, the preparation of a switch.
    let before = scene.requests();
    let _ = handle.client.verify().await.unwrap_err();
    let _ = handle.find("Customer-00001").await.unwrap_err();
    let _ = handle.switching().ready_to_put().await.unwrap_err();
    assert_eq!(scene.requests(), before);
    // An older spec of the connection does not end the stop.
    let unusable = scene.registry.open(&scene.connection(1, false, "one")).unwrap_err();
    assert!(matches!(unusable, ConnectionProblem::Suspended));
    let error = handle.client.verify().await.unwrap_err();
    assert!(error.to_string().contains("spec.suspend of the connection is true"), "{error}");
    // The next edit ends it.
    let resumed = scene.registry.open(&scene.connection(3, false, "one")).unwrap();
    assert!(resumed.client.is_same_as(&handle.client));
    resumed.client.verify().await.unwrap();
    assert!(scene.registry.open(&suspended).is_err());
    resumed.client.verify().await.unwrap();
}

#[tokio::test]
async fn the_emergency_stop_reaches_a_replaced_client() {
    let scene = Scene::new().await;
    let first = scene.registry.open(&scene.connection(1, false, "one")).unwrap();
    first.client.verify().await.unwrap();
    scene.registry.open(&scene.connection(2, false, "other")).unwrap();
    first.client.verify().await.unwrap();
    scene.registry.revise(&scene.connection(3, true, "other"));
    let before = scene.requests();
    let _ = first.client.verify().await.unwrap_err();
    assert_eq!(scene.requests(), before);
}

#[tokio::test]
async fn a_replaced_client_lists_no_further_page() {
    let scene = Scene::new().await;
    let handle = scene.registry.open(&scene.connection(1, false, "one")).unwrap();
    let edited = scene.connection(2, false, "other");
    assert_eq!(scene.requests_after(&handle, || scene.registry.revise(&edited)).await, 0);
    let before = scene.requests();
    let _ = handle.find("Customer-00001").await.unwrap_err();
    handle.names().list(Instant::now()).await;
    assert_eq!(scene.requests(), before);
}

#[tokio::test]
async fn a_url_that_is_none_ends_a_listing() {
    let scene = Scene::new().await;
    let handle = scene.registry.open(&scene.connection(1, false, "one")).unwrap();
    let mut broken = scene.connection(2, false, "one");
    broken.spec.url = "not a url".to_owned();
    assert_eq!(scene.requests_after(&handle, || drop(scene.registry.open(&broken))).await, 0);
}

#[tokio::test]
async fn a_closed_client_lists_no_further_page() {
    let scene = Scene::new().await;
    let connection = scene.connection(1, false, "one");
    let handle = scene.registry.open(&connection).unwrap();
    let close = || scene.registry.close(&Key::of(&connection));
    assert_eq!(scene.requests_after(&handle, close).await, 0);
}

#[tokio::test]
async fn a_lost_term_ends_a_listing_and_a_later_one_works() {
    let scene = Scene::new().await;
    let handle = scene.registry.open(&scene.connection(1, false, "one")).unwrap();
    assert_eq!(scene.requests_after(&handle, || scene.registry.give_up_lookups()).await, 0);
    let since = Instant::now();
    handle.names().list(since).await;
    assert_eq!(handle.names().proof("Customer-00001", since).unwrap().unwrap().len(), 1);
    handle.client.list_customers(&HashSet::new()).await.unwrap();
}

#[tokio::test]
async fn no_clock_skew_outlives_the_use_of_a_connection() {
    let scene = Scene::new().await;
    let key = Key::new("platform", "one");
    let use_it = async |generation| {
        let handle = scene.registry.open(&scene.connection(generation, false, "one")).unwrap();
        assert!(handle.client.own_tenant().await.is_ok());
        assert!(scene.registry.clock_skew(&key).is_some());
    };
    assert_eq!(scene.registry.clock_skew(&key), None, "before it is used");
    use_it(1).await;
    scene.registry.revise(&scene.connection(2, true, "one"));
    assert_eq!(scene.registry.clock_skew(&key), None, "suspended");
    use_it(3).await;
    scene.registry.close(&key);
    assert_eq!(scene.registry.clock_skew(&key), None, "deleted");
}
