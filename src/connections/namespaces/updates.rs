//! Keeps the cache of namespaces up to date: by a watch, or by reads without the right to watch.

use std::{sync::Arc, time::Duration};

use futures::{StreamExt, stream};
use k8s_openapi::api::core::v1::Namespace;
use kube::{
    Api, ResourceExt,
    api::{ListParams, PartialObjectMeta},
    runtime::watcher::Event,
};
use tokio::time::{Instant, timeout, timeout_at};

use super::{
    Namespaces,
    cache::{Found, Labels},
    log_failure,
};
use crate::cluster::{Collection, READ_TIMEOUT, ReadError, Watcher, missing_right};

/// The interval of the reads, where namespaces cannot be watched.
const READ_INTERVAL: Duration = Duration::from_secs(30);

/// The maximum of concurrent reads.
const MAX_CONCURRENT_READS: usize = 4;

impl Namespaces {
    /// Keeps the cache up to date. Never ends.
    pub async fn run(self) {
        let mut logged = None;
        loop {
            let missing = match self.may_not_list().await {
                Some(missing) => missing,
                None => self.watch().await,
            };
            if logged.replace(missing) != Some(missing) {
                tracing::info!(
                    missing_right = format!("{missing} namespaces"),
                    every_seconds = READ_INTERVAL.as_secs(),
                    "namespaces cannot be watched: those that selectors of connections need are read one by one \
                     instead, and a changed label takes effect within 30 s"
                );
            }
            self.known().read_from_now_on();
            self.shared.source_known.send_replace(true);
            self.read_for_a_while().await;
        }
    }

    /// Tries a list without the watch, which would log every refusal. Where the controller is confined to some
    /// namespaces, a refusal is expected.
    async fn may_not_list(&self) -> Option<&'static str> {
        let api: Api<Namespace> = Api::all(self.client.clone());
        match timeout(READ_TIMEOUT, api.list_metadata(&ListParams::default().limit(1))).await {
            Ok(Err(kube::Error::Api(error))) if error.code == 403 => Some("list"),
            // The watch reports any other error, and retries.
            _ => None,
        }
    }

    /// Watches until a right is missing.
    async fn watch(&self) -> &'static str {
        let namespaces =
            Collection::<PartialObjectMeta<Namespace>>::new(self.watching.clone(), None).metadata();
        let events = Watcher::new(namespaces).notify(self.shared.interrupted.clone()).events();
        let mut events = std::pin::pin!(events);
        while let Some(event) = events.next().await {
            match event {
                Ok(event) => self.on_event(&event),
                Err(error) => {
                    if let Some(missing) = missing_right(&error) {
                        // Reads replace the watch.
                        self.shared.interrupted.send_replace(None);
                        return missing;
                    }
                    tracing::warn!(%error, "the watch of namespaces was interrupted; will retry");
                }
            }
        }
        "watch"
    }

    fn on_event(&self, event: &Event<PartialObjectMeta<Namespace>>) {
        let labels = |namespace: &PartialObjectMeta<Namespace>| Labels::of(namespace.labels());
        let mut known = self.known();
        match event {
            Event::Init => known.begin_list(),
            Event::InitApply(namespace) => {
                known.list(&namespace.name_any(), labels(namespace));
                if namespace.metadata.deletion_timestamp.is_some() {
                    known.list_terminating(&namespace.name_any());
                }
            }
            Event::InitDone => {
                let changed = known.end_list();
                drop(known);
                self.shared.source_known.send_replace(true);
                self.notify(changed);
            }
            Event::Apply(namespace) => {
                if namespace.metadata.deletion_timestamp.is_some() {
                    known.begin_termination(&namespace.name_any());
                }
                self.notify(known.record(&namespace.name_any(), Found::Labelled(labels(namespace))));
            }
            Event::Delete(namespace) => {
                known.end_termination(&namespace.name_any());
                self.notify(known.record(&namespace.name_any(), Found::Absent));
            }
        }
    }

    /// Reads all requested namespaces, then at once each newly requested one.
    async fn read_for_a_while(&self) {
        let until = Instant::now() + READ_INTERVAL;
        let mut namespaces = self.known().all_to_read();
        loop {
            stream::iter(namespaces)
                .for_each_concurrent(MAX_CONCURRENT_READS, |namespace| async move {
                    self.read_again(&namespace).await;
                })
                .await;
            if timeout_at(until, self.shared.wanted.notified()).await.is_err() {
                return;
            }
            namespaces = self.known().new_to_read();
        }
    }

    pub(super) async fn read_again(&self, namespace: &Arc<str>) {
        match self.read(namespace).await {
            Ok(labels) => {
                let found = labels.map_or(Found::Absent, |labels| Found::Labelled(Labels::of(&labels)));
                let changed = self.known().record(namespace, found);
                self.notify(changed);
            }
            Err(error) => {
                log_failure(namespace, &error);
                let mut known = self.known();
                known.not_read(namespace);
                if let ReadError::Forbidden(_) = error {
                    known.forget(namespace);
                }
            }
        }
    }
}
