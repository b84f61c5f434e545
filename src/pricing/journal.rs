//! What a stored journal says about an attempt. Pure.

use jiff::Timestamp;

use crate::{
    api::{Phase, TenantPricing},
    index::TenantKey,
    platform::Origin,
    pricing::facts::Acceptance,
};

/// The id of the open attempt. An entry without an id is also an attempt, and has the object's uid as its id.
pub(crate) fn open_attempt(object: &TenantPricing) -> Option<&str> {
    let journal = object.status.as_ref()?.open_journal()?;
    Some(journal.attempt_id.as_deref().or(object.metadata.uid.as_deref()).unwrap_or_default())
}

/// The id of the attempt in a completed journal.
pub(crate) fn completed_attempt(object: &TenantPricing) -> Option<&str> {
    let journal = object.status.as_ref()?.switch.as_ref()?;
    journal.attempt_id.as_deref().filter(|_| journal.phase == Phase::Completed)
}

/// The tenant of an object's journal.
pub(crate) fn journaled_tenant(object: &TenantPricing) -> Option<TenantKey> {
    let status = object.status.as_ref()?;
    let platform = Origin::parse(status.switch.as_ref()?.platform.as_deref()?).ok()?;
    Some(TenantKey { platform, tenant: status.tenant_id.as_deref()?.parse().ok()? })
}

/// The open entry of an object's journal.
#[derive(Clone, Debug)]
pub struct OpenEntry<'a> {
    /// See [`open_attempt`].
    pub attempt_id: &'a str,
    /// The tenant of the attempt.
    pub tenant: Option<TenantKey>,
    /// The acceptance that the entry records.
    pub accepted: Option<Acceptance>,
}

impl<'a> OpenEntry<'a> {
    /// The open entry of an object, if it has one. `now` is the time by the controller's clock.
    pub(crate) fn of(object: &'a TenantPricing, now: Timestamp) -> Option<Self> {
        let attempt_id = open_attempt(object)?;
        let journal = object.status.as_ref()?.switch.as_ref()?;
        let accepted = Acceptance::stored(journal, now);
        Some(Self { attempt_id, tenant: journaled_tenant(object), accepted })
    }
}
