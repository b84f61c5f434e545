//! Pricing: `GET` and `PUT /tenants/{tenant_id}/pricing`.

use serde_json::{Map, Value, json};

use crate::simulator::{
    answer::{Answer, Code},
    faults::action::FaultAction,
    http::{call::Call, context::Context},
    state::{
        billing::next_version,
        tenant::{PRODUCTION, Pricing, TRIAL, TenantKind, TenantRecord},
        tenant_store::whole_seconds,
    },
};

const SUSPENDED: &str = "suspended";
const CURRENCIES: [&str; 12] =
    ["AUD", "BRL", "CAD", "EUR", "CNY", "GBP", "JPY", "KZT", "NZD", "RUB", "USD", "ZAR"];

/// Reads the pricing settings.
pub(crate) fn read(context: &mut Context<'_>, id: &str) -> Result<Answer, Answer> {
    let tenant = context.visible_tenant(id, false)?;
    Ok(settings(context, &tenant))
}

/// The pricing settings that a read returns. A fault may make them old or incomplete.
pub(crate) fn shown(context: &mut Context<'_>, tenant: &TenantRecord) -> Pricing {
    let stale = tenant.previous_pricing.as_ref();
    let stale = stale.filter(|_| context.habits.has(Some(&tenant.id), &FaultAction::StaleRead));
    let mut pricing = stale.unwrap_or(&tenant.pricing).clone();
    if pricing.mode != TRIAL && context.habits.has(Some(&tenant.id), &FaultAction::NullProductionStart) {
        pricing.production_start_date = None;
    }
    pricing
}

fn settings(context: &mut Context<'_>, tenant: &TenantRecord) -> Answer {
    let pricing = shown(context, tenant);
    let start = pricing.production_start_date.map(|at| context.time(Some(&tenant.id), at));
    Answer::ok(json!({
        "mode": pricing.mode,
        "currency": pricing.currency,
        "version": pricing.version,
        "production_start_date": start,
    }))
}

/// The change that a PUT requests.
struct Change {
    version: i64,
    mode: Option<String>,
    /// `Some(None)` is an explicit null, which may differ from an omitted field.
    #[allow(clippy::option_option)]
    currency: Option<Option<String>>,
}

/// Changes the pricing settings.
pub(crate) fn write(context: &mut Context<'_>, call: &Call, id: &str) -> Result<Answer, Answer> {
    if !call.has_media_type("application/json") {
        return Err(context.refuse(415, 415, "the body must be application/json"));
    }
    context.check_id("tenant_id", id)?;
    let change = parse(context, &call.body, id)?;
    let tenant = context.visible_tenant(id, false)?;
    if change.version != tenant.pricing.version {
        let status = context.habits.find(Some(id), |action| match action {
            FaultAction::VersionConflict { status } => Some(*status),
            _ => None,
        });
        let info = format!("version {} is not the present one", change.version);
        return Err(context.refuse(status.unwrap_or(409), 1001, &info));
    }
    check_tenant(context, &tenant)?;
    let keep_currency = context.habits.has(Some(id), &FaultAction::KeepCurrency);
    let now = context.now;
    let mode = change.mode.clone();
    check_mode(context, &tenant, mode.as_deref())?;

    context.tenants.update(id, now, |tenant| {
        let pricing = &mut tenant.pricing;
        if let Some(mode) = mode.filter(|mode| *mode != pricing.mode) {
            if mode == PRODUCTION {
                pricing.production_start_date = Some(whole_seconds(now));
            }
            pricing.mode = mode;
        }
        match change.currency {
            Some(None) if keep_currency => {}
            Some(currency) => pricing.currency = currency,
            None => {}
        }
        pricing.version = next_version(pricing.version, now);
    });
    context.took_effect = true;
    let tenant = context.visible_tenant(id, false)?;
    Ok(settings(context, &tenant))
}

/// Parses the body as strictly as the contract requires.
fn parse(context: &mut Context<'_>, body: &[u8], id: &str) -> Result<Change, Answer> {
    let Ok(Value::Object(fields)) = serde_json::from_slice(body) else {
        return Err(context.refuse(400, 400, "the body is not a JSON object"));
    };
    let lenient = |context: &mut Context<'_>| context.habits.has(Some(id), &FaultAction::AcceptUnknownFields);
    let unknown = fields.keys().find(|key| !matches!(key.as_str(), "version" | "mode" | "currency"));
    if let Some(unknown) = unknown
        && !lenient(context)
    {
        return Err(context.refuse(400, 400, &format!("{unknown}: the contract knows no such field")));
    }
    match change(&fields) {
        Ok(change) => Ok(change),
        Err(info) => Err(context.refuse(400, 400, info)),
    }
}

fn change(fields: &Map<String, Value>) -> Result<Change, &'static str> {
    let version = fields.get("version").ok_or("version: is missing")?;
    let version = version.as_i64().ok_or("version: is not an integer of 64 bits")?;
    let mode = match fields.get("mode") {
        None => None,
        Some(Value::String(mode)) if [TRIAL, PRODUCTION, SUSPENDED].contains(&mode.as_str()) => {
            Some(mode.clone())
        }
        Some(_) => return Err("mode: is not one of trial, production, suspended"),
    };
    let currency = match fields.get("currency") {
        None => None,
        Some(Value::Null) => Some(None),
        Some(Value::String(currency)) if CURRENCIES.contains(&currency.as_str()) => {
            Some(Some(currency.clone()))
        }
        Some(_) => return Err("currency: is neither null nor one of the currencies"),
    };
    Ok(Change { version, mode, currency })
}

/// Refuses a change of a tenant that cannot be changed at present.
fn check_tenant(context: &mut Context<'_>, tenant: &TenantRecord) -> Result<(), Answer> {
    if tenant.locked_by.as_ref().is_some_and(|owner| *owner != context.caller) {
        let chosen = context.habits.find(Some(&tenant.id), |action| match action {
            FaultAction::LockedWrite { status, code } => Some((*status, code.clone())),
            _ => None,
        });
        allow_or_refuse(context, chosen, (403, 1012), "another tenant holds the update lock")?;
    }
    let disabled_above =
        tenant.parent_disabled || context.tenants.ancestors(&tenant.id).any(|above| !above.enabled);
    if disabled_above {
        return Err(context.refuse(403, 1003, "a tenant above this one is disabled"));
    }
    if tenant.deprovisioning {
        return Err(context.refuse(409, 1011, "the tenant is being deprovisioned"));
    }
    if tenant.kind != TenantKind::Customer {
        return Err(context.refuse(400, 1027, "only a customer has pricing settings that can be changed"));
    }
    Ok(())
}

/// Refuses a mode that the tenant cannot take. Trial to production is the one documented change.
fn check_mode(context: &mut Context<'_>, tenant: &TenantRecord, mode: Option<&str>) -> Result<(), Answer> {
    let id = Some(tenant.id.as_str());
    let refused = (400, 1027);
    match (tenant.pricing.mode.as_str(), mode) {
        (SUSPENDED, _) => {
            let chosen = context.habits.find(id, |action| match action {
                FaultAction::SuspendedWrite { status, code } => Some((*status, code.clone())),
                _ => None,
            });
            allow_or_refuse(context, chosen, refused, "the tenant is suspended")
        }
        (PRODUCTION, Some(PRODUCTION)) => {
            let chosen = context.habits.find(id, |action| match action {
                FaultAction::ProductionAgain { status, code } => Some((*status, code.clone())),
                _ => None,
            });
            allow_or_refuse(context, chosen, refused, "the tenant is in production already")
        }
        (PRODUCTION, Some(TRIAL)) => {
            let chosen = context.habits.find(id, |action| match action {
                FaultAction::BackToTrial { status, code } => Some((*status, code.clone())),
                _ => None,
            });
            allow_or_refuse(context, chosen, refused, "production cannot be taken back")
        }
        (_, None) | (TRIAL, Some(TRIAL | PRODUCTION)) => Ok(()),
        _ => Err(context.refuse(400, 1027, "the mode cannot be set so")),
    }
}

/// A fault with status 200 allows the write. Any other status refuses it, and so does the absence of a fault.
fn allow_or_refuse(
    context: &mut Context<'_>,
    chosen: Option<(u16, Code)>,
    usual: (u16, i64),
    info: &str,
) -> Result<(), Answer> {
    match chosen {
        Some((200, _)) => Ok(()),
        Some((status, code)) => Err(context.refuse_with(status, code, info)),
        None => Err(context.refuse(usual.0, usual.1, info)),
    }
}
