//! Completion: which words may follow on the command line, with the names that the kubeconfig and the cluster have.
//!
//! The script that `completion` prints asks this program at each press of the tab key. kubectl asks it under the name
//! `kubectl_complete-tenantpricing`. An answer is never an error text, which would stand in the middle of the line.

mod candidates;
mod kubectl;
#[cfg(test)]
mod tests;

use std::{
    env,
    ffi::OsString,
    io::{self, Write},
    path::Path,
};

use clap::{Arg, Args, Command, FromArgMatches, ValueEnum};
use clap_complete::{
    CompletionCandidate,
    engine::complete,
    env::{Bash, EnvCompleter, Fish, Powershell, Zsh},
};

use self::candidates::{Candidates, Subject};
use super::{CommandError, PROGRAM, command, exit::Exit};
use crate::cli::{cluster::ClusterArguments, output};

/// The variable by which the script of a shell asks. Its value is the name of the shell.
const VARIABLE: &str = "KUBECTL_TENANTPRICING_COMPLETE";

/// What the script puts in front of the words of the line.
const SIGN: &str = "--";

/// The file name by which kubectl asks. kubectl searches for it on the path.
const FOR_KUBECTL: &str = "kubectl_complete-tenantpricing";

/// The flags of `completion`.
#[derive(Debug, Args)]
#[command(after_help = "EXAMPLES:\n  \
    # bash: for this shell, and with this line in ~/.bashrc for each new one\n  \
    source <(kubectl-tenantpricing completion bash)\n\n  \
    # zsh: the same in ~/.zshrc, after compinit\n  \
    source <(kubectl-tenantpricing completion zsh)\n\n  \
    # fish: in ~/.config/fish/config.fish\n  \
    kubectl-tenantpricing completion fish | source\n\n  \
    # For kubectl tenantpricing: kubectl finds a file of this name on the path\n  \
    ln -s \"$(command -v kubectl-tenantpricing)\" ~/.local/bin/kubectl_complete-tenantpricing")]
pub(crate) struct CompletionArguments {
    /// The shell.
    shell: Shell,
}

/// The shells that have a script.
#[allow(clippy::doc_markdown)] // the help shows these comments as they are
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Shell {
    /// Bash 4.4 or newer.
    Bash,
    /// Zsh.
    Zsh,
    /// Fish.
    Fish,
    /// PowerShell.
    Powershell,
}

impl Shell {
    fn adapter(self) -> &'static dyn EnvCompleter {
        match self {
            Self::Bash => &Bash,
            Self::Zsh => &Zsh,
            Self::Fish => &Fish,
            Self::Powershell => &Powershell,
        }
    }
}

impl CompletionArguments {
    /// Prints the script.
    ///
    /// # Errors
    /// The output cannot be written.
    pub(crate) fn execute(self) -> Result<Exit, CommandError> {
        let mut script = Vec::new();
        self.shell.adapter().write_registration(VARIABLE, PROGRAM, PROGRAM, PROGRAM, &mut script)?;
        output::write(&String::from_utf8_lossy(&script))?;
        Ok(Exit::Success)
    }
}

/// Answers a shell or kubectl that asks for completions. `None`: this run is no such question.
pub(super) fn answer(line: &[OsString]) -> Option<Exit> {
    let answer = if is_for_kubectl(line) {
        for_kubectl(line)
    } else {
        // The script puts a sign in front of the words. Without it, the variable was inherited by a command that a
        // person or a pipeline runs.
        if line.get(1).is_none_or(|word| word != SIGN) {
            return None;
        }
        let shell = Shell::from_str(&env::var(VARIABLE).ok()?, false).ok()?;
        for_shell(shell, line)
    };
    // The bytes go out as they are: a shell separates candidates by characters that are no text.
    let written = answer.and_then(|answer| io::stdout().lock().write_all(&answer));
    Some(if written.is_ok() { Exit::Success } else { Exit::Error })
}

fn is_for_kubectl(line: &[OsString]) -> bool {
    line.first().and_then(|program| Path::new(program).file_stem()).is_some_and(|name| name == FOR_KUBECTL)
}

/// The answer for a shell, whose script puts the words of the line behind the sign.
fn for_shell(shell: Shell, line: &[OsString]) -> io::Result<Vec<u8>> {
    let words: Vec<OsString> = line.iter().skip(2).cloned().collect();
    let mut answer = Vec::new();
    if !words.is_empty() {
        let folder = env::current_dir().ok();
        let mut command = with_candidates(&words);
        shell.adapter().write_complete(&mut command, words, folder.as_deref(), &mut answer)?;
    }
    Ok(answer)
}

/// The answer for kubectl, which gives the words after `kubectl tenantpricing`. The last one is to be completed.
fn for_kubectl(line: &[OsString]) -> io::Result<Vec<u8>> {
    let last = line.len() - 1;
    Ok(kubectl::answer(&candidates(line.to_vec(), last)?).into_bytes())
}

/// What may stand in place of the word at `index`.
fn candidates(words: Vec<OsString>, index: usize) -> io::Result<Vec<CompletionCandidate>> {
    let folder = env::current_dir().ok();
    complete(&mut with_candidates(&words), words, index, folder.as_deref())
}

/// The command line, with names from the kubeconfig and the cluster that the words select.
fn with_candidates(words: &[OsString]) -> Command {
    let candidates = Candidates::new(cluster_of(words));
    let mut command = command(PROGRAM);
    // clap adds its own flags, such as `--help`, when it builds.
    command.build();
    add(command, &candidates)
}

/// The flags that select a cluster, as far as the words can be understood.
fn cluster_of(words: &[OsString]) -> ClusterArguments {
    let matches = command(PROGRAM).ignore_errors(true).try_get_matches_from(words);
    let found = matches.ok().and_then(|matches| ClusterArguments::from_arg_matches(&matches).ok());
    found.unwrap_or_default().without_empty()
}

fn add(command: Command, candidates: &Candidates) -> Command {
    let command = command.mut_args(|argument| {
        let argument = match subject(&argument) {
            Some(subject) => argument.add(candidates.completer(subject)),
            None => argument,
        };
        // What is hidden shows only where nothing else may stand: flags do not bury the names.
        let is_flag = !argument.is_positional();
        argument.hide(is_flag)
    });
    command.mut_subcommands(|command| add(command, candidates))
}

/// What the value of a flag or argument names. A value called NAME, without a flag, is always a `TenantPricing`.
fn subject(argument: &Arg) -> Option<Subject> {
    let is_called_name = || argument.get_value_names().is_some_and(|names| names == ["NAME"]);
    match argument.get_id().as_str() {
        "context" => Some(Subject::Context),
        "cluster" => Some(Subject::Cluster),
        "user" => Some(Subject::User),
        "namespace" | "controller_namespace" => Some(Subject::Namespace),
        "connection" => Some(Subject::Connection),
        // `events --for`
        "about" => Some(Subject::TenantPricing),
        _ if argument.is_positional() && is_called_name() => Some(Subject::TenantPricing),
        _ => None,
    }
}
