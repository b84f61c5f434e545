//! Publishes events. That one could not be published is logged and changes nothing else.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use kube::{
    Client, Resource, ResourceExt,
    runtime::events::{Event, EventType, Recorder, Reporter},
};

use tokio::sync::Semaphore;

use super::{
    context::Context,
    notes::{self, Note},
};
use crate::{api::TenantPricing, cluster::FIELD_MANAGER};

const PUBLISH_TIMEOUT: Duration = Duration::from_secs(5);

/// The longest note that the API server takes, in bytes.
const LONGEST_NOTE: usize = 1024;

/// So many objects' events are published at a time: they are not to be in the way of what matters.
const AT_ONCE: usize = 4;

/// So many may wait. What is too much is dropped: events are there to be read, and nobody reads so many.
const MOST_WAITING: usize = 2000;

/// Events on their way. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Publishing {
    slots: Arc<Semaphore>,
    waiting: Arc<AtomicUsize>,
}

impl Default for Publishing {
    fn default() -> Self {
        Self { slots: Arc::new(Semaphore::new(AT_ONCE)), waiting: Arc::default() }
    }
}

impl Context {
    /// Publishes `notes` about `object`, in their order, beside whatever else is done.
    pub(super) fn publish(&self, object: &TenantPricing, notes: Vec<Note>) {
        if notes.is_empty() {
            return;
        }
        let Publishing { slots, waiting } = self.publishing.clone();
        if waiting.fetch_add(1, Ordering::Relaxed) >= MOST_WAITING {
            waiting.fetch_sub(1, Ordering::Relaxed);
            let (namespace, name) = (object.namespace(), object.name_any());
            tracing::warn!(
                namespace,
                name,
                "too many events wait to be published; those of an object are left out"
            );
            return;
        }
        let (client, reference) = (self.client.clone(), object.object_ref(&()));
        self.tasks.spawn(async move {
            // It is never closed.
            let _slot = slots.acquire().await;
            publish(&client, &reference, notes).await;
            waiting.fetch_sub(1, Ordering::Relaxed);
        });
    }
}

/// Publishes the event for a tenant that the platform will switch by itself soon.
pub fn foretell(object: &TenantPricing, now: Timestamp, context: &Context) {
    let note = object.status.as_ref().and_then(|status| notes::ahead(object, status, now));
    context.publish(object, note.into_iter().collect());
}

/// Publishes `notes` about an object, in their order.
async fn publish(client: &Client, reference: &ObjectReference, notes: Vec<Note>) {
    for note in notes {
        let type_ = if note.warning { EventType::Warning } else { EventType::Normal };
        let text = truncated(note.text, LONGEST_NOTE);
        let event = Event {
            type_,
            reason: note.reason,
            note: Some(text),
            action: note.action.to_owned(),
            secondary: None,
        };
        // A recorder of its own for each event: a shared one takes an event with the same reason and action
        // for a repetition during six minutes, and drops what it says anew.
        let reporter = Reporter { controller: FIELD_MANAGER.to_owned(), instance: None };
        let recorder = Recorder::new(client.clone(), reporter);
        let published = tokio::time::timeout(PUBLISH_TIMEOUT, recorder.publish(&event, reference)).await;
        let failure = match published {
            Ok(Ok(())) => continue,
            Ok(Err(error)) => error.to_string(),
            Err(_) => "no answer".to_owned(),
        };
        tracing::warn!(reason = event.reason, %failure, "failed to publish an event");
    }
}

fn truncated(mut text: String, longest: usize) -> String {
    if text.len() > longest {
        let end = (0..=longest - 3).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
        text.truncate(end);
        text.push('…');
    }
    text
}
