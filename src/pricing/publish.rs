//! Publishes events. That one could not be published is logged and changes nothing else.

use std::time::Duration;

use kube::{
    Client, Resource,
    runtime::events::{Event, EventType, Recorder, Reporter},
};

use super::notes::Note;
use crate::{api::TenantPricing, cluster::FIELD_MANAGER};

const PUBLISH_TIMEOUT: Duration = Duration::from_secs(5);

/// The longest note that the API server takes, in bytes.
const LONGEST_NOTE: usize = 1024;

/// Publishes `notes` about `object`, in their order.
pub async fn publish(client: &Client, object: &TenantPricing, notes: Vec<Note>) {
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
        let reference = object.object_ref(&());
        let published = tokio::time::timeout(PUBLISH_TIMEOUT, recorder.publish(&event, &reference)).await;
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
