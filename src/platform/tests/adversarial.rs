//! Malformed and malicious answers.

use super::*;

/// The error of reading a tenant when the server does this.
async fn error_of(steps: Vec<Step>) -> PlatformError {
    let server = server_answering(steps).await;
    let client = client_for(&server);
    let (result, _) = timed(client.tenant(&tenant_id())).await;
    result.unwrap_err()
}

async fn assert_class(steps: Vec<Step>, expected: ErrorClass, status: Option<u16>) {
    let shown = format!("{:.120?}", steps.first());
    let error = error_of(steps).await;
    assert_eq!((error.class(), error.status()), (expected, status), "{shown}");
}

fn chain(steps: impl IntoIterator<Item = Vec<Step>>) -> Vec<Step> {
    steps.into_iter().flatten().collect()
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_makes_no_sense_is_malformed() {
    let nested = format!("{{\"id\":{}", "[".repeat(100_000));
    for body in ["{}", "{\"id\":", "{\"id\":\"\\ud800\"}", " {\"id\":7}", &nested] {
        assert_class(server::text(200, "", body), ErrorClass::Malformed, Some(200)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_content_type_does_not_matter() {
    for header in
        ["", "Content-Type: text/html\r\n", "Content-Type: \r\n", "Content-Type: a/b; charset=utf-16\r\n"]
    {
        let server = server_answering(server::text(200, header, &tenant_json(TENANT, "x").to_string())).await;
        assert!(client_for(&server).tenant(&tenant_id()).await.is_ok(), "{header}");
    }
}

#[tokio::test(start_paused = true)]
async fn errors_are_sorted_whatever_is_missing_in_their_body() {
    use ErrorClass as Class;
    for body in [
        "{\"error\":{}}",
        "{\"error\":{\"message\":\"x\"}}",
        "{\"error\":{\"code\":true}}",
        " {\"error\":{\"code\":null},\"more\":[]}",
    ] {
        for (status, class) in [
            (400, Class::Refused),
            (403, Class::AccessDenied),
            (404, Class::NotFound),
            (408, Class::Unavailable),
            (423, Class::Locked),
            (500, Class::Unavailable),
            (502, Class::Unavailable),
            (503, Class::Unavailable),
            (600, Class::Malformed),
        ] {
            assert_class(server::text(status, "", body), class, Some(status)).await;
        }
    }
    for code in [json!(1001), json!("1001")] {
        let error = error_of(answer(409, &json!({"error": {"code": code, "message": "secret words"}}))).await;
        assert_eq!(error.class(), Class::VersionMismatch);
        assert_eq!(error.code(), Some("1001"));
        assert_eq!(
            error.to_string(),
            format!(
                "reading tenant {TENANT} failed: the platform answered 409 with code 1001, the pricing settings \
                 changed meanwhile"
            )
        );
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_breaks_off_is_an_outage() {
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{\"id\":";
    assert_class(vec![Step::Close], ErrorClass::Unavailable, None).await;
    for bytes in ["HTTP/1.1 20", "HTTP/1.1 200 OK\r\nConte", head] {
        let steps = chain([server::raw(bytes), vec![Step::Close]]);
        assert_class(steps, ErrorClass::Unavailable, None).await;
    }
    let chunk = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nFFFF\r\n{";
    assert_class(chain([server::raw(chunk), vec![Step::Close]]), ErrorClass::Unavailable, None).await;
    for bytes in ["SSH-2.0-OpenSSH\r\n\r\n", "HTTP/1.1 OK\r\n\r\n", "\0\0\0\0\r\n\r\n"] {
        assert_class(chain([server::raw(bytes), vec![Step::Close]]), ErrorClass::Unavailable, None).await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_whose_body_breaks_off_keeps_its_status() {
    for (status, class) in [(404, ErrorClass::Unavailable), (500, ErrorClass::Unavailable)] {
        let head = format!("HTTP/1.1 {status} X\r\nContent-Length: 1000\r\n\r\n{{\"error\":");
        assert_class(chain([server::raw(&head), vec![Step::Close]]), class, Some(status)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_of_ten_mebibytes_is_cut_off() {
    let size = 10 * 1024 * 1024;
    let full = format!("HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n{}", " ".repeat(size));
    assert_class(server::raw(&full), ErrorClass::Malformed, Some(200)).await;
    assert_class(server::raw(&full.replace("200 OK", "404 X")), ErrorClass::Unavailable, Some(404)).await;
    let chunk = format!("100000\r\n{}\r\n", " ".repeat(0x10_0000));
    let endless = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{}", chunk.repeat(10));
    assert_class(server::raw(&endless), ErrorClass::Malformed, Some(200)).await;
}

#[tokio::test(start_paused = true)]
async fn an_answer_just_below_the_limit_is_read_to_its_end() {
    let mut body = tenant_json(TENANT, "x").to_string();
    body.push_str(&" ".repeat(1024 * 1024 - body.len()));
    let server = server_answering(server::text(200, "", &body)).await;
    assert!(client_for(&server).tenant(&tenant_id()).await.is_ok());
    body.push(' ');
    assert_class(server::text(200, "", &body), ErrorClass::Malformed, Some(200)).await;
}

#[tokio::test(start_paused = true)]
async fn a_redirect_is_never_followed() {
    let elsewhere = server_answering(answer(200, &tenant_json(TENANT, "x"))).await;
    for status in [301, 302, 303, 307, 308] {
        let location = format!("Location: {}/api/2/tenants/{TENANT}\r\n", elsewhere.url());
        assert_class(server::text(status, &location, ""), ErrorClass::Unavailable, Some(status)).await;
    }
    assert_eq!(elsewhere.requests().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_repeated_but_a_401() {
    for steps in
        [answer(500, &json!({})), answer(503, &json!({})), vec![Step::Close], server::raw("garbage\r\n\r\n")]
    {
        let server = server_answering(steps).await;
        let client = client_for(&server);
        // The first answer leaves a pooled connection behind, as in production.
        assert!(client.tenant(&tenant_id()).await.is_err());
        assert_eq!(server.calls().len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn no_byte_of_an_answer_reaches_an_error_but_a_harmless_code() {
    let body = json!({"error": {"code": "\u{1b}[31mred", "message": "LEAK", "details": {"info": "LEAK"}, "context": {"LEAK": "LEAK"}}});
    for status in [302, 400, 401, 403, 404, 409, 423, 429, 500, 503] {
        let headers = "Retry-After: LEAK\r\nX-Leak: LEAK\r\nDate: LEAK\r\nLocation: /LEAK\r\n";
        let error = error_of(server::text(status, headers, &body.to_string())).await;
        let text = format!("{error} {error:?}");
        assert!(!text.contains("LEAK") && !text.contains('\u{1b}'), "{text}");
    }
    for body in ["LEAK", "{\"error\":{\"code\":\"LEAK LEAK", "{\"id\":\"LEAK\"}", "{\"id\":7,\"LEAK\":1}"] {
        for status in [200, 400, 500] {
            let error = error_of(server::text(status, "", body)).await;
            assert!(!format!("{error} {error:?}").contains("LEAK"), "{error:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_secret_that_comes_back_as_a_code_is_not_shown() {
    let token = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiIxIn0";
    for code in [token, &token[..20], &format!("x-{token}")] {
        let body = json!({"error": {"code": code}});
        let server = Server::start(move |request, _| {
            Some(if request.is_token() { answer(200, &token_json(token, 7200)) } else { answer(400, &body) })
        })
        .await;
        let error = client_for(&server).tenant(&tenant_id()).await.unwrap_err();
        assert_eq!((error.class(), error.code()), (ErrorClass::Refused, None));
    }
    let body = json!({"error": CLIENT_SECRET, "error_description": CLIENT_SECRET});
    let server = Server::start(move |_, _| Some(answer(400, &body))).await;
    let error = client_for(&server).tenant(&tenant_id()).await.unwrap_err();
    assert_eq!((error.class(), error.code()), (ErrorClass::Credentials, None));
    assert!(!format!("{error} {error:?}").contains(CLIENT_SECRET));
}

#[tokio::test(start_paused = true)]
async fn a_date_that_cannot_be_read_is_none() {
    let body = tenant_json(TENANT, "x").to_string();
    for date in
        ["", "Date: \r\n", "Date: yesterday\r\n", "Date: 2026-12-01T00:00:00Z\r\n", "Date: \u{7f}\r\n"]
    {
        let text = format!("HTTP/1.1 200 OK\r\n{date}Content-Length: {}\r\n\r\n{body}", body.len());
        let server = server_answering(server::raw(&text)).await;
        if let Ok(tenant) = client_for(&server).tenant(&tenant_id()).await {
            assert_eq!(tenant.date, None, "{date}");
        }
    }
}
