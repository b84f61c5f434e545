use std::{fs, path::PathBuf};

use clap::ValueHint;

use super::*;

/// The candidates for the last word of a line.
fn complete_line(line: &[&str]) -> Vec<String> {
    let words: Vec<OsString> = line.iter().map(OsString::from).collect();
    let last = words.len() - 1;
    let found = candidates(words, last).unwrap();
    found.iter().map(|candidate| candidate.get_value().to_string_lossy().into_owned()).collect()
}

/// A kubeconfig whose clusters cannot be reached, in a folder that is removed in the end.
fn kubeconfig() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config");
    let text = "apiVersion: v1\nkind: Config\ncurrent-context: prod\n\
                contexts:\n- {name: prod, context: {cluster: eu2, user: ann}}\n\
                - {name: prod-old, context: {cluster: eu1, user: bob}}\n\
                - {name: \"prod\\nrm -r\", context: {cluster: eu1, user: bob}}\n\
                - {name: test, context: {cluster: eu1, user: bob}}\n\
                clusters:\n- {name: eu2, cluster: {server: 'http://127.0.0.1:1'}}\n\
                - {name: eu1, cluster: {server: 'http://127.0.0.1:1'}}\n\
                users:\n- {name: ann, user: {token: secret}}\n- {name: bob, user: {token: secret}}\n";
    fs::write(&file, text).unwrap();
    (folder, file)
}

#[test]
fn commands_and_values_are_completed() {
    assert_eq!(complete_line(&[PROGRAM, "pl"]), ["plan"]);
    assert_eq!(complete_line(&[PROGRAM, "plan", "--off"]), ["--offline"]);
    assert_eq!(complete_line(&[PROGRAM, "plan", "-o", "m"]), ["markdown"]);
    assert_eq!(complete_line(&[PROGRAM, "completion", ""]), ["bash", "zsh", "fish", "powershell"]);
    assert_eq!(complete_line(&[PROGRAM, "events", "--types=W"]), ["--types=Warning"]);
}

#[test]
fn flags_show_only_where_nothing_else_may_stand() {
    let commands = complete_line(&[PROGRAM, ""]);
    assert!(commands.contains(&"status".to_owned()), "{commands:?}");
    assert!(commands.iter().all(|command| !command.starts_with('-')), "{commands:?}");
    let flags = complete_line(&[PROGRAM, "plan", "--"]);
    for flag in ["--base", "--namespace", "--help"] {
        assert!(flags.contains(&flag.to_owned()), "{flag}: {flags:?}");
    }
    assert!(complete_line(&[PROGRAM, "plan", ""]).contains(&"--filename".to_owned()));
}

#[test]
fn names_of_the_kubeconfig_are_completed() {
    let (_folder, file) = kubeconfig();
    let file = file.to_str().unwrap();
    let complete = |line: &[&str]| complete_line(&[&[PROGRAM, "--kubeconfig", file], line].concat());
    // A name that would break the line is not among them.
    assert_eq!(complete(&["status", "--context", "prod"]), ["prod", "prod-old"]);
    assert_eq!(
        complete(&["status", "--context="]),
        ["--context=prod", "--context=prod-old", "--context=test"]
    );
    assert_eq!(complete(&["--cluster", ""]), ["eu1", "eu2"]);
    assert_eq!(complete(&["plan", "--user", "b"]), ["bob"]);
}

#[test]
fn without_a_cluster_there_are_no_names_and_no_error() {
    let (_folder, file) = kubeconfig();
    let missing = file.with_file_name("missing");
    for file in [file.to_str().unwrap(), missing.to_str().unwrap()] {
        for line in [["-n", ""], ["--for", "a"], ["--context", "no"]] {
            let line = [&[PROGRAM, "--kubeconfig", file, "events"], line.as_slice()].concat();
            assert_eq!(complete_line(&line), [""; 0], "{line:?}");
        }
    }
}

#[test]
fn the_flags_before_the_word_select_the_cluster() {
    let words: Vec<OsString> =
        [PROGRAM, "status", "-n", "team", "--context", "prod", "-A", "--unknown", "-o"]
            .map(OsString::from)
            .into();
    let found = cluster_of(&words);
    assert_eq!(found.namespace.as_deref(), Some("team"));
    assert!(format!("{found:?}").contains("Some(\"prod\")"), "{found:?}");
}

/// Calls `look` with each command and its name.
fn each_command(command: &Command, look: &mut impl FnMut(&Command)) {
    look(command);
    command.get_subcommands().for_each(|command| each_command(command, look));
}

/// A new command whose argument nothing completes fails here: call the argument NAME, or add it to [`subject`].
#[test]
fn every_argument_has_candidates() {
    let mut arguments = 0;
    each_command(&command(PROGRAM), &mut |command| {
        for argument in command.get_positionals() {
            arguments += 1;
            let is_path = argument.get_value_hint() != ValueHint::Unknown;
            let has_values = !argument.get_possible_values().is_empty();
            let place = format!("{} {argument}", command.get_name());
            assert!(subject(argument).is_some() || is_path || has_values, "{place}");
        }
    });
    assert!(arguments >= 2, "{arguments}");
}

#[test]
fn kubectl_gets_descriptions_and_a_directive() {
    let answer = kubectl::answer(&[
        CompletionCandidate::new("plan").help(Some("Show a plan\nand more".into())),
        CompletionCandidate::new("acme"),
    ]);
    assert_eq!(answer, "plan\tShow a plan\nacme\t\n:4\n");
    assert_eq!(kubectl::answer(&[CompletionCandidate::new("tenants/")]), "tenants/\t\n:6\n");
    assert_eq!(kubectl::answer(&[]), ":4\n");
}

#[test]
fn kubectl_is_known_by_the_name_of_the_file() {
    let is = |program: &str| is_for_kubectl(&[program.into()]);
    assert!(is("/home/ann/bin/kubectl_complete-tenantpricing"));
    assert!(!is("/usr/bin/kubectl-tenantpricing") && !is(""));
    assert!(!is_for_kubectl(&[]));
}

#[test]
fn each_shell_gets_a_script_that_asks_this_program() {
    for shell in Shell::value_variants() {
        let mut script = Vec::new();
        let adapter = shell.adapter();
        adapter.write_registration(VARIABLE, PROGRAM, PROGRAM, PROGRAM, &mut script).unwrap();
        let script = String::from_utf8(script).unwrap();
        let value = shell.to_possible_value().unwrap();
        assert!(adapter.is(value.get_name()), "{shell:?}");
        assert!(script.contains(VARIABLE) && script.contains(PROGRAM), "{script}");
    }
}
