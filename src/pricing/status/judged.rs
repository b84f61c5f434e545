//! A decision, and the status that reports it. Pure.

use super::report;
use crate::{
    api::{TenantPricing, TenantPricingStatus},
    pricing::{
        decide::{self, Decision, Requeue, Verdict},
        facts::Facts,
    },
};

/// A decision, and the status that reports it.
pub(in crate::pricing) struct Judged {
    pub decision: Decision,
    pub status: TenantPricingStatus,
}

/// The end of a reconcile: the object as the API server stores it before the last status is written, and that status.
pub(in crate::pricing) struct Done {
    pub object: TenantPricing,
    pub status: TenantPricingStatus,
    pub requeue: Requeue,
    pub verdict: Verdict,
}

impl Judged {
    /// Decides on facts.
    pub fn of(facts: &Facts<'_>) -> Self {
        let decision = decide::decide(facts);
        Self { status: report::status(facts, &decision), decision }
    }

    /// Ends a reconcile of `object` with this decision.
    pub fn done(self, object: TenantPricing) -> Done {
        Done { object, status: self.status, requeue: self.decision.requeue, verdict: self.decision.verdict }
    }
}
