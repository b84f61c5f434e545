//! The formats of the state of a fleet: tables for a terminal, CSV, names, and lines. Pure.

use std::{borrow::Cow, fmt::Write};

use jiff::Timestamp;

use super::{
    document::{BudgetView, ConnectionView, ModeCount, ObjectState, ObjectView, Stall, Status, Subject},
    fleet::tenant,
};
use crate::cli::output::{self, escape, table};

/// The rows of a part of the report that are shown without `-o wide`.
const SHOWN_ROWS: usize = 20;

/// The objects that a stall names without `-o wide`.
const NAMED_OBJECTS: usize = 5;

/// What a cell shows that has no value.
const NONE: &str = "-";

/// How much a report shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Detail {
    /// The parts, each with its first rows.
    Parts,
    /// The parts with all rows, then each object.
    All,
}

/// The report for a terminal. `scope` is the scope in words.
pub(crate) fn report(status: &Status, scope: &str, detail: Detail) -> String {
    let mut text = format!("{}\n", summary(status, scope));
    if !status.objects.is_empty() {
        part(&mut text, &["MODE", "READY", "NOT READY", "NOT SEEN"], modes(&status.modes), detail);
    }
    if !status.connections.is_empty() {
        let head = [
            "CONNECTION",
            "READY",
            "TRIAL",
            "PRODUCTION",
            "SUSPENDED",
            "UNKNOWN",
            "SCHEDULED",
            "BUDGET USED",
        ];
        part(&mut text, &head, status.connections.iter().map(connection).collect(), detail);
    }
    let scheduled = status.scheduled.iter().map(|waits| {
        let [object, tenant] = object(&waits.subject);
        vec![time(waits.at), object, tenant, waits.billed_month.as_str().into(), waits.reason.as_str().into()]
    });
    part(
        &mut text,
        &["SWITCH SCHEDULED", "OBJECT", "TENANT", "BILLED FROM", "REASON"],
        scheduled.collect(),
        detail,
    );
    let in_flight = status.in_flight.iter().map(|attempt| {
        let [object, tenant] = object(&attempt.subject);
        let accepted = attempt.accepted.map_or(NONE.into(), time);
        vec![optional(attempt.since), object, tenant, attempt.attempt.to_string().into(), accepted]
    });
    part(
        &mut text,
        &["IN FLIGHT SINCE", "OBJECT", "TENANT", "ATTEMPT", "ACCEPTED"],
        in_flight.collect(),
        detail,
    );
    let automatic = status.automatic.iter().map(|switch| {
        let [object, tenant] = object(&switch.subject);
        vec![time(switch.at), object, tenant, switch.billed_month.as_str().into()]
    });
    part(&mut text, &["PLATFORM SWITCHES", "OBJECT", "TENANT", "BILLED FROM"], automatic.collect(), detail);
    stalls(&mut text, &status.stalled, detail);
    if detail == Detail::All && !status.objects.is_empty() {
        let head = [
            "OBJECT",
            "TENANT",
            "DESIRED",
            "MODE",
            "STATE",
            "REASON",
            "SCHEDULED",
            "TRIAL ENDS",
            "CONNECTION",
            "MESSAGE",
        ];
        part(&mut text, &head, status.objects.iter().map(row).collect(), detail);
    }
    for note in &status.notes {
        let _ = writeln!(text, "\nnote: {}", escape::terminal(note));
    }
    text
}

/// The report in one sentence.
pub(crate) fn summary(status: &Status, scope: &str) -> String {
    let count = |state| status.objects.iter().filter(|view| view.state == state).count();
    let objects = status.objects.len();
    format!(
        "{objects} TenantPricing{} in {}: {} ready, {} reconciling, {} stalled, {} not seen. {} scheduled, {} in flight.",
        if objects == 1 { "" } else { "s" },
        escape::terminal(scope),
        count(ObjectState::Ready),
        count(ObjectState::Reconciling),
        count(ObjectState::Stalled),
        count(ObjectState::NotSeen),
        status.scheduled.len(),
        status.in_flight.len(),
    )
}

/// Adds a table, unless it is empty.
fn part(text: &mut String, head: &[&str], mut rows: Vec<Vec<Cow<'_, str>>>, detail: Detail) {
    if rows.is_empty() {
        return;
    }
    let left_out = if detail == Detail::Parts { rows.len().saturating_sub(SHOWN_ROWS) } else { 0 };
    rows.truncate(rows.len() - left_out);
    text.push('\n');
    text.push_str(&table::plain(head, rows));
    if left_out > 0 {
        let _ = writeln!(text, "and {left_out} more: -o wide shows all");
    }
}

fn modes(modes: &[ModeCount]) -> Vec<Vec<Cow<'_, str>>> {
    let numbers = |count: &ModeCount| [count.ready, count.not_ready, count.not_seen];
    let is_used = |count: &&ModeCount| numbers(count).iter().any(|number| *number > 0);
    let cells = |count: &'_ ModeCount| numbers(count).map(|number| Cow::from(number.to_string()));
    modes
        .iter()
        .filter(is_used)
        .map(|count| [Cow::from(count.mode.as_str())].into_iter().chain(cells(count)).collect())
        .collect()
}

fn connection(view: &ConnectionView) -> Vec<Cow<'_, str>> {
    let name = format!("{}/{}", view.namespace, view.name);
    let numbers = [view.trial, view.production, view.suspended, view.unknown, view.scheduled];
    let mut cells = vec![Cow::from(name), view.reason.as_str().into()];
    cells.extend(numbers.map(|number| Cow::from(number.to_string())));
    cells.push(view.budget.as_ref().map_or(NONE.into(), |used| budget(used).into()));
    cells
}

/// The budget in words: `3 of 100 in 1 h`.
fn budget(budget: &BudgetView) -> String {
    let least = if budget.complete { "" } else { "at least " };
    let room = budget.next_room.map_or_else(String::new, |at| format!(", room again at {at}"));
    format!("{least}{} of {} in {}{room}", budget.used, budget.count, budget.window)
}

fn stalls(text: &mut String, stalled: &[Stall], detail: Detail) {
    if stalled.is_empty() {
        return;
    }
    let rows = stalled.iter().map(|stall| {
        let what = stall.remedy.as_deref().unwrap_or("Look for a newer version of this program");
        vec![stall.reason.as_str().into(), stall.objects.len().to_string().into(), what.into()]
    });
    part(text, &["STALLED", "OBJECTS", "WHAT TO DO"], rows.collect(), Detail::All);
    let rows = stalled.iter().flat_map(|stall| {
        let shown = if detail == Detail::All { usize::MAX } else { NAMED_OBJECTS };
        let left_out = stall.objects.len().saturating_sub(shown);
        let more = (left_out > 0).then(|| {
            let more = format!("and {left_out} more: -o wide shows all");
            vec![NONE.into(), more.into(), stall.reason.as_str().into(), "".into()]
        });
        let named = stall.objects.iter().take(shown).map(|stalled| {
            let [object, _] = object(&stalled.subject);
            vec![
                optional(stalled.since),
                object,
                stall.reason.as_str().into(),
                stalled.message.as_str().into(),
            ]
        });
        named.chain(more)
    });
    part(text, &["STALLED SINCE", "OBJECT", "REASON", "MESSAGE"], rows.collect(), Detail::All);
}

fn object(subject: &Subject) -> [Cow<'_, str>; 2] {
    [format!("{}/{}", subject.namespace, subject.name).into(), subject.tenant.as_str().into()]
}

fn row(view: &ObjectView) -> Vec<Cow<'_, str>> {
    let text = |value: &'_ Option<String>| Cow::from(value.clone().unwrap_or_else(|| NONE.to_owned()));
    vec![
        format!("{}/{}", view.namespace, view.name).into(),
        tenant(view).into(),
        text(&view.desired),
        text(&view.mode),
        view.state.as_str().into(),
        text(&view.reason),
        optional(view.scheduled_for),
        optional(view.automatic_switch),
        view.connection.as_str().into(),
        text(&view.message),
    ]
}

fn time(at: Timestamp) -> Cow<'static, str> {
    at.to_string().into()
}

fn optional(at: Option<Timestamp>) -> Cow<'static, str> {
    at.map_or(NONE.into(), time)
}

/// One row for each object, for a spreadsheet.
pub(crate) fn as_csv(status: &Status) -> Result<String, output::FormatError> {
    let at = |at: Option<Timestamp>| at.map(|at| at.to_string()).unwrap_or_default();
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    output::csv(
        &[
            "namespace",
            "name",
            "tenant_id",
            "tenant_name",
            "desired",
            "mode",
            "state",
            "reason",
            "since",
            "phase",
            "scheduled_for",
            "switched_at",
            "automatic_switch",
            "connection",
            "message",
        ],
        status.objects.iter().map(|view| {
            vec![
                view.namespace.clone(),
                view.name.clone(),
                text(&view.tenant_id),
                text(&view.tenant_name),
                text(&view.desired),
                text(&view.mode),
                view.state.as_str().to_owned(),
                text(&view.reason),
                at(view.since),
                text(&view.phase),
                at(view.scheduled_for),
                at(view.switched_at),
                at(view.automatic_switch),
                view.connection.clone(),
                text(&view.message),
            ]
        }),
    )
}

/// The objects by name, as `kubectl get -o name` prints them.
pub(crate) fn names(status: &Status) -> String {
    let name =
        |view: &ObjectView| format!("tenantpricing.tenantpricing.io/{}\n", escape::terminal(&view.name));
    status.objects.iter().map(name).collect()
}

/// One line about an object that changed, for a log.
pub(crate) fn line(now: Timestamp, view: &ObjectView, is_deleted: bool) -> String {
    let state = if is_deleted { "Deleted" } else { view.state.as_str() };
    let words = [
        now.to_string(),
        format!("{}/{}", view.namespace, view.name),
        view.mode.clone().unwrap_or_else(|| NONE.to_owned()),
        state.to_owned(),
        view.reason.clone().unwrap_or_else(|| NONE.to_owned()),
        view.message.clone().unwrap_or_default(),
    ];
    let words: Vec<String> = words.iter().map(|word| escape::terminal(word)).collect();
    format!("{}\n", words.join("  ").trim_end())
}
