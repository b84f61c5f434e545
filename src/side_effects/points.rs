//! The points, in builds for tests.

use std::io::Write;

use super::{Point, SideEffect};

tokio::task_local! {
    /// What the present task is in the middle of.
    static UNDER_WAY: SideEffect;
}

/// Does one side effect: passes the point before it, does the work, and passes the point after it. What is given
/// up on the way, as after a time limit, has no point after it: no answer has come.
pub async fn around<Work: Future>(effect: SideEffect, work: Work) -> Work::Output {
    tracing::trace!(target: "side_effects", effect = effect.as_str(), "begins");
    at(Point::Before(effect));
    // Boxed, so that the passes of builds for tests are no larger than others.
    let outcome = UNDER_WAY.scope(effect, Box::pin(work)).await;
    at(Point::After(effect));
    outcome
}

/// Passes a point: the process goes on, unless it is to end here.
pub fn at(point: Point) {
    fail::fail_point!(&point.to_string(), |_| die(point));
}

/// The side effect that the present task was begun for, if there is one.
#[must_use]
pub fn under_way() -> Option<SideEffect> {
    UNDER_WAY.try_get().ok()
}

/// Takes what `FAILPOINTS` says, for as long as what is returned lives.
#[must_use]
pub fn heed_environment() -> impl Sized {
    fail::FailScenario::setup()
}

/// Ends the process as SIGKILL would: no destructor runs, nothing is flushed, nobody is told but standard error.
fn die(point: Point) {
    // At once, so that no line of another thread comes in between. If nobody listens there is nobody to tell.
    let _ = std::io::stderr().write_all(format!("the process ends at {point}\n").as_bytes());
    std::process::abort();
}
