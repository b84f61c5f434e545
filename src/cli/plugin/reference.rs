//! `docs/reference/cli.md`: every command and flag, from the help of the program.

use std::fmt::Write;

use clap::Command;
use clap_markdown::{MarkdownOptions, help_markdown_command_custom};

use super::{PROGRAM, command, help::sections};
use crate::testing::golden;

const FILE: &str = "docs/reference/cli.md";

const HEAD: &str = "This page is made from the help of the program. \
                    [The command line](../cli.md) says what the commands are for.";

/// The command with examples as Markdown.
fn in_markdown(command: Command) -> Command {
    let mut text = String::new();
    for section in sections(&command) {
        let title = section.title[..1].to_owned() + &section.title[1..].to_lowercase();
        let language = if section.title == "EXAMPLES" { "sh" } else { "text" };
        let _ = write!(text, "**{title}**\n\n```{language}\n{}\n```\n\n", section.text);
    }
    let command = if text.is_empty() { command } else { command.after_help(text.trim_end().to_owned()) };
    command.mut_subcommands(in_markdown)
}

#[test]
fn the_reference_is_what_the_help_says() {
    let options = MarkdownOptions::new().title("Commands and flags".to_owned()).show_footer(false);
    let page = help_markdown_command_custom(&in_markdown(command(PROGRAM)), &options);
    let (title, rest) = page.split_once("\n\n").unwrap();
    // The sentence of clap-markdown names the program, and says no more.
    let (_, rest) = rest.split_once("\n\n").unwrap();
    let rest = rest.replace("**Command Overview:**", "**Commands**").replace('↴', "");
    // A default that is empty is none for a reader.
    let lines =
        rest.lines().map(|line| line.trim_end().replacen("* ", "- ", usize::from(line.starts_with("* "))));
    let lines = lines.filter(|line| *line != "  Default value: ``");
    let mut rest = lines.collect::<Vec<_>>().join("\n");
    while rest.contains("\n\n\n") {
        rest = rest.replace("\n\n\n", "\n\n");
    }
    golden::compare(FILE, &format!("{title}\n\n{HEAD}\n\n{}\n", rest.trim_end()))
        .unwrap_or_else(|error| panic!("{error}"));
}
