//! The token: fetched once, renewed early, dropped when it is rejected.

use tokio::time::Instant;

use super::*;

/// A server whose token endpoint answers like this; other calls find a tenant.
async fn tokens(script: impl Fn(usize) -> Option<Vec<Step>> + Send + Sync + 'static) -> Server {
    Server::start(move |request, earlier| {
        if request.is_token() { script(earlier) } else { Some(answer(200, &tenant_json(TENANT, "x"))) }
    })
    .await
}

async fn read(client: &PlatformClient) -> Result<(), PlatformError> {
    client.tenant(&tenant_id()).await.map(drop)
}

fn authorizations(server: &Server) -> Vec<String> {
    server.calls().into_iter().map(|call| call.headers["authorization"].clone()).collect()
}

#[tokio::test(start_paused = true)]
async fn one_token_is_fetched_however_many_ask() {
    let server = tokens(|_| None).await;
    let source = Source::new();
    let client = client_with(&server, &source);
    let results = futures::future::join_all((0..50).map(|_| read(&client))).await;
    assert!(results.iter().all(Result::is_ok));
    assert_eq!((server.token_requests().len(), source.asked()), (1, 1));
    assert_eq!(server.calls().len(), 50);
}

#[tokio::test(start_paused = true)]
async fn a_thousand_who_ask_at_once_get_one_token_for_its_whole_life() {
    let server = tokens(|_| None).await;
    let source = Source::new();
    let client = client_with(&server, &source);
    for second in 0..6000 {
        if second % 600 == 0 {
            let ready = futures::future::join_all((0..1000).map(|_| client.ready_to_put())).await;
            assert!(ready.iter().all(Result::is_ok));
        }
        tokio::time::advance(Duration::from_secs(1)).await;
    }
    assert_eq!((server.token_requests().len(), source.asked()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_calls_with_rejected_credentials_cause_one_fetch() {
    let server = tokens(|_| Some(answer(401, &json!({"error": "invalid_client"})))).await;
    let client = client_for(&server);
    for probes in 1..4 {
        let results = futures::future::join_all((0..10_000).map(|_| read(&client))).await;
        assert!(results.into_iter().all(|result| class(result) == ErrorClass::Credentials));
        assert_eq!((server.token_requests().len(), server.calls().len()), (probes, 0));
        advance(25).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_fetch_goes_on_when_the_one_who_began_it_is_cancelled() {
    let late =
        |_| Some([vec![Step::Wait(Duration::from_secs(3))], answer(200, &token_json("late", 7200))].concat());
    let server = tokens(late).await;
    let client = client_for(&server);
    let first = tokio::spawn({
        let client = client.clone();
        async move { read(&client).await }
    });
    wait_for("the fetch to begin", || server.token_requests().len() == 1).await;
    let second = tokio::spawn({
        let client = client.clone();
        async move { read(&client).await }
    });
    pause().await;
    first.abort();
    let (result, _) = timed(second).await;
    assert_eq!(result.unwrap(), Ok(()));
    assert_eq!(server.token_requests().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_fetch_without_waiters_still_counts() {
    let late =
        |_| Some([vec![Step::Wait(Duration::from_secs(3))], answer(200, &token_json("late", 7200))].concat());
    let server = tokens(late).await;
    let client = client_for(&server);
    let only = tokio::spawn({
        let client = client.clone();
        async move { read(&client).await }
    });
    wait_for("the fetch to begin", || server.token_requests().len() == 1).await;
    only.abort();
    advance(4).await;
    read(&client).await.unwrap();
    assert_eq!(authorizations(&server), ["Bearer late"]);
    assert_eq!(server.token_requests().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_short_lived_token_is_renewed_at_80_percent_of_its_life() {
    // The `Date` of every answer is 2026-12-01T00:00:00Z, which is second 1796083200.
    for life in [
        json!({"expires_in": 100}),
        json!({"expires_on": 1_796_083_300}),
        json!({"expires_in": 100, "expires_on": 1_796_083_300}),
    ] {
        let server = tokens(move |earlier| {
            let mut token = life.clone();
            token["access_token"] = json!(format!("token-{earlier}"));
            Some(answer(200, &token))
        })
        .await;
        let client = client_for(&server);
        read(&client).await.unwrap();
        advance(79).await;
        read(&client).await.unwrap();
        assert_eq!(server.token_requests().len(), 1);
        advance(1).await;
        // This call triggers the renewal, and does not wait for it.
        read(&client).await.unwrap();
        wait_for("the renewal", || server.token_requests().len() == 2).await;
        advance(1).await;
        read(&client).await.unwrap();
        assert_eq!(
            authorizations(&server),
            ["Bearer token-0", "Bearer token-0", "Bearer token-0", "Bearer token-1"]
        );
        assert_eq!(server.token_requests().len(), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn a_long_lived_token_is_renewed_some_minutes_before_its_end() {
    let server = tokens(|_| None).await;
    let client = client_for(&server);
    read(&client).await.unwrap();
    tokio::time::advance(Duration::from_secs(7200 - 421)).await;
    read(&client).await.unwrap();
    assert_eq!(server.token_requests().len(), 1);
    tokio::time::advance(Duration::from_secs(121)).await;
    read(&client).await.unwrap();
    wait_for("the renewal", || server.token_requests().len() == 2).await;
}

#[tokio::test(start_paused = true)]
async fn a_token_that_claims_to_live_for_ever_is_renewed_within_a_day() {
    for life in
        [json!({"expires_in": i64::MAX}), json!({"expires_on": i64::MAX}), json!({"expires_on": i64::MIN})]
    {
        let server = tokens(move |_| {
            let mut token = life.clone();
            token["access_token"] = json!("t");
            Some(answer(200, &token))
        })
        .await;
        let client = client_for(&server);
        read(&client).await.unwrap();
        tokio::time::advance(Duration::from_hours(24)).await;
        read(&client).await.unwrap();
        assert_eq!(server.token_requests().len(), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_without_a_lifetime_lives_five_minutes() {
    let server = tokens(|_| Some(answer(200, &json!({"access_token": "t", "token_type": "bearer"})))).await;
    let client = client_for(&server);
    read(&client).await.unwrap();
    tokio::time::advance(Duration::from_secs(239)).await;
    read(&client).await.unwrap();
    assert_eq!(server.token_requests().len(), 1);
    tokio::time::advance(Duration::from_secs(61)).await;
    read(&client).await.unwrap();
    assert_eq!(server.token_requests().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_renewal_that_fails_does_not_take_the_good_token_away() {
    let server = tokens(|earlier| (earlier == 1).then(|| server::text(500, "", ""))).await;
    let client = client_for(&server);
    read(&client).await.unwrap();
    tokio::time::advance(Duration::from_secs(7000)).await;
    read(&client).await.unwrap();
    wait_for("the renewal that fails", || server.token_requests().len() == 2).await;
    advance(1).await;
    read(&client).await.unwrap();
    assert_eq!(server.token_requests().len(), 2, "not again at once");
    advance(10).await;
    read(&client).await.unwrap();
    wait_for("the renewal that works", || server.token_requests().len() == 3).await;
}

#[tokio::test(start_paused = true)]
async fn before_a_put_the_token_lives_for_another_30_seconds() {
    let server = tokens(|_| Some(answer(200, &token_json("t", 100)))).await;
    let client = client_for(&server);
    client.ready_to_put().await.map(drop).unwrap();
    tokio::time::advance(Duration::from_secs(70)).await;
    client.ready_to_put().await.map(drop).unwrap();
    assert_eq!(server.token_requests().len(), 1);
    tokio::time::advance(Duration::from_secs(1)).await;
    client.ready_to_put().await.map(drop).unwrap();
    assert_eq!(server.token_requests().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_token_with_a_very_short_life_is_of_use_too() {
    let server = Server::start(|request, _| {
        let settings = json!({"mode": "production", "version": 2});
        Some(answer(200, &if request.is_token() { token_json("t", 20) } else { settings }))
    })
    .await;
    let client = client_for(&server);
    let permit = client.ready_to_put().await.unwrap();
    tokio::time::advance(Duration::from_secs(5)).await;
    let outcome = client.switch_to_production(&tenant_id(), PricingVersion::new(1), permit, now()).await;
    assert_eq!(outcome, PutOutcome::Accepted);
}

/// A server that accepts only these tokens.
async fn accepting(accepted: &'static [&'static str]) -> Server {
    Server::start(move |request, _| {
        let token = request.headers["authorization"].strip_prefix("Bearer ")?;
        let good = accepted.contains(&token);
        Some(if good { answer(200, &tenant_json(TENANT, "x")) } else { refusal(401) })
    })
    .await
}

#[tokio::test(start_paused = true)]
async fn a_read_answered_401_is_repeated_once_with_a_new_token() {
    let server = accepting(&["token-1"]).await;
    let client = client_for(&server);
    let (results, took) = timed(futures::future::join_all((0..20).map(|_| read(&client)))).await;
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    assert_eq!(server.token_requests().len(), 2, "one renewal for all");
    assert!(took < Duration::from_secs(10), "it does not wait for the spacing");
    read(&client).await.unwrap();
    assert_eq!(server.token_requests().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_second_401_closes_the_client_until_a_slow_probe_works() {
    let server = accepting(&["token-3"]).await;
    let client = client_for(&server);
    let error = read(&client).await.unwrap_err();
    assert_eq!((error.class(), error.status()), (ErrorClass::Credentials, Some(401)));
    assert_eq!((server.calls().len(), server.token_requests().len()), (2, 2));
    let error = client.pricing(&tenant_id()).await.unwrap_err();
    assert_eq!((error.class(), error.status()), (ErrorClass::Credentials, Some(401)));
    assert_eq!(error.retry_after(), Some(Duration::from_secs(25)));
    assert_eq!(class(client.ready_to_put().await), ErrorClass::Credentials);
    advance(24).await;
    assert_eq!(class(read(&client).await), ErrorClass::Credentials);
    assert_eq!(server.requests().len(), 4, "nothing was sent meanwhile");
    advance(1).await;
    read(&client).await.unwrap();
    assert_eq!(server.token_requests().len(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_disabled_user_closes_the_client_too() {
    let body = json!({"error": {"code": 1018, "message": "m"}});
    let server = server_answering(answer(403, &body)).await;
    let client = client_for(&server);
    assert_eq!(class(read(&client).await), ErrorClass::Credentials);
    assert_eq!(class(read(&client).await), ErrorClass::Credentials);
    assert_eq!(server.calls().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn tokens_that_keep_failing_are_not_fetched_without_end() {
    // Every token is good for one call.
    let used = Mutex::new(std::collections::HashSet::new());
    let server = Server::start(move |request, _| {
        let token = request.headers["authorization"].strip_prefix("Bearer ")?.to_owned();
        let good = used.lock().unwrap().insert(token);
        Some(if good { answer(200, &tenant_json(TENANT, "x")) } else { refusal(401) })
    })
    .await;
    let client = client_for(&server);
    let started = Instant::now();
    for _ in 0..6 {
        timed(read(&client)).await.0.unwrap();
    }
    let fetches = server.token_requests();
    assert_eq!(fetches.len(), 6);
    assert!(started.elapsed() >= Duration::from_secs(20), "{:?}", started.elapsed());
    let last = fetches.windows(3).all(|three| three[2].at - three[0].at >= Duration::from_secs(9));
    assert!(last, "at most one of two fetches comes early");
}

#[tokio::test(start_paused = true)]
async fn a_refusal_by_the_token_endpoint_concerns_the_credentials() {
    for status in [400, 401, 403] {
        let server = tokens(move |earlier| {
            (earlier == 0)
                .then(|| answer(status, &json!({"error": "invalid_client", "error_description": "d"})))
        })
        .await;
        let client = client_for(&server);
        let error = read(&client).await.unwrap_err();
        assert_eq!((error.class(), error.status()), (ErrorClass::Credentials, Some(status)));
        assert_eq!(
            error.to_string(),
            format!(
                "fetching an access token failed: the platform answered {status} with code invalid_client, the \
                 credentials are not accepted"
            )
        );
        assert_eq!(class(read(&client).await), ErrorClass::Credentials);
        assert_eq!(server.requests().len(), 1);
        advance(25).await;
        read(&client).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn fetches_are_10_seconds_apart_after_a_failure() {
    for steps in [
        server::text(500, "", "oops"),
        vec![Step::Close],
        server::text(200, "", "oops"),
        answer(200, &json!({"access_token": ""})),
        answer(200, &json!({"access_token": "a\nb"})),
        answer(200, &json!({"token_type": "bearer"})),
        server::text(302, "Location: /\r\n", ""),
        server::text(404, "", ""),
    ] {
        let shown = format!("{steps:?}");
        let server = tokens(move |earlier| (earlier == 0).then(|| steps.clone())).await;
        let client = client_for(&server);
        let error = read(&client).await.unwrap_err();
        assert_ne!(error.class(), ErrorClass::Credentials, "{shown}");
        let again = read(&client).await.unwrap_err();
        assert_eq!(again.class(), error.class());
        assert!(again.retry_after().unwrap() <= Duration::from_secs(10));
        assert_eq!(server.requests().len(), 1, "{shown}");
        advance(10).await;
        assert_eq!(read(&client).await, Ok(()), "{shown}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_pause_of_the_token_endpoint_holds_for_the_whole_client() {
    let server = tokens(|earlier| (earlier == 0).then(|| server::text(429, "Retry-After: 20\r\n", ""))).await;
    let client = client_for(&server);
    assert_eq!(class(read(&client).await), ErrorClass::Throttled);
    let error = client.ready_to_put().await.unwrap_err();
    assert_eq!((error.class(), error.retry_after()), (ErrorClass::Throttled, Some(Duration::from_secs(20))));
    advance(20).await;
    read(&client).await.unwrap();
    assert_eq!(server.token_requests().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn during_a_pause_the_secret_is_not_read_for_a_renewal() {
    let server = Server::start(|request, earlier| {
        (!request.is_token()).then(|| match earlier {
            0 => answer(200, &tenant_json(TENANT, "x")),
            _ => server::text(429, "Retry-After: 3600\r\n", ""),
        })
    })
    .await;
    let source = Source::new();
    let client = client_with(&server, &source);
    read(&client).await.unwrap();
    tokio::time::advance(Duration::from_secs(6700)).await;
    assert_eq!(class(read(&client).await), ErrorClass::Throttled);
    tokio::time::advance(Duration::from_secs(210)).await;
    for _ in 0..3 {
        assert_eq!(class(read(&client).await), ErrorClass::Throttled);
        assert_eq!(class(client.ready_to_put().await), ErrorClass::Throttled);
        assert_eq!(class(client.own_tenant().await), ErrorClass::Throttled);
        pause().await;
    }
    assert_eq!(source.asked(), 1);
}

#[tokio::test(start_paused = true)]
async fn without_credentials_nothing_is_sent_and_reads_are_rare() {
    let message = || "Secret platform/eu2-client has no key clientId".to_owned();
    for (answer, class, standing) in [
        (CredentialError::NotFound { message: message() }, ErrorClass::SecretNotFound, 25),
        (CredentialError::Invalid { message: message() }, ErrorClass::SecretInvalid, 25),
        (CredentialError::Unavailable { message: message() }, ErrorClass::Unavailable, 10),
    ] {
        let server = tokens(|_| None).await;
        let source = Source::new();
        source.set(Err(answer));
        let client = client_with(&server, &source);
        let error = read(&client).await.unwrap_err();
        assert_eq!(error.class(), class);
        assert_eq!(error.to_string(), format!("reading the credentials failed: {}", message()));
        source.set(Ok(credentials(CLIENT_ID)));
        advance(standing - 1).await;
        assert_eq!(read(&client).await.unwrap_err().class(), class);
        assert_eq!((source.asked(), server.requests().len()), (1, 0));
        advance(1).await;
        assert_eq!(read(&client).await, Ok(()));
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_id_that_is_none_never_becomes_a_part_of_an_address() {
    for client_id in ["", "..", "a/b", "a:b", "a?b", "a b", "ä", "a\n", "%2e"] {
        let server = tokens(|_| None).await;
        let source = Source::new();
        source.set(Ok(credentials(client_id)));
        let error = client_with(&server, &source).own_tenant().await.unwrap_err();
        assert_eq!(error.class(), ErrorClass::SecretInvalid, "{client_id:?}");
        assert_eq!(server.requests().len(), 0);
    }
}

/// A source that never answers, and one that panics.
struct Stuck(bool);

impl CredentialSource for Stuck {
    fn credentials(&self) -> BoxFuture<'_, Result<Credentials, CredentialError>> {
        assert!(!self.0, "a panic that the test wants");
        Box::pin(std::future::pending())
    }
}

#[tokio::test(start_paused = true)]
async fn a_source_that_hangs_or_panics_does_not_stop_the_client() {
    let server = tokens(|_| None).await;
    for panics in [false, true] {
        let client = SwitchClient::new(options(&server.url()), Arc::new(Stuck(panics))).unwrap();
        for _ in 0..2 {
            let (result, took) = timed(read(&client)).await;
            assert_eq!(class(result), ErrorClass::Unavailable);
            assert!(took <= Duration::from_secs(11), "{took:?}");
            advance(10).await;
        }
    }
    assert_eq!(server.requests().len(), 0);
}

/// A client of an edited connection: a new client with the same history.
fn edited(server: &Server, history: &History) -> SwitchClient {
    let options = ClientOptions { history: history.clone(), ..options(&server.url()) };
    let client = SwitchClient::new(options, Arc::new(Source::new())).unwrap();
    client.activate();
    client
}

#[tokio::test(start_paused = true)]
async fn fetches_are_spaced_across_edits_of_the_connection() {
    let server = tokens(|_| None).await;
    let history = History::default();
    // An edit each half second. All clients send requests, also the replaced ones.
    let mut asking = Vec::new();
    for _ in 0..60 {
        let client = edited(&server, &history);
        asking.push(tokio::spawn(async move { read(&client).await }));
        tokio::time::advance(Duration::from_millis(500)).await;
        pause().await;
    }
    let last = edited(&server, &history);
    timed(read(&last)).await.0.unwrap();
    let fetches = server.token_requests();
    assert!((3..=5).contains(&fetches.len()), "{} in half a minute", fetches.len());
    for pair in fetches.windows(2) {
        assert!(pair[1].at - pair[0].at >= Duration::from_secs(10), "{:?}", pair[1].at - pair[0].at);
    }
    asking.iter().for_each(tokio::task::JoinHandle::abort);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_was_replaced_gets_no_token() {
    let server = tokens(|_| None).await;
    let history = History::default();
    let first = edited(&server, &history);
    let second = edited(&server, &history);
    let error = timed(read(&first)).await.0.unwrap_err();
    assert!(error.to_string().contains("edited meanwhile"), "{error}");
    assert_eq!(server.requests().len(), 0);
    timed(read(&second)).await.0.unwrap();
    assert_eq!(server.token_requests().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn another_connection_does_not_wait_for_the_edits_of_this_one() {
    let server = tokens(|_| None).await;
    read(&edited(&server, &History::default())).await.unwrap();
    read(&edited(&server, &History::default())).await.unwrap();
    assert_eq!(server.token_requests().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn an_edit_does_not_end_a_pause_that_the_platform_asked_for() {
    let server = tokens(|earlier| (earlier == 0).then(|| server::text(429, "Retry-After: 60\r\n", ""))).await;
    let history = History::default();
    assert_eq!(class(read(&edited(&server, &history)).await), ErrorClass::Throttled);
    for _ in 0..3 {
        let client = edited(&server, &history);
        assert_eq!(class(read(&client).await), ErrorClass::Throttled);
        advance(10).await;
    }
    assert_eq!(server.requests().len(), 1, "nothing was sent");
    // Another platform did not ask for the pause.
    let elsewhere = tokens(|_| None).await;
    timed(read(&edited(&elsewhere, &history))).await.0.unwrap();
}

#[tokio::test(start_paused = true)]
async fn rejected_credentials_that_may_be_encoded_twice_say_so() {
    for (client_id, hinted) in [
        (CLIENT_ID, false),
        (&*CLIENT_ID.to_uppercase(), false),
        // Base64 of a UUID.
        ("MjIyMjIyMjItMjIyMi00MjIyLTgyMjItMjIyMjIyMjIyMjIy", true),
        ("my-client", true),
        ("c1c1c1c100004000800000000000000c", true),
    ] {
        let server = tokens(|_| Some(answer(401, &json!({"error": "invalid_client"})))).await;
        let source = Source::new();
        source.set(Ok(credentials(client_id)));
        let error = read(&client_with(&server, &source)).await.unwrap_err();
        assert_eq!(error.class(), ErrorClass::Credentials);
        let said = error.to_string();
        assert_eq!(said.contains("not a UUID") && said.contains("Base64"), hinted, "{said}");
        assert!(!said.contains(client_id), "{said}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_deleted_secret_ends_the_token_that_is_held() {
    for (error, expected) in [
        (CredentialError::NotFound { message: "gone".to_owned() }, ErrorClass::SecretNotFound),
        (CredentialError::Invalid { message: "no key".to_owned() }, ErrorClass::SecretInvalid),
    ] {
        let server = tokens(|_| None).await;
        let source = Source::new();
        let client = client_with(&server, &source);
        read(&client).await.unwrap();
        let permit = client.ready_to_put().await.unwrap();
        advance(15).await;
        assert_eq!(client.review_credentials().await, Ok(Review::Same));
        source.set(Err(error));
        assert_eq!(client.review_credentials().await, Ok(Review::Same), "it was read just now");
        advance(15).await;
        assert!(client.can_put());
        assert_eq!(class(client.review_credentials().await), expected);
        assert!(!client.can_put());
        let requests = server.requests().len();
        assert_eq!(class(read(&client).await), expected);
        let outcome = client.switch_to_production(&tenant_id(), PricingVersion::new(1), permit, now()).await;
        assert!(matches!(outcome, PutOutcome::NotSent(_)), "{outcome:?}");
        assert_eq!(server.requests().len(), requests, "nothing is sent");
        source.set(Ok(credentials(CLIENT_ID)));
        advance(25).await;
        read(&client).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_changed_secret_is_tried_at_once_and_within_the_spacing() {
    let server = tokens(|_| None).await;
    let source = Source::new();
    let client = client_with(&server, &source);
    read(&client).await.unwrap();
    for (number, (id, secret)) in
        [(CLIENT_ID, "rotated"), ("d1d1d1d1-0000-4000-8000-00000000000d", "rotated")].into_iter().enumerate()
    {
        advance(15).await;
        source.set(Ok(Credentials { client_id: id.to_owned(), client_secret: secret.into() }));
        assert_eq!(client.review_credentials().await, Ok(Review::Changed));
        assert_eq!(client.review_credentials().await, Ok(Review::NothingHeld));
        read(&client).await.unwrap();
        assert_eq!(server.token_requests().len(), number + 2);
    }
    advance(15).await;
    assert_eq!(client.review_credentials().await, Ok(Review::Same), "the same again is no change");
}

#[tokio::test(start_paused = true)]
async fn a_secret_that_cannot_be_read_ends_nothing() {
    let server = tokens(|_| None).await;
    let source = Source::new();
    let client = client_with(&server, &source);
    assert_eq!(client.review_credentials().await, Ok(Review::NothingHeld));
    assert_eq!(source.asked(), 0);
    read(&client).await.unwrap();
    source.set(Err(CredentialError::Unavailable { message: "no answer".to_owned() }));
    advance(15).await;
    assert_eq!(client.review_credentials().await, Ok(Review::Same));
    read(&client).await.unwrap();
    assert_eq!((server.token_requests().len(), source.asked()), (1, 2));
}
