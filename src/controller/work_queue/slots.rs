//! Shares the slots for reconciles, and those for switches, among the connections.
//!
//! A reconcile keeps its slot for up to half a minute if the platform of its connection hangs. So a connection gets
//! another slot only while it uses fewer slots than are free. One connection alone uses half of the slots, two that
//! hang use a third each, and there is always room for the next one.

use std::{collections::HashMap, sync::Arc};

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::Notify;

use crate::cluster::Key;

/// The number of connections that get their first slot beyond the total when all slots are in use.
const MAX_FIRST_SLOTS_BEYOND_TOTAL: usize = 64;

/// A number of slots. Cheap to clone; clones share everything.
#[derive(Clone)]
pub(in crate::controller) struct Slots(Arc<Shared>);

struct Shared {
    total: usize,
    used: Mutex<Used>,
    freed: Notify,
}

#[derive(Default)]
struct Used {
    all: usize,
    by_connection: HashMap<Key, usize>,
}

/// A slot in use. Dropping it gives it back.
pub(in crate::controller) struct Slot {
    slots: Slots,
    connection: Key,
}

impl Slots {
    pub(in crate::controller) fn new(total: usize) -> Self {
        Self(Arc::new(Shared { total, used: Mutex::default(), freed: Notify::new() }))
    }

    /// Whether a connection may have another slot now.
    pub(in crate::controller) fn has_room(&self, connection: &Key) -> bool {
        self.used().has_room(connection, self.0.total)
    }

    /// Takes a slot for a connection, if the connection may have another one now.
    pub(in crate::controller) fn take(&self, connection: &Key) -> Option<Slot> {
        let mut used = self.used();
        if !used.has_room(connection, self.0.total) {
            return None;
        }
        used.all += 1;
        *used.by_connection.entry(connection.clone()).or_default() += 1;
        Some(Slot { slots: self.clone(), connection: connection.clone() })
    }

    /// Waits until a slot is given back. For one task.
    pub(in crate::controller) async fn freed(&self) {
        self.0.freed.notified().await;
    }

    fn used(&self) -> MutexGuard<'_, Used> {
        self.0.used.lock()
    }
}

impl Used {
    fn has_room(&self, connection: &Key, total: usize) -> bool {
        match self.by_connection.get(connection) {
            Some(own) => *own < total.saturating_sub(self.all),
            None => self.all < total + MAX_FIRST_SLOTS_BEYOND_TOTAL,
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut used = self.slots.used();
        used.all -= 1;
        if let Some(own) = used.by_connection.get_mut(&self.connection) {
            *own -= 1;
            if *own == 0 {
                used.by_connection.remove(&self.connection);
            }
        }
        drop(used);
        self.slots.0.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    fn key(name: &str) -> Key {
        Key::new("team", name)
    }

    /// All slots that a connection gets.
    fn all(slots: &Slots, name: &str) -> Vec<Slot> {
        std::iter::from_fn(|| slots.take(&key(name))).collect()
    }

    #[test]
    fn one_connection_alone_gets_half_of_the_slots() {
        for (total, half) in [(32, 16), (64, 32), (3, 2), (1, 1), (2, 1)] {
            assert_eq!(all(&Slots::new(total), "one").len(), half, "of {total}");
        }
    }

    #[test]
    fn connections_that_hang_leave_room_for_the_next_one() {
        let slots = Slots::new(32);
        let mut held = Vec::new();
        for (number, least) in [16, 8, 4, 2, 1, 1, 1, 1].into_iter().enumerate() {
            let own = all(&slots, &number.to_string());
            assert!(own.len() >= least, "connection {number} gets {}", own.len());
            held.extend(own);
        }
    }

    #[test]
    fn two_that_hang_side_by_side_leave_a_third() {
        let slots = Slots::new(32);
        let mut held = Vec::new();
        loop {
            let taken: Vec<_> = ["one", "two"].iter().filter_map(|name| slots.take(&key(name))).collect();
            if taken.is_empty() {
                break;
            }
            held.extend(taken);
        }
        assert!((20..=22).contains(&held.len()), "{} slots", held.len());
        assert!(all(&slots, "healthy").len() >= 5);
    }

    #[test]
    fn every_connection_gets_one_slot_up_to_a_bound() {
        let slots = Slots::new(4);
        let held: Vec<_> = (0..1000).filter_map(|number| slots.take(&key(&number.to_string()))).collect();
        assert_eq!(held.len(), 4 + MAX_FIRST_SLOTS_BEYOND_TOTAL);
        drop(held);
        assert_eq!(all(&slots, "one").len(), 2, "all were given back");
    }

    #[test]
    fn a_returned_slot_notifies_and_leaves_nothing_behind() {
        let slots = Slots::new(2);
        let held = all(&slots, "one");
        assert!(!slots.has_room(&key("one")) && slots.freed().now_or_never().is_none());
        drop(held);
        assert!(slots.has_room(&key("one")) && slots.freed().now_or_never().is_some());
        assert!(slots.used().by_connection.is_empty());
    }
}
