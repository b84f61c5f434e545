//! How kubectl asks a plugin for completions: by cobra's protocol.
//!
//! Each line is a candidate with its description behind a tab. The last line is a directive: see
//! <https://github.com/spf13/cobra/blob/main/site/content/completions/_index.md>, and `pluginCompletion` in
//! <https://github.com/kubernetes/kubectl/blob/master/pkg/cmd/plugin/plugin_completion.go>.

use std::fmt::Write;

use clap_complete::CompletionCandidate;

/// `ShellCompDirectiveNoSpace`: the word goes on.
const NO_SPACE: u8 = 2;

/// `ShellCompDirectiveNoFileComp`: no file names in place of candidates. Where a file may stand, it is a candidate.
const NO_FILES: u8 = 4;

/// The answer with these candidates.
pub(super) fn answer(candidates: &[CompletionCandidate]) -> String {
    let mut answer = String::new();
    let mut directive = NO_FILES;
    for candidate in candidates {
        let value = candidate.get_value().to_string_lossy();
        if value.ends_with('/') {
            directive |= NO_SPACE;
        }
        let help = candidate.get_help().map(ToString::to_string).unwrap_or_default();
        let _ = writeln!(answer, "{value}\t{}", help.lines().next().unwrap_or_default());
    }
    let _ = writeln!(answer, ":{directive}");
    answer
}
