//! No secret and no token appears in any output, however much is logged and whatever goes wrong. The harness's verdict
//! searches for the simulator's secrets and tokens, in each of their forms.

use std::time::Duration;

use serde_json::json;
use tenant_pricing_controller::simulator::{Fault, FaultAction, Operation, TenantSpec};

use super::{answered_after_effect, customer_with, is_switched};
use crate::harness::{PATIENCE, Test, has, reason};

/// A corrected Secret is read within 30 s.
const CORRECTED_WITHIN: Duration = Duration::from_secs(45);

#[tokio::test(flavor = "multi_thread")]
async fn a_switch_logged_in_full_gives_nothing_away() {
    let test = Test::new("traced").await;
    test.connection("default", json!({})).await;
    let mut options = test.controller_options();
    options.log_level = "trace".to_owned();
    let controller = test.controller_with(&options).await;
    let plain = test.simulator.add_tenant(TenantSpec::customer("plain"));
    test.production("plain", &plain, json!({})).await;
    test.until("plain", "is switched", is_switched).await;
    // The platform sends back what authorised the request, as a code and as text.
    let is_token = |secret: &String| secret.contains('.');
    let token = test.simulator.issued_secrets().into_iter().rfind(is_token).unwrap();
    // A good part of it is as bad; a code is never longer than 64 letters.
    let token = token[..token.len() / 2].to_owned();
    test.keep_secret(&token);
    let echo =
        |status, text: &str| FaultAction::answer(status, format!(r#"{{"error":{{"code":"{text}"}}}}"#));
    let tenant = customer_with(&test, "echoed", echo(400, &token));
    test.production("echoed", &tenant, json!({})).await;
    let object = test.until("echoed", "is refused", |object| has(object, "Stalled", "True")).await;
    assert_eq!(reason(&object, "Stalled"), "PlatformRefused");
    let tenant = test.simulator.add_tenant(TenantSpec::customer("unreadable"));
    test.simulator.inject(Fault::new(echo(403, &token)).on(Operation::FetchTenants).tenant(&tenant).once());
    test.production("unreadable", &tenant, json!({})).await;
    test.until("unreadable", "is refused", |object| reason(object, "Stalled") == "AccessDenied").await;
    // Then tokens end, and what comes is nonsense.
    test.simulator.revoke_tokens();
    let nonsense = FaultAction::PlainText { text: token.clone() };
    test.simulator.inject(Fault::new(nonsense).on(Operation::FetchTenant).once());
    for (name, action) in [
        ("rejected", FaultAction::error(401, 401)),
        ("lost", answered_after_effect(500, &token)),
        ("malformed", FaultAction::MalformedJson),
    ] {
        let tenant = customer_with(&test, name, action);
        test.expect_puts(&tenant, 2);
        test.production(name, &tenant, json!({})).await;
    }
    for name in ["rejected", "lost", "malformed"] {
        test.until_within(2 * PATIENCE, name, "is switched", is_switched).await;
    }
    assert!(test.simulator.tokens() >= 2, "a new token was fetched");
    assert!(controller.log().contains("\"TRACE\""), "the log is as full as it gets");
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_is_wrong_is_not_shown_and_works_once_corrected() {
    let test = Test::new("wrong-secret").await;
    let (id, right) = (test.simulator.client_id(), test.simulator.client_secret());
    // Each is refused for a different cause: by the platform, as text, and by its characters.
    let wrong = [
        ("rejected", "a-secret-from-another-client-8d1f", "ConnectionNotReady"),
        ("two-lines", "first-line-of-a-secret-77ab\nsecond-line-c3", "ConnectionNotReady"),
    ];
    for (name, text, _) in wrong {
        text.lines().for_each(|line| test.keep_secret(line));
        test.connection(name, json!({})).await;
        test.secret(name, json!({"clientId": id, "clientSecret": text})).await;
    }
    test.connection("swapped", json!({})).await;
    test.keep_secret("a-secret-where-the-id-belongs!");
    test.secret("swapped", json!({"clientId": "a-secret-where-the-id-belongs!", "clientSecret": id})).await;
    let mut options = test.controller_options();
    options.log_level = "trace".to_owned();
    test.controller_with(&options).await;
    let names = ["rejected", "two-lines", "swapped"];
    for name in names {
        let tenant = test.simulator.add_tenant(TenantSpec::customer(name));
        test.production(name, &tenant, json!({"connectionRef": {"name": name}})).await;
    }
    for name in names {
        let object = test.until(name, "is stalled", |object| has(object, "Stalled", "True")).await;
        assert_eq!(reason(&object, "Stalled"), "ConnectionNotReady", "{name}");
    }
    for name in names {
        test.secret(name, json!({"clientId": id, "clientSecret": right})).await;
    }
    for name in names {
        test.until_within(CORRECTED_WITHIN, name, "is switched", is_switched).await;
    }
    test.finish().await;
}
