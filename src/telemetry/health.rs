//! The health of the process, for the probes of the kubelet.

use std::{
    borrow::Cow,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
};

use parking_lot::Mutex;

/// The state that the probes report. Cheap to clone; clones share their content.
#[derive(Clone, Debug, Default)]
pub struct Health {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    synced: AtomicBool,
    shutting_down: AtomicBool,
    refused: Mutex<Option<String>>,
    watches_interrupted: AtomicBool,
    failed: OnceLock<&'static str>,
}

impl Health {
    /// Records that all caches have had their first list. A standby replica gets as far as the leader.
    pub fn set_synced(&self) {
        self.inner.synced.store(true, Ordering::Relaxed);
    }

    /// Records whether a watch has been interrupted for so long that the process no longer knows what the cluster
    /// holds.
    pub fn set_watches_interrupted(&self, interrupted: bool) {
        self.inner.watches_interrupted.store(interrupted, Ordering::Relaxed);
    }

    /// Records that the process shuts down. It runs until its work in progress is finished.
    pub fn set_shutting_down(&self) {
        self.inner.shutting_down.store(true, Ordering::Relaxed);
    }

    /// Records why the API server does not let this process take part in the election. `None` if it does.
    pub fn election_refused(&self, reason: Option<String>) {
        *self.inner.refused.lock() = reason;
    }

    /// Records that the process does nothing any more for this reason, so that only a restart helps. The first reason
    /// is kept.
    ///
    /// An outage of the platform or of the API server is no such reason, since a restart would not end it.
    pub fn set_failed(&self, reason: &'static str) {
        let _ = self.inner.failed.set(reason);
    }

    /// Whether the process can continue.
    ///
    /// # Errors
    /// The reason why the process must be restarted.
    pub fn alive(&self) -> Result<(), &'static str> {
        self.inner.failed.get().map_or(Ok(()), |reason| Err(*reason))
    }

    /// Whether the process is working, or could take over at once.
    ///
    /// # Errors
    /// What the process waits for.
    pub fn ready(&self) -> Result<(), Cow<'static, str>> {
        self.alive()?;
        if self.inner.shutting_down.load(Ordering::Relaxed) {
            return Err("the process is shutting down".into());
        }
        if let Some(reason) = &*self.inner.refused.lock() {
            return Err(format!("this process can neither lead nor take over: {reason}").into());
        }
        if !self.inner.synced.load(Ordering::Relaxed) {
            return Err("the objects of the cluster have not all been read yet".into());
        }
        if self.inner.watches_interrupted.load(Ordering::Relaxed) {
            return Err(
                "a watch of the API server is interrupted: changes are not seen. The log says why".into()
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_has_read_everything_is_ready() {
        let health = Health::default();
        assert!(health.ready().unwrap_err().contains("not all been read"));
        health.set_synced();
        assert_eq!(health.ready(), Ok(()));
        health.clone().set_shutting_down();
        assert!(health.ready().unwrap_err().contains("shutting down"));
        assert_eq!(health.alive(), Ok(()), "work in progress must not be cut short");
    }

    #[test]
    fn a_process_that_sees_no_changes_is_alive_and_not_ready() {
        let health = Health::default();
        health.set_synced();
        health.set_watches_interrupted(true);
        assert!(health.ready().unwrap_err().contains("changes are not seen"));
        assert_eq!(health.alive(), Ok(()), "a restart would not help");
        health.set_watches_interrupted(false);
        assert_eq!(health.ready(), Ok(()));
    }

    #[test]
    fn a_failed_process_reports_the_first_reason() {
        let health = Health::default();
        health.set_synced();
        assert_eq!(health.alive(), Ok(()));
        health.set_failed("the queue has ended");
        health.set_failed("everything else, as a consequence");
        assert_eq!(health.alive(), Err("the queue has ended"));
        assert_eq!(health.ready().unwrap_err(), "the queue has ended");
    }

    #[test]
    fn a_process_that_can_never_lead_is_not_ready() {
        let health = Health::default();
        health.set_synced();
        health.election_refused(Some("namespace \"here\" does not exist".to_owned()));
        let reason = health.ready().unwrap_err();
        assert!(reason.contains("neither lead nor take over: namespace \"here\""), "{reason}");
        assert_eq!(health.alive(), Ok(()), "a restart does not help");
        health.election_refused(None);
        assert_eq!(health.ready(), Ok(()));
    }
}
