//! Collects what the checks find. Pure.

use jiff::Timestamp;

use super::{
    document::{Finding, Report, SCHEMA, Verdict},
    list::Check,
    unread::Unread,
};

/// The findings so far.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    found: Vec<(Check, Finding)>,
}

impl Findings {
    /// All is well.
    pub(crate) fn ok(&mut self, check: Check, subject: Option<&str>, message: impl Into<String>) {
        self.add(check, Verdict::Ok, subject, message.into(), None);
    }

    /// It works, and a person should know.
    pub(crate) fn warning(
        &mut self,
        check: Check,
        subject: Option<&str>,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        self.add(check, Verdict::Warning, subject, message.into(), Some(remedy.into()));
    }

    /// Something that was asked for cannot be done, or is not safe.
    pub(crate) fn error(
        &mut self,
        check: Check,
        subject: Option<&str>,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        self.add(check, Verdict::Error, subject, message.into(), Some(remedy.into()));
    }

    /// The check could not be made, because something could not be read. Only a missing right is no fault: everything
    /// else may hide one.
    pub(super) fn unread(
        &mut self,
        check: Check,
        subject: Option<&str>,
        unread: &Unread,
        message: impl Into<String>,
    ) {
        const REMEDY: &str = "Run the check again. If it lasts, see how the API server is: kubectl get --raw '/readyz?verbose'";
        if unread.is_forbidden {
            self.skipped(check, subject, message);
        } else {
            self.error(check, subject, message, REMEDY);
        }
    }

    /// The check could not be made.
    pub(crate) fn skipped(&mut self, check: Check, subject: Option<&str>, why: impl Into<String>) {
        self.add(check, Verdict::Skipped, subject, why.into(), None);
    }

    fn add(
        &mut self,
        check: Check,
        verdict: Verdict,
        subject: Option<&str>,
        message: String,
        remedy: Option<String>,
    ) {
        let finding = Finding {
            id: check.as_str().to_owned(),
            group: check.group().as_str().to_owned(),
            title: check.title().to_owned(),
            verdict,
            subject: subject.map(str::to_owned),
            message,
            remedy,
            docs: check.docs().to_owned(),
        };
        self.found.push((check, finding));
    }

    /// The report. A check without a finding is skipped, because one before it failed or there is nothing to check.
    pub(crate) fn report(mut self, before_installation: bool, now: Timestamp) -> Report {
        for check in Check::ALL.iter().filter(|check| check.applies(before_installation)) {
            if !self.found.iter().any(|(found, _)| found == check) {
                self.skipped(*check, None, "An earlier check failed.");
            }
        }
        self.found.sort_by_key(|(check, _)| *check);
        let count = |verdict| self.found.iter().filter(|(_, finding)| finding.verdict == verdict).count();
        Report {
            schema: SCHEMA.to_owned(),
            now,
            before_installation,
            errors: count(Verdict::Error),
            warnings: count(Verdict::Warning),
            findings: self.found.into_iter().map(|(_, finding)| finding).collect(),
        }
    }
}
