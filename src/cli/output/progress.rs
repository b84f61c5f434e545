//! Progress on standard error, while a command reads. It shows on a terminal only, and is gone in the end.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// How often a waiting progress moves, so that a person sees that the command is alive.
const TICK: Duration = Duration::from_millis(100);

/// A bar or a count. It disappears when it is dropped.
pub(crate) struct Progress(ProgressBar);

impl Progress {
    /// A bar up to this number of tenants. `doing` says what is done, such as `Reading the platform`.
    pub(crate) fn of(total: usize, doing: &'static str) -> Self {
        Self::new(ProgressBar::with_draw_target(Some(total as u64), target()), doing)
    }

    /// A count of tenants whose number is not known before.
    pub(crate) fn count(doing: &'static str) -> Self {
        Self::new(ProgressBar::with_draw_target(None, target()), doing)
    }

    fn new(bar: ProgressBar, doing: &'static str) -> Self {
        let template = if bar.length().is_some() {
            "{prefix} [{bar:20}] {pos}/{len} tenants"
        } else {
            "{prefix} {spinner} {pos} tenants"
        };
        // Characters that every terminal has.
        let style = ProgressStyle::with_template(template);
        if let Ok(style) = style {
            bar.set_style(style.progress_chars("=> ").tick_chars("-\\|/ "));
        }
        bar.set_prefix(doing);
        if !bar.is_hidden() {
            bar.enable_steady_tick(TICK);
        }
        Self(bar)
    }

    /// Counts tenants that are done.
    pub(crate) fn add(&self, count: usize) {
        self.0.inc(count as u64);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// Standard error if it is a terminal. Log lines and a bar would write over each other.
fn target() -> ProgressDrawTarget {
    if tracing::enabled!(tracing::Level::ERROR) {
        ProgressDrawTarget::hidden()
    } else {
        ProgressDrawTarget::stderr()
    }
}
