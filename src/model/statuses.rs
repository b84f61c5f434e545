//! All statuses that were ever stored, each with a number. A state of the model holds the number. The code that ships
//! is given the whole status, as the API server would return it.

use std::{
    collections::HashMap,
    fmt,
    sync::{LazyLock, Mutex},
};

use crate::api::{ConditionType, Phase, SwitchedBy, TenantPricingStatus, conditions};

/// The number of a status.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Status(u16);

#[derive(Default)]
struct Statuses {
    all: Vec<TenantPricingStatus>,
    numbers: HashMap<String, Status>,
}

static STATUSES: LazyLock<Mutex<Statuses>> = LazyLock::new(Mutex::default);

impl Status {
    /// The status of a new object.
    pub fn first() -> Self {
        Self::of(&TenantPricingStatus::default())
    }

    pub fn of(status: &TenantPricingStatus) -> Self {
        let text = serde_json::to_string(status).unwrap();
        let mut statuses = STATUSES.lock().unwrap();
        if let Some(number) = statuses.numbers.get(&text) {
            return *number;
        }
        let number =
            Self(u16::try_from(statuses.all.len()).expect("the number of a status fits into 16 bits"));
        statuses.all.push(serde_json::from_str(&text).unwrap());
        statuses.numbers.insert(text, number);
        number
    }

    pub fn get(self) -> TenantPricingStatus {
        STATUSES.lock().unwrap().all[usize::from(self.0)].clone()
    }

    pub fn phase(self) -> Option<Phase> {
        self.map(|status| status.switch.as_ref().map(|journal| journal.phase))
    }

    /// The number of the open attempt.
    pub fn open_attempt(self) -> Option<u8> {
        self.attempt().filter(|_| self.phase() == Some(Phase::InFlight))
    }

    /// The number of the last attempt in the journal.
    pub fn attempt(self) -> Option<u8> {
        self.map(|status| {
            status.switch.as_ref()?.attempt_id.as_deref()?.strip_prefix("attempt-")?.parse().ok()
        })
    }

    /// The number of the completed attempt.
    pub fn completed_attempt(self) -> Option<u8> {
        self.map(|status| {
            let journal = status.switch.as_ref().filter(|journal| journal.phase == Phase::Completed)?;
            journal.attempt_id.as_deref()?.strip_prefix("attempt-")?.parse().ok()
        })
    }

    /// Whether the journal says that this controller switched the tenant.
    pub fn is_by_the_controller(self) -> bool {
        let by = self.map(|status| status.switch.as_ref().and_then(|journal| journal.by));
        by == Some(SwitchedBy::Controller)
    }

    /// Whether the open attempt was accepted.
    pub fn is_accepted(self) -> bool {
        self.map(|status| status.switch.as_ref().is_some_and(|journal| journal.accepted_at.is_some()))
    }

    /// The reason of the condition `Ready`, and whether it is True.
    pub fn ready(self) -> Option<(bool, String)> {
        self.map(|status| {
            let ready = conditions::find(&status.conditions, ConditionType::Ready)?;
            Some((ready.status == "True", ready.reason.clone()))
        })
    }

    pub fn map<T>(self, at: impl FnOnce(&TenantPricingStatus) -> T) -> T {
        at(&STATUSES.lock().unwrap().all[usize::from(self.0)])
    }
}

impl fmt::Debug for Status {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ready = self.ready().map(|(_, reason)| reason).unwrap_or_default();
        match self.phase() {
            Some(phase) => write!(formatter, "{phase:?} {ready}"),
            None => write!(formatter, "{ready}"),
        }
    }
}
