//! Tokens and clients: `POST /idp/token` and `GET /clients/{client_id}`.

use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use crate::simulator::{
    answer::Answer,
    faults::action::{ExpiryForm, FaultAction},
    http::{call::Call, context::Context},
    state::tokens::random_secret,
};

/// The lifetime of a token in seconds, unless a fault chooses another.
const TOKEN_LIFETIME: u32 = 2 * 60 * 60;

/// Issues a token for client credentials.
pub(crate) fn token(context: &mut Context<'_>, call: &Call) -> Result<Answer, Answer> {
    if !call.has_media_type("application/x-www-form-urlencoded") {
        let description = "the body must be application/x-www-form-urlencoded";
        return Err(Answer::token_error(415, "invalid_request", description));
    }
    let grant = url::form_urlencoded::parse(&call.body).find(|(key, _)| key == "grant_type");
    match grant.as_ref().map(|(_, value)| value.as_ref()) {
        Some("client_credentials") => {}
        Some(_) => {
            let description = "the client may use the grant type client_credentials only";
            return Err(Answer::token_error(400, "unsupported_grant_type", description));
        }
        None => return Err(Answer::token_error(400, "invalid_request", "grant_type is missing")),
    }
    let client = call.authorization.as_deref().and_then(|header| context.access.basic(header));
    let Some(client) = client.map(str::to_owned) else {
        return Err(Answer::token_error(401, "invalid_client", "client authentication failed"));
    };

    let lifetime = context.habits.find(None, |action| match action {
        FaultAction::TokenLifetime { seconds } => Some(*seconds),
        _ => None,
    });
    let form = context.habits.find(None, |action| match action {
        FaultAction::TokenExpiry { form } => Some(*form),
        _ => None,
    });
    let seconds = lifetime.unwrap_or(TOKEN_LIFETIME);
    let lifetime = SignedDuration::from_secs(i64::from(seconds));
    let (token, expires_at) = context.access.issue(&client, lifetime, context.now);
    let id_token = random_secret();
    context.access.record_secret(id_token.clone());
    let mut body = json!({"access_token": token, "token_type": "bearer", "id_token": id_token});
    let form = form.unwrap_or(ExpiryForm::Both);
    if matches!(form, ExpiryForm::ExpiresIn | ExpiryForm::Both) {
        body["expires_in"] = json!(seconds);
    }
    if matches!(form, ExpiryForm::ExpiresOn | ExpiryForm::Both) {
        body["expires_on"] = json!(expires_at.as_second());
    }
    Ok(Answer::ok(body))
}

/// Describes a client. The controller needs the tenant in which the client acts.
pub(crate) fn client(context: &mut Context<'_>, id: &str) -> Result<Answer, Answer> {
    context.check_id("client_id", id)?;
    let Some(client) = context.access.client(id).cloned() else {
        return Err(context.refuse(404, 404, "there is no client with this id"));
    };
    if !context.tenants.is_below(&client.tenant_id, &context.caller) {
        return Err(context.refuse(403, 1002, "the client is not below the tenant of the credentials"));
    }
    let time = |context: &mut Context<'_>, at: Option<Timestamp>| at.map(|at| context.time(None, at));
    let created_at = time(context, Some(client.created_at));
    let last_access_at = time(context, client.last_token_at);
    Ok(Answer::ok(json!({
        "client_id": id,
        "tenant_id": client.tenant_id,
        "client_secret_expires_at": 0,
        "type": "api_client",
        "data": {},
        "token_endpoint_auth_method": "client_secret_basic",
        "created_at": created_at,
        "created_by": client.tenant_id,
        "last_access_at": last_access_at,
        "last_access_from_ip": null,
        "status": "enabled",
    })))
}
