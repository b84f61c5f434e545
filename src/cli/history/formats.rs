//! The formats of a history: a table, and CSV for a spreadsheet. Pure.

use std::{borrow::Cow, fmt::Write};

use super::record::{History, MonthTotal, Switch};
use crate::cli::output::{self, FormatError, escape, table};

/// What a cell shows that has no value.
const NONE: &str = "-";

/// The history for a terminal. Its last line says what it cannot contain.
pub(crate) fn for_terminal(history: &History) -> String {
    let mut text = String::new();
    if history.switches.is_empty() {
        text.push_str("No switch is recorded in this time.\n");
    } else {
        let head =
            ["SWITCHED", "BILLED FROM", "OUTCOME", "BY", "OBJECT", "TENANT", "ASKED BY", "EDIT", "ATTEMPT"];
        text.push_str(&table::plain(&head, history.switches.iter().map(row)));
        text.push('\n');
        text.push_str(&table::plain(
            &["MONTH", "SWITCHES", "BY CONTROLLER", "BY PLATFORM"],
            history.months.iter().map(total),
        ));
    }
    let _ = writeln!(text, "\n{}", escape::terminal(&history.limits));
    text
}

fn row(switch: &Switch) -> Vec<Cow<'_, str>> {
    let text = |value: &'_ Option<String>| Cow::from(value.clone().unwrap_or_else(|| NONE.to_owned()));
    vec![
        switch.at.map_or(NONE.into(), |at| at.to_string().into()),
        text(&switch.billed_month),
        switch.outcome.as_str().into(),
        text(&switch.by),
        format!("{}/{}", switch.namespace, switch.name).into(),
        switch.tenant_name.as_deref().or(switch.tenant_id.as_deref()).unwrap_or(NONE).into(),
        text(&switch.requested_by),
        switch.generation.map_or(NONE.into(), |generation| generation.to_string().into()),
        switch.attempt_id.as_deref().map_or(NONE.into(), |id| format!("{} ({id})", switch.attempt).into()),
    ]
}

fn total(month: &MonthTotal) -> Vec<Cow<'_, str>> {
    let numbers = [month.switches, month.by_controller, month.by_platform];
    let numbers = numbers.map(|number| Cow::from(number.to_string()));
    [Cow::from(month.month.as_str())].into_iter().chain(numbers).collect()
}

/// The switches for a spreadsheet, one row for each.
///
/// # Errors
/// It cannot be written as CSV, which does not happen.
pub(crate) fn as_csv(history: &History) -> Result<String, FormatError> {
    let head = [
        "billed_month",
        "switched_at",
        "outcome",
        "by",
        "tenant_id",
        "tenant_name",
        "namespace",
        "name",
        "requested_by",
        "generation",
        "attempt",
        "attempt_id",
        "announced_at",
        "connection",
        "platform",
    ];
    let rows = history.switches.iter().map(|switch| {
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        vec![
            text(&switch.billed_month),
            switch.at.map(|at| at.to_string()).unwrap_or_default(),
            switch.outcome.as_str().to_owned(),
            text(&switch.by),
            text(&switch.tenant_id),
            text(&switch.tenant_name),
            switch.namespace.clone(),
            switch.name.clone(),
            text(&switch.requested_by),
            switch.generation.map(|generation| generation.to_string()).unwrap_or_default(),
            switch.attempt.to_string(),
            text(&switch.attempt_id),
            switch.announced_at.map(|at| at.to_string()).unwrap_or_default(),
            text(&switch.connection),
            text(&switch.platform),
        ]
    });
    output::csv(&head, rows)
}

/// The totals and the limits in lines, for standard error: a CSV file has room for rows alone.
pub(crate) fn beside_csv(history: &History) -> String {
    let total = |month: &MonthTotal| {
        format!(
            "{}: {} switches, {} by the controller, {} by the platform\n",
            escape::terminal(&month.month),
            month.switches,
            month.by_controller,
            month.by_platform
        )
    };
    let totals: String = history.months.iter().map(total).collect();
    format!("{totals}{}", escape::terminal(&history.limits))
}
