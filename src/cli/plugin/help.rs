//! What stands below the flags in the help of a command: its examples, and the meaning of its exit codes.

use clap::Command;

use super::PROGRAM;

/// The command with examples that call the program by this name, and so for the commands below it.
pub(super) fn called(command: Command, name: &str) -> Command {
    let below = command.get_after_help().map(|help| help.to_string().replace(PROGRAM, name));
    let command = match below {
        Some(below) => command.after_help(below),
        None => command,
    };
    command.mut_subcommands(|command| called(command, name))
}

/// A part of the help with a title, such as `EXAMPLES`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Section {
    /// The title, in capitals.
    pub(super) title: String,
    /// The lines below it, as they are but for their common indent.
    pub(super) text: String,
}

/// The sections below the flags. A line in capitals that ends in a colon begins one.
pub(super) fn sections(command: &Command) -> Vec<Section> {
    let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let mut sections: Vec<Section> = Vec::new();
    for line in help.lines() {
        let title = line.strip_suffix(':').filter(|title| {
            !title.is_empty() && title.chars().all(|it| it.is_ascii_uppercase() || it == ' ')
        });
        match (title, sections.last_mut()) {
            (Some(title), _) => {
                sections.push(Section { title: title.trim().to_owned(), text: String::new() });
            }
            (None, Some(section)) => {
                section.text.push_str(line.strip_prefix("  ").unwrap_or(line));
                section.text.push('\n');
            }
            (None, None) => {}
        }
    }
    for section in &mut sections {
        section.text.truncate(section.text.trim_end().len());
    }
    sections
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_below_the_flags_are_found() {
        let command = Command::new("it").after_help(
            "EXAMPLES:\n  # One\n  it -f \\\n    file\n\n  # Two\n  it\n\nEXIT CODES:\n  0  fine",
        );
        let section = |title: &str, text: &str| Section { title: title.to_owned(), text: text.to_owned() };
        assert_eq!(
            sections(&command),
            [section("EXAMPLES", "# One\nit -f \\\n  file\n\n# Two\nit"), section("EXIT CODES", "0  fine"),]
        );
        assert_eq!(sections(&Command::new("it")), []);
    }

    #[test]
    fn examples_call_the_program_by_its_name() {
        let command = super::super::command("kubectl tenantpricing");
        let plan = command.find_subcommand("plan").unwrap();
        let examples = plan.get_after_help().unwrap().to_string();
        assert!(
            examples.contains("kubectl tenantpricing plan -f") && !examples.contains(PROGRAM),
            "{examples}"
        );
    }
}
