//! A request to a server that answers a byte at a time, or not at all, ends after a time.

use std::time::Duration;

use super::{
    beside_a_right_one,
    servers::{Habit, Server},
    the_rest_goes_on,
};
use crate::harness::{Test, has, reason, until_connection_within};

/// A read is given up after 30 s.
const GIVEN_UP_WITHIN: Duration = Duration::from_secs(75);

/// Other connections continue.
#[tokio::test(flavor = "multi_thread")]
async fn slow_and_silent_servers_are_given_up() {
    let test = Test::new("slow").await;
    let late = "no complete answer came within the time limit";
    let cases = [
        ("token-head", Habit::DripHead, true, "http", late),
        ("token-body", Habit::DripBody, true, "http", late),
        ("head", Habit::DripHead, false, "http", late),
        ("body", Habit::DripBody, false, "http", late),
        ("mute", Habit::Mute, true, "http", late),
        ("mute-tls", Habit::Mute, true, "https", "no connection was established within 5 seconds"),
    ];
    let (mut servers, mut wrong) = (Vec::new(), Vec::new());
    let mut options = test.controller_options();
    for (name, habit, token_too, scheme, _) in &cases {
        let server = Server::start(habit.clone(), *token_too).await;
        let url = server.url(scheme);
        options.allowed_hosts.push(url.strip_prefix("https://").unwrap_or(&url).to_owned());
        wrong.push((*name, url));
        servers.push(server);
    }
    beside_a_right_one(&test, &wrong).await;
    test.controller_with(&options).await;
    the_rest_goes_on(&test, "meanwhile").await;
    for (name, _, _, _, words) in &cases {
        let said = until_connection_within(&test, GIVEN_UP_WITHIN, name, "PlatformUnavailable").await;
        assert!(said.contains(words), "{name}: {said}");
        let reports_it = |object: &_| has(object, "Reconciling", "True");
        let object = test.until_within(GIVEN_UP_WITHIN, name, "reports it", reports_it).await;
        assert_eq!(reason(&object, "Reconciling"), "PlatformUnavailable", "{name}");
    }
    the_rest_goes_on(&test, "later").await;
    test.finish().await;
}
