//! Distinguishes the statuses that this process wrote from foreign ones, which other writers put over them. A foreign
//! status is *answered* when this process writes its own over it.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use tokio::time::Instant;

use super::Key;
use crate::backoff::Backoff;

/// The maximum number of statuses of one object that are written and not yet seen in the watch. A switch writes two.
pub const ON_THEIR_WAY: usize = 4;

/// The first foreign status is answered at once. The pause after the next ones starts here and doubles.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

const BACKOFF: Backoff = Backoff::new(FIRST_PAUSE, FIRST_PAUSE, Duration::from_secs(60));

/// Foreign statuses this far apart do not count as a series.
const ROW: Duration = Duration::from_mins(10);

/// What is known of the authors of statuses, by object. An object at rest takes no memory.
#[derive(Debug, Default)]
pub struct Authorship(HashMap<Key, Author>);

#[derive(Debug, Default)]
struct Author {
    /// The digests of the statuses that are being written, or are written and not yet seen in the watch.
    own: VecDeque<u64>,
    foreign: Row,
}

/// A series of foreign statuses.
#[derive(Debug, Default)]
struct Row {
    count: u32,
    last: Option<Instant>,
    /// When the foreign statuses are due to be answered, while they are not.
    due: Option<Instant>,
}

impl Row {
    fn is_over(&self, now: Instant) -> bool {
        self.last.is_none_or(|last| now.saturating_duration_since(last) > ROW)
    }

    /// Records one more foreign status, and returns how long to wait before it is answered. The wait is no longer than
    /// that of the statuses not answered yet, so a writer that never rests cannot put the answer off.
    fn came(&mut self, now: Instant) -> Duration {
        let Some(due) = self.due else {
            if self.is_over(now) {
                *self = Self::default();
            }
            let pause = match self.count {
                0 => Duration::ZERO,
                answered => BACKOFF.limit(answered - 1),
            };
            self.count = self.count.saturating_add(1);
            (self.last, self.due) = (Some(now), Some(now + pause));
            return pause;
        };
        self.last = Some(now);
        due.saturating_duration_since(now)
    }
}

impl Authorship {
    /// Records that a status with this digest is about to be written.
    pub fn expect_status(&mut self, key: &Key, digest: u64) {
        let own = &mut self.0.entry(key.clone()).or_default().own;
        own.push_back(digest);
        if own.len() > ON_THEIR_WAY {
            own.pop_front();
        }
    }

    /// Records that the status was not written after all.
    pub fn withdraw(&mut self, key: &Key, digest: u64) {
        if let Some(author) = self.0.get_mut(key) {
            if let Some(at) = author.own.iter().rposition(|own| *own == digest) {
                author.own.remove(at);
            }
            self.tidy(key);
        }
    }

    /// Whether a status with this digest was or is being written, and is not yet seen in the watch.
    #[must_use]
    pub fn is_expected(&self, key: &Key, digest: u64) -> bool {
        self.0.get(key).is_some_and(|author| author.own.contains(&digest))
    }

    /// Records that the watch shows a status with this digest. Returns whether this process wrote it. If so, the watch
    /// no longer shows the ones before it.
    pub fn recognize(&mut self, key: &Key, digest: u64) -> bool {
        let Some(author) = self.0.get_mut(key) else { return false };
        let Some(at) = author.own.iter().position(|own| *own == digest) else { return false };
        author.own.drain(..=at);
        self.tidy(key);
        true
    }

    /// Records that the watch shows a foreign status. Returns how long to wait before it is answered.
    pub fn record_foreign(&mut self, key: &Key) -> Duration {
        self.0.entry(key.clone()).or_default().foreign.came(Instant::now())
    }

    /// The time until a foreign status is due to be answered: zero if it is late, `None` if there is none.
    #[must_use]
    pub fn pause(&self, key: &Key) -> Option<Duration> {
        Some(self.0.get(key)?.foreign.due?.saturating_duration_since(Instant::now()))
    }

    /// Records that all foreign statuses so far are answered.
    pub fn mark_overwritten(&mut self, key: &Key) {
        if let Some(author) = self.0.get_mut(key) {
            author.foreign.due = None;
            self.tidy(key);
        }
    }

    /// Forgets an object that is gone.
    pub fn forget(&mut self, key: &Key) {
        self.0.remove(key);
    }

    fn tidy(&mut self, key: &Key) {
        let nothing = |author: &Author| author.own.is_empty() && author.foreign.is_over(Instant::now());
        if self.0.get(key).is_some_and(nothing) {
            self.0.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    fn key() -> Key {
        Key::new("team", "acme")
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_written_is_recognised_once() {
        let mut authorship = Authorship::default();
        assert!(!authorship.recognize(&key(), 1));
        authorship.expect_status(&key(), 1);
        assert!(authorship.recognize(&key(), 1));
        assert!(!authorship.recognize(&key(), 1), "a foreign writer puts it back later");
        assert!(authorship.0.is_empty(), "nothing is kept of an object at rest");
    }

    #[tokio::test(start_paused = true)]
    async fn two_writes_that_are_shown_late_are_both_recognised() {
        let mut authorship = Authorship::default();
        authorship.expect_status(&key(), 1);
        authorship.expect_status(&key(), 2);
        assert!(authorship.recognize(&key(), 1) && authorship.recognize(&key(), 2));
    }

    #[tokio::test(start_paused = true)]
    async fn a_list_may_skip_the_first_of_two_writes() {
        let mut authorship = Authorship::default();
        authorship.expect_status(&key(), 1);
        authorship.expect_status(&key(), 2);
        assert!(authorship.recognize(&key(), 2));
        assert!(!authorship.recognize(&key(), 1), "an older status that is put back is foreign");
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_withdrawn_is_not_recognised() {
        let mut authorship = Authorship::default();
        authorship.expect_status(&key(), 1);
        authorship.withdraw(&key(), 1);
        assert!(!authorship.recognize(&key(), 1));
        assert!(authorship.0.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_writer_that_never_rests_is_answered_with_growing_pauses() {
        let mut authorship = Authorship::default();
        assert_eq!(authorship.record_foreign(&key()), Duration::ZERO);
        let mut answers = 0;
        for _ in 0..6000 {
            if authorship.pause(&key()) == Some(Duration::ZERO) {
                authorship.mark_overwritten(&key());
                answers += 1;
            }
            advance(Duration::from_millis(100)).await;
            let _ = authorship.record_foreign(&key());
        }
        assert!((10..=20).contains(&answers), "answered {answers} times in ten minutes");
        authorship.mark_overwritten(&key());
        advance(ROW + FIRST_PAUSE).await;
        assert_eq!(authorship.record_foreign(&key()), Duration::ZERO, "the row is over");
    }
}
