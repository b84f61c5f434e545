//! `history`: every switch on record, for the accounting department. It writes nothing, anywhere.

mod formats;
pub(crate) mod record;
#[cfg(test)]
mod tests;

use clap::{Args, ValueEnum};
use jiff::{Timestamp, civil, tz::TimeZone};

use self::record::{Collector, History, Period};
use super::{
    cluster::{
        Cluster, ClusterArguments,
        pages::{each, readable, why_not_listed},
        scope::{Scope, ScopeArguments},
    },
    output::{self, time},
    plugin::{CommandError, exit::Exit},
};
use crate::{api::TenantPricing, cluster::TrimmedTenantPricing};

/// The flags of `history`.
#[derive(Debug, Args)]
#[command(after_help = "EXAMPLES:\n  \
    # What was switched in November 2026, as a file for a spreadsheet\n  \
    kubectl-tenantpricing history -A --since 2026-11 --until 2026-12 -o csv > november.csv\n\n  \
    # The last 90 days of one namespace\n  \
    kubectl-tenantpricing history -n team --since 90d")]
pub(crate) struct HistoryArguments {
    #[command(flatten)]
    scope: ScopeArguments,

    /// Show switches from this time on: a month (2026-11), a day (2026-11-05), an instant in RFC 3339, or a duration
    /// back from now (90d). Days and months are those of UTC. Default: all.
    #[arg(long, value_name = "TIME", value_parser = instant)]
    since: Option<Moment>,

    /// Show switches before this time, written as for --since.
    #[arg(long, value_name = "TIME", value_parser = instant)]
    until: Option<Moment>,

    /// The format.
    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    output: Format,
}

/// The formats of a history.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A table for a terminal.
    Table,
    /// One row for each switch, for a spreadsheet. The totals are on standard error.
    Csv,
    /// JSON, by the schema `tenantpricing.io/history/v1`.
    Json,
}

/// A time that a flag names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Moment {
    /// This instant.
    At(Timestamp),
    /// This long ago.
    Ago(jiff::SignedDuration),
}

impl Moment {
    fn at(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(at) => at,
            Self::Ago(duration) => now.checked_sub(duration).unwrap_or(Timestamp::MIN),
        }
    }
}

fn instant(text: &str) -> Result<Moment, String> {
    let start =
        |date: civil::Date| date.to_zoned(TimeZone::UTC).ok().map(|zoned| Moment::At(zoned.timestamp()));
    let day =
        || text.parse::<civil::Date>().ok().filter(|_| text.len() == "2026-11-05".len()).and_then(start);
    let month =
        || format!("{text}-01").parse().ok().filter(|_| text.len() == "2026-11".len()).and_then(start);
    text.parse()
        .ok()
        .map(Moment::At)
        .or_else(day)
        .or_else(month)
        .or_else(|| time::span(text).ok().map(Moment::Ago))
        .ok_or_else(|| {
            "write 2026-11, 2026-11-05, 2026-11-05T10:00:00Z, or a duration such as 90d".to_owned()
        })
}

/// Why there is no history.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HistoryError {
    /// The objects cannot be read.
    #[error("{0}")]
    Unread(String),
    /// The period contains no time.
    #[error(
        "--until ({until}) is not after --since ({since}), so no switch can be listed. The end is not part of the period: \
         for November, give --since 2026-11 --until 2026-12"
    )]
    EmptyPeriod {
        /// Its beginning.
        since: Timestamp,
        /// Its end.
        until: Timestamp,
    },
    /// The history cannot be written in this format.
    #[error(transparent)]
    Format(#[from] output::FormatError),
}

impl HistoryArguments {
    /// Reads the cluster and prints the history.
    ///
    /// # Errors
    /// The cluster cannot be read, or the output cannot be written.
    pub(crate) async fn execute(self, cluster: &ClusterArguments) -> Result<Exit, CommandError> {
        let now = time::now();
        let period = Period {
            since: self.since.map(|since| since.at(now)),
            until: self.until.map(|until| until.at(now)),
        };
        if let (Some(since), Some(until)) = (period.since, period.until)
            && until <= since
        {
            return Err(HistoryError::EmptyPeriod { since, until }.into());
        }
        let cluster = cluster.find().await?;
        let history = read(&cluster, &self.scope.of(&cluster), period, now).await?;
        match self.output {
            Format::Table => output::write(&formats::for_terminal(&history))?,
            Format::Json => output::write(&output::json(&history).map_err(HistoryError::Format)?)?,
            Format::Csv => {
                output::write(&formats::as_csv(&history).map_err(HistoryError::Format)?)?;
                output::notes(&formats::beside_csv(&history));
            }
        }
        Ok(Exit::Success)
    }
}

async fn read(
    cluster: &Cluster,
    scope: &Scope,
    period: Period,
    now: Timestamp,
) -> Result<History, HistoryError> {
    let mut collector = Collector::of(period);
    let objects = scope.api::<TrimmedTenantPricing>(cluster);
    let listed = each(&objects, scope.parameters(), |object| collector.add(&readable(object))).await;
    listed.map_err(|error| {
        let why = why_not_listed::<TenantPricing>(&error);
        HistoryError::Unread(format!("{why}{}", scope.advice(&error)))
    })?;
    Ok(collector.history(scope.namespace.clone(), now))
}
