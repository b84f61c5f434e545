//! The line of a connection: switches that are due wait here for its pace and its budget, first come, first
//! served by the instant they became due.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use jiff::Timestamp;
use tokio::sync::Notify;

use super::budget::Standing;
use crate::cluster::Key;

/// The line of one connection. Cheap to clone; clones share everything.
#[derive(Clone, Debug, Default)]
pub struct Line {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    places: Mutex<Places>,
    moved: Notify,
}

#[derive(Debug, Default)]
struct Places {
    /// Those that wait, sorted. Even with ten thousand of them an insertion moves no more than a few hundred
    /// kilobytes, and the place of each is found by halving.
    waiting: VecDeque<(Timestamp, Key)>,
    /// Since when each of them is due.
    due: HashMap<Key, Timestamp>,
    /// Tickets that are out.
    out: usize,
    /// Those of them whose attempt has not been announced yet.
    reserved: u32,
}

/// What asking for a ticket came to.
#[derive(Debug)]
pub struct Granted {
    /// The head of the line and its ticket, if it may begin.
    pub ticket: Option<(Key, Ticket)>,
    /// How the budget stands for the head of the line.
    pub standing: Standing,
}

/// The right to begin one switch. Given back when dropped.
#[derive(Debug)]
pub struct Ticket {
    shared: Arc<Shared>,
    spent: bool,
}

impl Line {
    /// Lines up an object whose switch is due since `due`. One that stands there already keeps the earlier place.
    pub fn enter(&self, key: &Key, due: Timestamp) {
        let mut places = self.shared.lock();
        if places.due.get(key).is_some_and(|earlier| *earlier <= due) {
            return;
        }
        places.leave(key);
        let place = (due, key.clone());
        let at = places.waiting.partition_point(|other| *other < place);
        places.waiting.insert(at, place);
        places.due.insert(key.clone(), due);
        drop(places);
        self.shared.moved.notify_one();
    }

    /// Takes an object out of the line. It need not be in it.
    pub fn leave(&self, key: &Key) {
        let left = self.shared.lock().leave(key);
        if left {
            self.shared.moved.notify_one();
        }
    }

    /// Gives the head of the line a ticket, and with it takes it out of the line, if fewer than `most` tickets
    /// are out and the budget has room. `room` says whether it has, for the head of the line, when so many
    /// attempts are about to be announced besides; it is not asked if nobody waits, and must not come back to
    /// the line.
    #[must_use]
    pub fn grant(&self, most: usize, room: impl FnOnce(&Key, u32) -> Standing) -> Granted {
        let mut places = self.shared.lock();
        let Some((_, head)) = places.waiting.front().cloned() else {
            return Granted { ticket: None, standing: Standing::Room };
        };
        // Asked under the lock: an attempt that is announced meanwhile is counted at least once.
        let standing = room(&head, places.reserved);
        if standing != Standing::Room || places.out >= most {
            return Granted { ticket: None, standing };
        }
        places.leave(&head);
        places.out += 1;
        places.reserved += 1;
        let ticket = Ticket { shared: self.shared.clone(), spent: false };
        Granted { ticket: Some((head, ticket)), standing }
    }

    /// How many stand before an object in the line. `None` if it is not in it.
    #[must_use]
    pub fn position(&self, key: &Key) -> Option<usize> {
        self.shared.lock().position(key)
    }

    /// How many wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shared.lock().waiting.len()
    }

    /// Whether nobody waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Waits until somebody entered or left the line, or a ticket was given back, since this was last waited for.
    /// For one waiter.
    pub async fn moved(&self) {
        self.shared.moved.notified().await;
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Places> {
        // The places are valid between any two statements, so a poisoned lock loses nothing.
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Places {
    fn position(&self, key: &Key) -> Option<usize> {
        let place = (*self.due.get(key)?, key.clone());
        self.waiting.binary_search(&place).ok()
    }

    fn leave(&mut self, key: &Key) -> bool {
        let left = self.position(key).and_then(|at| self.waiting.remove(at)).is_some();
        self.due.remove(key);
        left
    }
}

impl Ticket {
    /// How many attempts of others are about to be announced.
    #[must_use]
    pub fn others(&self) -> u32 {
        self.shared.lock().reserved.saturating_sub(u32::from(!self.spent))
    }

    /// The attempt is announced, and counted among what was spent: the ticket reserves nothing any more.
    pub fn spent(&mut self) {
        if !self.spent {
            self.spent = true;
            let mut places = self.shared.lock();
            places.reserved = places.reserved.saturating_sub(1);
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.spent();
        let mut places = self.shared.lock();
        places.out = places.out.saturating_sub(1);
        drop(places);
        self.shared.moved.notify_one();
    }
}

#[cfg(test)]
mod tests;
