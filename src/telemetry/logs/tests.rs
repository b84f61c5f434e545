use super::*;
use crate::telemetry::capture::Log;

/// The log at this level of one event of each relevant kind.
fn logged(level: &str) -> String {
    let log = Log::new();
    let writer = log.clone();
    let (filter, caps) = filters(&level.parse().unwrap()).unwrap();
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
        tracing::trace!(target: "kube_runtime::watcher", "listed");
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
    assert!(log.contains("decided") && log.contains("listed"), "{log}");
    let log = logged("info,tenant_pricing_controller=debug");
    assert!(log.contains("decided") && !log.contains("listed"), "{log}");
    assert!(!logged("error").contains("decided"));
}

#[test]
fn a_word_that_is_no_level_is_refused_by_name() {
    for (text, named) in [
        ("warning", "\"warning\" is no level"),
        ("verbose", "\"verbose\" is no level"),
        ("info,warning", "\"warning\" is no level"),
        ("tenant_pricing_controller", "is no level"),
        ("tenant_pricing_controller=loud", "ends in something that is no level"),
        ("info,kube=3", "\"kube=3\" ends in"),
        ("tenant-pricing-controller=debug", "with '_'"),
        ("info,tenant_pricing_controller::princing=debug", "does not exist"),
        ("info, a b=debug", "is no target"),
        (",", "is no level"),
        ("2", "\"2\" is no level"),
    ] {
        let error = text.parse::<LogLevel>().unwrap_err().to_string();
        assert!(error.contains(named) && error.contains("debug, trace"), "{text}: {error}");
    }
}

#[test]
fn blanks_and_case_of_a_level_do_not_matter() {
    for (text, meant) in [
        (" info ", "info"),
        ("INFO", "INFO"),
        ("info, kube=debug,", "info,kube=debug"),
        ("off", "off"),
        ("info,[HTTP{a=1}]=trace", "info,[HTTP{a=1}]=trace"),
    ] {
        assert_eq!(text.parse(), Ok(LogLevel(meant.to_owned())), "{text}");
    }
}

#[test]
fn a_directive_alone_silences_nothing_else() {
    let level: LogLevel = "kube_runtime=trace".parse().unwrap();
    assert_eq!(level, LogLevel("info,kube_runtime=trace".to_owned()));
}

#[test]
fn the_modules_are_those_of_the_library() {
    let library = include_str!("../../lib.rs");
    let declared = library.lines().filter_map(|line| {
        let module = line.strip_prefix("pub mod ").or_else(|| line.strip_prefix("pub(crate) mod "))?;
        module.strip_suffix(';')
    });
    let declared: Vec<&str> = declared.filter(|module| *module != "testing").collect();
    assert_eq!(declared, MODULES);
}
