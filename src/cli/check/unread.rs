//! What a check could not read, and whether a right is missing or the cluster is at fault.

use crate::cluster::explain;

/// Why something could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unread {
    /// The reason, in words.
    pub why: String,
    /// Whether the user lacks the right. Then the check is skipped, since nothing is wrong with the installation.
    pub(super) is_forbidden: bool,
}

impl Unread {
    /// The reason of a request that failed.
    pub(super) fn of(error: &kube::Error) -> Self {
        let is_forbidden = matches!(error, kube::Error::Api(status) if status.code == 403);
        Self { why: explain(error), is_forbidden }
    }

    /// The same in other words, made from the reason.
    pub(super) fn in_words(self, words: impl FnOnce(&str) -> String) -> Self {
        Self { why: words(&self.why), ..self }
    }
}
