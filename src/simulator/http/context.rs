//! The context of a route, and the answers that all routes share.

use jiff::Timestamp;

use crate::simulator::{
    answer::{Answer, Code},
    faults::{action::FaultAction, book::Habits},
    state::{
        tenant::TenantRecord,
        tenant_store::{Tenants, is_id},
        tokens::Access,
    },
    times::TimeFormat,
};

/// The context of a route: the platform's state, and the caller.
pub(crate) struct Context<'a> {
    pub tenants: &'a mut Tenants,
    pub access: &'a mut Access,
    pub habits: Habits<'a>,
    pub now: Timestamp,
    /// The tenant in which the caller acts. The caller sees only tenants below it. Empty for a token request.
    pub caller: String,
    /// Whether a write has changed something.
    pub took_effect: bool,
}

impl Context<'_> {
    /// A refusal in the platform's shape.
    pub fn refuse(&mut self, status: u16, code: i64, info: &str) -> Answer {
        self.refuse_with(status, Code::Number(code), info)
    }

    /// A refusal with a code that a fault may have chosen.
    pub fn refuse_with(&mut self, status: u16, code: Code, info: &str) -> Answer {
        let as_text = self.habits.has(None, &FaultAction::TextErrorCodes);
        Answer::error(status, &if as_text { code.into_text() } else { code }, info)
    }

    /// Writes an instant in the present format of the platform.
    pub fn time(&mut self, tenant: Option<&str>, at: Timestamp) -> String {
        let chosen = self.habits.find(tenant, |action| match action {
            FaultAction::TimeFormat { format } => Some(*format),
            _ => None,
        });
        chosen.unwrap_or(TimeFormat::NoZone).write(at)
    }

    /// Refuses an id that does not have the form the contract asks for.
    pub fn check_id(&mut self, name: &str, id: &str) -> Result<(), Answer> {
        if is_id(id) {
            return Ok(());
        }
        Err(self.refuse(400, 400, &format!("{name}: {id:?} is not a UUID in lower-case letters")))
    }

    /// Whether the caller can see the tenant at all.
    pub fn sees(&self, tenant: &TenantRecord) -> bool {
        !tenant.hidden && self.tenants.is_below(&tenant.id, &self.caller)
    }

    /// The tenant, if it exists and the caller may see it; or the refusal.
    pub fn visible_tenant(&mut self, id: &str, allow_deleted: bool) -> Result<TenantRecord, Answer> {
        self.check_id("tenant_id", id)?;
        let found =
            self.tenants.get(id, self.now).filter(|tenant| allow_deleted || tenant.deleted_at.is_none());
        let Some(tenant) = found.cloned() else {
            return Err(self.refuse(404, 1005, "there is no tenant with this id"));
        };
        if self.sees(&tenant) {
            return Ok(tenant);
        }
        Err(self.refuse(403, 1002, "the tenant is not below the one the credentials act in"))
    }
}
