//! The process dies at every side effect it has, as by SIGKILL. It dies before and after each kind of write to
//! Kubernetes and each kind of request to the platform. It may die at a second point while it recovers from the first.
//! Whatever dies when: every tenant that is asked for is switched once, no other is, and everything settles.
//!
//! `make crash` runs all pairs of points. A shorter run takes each point and a sample of pairs, whose seed is
//! printed; `CRASH_SEED=…` repeats the same sample, `CRASH_PAIRS=100` takes a larger one, and
//! `CRASH='put.before journal.after#2'` one case: the process dies before its first `PUT`, and the next one after
//! the answer to its second journal write.

mod accounts;
mod case;
mod plan;
mod scenario;

use std::time::Instant;

use case::{Case, Tally, run_all};
use plan::Plan;

/// Runs the cases; each point of a case that is to be reached must be.
async fn prove(kind: &str, cases: Vec<Case>) {
    let (begun, number) = (Instant::now(), cases.len());
    let Tally { deaths, missed, puts, attempts, failed } = run_all(cases).await;
    let took = begun.elapsed().as_secs();
    eprintln!(
        "{kind}: {number} cases, {deaths} deaths, {missed} places never come to, {puts} PUTs, {attempts} attempts \
         announced, {took} s"
    );
    assert!(failed.is_empty(), "{} of {number} cases failed:\n{}", failed.len(), failed.join("\n"));
}

/// The process is killed before and after each side effect.
#[tokio::test(flavor = "multi_thread")]
async fn killed_at_each_point_everything_converges() {
    prove("each point", Plan::new().singles()).await;
}

/// The process is killed at every pair of points.
#[tokio::test(flavor = "multi_thread")]
async fn killed_again_during_recovery_everything_converges() {
    prove("pairs of points", Plan::new().pairs()).await;
}
