//! Publishes events. A failure to publish one is logged, and has no other effect.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use jiff::Timestamp;
use k8s_openapi::{
    api::{core::v1::ObjectReference, events::v1::Event},
    apimachinery::pkg::apis::meta::v1::MicroTime,
};
use kube::{
    Api, Client, Resource, ResourceExt,
    api::{ObjectMeta, PostParams},
};
use parking_lot::Mutex;
use tokio_util::task::TaskTracker;

use crate::{
    api::{RECONCILE_NOW, RECONCILE_NOW_LENGTH, TenantPricing},
    clock::Clock,
    cluster::FIELD_MANAGER,
    failpoints::{SideEffect, side_effect},
    pricing::status::events::{self, EventSpec},
};

const PUBLISH_TIMEOUT: Duration = Duration::from_secs(5);

/// The longest message that the API server accepts, in bytes.
const MAX_MESSAGE: usize = 1024;

/// The longest name that the API server accepts, in bytes.
const MAX_NAME: usize = 253;

/// Maximum concurrent publishers. They are few, so that events do not delay more important requests.
const MAX_PUBLISHERS: usize = 4;

/// Maximum objects whose events wait. Further events are dropped: no person reads that many.
const MAX_QUEUED: usize = 2000;

/// Publishes events, in the background. Cheap to clone; clones share the queue.
#[derive(Clone)]
pub struct EventPublisher {
    client: Client,
    tasks: TaskTracker,
    queue: Queue,
}

/// The events that wait to be published.
#[derive(Clone, Debug, Default)]
struct Queue {
    inner: Arc<Mutex<Waiting>>,
}

/// Waiting events are kept as data. A task for each would take several times the memory.
#[derive(Debug, Default)]
struct Waiting {
    events: VecDeque<(ObjectReference, Vec<EventSpec>)>,
    publishers: usize,
}

impl Queue {
    /// Queues events. Returns whether a publisher has to be started; `None` if the queue is full.
    fn add(&self, about: ObjectReference, events: Vec<EventSpec>) -> Option<bool> {
        let mut waiting = self.inner.lock();
        if waiting.events.len() >= MAX_QUEUED {
            return None;
        }
        waiting.events.push_back((about, events));
        let begins = waiting.publishers < MAX_PUBLISHERS;
        waiting.publishers += usize::from(begins);
        Some(begins)
    }

    /// The next events. On `None` the calling publisher ends.
    fn next(&self) -> Option<(ObjectReference, Vec<EventSpec>)> {
        let mut waiting = self.inner.lock();
        let next = waiting.events.pop_front();
        if next.is_none() {
            waiting.publishers -= 1;
            waiting.events.shrink_to(16);
        }
        next
    }
}

impl EventPublisher {
    /// A publisher that runs its requests as these tasks.
    #[must_use]
    pub fn new(client: Client, tasks: TaskTracker) -> Self {
        Self { client, tasks, queue: Queue::default() }
    }

    /// Publishes `events` about `object`, in their order, in the background.
    pub(crate) fn publish(&self, object: &TenantPricing, events: Vec<EventSpec>) {
        if events.is_empty() {
            return;
        }
        match self.queue.add(object.object_ref(&()), events) {
            Some(true) => {
                let (client, queue) = (self.client.clone(), self.queue.clone());
                self.tasks.spawn(async move {
                    while let Some((about, events)) = queue.next() {
                        publish(&client, &about, events).await;
                    }
                });
            }
            Some(false) => {}
            None => {
                let (namespace, name) = (object.namespace(), object.name_any());
                tracing::warn!(
                    namespace,
                    name,
                    "the event queue is full: the events of an object are dropped"
                );
            }
        }
    }

    /// Publishes that a value of the annotation that requests a reconcile is too long to count.
    pub fn warn_of_ignored_value(&self, object: &TenantPricing) {
        let message = format!(
            "The annotation {RECONCILE_NOW} is ignored: its value has more than {RECONCILE_NOW_LENGTH} characters. \
             Nothing was read for it, and nothing changes on the bill. Set a shorter value, such as the current time."
        );
        let reason = "ReconcileNowIgnored".to_owned();
        self.publish(object, vec![EventSpec { is_warning: true, reason, action: "Observe", message }]);
    }

    /// Publishes the event for a tenant that the platform will switch soon on its own.
    pub fn announce_upcoming(&self, object: &TenantPricing, now: Timestamp) {
        let event = object.status.as_ref().and_then(|status| events::upcoming(object, status, now));
        self.publish(object, event.into_iter().collect());
    }
}

/// Publishes events about an object, in their order.
async fn publish(client: &Client, reference: &ObjectReference, specs: Vec<EventSpec>) {
    let namespace = reference.namespace.as_deref().unwrap_or("default");
    let api: Api<Event> = Api::namespaced(client.clone(), namespace);
    for spec in specs {
        let event = event(spec, reference, Clock::system().now());
        let parameters = PostParams::default();
        let publication = side_effect(SideEffect::Event, api.create(&parameters, &event));
        let published = tokio::time::timeout(PUBLISH_TIMEOUT, publication).await;
        let failure = match published {
            Ok(Ok(_)) => continue,
            Ok(Err(error)) => error.to_string(),
            Err(_) => "no answer".to_owned(),
        };
        tracing::warn!(reason = event.reason, %failure, "failed to publish an event");
    }
}

/// The event that is created. It differs from the one of kube's `Recorder` in two things. For six minutes, a `Recorder`
/// drops a changed message with the same reason and action. It creates no event for an object with a long name.
fn event(spec: EventSpec, regarding: &ObjectReference, now: Timestamp) -> Event {
    Event {
        action: Some(spec.action.to_owned()),
        event_time: Some(MicroTime(now)),
        metadata: ObjectMeta {
            namespace: regarding.namespace.clone(),
            name: Some(event_name(regarding.name.as_deref().unwrap_or(FIELD_MANAGER), now)),
            ..ObjectMeta::default()
        },
        note: Some(truncated(spec.message, MAX_MESSAGE)),
        reason: Some(spec.reason),
        regarding: Some(regarding.clone()),
        reporting_controller: Some(FIELD_MANAGER.to_owned()),
        reporting_instance: Some(FIELD_MANAGER.to_owned()),
        type_: Some(if spec.is_warning { "Warning" } else { "Normal" }.to_owned()),
        ..Event::default()
    }
}

/// The name of an event: as much of the object's name as fits, and the time, which makes it unique.
fn event_name(of: &str, now: Timestamp) -> String {
    let time = format!(".{:x}", now.as_nanosecond());
    let kept = of.get(..of.len().min(MAX_NAME - time.len())).unwrap_or_default();
    // A shortened name must not end in a character that no name may end in.
    format!("{}{time}", kept.trim_end_matches(['.', '-']))
}

fn truncated(mut text: String, longest: usize) -> String {
    if text.len() > longest {
        let end = (0..=longest - 3).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
        text.truncate(end);
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_queue_drops_events_and_few_publishers_drain_it() {
        let queue = Queue::default();
        let begun = (0..MAX_QUEUED).filter(|_| queue.add(ObjectReference::default(), vec![]) == Some(true));
        assert_eq!(begun.count(), MAX_PUBLISHERS);
        assert_eq!(queue.add(ObjectReference::default(), vec![]), None, "there is no room");
        let mut published = 0;
        for _ in 0..MAX_PUBLISHERS {
            published += std::iter::from_fn(|| queue.next()).count();
        }
        assert_eq!(published, MAX_QUEUED);
        assert_eq!(queue.inner.lock().publishers, 0, "all have ended");
        assert_eq!(queue.add(ObjectReference::default(), vec![]), Some(true), "and a new one starts");
    }

    #[test]
    fn the_event_of_an_object_with_a_long_name_has_a_valid_name() {
        let now = Timestamp::from_second(1_795_000_000).unwrap();
        assert_eq!(event_name("acme", now), "acme.18e91efd5bd38000");
        for length in [1, 236, 237, 243, 253] {
            let name = event_name(&"a".repeat(length), now);
            assert!(name.len() <= MAX_NAME && name.ends_with("a.18e91efd5bd38000"), "{length}: {name}");
        }
        // The name is cut within a part, or where a part ends.
        for end in ["-", ".", "-.-"] {
            let long = format!("{}{end}{}", "a".repeat(236 - end.len()), "b".repeat(17));
            assert_eq!(event_name(&long, now), format!("{}.18e91efd5bd38000", "a".repeat(236 - end.len())));
        }
    }

    #[test]
    fn a_message_is_cut_where_it_would_be_too_long_and_says_so() {
        assert_eq!(truncated("0123456789".to_owned(), 10), "0123456789");
        assert_eq!(truncated("01234567890".to_owned(), 10), "0123456…");
        assert_eq!(truncated("012345ä7890".to_owned(), 10), "012345…", "not within a letter");
    }
}
