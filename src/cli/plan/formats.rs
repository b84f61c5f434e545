//! The formats of a plan: for a terminal, for a pull request, for annotations, and as JSON. Pure.

use std::{borrow::Cow, fmt::Write};

use super::{
    document::{Change, Entry, Note, Outcome, Plan, Source},
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
        for entry in shown.iter().filter(|entry| needs_words(entry)) {
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
    for note in notes(plan) {
        let place = note.source.as_ref().map(|source| format!("{}: ", place(source))).unwrap_or_default();
        let _ = writeln!(text, "{}: {place}{}", weight(note), escape::terminal(&note.message));
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
    let notes = notes(plan).map(|note| {
        let place = note.source.as_ref().map(|source| format!("{}: ", place(source))).unwrap_or_default();
        format!("- **{}:** {}\n", weight(note), escape::markdown(&format!("{place}{}", note.message)))
    });
    let mut notes = notes.peekable();
    if notes.peek().is_some() {
        // Up to an empty line, what follows a folded section is HTML and not Markdown.
        text.push('\n');
    }
    for note in notes {
        if text.chars().count() + note.chars().count() < MAX_COMMENT_CHARS {
            text.push_str(&note);
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
    let annotation = |entry: &Entry| {
        let message = format!("{}/{}: {}", entry.namespace, entry.name, entry.message);
        Annotation::new(entry.source.as_ref(), "TenantPricing", message)
    };
    let annotated = |note: &Note| Annotation::new(note.source.as_ref(), "plan", note.message.clone());
    let changed: Vec<&Entry> = plan.objects.iter().filter(|entry| entry.change != Change::None).collect();
    let is_warned_of = |entry: &&&Entry| {
        matches!(entry.outcome, Outcome::SwitchNow | Outcome::SwitchLater | Outcome::Unknown)
    };
    let mut warned: Vec<&Entry> = changed.iter().filter(is_warned_of).copied().collect();
    // What starts billing before what may, and now before later.
    warned.sort_by_key(|entry| {
        (!entry.may_switch_now(plan.now), !entry.may_switch(), entry.outcome == Outcome::Unknown)
    });
    let refused = changed.iter().filter(|entry| entry.outcome == Outcome::Refused);
    // An error means that the plan is not complete. That is worse than a refusal, which switches nothing.
    let (errors, remarks): (Vec<&Note>, Vec<&Note>) = plan.notes.iter().partition(|note| note.is_error);
    let errors = errors.into_iter().map(annotated).chain(refused.map(|entry| annotation(entry)));
    let kinds: [(&str, Vec<Annotation>, usize); 3] = [
        ("error", errors.collect(), MAX_ANNOTATIONS),
        ("warning", warned.into_iter().map(annotation).collect(), MAX_ANNOTATIONS),
        // One place is for the line of the plan.
        ("notice", remarks.into_iter().map(annotated).collect(), MAX_ANNOTATIONS - 1),
    ];
    let (mut text, mut line, mut cut) = (String::new(), summary::line(plan), Vec::new());
    for (command, annotations, max) in kinds {
        for annotation in annotations.iter().take(max) {
            annotation.write(command, &mut text);
        }
        if annotations.len() > max {
            let count = annotations.len() - max;
            cut.push(format!("{count} {command}{}", if count == 1 { "" } else { "s" }));
        }
    }
    if !cut.is_empty() {
        let _ = write!(line, " Not annotated, since GitHub shows ten of each kind: {}.", cut.join(", "));
    }
    Annotation::new(None, "plan", line).write("notice", &mut text);
    text
}

/// A workflow command of GitHub Actions, without its kind.
struct Annotation {
    place: String,
    title: &'static str,
    message: String,
}

impl Annotation {
    fn new(source: Option<&Source>, title: &'static str, mut message: String) -> Self {
        if let Some(rendered) = source.and_then(|source| source.rendered.as_ref()) {
            let _ = write!(message, " (rendered at {rendered})");
        }
        Self { place: source.map(properties).unwrap_or_default(), title, message }
    }

    fn write(&self, command: &str, text: &mut String) {
        let Self { place, title, message } = self;
        let _ = writeln!(text, "::{command} {place}title={title}::{}", escape::workflow(message));
    }
}

/// The notes, errors first.
fn notes(plan: &Plan) -> impl Iterator<Item = &Note> {
    let of = |is_error: bool| plan.notes.iter().filter(move |note| note.is_error == is_error);
    of(true).chain(of(false))
}

/// How much a note matters: an error means that the plan is not complete.
fn weight(note: &Note) -> &'static str {
    if note.is_error { "error" } else { "note" }
}

fn properties(source: &Source) -> String {
    let file = escape::workflow_property(&source.file);
    // A problem of a whole file has no line.
    if source.line == 0 {
        return format!("file={file},");
    }
    format!("file={file},line={},col={},", source.line, source.column)
}

fn place(source: &Source) -> String {
    let file = escape::terminal(&source.file);
    match &source.rendered {
        Some(rendered) => format!("{file} (rendered at {})", escape::terminal(rendered)),
        None if source.line == 0 => file,
        None => format!("{file}:{}:{}", source.line, source.column),
    }
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

/// Whether an entry has to be explained on a terminal.
fn needs_words(entry: &Entry) -> bool {
    let is_plain = match entry.outcome {
        Outcome::SwitchLater => entry.at.is_some(),
        Outcome::SwitchNow | Outcome::Suspended | Outcome::NoSwitch => true,
        Outcome::Refused | Outcome::Unknown | Outcome::Cancelled | Outcome::InProgress => false,
    };
    !is_plain || entry.change == Change::Indirect || entry.not_watched.is_some()
}
