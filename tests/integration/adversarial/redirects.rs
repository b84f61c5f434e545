//! No redirect is followed.

use super::{
    beside_a_right_one,
    servers::{Habit, Server},
    the_rest_goes_on,
};
use crate::harness::{PATIENCE, Test, condition, reason, until_connection};

#[tokio::test(flavor = "multi_thread")]
async fn none_of_ten_thousand_redirects_is_followed() {
    let test = Test::new("redirects").await;
    let (chain, chain_of_tokens) = (
        Server::start(Habit::Redirect { of: 10_000 }, false).await,
        Server::start(Habit::Redirect { of: 10_000 }, true).await,
    );
    // A platform that takes what another one was meant to get.
    let elsewhere = Server::start(Habit::Redirect { of: 1 }, true).await;
    let away = Habit::RedirectTo(format!("{}/elsewhere/token", elsewhere.url("http")));
    let sends_away = Server::start(away, true).await;
    let mut options = test.controller_options();
    options
        .allowed_hosts
        .extend([&chain, &chain_of_tokens, &sends_away, &elsewhere].map(|server| server.url("http")));
    let wrong = [
        ("chain", chain.url("http")),
        ("chain-of-tokens", chain_of_tokens.url("http")),
        ("sends-away", sends_away.url("http")),
    ];
    beside_a_right_one(&test, &wrong).await;
    test.controller_with(&options).await;
    the_rest_goes_on(&test, "meanwhile").await;
    for name in ["chain-of-tokens", "sends-away"] {
        // Not the token endpoint of a platform, then.
        let said = until_connection(&test, name, "PlatformUnavailable").await;
        assert!(said.contains("308") && said.contains("spec.url"), "{said}");
    }
    let reports_it = |object: &_| reason(object, "Reconciling") == "PlatformUnavailable";
    let object = test.until("chain", "reports it", reports_it).await;
    let message = &condition(&object, "Reconciling").unwrap().message;
    assert!(message.contains("308") && message.contains("redirects are not followed"), "{message}");
    for server in [&chain, &chain_of_tokens, &sends_away] {
        test.wait_for("it was asked", PATIENCE, async || (server.requests() > 0).then_some(())).await;
        assert_eq!(server.redirected(), 0, "of {} requests", server.requests());
    }
    assert_eq!(elsewhere.requests(), 0);
    test.finish().await;
}
