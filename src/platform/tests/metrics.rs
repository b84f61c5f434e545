//! The reports of a client: requests, token fetches, pauses, clock skew.

use jiff::{SignedDuration, Timestamp};

use super::*;

/// Records the reports.
#[derive(Default)]
struct Recorder {
    said: Mutex<Vec<String>>,
}

impl Recorder {
    fn say(&self, what: String) {
        self.said.lock().unwrap().push(what);
    }

    /// The reports since the last call.
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.said.lock().unwrap())
    }
}

impl ClientMetrics for Recorder {
    fn request(&self, operation: &'static str, class: &'static str, took: Duration) {
        self.say(format!("{operation} {class} {}", took.as_secs()));
    }

    fn token(&self, outcome: &'static str) {
        self.say(format!("a token: {outcome}"));
    }

    fn pause(&self, cause: &'static str, length: Duration) {
        self.say(format!("{cause} for {}", if length.as_secs() == 20 { "20" } else { "some" }));
    }
}

fn watched(server: &Server, source: &Source) -> (SwitchClient, Arc<Recorder>) {
    let recorder = Arc::new(Recorder::default());
    let options = ClientOptions { metrics: Some(recorder.clone()), ..options(&server.url()) };
    (SwitchClient::new(options, Arc::new(source.clone())).unwrap(), recorder)
}

#[tokio::test(start_paused = true)]
async fn every_request_is_reported_once_with_its_outcome() {
    let body = json!({"error": {"code": 1012, "message": "m"}});
    let server = Server::start(move |request, _| {
        Some(match request.path().strip_prefix("/api/2/")? {
            "tenants" if request.target.contains("uuids") => answer(200, &json!({"items": []})),
            "tenants" => server::text(200, "", "{not JSON"),
            "search" => vec![Step::Wait(Duration::from_secs(3)), Step::Close],
            path if path.starts_with("clients/") => answer(200, &json!({"tenant_id": OWN_TENANT})),
            _ if request.method == "PUT" => answer(200, &json!({})),
            path if path.ends_with("/pricing") => server::text(429, "Retry-After: 20\r\n", ""),
            path if path.starts_with("tenants/") => answer(423, &body),
            _ => return None,
        })
    })
    .await;
    let (client, recorder) = watched(&server, &Source::new());
    let id = tenant_id();
    let permit = client.ready_to_put().await.unwrap();
    assert_eq!(recorder.take(), ["token ok 0", "a token: ok"]);
    client.switch_to_production(&id, PricingVersion::new(1), permit, now()).await;
    client.own_tenant().await.unwrap();
    client.own_tenant().await.unwrap();
    client.tenants(std::slice::from_ref(&id)).await.unwrap();
    client.subtree(&id).await.unwrap_err();
    client.tenant(&id).await.unwrap_err();
    assert_eq!(
        recorder.take(),
        ["switch ok 0", "own_tenant ok 0", "tenants ok 0", "subtree malformed 0", "tenant locked 0"]
    );
    timed(client.customers_named("Acme GmbH")).await.0.unwrap_err();
    assert_eq!(recorder.take(), ["search unavailable 3"]);
    client.pricing(&id).await.unwrap_err();
    client.pricing(&id).await.unwrap_err();
    assert_eq!(recorder.take(), ["throttled for 20", "pricing throttled 0"], "what never left is no request");
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_given_up_is_reported_too() {
    let server = server_answering(vec![Step::Hang]).await;
    let (client, recorder) = watched(&server, &Source::new());
    let read = tokio::spawn(async move { client.tenant(&tenant_id()).await });
    wait_for("the request", || server.calls().len() == 1).await;
    advance(2).await;
    read.abort();
    assert!(read.await.unwrap_err().is_cancelled());
    assert_eq!(recorder.take(), ["token ok 0", "a token: ok", "tenant cancelled 2"]);
}

#[tokio::test(start_paused = true)]
async fn tokens_that_were_not_given_are_reported_with_the_reason() {
    let server = Server::start(|_, _| Some(refusal(401))).await;
    let source = Source::new();
    let (client, recorder) = watched(&server, &source);
    client.verify().await.unwrap_err();
    assert_eq!(recorder.take(), ["token credentials 0", "a token: credentials"]);
    client.verify().await.unwrap_err();
    assert_eq!(recorder.take(), [""; 0], "what stands is not tried again");
    source.set(Err(CredentialError::NotFound { message: "m".to_owned() }));
    advance(25).await;
    client.verify().await.unwrap_err();
    assert_eq!(recorder.take(), ["a token: secret_not_found"]);
}

#[tokio::test(start_paused = true)]
async fn an_open_circuit_is_reported_as_a_pause() {
    let server = Server::start(|request, _| (!request.is_token()).then(|| server::text(500, "", ""))).await;
    let (client, recorder) = watched(&server, &Source::new());
    for _ in 0..4 {
        client.verify().await.unwrap_err();
    }
    let unavailable = "own_tenant unavailable 0";
    assert_eq!(recorder.take()[2..], [unavailable, unavailable, "unreachable for some", unavailable]);
}

#[tokio::test(start_paused = true)]
async fn each_date_says_how_far_the_clocks_are_apart() {
    let server = server_answering(answer(200, &tenant_json(TENANT, "x"))).await;
    let (client, _) = watched(&server, &Source::new());
    assert_eq!(client.clock_skew(), None, "before the first answer");
    let date: Timestamp = "2026-12-01T00:00:00Z".parse().unwrap();
    let clock = crate::clock::Clock::system();
    let before = clock.now();
    client.tenant(&tenant_id()).await.unwrap();
    let after = clock.now();
    let apart = client.clock_skew().unwrap();
    let half = SignedDuration::from_millis(500);
    let range = before.duration_since(date) - half..=after.duration_since(date) - half;
    assert!(range.contains(&apart), "{apart:?}");
}
