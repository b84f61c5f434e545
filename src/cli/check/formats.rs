//! The report of `check` for a terminal. Pure.

use std::fmt::Write;

use clap::builder::styling::{AnsiColor, Style};

use super::{
    document::{Finding, Report, Verdict},
    list::Group,
};
use crate::cli::output::escape;

/// How much a report shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Detail {
    /// Every finding.
    All,
    /// Only warnings and errors.
    Faults,
}

/// The report for a terminal. Colours are in it, and are taken out where the output is no terminal.
pub(crate) fn report(report: &Report, detail: Detail) -> String {
    let mut text = String::new();
    for group in Group::ALL {
        let shown = |finding: &&Finding| {
            let is_fault = matches!(finding.verdict, Verdict::Warning | Verdict::Error);
            finding.group == group.as_str() && (detail == Detail::All || is_fault)
        };
        let mut findings = report.findings.iter().filter(shown).peekable();
        if findings.peek().is_some() {
            let _ = writeln!(text, "{}", group.heading());
        }
        for finding in findings {
            self::finding(&mut text, finding);
        }
    }
    if !text.is_empty() {
        text.push('\n');
    }
    text + &summary(report) + "\n"
}

/// The report in one sentence.
pub(crate) fn summary(report: &Report) -> String {
    let counted =
        |count: usize, one: &str, many: &str| format!("{count} {}", if count == 1 { one } else { many });
    let (errors, warnings) = (report.errors, report.warnings);
    let skipped = report.of(Verdict::Skipped).count();
    let skipped = if skipped == 0 { String::new() } else { format!(", {skipped} skipped") };
    if errors == 0 && warnings == 0 {
        return format!("No faults found in {}{skipped}.", counted(report.findings.len(), "check", "checks"));
    }
    let (errors, warnings) = (counted(errors, "error", "errors"), counted(warnings, "warning", "warnings"));
    format!("{errors}, {warnings}{skipped}.")
}

/// One finding in one line, for a person who waits.
pub(crate) fn line(finding: &Finding) -> String {
    format!("{}: {}", name(finding), escape::terminal(&finding.message))
}

fn name(finding: &Finding) -> String {
    match &finding.subject {
        Some(subject) => format!("{} {}", finding.id, escape::terminal(subject)),
        None => finding.id.clone(),
    }
}

fn finding(text: &mut String, finding: &Finding) {
    let (mark, color) = match finding.verdict {
        Verdict::Ok => ("✔", AnsiColor::Green),
        Verdict::Warning => ("!", AnsiColor::Yellow),
        Verdict::Error => ("✘", AnsiColor::Red),
        Verdict::Skipped => ("-", AnsiColor::BrightBlack),
    };
    let style = Style::new().fg_color(Some(color.into()));
    let _ = writeln!(text, "  {style}{mark}{style:#} {}", line(finding));
    if let Some(remedy) = &finding.remedy {
        let _ = writeln!(text, "    {}", escape::terminal(remedy));
        let _ = writeln!(text, "    See {}", finding.docs);
    }
}
