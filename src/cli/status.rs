//! `status`: what is scheduled, in flight and stalled, and what the platform will switch on its own. It writes nothing,
//! anywhere.

pub(crate) mod document;
pub(crate) mod fleet;
mod formats;
mod read;
pub(crate) mod story;
#[cfg(test)]
mod tests;
mod watch;

use clap::{Args, ValueEnum};
use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use self::formats::Detail;
use super::{
    cluster::{Cluster, ClusterArguments, scope::ScopeArguments},
    output::{self, time},
    plugin::{CommandError, exit::Exit},
};

/// The flags of `status`.
#[derive(Debug, Args)]
#[command(after_help = "EXAMPLES:\n  \
    # The state of the namespace of the current context\n  \
    kubectl-tenantpricing status\n\n  \
    # All namespaces, each object with its message\n  \
    kubectl-tenantpricing status -A -o wide\n\n  \
    # What happened to one object, and what will\n  \
    kubectl-tenantpricing status acme\n\n  \
    # What the platform will switch on its own within a week\n  \
    kubectl-tenantpricing status -A --within 7d -o json | jq .automatic")]
pub(crate) struct StatusArguments {
    /// Tell the story of this one object: what happened, who asked for it, what was billed, and what happens next.
    #[arg(value_name = "NAME", conflicts_with_all = ["all_namespaces", "selector", "watch"])]
    name: Option<String>,

    #[command(flatten)]
    scope: ScopeArguments,

    /// The format.
    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    output: Format,

    /// How far ahead to show the platform's automatic switches, such as 30d or 12h.
    #[arg(long, value_name = "DURATION", default_value = "30d", value_parser = lookahead)]
    within: Lookahead,

    /// Go on, and show each change. A terminal is drawn again, elsewhere each change is a line.
    #[arg(short, long)]
    watch: bool,
}

/// The formats of the state of a fleet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Tables for a terminal.
    Table,
    /// The same with all rows and messages.
    Wide,
    /// JSON, by the schema `tenantpricing.io/status/v1`.
    Json,
    /// One row for each object, for a spreadsheet.
    Csv,
    /// The names of the objects, for other commands.
    Name,
}

impl Format {
    fn as_str(self) -> &'static str {
        match self {
            Self::Table => "table",
            Self::Wide => "wide",
            Self::Json => "json",
            Self::Csv => "csv",
            Self::Name => "name",
        }
    }
}

/// How far ahead automatic switches are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lookahead(SignedDuration);

impl Lookahead {
    /// The end of the time that is shown.
    fn until(self, now: Timestamp) -> Timestamp {
        now.checked_add(self.0).unwrap_or(Timestamp::MAX)
    }
}

fn lookahead(text: &str) -> Result<Lookahead, String> {
    time::span(text).map(Lookahead)
}

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StatusError {
    /// The objects cannot be read.
    #[error("{0}")]
    Unread(String),
    /// The report cannot be written in this format.
    #[error(transparent)]
    Format(#[from] output::FormatError),
    /// A watch ended.
    #[error(transparent)]
    Watch(#[from] watch::WatchError),
    /// The flags do not go together.
    #[error("--watch shows a table: leave out -o {0}")]
    NoWatch(&'static str),
    /// The format does not fit one object.
    #[error("the story of one object is a table or json: leave out -o {0}")]
    NoStory(&'static str),
}

impl StatusArguments {
    /// Reads the cluster and prints the report.
    ///
    /// # Errors
    /// The cluster cannot be read, or the output cannot be written.
    pub(crate) async fn execute(self, cluster: &ClusterArguments) -> Result<Exit, CommandError> {
        let cluster = cluster.find().await?;
        if let Some(name) = &self.name {
            return self.tell(&cluster, name).await;
        }
        let scope = self.scope.of(&cluster);
        let detail = if self.output == Format::Wide { Detail::All } else { Detail::Parts };
        if self.watch {
            if !matches!(self.output, Format::Table | Format::Wide) {
                return Err(StatusError::NoWatch(self.output.as_str()).into());
            }
            watch::watch(&cluster, &scope, self.within, detail).await.map_err(StatusError::Watch)?;
            return Ok(Exit::Success);
        }
        let fleet = read::fleet(&cluster, &scope).await.map_err(StatusError::Unread)?;
        let now = time::now();
        let status = fleet.status(&scope, now, self.within.until(now), Instant::now());
        let text = match self.output {
            Format::Table | Format::Wide => formats::report(&status, &scope.in_words(), detail),
            Format::Json => output::json(&status).map_err(StatusError::Format)?,
            Format::Csv => formats::as_csv(&status).map_err(StatusError::Format)?,
            Format::Name => formats::names(&status),
        };
        output::write(&text)?;
        Ok(Exit::Success)
    }

    /// Prints the story of one object.
    async fn tell(&self, cluster: &Cluster, name: &str) -> Result<Exit, CommandError> {
        if matches!(self.output, Format::Csv | Format::Name) {
            return Err(StatusError::NoStory(self.output.as_str()).into());
        }
        let story = story::read(cluster, name, time::now()).await;
        let story = story.map_err(StatusError::Unread)?;
        output::write(&match self.output {
            Format::Json => output::json(&story).map_err(StatusError::Format)?,
            _ => story::for_terminal(&story),
        })?;
        Ok(Exit::Success)
    }
}
