//! `events --watch`: shows each event as it comes.

use std::collections::HashSet;

use futures::StreamExt;
use k8s_openapi::api::events::v1::Event;
use kube::{
    Api, ResourceExt,
    runtime::{
        WatchStreamExt,
        watcher::{self, Event as Change, watcher},
    },
};

use super::{EventView, EventsError, Filter, HEAD, in_order, line};
use crate::cli::{
    cluster::pages::{PAGE, refusal},
    output,
};

/// The most events that are remembered as shown. A list that is made again repeats only events of the last hour.
const MAX_SHOWN: usize = 100_000;

/// Watches until the reader closes the output, or until the process is ended.
///
/// # Errors
/// The events cannot be watched, or the output cannot be written.
pub(super) async fn watch(api: &Api<Event>, filter: &Filter) -> Result<(), EventsError> {
    let config = watcher::Config::default().fields(&filter.selector()).page_size(PAGE);
    let mut changes = std::pin::pin!(watcher(api.clone(), config).default_backoff());
    let [at, kind, reason, object, message] = HEAD;
    output::write(&format!("{at:<20}  {kind:<7}  {reason:<23}  {object:<30}  {message}\n"))?;
    let (mut listed, mut shown) = (Vec::new(), HashSet::new());
    while let Some(change) = changes.next().await {
        let new = match change {
            Ok(Change::Init) => {
                listed.clear();
                continue;
            }
            Ok(Change::InitApply(event)) => {
                if shown.insert(version(&event)) {
                    listed.push(event);
                }
                continue;
            }
            Ok(Change::InitDone) => in_order(std::mem::take(&mut listed)),
            Ok(Change::Apply(event)) if shown.insert(version(&event)) => vec![EventView::of(event)],
            // The API server forgets events after an hour.
            Ok(Change::Apply(_) | Change::Delete(_)) => continue,
            Err(error) => {
                if let Some(refusal) = refusal(&error) {
                    return Err(filter.explain(refusal));
                }
                output::note(&format!("note: the watch was interrupted, and is tried again: {error}"));
                continue;
            }
        };
        let text: String = new.iter().map(line).collect();
        if !text.is_empty() && output::write_on(&text)?.is_break() {
            return Ok(());
        }
        if shown.len() > MAX_SHOWN {
            shown.clear();
        }
    }
    Ok(())
}

/// What distinguishes one version of an event from all others.
fn version(event: &Event) -> (Option<String>, Option<String>) {
    (event.uid(), event.resource_version())
}
