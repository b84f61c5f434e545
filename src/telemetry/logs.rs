//! The log: its format, its level, and what is never logged.

use std::{io::IsTerminal, str::FromStr};

use clap::ValueEnum;
use tracing_subscriber::{
    EnvFilter,
    filter::{LevelFilter, Targets},
    fmt,
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

/// Targets of libraries, each with its maximum level, whatever the log level says. The Kubernetes client prints whole
/// answers that it cannot parse, Secrets among them. reqwest can be built to print every byte that it sends and
/// receives.
const CAPS: [(&str, LevelFilter); 2] =
    [("kube_client::client", LevelFilter::ERROR), ("reqwest::connect", LevelFilter::INFO)];

/// The format of log lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object per line, for log collectors.
    Json,
}

/// How much is logged: a level (`info`), or a list of directives (`info,tenant_pricing_controller=debug`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLevel(String);

/// The levels, as messages name them.
const LEVELS: [&str; 6] = ["error", "warn", "info", "debug", "trace", "off"];

/// The first part of a target of the controller itself.
const OWN: &str = "tenant_pricing_controller";

/// The second part there: the modules of the library.
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

    /// Refuses a word that is no level. The library would take it for a target, and log nothing else.
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
            // Without this default, only these targets would be logged, and no audit line.
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
/// The library cannot parse `level` after all.
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

/// The filter of `level`, and the filter that applies whatever the level says.
fn filters(level: &LogLevel) -> Result<(EnvFilter, Targets), InvalidLogLevel> {
    let filter = EnvFilter::builder().parse(&level.0).map_err(|error| InvalidLogLevel {
        directive: level.0.clone(),
        why: format!("cannot be read: {error}"),
    })?;
    let most = filter.max_level_hint().unwrap_or(LevelFilter::TRACE);
    Ok((filter, Targets::new().with_default(most).with_targets(CAPS)))
}

/// The log level is invalid.
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
