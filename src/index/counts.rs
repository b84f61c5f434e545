//! How many there are of what: for metrics and for a connection's status.

use std::collections::{BTreeMap, HashMap};

use jiff::{SignedDuration, Timestamp};

use super::record::{ObservedMode, Record, State};
use crate::{
    api::{StalledReason, TenantCounts},
    cluster::Key,
};

/// Automatic switches are foreseen so far ahead.
pub const UPCOMING_WINDOW: SignedDuration = SignedDuration::from_hours(7 * 24);

/// The figures of all connections that objects name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// By connection, as objects name it; there need not be one of that name.
    pub connections: BTreeMap<Key, ConnectionCounts>,
}

/// The figures of one connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConnectionCounts {
    /// Tenants by mode, each counted once however many objects show it. Those of objects that the connection does
    /// not admit are left out.
    pub tenants: TenantCounts,
    /// Objects by the mode that their tenant was last seen in, and by whether they are Ready.
    objects: [[u32; 2]; ObservedMode::ALL.len()],
    /// Those among them that nobody has looked at yet, so that they have no condition at all.
    not_seen: [u32; ObservedMode::ALL.len()],
    /// Stalled objects by reason.
    pub stalled: HashMap<StalledReason, u32>,
    /// Objects whose switch waits for its time or its turn.
    pub scheduled: u32,
    /// The earliest instant that one of them waits for.
    pub next_scheduled: Option<Timestamp>,
    /// Tenants that the platform will switch by itself within [`UPCOMING_WINDOW`].
    pub foreseen: u32,
}

impl Counts {
    /// Counts an object in. `repeated`: another one of the same connection, counted as well, shows its tenant.
    pub(super) fn count(&mut self, record: &Record, repeated: bool, now: Timestamp) {
        // Looked up before it is inserted: a key is copied only once.
        let counts = match self.connections.get_mut(record.connection()) {
            Some(counts) => counts,
            None => self.connections.entry(record.connection().clone()).or_default(),
        };
        counts.count(record, repeated, now);
    }
}

impl ConnectionCounts {
    /// The number of objects whose tenant was last seen in `mode` and whose condition `Ready` is True, or is not.
    #[must_use]
    pub fn objects(&self, mode: ObservedMode, ready: bool) -> u32 {
        self.objects[mode as usize][usize::from(ready)]
    }

    /// The number of those that are not Ready because nobody has looked at them yet.
    #[must_use]
    pub fn not_seen(&self, mode: ObservedMode) -> u32 {
        self.not_seen[mode as usize]
    }

    fn count(&mut self, record: &Record, repeated: bool, now: Timestamp) {
        let is_ready = matches!(record.state(), State::Ready(_));
        self.objects[record.mode() as usize][usize::from(is_ready)] += 1;
        self.not_seen[record.mode() as usize] += u32::from(record.state() == State::NotSeen);
        if let State::Stalled(Some(reason)) = record.state() {
            *self.stalled.entry(reason).or_default() += 1;
        }
        if let Some(at) = record.scheduled_for() {
            self.scheduled += 1;
            self.next_scheduled = Some(self.next_scheduled.map_or(at, |next| next.min(at)));
        }
        if repeated || record.is_refused() {
            return;
        }
        let tenants = &mut self.tenants;
        *match record.mode() {
            ObservedMode::Trial => &mut tenants.trial,
            ObservedMode::Production => &mut tenants.production,
            ObservedMode::Suspended => &mut tenants.suspended,
            ObservedMode::Unknown => &mut tenants.unknown,
        } += 1;
        let is_foreseen = record.trial_ends().is_some_and(|ends| ends.duration_since(now) <= UPCOMING_WINDOW);
        self.foreseen += u32::from(is_foreseen);
    }
}
