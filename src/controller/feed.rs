//! What the watches of `TenantPricing`s bring: kept, indexed, and put to work or to rest.

use std::{collections::HashSet, sync::Arc, time::Duration};

use futures::{Stream, StreamExt};
use kube::{
    Resource, ResourceExt,
    runtime::watcher::{Error, Event},
};

use super::{progress::Progress, queue::Lane, work::Shared};
use crate::{
    api::{Phase, RECONCILE_NOW, TenantPricing},
    cluster::{Key, Listed},
    pricing::{self, Again, Brought, Rest, connection_of},
};

/// Takes what one watch brings.
pub(super) struct Feed {
    shared: Arc<Shared>,
    progress: Progress,
    /// The namespace it watches; none means all of them.
    namespace: Option<String>,
    /// While a list comes in: what it has brought so far.
    listing: Option<Listing>,
}

/// So many objects are put to rest before others have their turn.
const AT_A_TIME: usize = 100;

#[derive(Default)]
struct Listing {
    brought: HashSet<Key>,
    /// What asks for something that it did not ask for before, and whether its status answers it.
    anew: Vec<(Key, bool)>,
    /// Others that a change among what is listed concerns.
    concerned: HashSet<Key>,
}

impl Feed {
    pub(super) fn new(shared: Arc<Shared>, progress: Progress, namespace: Option<String>) -> Self {
        Self { shared, progress, namespace, listing: None }
    }

    /// Takes all that comes, to the end of the watch.
    pub(super) async fn run(mut self, events: impl Stream<Item = Result<Event<Listed>, Error>> + Send) {
        let mut events = std::pin::pin!(events);
        while let Some(event) = events.next().await {
            self.take(event).await;
        }
    }

    async fn take(&mut self, event: Result<Event<Listed>, Error>) {
        match event {
            // A list that is begun anew brings everything once more.
            Ok(Event::Init) => {
                // What is known by an unfinished list is still to be put to work.
                let Listing { anew, concerned, .. } = self.listing.take().unwrap_or_default();
                self.listing = Some(Listing { anew, concerned, ..Listing::default() });
                self.progress.heed::<Listed>(&Ok(Event::Init));
            }
            Ok(Event::InitApply(listed)) => {
                let (key, asks_anew) = self.keep(&listed);
                let listing = self.listing.get_or_insert_default();
                if asks_anew {
                    let settled = listed.object.as_ref().is_ok_and(is_settled);
                    listing.anew.push((key.clone(), settled));
                }
                listing.brought.insert(key);
            }
            Ok(Event::InitDone) => self.listed().await,
            Ok(Event::Apply(listed)) => {
                let (key, asks_anew) = self.keep(&listed);
                self.count();
                if asks_anew {
                    // What it named before, it may not name any more.
                    self.shared.forget_looks(&key);
                    self.shared.queue.push(&key, Lane::Urgent, Brought::default());
                }
            }
            Ok(Event::Delete(listed)) => {
                self.gone(&Key::of(&listed));
                self.count();
            }
            Err(error) => self.progress.heed::<Listed>(&Err(error)),
        }
    }

    /// Has the tenants of connections counted anew, once all objects are known.
    fn count(&self) {
        let context = &self.shared.context;
        if context.filled.are_done() {
            context.index.recounted().iter().for_each(|connection| self.shared.counters.changed(connection));
        }
    }

    /// A list is complete. Until now nothing of it was put to work: an object may depend on any other.
    async fn listed(&mut self) {
        let mut listing = self.listing.take().unwrap_or_default();
        for key in self.shared.context.objects.keys(self.namespace.as_deref()) {
            // Deleted while nobody watched.
            if !listing.brought.contains(&key) {
                self.gone(&key);
            }
        }
        self.progress.heed::<Listed>(&Ok(Event::InitDone));
        self.count();
        for (key, settled) in &listing.anew {
            listing.concerned.remove(key);
            self.shared.forget_looks(key);
            // What somebody waits for does not wait for ten thousand objects to be put to rest.
            if !settled {
                self.shared.queue.push(key, Lane::Bulk, Brought::default());
            }
        }
        self.wake(listing.concerned);
        for (number, (key, _)) in listing.anew.iter().filter(|(_, settled)| *settled).enumerate() {
            self.start(key);
            if number % AT_A_TIME == 0 {
                tokio::task::yield_now().await;
            }
        }
    }

    /// Puts an object that a list brought to rest, or to work, if it has changed since.
    fn start(&self, key: &Key) {
        let context = &self.shared.context;
        let Some(object) = context.objects.get(key) else { return };
        if !is_settled(&object) {
            return self.shared.queue.push(key, Lane::Bulk, Brought::default());
        }
        let (namespace, name) = connection_of(&object);
        let timer = self.shared.settle(
            key,
            Rest {
                connection: Key::new(&namespace, name),
                target: pricing::target(&object),
                poll: Duration::ZERO,
                again: Again::Poll,
                failures: 0,
                written: false,
            },
        );
        let timer = until_due(&object, context.clock.now()).or(timer);
        if let Some(timer) = timer {
            self.shared.queue.push_after(key, timer);
        }
    }

    fn keep(&mut self, listed: &Listed) -> (Key, bool) {
        let context = &self.shared.context;
        let key = Key::of(listed);
        let asks_anew = context.objects.keep(&key, listed).asks_anew;
        match &listed.object {
            Ok(object) => {
                let uid = object.uid().unwrap_or_default();
                context.memories.shown(&uid, object.resource_version().as_deref());
                let others = context.index.apply(&key, object);
                self.concern(others);
            }
            Err(unreadable) => {
                if asks_anew {
                    let (namespace, name) = (&unreadable.metadata.namespace, &unreadable.metadata.name);
                    tracing::warn!(
                        namespace,
                        name,
                        error = unreadable.error,
                        "an object cannot be read, perhaps written by a newer version; it is left alone"
                    );
                }
                let others = context.index.remove(&key);
                self.concern(others);
            }
        }
        (key, asks_anew)
    }

    fn gone(&self, key: &Key) {
        let context = &self.shared.context;
        if let Some(object) = context.objects.get(key) {
            context.memories.forget(&object.uid().unwrap_or_default());
        }
        if context.objects.drop(key) {
            self.shared.forget(key);
            self.wake(context.index.remove(key));
        }
    }

    /// Others that depend on an object are worked on anew: while a list comes in, at its end. What one page
    /// shows of who acts for a tenant the next one may correct.
    fn concern(&mut self, others: Vec<Key>) {
        match &mut self.listing {
            Some(listing) => listing.concerned.extend(others),
            None => self.wake(others),
        }
    }

    fn wake(&self, others: impl IntoIterator<Item = Key>) {
        for key in others {
            self.shared.queue.push(&key, Lane::Urgent, Brought::default());
        }
    }
}

/// Whether an object's status answers all that it asks for now, as far as can be told without looking.
fn is_settled(object: &TenantPricing) -> bool {
    let Some(status) = &object.status else { return false };
    let asked_now = object.annotations().get(RECONCILE_NOW);
    let in_flight = status.switch.as_ref().is_some_and(|journal| journal.phase == Phase::InFlight);
    Some(status.observed_generation) == object.metadata.generation
        && asked_now.is_none_or(|value| status.last_handled_reconcile_at.as_ref() == Some(value))
        && object.meta().deletion_timestamp.is_none()
        && !in_flight
        // One that waits for nothing is gone through once: that costs nothing, and looks at nothing.
        && !object.spec.suspend
}

/// How long a switch that waits for its time still has to wait.
fn until_due(object: &TenantPricing, now: jiff::Timestamp) -> Option<Duration> {
    let journal = object.status.as_ref()?.switch.as_ref()?;
    let scheduled = journal.scheduled_for.as_ref().filter(|_| journal.phase == Phase::Scheduled)?;
    Some(Duration::try_from(scheduled.0.duration_since(now)).unwrap_or_default())
}
