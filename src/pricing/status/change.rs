//! A change of a stored status, with its audit line and its events.

use jiff::Timestamp;

use super::{
    audit,
    events::{self, EventSpec},
};
use crate::api::{TenantPricing, TenantPricingStatus};

/// A status that was stored over another one.
pub(crate) struct StatusChange<'a> {
    /// The object, as it is stored now.
    pub object: &'a TenantPricing,
    /// The status that was stored before.
    pub before: &'a TenantPricingStatus,
    /// The status that was written.
    pub after: &'a TenantPricingStatus,
    /// When it was written, by the controller's clock.
    pub at: Timestamp,
}

impl StatusChange<'_> {
    /// Writes the audit line, if the change ends a switch.
    pub fn audit(&self) {
        audit::log_outcome(self.object, self.before);
    }

    /// The events that report the change.
    #[must_use]
    pub fn events(&self) -> Vec<EventSpec> {
        events::of_change(self.object, self.before, self.after, self.at)
    }
}
