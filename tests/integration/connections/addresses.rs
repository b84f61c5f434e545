//! A wrong address: each has its reason, in words that name it.

use serde_json::{Value, json};
use tenant_pricing_controller::simulator::{Fault, FaultAction, Operation, TenantSpec};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use crate::harness::{Test, has, reason, until_connection};

/// A web server that is not the platform, and its URL.
async fn another_server() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut request = [0; 4096];
                let _ = stream.read(&mut request).await;
                let answer = b"HTTP/1.1 404 Not Found\r\ncontent-type: text/html\r\ncontent-length: 4\r\nconnection: close\r\n\r\noops";
                let _ = stream.write_all(answer).await;
            });
        }
    });
    url
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_address_is_named_and_the_others_work_on() {
    let test = Test::new("addresses").await;
    let (another_server, simulator) = (another_server().await, test.simulator.address());
    let closed = "http://127.0.0.1:1".to_owned();
    let encrypted = format!("https://{simulator}");
    let unlisted = format!("http://localhost:{}", simulator.port());
    let cases = [
        ("absent", &closed, "PlatformUnavailable"),
        ("encrypted", &encrypted, "PlatformUnavailable"),
        ("another-server", &another_server, "PlatformUnavailable"),
        ("unlisted", &unlisted, "HostNotAllowed"),
    ];
    for (name, url, _) in cases {
        test.connection(name, json!({"url": url})).await;
    }
    test.connection("right", json!({})).await;
    let mut options = test.controller_options();
    options.allowed_hosts.extend([another_server.clone(), closed.clone(), simulator.to_string()]);
    test.controller_with(&options).await;
    let tenant = test.simulator.add_tenant(TenantSpec::customer("Acme GmbH"));
    for (name, ..) in cases {
        let spec = json!({"tenant": {"id": tenant}, "connectionRef": {"name": name}});
        test.tenant_pricing(name, spec).await;
    }
    test.production("right", &tenant, json!({"connectionRef": {"name": "right"}})).await;
    test.until("right", "is switched", |object| has(object, "Production", "True")).await;
    for (name, url, expected) in cases {
        let said = until_connection(&test, name, expected).await;
        assert!(said.contains("spec.url"), "{url}: {said}");
        let condition = if expected == "HostNotAllowed" { "Stalled" } else { "Reconciling" };
        let object = test.until(name, "reports it", |object| has(object, condition, "True")).await;
        let own = if expected == "HostNotAllowed" { "ConnectionNotReady" } else { expected };
        assert_eq!(reason(&object, condition), own, "{name}");
    }
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_is_not_reported_as_rejected_credentials() {
    let test = Test::new("token-answers").await;
    let answers: [(&str, FaultAction, &str); 3] = [
        (
            "broken",
            FaultAction::Error { status: 500, code: 1000.into(), retry_after: None, after_effect: false },
            "PlatformUnavailable",
        ),
        (
            "forbidden",
            FaultAction::Error { status: 403, code: 1002.into(), retry_after: None, after_effect: false },
            "CredentialsRejected",
        ),
        ("nonsense", FaultAction::MalformedJson, "PlatformUnavailable"),
    ];
    for (name, action, expected) in answers {
        let fault = test.simulator.inject(Fault::new(action).on(Operation::Token));
        test.connection(name, Value::Object(serde_json::Map::new())).await;
        if test.controllers().is_empty() {
            test.controller().await;
        }
        let said = until_connection(&test, name, expected).await;
        assert!(said.ends_with('.'), "{said}");
        test.simulator.clear_fault(fault);
    }
    test.finish().await;
}
