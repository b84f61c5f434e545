//! The faults of the platform that a run draws from: each on each call.

use std::time::Duration;

use tenant_pricing_controller::simulator::{ExpiryForm, Fault, FaultAction, Operation, TimeFormat};

use super::action::Console;

/// The calls that a controller makes.
pub const CALLS: [Operation; 7] = [
    Operation::Token,
    Operation::FetchClient,
    Operation::Search,
    Operation::FetchTenants,
    Operation::FetchTenant,
    Operation::FetchPricing,
    Operation::PutPricing,
];

/// Everything that can go wrong with a call, on any of them.
fn anywhere() -> Vec<FaultAction> {
    let after = |status: u16, code: i64, after_effect| FaultAction::Error {
        status,
        code: code.into(),
        retry_after: None,
        after_effect,
    };
    let page = |status: u16, after_effect| FaultAction::Answer {
        status,
        body: "<html>sign in</html>".to_owned(),
        headers: [("content-type".to_owned(), "text/html".to_owned())].into(),
        after_effect,
    };
    vec![
        FaultAction::DropBefore,
        FaultAction::DropAfterEffect,
        after(500, 1000, false),
        after(500, 1000, true),
        after(503, 1000, true),
        after(401, 401, false),
        after(401, 401, true),
        after(403, 1002, false),
        after(404, 1005, false),
        after(408, 408, true),
        after(423, 1012, false),
        after(409, 1001, false),
        after(400, 1001, false),
        after(400, 1027, false),
        page(200, false),
        page(200, true),
        page(401, false),
        page(403, false),
        page(404, false),
        page(499, true),
        page(502, false),
        FaultAction::RetryAfterSeconds { status: 429, seconds: 1 },
        FaultAction::RetryAfterDate { status: 503, seconds: 2 },
        FaultAction::Redirect { status: 307, location: "http://127.0.0.1:9/".to_owned() },
        FaultAction::delay(Duration::from_millis(1500)),
        FaultAction::delay(Duration::from_secs(9)),
        FaultAction::delay_after_effect(Duration::from_secs(9)),
        FaultAction::Drip { milliseconds: 40, bytes: 3 },
        FaultAction::MalformedJson,
        FaultAction::TruncatedBody,
        FaultAction::EmptyBody,
        FaultAction::PlainText { text: "upstream connect error".to_owned() },
        FaultAction::WrongContentType { content_type: "text/html".to_owned() },
        FaultAction::Oversized { bytes: 2 * 1024 * 1024 },
        FaultAction::MissingDate,
        FaultAction::DateOffset { seconds: -90 },
        FaultAction::DateOffset { seconds: 90 },
        FaultAction::TextErrorCodes,
    ]
}

/// What only one call can do.
fn somewhere() -> Vec<(Operation, FaultAction)> {
    use Operation::{FetchPricing, FetchTenant, FetchTenants, PutPricing, Search, Token};
    let mut all = vec![
        (Token, FaultAction::TokenLifetime { seconds: 5 }),
        (Token, FaultAction::TokenExpiry { form: ExpiryForm::Neither }),
        (Token, FaultAction::TokenExpiry { form: ExpiryForm::ExpiresOn }),
        (Search, FaultAction::SearchLag { seconds: 30 }),
        (FetchTenants, FaultAction::OmitTenant),
        (FetchTenants, FaultAction::HidePricingMode),
        (FetchTenants, FaultAction::StaleRead),
        (FetchTenants, FaultAction::RepeatedCursor),
        (FetchTenants, FaultAction::PageLimit { limit: 2 }),
        (FetchPricing, FaultAction::StaleRead),
        (FetchPricing, FaultAction::NullProductionStart),
        (FetchPricing, FaultAction::TimeFormat { format: TimeFormat::Offset }),
        (FetchTenants, FaultAction::TimeFormat { format: TimeFormat::Fraction }),
        (PutPricing, FaultAction::VersionConflict { status: 400 }),
        (PutPricing, FaultAction::ProductionAgain { status: 200, code: 1027.into() }),
    ];
    // Between our read and our PUT, or between the PUT and the read after it.
    for change in Console::ALL {
        let change = FaultAction::Change { change: change.change(), while_in: Some("trial".to_owned()) };
        all.push((FetchTenant, change.clone()));
        all.push((FetchPricing, change));
    }
    all
}

/// Each fault on each call that it can meet, for a small number of requests.
pub fn all() -> Vec<Fault> {
    let anywhere =
        CALLS.into_iter().flat_map(|call| anywhere().into_iter().map(move |action| (call, action)));
    // A page with 200 in place of the PUT proves nothing. Beside a fault that takes its text away it would be an
    // acceptance without an effect, which stays open for ten minutes.
    let is_a_lie = |call: Operation, action: &FaultAction| {
        call == Operation::PutPricing
            && matches!(action, FaultAction::Answer { status: 200, after_effect: false, .. })
    };
    let all = anywhere.chain(somewhere()).filter(|(call, action)| !is_a_lie(*call, action));
    all.map(|(call, action)| Fault::new(action).on(call)).collect()
}

/// Whether it makes the platform reject the credentials: then nothing goes through the connection for half a minute.
pub fn rejects(fault: &Fault) -> bool {
    // A page without the platform's error body rejects nothing.
    let FaultAction::Error { status, .. } = fault.action else { return false };
    let on_token = fault.operation == Some(Operation::Token) && (400..500).contains(&status);
    on_token || (status == 401 && fault.operation != Some(Operation::PutPricing))
}

/// The name of what a fault does, without its values.
pub fn name(fault: &Fault) -> String {
    let text = match &fault.action {
        FaultAction::Error { status, code, after_effect, .. } => {
            let after = if *after_effect { " after effect" } else { "" };
            let code = serde_json::to_value(code).unwrap_or_default();
            return format!("{status} {code}{after}");
        }
        FaultAction::Answer { status, after_effect, .. } => {
            let after = if *after_effect { " after effect" } else { "" };
            return format!("foreign page {status}{after}");
        }
        FaultAction::Change { .. } => return "tenant changed in between".to_owned(),
        action => format!("{action:?}"),
    };
    text.split([' ', '{']).next().unwrap_or_default().to_owned()
}

/// The word under which a fault is counted.
pub fn kind(fault: &Fault) -> String {
    let call = fault.operation.map_or_else(|| "any".to_owned(), |call| format!("{call:?}"));
    format!("{call}: {}", name(fault))
}
