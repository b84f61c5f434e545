//! What needs no cluster, and a person waits for at the keyboard: the help, and the answer to the tab key.

use crate::{
    Measured,
    bench::Bench,
    measurements::{Amount, Measurement, Samples},
};

const RUNS: usize = 20;

/// In milliseconds.
const LIMIT: f64 = 50.0;

/// A kubeconfig that does not exist.
const NO_CLUSTER: (&str, &str) = ("KUBECONFIG", "/nonexistent/kubeconfig");

/// The help, and completion where there is no cluster to ask for names.
pub async fn startup(bench: &mut Bench) -> Measured<()> {
    measure(bench, "--help", &["--help"], &[NO_CLUSTER], "Usage:").await?;
    // As the script of bash asks for the word after `status`.
    let asks = [NO_CLUSTER, ("KUBECTL_TENANTPRICING_COMPLETE", "bash"), ("_CLAP_COMPLETE_INDEX", "2")];
    let line = ["--", "kubectl-tenantpricing", "status", ""];
    measure(bench, "completion without a cluster", &line, &asks, "--selector").await
}

/// Adds the median time of a command that prints, among others, this.
async fn measure(
    bench: &mut Bench,
    what: &str,
    arguments: &[&str],
    variables: &[(&str, &str)],
    expected: &str,
) -> Measured<()> {
    let mut times = Vec::new();
    for _ in 0..RUNS {
        let run = bench.plugin.run(arguments, variables, 0).await?;
        if !run.output.contains(expected) {
            return Err(format!("{what} does not print {expected}: {}", run.output).into());
        }
        times.push(run.time);
    }
    let times = Samples::new(times);
    let measured = Amount::milliseconds(times.median());
    bench.add(
        Measurement::at_most(&format!("{what}: time"), measured, LIMIT, "≤ 50 ms")
            .note(format!("of {RUNS}, the longest {}", Amount::milliseconds(times.max())))
            .samples(&times),
    );
    Ok(())
}
