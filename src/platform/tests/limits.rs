//! Timeouts, the route to the host, and the pause that the platform asks for.

use tokio::{io::AsyncWriteExt, net::TcpListener};

use super::*;

const AUTHORITY: &str = include_str!("tls/authority.pem");

#[tokio::test(start_paused = true)]
async fn a_read_ends_after_thirty_seconds() {
    let drip: Vec<Step> =
        std::iter::once(Step::Send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n".to_vec()))
            .chain((0..1000).flat_map(|_| [Step::Send(b" ".to_vec()), Step::Wait(Duration::from_secs(1))]))
            .collect();
    for steps in [vec![Step::Hang], drip] {
        let server = server_answering(steps).await;
        let client = client_for(&server);
        client.ready_to_put().await.map(drop).unwrap();
        let (result, took) = timed(client.tenant(&tenant_id())).await;
        let error = result.unwrap_err();
        assert_eq!(error.class(), ErrorClass::Unavailable);
        assert_eq!(
            error.to_string(),
            format!("reading tenant {TENANT} failed: no complete answer came within the time limit")
        );
        assert!((30..=31).contains(&took.as_secs()), "{took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_comes_late_but_in_time_is_taken() {
    let steps = [vec![Step::Wait(Duration::from_secs(28))], answer(200, &tenant_json(TENANT, "x"))].concat();
    let server = server_answering(steps).await;
    let client = client_for(&server);
    let (result, _) = timed(client.tenant(&tenant_id())).await;
    assert!(result.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_connection_comes_up_within_five_seconds_or_not_at_all() {
    let _clock = server::hold_the_clock();
    // Accepts connections, and never starts TLS.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}", silent.local_addr().unwrap());
    let client = SwitchClient::new(options(&url), Arc::new(Source::new())).unwrap();
    let (result, took) = timed(client.ready_to_put()).await;
    let error = result.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Unavailable);
    assert_eq!(
        error.to_string(),
        "fetching an access token failed: no connection was established within 5 seconds"
    );
    assert!((5..=6).contains(&took.as_secs()), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_connection_failure_is_explained() {
    let _clock = server::hold_the_clock();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let plain = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let no_tls = format!("https://{}", plain.local_addr().unwrap());
    tokio::spawn(async move {
        let (mut stream, _) = plain.accept().await.unwrap();
        stream.write_all(b"HTTP/1.1 400 this is not TLS\r\n\r\n").await.unwrap();
        std::future::pending::<()>().await;
    });
    for (url, words) in [
        (format!("http://{address}"), "the connection was refused"),
        (no_tls, "no TLS connection was established"),
    ] {
        let client = SwitchClient::new(options(&url), Arc::new(Source::new())).unwrap();
        let error = client.tenant(&tenant_id()).await.unwrap_err();
        assert_eq!(error.class(), ErrorClass::Unavailable);
        assert_eq!(error.to_string(), format!("fetching an access token failed: {words}"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_host_that_is_not_allowed_is_never_asked() {
    let server = server_answering(answer(200, &json!({}))).await;
    for list in ["*.acronis.com", "127.0.0.1", "http://127.0.0.1", "http://127.0.0.1:1"] {
        let options =
            ClientOptions { allowed_hosts: AllowedHosts::parse(list).unwrap(), ..options(&server.url()) };
        let error = SwitchClient::new(options, Arc::new(Source::new())).unwrap_err();
        assert_eq!(error.class(), ErrorClass::HostNotAllowed);
        // The list may name hosts that the readers of a status need not know.
        let expected = format!(
            "preparing the connection failed: {} is not among the hosts that the controller may talk to; correct the \
             URL, or have the host added with --allowed-hosts",
            server.url()
        );
        assert_eq!(error.to_string(), expected, "{list}");
    }
    assert_eq!(server.requests().len(), 0);
}

#[test]
fn a_partly_unusable_ca_bundle_is_refused_with_the_place() {
    let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    let garbage = "-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n";
    let second = format!("{AUTHORITY}{broken}");
    let none = "spec.caBundle holds no certificate; it must be PEM text";
    for (pem, expected) in [
        ("", none),
        ("not PEM", none),
        (key, none),
        ("-----BEGIN CERTIFICATE-----", "certificate 1 of spec.caBundle cannot be read"),
        (broken, "certificate 1 of spec.caBundle cannot be read; it must be PEM text"),
        (garbage, "certificate 1 of spec.caBundle cannot be read"),
        (&second, "certificate 2 of spec.caBundle cannot be read"),
    ] {
        let options = ClientOptions { ca_bundle: Some(pem.into()), ..options("https://127.0.0.1") };
        let error = SwitchClient::new(options, Arc::new(Source::new())).expect_err(pem);
        assert_eq!(error.class(), ErrorClass::InvalidConfiguration, "{pem}");
        let text = error.to_string();
        assert!(text.contains(expected) && text.contains("-----BEGIN CERTIFICATE-----"), "{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_proxy_is_used_when_configured() {
    let proxy = server_answering(answer(200, &tenant_json(TENANT, "x"))).await;
    let token = |request: &Request, _| {
        request.target.ends_with("/idp/token").then(|| answer(200, &token_json("t", 7200)))
    };
    let through = Server::start(move |request, earlier| {
        token(request, earlier).or_else(|| Some(answer(200, &tenant_json(TENANT, "x"))))
    })
    .await;
    let options =
        ClientOptions { proxy: Some(ProxyUrl::parse(&through.url()).unwrap()), ..options(&proxy.url()) };
    let client = SwitchClient::new(options, Arc::new(Source::new())).unwrap();
    client.tenant(&tenant_id()).await.unwrap();
    assert_eq!(proxy.requests().len(), 0, "the platform itself is reached through the proxy only");
    let targets: Vec<_> = through.requests().into_iter().map(|request| request.target).collect();
    assert_eq!(targets[1], format!("{}/api/2/tenants/{TENANT}", proxy.url()));
}

#[tokio::test(start_paused = true)]
async fn a_proxy_that_only_the_environment_names_is_not_used() {
    const NAMES: [&str; 6] =
        ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"];
    const MARK: &str = "IN_AN_ENVIRONMENT_WITH_A_PROXY";
    if std::env::var_os(MARK).is_none() {
        // This runs once more, in a process with the environment under test.
        let test = "platform::tests::limits::a_proxy_that_only_the_environment_names_is_not_used";
        let proxy = Server::start(|_, _| None).await;
        let output = tokio::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", test])
            .envs(NAMES.map(|name| (name, proxy.url())))
            .env_remove("NO_PROXY")
            .env_remove("no_proxy")
            .env(MARK, "1")
            .output()
            .await
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"));
        assert_eq!(proxy.requests().len(), 0);
        return;
    }
    let server = server_answering(answer(200, &tenant_json(TENANT, "x"))).await;
    client_for(&server).tenant(&tenant_id()).await.unwrap();
    assert_eq!(server.requests().len(), 2);
}

#[test]
fn nothing_that_is_printed_shows_a_secret() {
    let proxy = Some(ProxyUrl::parse("http://user:hunter2@127.0.0.1:1").unwrap());
    let options = ClientOptions { proxy, ..options("http://127.0.0.1:2") };
    assert!(!format!("{options:?}").contains("hunter2"));
    let client = SwitchClient::new(options, Arc::new(Source::new())).unwrap();
    assert!(!format!("{client:?}").contains("hunter2"));
    assert!(!format!("{:?}", credentials(CLIENT_ID)).contains(CLIENT_SECRET));
}

/// A server whose first answer asks for a pause. Later answers are good.
async fn pausing(status: u16, headers: &'static str) -> Server {
    Server::start(move |request, earlier| {
        let good = || answer(200, &tenant_json(TENANT, "x"));
        (!request.is_token()).then(|| if earlier == 0 { server::text(status, headers, "") } else { good() })
    })
    .await
}

#[tokio::test(start_paused = true)]
async fn a_pause_holds_for_every_call_of_the_client() {
    for (status, headers, seconds) in [
        (429, "Retry-After: 20\r\n", 20),
        (503, "Retry-After: 20\r\n", 20),
        (429, "Retry-After: Tue, 01 Dec 2026 00:00:20 GMT\r\n", 20),
        (429, "Retry-After: 0\r\n", 1),
        (429, "Retry-After: 1000000\r\n", 3600),
    ] {
        let server = pausing(status, headers).await;
        let client = client_for(&server);
        let error = client.tenant(&tenant_id()).await.unwrap_err();
        assert_eq!((error.class(), error.status()), (ErrorClass::Throttled, Some(status)));
        assert_eq!(error.retry_after(), Some(Duration::from_secs(seconds)), "{headers}");
        let clone = client.clone();
        for error in [
            clone.tenant(&tenant_id()).await.unwrap_err(),
            clone.pricing(&tenant_id()).await.unwrap_err(),
            clone.own_tenant().await.unwrap_err(),
            clone.ready_to_put().await.unwrap_err(),
        ] {
            assert_eq!((error.class(), error.status()), (ErrorClass::Throttled, Some(status)), "{headers}");
            assert_eq!(error.retry_after(), Some(Duration::from_secs(seconds)), "{headers}");
        }
        assert_eq!(server.calls().len(), 1, "{headers}");
        tokio::time::advance(Duration::from_millis(seconds * 1000 - 1)).await;
        assert_eq!(class(client.tenant(&tenant_id()).await), ErrorClass::Throttled, "{headers}");
        tokio::time::advance(Duration::from_millis(1)).await;
        assert!(client.tenant(&tenant_id()).await.is_ok(), "{headers}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_503_that_names_no_time_is_an_outage_and_no_pause() {
    let server = pausing(503, "").await;
    let client = client_for(&server);
    assert_eq!(class(client.tenant(&tenant_id()).await), ErrorClass::Unavailable);
    assert!(client.tenant(&tenant_id()).await.is_ok());
}
