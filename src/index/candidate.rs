//! The older objects that compete for a tenant, and what decides whether one of them owns it.

use super::record::{Record, StoredRead, UuidDigest, short};
use crate::{cluster::Key, platform::Origin};

/// A connection that is present, admits an object, and needs no person to fix it.
#[derive(Clone, Debug)]
pub struct Via {
    /// The platform that the connection leads to.
    pub platform: Origin,
    /// The uid of the connection.
    pub uid: String,
    /// The connection is suspended, so nothing is read through it for now.
    pub suspended: bool,
    /// The connection has just read the tenant for another object, so it can read it for this one.
    pub has_just_read: bool,
}

/// What is known of the reads of a tenant for an object.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reads {
    pub through: Option<UuidDigest>,
    pub stored: StoredRead,
    /// The status says that the connection cannot read the tenant.
    pub are_refused: bool,
}

/// An older object that competes for a tenant, detached from the index.
#[derive(Debug)]
pub(super) struct Candidate {
    pub key: Key,
    pub connection: Key,
    pub reads: Reads,
    /// Whether the object has an open attempt on the platform of the tenant.
    pub is_open_here: bool,
    created: i64,
}

impl Candidate {
    /// Detaches an object, if it competes for its tenant on this platform.
    pub fn of(key: &Key, record: &Record, platform: &Origin) -> Option<Self> {
        let is_open_here = record.is_open_on(platform);
        (is_open_here || record.competes()).then(|| Self {
            key: key.clone(),
            connection: record.connection.clone(),
            reads: record.reads(),
            is_open_here,
            created: record.age(key).0,
        })
    }

    /// The same rank as [`Record::age`].
    pub fn age(&self) -> (i64, &str, &str) {
        (self.created, self.key.namespace(), self.key.name())
    }
}

impl Reads {
    /// Whether the tenant was read for the object through this connection, or is about to be, as far as this process
    /// knows.
    pub fn reach_through(self, via: &Via) -> bool {
        if via.has_just_read {
            return true;
        }
        match (self.through, self.stored) {
            _ if self.are_refused => false,
            (Some(uid), _) if uid == short(&via.uid) => true,
            // The connection was created again. Its objects are read at once, unless the connection is suspended.
            (Some(_), _) | (None, StoredRead::Pending) => !via.suspended,
            (None, StoredRead::Done) => true,
            (None, StoredRead::None) => false,
        }
    }
}
