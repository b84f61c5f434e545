//! What is measured, and how it is judged.

use std::{fmt, time::Duration};

use serde::Serialize;

/// What a number counts, and how it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Unit {
    Count,
    Seconds,
    Milliseconds,
    Mebibytes,
    Percent,
    /// Of something to something.
    Ratio,
}

/// A number with its unit.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Amount {
    pub value: f64,
    pub unit: Unit,
}

impl Amount {
    #[allow(clippy::cast_precision_loss)] // nothing here is counted beyond 2^52
    pub fn count(count: usize) -> Self {
        Self { value: count as f64, unit: Unit::Count }
    }

    pub fn seconds(duration: Duration) -> Self {
        Self { value: duration.as_secs_f64(), unit: Unit::Seconds }
    }

    pub fn milliseconds(duration: Duration) -> Self {
        Self { value: duration.as_secs_f64() * 1000.0, unit: Unit::Milliseconds }
    }

    #[allow(clippy::cast_precision_loss)]
    pub fn bytes(bytes: u64) -> Self {
        Self { value: bytes as f64 / 1_048_576.0, unit: Unit::Mebibytes }
    }

    /// The share of `whole` that `part` is.
    pub fn share(part: Duration, whole: Duration) -> Self {
        Self { value: 100.0 * part.as_secs_f64() / whole.as_secs_f64(), unit: Unit::Percent }
    }

    #[allow(clippy::cast_precision_loss)]
    pub fn ratio(part: usize, whole: usize) -> Self {
        Self { value: part as f64 / whole.max(1) as f64, unit: Unit::Ratio }
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.value;
        // Three digits say all that such a measurement can.
        let digits = |formatter: &mut fmt::Formatter<'_>| match value.abs() {
            0.0 => write!(formatter, "0"),
            small if small < 1.0 => write!(formatter, "{value:.3}"),
            small if small < 10.0 => write!(formatter, "{value:.2}"),
            small if small < 100.0 => write!(formatter, "{value:.1}"),
            _ => write!(formatter, "{value:.0}"),
        };
        match self.unit {
            Unit::Count => write!(formatter, "{value:.0}"),
            Unit::Ratio => digits(formatter),
            Unit::Seconds => digits(formatter).and_then(|()| write!(formatter, " s")),
            Unit::Milliseconds => digits(formatter).and_then(|()| write!(formatter, " ms")),
            Unit::Mebibytes => digits(formatter).and_then(|()| write!(formatter, " MiB")),
            Unit::Percent => digits(formatter).and_then(|()| write!(formatter, " %")),
        }
    }
}

/// Whether a target was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Verdict {
    Met,
    Missed,
    /// Shown for what it is; there is no target.
    Shown,
}

/// One figure.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Measurement {
    /// What is measured: the same words at every size.
    pub what: String,
    pub measured: Amount,
    /// The target in words; empty if there is none.
    pub target: String,
    /// What `measured` must not exceed.
    pub limit: Option<f64>,
    /// The least that it can be on this machine, measured in the same run.
    pub floor: Option<Amount>,
    pub verdict: Verdict,
    /// What else there is to know.
    pub note: String,
    /// What it was made from, in the unit of `measured`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub samples: Vec<f64>,
}

impl Measurement {
    /// A figure without a target.
    pub fn shown(what: &str, measured: Amount) -> Self {
        Self {
            what: what.to_owned(),
            measured,
            target: String::new(),
            limit: None,
            floor: None,
            verdict: Verdict::Shown,
            note: String::new(),
            samples: Vec::new(),
        }
    }

    /// A figure that is to be at most `limit`, in its own unit.
    pub fn at_most(what: &str, measured: Amount, limit: f64, target: &str) -> Self {
        let verdict = if measured.value <= limit { Verdict::Met } else { Verdict::Missed };
        Self { target: target.to_owned(), limit: Some(limit), verdict, ..Self::shown(what, measured) }
    }

    pub fn floor(self, floor: Amount) -> Self {
        Self { floor: Some(floor), ..self }
    }

    pub fn note(self, note: impl Into<String>) -> Self {
        Self { note: note.into(), ..self }
    }

    pub fn samples(self, samples: &Samples) -> Self {
        match self.measured.unit {
            Unit::Seconds => self.samples_as(samples, Amount::seconds),
            _ => self.samples_as(samples, Amount::milliseconds),
        }
    }

    /// As [`Self::samples`], for samples that are no lengths of time.
    pub fn samples_as<T: Copy>(self, samples: &Samples<T>, amount: impl Fn(T) -> Amount) -> Self {
        Self { samples: samples.sorted.iter().map(|sample| amount(*sample).value).collect(), ..self }
    }
}

/// What was measured several times: lengths of time, unless `T` says otherwise.
#[derive(Clone, Debug)]
pub struct Samples<T = Duration> {
    sorted: Vec<T>,
}

impl<T: Copy + Default + Ord> Samples<T> {
    pub fn new(mut samples: Vec<T>) -> Self {
        samples.sort_unstable();
        Self { sorted: samples }
    }

    pub fn count(&self) -> usize {
        self.sorted.len()
    }

    /// The smallest sample that this percentage of them does not exceed. Nothing at all for no samples.
    pub fn percentile(&self, percent: usize) -> T {
        let rank = (self.sorted.len() * percent).div_ceil(100).max(1);
        self.sorted.get(rank - 1).copied().unwrap_or_default()
    }

    pub fn median(&self) -> T {
        self.percentile(50)
    }

    pub fn max(&self) -> T {
        self.sorted.last().copied().unwrap_or_default()
    }
}
