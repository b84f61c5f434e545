//! The counts of objects and tenants, for metrics and for the status of a connection.

use std::collections::{BTreeMap, HashMap};

use jiff::{SignedDuration, Timestamp};

use super::record::{ObservedMode, Record, State};
use crate::{
    api::{DesiredMode, StalledReason, TenantCounts},
    cluster::Key,
};

/// How far ahead automatic switches are counted as upcoming.
pub const UPCOMING_WINDOW: SignedDuration = SignedDuration::from_hours(7 * 24);

/// The counts of all connections that objects name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// The counts by connection, as objects name it. A connection of that name need not exist.
    pub connections: BTreeMap<Key, ConnectionCounts>,
}

/// The counts of one connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConnectionCounts {
    /// Tenants by mode. A tenant counts once, however many objects show it. Tenants of objects that the connection does
    /// not admit are left out.
    pub tenants: TenantCounts,
    /// Objects by the mode in which their tenant was last seen, and by whether they are Ready.
    objects: [[u32; 2]; ObservedMode::ALL.len()],
    /// The objects among them without any condition, because they have not been reconciled yet.
    not_seen: [u32; ObservedMode::ALL.len()],
    /// Stalled objects by reason.
    pub stalled: HashMap<StalledReason, u32>,
    /// Objects whose switch waits for its time or for admission by the switch queue.
    pub scheduled: u32,
    /// The earliest time that one of them waits for.
    pub next_scheduled: Option<Timestamp>,
    /// Objects with an open attempt.
    pub open_attempts: u32,
    /// When the oldest of these attempts was announced.
    pub oldest_open_attempt: Option<Timestamp>,
    /// Tenants that the platform will switch automatically within [`UPCOMING_WINDOW`], by the mode that their objects
    /// ask for.
    pub upcoming: HashMap<Option<DesiredMode>, u32>,
}

impl Counts {
    /// Counts one object. `repeated` says that an object of the same connection with the same tenant is counted
    /// already.
    pub(super) fn count(&mut self, record: &Record, repeated: bool, now: Timestamp) {
        // A lookup comes before the insertion, so that a key is cloned only once.
        let counts = match self.connections.get_mut(record.connection()) {
            Some(counts) => counts,
            None => self.connections.entry(record.connection().clone()).or_default(),
        };
        counts.count(record, repeated, now);
    }
}

impl ConnectionCounts {
    /// The number of objects whose tenant was last seen in `mode`, and whose condition `Ready` is True (`ready`) or
    /// not.
    #[must_use]
    pub fn objects(&self, mode: ObservedMode, ready: bool) -> u32 {
        self.objects[mode as usize][usize::from(ready)]
    }

    /// The number of objects that are not Ready because they have not been reconciled yet.
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
        self.open_attempts += u32::from(record.is_open());
        let announced = [self.oldest_open_attempt, record.attempt_open_since()];
        self.oldest_open_attempt = announced.into_iter().flatten().min();
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
        let is_upcoming = record.trial_ends().is_some_and(|ends| ends.duration_since(now) <= UPCOMING_WINDOW);
        if is_upcoming {
            *self.upcoming.entry(record.desired()).or_default() += 1;
        }
    }
}
