//! The formats of a plan: for a terminal, for a pull request, for annotations, and as JSON. Pure.

use std::{borrow::Cow, fmt::Write};

use super::{
    document::{Change, Entry, Outcome, Plan, Source},
    summary,
};
use crate::cli::output::{escape, table};

/// The marker by which a pull request's comment is found again.
const MARKER: &str = "<!-- kubectl-tenantpricing plan -->";

/// The rows of a section that are shown at once. More of them are folded.
const UNFOLDED_ROWS: usize = 20;

/// The most characters of a comment. GitHub refuses more than 65,536.
const MAX_COMMENT_CHARS: usize = 60_000;

/// The annotations of each kind that GitHub shows in one step.
const MAX_ANNOTATIONS: usize = 10;

/// The plan for a terminal.
pub(crate) fn for_terminal(plan: &Plan) -> String {
    let mut text = String::new();
    let shown: Vec<&Entry> = plan.objects.iter().filter(|entry| entry.change != Change::None).collect();
    if !shown.is_empty() {
        let rows = shown.iter().map(|entry| {
            vec![
                Cow::from(format!("{}/{}", entry.namespace, entry.name)),
                tenant(entry).into(),
                entry.tenant.mode.as_deref().unwrap_or("-").into(),
                outcome(entry.outcome).into(),
                when(entry).into(),
                entry.billed_month.as_deref().unwrap_or("-").into(),
                entry.reason.as_str().into(),
            ]
        });
        text.push_str(&table::plain(
            &["OBJECT", "TENANT", "MODE", "OUTCOME", "WHEN", "BILLED FROM", "REASON"],
            rows,
        ));
        text.push('\n');
        for entry in shown.iter().filter(|entry| needs_words(entry.outcome)) {
            let place =
                entry.source.as_ref().map(|source| format!(" ({})", place(source))).unwrap_or_default();
            let _ = writeln!(
                text,
                "{}/{}{place}: {}",
                escape::terminal(&entry.namespace),
                escape::terminal(&entry.name),
                escape::terminal(&entry.message)
            );
        }
    }
    for note in &plan.notes {
        let place = note.source.as_ref().map(|source| format!("{}: ", place(source))).unwrap_or_default();
        let _ = writeln!(text, "note: {place}{}", escape::terminal(&note.message));
    }
    text.push_str(&summary::line(plan));
    text.push('\n');
    text
}

/// The plan as the comment of a pull request. The same plan gives the same bytes.
pub(crate) fn as_markdown(plan: &Plan) -> String {
    let head = format!(
        "{MARKER}\n### What this changes on the bill\n\n**{}**\n",
        escape::markdown(&summary::line(plan))
    );
    let sections = [
        ("Refused", &[Outcome::Refused][..]),
        ("Switched at once", &[Outcome::SwitchNow]),
        ("Switched later", &[Outcome::SwitchLater]),
        ("Not known", &[Outcome::Unknown]),
        ("Cancelled", &[Outcome::Cancelled]),
        ("Changed without a switch", &[Outcome::Suspended, Outcome::InProgress, Outcome::NoSwitch]),
    ];
    let mut text = head;
    let mut left_out = 0;
    for (title, outcomes) in sections {
        let rows: Vec<String> = plan
            .objects
            .iter()
            .filter(|entry| entry.change != Change::None && outcomes.contains(&entry.outcome))
            .map(markdown_row)
            .collect();
        left_out += section(&mut text, title, &rows);
    }
    let notes: Vec<String> = plan
        .notes
        .iter()
        .map(|note| {
            let place = note.source.as_ref().map(|source| format!("{}: ", place(source))).unwrap_or_default();
            format!("- {}\n", escape::markdown(&format!("{place}{}", note.message)))
        })
        .collect();
    for note in &notes {
        if text.chars().count() + note.chars().count() < MAX_COMMENT_CHARS {
            text.push_str(note);
        } else {
            left_out += 1;
        }
    }
    if left_out > 0 {
        let _ =
            writeln!(text, "\n{left_out} more are not shown here. `kubectl tenantpricing plan` shows all.");
    }
    text
}

/// Adds a section, as far as there is room. Returns the number of rows that were left out.
fn section(text: &mut String, title: &str, rows: &[String]) -> usize {
    const HEAD: &str = "| object | tenant | when | billed from | why |\n|---|---|---|---|---|\n";
    if rows.is_empty() {
        return 0;
    }
    let is_folded = rows.len() > UNFOLDED_ROWS;
    let (before, after) = if is_folded {
        (format!("\n<details><summary>{title} ({})</summary>\n\n", rows.len()), "\n</details>\n")
    } else {
        (format!("\n#### {title} ({})\n\n", rows.len()), "")
    };
    let mut length = text.chars().count() + before.len() + HEAD.len() + after.len() + 200;
    let fitting = rows.iter().take_while(|row| {
        length += row.chars().count();
        length < MAX_COMMENT_CHARS
    });
    let fitting: Vec<&String> = fitting.collect();
    if !fitting.is_empty() {
        text.push_str(&before);
        text.push_str(HEAD);
        text.extend(fitting.iter().map(|row| row.as_str()));
        text.push_str(after);
    }
    rows.len() - fitting.len()
}

fn markdown_row(entry: &Entry) -> String {
    let cells = [
        format!("{}/{}", entry.namespace, entry.name),
        tenant(entry),
        when(entry),
        entry.billed_month.clone().unwrap_or_else(|| "nothing".to_owned()),
        entry.message.clone(),
    ];
    format!("| {} |\n", cells.map(|cell| escape::markdown(&cell)).join(" | "))
}

/// The plan as workflow commands of GitHub Actions, the worst first: GitHub shows ten of each kind.
pub(crate) fn as_annotations(plan: &Plan) -> String {
    let mut text = String::new();
    let (mut errors, mut warnings) = (0, 0);
    let changed = plan.objects.iter().filter(|entry| entry.change != Change::None);
    for entry in changed {
        let (command, count) = match entry.outcome {
            Outcome::Refused => ("error", &mut errors),
            Outcome::Unknown | Outcome::SwitchNow | Outcome::SwitchLater => ("warning", &mut warnings),
            _ => continue,
        };
        *count += 1;
        if *count > MAX_ANNOTATIONS {
            continue;
        }
        let place = entry.source.as_ref().map(properties).unwrap_or_default();
        let message = format!("{}/{}: {}", entry.namespace, entry.name, entry.message);
        let _ = writeln!(text, "::{command} {place}title=TenantPricing::{}", escape::workflow(&message));
    }
    for note in plan.notes.iter().filter(|note| note.is_error) {
        let place = note.source.as_ref().map(properties).unwrap_or_default();
        let _ = writeln!(text, "::error {place}title=plan::{}", escape::workflow(&note.message));
    }
    let _ = writeln!(text, "::notice title=plan::{}", escape::workflow(&summary::line(plan)));
    text
}

fn properties(source: &Source) -> String {
    format!("file={},line={},col={},", escape::workflow_property(&source.file), source.line, source.column)
}

fn place(source: &Source) -> String {
    format!("{}:{}:{}", escape::terminal(&source.file), source.line, source.column)
}

fn tenant(entry: &Entry) -> String {
    match (&entry.tenant.name, &entry.tenant.id) {
        (Some(name), Some(id)) => format!("{name} ({id})"),
        (Some(one), None) | (None, Some(one)) => one.clone(),
        (None, None) => "-".to_owned(),
    }
}

/// When the tenant is switched, in a cell.
pub(crate) fn when(entry: &Entry) -> String {
    match (entry.outcome, entry.at, entry.in_days) {
        (Outcome::SwitchNow, ..) => "now".to_owned(),
        (_, Some(at), Some(1)) => format!("{at} (in 1 day)"),
        (_, Some(at), Some(days)) if days > 1 => format!("{at} (in {days} days)"),
        (_, Some(at), _) => at.to_string(),
        _ => "-".to_owned(),
    }
}

/// The outcome in words.
pub(crate) fn outcome(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Refused => "refused",
        Outcome::Unknown => "unknown",
        Outcome::SwitchNow => "switch now",
        Outcome::SwitchLater => "switch later",
        Outcome::Cancelled => "cancelled",
        Outcome::Suspended => "suspended",
        Outcome::InProgress => "in progress",
        Outcome::NoSwitch => "no switch",
    }
}

/// Whether the outcome has to be explained on a terminal.
fn needs_words(outcome: Outcome) -> bool {
    matches!(outcome, Outcome::Refused | Outcome::Unknown | Outcome::Cancelled | Outcome::InProgress)
}
