//! The progress of a watch, and the errors that stop it.

use std::time::Duration;

use kube::{
    Resource,
    runtime::watcher::{Error, Event},
};
use tokio::{sync::watch, time::Instant};

use crate::cluster::{Interrupted, SyncState};

/// The same error is logged again after this time.
const LOGGED_AGAIN: Duration = Duration::from_secs(60);

/// Follows one watch: reports the sync state of its cache, and logs its errors.
pub(crate) struct SyncTracker {
    /// The plural name and group, as in `tenantpricings.tenantpricing.io`.
    resource: String,
    kind: String,
    /// The namespace; `None` means all.
    namespace: Option<String>,
    /// What does not happen before the first list is complete.
    until_then: &'static str,
    sync_state: watch::Sender<SyncState>,
    /// When the current list began: before it was requested.
    begun: Option<Instant>,
    listed: watch::Sender<Option<Instant>>,
    interrupted: watch::Sender<Option<Instant>>,
    /// The last error that was logged since the watch was established, and when.
    logged: Option<(Instant, String)>,
}

impl SyncTracker {
    pub(crate) fn of<K>(namespace: Option<&str>, until_then: &'static str) -> Self
    where
        K: Resource<DynamicType = ()>,
    {
        Self {
            resource: format!("{}.{}", K::plural(&()), K::group(&())),
            kind: K::kind(&()).into_owned(),
            namespace: namespace.map(str::to_owned),
            until_then,
            sync_state: watch::Sender::new(SyncState::Pending),
            begun: None,
            listed: watch::Sender::new(None),
            interrupted: watch::Sender::new(None),
            logged: None,
        }
    }

    /// The sync state of the cache.
    pub(crate) fn sync_state(&self) -> watch::Receiver<SyncState> {
        self.sync_state.subscribe()
    }

    /// When the last complete list began.
    pub(crate) fn listed(&self) -> watch::Receiver<Option<Instant>> {
        self.listed.subscribe()
    }

    /// The channel in which the watch reports since when it is interrupted.
    pub(crate) fn interrupted(&self) -> watch::Sender<Option<Instant>> {
        self.interrupted.clone()
    }

    /// Since when the watch is interrupted.
    pub(crate) fn interruption(&self) -> Interrupted {
        self.interrupted.subscribe()
    }

    /// Records an event of the watch. The cache must already show it.
    pub(crate) fn on_event<K>(&mut self, event: &Result<Event<K>, Error>) {
        match event {
            // This event comes before the list is requested.
            Ok(Event::Init) => self.begun = Some(Instant::now()),
            Ok(Event::InitDone) => {
                self.listed.send_replace(self.begun);
                self.sync_state.send_replace(SyncState::Synced);
                if self.logged.take().is_some() {
                    let namespace = self.namespace.as_deref().unwrap_or("(all)");
                    tracing::info!(
                        kind = self.kind,
                        namespace,
                        "watch resumed: all objects were listed again"
                    );
                }
            }
            Ok(_) => {}
            Err(error) => {
                let failed =
                    if missing_right(error).is_some() { SyncState::Forbidden } else { SyncState::Failed };
                self.sync_state.send_if_modified(|sync_state| {
                    let is_news = *sync_state != SyncState::Synced && *sync_state != failed;
                    if is_news {
                        *sync_state = failed;
                    }
                    is_news
                });
                self.log(error);
            }
        }
    }

    /// Records an error. Returns whether it is to be logged: an outage of an hour must not fill the log with one
    /// sentence.
    fn record_error(&mut self, error: &Error) -> bool {
        let text = error.to_string();
        let is_old =
            self.logged.as_ref().is_some_and(|(at, before)| *before == text && at.elapsed() < LOGGED_AGAIN);
        if !is_old {
            self.logged = Some((Instant::now(), text));
        }
        !is_old
    }

    fn log(&mut self, error: &Error) {
        if !self.record_error(error) {
            return;
        }
        let kind = &self.kind;
        let namespace = self.namespace.as_deref().unwrap_or("(all)");
        let missing_right = missing_right(error).map(|verb| format!("{verb} {}", self.resource));
        if *self.sync_state.borrow() == SyncState::Synced {
            tracing::warn!(kind, namespace, missing_right, %error, "a watch is interrupted: changes are not seen until it resumes; will retry every 5 s");
        } else {
            let until_then = self.until_then;
            tracing::warn!(
                kind, namespace, missing_right, until_then, %error,
                "the objects of a namespace cannot be listed yet; will retry"
            );
        }
    }
}

/// The verb that the API server did not allow, if that is the error.
pub(crate) fn missing_right(error: &Error) -> Option<&'static str> {
    let (verb, code) = match error {
        Error::InitialListFailed(kube::Error::Api(status)) => ("list", status.code),
        Error::WatchStartFailed(kube::Error::Api(status)) | Error::WatchFailed(kube::Error::Api(status)) => {
            ("watch", status.code)
        }
        Error::WatchError(status) => ("watch", status.code),
        _ => return None,
    };
    (code == 403).then_some(verb)
}

#[cfg(test)]
mod tests {
    use kube::core::Status;

    use super::*;
    use crate::api::TenantPricing;

    fn refused(code: u16) -> Error {
        let status = Status::failure("no", "Forbidden").with_code(code);
        Error::InitialListFailed(kube::Error::Api(status.boxed()))
    }

    #[test]
    fn a_failed_first_list_is_reported_and_a_synced_cache_stays() {
        let mut tracker = SyncTracker::of::<TenantPricing>(Some("here"), "nothing happens");
        let (sync_state, listed) = (tracker.sync_state(), tracker.listed());
        assert_eq!(*sync_state.borrow(), SyncState::Pending);
        tracker.on_event::<()>(&Ok(Event::Init));
        assert_eq!(*sync_state.borrow(), SyncState::Pending);
        tracker.on_event::<()>(&Err(refused(403)));
        assert_eq!(*sync_state.borrow(), SyncState::Forbidden);
        for code in [429, 500, 401] {
            tracker.on_event::<()>(&Err(refused(code)));
            assert_eq!(*sync_state.borrow(), SyncState::Failed, "{code}");
        }
        assert_eq!(*listed.borrow(), None);
        let again = Instant::now();
        tracker.on_event::<()>(&Ok(Event::Init));
        tracker.on_event::<()>(&Ok(Event::InitDone));
        assert_eq!(*sync_state.borrow(), SyncState::Synced);
        assert!(listed.borrow().is_some_and(|begun| begun >= again), "the list that counts is the last");
        tracker.on_event::<()>(&Err(refused(403)));
        assert_eq!(*sync_state.borrow(), SyncState::Synced, "an interruption takes nothing away");
    }

    #[test]
    fn the_missing_right_is_the_one_the_api_server_refused() {
        assert_eq!(missing_right(&refused(403)), Some("list"));
        assert_eq!(missing_right(&refused(500)), None);
        let status = Status::failure("no", "Forbidden").with_code(403);
        assert_eq!(missing_right(&Error::WatchError(status.boxed())), Some("watch"));
        assert_eq!(missing_right(&Error::NoResourceVersion), None);
    }
}
