//! The right to begin one switch, which the switch queue issues.

use std::{fmt::Debug, sync::Arc};

/// The issuer of permits. It counts the permits in use, and those of them that are not committed.
pub trait PermitIssuer: Debug + Send + Sync {
    /// The number of permits whose attempt is not announced yet.
    fn reserved(&self) -> u32;

    /// Commits a permit: its attempt is announced, and the index counts it against the budget from now on.
    fn commit(&self);

    /// Releases a permit.
    fn release(&self);
}

/// The right to begin one switch: room within the rate limit and the budget of a connection. Released on drop.
#[derive(Debug)]
pub struct SwitchPermit {
    issuer: Arc<dyn PermitIssuer>,
    is_committed: bool,
}

impl SwitchPermit {
    /// Creates a permit that its issuer counts already.
    #[must_use]
    pub fn new(issuer: Arc<dyn PermitIssuer>) -> Self {
        Self { issuer, is_committed: false }
    }

    /// The number of attempts of other permits that are about to be announced.
    #[must_use]
    pub fn others(&self) -> u32 {
        self.issuer.reserved().saturating_sub(u32::from(!self.is_committed))
    }

    /// Commits the permit: its attempt is announced and the index counts it, so the permit no longer reserves room.
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
