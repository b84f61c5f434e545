//! Authenticates the calls of the platform's API, and dispatches them to their routes.

mod access;
mod pricing;
mod search;
mod tenant_view;
mod tenants;

use crate::simulator::{
    answer::Answer,
    faults::book::Habits,
    http::{call::Call, context::Context},
    operation::Route,
    shared_state::State,
};

/// Answers a call, and returns whether it changed a tenant's pricing.
pub(crate) fn answer(state: &mut State, call: &Call) -> (Answer, bool) {
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
            Route::Token => return access::token(self, call),
            _ => {}
        }
        self.authenticate(call)?;
        match &call.route {
            Route::Client(id) => access::client(self, id),
            Route::Search => search::search(self, call),
            Route::Tenants => tenants::list(self, call),
            Route::Tenant(id) => tenants::one(self, call, id),
            Route::Children(id) => tenants::children(self, call, id),
            Route::Pricing(id) => pricing::read(self, id),
            Route::PutPricing(id) => pricing::write(self, call, id),
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
}
