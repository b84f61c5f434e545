//! The examples in the help are lines that the program understands.

use clap::Command;

use super::{
    PROGRAM, command,
    help::{Section, sections},
};

/// The lines of a section that call the program, each as its words.
fn calls(section: &Section) -> Vec<Vec<String>> {
    let joined = section.text.replace("\\\n", " ");
    let lines = joined.lines().filter(|line| !line.starts_with('#'));
    let calls = lines.filter_map(|line| line.find(&format!("{PROGRAM} ")).map(|at| &line[at..]));
    calls
        .map(|call| {
            // What another program does with the output, and the end of a substitution.
            let end = [" | ", " > ", ")"].iter().filter_map(|end| call.find(end)).min().unwrap_or(call.len());
            let call = &call[..end];
            assert!(!call.contains(['"', '\'', '$']), "write the example without quotes: {call}");
            call.split_whitespace().map(str::to_owned).collect()
        })
        .collect()
}

fn shown(program: &Command) -> impl Iterator<Item = &Command> {
    let commands = program.get_subcommands().filter(|command| !command.is_hide_set());
    std::iter::once(program).chain(commands)
}

#[test]
fn every_command_has_examples_that_are_valid_lines() {
    let program = command(PROGRAM);
    let mut faults = Vec::new();
    for command in shown(&program) {
        let sections = sections(command);
        let examples: Vec<_> = sections.iter().filter(|section| section.title == "EXAMPLES").collect();
        let calls: Vec<_> = examples.into_iter().flat_map(calls).collect();
        if calls.is_empty() {
            faults.push(format!("{} has no examples", command.get_name()));
        }
        for call in calls {
            let is_of_command = command.get_name() == PROGRAM || call[1] == command.get_name();
            if !is_of_command {
                faults.push(format!("{} has an example of another command: {call:?}", command.get_name()));
            }
            if let Err(error) = program.clone().try_get_matches_from(&call) {
                faults.push(format!("{}: {error}", call.join(" ")));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// clap writes the suggestions. This holds that nothing turns them off.
#[test]
fn a_mistyped_command_or_flag_suggests_the_right_one() {
    for (line, suggestion) in [
        (["plna", "-f", "acme.yaml"].as_slice(), "'plan'"),
        (&["histroy"], "'history'"),
        (&["plan", "-f", "acme.yaml", "--offlin"], "'--offline'"),
        (&["status", "--all-namespace"], "'--all-namespaces'"),
        (&["status", "--contxt", "prod"], "'--context'"),
        (&["plan", "-f", "acme.yaml", "-o", "jsn"], "'json'"),
        (&["plan", "-f", "acme.yaml", "--outptu", "json"], "'--output'"),
    ] {
        let line = [&[PROGRAM], line].concat();
        let error = command(PROGRAM).try_get_matches_from(&line).unwrap_err().to_string();
        let is_suggested = error.lines().any(|line| line.contains("tip:") && line.contains(suggestion));
        assert!(is_suggested, "{line:?}: {error}");
    }
}
