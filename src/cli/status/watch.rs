//! `status --watch`: shows each change as it comes. On a terminal the report is drawn again, elsewhere each change is a
//! line.

use std::{collections::BTreeSet, ops::ControlFlow, time::Duration};

use futures::StreamExt;
use kube::{
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
            pages::{PAGE, readable, refusal, why_not_listed},
            scope::Scope,
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
    let mut shown = Shown {
        scope,
        lookahead,
        detail,
        is_terminal: output::is_terminal(),
        fleet: Fleet::default(),
        listing: BTreeSet::new(),
        listing_connections: BTreeSet::new(),
        is_complete: (false, false),
        is_changed: false,
    };
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
                Some(Err(error)) => shown.failed_connections(&error),
                None => ControlFlow::Break(()),
            },
            _ = redraw.tick(), if shown.is_due() => {
                read::missing_connections(cluster, &mut shown.fleet).await;
                shown.draw()?
            }
        };
        if flow.is_break() {
            return Ok(());
        }
    }
}

impl Shown<'_> {
    /// Whether something has to be drawn.
    fn is_due(&self) -> bool {
        self.is_terminal && self.is_changed && self.is_complete == (true, true)
    }

    fn object(&mut self, event: Event<TrimmedTenantPricing>) -> std::io::Result<ControlFlow<()>> {
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
    fn failed<K: kube::Resource<DynamicType = ()>>(
        &self,
        error: &watcher::Error,
    ) -> Result<ControlFlow<()>, WatchError> {
        if let Some(error) = refusal(error) {
            let why = format!("{}{}", why_not_listed::<K>(error), self.scope.advice(error));
            return Err(WatchError::Refused(why));
        }
        output::note(&format!("note: the watch was interrupted, and is tried again: {error}"));
        Ok(ControlFlow::Continue(()))
    }

    /// Without connections, the objects are still shown.
    fn failed_connections(&mut self, error: &watcher::Error) -> ControlFlow<()> {
        if let Some(error) = refusal(error).filter(|_| !self.is_complete.1) {
            self.is_complete.1 = true;
            let why = why_not_listed::<PlatformConnection>(error);
            self.fleet.notes.push(format!("{why}. Their state and their budgets are not known."));
        }
        ControlFlow::Continue(())
    }

    fn status(&self) -> Status {
        let now = time::now();
        self.fleet.status(self.scope, now, self.lookahead.until(now), Instant::now())
    }

    fn draw(&mut self) -> std::io::Result<ControlFlow<()>> {
        self.is_changed = false;
        let report = formats::report(&self.status(), &self.scope.in_words(), self.detail);
        output::write_on(&format!("{CLEAR}{report}"))
    }
}
