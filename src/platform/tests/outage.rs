//! A platform that is unreachable or broken, and its recovery.

use std::sync::atomic::AtomicBool;

use super::*;

/// A server that fails on demand, and otherwise knows every tenant and the client.
struct Platform {
    server: Server,
    failing: Arc<AtomicBool>,
}

impl Platform {
    /// A server that does this instead of answering.
    async fn new(failure: Vec<Step>) -> Self {
        let failing = Arc::new(AtomicBool::new(false));
        let fails = Arc::clone(&failing);
        let server = Server::start(move |request, _| {
            if fails.load(Ordering::SeqCst) {
                return Some(failure.clone());
            }
            good(request)
        })
        .await;
        Self { server, failing }
    }

    fn fail(&self, failing: bool) {
        self.failing.store(failing, Ordering::SeqCst);
    }
}

fn good(request: &Request) -> Option<Vec<Step>> {
    match request.path().strip_prefix("/api/2/")?.split('/').collect::<Vec<_>>()[..] {
        ["clients", _] => Some(answer(200, &json!({"tenant_id": OWN_TENANT}))),
        ["tenants", id] => Some(answer(200, &tenant_json(id, "x"))),
        _ => None,
    }
}

fn numbered(number: usize) -> TenantId {
    format!("{number:08x}-0000-4000-8000-000000000000").parse().unwrap()
}

/// Requests this number of tenants at once.
async fn crowd(client: &PlatformClient, size: usize) -> Vec<Result<(), PlatformError>> {
    let reads = (0..size).map(|number| async move { client.tenant(&numbered(number)).await.map(drop) });
    futures::future::join_all(reads).await
}

/// Opens the circuit by failures.
async fn close(client: &PlatformClient) -> PlatformError {
    for number in 0..3 {
        assert_eq!(class(client.tenant(&numbered(number)).await), ErrorClass::Unavailable);
    }
    client.tenant(&numbered(0)).await.unwrap_err()
}

#[tokio::test(start_paused = true)]
async fn an_outage_is_probed_by_one_request_at_a_time() {
    let platform = Platform::new(server::text(500, "", "")).await;
    let client = client_for(&platform.server);
    client.ready_to_put().await.map(drop).unwrap();
    platform.fail(true);
    let error = close(&client).await;
    assert_eq!(
        error.to_string(),
        format!(
            "reading tenant {} failed: the platform answered 500, the platform is unavailable",
            numbered(0)
        )
    );
    assert!(error.retry_after().unwrap() <= Duration::from_secs(2), "{error:?}");
    let mut calls = platform.server.calls().len();
    assert_eq!(calls, 3, "the fourth never left");
    // Each time ten thousand calls wait and one probes. Every other probe is neutral.
    let client_itself = format!("/api/2/clients/{CLIENT_ID}");
    let first_tenant = format!("/api/2/tenants/{}", numbered(0));
    for (limit, probe) in [(2, &client_itself), (4, &first_tenant), (8, &client_itself)] {
        tokio::time::advance(Duration::from_secs(limit)).await;
        let results = crowd(&client, 10_000).await;
        let errors: Vec<_> = results.into_iter().map(Result::unwrap_err).collect();
        assert!(errors.iter().all(|error| error.class() == ErrorClass::Unavailable));
        // All callers but the probing one know when to retry.
        let informed = errors.iter().filter(|error| error.retry_after().is_some_and(|left| !left.is_zero()));
        assert!(informed.count() >= 9_999);
        calls += 1;
        assert_eq!(platform.server.calls().len(), calls, "after {limit} s");
        assert_eq!(platform.server.targets().last(), Some(probe));
    }
    platform.fail(false);
    tokio::time::advance(Duration::from_secs(16)).await;
    client.tenant(&numbered(0)).await.unwrap();
    assert!(crowd(&client, 50).await.iter().all(Result::is_ok));
    assert_eq!(platform.server.token_requests().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn refused_connections_open_the_circuit_at_once() {
    let server = server_answering(server::text(200, "Connection: close\r\n", "{}")).await;
    let client = client_for(&server);
    client.ready_to_put().await.map(drop).unwrap();
    server.stop_listening().await;
    // The first call closes the connection that the token request left open.
    for _ in 0..2 {
        client.tenant(&tenant_id()).await.unwrap_err();
    }
    let error = client.pricing(&tenant_id()).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Unavailable);
    assert_eq!(
        error.to_string(),
        format!("reading the pricing settings of tenant {TENANT} failed: the connection was refused")
    );
    assert!(error.retry_after().is_some(), "it was not tried: {error:?}");
    assert!(client.ready_to_put().await.unwrap_err().retry_after().is_some());
}

#[tokio::test(start_paused = true)]
async fn while_a_probe_is_in_flight_all_others_fail_at_once() {
    let platform = Platform::new(vec![Step::Hang]).await;
    let client = client_for(&platform.server);
    client.ready_to_put().await.map(drop).unwrap();
    platform.fail(true);
    let (results, took) = timed(crowd(&client, 3)).await;
    assert!(results.iter().all(Result::is_err));
    assert!((30..=31).contains(&took.as_secs()), "{took:?}");
    tokio::time::advance(Duration::from_secs(2)).await;
    let probe = tokio::spawn({
        let client = client.clone();
        async move { client.tenant(&numbered(0)).await }
    });
    wait_for("the probe", || platform.server.calls().len() == 4).await;
    let started = tokio::time::Instant::now();
    for result in crowd(&client, 100).await {
        let error = result.unwrap_err();
        assert_eq!(error.retry_after(), Some(Duration::from_secs(1)));
        assert!(error.to_string().ends_with("no complete answer came within the time limit"), "{error}");
    }
    assert_eq!((platform.server.calls().len(), started.elapsed()), (4, Duration::ZERO));
    // The caller of the probe gives up, so the next call may probe.
    probe.abort();
    assert!(probe.await.unwrap_err().is_cancelled());
    platform.fail(false);
    client.tenant(&numbered(0)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn one_bad_tenant_slows_no_other() {
    let server = Server::start(|request, _| {
        if request.target.contains(TENANT) { Some(server::text(500, "", "")) } else { good(request) }
    })
    .await;
    let client = client_for(&server);
    for _ in 0..50 {
        assert_eq!(client.tenant(&tenant_id()).await.unwrap_err().retry_after(), None);
        assert_eq!(client.pricing(&tenant_id()).await.unwrap_err().retry_after(), None);
    }
    client.tenant(&numbered(1)).await.unwrap();
    assert_eq!(server.calls().len(), 101);
}

#[tokio::test(start_paused = true)]
async fn a_lone_failure_does_not_keep_the_circuit_open() {
    // The read about the client itself, and a batch.
    for broken in ["/clients/", "?uuids="] {
        let failing = Arc::new(AtomicBool::new(true));
        let all = Arc::clone(&failing);
        let server = Server::start(move |request, _| {
            let fails = all.load(Ordering::SeqCst) || request.target.contains(broken);
            if fails && !request.is_token() { Some(server::text(500, "", "")) } else { good(request) }
        })
        .await;
        let client = client_for(&server);
        close(&client).await;
        failing.store(false, Ordering::SeqCst);
        let (failures, _) = timed(async {
            for failures in 0.. {
                // The first call each time is the one that always fails.
                if broken == "?uuids=" {
                    client.tenants(&[tenant_id()]).await.unwrap_err();
                }
                match client.tenant(&tenant_id()).await {
                    Ok(_) => return failures,
                    Err(error) => tokio::time::sleep(error.retry_after().unwrap_or_default()).await,
                }
            }
            unreachable!("it is tried without end")
        })
        .await;
        assert!(failures <= 4, "{failures} failures");
    }
}

#[tokio::test(start_paused = true)]
async fn a_definite_answer_in_between_means_that_the_platform_works() {
    for (status, body, definite) in [
        (404, r#"{"error":{}}"#, true),
        (403, r#"{"error":{}}"#, true),
        (400, r#"{"error":{}}"#, true),
        (404, "default backend - 404", false),
        (403, "", false),
        (200, "<html></html>", false),
        (302, "", false),
        (408, "", false),
        (502, "", false),
    ] {
        let server = Server::start(move |request, earlier| {
            let (status, body) = if earlier == 2 { (status, body) } else { (500, "") };
            (!request.is_token()).then(|| server::text(status, "", body))
        })
        .await;
        let client = client_for(&server);
        for _ in 0..5 {
            // One resource for the server's count; no tenant in particular for the client's.
            client.verify().await.unwrap_err();
        }
        assert_eq!(server.calls().len(), if definite { 5 } else { 3 }, "{status} {body}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_put_never_is_the_probe() {
    let platform = Platform::new(server::text(500, "", "")).await;
    let client = client_for(&platform.server);
    let permit = client.ready_to_put().await.unwrap();
    platform.fail(true);
    close(&client).await;
    platform.fail(false);
    tokio::time::advance(Duration::from_secs(2)).await;
    match client.switch_to_production(&tenant_id(), PricingVersion::new(1), permit, now()).await {
        PutOutcome::NotSent(error) => assert_eq!(error.class(), ErrorClass::Unavailable),
        other => panic!("{other:?}"),
    }
    assert_eq!(platform.server.calls().len(), 3);
    // Preparing the next switch probes the platform.
    client.ready_to_put().await.map(drop).unwrap();
    assert_eq!(platform.server.targets().pop(), Some(format!("/api/2/clients/{CLIENT_ID}")));
}

#[tokio::test(start_paused = true)]
async fn a_put_that_fails_counts_as_any_other_request() {
    let platform = Platform::new(vec![Step::Close]).await;
    let client = client_for(&platform.server);
    let permit = client.ready_to_put().await.unwrap();
    platform.fail(true);
    for number in 0..2 {
        client.tenant(&numbered(number)).await.unwrap_err();
    }
    let outcome = client.switch_to_production(&numbered(2), PricingVersion::new(1), permit, now()).await;
    assert!(matches!(outcome, PutOutcome::Unknown(_)), "{outcome:?}");
    assert!(client.tenant(&numbered(3)).await.unwrap_err().retry_after().is_some());
    assert_eq!(platform.server.calls().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_failed_token_fetch_opens_the_circuit_only_for_a_while() {
    let server = Server::start(|request, earlier| match (request.is_token(), earlier) {
        (true, 0..3) => Some(server::text(503, "", "")),
        (true, _) => None,
        _ => good(request),
    })
    .await;
    let client = client_for(&server);
    let (outcome, took) = timed(async {
        loop {
            match client.tenant(&tenant_id()).await {
                Ok(_) => return,
                Err(error) => {
                    assert_eq!(error.class(), ErrorClass::Unavailable);
                    tokio::time::sleep(error.retry_after().unwrap_or(Duration::from_secs(1))).await;
                }
            }
        }
    })
    .await;
    let () = outcome;
    assert_eq!(server.token_requests().len(), 4);
    assert!(took < Duration::from_secs(60), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_pause_without_a_length_grows_until_something_works() {
    let server = Server::start(|request, earlier| {
        // Twelve refusals, a success, and a refusal again.
        let throttled = earlier != 12;
        let headers = if earlier % 2 == 0 { "" } else { "Retry-After: soon\r\n" };
        if request.is_token() {
            None
        } else if throttled {
            Some(server::text(429, headers, ""))
        } else {
            good(request)
        }
    })
    .await;
    let client = client_for(&server);
    let mut pauses = Vec::new();
    for limit in [2, 4, 8, 16, 32, 60, 60, 60, 60, 60, 60, 60] {
        let error = client.verify().await.unwrap_err();
        assert_eq!((error.class(), error.status()), (ErrorClass::Throttled, Some(429)));
        let pause = error.retry_after().unwrap();
        assert!((Duration::from_secs(1)..=Duration::from_secs(limit)).contains(&pause), "{pause:?}, {limit}");
        assert_eq!(client.verify().await.unwrap_err().retry_after(), Some(pause));
        tokio::time::advance(pause).await;
        pauses.push(pause);
    }
    assert!(pauses.iter().max() > Some(&Duration::from_secs(8)), "it grows: {pauses:?}");
    client.verify().await.unwrap();
    let again = client.verify().await.unwrap_err().retry_after().unwrap();
    assert!(again <= Duration::from_secs(2), "{again:?}");
}
