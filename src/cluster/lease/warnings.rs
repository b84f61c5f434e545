//! How often a lasting failure is logged as a warning.

use std::{collections::BTreeSet, time::Duration};

use tokio::time::Instant;

/// The first failures in a row, which are warnings at once.
const IMMEDIATE_WARNINGS: u32 = 3;

/// After that, at most one warning in this time.
const INTERVAL: Duration = Duration::from_secs(60);

/// The failures of an election since its last success.
#[derive(Debug, Default)]
pub(super) struct Warnings {
    count: u32,
    kinds: BTreeSet<&'static str>,
    last: Option<Instant>,
}

impl Warnings {
    /// Records a failure of this kind. Returns whether a warning is due now.
    pub(super) fn record_failure(&mut self, kind: &'static str, now: Instant) -> bool {
        let is_new = self.kinds.insert(kind);
        let is_long_ago = self.last.is_none_or(|last| now.duration_since(last) >= INTERVAL);
        self.count = self.count.saturating_add(1);
        let is_due = is_new || is_long_ago || self.count <= IMMEDIATE_WARNINGS;
        if is_due {
            self.last = Some(now);
        }
        is_due
    }

    /// Records a success. Returns whether there was a warning since the last one.
    pub(super) fn record_success(&mut self) -> bool {
        let warned = self.last.is_some();
        *self = Self::default();
        warned
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_that_goes_on_is_a_warning_once_a_minute() {
        let (mut warnings, begun) = (Warnings::default(), Instant::now());
        let mut due = |second: u64| warnings.record_failure("forbidden", begun + Duration::from_secs(second));
        let warned: Vec<u64> = (0..=200).step_by(2).filter(|second| due(*second)).collect();
        assert_eq!(warned, [0, 2, 4, 64, 124, 184]);
    }

    #[test]
    fn a_new_kind_is_a_warning_at_once_and_known_ones_are_not() {
        let (mut warnings, begun) = (Warnings::default(), Instant::now());
        for _ in 0..10 {
            warnings.record_failure("forbidden", begun);
        }
        assert!(warnings.record_failure("missing", begun), "it is another trouble");
        assert!(!warnings.record_failure("forbidden", begun) && !warnings.record_failure("missing", begun));
        assert!(warnings.record_success() && !warnings.record_success());
        assert!(warnings.record_failure("forbidden", begun), "it has worked in between");
    }
}
