//! A pass outlives whoever asked for it.

use std::time::Duration;

use kube::Client;
use tokio::net::TcpListener;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::*;
use crate::{
    clock::Clock,
    cluster::Stores,
    connections::{Namespaces, Registry, Settings},
    pricing::{Memories, scenes::Scene},
};

/// What passes work with, and an API server that takes requests and never answers.
async fn with_a_silent_api_server() -> (Context, TcpListener) {
    crate::platform::install_tls_provider();
    let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", server.local_addr().unwrap());
    let client = Client::try_from(kube::Config::new(url.parse().unwrap())).unwrap();
    let (registry, _) = Registry::new(client.clone(), Settings::default());
    let (namespaces, _) = Namespaces::new(client.clone());
    let context = Context {
        client,
        clock: Clock::system(),
        registry,
        namespaces,
        connections: Stores::new(Vec::new()),
        pricings: Stores::new(Vec::new()),
        memories: Memories::default(),
        tasks: TaskTracker::new(),
        stopping: CancellationToken::new(),
    };
    (context, server)
}

#[tokio::test]
async fn dropping_the_future_of_a_pass_does_not_cut_the_pass_in_half() {
    let (context, server) = with_a_silent_api_server().await;
    let object: Request = Arc::new(DeserializeGuard(Ok(Scene::new().object)));
    let asked = reconcile(object, Arc::new(context.clone()));
    // It has asked the API server for its connection, and waits, when whoever asked for it is gone.
    let connected = async { server.accept().await.map(drop) };
    tokio::select! {
        _ = asked => panic!("it cannot end without an answer"),
        connected = connected => connected.unwrap(),
    }
    assert_eq!(context.tasks.len(), 1, "it goes on, and the end of the process waits for it");
}

#[tokio::test]
async fn once_the_process_is_to_end_no_pass_begins() {
    let (context, _server) = with_a_silent_api_server().await;
    context.stopping.cancel();
    let object: Request = Arc::new(DeserializeGuard(Ok(Scene::new().object)));
    let pass = reconcile(object, Arc::new(context.clone()));
    let ended = tokio::time::timeout(Duration::from_secs(5), pass).await;
    assert_eq!(ended.expect("at once").unwrap(), Action::await_change());
    assert!(context.tasks.is_empty());
}
