//! Waits by a watch until the controller has dealt with edits.

use std::{
    collections::{BTreeMap, BTreeSet},
    pin::pin,
    time::Duration,
};

use clap::Args;
use futures::StreamExt;
use kube::{
    Api,
    runtime::{
        WatchStreamExt,
        watcher::{self, Event, watcher},
    },
};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::EditError;
use crate::{
    api::TenantPricing,
    cli::{
        cluster::{
            duration,
            pages::{PAGE, readable, why_not_listed},
            watches::{Fault, fault},
        },
        output,
    },
    cluster::{Key, TrimmedTenantPricing},
};

/// The flags about waiting.
#[derive(Clone, Copy, Debug, Args)]
pub(super) struct WaitArguments {
    /// How long to wait for the outcome, such as 30s or 5m; 0 for no limit. The edit goes on after that.
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = duration)]
    pub timeout: Duration,

    /// Do not wait for the outcome.
    #[arg(long)]
    pub no_wait: bool,
}

/// Ctrl-C, from the moment on in which this exists. It then no longer ends the process.
pub(super) struct Interrupt(Signal);

impl Interrupt {
    /// Takes over Ctrl-C.
    ///
    /// # Errors
    /// The handler cannot be installed.
    pub(super) fn take_over() -> std::io::Result<Self> {
        Ok(Self(signal(SignalKind::interrupt())?))
    }
}

/// Which objects are waited for.
pub(super) struct Awaited {
    /// The requests for the objects.
    pub api: Api<TrimmedTenantPricing>,
    /// The label selector that matches them all, if there is one.
    pub labels: Option<String>,
    /// The objects.
    pub keys: BTreeSet<Key>,
}

/// How the waiting ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// All objects are settled or gone.
    Complete,
    /// The time is over.
    TimedOut,
    /// The person pressed Ctrl-C.
    Interrupted,
}

/// What came of the objects.
#[derive(Debug)]
pub(super) struct Waited {
    /// How the waiting ended.
    pub end: End,
    /// The objects that are settled.
    pub settled: BTreeMap<Key, TenantPricing>,
    /// The objects that were deleted.
    pub gone: BTreeSet<Key>,
    /// The objects that are not settled, as they were last seen.
    pub pending: BTreeMap<Key, Option<TenantPricing>>,
}

/// Waits until `is_settled` holds for each object, and tells `progress` of each change before that.
///
/// # Errors
/// The API server refuses the watch.
pub(super) async fn wait(
    awaited: Awaited,
    limit: Duration,
    interrupt: &mut Interrupt,
    is_settled: impl Fn(&TenantPricing) -> bool,
    mut progress: impl FnMut(&TenantPricing),
) -> Result<Waited, EditError> {
    let Awaited { api, labels, keys } = awaited;
    let mut config = watcher::Config { label_selector: labels, ..watcher::Config::default() }.page_size(PAGE);
    if let (1, Some(only)) = (keys.len(), keys.first()) {
        config = config.fields(&format!("metadata.name={}", only.name()));
    }
    let mut waited = Waited {
        end: End::Complete,
        settled: BTreeMap::new(),
        gone: BTreeSet::new(),
        pending: keys.into_iter().map(|key| (key, None)).collect(),
    };
    let mut events = pin!(watcher(api, config).default_backoff());
    let mut over = pin!(async {
        if limit.is_zero() { std::future::pending().await } else { tokio::time::sleep(limit).await }
    });
    let mut listed = BTreeSet::new();
    while !waited.pending.is_empty() {
        let event = tokio::select! {
            event = events.next() => event,
            () = &mut over => { waited.end = End::TimedOut; break }
            _ = interrupt.0.recv() => { waited.end = End::Interrupted; break }
        };
        match event {
            Some(Ok(Event::Init)) => listed.clear(),
            Some(Ok(Event::InitApply(object))) => {
                listed.insert(Key::of(&object));
                waited.see(readable(object), &is_settled, &mut progress);
            }
            Some(Ok(Event::Apply(object))) => waited.see(readable(object), &is_settled, &mut progress),
            Some(Ok(Event::Delete(object))) => waited.lose(&Key::of(&object)),
            Some(Ok(Event::InitDone)) => {
                let missing: Vec<Key> =
                    waited.pending.keys().filter(|key| !listed.contains(*key)).cloned().collect();
                for key in &missing {
                    waited.lose(key);
                }
            }
            Some(Err(error)) => match fault(&error) {
                Fault::Refused(error) => {
                    return Err(EditError::NoWatch(why_not_listed::<TenantPricing>(error)));
                }
                Fault::Ended => tracing::debug!(%error, "the watch is established again"),
                Fault::Interrupted(why) => output::note(&format!("note: {why}")),
            },
            // A watch has no end.
            None => break,
        }
    }
    Ok(waited)
}

impl Waited {
    fn see(
        &mut self,
        object: TenantPricing,
        is_settled: &impl Fn(&TenantPricing) -> bool,
        progress: &mut impl FnMut(&TenantPricing),
    ) {
        let key = Key::of(&object);
        let Some(last) = self.pending.get_mut(&key) else { return };
        if is_settled(&object) {
            self.pending.remove(&key);
            self.settled.insert(key, object);
        } else {
            progress(&object);
            *last = Some(object);
        }
    }

    fn lose(&mut self, key: &Key) {
        if self.pending.remove(key).is_some() {
            self.gone.insert(key.clone());
        }
    }
}
