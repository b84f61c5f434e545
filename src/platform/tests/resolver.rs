//! The addresses that a host name may have.

use std::net::IpAddr;

use super::*;

/// Options for a host of this name at the server's port, with these addresses.
fn options_for(server: &Server, host: &str, entry: &str, resolver: Resolver) -> ClientOptions {
    let port = server.port();
    ClientOptions {
        origin: Origin::parse(&format!("http://{host}:{port}")).unwrap(),
        allowed_hosts: AllowedHosts::parse(&entry.replace("PORT", &port.to_string())).unwrap(),
        resolver,
        ..options(&server.url())
    }
}

fn at(addresses: &'static [&str]) -> Resolver {
    let addresses: Vec<IpAddr> = addresses.iter().map(|address| address.parse().unwrap()).collect();
    Resolver::from_function(move |_| Some(addresses.clone()))
}

async fn read(options: ClientOptions) -> Result<Tenant, PlatformError> {
    let client = SwitchClient::new(options, Arc::new(Source::new())).unwrap();
    timed(client.tenant(&tenant_id())).await.0.map(|tenant| tenant.value)
}

#[tokio::test(start_paused = true)]
async fn an_allowed_name_with_a_private_address_gets_no_request() {
    let server = server_answering(answer(200, &tenant_json(TENANT, "x"))).await;
    for (addresses, kind) in [
        (&["127.0.0.1"][..], "a loopback address"),
        (&["::1"], "a loopback address"),
        (&["10.1.2.3"], "a private address"),
        (&["169.254.169.254"], "a link-local address"),
        (&["fd00::7"], "a unique local address"),
        (&["::ffff:127.0.0.1"], "a loopback address"),
        // One private address among public ones is enough: its sender cannot be trusted for the rest of the answer.
        (&["8.8.8.8", "127.0.0.1"], "a loopback address"),
    ] {
        let error = read(options_for(&server, "eu2.lab.test", "http://*.lab.test:PORT", at(addresses)))
            .await
            .unwrap_err();
        assert_eq!(error.class(), ErrorClass::HostNotAllowed, "{addresses:?}: {error}");
        let port = server.port();
        assert_eq!(
            error.to_string(),
            format!(
                "fetching an access token failed: eu2.lab.test has an address here that is not public. The \
                 allow-list admits such an address only for a host that it names with its port. If the address is meant, \
                 have http://eu2.lab.test:{port} added to --allowed-hosts"
            )
        );
        for address in addresses {
            let text = format!("{error} {error:?}");
            assert!(!text.contains(address) && !text.contains(kind), "no address is revealed");
        }
    }
    assert_eq!(server.requests().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_host_listed_with_its_port_is_reached_at_any_address() {
    let server = server_answering(answer(200, &tenant_json(TENANT, "x"))).await;
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    let lookup = Resolver::from_function(move |name| {
        assert_eq!(name, "eu2.lab.test");
        counted.fetch_add(1, Ordering::SeqCst);
        Some(vec!["127.0.0.1".parse().unwrap()])
    });
    let options =
        options_for(&server, "eu2.lab.test", "http://*.lab.test:PORT,http://eu2.lab.test:PORT", lookup);
    assert_eq!(read(options).await.unwrap().name, "x");
    assert_eq!(asked.load(Ordering::SeqCst), 1, "what was checked is what is connected to");
}

#[tokio::test(start_paused = true)]
async fn a_name_without_an_address_is_an_outage() {
    let server = server_answering(answer(200, &tenant_json(TENANT, "x"))).await;
    let options = options_for(&server, "eu2.lab.test", "http://*.lab.test:PORT", at(&[]));
    let error = read(options).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Unavailable);
    assert!(error.to_string().contains("the host name could not be resolved"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn an_address_needs_no_lookup_and_a_proxy_resolves_names() {
    let server = server_answering(answer(200, &tenant_json(TENANT, "x"))).await;
    let never = || Resolver::from_function(|name| panic!("{name} was looked up"));
    assert!(read(options_for(&server, "127.0.0.1", "http://127.0.0.1:PORT", never())).await.is_ok());
    let proxy = Server::start(|request, _| {
        let is_token = request.target.ends_with("/idp/token");
        Some(answer(200, &if is_token { token_json("t", 7200) } else { tenant_json(TENANT, "x") }))
    })
    .await;
    let options = options_for(&server, "eu2.lab.test", "http://*.lab.test:PORT", never());
    let through = ClientOptions { proxy: Some(ProxyUrl::parse(&proxy.url()).unwrap()), ..options };
    assert!(read(through).await.is_ok());
    let expected = format!("http://eu2.lab.test:{}/api/2/tenants/{TENANT}", server.port());
    assert_eq!(proxy.requests()[1].target, expected);
}
