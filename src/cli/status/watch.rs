//! `status --watch`: shows each change as it comes. On a terminal the report is drawn again, elsewhere each change is a
//! line.

use std::{collections::BTreeSet, ops::ControlFlow, time::Duration};

use futures::StreamExt;
use kube::{
    Resource,
    core::DeserializeGuard,
    runtime::{
        WatchStreamExt,
        watcher::{self, Event, watcher},
    },
};
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::{Detail, Lookahead, document::Status, fleet::Fleet, formats, read};
use crate::{
    api::{PlatformConnection, TenantPricing},
    cli::{
        cluster::{
            Cluster,
            pages::{PAGE, readable, why_not_listed},
            scope::Scope,
            watches::{Fault, fault},
        },
        output::{self, time},
    },
    cluster::{Key, TrimmedTenantPricing},
};

/// The shortest time between two drawings. Many changes at once are drawn together.
const REDRAW_INTERVAL: Duration = Duration::from_millis(500);

/// Clears the screen and the lines that were scrolled off it, and starts at the top.
const CLEAR: &str = "\u{1b}[2J\u{1b}[3J\u{1b}[H";

/// Why a watch ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WatchError {
    /// The objects cannot be watched.
    #[error("{0}")]
    Refused(String),
    /// The output cannot be written.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// What is wrong with the watch of connections.
struct Trouble {
    text: String,
    /// Whether the API server refuses to list them. Single ones may be readable even so.
    is_refused: bool,
}

/// What a watch has delivered, and what it has shown.
struct Shown<'a> {
    scope: &'a Scope,
    lookahead: Lookahead,
    detail: Detail,
    is_terminal: bool,
    fleet: Fleet,
    /// Objects and connections of a list that is under way. Those that it does not name were deleted.
    listing: BTreeSet<Key>,
    listing_connections: BTreeSet<Key>,
    /// Whether the first lists of both kinds are complete.
    is_complete: (bool, bool),
    /// What is wrong with the watch of objects, until it delivers again.
    trouble: Option<String>,
    /// What is wrong with the watch of connections, until it delivers again. The objects are shown without them.
    connection_trouble: Option<Trouble>,
    is_changed: bool,
}

/// Watches until the reader closes the output, or until the process is ended.
///
/// # Errors
/// The objects cannot be watched, or the output cannot be written.
pub(crate) async fn watch(
    cluster: &Cluster,
    scope: &Scope,
    lookahead: Lookahead,
    detail: Detail,
) -> Result<(), WatchError> {
    let config = watcher::Config { label_selector: scope.selector.clone(), ..watcher::Config::default() };
    let config = config.page_size(PAGE);
    let connections = watcher::Config::default().page_size(PAGE);
    let objects = watcher(scope.api::<TrimmedTenantPricing>(cluster), config);
    let connections = watcher(scope.api::<DeserializeGuard<PlatformConnection>>(cluster), connections);
    let mut objects = std::pin::pin!(objects.default_backoff());
    let mut connections = std::pin::pin!(connections.default_backoff());
    let mut shown = Shown::new(scope, lookahead, detail, output::is_terminal());
    let mut redraw = interval(REDRAW_INTERVAL);
    redraw.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let flow = tokio::select! {
            event = objects.next() => match event {
                Some(Ok(event)) => shown.object(event)?,
                Some(Err(error)) => shown.failed::<TenantPricing>(&error)?,
                None => ControlFlow::Break(()),
            },
            event = connections.next() => match event {
                Some(Ok(event)) => { shown.connection(event); ControlFlow::Continue(()) }
                Some(Err(error)) => { shown.failed_connections(&error); ControlFlow::Continue(()) }
                None => ControlFlow::Break(()),
            },
            _ = redraw.tick(), if shown.is_due() => {
                if shown.lacks_single_connections() {
                    read::missing_connections(cluster, &mut shown.fleet).await;
                }
                shown.draw()?
            }
        };
        if flow.is_break() {
            return Ok(());
        }
    }
}

impl<'a> Shown<'a> {
    fn new(scope: &'a Scope, lookahead: Lookahead, detail: Detail, is_terminal: bool) -> Self {
        Self {
            scope,
            lookahead,
            detail,
            is_terminal,
            fleet: Fleet::default(),
            listing: BTreeSet::new(),
            listing_connections: BTreeSet::new(),
            is_complete: (false, false),
            trouble: None,
            connection_trouble: None,
            is_changed: false,
        }
    }

    /// Whether something has to be drawn. It does not wait for connections that cannot be listed.
    fn is_due(&self) -> bool {
        let (objects, connections) = self.is_complete;
        self.is_terminal && self.is_changed && objects && (connections || self.connection_trouble.is_some())
    }

    /// Whether connections that are not known now are those that no list will have.
    fn lacks_single_connections(&self) -> bool {
        self.is_complete.1 || self.connection_trouble.as_ref().is_some_and(|trouble| trouble.is_refused)
    }

    fn object(&mut self, event: Event<TrimmedTenantPricing>) -> std::io::Result<ControlFlow<()>> {
        // The beginning of a list says only that one is tried.
        if !matches!(event, Event::Init) && self.trouble.take().is_some() {
            self.is_changed = true;
        }
        match event {
            Event::Init => self.listing.clear(),
            Event::InitApply(listed) => {
                self.listing.insert(Key::of(&listed));
                return self.apply(&readable(listed));
            }
            Event::Apply(listed) => return self.apply(&readable(listed)),
            Event::Delete(listed) => return self.remove(&Key::of(&listed)),
            Event::InitDone => {
                self.is_complete.0 = true;
                self.is_changed = true;
                let gone = self.fleet.keys();
                for key in gone.difference(&std::mem::take(&mut self.listing)) {
                    if self.remove(key)?.is_break() {
                        return Ok(ControlFlow::Break(()));
                    }
                }
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    fn apply(&mut self, object: &TenantPricing) -> std::io::Result<ControlFlow<()>> {
        let before = self.fleet.apply(object);
        let now = self.fleet.view(&Key::of(object));
        if now == before.as_ref() {
            return Ok(ControlFlow::Continue(()));
        }
        self.is_changed = true;
        match now {
            Some(view) if !self.is_terminal => output::write_on(&formats::line(time::now(), view, false)),
            _ => Ok(ControlFlow::Continue(())),
        }
    }

    fn remove(&mut self, key: &Key) -> std::io::Result<ControlFlow<()>> {
        self.is_changed = true;
        match self.fleet.remove(key) {
            Some(view) if !self.is_terminal => output::write_on(&formats::line(time::now(), &view, true)),
            _ => Ok(ControlFlow::Continue(())),
        }
    }

    fn connection(&mut self, event: Event<DeserializeGuard<PlatformConnection>>) {
        self.is_changed = true;
        if matches!(event, Event::Apply(_) | Event::Delete(_) | Event::InitDone) {
            self.connection_trouble = None;
        }
        match event {
            Event::Init => self.listing_connections.clear(),
            Event::InitApply(connection) => {
                self.listing_connections.insert(Key::of(&connection));
                read::keep(&mut self.fleet, connection);
            }
            Event::Apply(connection) => read::keep(&mut self.fleet, connection),
            Event::Delete(connection) => self.fleet.remove_connection(&Key::of(&connection)),
            Event::InitDone => {
                self.is_complete.1 = true;
                let listed = std::mem::take(&mut self.listing_connections);
                let in_scope = |key: &Key| {
                    self.scope.namespace.as_deref().is_none_or(|namespace| namespace == key.namespace())
                };
                let known = self.fleet.connection_keys();
                for key in known.difference(&listed).filter(|key| in_scope(key)) {
                    self.fleet.remove_connection(key);
                }
            }
        }
    }

    /// A refusal ends the watch. Everything else is tried again, and is noted meanwhile.
    fn failed<K: Resource<DynamicType = ()>>(
        &mut self,
        error: &watcher::Error,
    ) -> Result<ControlFlow<()>, WatchError> {
        match fault(error) {
            Fault::Refused(error) => {
                let why = format!("{}{}", why_not_listed::<K>(error), self.scope.advice(error));
                return Err(WatchError::Refused(why));
            }
            Fault::Ended => tracing::debug!(%error, "the watch is established again"),
            Fault::Interrupted(why) if self.is_terminal && self.is_complete.0 => {
                self.trouble = Some(format!("{}: {why}.", time::now()));
                self.is_changed = true;
            }
            Fault::Interrupted(why) => output::note(&format!("note: {why}")),
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Without connections, the objects are still shown, with what is wrong.
    fn failed_connections(&mut self, error: &watcher::Error) {
        let (why, is_refused) = match fault(error) {
            Fault::Refused(error) => (why_not_listed::<PlatformConnection>(error), true),
            Fault::Interrupted(why) => (format!("{}: {why}", time::now()), false),
            Fault::Ended => {
                tracing::debug!(%error, "the watch of connections is established again");
                return;
            }
        };
        let known = if self.is_complete.1 { "may be outdated" } else { "are not known" };
        let text = format!("{why}. The state and the budgets of connections {known}.");
        if !self.is_terminal && self.connection_trouble.is_none() {
            output::note(&format!("note: {text}"));
        }
        self.connection_trouble = Some(Trouble { text, is_refused });
        self.is_changed = true;
    }

    fn status(&self) -> Status {
        let now = time::now();
        let mut status = self.fleet.status(self.scope, now, self.lookahead.until(now), Instant::now());
        let trouble = self.connection_trouble.as_ref().map(|trouble| &trouble.text);
        status.notes.extend(self.trouble.iter().chain(trouble).cloned());
        status
    }

    fn draw(&mut self) -> std::io::Result<ControlFlow<()>> {
        self.is_changed = false;
        let report = formats::report(&self.status(), &self.scope.in_words(), self.detail);
        output::write_on(&format!("{CLEAR}{report}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        cli::{cluster::watches::tests::unlisted, status::lookahead},
        testing::fixtures::Scene,
    };

    fn on_a_terminal(scope: &Scope) -> Shown<'_> {
        Shown::new(scope, lookahead("30d").unwrap(), Detail::Parts, true)
    }

    fn listed() -> Event<TrimmedTenantPricing> {
        let object = serde_json::to_value(Scene::new().object).unwrap();
        Event::InitApply(serde_json::from_value(object).unwrap())
    }

    /// A watch that delivered its objects and no connection.
    fn with_objects_alone(scope: &Scope) -> Shown<'_> {
        let mut shown = on_a_terminal(scope);
        for event in [Event::Init, listed(), Event::InitDone] {
            assert!(shown.object(event).unwrap().is_continue());
        }
        assert!(!shown.is_due(), "connections may still come");
        shown
    }

    #[test]
    fn objects_are_drawn_without_connections_that_cannot_be_listed() {
        let scope = Scope::default();
        for (code, is_refused) in [(500, false), (503, false), (403, true), (400, true)] {
            let mut shown = with_objects_alone(&scope);
            shown.failed_connections(&unlisted(code));
            assert!(shown.is_due(), "{code}");
            assert_eq!(shown.lacks_single_connections(), is_refused, "{code}");
            let status = shown.status();
            assert_eq!(status.objects.len(), 1);
            let [note] = status.notes.as_slice() else { panic!("{code}: {:?}", status.notes) };
            assert!(note.ends_with("the budgets of connections are not known."), "{note}");
            shown.connection(Event::Init);
            assert_eq!(shown.status().notes.len(), 1, "a list that begins is no success");
            shown.connection(Event::InitDone);
            assert!(shown.status().notes.is_empty() && shown.is_due());
        }
    }

    #[test]
    fn an_interrupted_watch_is_noted_until_it_delivers() {
        let scope = Scope::default();
        let mut shown = with_objects_alone(&scope);
        shown.connection(Event::InitDone);
        shown.is_changed = false;
        assert!(shown.failed::<TenantPricing>(&unlisted(500)).unwrap().is_continue());
        assert!(shown.is_due() && shown.status().notes[0].contains("is tried again"));
        shown.failed_connections(&unlisted(500));
        assert!(shown.status().notes[1].ends_with("may be outdated."), "{:?}", shown.status().notes);
        assert!(shown.object(Event::Init).unwrap().is_continue());
        assert_eq!(shown.status().notes.len(), 2);
        assert!(shown.object(Event::InitDone).unwrap().is_continue());
        shown.connection(Event::InitDone);
        assert!(shown.status().notes.is_empty());
    }

    #[test]
    fn the_usual_end_of_a_watch_changes_nothing() {
        let scope = Scope::default();
        let mut shown = with_objects_alone(&scope);
        shown.connection(Event::InitDone);
        shown.is_changed = false;
        let ended = watcher::Error::WatchFailed(kube::Error::Service("timeout".into()));
        assert!(shown.failed::<TenantPricing>(&ended).unwrap().is_continue());
        shown.failed_connections(&ended);
        assert!(!shown.is_due() && shown.status().notes.is_empty());
        let refused = shown.failed::<TenantPricing>(&unlisted(400)).unwrap_err().to_string();
        assert!(refused.starts_with("failed to list tenantpricings"), "{refused}");
    }
}
