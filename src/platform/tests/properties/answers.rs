//! Answers of the platform to each request.

use std::fmt::Write as _;

use super::*;
use crate::platform::{net::transport::MAX_BODY_BYTES, wire::json};

const TOKEN: &str = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiIxIn0";

/// Valid answers of the platform.
fn in_order() -> [Value; 6] {
    [
        tenant_json(TENANT, "Acme GmbH"),
        json!({"timestamp": "2026-12-01T00:00:00", "items": [tenant_json(TENANT, "Acme GmbH"), tenant_json(OWN_TENANT, "Acme")],
               "paging": {"cursors": {"after": "c1"}}}),
        json!({"mode": "trial", "currency": null, "version": 1_596_545_223_000_i64, "production_start_date": "2026-12-31T00:00:00"}),
        json!({"items": [{"obj_type": "tenant", "id": TENANT, "name": "Acme GmbH", "kind": "customer", "deleted_at": null}]}),
        token_json(TOKEN, 7200),
        json!({"tenant_id": OWN_TENANT, "error": {"code": 1001, "message": MARK, "details": {}}}),
    ]
}

/// A valid answer, an almost valid one, or anything.
fn answer_body() -> impl Strategy<Value = Vec<u8>> + Clone {
    let nearly = prop::sample::select(in_order().to_vec()).prop_flat_map(nearly);
    prop_oneof![
        3 => nearly.prop_map(|value| value.to_string().into_bytes()),
        1 => body(),
    ]
}

/// Runs every parser. The result is no longer than the input, and words are short and harmless.
fn read_all(bytes: &[u8]) {
    let harmless = |word: &str| {
        assert!(word.len() <= 64, "{word}");
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.?()".contains(&byte);
        assert!(word.bytes().all(plain), "{word:?}");
    };
    if let Some(code) = json::error_code(bytes) {
        harmless(&code);
    }
    let check = |tenant: &Tenant| {
        harmless(&tenant.mode.to_string());
        harmless(&tenant.kind.to_string());
        assert!(tenant.name.len() <= json::MAX_NAME_BYTES && tenant.name.len() <= bytes.len());
    };
    json::tenant(bytes).iter().for_each(check);
    if let Some(page) = json::tenant_page(bytes) {
        assert!(page.items.len() <= bytes.len());
        page.items.iter().flatten().for_each(check);
    }
    if let Some(pricing) = json::pricing(bytes) {
        harmless(&pricing.mode.to_string());
        let sent: Value = serde_json::from_str(&pricing.version.to_string()).unwrap();
        let came: Value = serde_json::from_slice(bytes).unwrap();
        assert_eq!(sent, came["version"], "it is handed back as it came");
    }
    let _ = json::client(bytes);
    let _ = json::search(bytes);
    if let Some(token) = json::parse::<json::TokenWire>(bytes) {
        for answered in [None, Some(jiff::Timestamp::MIN), Some(jiff::Timestamp::MAX)] {
            assert!(json::token_life(&token, answered).is_none_or(|life| !life.is_zero()));
        }
    }
}

#[test]
fn the_corpus_of_bodies() {
    for (name, bytes) in corpus("answers") {
        assert!(bytes.len() <= MAX_BODY_BYTES, "{name}");
        read_all(&bytes);
    }
}

#[test]
fn what_is_in_order_is_read() {
    let [tenant, page, pricing, search, token, client] =
        in_order().map(|value| value.to_string().into_bytes());
    assert!(json::tenant(&tenant).is_some() && json::pricing(&pricing).is_some());
    assert!(json::tenant_page(&page).is_some_and(|page| page.items.iter().flatten().count() == 2));
    assert!(json::search(&search).is_some() && json::client(&client).is_some());
    assert!(json::parse::<json::TokenWire>(&token).is_some());
    assert_eq!(json::error_code(&client).as_deref(), Some("1001"));
}

proptest! {
    #![proptest_config(cases(1500))]

    #[test]
    fn any_body_is_read_or_refused(bytes in answer_body()) {
        read_all(&bytes);
    }
}

/// Whole answers from the first byte: valid heads, invalid heads, and bodies.
fn whole_answer() -> impl Strategy<Value = (Option<u16>, Vec<u8>)> + Clone {
    let status = prop_oneof![
        3 => Just(200_u16),
        1 => prop::sample::select(&[201, 204, 301, 308, 400, 401, 403, 404, 408, 409, 423, 429, 499, 500, 503][..]),
        1 => 200_u16..=999,
    ];
    let header = prop::sample::select(
        &[
            "",
            "Retry-After: 0\r\n",
            "Retry-After: LEAK~5eed\r\n",
            "Retry-After: 99999999999999999999\r\n",
            "Date: LEAK~5eed\r\n",
            "Date: Fri, 31 Dec 9999 23:59:59 GMT\r\n",
            "Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n",
            "Location: https://evil.test/LEAK~5eed\r\n",
            "Content-Encoding: gzip\r\n",
            "Set-Cookie: a=LEAK~5eed\r\n",
            "WWW-Authenticate: Basic realm=LEAK~5eed\r\n",
            "X-\u{1b}: x\r\n",
            ": x\r\n",
            "Content-Length: 5\r\n",
            "Transfer-Encoding: chunked\r\n",
        ][..],
    );
    let sound =
        (status, prop::collection::vec(header, 0..3), answer_body()).prop_map(|(status, headers, body)| {
            let head = format!(
                "HTTP/1.1 {status} LEAK~5eed\r\n{}Content-Length: {}\r\n\r\n",
                headers.concat(),
                body.len()
            );
            (Some(status), [head.into_bytes(), body].concat())
        });
    prop_oneof![5 => sound, 1 => body().prop_map(|bytes| (None, bytes))]
}

/// Sends every request to a server that gives this answer to all of them, or to all but the token request. Returns the
/// error texts and the outcome of the PUT.
async fn ask_all(bytes: Vec<u8>, token_too: bool) -> (String, Option<PutOutcome>) {
    let steps = vec![Step::Send(bytes), Step::Close];
    let is_tenant_read = |request: &Request| request.path().starts_with("/api/2/clients/");
    let server = Server::start(move |request, earlier| {
        let token = request.is_token() && !token_too;
        // The first request after a failure is a probe of the platform.
        let probe = is_tenant_read(request) && earlier > 0;
        if token {
            Some(answer(200, &token_json(TOKEN, 7200)))
        } else if probe {
            Some(answer(200, &json!({"tenant_id": OWN_TENANT})))
        } else {
            Some(steps.clone())
        }
    })
    .await;
    let mut said = String::new();
    let id = tenant_id();
    let fresh = || client_for(&server);
    for result in [
        timed(fresh().own_tenant()).await.0.map(drop),
        timed(fresh().tenant(&id)).await.0.map(drop),
        timed(fresh().pricing(&id)).await.0.map(drop),
        timed(fresh().tenants(std::slice::from_ref(&id))).await.0.map(drop),
        timed(fresh().customers_named("Acme GmbH")).await.0.map(drop),
    ] {
        if let Err(error) = result {
            let _ = writeln!(said, "{error} {error:?}");
        }
    }
    let client = fresh();
    let outcome = match timed(client.ready_to_put()).await.0 {
        Ok(permit) => {
            let version = PricingVersion::new(1);
            Some(timed(client.switch_to_production(&id, version, permit, now())).await.0)
        }
        Err(error) => {
            let _ = writeln!(said, "{error} {error:?}");
            None
        }
    };
    let _ = write!(said, "{outcome:?}");
    (said, outcome)
}

proptest! {
    #![proptest_config(cases(100))]

    #[test]
    fn any_answer_is_understood_or_refused_and_never_quoted(
        (status, bytes) in whole_answer(), token_too in prop::bool::weighted(0.2),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        let (said, outcome) = runtime.block_on(ask_all(bytes, token_too));
        for hidden in [MARK, TOKEN, CLIENT_SECRET] {
            prop_assert!(!said.contains(hidden), "{said}");
        }
        match (&outcome, status) {
            (Some(PutOutcome::Accepted), Some(status)) => prop_assert!((200..300).contains(&status), "{status}"),
            (Some(PutOutcome::Refused(_)), Some(status)) => {
                prop_assert!((300..500).contains(&status) && ![408, 499].contains(&status), "{status}");
            }
            (Some(PutOutcome::NotSent(_)), _) => prop_assert!(false, "it was sent: {said}"),
            _ => {}
        }
    }
}
