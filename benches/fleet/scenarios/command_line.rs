//! The commands of `kubectl-tenantpricing`, one file for each.

pub mod import;
pub mod plan;
pub mod sizes;
pub mod startup;
pub mod status;

use crate::{
    bench::Bench,
    measurements::{Amount, Measurement, Samples},
    plugin::Run,
};

/// The most that a command may take.
#[derive(Clone, Copy, Debug)]
struct Limits {
    seconds: f64,
    mebibytes: f64,
}

/// Adds the time and the memory of a command, each as the median of its runs.
fn add(bench: &mut Bench, command: &str, limits: Limits, runs: &[Run]) {
    let times = Samples::new(runs.iter().map(|run| run.time).collect());
    let Limits { seconds, mebibytes } = limits;
    let measured = Amount::seconds(times.median());
    bench.add(
        Measurement::at_most(&format!("{command}: time"), measured, seconds, &format!("≤ {seconds} s"))
            .note(format!("of {}, the longest {}", times.count(), Amount::seconds(times.max())))
            .samples(&times),
    );
    let peaks = Samples::new(runs.iter().map(|run| run.peak).collect());
    let (measured, target) = (Amount::bytes(peaks.median()), format!("≤ {mebibytes} MiB"));
    bench.add(
        Measurement::at_most(&format!("{command}: memory, peak"), measured, mebibytes, &target)
            .note(format!("of {}, the most {}", peaks.count(), Amount::bytes(peaks.max())))
            .samples_as(&peaks, Amount::bytes),
    );
}

/// Adds how many of something a command sent, as the median of its runs.
fn add_count(bench: &mut Bench, what: &str, limit: usize, counts: Vec<usize>) {
    let counts = Samples::new(counts);
    let (measured, target) = (Amount::count(counts.median()), format!("≤ {limit}"));
    bench.add(
        Measurement::at_most(what, measured, Amount::count(limit).value, &target)
            .note(format!("of {}, the most {}", counts.count(), counts.max()))
            .samples_as(&counts, Amount::count),
    );
}
