//! The calls of the platform's API: who may make them, and who answers which.

use bytes::Bytes;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName};
use hyper::http::request::Parts;
use jiff::Timestamp;

use super::answer::{Answer, Code};
use super::core::State;
use super::fault_action::FaultAction;
use super::fault_book::Habits;
use super::operation::Route;
use super::tenant_store::{Tenants, is_id};
use super::tenants::TenantRecord;
use super::times::TimeFormat;
use super::tokens::Access;
use super::{routes_access, routes_pricing, routes_search, routes_tenants};

/// A request, as far as the routes care.
pub(super) struct Call {
    pub route: Route,
    /// The query, decoded.
    pub query: Vec<(String, String)>,
    pub authorization: Option<String>,
    pub content_type: Option<String>,
    pub body: Bytes,
}

impl Call {
    /// The call without its body, which comes later.
    pub fn new(parts: &Parts) -> Self {
        let query = parts.uri.query().unwrap_or_default();
        let header = |name: HeaderName| {
            parts.headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
        };
        Self {
            route: Route::of(&parts.method, parts.uri.path()),
            query: url::form_urlencoded::parse(query.as_bytes()).into_owned().collect(),
            authorization: header(AUTHORIZATION),
            content_type: header(CONTENT_TYPE),
            body: Bytes::new(),
        }
    }

    /// The value of a query argument; the last one if it is repeated.
    pub fn argument(&self, name: &str) -> Option<&str> {
        self.query.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The value of a query argument that is `true` or `false`; absent means false.
    pub fn flag(&self, name: &str) -> Result<bool, Answer> {
        match self.argument(name) {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(other) => Err(Answer::bad_request(&format!("{name}: {other:?} is neither true nor false"))),
        }
    }

    /// Whether the body says that it is of this media type, whatever parameters follow.
    pub fn has_media_type(&self, wanted: &str) -> bool {
        let given = self.content_type.as_deref().and_then(|value| value.split(';').next());
        given.is_some_and(|given| given.trim().eq_ignore_ascii_case(wanted))
    }
}

/// What a route works with: the platform's state, and who is asking.
pub(super) struct Context<'a> {
    pub tenants: &'a mut Tenants,
    pub access: &'a mut Access,
    pub habits: Habits<'a>,
    pub now: Timestamp,
    /// The tenant in which the caller acts, and outside which it sees nothing. Empty for a token request.
    pub caller: String,
    /// Set by a write that changed something.
    pub took_effect: bool,
}

/// Answers a call and says whether it changed a tenant's pricing.
pub(super) fn answer(state: &mut State, call: &Call) -> (Answer, bool) {
    let now = state.now();
    let State { tenants, access, faults, .. } = state;
    let habits = Habits::new(faults, call.route.operation());
    let mut context = Context { tenants, access, habits, now, caller: String::new(), took_effect: false };
    let answer = context.answer(call).unwrap_or_else(|refusal| refusal);
    (answer, context.took_effect)
}

impl Context<'_> {
    fn answer(&mut self, call: &Call) -> Result<Answer, Answer> {
        match &call.route {
            Route::Unknown => return Err(self.refuse(404, 404, "there is no such path")),
            Route::WrongMethod => return Err(self.refuse(405, 405, "the path has no such method")),
            Route::Token => return routes_access::token(self, call),
            _ => {}
        }
        self.authenticate(call)?;
        match &call.route {
            Route::Client(id) => routes_access::client(self, id),
            Route::Search => routes_search::search(self, call),
            Route::Tenants => routes_tenants::list(self, call),
            Route::Tenant(id) => routes_tenants::one(self, call, id),
            Route::Children(id) => routes_tenants::children(self, call, id),
            Route::Pricing(id) => routes_pricing::read(self, id),
            Route::PutPricing(id) => routes_pricing::write(self, call, id),
            Route::Token | Route::WrongMethod | Route::Unknown => Err(self.refuse(404, 404, "")),
        }
    }

    /// The contract takes a bearer token or the client's own id and secret.
    fn authenticate(&mut self, call: &Call) -> Result<(), Answer> {
        let Some(header) = call.authorization.as_deref() else {
            return Err(self.refuse(401, 401, "the Authorization header is missing"));
        };
        let client = self.access.bearer(header, self.now).or_else(|| self.access.basic(header));
        let Some(client) = client.and_then(|id| self.access.client(id)) else {
            return Err(self.refuse(401, 401, "the token is unknown or has expired"));
        };
        self.caller = client.tenant_id.clone();
        Ok(())
    }

    /// A refusal in the platform's shape.
    pub fn refuse(&mut self, status: u16, code: i64, info: &str) -> Answer {
        self.refuse_with(status, Code::Number(code), info)
    }

    /// A refusal with a code that a fault may have chosen.
    pub fn refuse_with(&mut self, status: u16, code: Code, info: &str) -> Answer {
        let as_text = self.habits.has(None, &FaultAction::TextErrorCodes);
        Answer::error(status, &if as_text { code.into_text() } else { code }, info)
    }

    /// Writes an instant as the platform does at present.
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
    pub fn look(&mut self, id: &str, allow_deleted: bool) -> Result<TenantRecord, Answer> {
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
