//! The one write, and what each outcome proves.

use super::*;
use crate::testing::sources::{Source, sources};

const VERSION: PricingVersion = PricingVersion::new(1_596_545_223_000);

/// Sends one switch to a server that answers every call with these steps.
async fn switch(steps: Vec<Step>) -> (PutOutcome, Duration) {
    let server = server_answering(steps).await;
    let client = client_for(&server);
    let permit = client.ready_to_put().await.unwrap();
    let (outcome, took) = timed(client.switch_to_production(&tenant_id(), VERSION, permit, now())).await;
    // By then, a retry inside a library would have happened.
    advance(10).await;
    let puts = server.calls();
    assert_eq!(puts.len(), 1, "{outcome:?}: one request leaves, never a second");
    assert_eq!(puts[0].method, "PUT");
    (outcome, took)
}

#[tokio::test(start_paused = true)]
async fn the_put_says_version_and_mode_and_nothing_else() {
    let server = server_answering(answer(200, &settings("production"))).await;
    let client = client_for(&server);
    let permit = client.ready_to_put().await.unwrap();
    assert_eq!(client.switch_to_production(&tenant_id(), VERSION, permit, now()).await, PutOutcome::Accepted);
    let put = &server.calls()[0];
    assert_eq!(
        (put.method.as_str(), put.target.clone()),
        ("PUT", format!("/api/2/tenants/{TENANT}/pricing"))
    );
    assert_eq!(put.body, r#"{"version":1596545223000,"mode":"production"}"#);
    assert_eq!(put.headers["content-type"], "application/json");
    assert_eq!(put.headers["authorization"], "Bearer token-0");
}

/// The platform's answer to a change.
fn settings(mode: &str) -> Value {
    json!({"mode": mode, "version": 1_596_545_223_001_u64, "currency": null, "production_start_date": null})
}

#[tokio::test(start_paused = true)]
async fn a_2xx_is_accepted_unless_it_is_foreign() {
    for steps in [
        answer(200, &settings("production")),
        // The mode in the answer does not count: the request was not refused, and is never sent again.
        answer(200, &settings("trial")),
        answer(202, &json!({})),
        server::text(200, "", "{\"mode\":"),
        // How gateways change a success.
        server::text(200, "", ""),
        server::text(201, "", " \r\n"),
        server::text(204, "", ""),
        server::text(200, "", "null"),
        server::text(200, "", "true"),
        server::text(200, "", "-7.5e3 "),
        server::text(200, "", "\"ok\""),
        server::text(200, "", "[]"),
        server::text(200, "", "\u{feff}{}"),
        server::text(200, "", " \u{feff}\n{\"mode\": \"production\"}"),
        server::text(200, "", "\u{feff}"),
        [server::raw("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{"), vec![Step::Close]].concat(),
        [server::raw("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{"), vec![Step::Hang]].concat(),
    ] {
        let shown = format!("{steps:?}");
        assert_eq!(switch(steps).await.0, PutOutcome::Accepted, "{shown}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_2xx_with_text_that_is_no_json_proves_nothing() {
    for body in ["<html>sign in</html>", "\u{feff} <!DOCTYPE html>", "OK", "7 errors", "nullable", "\u{0}"] {
        for status in [200, 202] {
            let outcome = switch(server::text(status, "", body)).await.0;
            assert!(matches!(outcome, PutOutcome::Unknown(_)), "{status} {body:?}: {outcome:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_put_that_was_asked_for_too_long_ago_is_not_sent() {
    let server = server_answering(answer(200, &settings("production"))).await;
    let client = client_for(&server);
    let permit = client.ready_to_put().await.unwrap();
    let asked = now();
    // The process was stopped between the check of the lease and the request.
    tokio::time::advance(Duration::from_secs(9)).await;
    let outcome = client.switch_to_production(&tenant_id(), VERSION, permit, asked).await;
    assert!(matches!(outcome, PutOutcome::Unknown(_)), "{outcome:?}");
    advance(10).await;
    assert!(server.calls().is_empty(), "nothing leaves");
}

#[tokio::test(start_paused = true)]
async fn a_complete_3xx_or_4xx_is_a_refusal() {
    use ErrorClass as Class;
    for (status, code, class) in [
        (301, 0, Class::Redirected),
        (307, 0, Class::Redirected),
        (308, 0, Class::Redirected),
        (400, 1001, Class::VersionMismatch),
        (409, 1001, Class::VersionMismatch),
        (400, 1027, Class::BusinessRules),
        (401, 0, Class::Credentials),
        (403, 0, Class::AccessDenied),
        (404, 0, Class::NotFound),
        (409, 0, Class::Refused),
        (423, 0, Class::Locked),
        (429, 0, Class::Throttled),
    ] {
        let headers = format!("Location: /api/2/tenants/{TENANT}/elsewhere\r\n");
        let body = json!({"error": {"code": code, "message": "m"}}).to_string();
        match switch(server::text(status, &headers, &body)).await.0 {
            PutOutcome::Refused(error) => assert_eq!((error.class(), error.status()), (class, Some(status))),
            other => panic!("{status}: {other:?}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn everything_else_may_have_taken_effect() {
    for steps in [
        server::text(408, "", ""),
        server::text(499, "", ""),
        server::text(500, "", ""),
        answer(500, &json!({"error": {"code": 1001}})),
        server::text(502, "", "Bad Gateway"),
        server::text(503, "Retry-After: 5\r\n", ""),
        server::text(504, "", ""),
        server::text(600, "", ""),
        vec![Step::Close],
        [server::raw("HTTP/1.1 200 OK\r\nContent-Le"), vec![Step::Close]].concat(),
        [server::raw("HTTP/1.1 404 X\r\nContent-Length: 1000\r\n\r\n{"), vec![Step::Close]].concat(),
        [server::raw("garbage\r\n\r\n"), vec![Step::Close]].concat(),
    ] {
        let shown = format!("{steps:?}");
        let (outcome, _) = switch(steps).await;
        assert!(matches!(outcome, PutOutcome::Unknown(_)), "{shown}: {outcome:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_put_ends_after_eight_seconds_without_a_known_outcome() {
    let drip =
        (0..100).flat_map(|_| [Step::Send(b"H".to_vec()), Step::Wait(Duration::from_secs(1))]).collect();
    for steps in [vec![Step::Hang], drip] {
        let (outcome, took) = switch(steps).await;
        assert!(matches!(outcome, PutOutcome::Unknown(_)), "{outcome:?}");
        assert!((8..=9).contains(&took.as_secs()), "{took:?}");
    }
}

fn assert_not_sent(outcome: &PutOutcome, class: ErrorClass) {
    match outcome {
        PutOutcome::NotSent(error) => assert_eq!(error.class(), class),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_connection_nothing_was_sent() {
    let server = server_answering(answer(200, &json!({}))).await;
    let client = client_for(&server);
    let permit = client.ready_to_put().await.unwrap();
    server.stop_listening().await;
    let outcome = client.switch_to_production(&tenant_id(), VERSION, permit, now()).await;
    assert_not_sent(&outcome, ErrorClass::Unavailable);
    assert_eq!(server.calls().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn without_a_token_nothing_is_sent_and_none_is_fetched() {
    // The lifetime of the token ends while the permit still holds. The right to send ends with it.
    let server = Server::start(|request, _| {
        Some(answer(200, &if request.is_token() { token_json("t", 20) } else { json!({}) }))
    })
    .await;
    let client = client_for(&server);
    let permit = client.ready_to_put().await.unwrap();
    tokio::time::advance(Duration::from_secs(20)).await;
    let outcome = client.switch_to_production(&tenant_id(), VERSION, permit, now()).await;
    assert_not_sent(&outcome, ErrorClass::Unavailable);
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_permit_that_is_old_or_of_another_client_sends_nothing() {
    let server = server_answering(answer(200, &settings("production"))).await;
    let (client, other) = (client_for(&server), client_for(&server));
    let permit = other.ready_to_put().await.unwrap();
    client.ready_to_put().await.map(drop).unwrap();
    let outcome = client.switch_to_production(&tenant_id(), VERSION, permit, now()).await;
    assert_not_sent(&outcome, ErrorClass::Unavailable);
    let permit = client.ready_to_put().await.unwrap();
    tokio::time::advance(Duration::from_secs(30)).await;
    let outcome = client.switch_to_production(&tenant_id(), VERSION, permit, now()).await;
    assert_not_sent(&outcome, ErrorClass::Unavailable);
    let permit = client.ready_to_put().await.unwrap();
    tokio::time::advance(Duration::from_millis(29_999)).await;
    assert_eq!(server.calls().len(), 0);
    assert_eq!(client.switch_to_production(&tenant_id(), VERSION, permit, now()).await, PutOutcome::Accepted);
}

#[tokio::test(start_paused = true)]
async fn during_a_pause_nothing_is_sent() {
    let server = Server::start(|request, _| {
        (request.method == "GET").then(|| server::text(429, "Retry-After: 20\r\n", ""))
    })
    .await;
    let client = client_for(&server);
    let permit = client.ready_to_put().await.unwrap();
    assert_eq!(class(client.tenant(&tenant_id()).await), ErrorClass::Throttled);
    let outcome = client.switch_to_production(&tenant_id(), VERSION, permit, now()).await;
    assert_not_sent(&outcome, ErrorClass::Throttled);
    assert!(server.requests().iter().all(|request| request.method != "PUT"));
}

#[tokio::test(start_paused = true)]
async fn a_put_answered_with_a_pause_pauses_the_client() {
    let error = error_json(0).to_string();
    for (status, body, refused) in [(429, &*error, true), (429, "", false), (503, "", false)] {
        let server = server_answering(server::text(status, "Retry-After: 20\r\n", body)).await;
        let client = client_for(&server);
        let permit = client.ready_to_put().await.unwrap();
        let outcome = client.switch_to_production(&tenant_id(), VERSION, permit, now()).await;
        assert_eq!(matches!(outcome, PutOutcome::Refused(_)), refused, "{outcome:?}");
        assert_eq!(
            client.tenant(&tenant_id()).await.unwrap_err().retry_after(),
            Some(Duration::from_secs(20))
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_put_answered_401_drops_the_token_and_is_not_repeated() {
    let server = Server::start(|request, _| match request.method.as_str() {
        "PUT" => Some(refusal(401)),
        "GET" => Some(answer(200, &tenant_json(TENANT, "x"))),
        _ => None,
    })
    .await;
    let client = client_for(&server);
    let permit = client.ready_to_put().await.unwrap();
    match client.switch_to_production(&tenant_id(), VERSION, permit, now()).await {
        PutOutcome::Refused(error) => assert_eq!(error.class(), ErrorClass::Credentials),
        other => panic!("{other:?}"),
    }
    // The read that must follow does not wait for the token interval.
    client.tenant(&tenant_id()).await.unwrap();
    let calls = server.calls();
    assert_eq!(calls.iter().map(|call| call.method.as_str()).collect::<Vec<_>>(), ["PUT", "GET"]);
    assert_eq!(calls[1].headers["authorization"], "Bearer token-1");
}

#[tokio::test(start_paused = true)]
async fn a_put_never_travels_on_a_kept_connection() {
    let server = server_answering(answer(200, &tenant_json(TENANT, "x"))).await;
    let client = client_for(&server);
    client.tenant(&tenant_id()).await.unwrap();
    for _ in 0..2 {
        let permit = client.ready_to_put().await.unwrap();
        client.switch_to_production(&tenant_id(), VERSION, permit, now()).await;
    }
    client.tenant(&tenant_id()).await.unwrap();
    let connections: Vec<_> = server.requests().iter().map(|request| request.connection).collect();
    assert_eq!(connections, [0, 0, 1, 2, 0]);
}

/// They name the PUT of a dry run, which goes to the Kubernetes API server. Their client refuses all others
/// (`only_dry_runs_of_whole_objects_pass_as_validations`).
const OF_THE_API_SERVER: [&str; 2] = ["cli/plan/server.rs", "cli/cluster/writes.rs"];

#[test]
fn only_one_place_in_the_program_can_send_a_put() {
    let mut places = Vec::new();
    for Source { name, code } in sources() {
        if name.starts_with("simulator") {
            // It receives PUTs, so it names them. It must not be able to send one.
            assert!(!code.contains("reqwest") && !code.contains("::client::"), "{name} can send requests");
            continue;
        }
        if OF_THE_API_SERVER.contains(&&*name) {
            assert!(!code.contains("reqwest") && !code.contains("platform::"), "{name} reaches the platform");
            continue;
        }
        let calls =
            ["Method::PUT", ".put(", "\"PUT\"", "Method::from_bytes"].map(|word| code.matches(word).count());
        places.extend(std::iter::repeat_n(name.clone(), calls.iter().sum()));
        assert!(
            name.starts_with("platform") || !code.contains("reqwest::Client"),
            "{name} has an HTTP client"
        );
    }
    assert_eq!(places, ["platform/put.rs"]);
}

#[test]
fn only_the_registry_makes_a_client_that_can_switch() {
    let mut places = Vec::new();
    for Source { name, code } in sources() {
        if code.contains("SwitchClient::new(") {
            places.push(name.clone());
        }
        // What holds or hands out such a client leads to a PUT as well.
        for word in ["SwitchClient", "ConnectionHandle", "Registry", ".switching()"] {
            assert!(!name.starts_with("cli") || !code.contains(word), "{name} names {word}");
        }
    }
    assert_eq!(places, ["connections/registry.rs"]);
}
