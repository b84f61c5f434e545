//! Nothing is sent for a tenant that is not fit for it, nor through a connection that is closed.

use std::time::Instant;

use tenant_pricing_controller::simulator::{TRIAL, TenantKind, TenantRecord, TenantState};

use super::{READ_TO_PUT, Record, SLACK, attempts::Sent, before};
use crate::chaos::history::What;

pub fn faults(record: &Record, sent: &[Sent<'_>]) -> Vec<String> {
    sent.iter().flat_map(|one| of_put(record, one)).collect()
}

fn of_put(record: &Record, sent: &Sent<'_>) -> Vec<String> {
    let Sent { put, attempt } = sent;
    let began = record.began(put);
    let stopped = attempt.life().map(|life| record.stopped(life, before(began, 2 * READ_TO_PUT), began));
    let read_from = before(began, READ_TO_PUT + SLACK + stopped.unwrap_or_default());
    let of_tenant = What::StaleOf { tenant: attempt.tenant.to_owned() };
    let stale = [What::Stale, of_tenant].iter().any(|stale| record.held(stale, read_from, began));
    let name = attempt.object["spec"]["tenant"]["name"].as_str();
    let states = states(&record.tenants, attempt.tenant, read_from, began);
    let mut faults = Vec::new();
    if !states.iter().any(|tenant| unfit(tenant, name, stale).is_none()) {
        let why = states.last().and_then(|tenant| unfit(tenant, name, stale)).unwrap_or("unknown");
        faults.push(format!(
            "PUT {} for {}, which was {why} at the pre-write read",
            put.sequence, attempt.tenant
        ));
    }
    let journal = &attempt.object["status"]["switch"];
    let connection = journal["connection"].as_str().unwrap_or_default().to_owned();
    let closed = What::Closed { connection: connection.clone() };
    let all_the_time = record.spans.iter().any(|span| {
        span.what == closed && span.from < read_from && span.until.is_none_or(|until| until > began)
    });
    if all_the_time {
        faults.push(format!("PUT {} through {connection}, which was closed", put.sequence));
    }
    faults
}

/// What a tenant was at some time between two instants.
fn states<'a>(history: &'a [TenantState], id: &str, from: Instant, until: Instant) -> Vec<&'a TenantRecord> {
    let own = history.iter().filter(|state| state.tenant.id == id && state.since <= until);
    let mut states: Vec<&TenantState> = own.collect();
    let first = states.iter().rposition(|state| state.since <= from).unwrap_or(0);
    states.drain(..first);
    states.into_iter().map(|state| &state.tenant).collect()
}

/// Why a tenant is not to be switched. What was shown of its mode may have been old.
fn unfit(tenant: &TenantRecord, name: Option<&str>, stale: bool) -> Option<&'static str> {
    let reasons = [
        (tenant.kind != TenantKind::Customer, "no customer"),
        (!tenant.enabled, "disabled"),
        (tenant.locked_by.is_some(), "locked"),
        (tenant.deleted_at.is_some(), "deleted"),
        (tenant.hidden, "invisible"),
        (!stale && tenant.pricing.mode != TRIAL, "past trial"),
        (name.is_some_and(|name| name != tenant.name), "of another name"),
    ];
    reasons.into_iter().find_map(|(unfit, why)| unfit.then_some(why))
}
