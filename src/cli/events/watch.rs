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

use super::{EventsError, Filter, HEAD, in_order, line};
use crate::cli::{
    cluster::{
        pages::PAGE,
        watches::{Fault, fault},
    },
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
    let mut seen = Seen::default();
    while let Some(change) = changes.next().await {
        let new = match change {
            Ok(change) => in_order(seen.take(change)),
            Err(error) => {
                match fault(&error) {
                    Fault::Refused(refusal) => return Err(filter.explain(refusal)),
                    Fault::Ended => tracing::debug!(%error, "the watch is established again"),
                    Fault::Interrupted(why) => output::note(&format!("note: {why}")),
                }
                continue;
            }
        };
        let text: String = new.iter().map(line).collect();
        if !text.is_empty() && output::write_on(&text)?.is_break() {
            return Ok(());
        }
    }
    Ok(())
}

/// The events that were shown, and those of a list that is under way.
#[derive(Default)]
struct Seen {
    listed: Vec<Event>,
    shown: HashSet<Version>,
}

/// What distinguishes one version of an event from all others.
type Version = (Option<String>, Option<String>);

impl Seen {
    /// The events to show after a change. A list that fails shows nothing, and the next one has its events again.
    fn take(&mut self, change: Change<Event>) -> Vec<Event> {
        let changed = match change {
            Change::Init => {
                self.listed.clear();
                return Vec::new();
            }
            Change::InitApply(event) => {
                self.listed.push(event);
                return Vec::new();
            }
            Change::InitDone => std::mem::take(&mut self.listed),
            Change::Apply(event) => vec![event],
            // The API server forgets events after an hour.
            Change::Delete(_) => return Vec::new(),
        };
        let new = changed.into_iter().filter(|event| self.shown.insert(version(event))).collect();
        if self.shown.len() > MAX_SHOWN {
            self.shown.clear();
        }
        new
    }
}

fn version(event: &Event) -> Version {
    (event.uid(), event.resource_version())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(version: &str) -> Event {
        let mut event = Event::default();
        event.metadata.uid = Some("uid".to_owned());
        event.metadata.resource_version = Some(version.to_owned());
        event
    }

    /// The versions that each of these changes shows.
    fn shown(changes: impl IntoIterator<Item = Change<Event>>) -> Vec<String> {
        let mut seen = Seen::default();
        let shown = changes.into_iter().flat_map(|change| seen.take(change));
        shown.filter_map(|event| event.resource_version()).collect()
    }

    #[test]
    fn a_list_that_fails_loses_no_event() {
        let list = |versions: &[&str]| {
            let events: Vec<_> = versions.iter().map(|version| Change::InitApply(event(version))).collect();
            std::iter::once(Change::Init).chain(events)
        };
        // The second page of the first list fails.
        let changes = list(&["1", "2"]).chain(list(&["1", "2", "3"])).chain([Change::InitDone]);
        assert_eq!(shown(changes), ["1", "2", "3"]);
    }

    #[test]
    fn each_version_of_an_event_is_shown_once() {
        let again =
            [Change::Init, Change::InitApply(event("1")), Change::InitApply(event("3")), Change::InitDone];
        let changes = [Change::InitDone, Change::Apply(event("1")), Change::Apply(event("1"))];
        let deleted = [Change::Delete(event("9")), Change::Apply(event("2"))];
        assert_eq!(shown(changes.into_iter().chain(deleted).chain(again)), ["1", "2", "3"]);
    }
}
