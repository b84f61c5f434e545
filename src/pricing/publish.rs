//! Publishes events. That one could not be published is logged and changes nothing else.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use k8s_openapi::{
    api::{core::v1::ObjectReference, events::v1::Event},
    apimachinery::pkg::apis::meta::v1::MicroTime,
};
use kube::{
    Api, Client, Resource, ResourceExt,
    api::{ObjectMeta, PostParams},
};

use super::{
    context::Context,
    notes::{self, Note},
};
use crate::{
    api::{RECONCILE_NOW, RECONCILE_NOW_LENGTH, TenantPricing},
    clock::Clock,
    cluster::FIELD_MANAGER,
    failpoints::{SideEffect, side_effect},
};

const PUBLISH_TIMEOUT: Duration = Duration::from_secs(5);

/// The longest note that the API server takes, in bytes.
const LONGEST_NOTE: usize = 1024;

/// The longest name that the API server takes, in bytes.
const LONGEST_NAME: usize = 253;

/// So many objects' events are published at a time: they are not to be in the way of what matters.
const AT_ONCE: usize = 4;

/// So many may wait. What is too much is dropped: events are there to be read, and nobody reads so many.
const MOST_WAITING: usize = 2000;

/// Events on their way. Cheap to clone; clones share everything.
#[derive(Clone, Debug, Default)]
pub struct Publishing {
    inner: Arc<Mutex<Waiting>>,
}

/// What waits, as it is, and not each as a task of its own, which takes several times as much.
#[derive(Debug, Default)]
struct Waiting {
    notes: VecDeque<(ObjectReference, Vec<Note>)>,
    publishers: usize,
}

impl Publishing {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes notes in. Returns whether somebody has to begin to publish; `None` if there is no room for them.
    fn add(&self, about: ObjectReference, notes: Vec<Note>) -> Option<bool> {
        let mut waiting = self.lock();
        if waiting.notes.len() >= MOST_WAITING {
            return None;
        }
        waiting.notes.push_back((about, notes));
        let begins = waiting.publishers < AT_ONCE;
        waiting.publishers += usize::from(begins);
        Some(begins)
    }

    /// The next notes. With the last the publisher that asks has ended.
    fn next(&self) -> Option<(ObjectReference, Vec<Note>)> {
        let mut waiting = self.lock();
        let next = waiting.notes.pop_front();
        if next.is_none() {
            waiting.publishers -= 1;
            waiting.notes.shrink_to(16);
        }
        next
    }
}

impl Context {
    /// Publishes `notes` about `object`, in their order, beside whatever else is done.
    pub(super) fn publish(&self, object: &TenantPricing, notes: Vec<Note>) {
        if notes.is_empty() {
            return;
        }
        match self.publishing.add(object.object_ref(&()), notes) {
            Some(true) => {
                let (client, publishing) = (self.client.clone(), self.publishing.clone());
                self.tasks.spawn(async move {
                    while let Some((about, notes)) = publishing.next() {
                        publish(&client, &about, notes).await;
                    }
                });
            }
            Some(false) => {}
            None => {
                let (namespace, name) = (object.namespace(), object.name_any());
                tracing::warn!(
                    namespace,
                    name,
                    "too many events wait to be published; those of an object are left out"
                );
            }
        }
    }
}

/// Publishes that a value of the annotation that asks for a reconcile at once is too long to count.
pub fn warn_of_ignored_value(object: &TenantPricing, context: &Context) {
    let text = format!(
        "The annotation {RECONCILE_NOW} is ignored: its value has more than {RECONCILE_NOW_LENGTH} characters. \
         Nothing was read for it, and nothing changes on the bill. Set a shorter value, such as the current time."
    );
    let reason = "ReconcileNowIgnored".to_owned();
    context.publish(object, vec![Note { warning: true, reason, action: "Observe", text }]);
}

/// Publishes the event for a tenant that the platform will switch by itself soon.
pub fn foretell(object: &TenantPricing, now: Timestamp, context: &Context) {
    let note = object.status.as_ref().and_then(|status| notes::ahead(object, status, now));
    context.publish(object, note.into_iter().collect());
}

/// Publishes `notes` about an object, in their order.
async fn publish(client: &Client, reference: &ObjectReference, notes: Vec<Note>) {
    let namespace = reference.namespace.as_deref().unwrap_or("default");
    let events: Api<Event> = Api::namespaced(client.clone(), namespace);
    for note in notes {
        let event = event(note, reference, Clock::system().now());
        let parameters = PostParams::default();
        let publication = side_effect(SideEffect::Event, events.create(&parameters, &event));
        let published = tokio::time::timeout(PUBLISH_TIMEOUT, publication).await;
        let failure = match published {
            Ok(Ok(_)) => continue,
            Ok(Err(error)) => error.to_string(),
            Err(_) => "no answer".to_owned(),
        };
        tracing::warn!(reason = event.reason, %failure, "failed to publish an event");
    }
}

/// The event that a note becomes, as kube's `Recorder` makes it but for two things: a `Recorder` drops the changed text
/// of an event with the same reason and action for six minutes, and gives an object with a long name no event at all.
fn event(note: Note, regarding: &ObjectReference, now: Timestamp) -> Event {
    Event {
        action: Some(note.action.to_owned()),
        event_time: Some(MicroTime(now)),
        metadata: ObjectMeta {
            namespace: regarding.namespace.clone(),
            name: Some(event_name(regarding.name.as_deref().unwrap_or(FIELD_MANAGER), now)),
            ..ObjectMeta::default()
        },
        note: Some(truncated(note.text, LONGEST_NOTE)),
        reason: Some(note.reason),
        regarding: Some(regarding.clone()),
        reporting_controller: Some(FIELD_MANAGER.to_owned()),
        reporting_instance: Some(FIELD_MANAGER.to_owned()),
        type_: Some(if note.warning { "Warning" } else { "Normal" }.to_owned()),
        ..Event::default()
    }
}

/// The name of an event: the object's, as much of it as fits, and the time, which tells one event from the next.
fn event_name(of: &str, now: Timestamp) -> String {
    let time = format!(".{:x}", now.as_nanosecond());
    let kept = of.get(..of.len().min(LONGEST_NAME - time.len())).unwrap_or_default();
    // What is cut off must not leave an end that no name has.
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
    fn a_few_publish_what_many_left_and_what_is_too_much_is_left_out() {
        let publishing = Publishing::default();
        let begun =
            (0..MOST_WAITING).filter(|_| publishing.add(ObjectReference::default(), vec![]) == Some(true));
        assert_eq!(begun.count(), AT_ONCE);
        assert_eq!(publishing.add(ObjectReference::default(), vec![]), None, "there is no room");
        let mut published = 0;
        for _ in 0..AT_ONCE {
            published += std::iter::from_fn(|| publishing.next()).count();
        }
        assert_eq!(published, MOST_WAITING);
        assert_eq!(publishing.lock().publishers, 0, "all have ended");
        assert_eq!(publishing.add(ObjectReference::default(), vec![]), Some(true), "and one begins anew");
    }

    #[test]
    fn an_event_has_a_name_however_long_its_objects_is() {
        let now = Timestamp::from_second(1_795_000_000).unwrap();
        assert_eq!(event_name("acme", now), "acme.18e91efd5bd38000");
        for length in [1, 236, 237, 243, 253] {
            let name = event_name(&"a".repeat(length), now);
            assert!(name.len() <= LONGEST_NAME && name.ends_with("a.18e91efd5bd38000"), "{length}: {name}");
        }
        // Cut within a part, and where a part ends.
        for end in ["-", ".", "-.-"] {
            let long = format!("{}{end}{}", "a".repeat(236 - end.len()), "b".repeat(17));
            assert_eq!(event_name(&long, now), format!("{}.18e91efd5bd38000", "a".repeat(236 - end.len())));
        }
    }

    #[test]
    fn a_note_is_cut_where_it_would_be_too_long_and_says_so() {
        assert_eq!(truncated("0123456789".to_owned(), 10), "0123456789");
        assert_eq!(truncated("01234567890".to_owned(), 10), "0123456…");
        assert_eq!(truncated("012345ä7890".to_owned(), 10), "012345…", "not within a letter");
    }
}
