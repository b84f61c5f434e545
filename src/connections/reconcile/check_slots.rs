//! Shares the checks of connections that wait for a platform among namespaces and platforms.
//!
//! A check waits for up to half a minute if its platform hangs. So a namespace uses at most half of the slots that the
//! other namespaces leave. Of these, a platform gets another one only while it uses fewer than are free for all second
//! slots. A namespace whose platforms all hang delays no check of another namespace, and one platform that hangs delays
//! none of another. Only a hundred such namespaces delay the checks of others, by half a minute.

use std::{collections::HashMap, sync::Arc};

use parking_lot::Mutex;

use crate::{cluster::Key, platform::Origin};

/// The number of slots. One platform of one namespace uses a sixth of them.
const TOTAL: usize = 72;

/// The number of namespaces that get their first slot beyond the total when all slots are in use.
const MAX_FIRST_SLOTS_BEYOND_TOTAL: usize = 24;

/// The maximum number of slots in use.
pub const MAX_CHECK_SLOTS: usize = TOTAL + MAX_FIRST_SLOTS_BEYOND_TOTAL;

/// The slots for checks. Cheap to clone; clones share everything.
#[derive(Clone, Default)]
pub struct CheckSlots(Arc<Mutex<Used>>);

#[derive(Default)]
struct Used {
    all: usize,
    by_namespace: HashMap<String, OfNamespace>,
}

#[derive(Default)]
struct OfNamespace {
    all: usize,
    by_platform: HashMap<Origin, usize>,
}

/// A slot in use. Dropping it gives it back.
pub struct CheckSlot {
    slots: CheckSlots,
    namespace: String,
    platform: Origin,
}

impl CheckSlots {
    /// Takes a slot for the check of a connection to a platform, if there is one for it now.
    #[must_use]
    pub fn take(&self, connection: &Key, platform: &Origin) -> Option<CheckSlot> {
        let mut used = self.0.lock();
        if !used.has_room(connection.namespace(), platform) {
            return None;
        }
        used.all += 1;
        let own = used.by_namespace.entry(connection.namespace().to_owned()).or_default();
        own.all += 1;
        *own.by_platform.entry(platform.clone()).or_default() += 1;
        drop(used);
        let namespace = connection.namespace().to_owned();
        Some(CheckSlot { slots: self.clone(), namespace, platform: platform.clone() })
    }
}

impl Used {
    fn has_room(&self, namespace: &str, platform: &Origin) -> bool {
        let Some(own) = self.by_namespace.get(namespace) else { return self.all < MAX_CHECK_SLOTS };
        let left = TOTAL.saturating_sub(self.all - own.all);
        match own.by_platform.get(platform) {
            // The last sixth is for platforms that use none yet.
            Some(used) => *used < (left / 3).saturating_sub(own.all),
            None => own.all < left / 2,
        }
    }
}

impl Drop for CheckSlot {
    fn drop(&mut self) {
        let mut used = self.slots.0.lock();
        used.all -= 1;
        let Some(own) = used.by_namespace.get_mut(&self.namespace) else { return };
        own.all -= 1;
        if let Some(number) = own.by_platform.get_mut(&self.platform) {
            *number -= 1;
            if *number == 0 {
                own.by_platform.remove(&self.platform);
            }
        }
        if own.all == 0 {
            used.by_namespace.remove(&self.namespace);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All slots that the connections of a namespace to a platform get.
    fn all(slots: &CheckSlots, namespace: &str, platform: &str) -> Vec<CheckSlot> {
        let platform = Origin::parse(&format!("https://{platform}.example.com")).unwrap();
        std::iter::from_fn(|| slots.take(&Key::new(namespace, "default"), &platform)).collect()
    }

    #[test]
    fn one_platform_of_one_namespace_gets_a_sixth() {
        assert_eq!(all(&CheckSlots::default(), "team", "eu").len(), TOTAL / 6);
    }

    #[test]
    fn ten_platforms_that_hang_leave_room_for_the_next_one() {
        let slots = CheckSlots::default();
        let held: Vec<_> = (0..10).map(|number| all(&slots, "team", &format!("eu{number}"))).collect();
        assert!(held.iter().all(|held| !held.is_empty()));
        assert!(!all(&slots, "team", "us").is_empty());
    }

    #[test]
    fn a_namespace_whose_platforms_all_hang_leaves_half() {
        let slots = CheckSlots::default();
        let held: Vec<_> = (0..100).flat_map(|number| all(&slots, "team", &format!("eu{number}"))).collect();
        assert_eq!(held.len(), TOTAL / 2);
        assert_eq!(all(&slots, "other", "us").len(), TOTAL / 12);
    }

    #[test]
    fn every_namespace_gets_one_slot_up_to_a_bound() {
        let slots = CheckSlots::default();
        let held: Vec<_> =
            (0..1000).flat_map(|number| all(&slots, &format!("team-{number}"), "eu")).collect();
        assert_eq!(held.len(), MAX_CHECK_SLOTS);
        drop(held);
        assert!(slots.0.lock().by_namespace.is_empty(), "all were given back");
        assert_eq!(slots.0.lock().all, 0);
    }
}
