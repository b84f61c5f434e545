//! The failpoints, in builds for tests.

use std::io::Write;

use super::{Point, SideEffect};

tokio::task_local! {
    /// The side effect that the present task is running.
    static CURRENT: SideEffect;
}

/// Runs one side effect between its two failpoints. Work that is cancelled, by a timeout for example, has no failpoint
/// after it, because no answer has arrived.
pub async fn side_effect<Work: Future>(effect: SideEffect, work: Work) -> Work::Output {
    tracing::trace!(target: "failpoints", effect = effect.as_str(), "begins");
    failpoint(Point::Before(effect));
    // Boxed, so that the futures of builds for tests are no larger than others.
    let outcome = CURRENT.scope(effect, Box::pin(work)).await;
    failpoint(Point::After(effect));
    outcome
}

/// Kills the process if `FAILPOINTS` names this point.
pub fn failpoint(point: Point) {
    fail::fail_point!(&point.to_string(), |_| die(point));
}

/// The side effect that the present task is running, if there is one.
#[must_use]
pub fn current() -> Option<SideEffect> {
    CURRENT.try_get().ok()
}

/// Configures the failpoints from the variable `FAILPOINTS`, as long as the returned guard lives.
#[must_use]
pub fn init_from_env() -> impl Sized {
    fail::FailScenario::setup()
}

/// Kills the process as SIGKILL would: no destructor runs and nothing is flushed. Only standard error says so.
fn die(point: Point) {
    // In one write, so that no line of another thread gets between. A failure is ignored: the process ends anyway.
    let _ = std::io::stderr().write_all(format!("the process ends at {point}\n").as_bytes());
    std::process::abort();
}
