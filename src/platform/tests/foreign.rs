//! Answers that are not the platform's: a proxy, a firewall, an ingress without a backend, a login page.

use super::*;

/// Every operation of the client, and whether its answer is a list.
const OPERATIONS: [(&str, bool); 8] = [
    ("token", false),
    ("own tenant", false),
    ("tenant", false),
    ("pricing", false),
    ("tenants", true),
    ("search", true),
    ("names", true),
    ("subtree", true),
];

const HTML: &str = "<!DOCTYPE html><html><body>Please log in</body></html>";

fn foreign() -> Vec<(u16, &'static str, String)> {
    let mut all = Vec::new();
    for body in
        ["", "default backend - 404", HTML, "null", "7", "[]", r#"[{"error":{"code":1005}}]"#, "\u{feff}{}"]
    {
        for status in [200, 201, 400, 401, 403, 404, 405, 410, 423, 451] {
            all.push((status, "", body.to_owned()));
        }
    }
    // Refusals in foreign JSON.
    for body in [
        "{}",
        r#"{"error":"#,
        r#"{"error":null}"#,
        r#"{"error":""}"#,
        r#"{"error":[]}"#,
        r#"{"message":"no Route matched with those values"}"#,
        r#"{"timestamp":"2026-11-28T10:00:00Z","status":403,"error":"Forbidden","path":"/api/2/idp/token"}"#,
        r#"{"error":"unauthorized"}"#,
        r#"{"error":"Not Found"}"#,
        r#"{"kind":"Status","status":"Failure","reason":"NotFound","code":404}"#,
    ] {
        for status in [400, 401, 403, 404, 423] {
            all.push((status, "Content-Type: application/json\r\n", body.to_owned()));
        }
    }
    all.push((204, "", String::new()));
    all.push((403, "", " ".repeat(1024 * 1024 + 1)));
    for status in [301, 302, 307, 308] {
        all.push((status, "Location: https://login.example.com/\r\n", HTML.to_owned()));
    }
    all
}

fn good(request: &Request) -> Option<Vec<Step>> {
    match request.path().strip_prefix("/api/2/")?.split('/').collect::<Vec<_>>()[..] {
        ["clients", _] => Some(answer(200, &json!({"tenant_id": OWN_TENANT}))),
        ["tenants", id] => Some(answer(200, &tenant_json(id, "x"))),
        ["tenants" | "search"] => Some(answer(200, &json!({"items": []}))),
        ["tenants", _, "pricing"] => Some(answer(200, &json!({"mode": "trial", "version": 1}))),
        _ => None,
    }
}

/// Whether the request is the operation's own, and not one that prepares it.
fn is_meant(operation: &str, request: &Request) -> bool {
    let path = request.path();
    match operation {
        "token" => request.is_token(),
        "own tenant" => path.contains("/clients/"),
        "search" => path.ends_with("/search"),
        "pricing" => path.ends_with("/pricing"),
        _ => path.contains("/tenants"),
    }
}

async fn ask(client: &PlatformClient, operation: &str) -> Result<(), PlatformError> {
    let own = OWN_TENANT.parse().unwrap();
    match operation {
        "token" | "tenant" => client.tenant(&tenant_id()).await.map(drop),
        "own tenant" => client.verify().await.map(drop),
        "pricing" => client.pricing(&tenant_id()).await.map(drop),
        "tenants" => client.tenants(&[tenant_id()]).await.map(drop),
        "search" => client.search_customers("Acme").await.map(drop),
        "names" => client.list_customers(&["Acme".to_owned()].into()).await.map(drop),
        "subtree" => client.subtree(&own).await.map(drop),
        _ => unreachable!("{operation}"),
    }
}

/// The error of an operation that gets this answer, and the result of the next attempt.
async fn error_of(operation: &'static str, steps: Vec<Step>) -> (PlatformError, Result<(), PlatformError>) {
    let server = Server::start(move |request, earlier| {
        // A read with the answer 401 is repeated once.
        let meant = is_meant(operation, request) && earlier < if request.is_token() { 1 } else { 2 };
        if meant { Some(steps.clone()) } else { good(request) }
    })
    .await;
    let client = client_for(&server);
    let error = timed(ask(&client, operation)).await.0.unwrap_err();
    tokio::time::advance(Duration::from_secs(10)).await;
    let mut next = timed(ask(&client, operation)).await.0;
    if next.is_err() {
        next = timed(ask(&client, operation)).await.0;
    }
    (error, next)
}

#[tokio::test(start_paused = true)]
async fn a_foreign_answer_is_an_outage_of_the_route() {
    for (operation, _) in OPERATIONS {
        for (status, headers, body) in foreign() {
            let shown = format!("{operation}: {status} {body:.60}");
            let (error, next) = error_of(operation, server::text(status, headers, &body)).await;
            assert_eq!((error.class(), error.status()), (ErrorClass::Unavailable, Some(status)), "{shown}");
            assert_eq!(error.code(), None, "{shown}");
            let expected =
                if (300..400).contains(&status) { "redirects" } else { "does not come from the platform" };
            assert!(error.to_string().contains(expected), "{shown}: {error}");
            assert_eq!(next, Ok(()), "{shown}: nothing stays closed");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_list_answered_404_is_never_the_platforms() {
    for (operation, is_list) in OPERATIONS {
        let (error, _) = error_of(operation, answer(404, &error_json(1005))).await;
        let expected = match operation {
            "token" => ErrorClass::Malformed,
            _ if is_list => ErrorClass::Unavailable,
            _ => ErrorClass::NotFound,
        };
        assert_eq!(error.class(), expected, "{operation}");
    }
}

#[tokio::test(start_paused = true)]
async fn only_the_platforms_refusal_of_a_token_rejects_it() {
    for (body, rejected) in [
        (r#"{"error":"invalid_client","error_description":"d"}"#, true),
        (r#"{"error":"invalid_client"}"#, true),
        (r#"{"error":{"code":1018}}"#, true),
        (r#"{"error":"unauthorized","error_description":"Bad credentials"}"#, true),
        (r#"{"error":"unauthorized"}"#, false),
        (r#"{"status":403,"error":"Forbidden","path":"/api/2/idp/token"}"#, false),
        (r#"{"error_description":"d"}"#, false),
        (HTML, false),
        ("", false),
    ] {
        for status in [400, 401, 403] {
            let (error, _) = error_of("token", server::text(status, "", body)).await;
            let expected = if rejected { ErrorClass::Credentials } else { ErrorClass::Unavailable };
            assert_eq!(error.class(), expected, "{status} {body}");
        }
    }
    // Elsewhere an error is an object.
    let (error, _) = error_of("tenant", answer(401, &json!({"error": "invalid_token"}))).await;
    assert_eq!(error.class(), ErrorClass::Unavailable);
}

#[tokio::test(start_paused = true)]
async fn a_foreign_answer_to_the_put_proves_nothing() {
    for (status, headers, body) in foreign() {
        let steps = server::text(status, headers, &body);
        let shown = format!("{status} {body:.60}");
        let server = server_answering(steps).await;
        let client = client_for(&server);
        let permit = client.ready_to_put().await.unwrap();
        match client.switch_to_production(&tenant_id(), PricingVersion::new(1), permit, now()).await {
            // A redirect proves that nothing was carried out.
            PutOutcome::Refused(error) => {
                assert!((300..400).contains(&status), "{shown}");
                assert_eq!(error.class(), ErrorClass::Redirected, "{shown}");
            }
            // An empty body, or JSON: how gateways change a success.
            PutOutcome::Accepted => {
                assert!((200..300).contains(&status) && body != HTML && !body.contains("backend"), "{shown}");
            }
            PutOutcome::Unknown(error) => {
                let is_text = body == HTML || body.contains("backend");
                assert!(!(300..400).contains(&status) && (status >= 400 || is_text), "{shown}");
                assert_eq!(
                    (error.class(), error.status()),
                    (ErrorClass::Unavailable, Some(status)),
                    "{shown}"
                );
            }
            PutOutcome::NotSent(error) => panic!("{shown}: {error:?}"),
        }
    }
}
