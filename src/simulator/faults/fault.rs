//! A fault: its action, and the requests that it meets.

use serde::{Deserialize, Serialize};

use crate::simulator::{faults::action::FaultAction, operation::Operation};

/// The handle of an injected fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FaultId(pub u64);

/// A fault: what happens, for which call and tenant, and how often.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Fault {
    /// The call it meets; every call if absent.
    pub operation: Option<Operation>,
    /// The tenant it meets, as named in path or query; every tenant if absent.
    pub tenant: Option<String>,
    /// The number of requests it meets; all if absent.
    pub times: Option<u32>,
    /// The number of matching requests that it skips first.
    #[serde(default)]
    pub skip: u32,
    /// What happens.
    pub action: FaultAction,
}

impl Fault {
    /// A fault that meets every request.
    #[must_use]
    pub fn new(action: FaultAction) -> Self {
        Self { operation: None, tenant: None, times: None, skip: 0, action }
    }

    /// Meets this call only.
    #[must_use]
    pub fn on(mut self, operation: Operation) -> Self {
        self.operation = Some(operation);
        self
    }

    /// Meets this tenant only.
    #[must_use]
    pub fn tenant(mut self, tenant: impl Into<String>) -> Self {
        self.tenant = Some(tenant.into());
        self
    }

    /// Limits it to this number of requests.
    #[must_use]
    pub fn times(mut self, times: u32) -> Self {
        self.times = Some(times);
        self
    }

    /// Limits it to one request.
    #[must_use]
    pub fn once(self) -> Self {
        self.times(1)
    }

    /// Skips this number of requests first.
    #[must_use]
    pub fn skip(mut self, skip: u32) -> Self {
        self.skip = skip;
        self
    }

    /// Checks the values of the fault.
    ///
    /// # Errors
    /// Names the field with an invalid value, and the valid values.
    pub fn check(&self) -> Result<(), String> {
        match &self.action {
            FaultAction::Answer { status, .. }
            | FaultAction::Error { status, .. }
            | FaultAction::RetryAfterSeconds { status, .. }
            | FaultAction::RetryAfterDate { status, .. }
            | FaultAction::Redirect { status, .. }
            | FaultAction::VersionConflict { status }
            | FaultAction::ProductionAgain { status, .. }
            | FaultAction::BackToTrial { status, .. }
            | FaultAction::SuspendedWrite { status, .. }
            | FaultAction::LockedWrite { status, .. }
                if !(200..=999).contains(status) =>
            {
                Err(format!("action.status: {status} cannot end an answer; give a number from 200 to 999"))
            }
            FaultAction::Answer { headers, .. } => headers.iter().try_for_each(|(name, value)| {
                let valid = hyper::header::HeaderName::try_from(name).is_ok()
                    && hyper::header::HeaderValue::try_from(value).is_ok();
                if valid {
                    Ok(())
                } else {
                    Err(format!("action.headers: {name:?}: {value:?} is no header line"))
                }
            }),
            FaultAction::Redirect { location: value, .. }
            | FaultAction::WrongContentType { content_type: value }
                if hyper::header::HeaderValue::try_from(value).is_err() =>
            {
                Err(format!("action: {value:?} cannot stand in a header line"))
            }
            FaultAction::Drip { bytes: 0, .. } => {
                Err("action.bytes: 0 bytes at a time never end; give at least 1".to_owned())
            }
            FaultAction::PageLimit { limit: 0 } => {
                Err("action.limit: a page of 0 tenants never ends; give at least 1".to_owned())
            }
            _ => Ok(()),
        }
    }
}
