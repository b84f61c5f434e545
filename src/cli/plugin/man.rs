//! `man`: the manual pages, for those who make packages. It is not in the help.

use std::{fs, io, path::PathBuf};

use clap::{Args, Command};
use clap_mangen::{
    Man,
    roff::{Roff, roman},
};

use super::{CommandError, PROGRAM, command, exit::Exit, help::sections};

/// The flags of `man`.
#[derive(Debug, Args)]
pub(crate) struct ManArguments {
    /// The folder for the pages. It is made if it does not exist.
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

impl ManArguments {
    /// Writes a page for the program, and one for each command.
    ///
    /// # Errors
    /// The folder cannot be written to.
    pub(crate) fn execute(self) -> Result<Exit, CommandError> {
        fs::create_dir_all(&self.folder)?;
        for page in pages() {
            fs::write(self.folder.join(page.file), page.text?)?;
        }
        Ok(Exit::Success)
    }
}

/// A manual page.
struct Page {
    /// The file name, such as `kubectl-tenantpricing-plan.1`.
    file: String,
    /// The page in troff.
    text: io::Result<Vec<u8>>,
}

/// The page of the program, and one for each command that its help shows.
fn pages() -> Vec<Page> {
    let mut program = command(PROGRAM).disable_help_subcommand(true);
    // Each page shows the flags of the whole program, too.
    program.build();
    let shown = program.get_subcommands().filter(|command| !command.is_hide_set());
    std::iter::once(&program).chain(shown).map(page).collect()
}

fn page(command: &Command) -> Page {
    let man = Man::new(command.clone()).manual("kubectl-tenantpricing");
    Page { file: man.get_filename(), text: render(&man, command) }
}

/// The page as [`Man::render`] makes it, but for the examples, whose lines it would join.
fn render(man: &Man, command: &Command) -> io::Result<Vec<u8>> {
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    if command.get_subcommands().next().is_some() {
        man.render_subcommands_section(&mut page)?;
    }
    for section in sections(command) {
        let mut roff = Roff::default();
        roff.control("SH", [section.title.as_str()]).control("nf", []);
        for line in section.text.lines() {
            roff.text([roman(line)]);
        }
        roff.control("fi", []).to_writer(&mut page)?;
    }
    man.render_version_section(&mut page)?;
    Ok(page)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_a_page_with_its_flags_and_examples() {
        let folder = tempfile::tempdir().unwrap();
        let to = folder.path().join("man1");
        ManArguments { folder: to.clone() }.execute().unwrap();
        let mut program = command(PROGRAM);
        program.build();
        let mut files: Vec<String> = Vec::new();
        for command in std::iter::once(&program).chain(program.get_subcommands()) {
            if command.is_hide_set() || command.get_name() == "help" {
                continue;
            }
            let file = format!("{}.1", command.get_display_name().unwrap_or(PROGRAM));
            // troff reads a bare hyphen as a dash.
            let page = fs::read_to_string(to.join(&file)).unwrap().replace("\\-", "-");
            for flag in command.get_arguments().filter_map(clap::Arg::get_long) {
                assert!(page.contains(&format!("--{flag}")), "{file} lacks --{flag}");
            }
            assert!(page.contains(".SH EXAMPLES\n.nf\n"), "{file}: {page}");
            files.push(file);
        }
        files.sort();
        let mut written: Vec<String> = fs::read_dir(&to)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        written.sort();
        assert_eq!(written, files);
        assert!(files.len() > 5, "{files:?}");
    }

    #[test]
    fn lines_of_examples_are_not_joined() {
        let plan = pages().into_iter().find(|page| page.file.ends_with("-plan.1")).unwrap();
        let text = String::from_utf8(plan.text.unwrap()).unwrap();
        let examples = text.split_once(".SH EXAMPLES\n.nf\n").unwrap().1.split_once("\n.fi").unwrap().0;
        assert!(
            examples.lines().any(|line| line == "kubectl\\-tenantpricing plan \\-f acme.yaml"),
            "{examples}"
        );
    }
}
