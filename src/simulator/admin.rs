//! The admin interface below `/simulator`, for curl and scripts.

mod request;
mod tenants;

use hyper::{Method, http::request::Parts};
use jiff::{Span, SpanRelativeTo, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};

use self::request::{Problem, Request, nothing_here, value};
use crate::simulator::{
    answer::{Answer, Body},
    faults::fault::{Fault, FaultId},
    shared_state::SharedState,
    state::log::LoggedRequest,
};

/// The help text of `GET /simulator`.
const INDEX: &str = "\
The simulator's own interface (the platform's is below /api/2):

GET    /simulator/summary                 clock, tenants by mode, counts, PUTs for each tenant
GET    /simulator/requests                the log; ?operation=PutPricing ?tenant=ID ?after=SEQUENCE
DELETE /simulator/requests                forgets the log and its counts
GET    /simulator/tenants                 all of them; ?name=EXACT ?mode=WORD
POST   /simulator/tenants                 adds one, a list, or {\"count\": N, \"prefix\": \"…\"}
GET    /simulator/tenants/ID              one
PUT    /simulator/tenants/ID              adds one with this id
PATCH  /simulator/tenants/ID              changes fields of one
DELETE /simulator/tenants/ID              marks one as deleted
GET    /simulator/clock                   the platform's clock
PUT    /simulator/clock                   {\"now\": \"2026-12-01T00:00:00Z\"} or {\"advance\": \"36h\"}
GET    /simulator/faults                  those in force and how often each was met
POST   /simulator/faults                  one or a list
DELETE /simulator/faults                  takes all out of force
DELETE /simulator/faults/ID               takes one out of force
POST   /simulator/faults/ID/release       releases the requests that a Hold holds
POST   /simulator/credentials/rotate      gives the client a new secret
POST   /simulator/tokens/revoke           ends every token
";

/// Whether the path belongs to the admin interface.
pub(crate) fn owns(path: &str) -> bool {
    path == "/simulator" || path.starts_with("/simulator/")
}

/// Answers a request to the admin interface.
pub(crate) fn answer(shared: &SharedState, parts: &Parts, body: &[u8]) -> Answer {
    let request = Request::new(parts, body);
    if request.segments.is_empty() && *request.method == Method::GET {
        return with_type("text/plain; charset=utf-8", 200, INDEX.to_owned());
    }
    let (status, value) = match route(shared, &request) {
        Ok(value) => (200, value),
        Err(Problem(status, text)) => (status, json!({ "error": text })),
    };
    shared.changed();
    let mut text = serde_json::to_string_pretty(&value).unwrap_or_default();
    text.push('\n');
    with_type("application/json", status, text)
}

fn with_type(content_type: &str, status: u16, text: String) -> Answer {
    Answer {
        status,
        headers: Vec::new(),
        content_type: Some(content_type.to_owned()),
        body: Body::Text(text),
    }
}

fn route(shared: &SharedState, request: &Request<'_>) -> Result<Value, Problem> {
    let method = request.method.as_str();
    match (request.segments.as_slice(), method) {
        (["summary"], "GET") => Ok(summary(shared)),
        (["requests"], "GET") => requests(shared, request),
        (["requests"], "DELETE") => {
            shared.state().log.clear();
            Ok(json!({}))
        }
        (["clock"], "GET") => Ok(json!({"now": shared.state().now()})),
        (["clock"], "PUT") => set_clock(shared, request),
        (["tenants", ..], _) => tenants::route(shared, request),
        (["faults"], "GET") => value(&shared.state().faults.list()),
        (["faults"], "POST") => inject(shared, request),
        (["faults"], "DELETE") => {
            shared.state().faults.clear_all();
            Ok(json!({}))
        }
        (["faults", id], "DELETE") => {
            let id = fault_id(id)?;
            found_fault(shared.state().faults.clear(id), id)
        }
        (["faults", id, "release"], "POST") => {
            let id = fault_id(id)?;
            found_fault(shared.state().faults.release(id), id)
        }
        (["credentials", "rotate"], "POST") => {
            let mut state = shared.state();
            let client_id = state.client_id.clone();
            let secret = state.access.rotate(&client_id);
            Ok(json!({"clientId": client_id, "clientSecret": secret}))
        }
        (["tokens", "revoke"], "POST") => {
            shared.state().access.revoke_tokens();
            Ok(json!({}))
        }
        _ => Err(nothing_here(request)),
    }
}

fn summary(shared: &SharedState) -> Value {
    let mut state = shared.state();
    let now = state.now();
    let mut modes = std::collections::BTreeMap::<String, usize>::new();
    for tenant in state.tenants.all(now).filter(|tenant| tenants::is_billed(tenant)) {
        *modes.entry(tenant.pricing.mode.clone()).or_default() += 1;
    }
    let counts = &state.log.counts;
    json!({
        "now": now,
        "customers": modes,
        "puts": {
            "total": counts.total_puts,
            "tookEffect": counts.effective_puts,
            "overlapping": counts.overlapping_puts,
            "byTenant": counts.puts,
        },
        "reads": counts.reads,
        "tokens": counts.tokens,
        "faultsInForce": state.faults.list().len(),
    })
}

fn requests(shared: &SharedState, request: &Request<'_>) -> Result<Value, Problem> {
    request.only_arguments(&["operation", "tenant", "after"])?;
    let operation = match request.argument("operation") {
        None => None,
        Some(text) => Some(
            serde_json::from_value(json!(text))
                .map_err(|error| Problem::bad(format!("query argument operation: {error}")))?,
        ),
    };
    let after: u64 = match request.argument("after").map(str::parse) {
        None => 0,
        Some(Ok(after)) => after,
        Some(Err(_)) => return Err(Problem::bad("query argument after: is not a sequence number")),
    };
    let tenant = request.argument("tenant");
    let state = shared.state();
    let wanted = |entry: &&LoggedRequest| {
        entry.sequence > after
            && operation.is_none_or(|operation| entry.operation == operation)
            && tenant.is_none_or(|tenant| entry.tenants.iter().any(|named| named == tenant))
    };
    value(&state.log.entries().filter(wanted).collect::<Vec<_>>())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ClockChange {
    #[serde(default, deserialize_with = "crate::simulator::times::read")]
    now: Option<Timestamp>,
    advance: Option<String>,
}

fn set_clock(shared: &SharedState, request: &Request<'_>) -> Result<Value, Problem> {
    let change: ClockChange = request.json()?;
    let mut state = shared.state();
    let now = match (change.now, change.advance) {
        (Some(now), None) => now,
        (None, Some(advance)) => {
            let span: Result<Span, _> = advance.parse();
            let step = span.and_then(|span| span.to_duration(SpanRelativeTo::days_are_24_hours()));
            let step = step.map_err(|_| {
                let way_out = "write 36h or 2d, weeks at most, or give `now` instead";
                Problem::bad(format!("advance: {advance:?} is not a length of time that is fixed; {way_out}"))
            })?;
            let moved = state.now().checked_add(step);
            moved.map_err(|error| Problem::bad(format!("advance: {error}")))?
        }
        _ => return Err(Problem::bad("the body: give either now or advance")),
    };
    state.set_clock(now);
    Ok(json!({"now": now}))
}

fn inject(shared: &SharedState, request: &Request<'_>) -> Result<Value, Problem> {
    let faults: Vec<Fault> = request.one_or_many()?;
    for fault in &faults {
        fault.check().map_err(Problem::bad)?;
    }
    let mut state = shared.state();
    let ids: Vec<FaultId> = faults.into_iter().map(|fault| state.faults.inject(fault)).collect();
    Ok(json!({ "ids": ids }))
}

fn fault_id(text: &str) -> Result<FaultId, Problem> {
    text.parse().map(FaultId).map_err(|_| Problem::bad(format!("{text:?} is not the number of a fault")))
}

fn found_fault(found: bool, FaultId(id): FaultId) -> Result<Value, Problem> {
    if found { Ok(json!({})) } else { Err(Problem(404, format!("there is no fault {id} in force"))) }
}
