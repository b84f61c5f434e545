//! The simulator's own interface below `/simulator`, for people with curl and for scripts.

use hyper::Method;
use hyper::http::request::Parts;
use jiff::{Span, SpanRelativeTo, Timestamp};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::admin_tenants;
use super::answer::{Answer, Body};
use super::core::Core;
use super::faults::{Fault, FaultId};
use super::log::LoggedRequest;

/// What there is, for whoever asks for `/simulator` itself.
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
POST   /simulator/faults/ID/release       lets go what a Hold holds
POST   /simulator/credentials/rotate      gives the client a new secret
POST   /simulator/tokens/revoke           ends every token
";

/// Why a request of this interface was refused, with the HTTP status.
pub(super) struct Problem(pub u16, pub String);

impl Problem {
    pub fn bad(text: impl Into<String>) -> Self {
        Self(400, text.into())
    }
}

/// Whether the path belongs to the simulator's own interface.
pub(super) fn owns(path: &str) -> bool {
    path == "/simulator" || path.starts_with("/simulator/")
}

/// Answers a request to the simulator's own interface.
pub(super) fn answer(core: &Core, parts: &Parts, body: &[u8]) -> Answer {
    let request = Request::new(parts, body);
    if request.segments.is_empty() && *request.method == Method::GET {
        return with_type("text/plain; charset=utf-8", 200, INDEX.to_owned());
    }
    let (status, value) = match route(core, &request) {
        Ok(value) => (200, value),
        Err(Problem(status, text)) => (status, json!({ "error": text })),
    };
    core.changed();
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

/// A request to this interface.
pub(super) struct Request<'a> {
    pub method: &'a Method,
    /// The path below `/simulator`.
    pub segments: Vec<&'a str>,
    query: Vec<(String, String)>,
    body: &'a [u8],
}

impl<'a> Request<'a> {
    fn new(parts: &'a Parts, body: &'a [u8]) -> Self {
        let segments = parts.uri.path().split('/').skip(2).filter(|segment| !segment.is_empty()).collect();
        let query = parts.uri.query().unwrap_or_default();
        let query = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        Self { method: &parts.method, segments, query, body }
    }

    /// The value of a query argument.
    pub fn argument(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Refuses query arguments that mean nothing here, which are mistyped ones mostly.
    pub fn only_arguments(&self, known: &[&str]) -> Result<(), Problem> {
        let unknown = self.query.iter().find(|(key, _)| !known.contains(&key.as_str()));
        unknown.map_or(Ok(()), |(key, _)| {
            Err(Problem::bad(format!("query argument {key:?} is not known; there is {}", known.join(", "))))
        })
    }

    /// The body, read as JSON whatever its content type says.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        let mut deserializer = serde_json::Deserializer::from_slice(self.body);
        let read = serde_path_to_error::deserialize(&mut deserializer);
        let value = read.map_err(|error| match error.path().to_string().as_str() {
            "." => Problem::bad(format!("the body: {}", error.inner())),
            path => Problem::bad(format!("{path}: {}", error.inner())),
        })?;
        deserializer.end().map_err(|error| Problem::bad(format!("the body: {error}")))?;
        Ok(value)
    }

    /// The body as one thing or a list of them.
    pub fn one_or_many<T: DeserializeOwned>(&self) -> Result<Vec<T>, Problem> {
        if self.body.trim_ascii_start().starts_with(b"[") { self.json() } else { Ok(vec![self.json()?]) }
    }
}

fn route(core: &Core, request: &Request<'_>) -> Result<Value, Problem> {
    let method = request.method.as_str();
    match (request.segments.as_slice(), method) {
        (["summary"], "GET") => Ok(summary(core)),
        (["requests"], "GET") => requests(core, request),
        (["requests"], "DELETE") => {
            core.state().log.clear();
            Ok(json!({}))
        }
        (["clock"], "GET") => Ok(json!({"now": core.state().now()})),
        (["clock"], "PUT") => set_clock(core, request),
        (["tenants", ..], _) => admin_tenants::route(core, request),
        (["faults"], "GET") => value(&core.state().faults.list()),
        (["faults"], "POST") => inject(core, request),
        (["faults"], "DELETE") => {
            core.state().faults.clear_all();
            Ok(json!({}))
        }
        (["faults", id], "DELETE") => {
            let id = fault_id(id)?;
            found_fault(core.state().faults.clear(id), id)
        }
        (["faults", id, "release"], "POST") => {
            let id = fault_id(id)?;
            found_fault(core.state().faults.release(id), id)
        }
        (["credentials", "rotate"], "POST") => {
            let mut state = core.state();
            let client_id = state.client_id.clone();
            let secret = state.access.rotate(&client_id);
            Ok(json!({"clientId": client_id, "clientSecret": secret}))
        }
        (["tokens", "revoke"], "POST") => {
            core.state().access.revoke_tokens();
            Ok(json!({}))
        }
        _ => Err(nothing_here(request)),
    }
}

/// The refusal of a path or method that this interface does not have.
pub(super) fn nothing_here(request: &Request<'_>) -> Problem {
    let path = request.segments.join("/");
    let method = request.method;
    Problem(404, format!("there is no {method} /simulator/{path}; GET /simulator says what there is"))
}

/// Turns into JSON what always can be.
pub(super) fn value<T: Serialize>(value: &T) -> Result<Value, Problem> {
    serde_json::to_value(value).map_err(|error| Problem(500, error.to_string()))
}

fn summary(core: &Core) -> Value {
    let mut state = core.state();
    let now = state.now();
    let mut modes = std::collections::BTreeMap::<String, usize>::new();
    for tenant in state.tenants.all(now).filter(|tenant| admin_tenants::is_billed(tenant)) {
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

fn requests(core: &Core, request: &Request<'_>) -> Result<Value, Problem> {
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
    let state = core.state();
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
    #[serde(default, deserialize_with = "super::times::read")]
    now: Option<Timestamp>,
    advance: Option<String>,
}

fn set_clock(core: &Core, request: &Request<'_>) -> Result<Value, Problem> {
    let change: ClockChange = request.json()?;
    let mut state = core.state();
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

fn inject(core: &Core, request: &Request<'_>) -> Result<Value, Problem> {
    let faults: Vec<Fault> = request.one_or_many()?;
    for fault in &faults {
        fault.check().map_err(Problem::bad)?;
    }
    let mut state = core.state();
    let ids: Vec<FaultId> = faults.into_iter().map(|fault| state.faults.inject(fault)).collect();
    Ok(json!({ "ids": ids }))
}

fn fault_id(text: &str) -> Result<FaultId, Problem> {
    text.parse().map(FaultId).map_err(|_| Problem::bad(format!("{text:?} is not the number of a fault")))
}

fn found_fault(found: bool, FaultId(id): FaultId) -> Result<Value, Problem> {
    if found { Ok(json!({})) } else { Err(Problem(404, format!("there is no fault {id} in force"))) }
}
