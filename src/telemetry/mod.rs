//! What the program says of itself: logs.

use std::io::IsTerminal;

use clap::ValueEnum;
use tracing_subscriber::{
    EnvFilter, filter::LevelFilter, fmt, layer::SubscriberExt, util::SubscriberInitExt,
};

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
    let filter = EnvFilter::builder()
        .with_default_directive(LevelFilter::INFO.into())
        .parse(level)
        .map_err(|error| InvalidLogLevel { level: level.to_owned(), error: error.to_string() })?;
    let lines = fmt::layer().with_writer(std::io::stderr);
    let registry = tracing_subscriber::registry().with(filter);
    match format {
        LogFormat::Json => registry.with(lines.json().flatten_event(true)).init(),
        LogFormat::Text => registry.with(lines.with_ansi(std::io::stderr().is_terminal())).init(),
    }
    Ok(())
}

/// The log level cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("--log-level {level:?} is not one: {error}. Use error, warn, info, debug or trace")]
pub struct InvalidLogLevel {
    level: String,
    error: String,
}
