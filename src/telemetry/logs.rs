//! The log: what it looks like, how much of it is told, and what never is.

use std::io::IsTerminal;

use clap::ValueEnum;
use tracing_subscriber::{
    EnvFilter,
    filter::{LevelFilter, Targets},
    fmt,
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

/// What the libraries would print of requests and answers, and how much of it is let through at most, whatever
/// the log level says: Kubernetes' client prints whole answers that make no sense to it, Secrets among them,
/// and reqwest can be built to print every byte that it sends and receives.
const CAPS: [(&str, LevelFilter); 2] =
    [("kube_client::client", LevelFilter::ERROR), ("reqwest::connect", LevelFilter::INFO)];

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line, for log collectors.
    Json,
}

/// Starts logging to standard error. `level` is a level (`info`) or a list of directives
/// (`info,tenant_pricing_controller=debug`).
///
/// # Errors
/// `level` is neither.
pub fn start_logging(format: LogFormat, level: &str) -> Result<(), InvalidLogLevel> {
    let (filter, caps) = filters(level)?;
    let lines = fmt::layer().with_writer(std::io::stderr);
    let registry = tracing_subscriber::registry().with(filter).with(caps);
    match format {
        LogFormat::Json => registry.with(lines.json().flatten_event(true)).init(),
        LogFormat::Text => registry.with(lines.with_ansi(std::io::stderr().is_terminal())).init(),
    }
    Ok(())
}

/// What `level` lets through, and what is let through whatever it says.
fn filters(level: &str) -> Result<(EnvFilter, Targets), InvalidLogLevel> {
    let filter = EnvFilter::builder()
        .with_default_directive(LevelFilter::INFO.into())
        .parse(level)
        .map_err(|error| InvalidLogLevel { level: level.to_owned(), error: error.to_string() })?;
    let most = filter.max_level_hint().unwrap_or(LevelFilter::TRACE);
    Ok((filter, Targets::new().with_default(most).with_targets(CAPS)))
}

/// The log level cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("--log-level {level:?} is not one: {error}. Use error, warn, info, debug or trace")]
pub struct InvalidLogLevel {
    level: String,
    error: String,
}

#[cfg(test)]
mod tests;
