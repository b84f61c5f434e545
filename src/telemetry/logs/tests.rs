use super::*;
use crate::telemetry::capture::Log;

/// What is logged at this level of an event of each kind that matters here.
fn logged(level: &str) -> String {
    let log = Log::new();
    let writer = log.clone();
    let (filter, caps) = filters(level).unwrap();
    let lines = fmt::layer().with_ansi(false).with_writer(move || writer.clone());
    let subscriber = tracing_subscriber::registry().with(filter).with(caps).with(lines);
    tracing::subscriber::with_default(subscriber, || {
        let span = tracing::error_span!(target: "kube_client::client::builder", "HTTP");
        let _inside = span.enter();
        tracing::warn!(target: "kube_client::client", "a whole Secret");
        tracing::debug!(target: "kube_client::client", "an answer of a proxy");
        tracing::error!(target: "kube_client::client::builder", "failed to connect");
        tracing::trace!(target: "reqwest::connect", "the bytes of a token");
        tracing::trace!(target: "reqwest::connect::verbose", "the bytes of a token");
        tracing::debug!(target: "tenant_pricing_controller", "decided");
        tracing::trace!(target: "kube_runtime::watcher", "looked");
    });
    log.text()
}

#[test]
fn what_may_hold_a_secret_is_not_logged_whatever_the_level_says() {
    for level in [
        "info",
        "trace",
        "warn,kube_client=trace,reqwest=trace",
        "info,kube_client::client=trace,reqwest::connect=trace,reqwest::connect::verbose=trace",
        "info,kube_client[HTTP]=trace,[HTTP]=trace",
    ] {
        let log = logged(level);
        for hidden in ["Secret", "proxy", "token"] {
            assert!(!log.contains(hidden), "{level}: {log}");
        }
        assert!(log.contains("failed to connect"), "{level}: {log}");
    }
}

#[test]
fn everything_else_is_logged_as_the_level_says() {
    let log = logged("trace");
    assert!(log.contains("decided") && log.contains("looked"), "{log}");
    let log = logged("info,tenant_pricing_controller=debug");
    assert!(log.contains("decided") && !log.contains("looked"), "{log}");
    assert!(!logged("error").contains("decided"));
}

#[test]
fn a_level_that_is_none_is_named() {
    let error = start_logging(LogFormat::Text, "tenant_pricing_controller=loud").unwrap_err();
    assert!(error.to_string().contains("loud"), "{error}");
}
