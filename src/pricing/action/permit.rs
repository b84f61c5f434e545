//! The right to begin one switch, as the switch queue gives it.

use std::{fmt::Debug, sync::Arc};

/// Where a permit comes from: it counts the permits that are out, and those of them that are not committed.
pub trait PermitIssuer: Debug + Send + Sync {
    /// The number of permits whose attempt is not announced yet.
    fn reserved(&self) -> u32;

    /// The attempt of one permit is announced. The budget counts it elsewhere from now on.
    fn commit(&self);

    /// One permit is given back.
    fn release(&self);
}

/// The right to begin one switch: room within the pace and the budget of a connection. Given back when dropped.
#[derive(Debug)]
pub struct SwitchPermit {
    issuer: Arc<dyn PermitIssuer>,
    is_committed: bool,
}

impl SwitchPermit {
    /// A permit that its issuer counts already.
    #[must_use]
    pub fn new(issuer: Arc<dyn PermitIssuer>) -> Self {
        Self { issuer, is_committed: false }
    }

    /// The number of attempts of others that are about to be announced.
    #[must_use]
    pub fn others(&self) -> u32 {
        self.issuer.reserved().saturating_sub(u32::from(!self.is_committed))
    }

    /// The attempt is announced, and the index counts it: the permit reserves nothing any more.
    pub fn commit(&mut self) {
        if !self.is_committed {
            self.is_committed = true;
            self.issuer.commit();
        }
    }
}

impl Drop for SwitchPermit {
    fn drop(&mut self) {
        self.commit();
        self.issuer.release();
    }
}
