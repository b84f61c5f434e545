//! The request that a `TenantPricing` carries while it waits.

use super::{Merge, Queue};
use crate::pricing::ReconcileRequest;

/// The work queue of the `TenantPricing`s.
pub(in crate::controller) type WorkQueue = Queue<ReconcileRequest>;

impl Merge for ReconcileRequest {
    fn merge(&mut self, newer: Self) {
        self.read = newer.read.or(self.read.take());
        self.queue_state = newer.queue_state.or(self.queue_state.take());
        self.permit = newer.permit.or(self.permit.take());
        self.awaits_listing |= newer.awaits_listing;
    }

    fn is_nothing(&self) -> bool {
        self.read.is_none() && self.queue_state.is_none() && self.permit.is_none() && !self.awaits_listing
    }
}
