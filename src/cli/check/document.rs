//! The result of all checks as data: what `check -o json` prints, and what the other formats are made from. Pure.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

/// The name of the format. It changes when a field is removed or changes its meaning.
pub(crate) const SCHEMA: &str = "tenantpricing.io/check/v1";

/// The result of all checks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Report {
    /// The format: `tenantpricing.io/check/v1`.
    pub schema: String,
    /// The time of this report, in RFC 3339.
    #[schemars(with = "String")]
    pub now: Timestamp,
    /// Whether these are the checks before an installation (`--pre`).
    pub before_installation: bool,
    /// The number of findings with the verdict `error`.
    pub errors: usize,
    /// The number of findings with the verdict `warning`.
    pub warnings: usize,
    /// The findings, in the order of the checks. A check may have several, one for each subject.
    pub findings: Vec<Finding>,
}

/// What one check found about one subject.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Finding {
    /// The id of the check, as in `connection-ready`.
    pub id: String,
    /// The group of the check, as in `connections`.
    pub group: String,
    /// What the check asks for.
    pub title: String,
    /// The verdict.
    pub verdict: Verdict,
    /// The object that the finding is about, as `namespace/name` or as a name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// What was found, and what it means.
    pub message: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
    /// The section of the documentation, as a path in the repository.
    pub docs: String,
}

/// The verdict of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Verdict {
    /// All is well.
    Ok,
    /// It works, and a person should know.
    Warning,
    /// Something that was asked for cannot be done, or is not safe.
    Error,
    /// The check could not be made. The message says why.
    Skipped,
}

impl Report {
    /// The findings with a verdict.
    pub(crate) fn of(&self, verdict: Verdict) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(move |finding| finding.verdict == verdict)
    }
}
