//! The log: what it looks like, how much of it is told, and what never is.

use std::{io::IsTerminal, str::FromStr};

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

/// How much is logged: a level (`info`), or a list of directives (`info,tenant_pricing_controller=debug`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLevel(String);

/// The levels, as messages name them.
const LEVELS: [&str; 6] = ["error", "warn", "info", "debug", "trace", "off"];

/// What comes first in a target of the controller's own.
const OWN: &str = "tenant_pricing_controller";

/// What comes second there: the modules of the library.
const MODULES: [&str; 14] = [
    "api",
    "backoff",
    "calendar",
    "cli",
    "clock",
    "cluster",
    "connections",
    "controller",
    "failpoints",
    "index",
    "platform",
    "pricing",
    "simulator",
    "telemetry",
];

impl FromStr for LogLevel {
    type Err = InvalidLogLevel;

    /// A word that is no level is refused. The library would take it for a target, and log nothing else.
    fn from_str(text: &str) -> Result<Self, InvalidLogLevel> {
        let refuse = |directive: &str, why: &str| InvalidLogLevel {
            directive: directive.to_owned(),
            why: why.to_owned(),
        };
        let directives: Vec<String> = split(text);
        if directives.is_empty() {
            return Err(refuse(text.trim(), "is no level"));
        }
        let mut has_level = false;
        for directive in &directives {
            let Some((target, level)) = directive.rsplit_once('=').filter(|(_, level)| !level.contains('}'))
            else {
                if !is_level(directive) {
                    return Err(refuse(directive, "is no level"));
                }
                has_level = true;
                continue;
            };
            if !is_level(level) {
                return Err(refuse(directive, "ends in something that is no level"));
            }
            let target = target.split('[').next().unwrap_or_default();
            let mut parts = target.split("::");
            let (first, second) = (parts.next().unwrap_or_default(), parts.next());
            if first.replace('-', "_") == OWN && first != OWN {
                return Err(refuse(directive, "names a target with '-', which are written with '_'"));
            }
            if first == OWN && second.is_some_and(|module| !MODULES.contains(&module)) {
                return Err(refuse(directive, "names a part of the controller that does not exist"));
            }
            let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "_:-.".contains(letter);
            if !target.chars().all(is_plain) {
                return Err(refuse(directive, "names something that is no target"));
            }
        }
        let mut all = directives.join(",");
        if !has_level {
            // Otherwise nothing but these targets would be logged, and no audit line.
            all.insert_str(0, "info,");
        }
        EnvFilter::builder()
            .parse(&all)
            .map_err(|error| refuse(text, &format!("cannot be read: {error}")))?;
        Ok(Self(all))
    }
}

fn is_level(word: &str) -> bool {
    LEVELS.iter().any(|level| level.eq_ignore_ascii_case(word))
}

/// The directives of a list.
fn split(text: &str) -> Vec<String> {
    let trimmed = text.split(',').map(|directive| directive.trim().to_owned());
    trimmed.filter(|directive| !directive.is_empty()).collect()
}

/// Starts logging to standard error.
///
/// # Errors
/// The library cannot read `level` after all.
pub fn start_logging(format: LogFormat, level: &LogLevel) -> Result<(), InvalidLogLevel> {
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
fn filters(level: &LogLevel) -> Result<(EnvFilter, Targets), InvalidLogLevel> {
    let filter = EnvFilter::builder().parse(&level.0).map_err(|error| InvalidLogLevel {
        directive: level.0.clone(),
        why: format!("cannot be read: {error}"),
    })?;
    let most = filter.max_level_hint().unwrap_or(LevelFilter::TRACE);
    Ok((filter, Targets::new().with_default(most).with_targets(CAPS)))
}

/// The log level cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{directive:?} {why}. Write error, warn, info, debug, trace or off, or directives such as \
     info,tenant_pricing_controller=debug"
)]
pub struct InvalidLogLevel {
    directive: String,
    why: String,
}

#[cfg(test)]
mod tests;
