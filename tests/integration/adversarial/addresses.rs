//! An allowed name that leads to an address that is not allowed.

use std::fs;

use serde_json::json;
use tenant_pricing_controller::simulator::TenantSpec;

use super::the_rest_goes_on;
use crate::harness::{PATIENCE, Test, has, reason, until_connection};

#[tokio::test(flavor = "multi_thread")]
async fn a_name_of_a_private_address_is_refused_unless_listed() {
    let test = Test::new("private").await;
    let port = test.simulator.address().port();
    let hosts = test.directory().join("hosts");
    let names = [
        ("loopback", "127.0.0.1", "a loopback address"),
        ("private", "10.11.12.13", "a private address"),
        ("metadata", "169.254.169.254", "a link-local address"),
        ("mapped", "::ffff:127.0.0.1", "a loopback address"),
        ("local", "fd00:ec2::254", "a unique local address"),
    ];
    let line = |(name, address, _): &(&str, &str, &str)| format!("{address} {name}.lab.test");
    let lines = names.iter().map(line).collect::<Vec<_>>().join("\n");
    fs::write(&hosts, format!("{lines}\n127.0.0.1 named.lab.test\n127.0.0.1 right.lab.test\n")).unwrap();
    let url = |name: &str| format!("http://{name}.lab.test:{port}");
    for (name, ..) in names {
        test.connection(name, json!({"url": url(name)})).await;
        let tenant = test.simulator.add_tenant(TenantSpec::customer(name));
        test.production(name, &tenant, json!({"connectionRef": {"name": name}})).await;
    }
    test.connection("right", json!({"url": url("right")})).await;
    test.connection("named", json!({"url": url("named")})).await;
    let mut options = test.controller_options();
    options.allowed_hosts = vec![format!("http://*.lab.test:{port}"), url("right")];
    let options = options.argument(format!("--test-hosts-file={}", hosts.display()));
    let controller = test.controller_with(&options).await;
    the_rest_goes_on(&test, "meanwhile").await;
    for (name, address, kind) in names {
        let said = until_connection(&test, name, "HostNotAllowed").await;
        let way_out = format!("have {} added to --allowed-hosts", url(name));
        assert!(said.contains(&way_out), "{said}");
        assert!(!said.contains(address) && !said.contains(kind), "{said}");
        let object = test.until(name, "reports it", |object| has(object, "Stalled", "True")).await;
        assert_eq!(reason(&object, "Stalled"), "ConnectionNotReady", "{name}");
    }
    assert_eq!(test.simulator.tokens(), 1, "credentials were sent through the one that is right");

    // The remedy that the message names.
    until_connection(&test, "named", "HostNotAllowed").await;
    controller.terminate().await;
    controller.wait(PATIENCE).await.unwrap();
    let mut extended = options.clone();
    extended.allowed_hosts.push(url("named"));
    test.controller_with(&extended).await;
    until_connection(&test, "named", "CredentialsAccepted").await;
    the_rest_goes_on(&test, "later").await;
    test.finish().await;
}
