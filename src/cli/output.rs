//! How the commands of `kubectl-tenantpricing` write: to standard output, in tables, and with foreign text escaped.

pub(crate) mod escape;
pub(crate) mod progress;
pub(crate) mod remedies;
pub(crate) mod table;
pub(crate) mod time;

use std::{
    io::{self, IsTerminal, Write},
    ops::ControlFlow,
};

/// Writes the result of a command to standard output.
///
/// A reader that has seen enough, such as `head`, closes the pipe. That is no error.
///
/// # Errors
/// The error of the operating system, unless the pipe is closed.
pub(crate) fn write(text: &str) -> io::Result<()> {
    write_on(text).map(drop)
}

/// Writes the next part of an output that goes on, such as a watch. `Break`: the reader has closed the pipe.
///
/// # Errors
/// The error of the operating system, unless the pipe is closed.
pub(crate) fn write_on(text: &str) -> io::Result<ControlFlow<()>> {
    let mut output = anstream::stdout().lock();
    match output.write_all(text.as_bytes()).and_then(|()| output.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(ControlFlow::Break(())),
        written => written.map(ControlFlow::Continue),
    }
}

/// Whether standard output is a terminal.
pub(crate) fn is_terminal() -> bool {
    io::stdout().is_terminal()
}

/// Why a text could not be written as CSV or JSON.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FormatError {
    /// It is no CSV.
    #[error("the result cannot be written as CSV: {0}")]
    Csv(String),
    /// It is no JSON.
    #[error("the result cannot be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// It is no YAML.
    #[error("the result cannot be written as YAML: {0}")]
    Yaml(#[from] serde_saphyr::ser::Error),
}

/// A CSV file by RFC 4180, with a head and line ends that spreadsheets know. The cells may hold foreign text: they are
/// escaped here. Each is in quotes, so that a spreadsheet with another separator does not divide it.
///
/// # Errors
/// A row has more or fewer cells than the head.
pub(crate) fn csv(head: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> Result<String, FormatError> {
    let failed = |error: &dyn std::fmt::Display| FormatError::Csv(error.to_string());
    let mut writer = csv::WriterBuilder::new()
        .terminator(csv::Terminator::CRLF)
        .quote_style(csv::QuoteStyle::Always)
        .from_writer(Vec::new());
    writer.write_record(head).map_err(|error| failed(&error))?;
    for row in rows {
        let cells = row.iter().map(|cell| escape::csv(cell));
        writer.write_record(cells.collect::<Vec<_>>()).map_err(|error| failed(&error))?;
    }
    let bytes = writer.into_inner().map_err(|error| failed(&error))?;
    String::from_utf8(bytes).map_err(|error| failed(&error))
}

/// A document as JSON for people and programs. A terminal may show it: it has no character that changes the text around
/// it.
///
/// # Errors
/// It cannot be written as JSON, which does not happen.
pub(crate) fn json(document: &impl serde::Serialize) -> Result<String, FormatError> {
    Ok(escape::json(&serde_json::to_string_pretty(document)?) + "\n")
}

/// A document as YAML for people and programs, safe for a terminal as [`json`] is. JSON is YAML too, and has an escape
/// for each character.
///
/// # Errors
/// It cannot be written as YAML, which does not happen.
pub(crate) fn yaml(document: &impl serde::Serialize) -> Result<String, FormatError> {
    let text = serde_saphyr::to_string(document)?;
    let is_plain = text.chars().all(|character| character == '\n' || !escape::is_disruptive(character));
    if is_plain { Ok(text) } else { json(document) }
}

/// Writes a line to standard error. A closed standard error is ignored: there is no place left to report it.
///
/// Foreign text in it is escaped here, line feeds too.
pub(crate) fn note(text: &str) {
    let _ = writeln!(anstream::stderr().lock(), "{}", escape::terminal(text));
}

/// Writes several lines to standard error. Foreign text in them is escaped here, except for line feeds: the caller has
/// to escape those.
pub(crate) fn notes(text: &str) {
    text.split('\n').for_each(note);
}

/// Writes why a command failed to standard error.
pub(crate) fn error(error: &impl std::fmt::Display) {
    notes(&error_lines(&error.to_string()));
}

/// An error in lines. Only the first one begins at the margin: a line feed in foreign text forges no other error.
fn error_lines(error: &str) -> String {
    format!("error: {}", error.trim_end().lines().collect::<Vec<_>>().join("\n  "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_cell_is_in_quotes() {
        let text = csv(&["a", "b"], [vec!["x;=1".to_owned(), "1 \"2\"".to_owned()]]).unwrap();
        assert_eq!(text, "\"a\",\"b\"\r\n\"x;'=1\",\"1 \"\"2\"\"\"\r\n");
    }

    #[test]
    fn yaml_has_no_disruptive_character_and_means_the_same() {
        for name in escape::HOSTILE {
            let document = serde_json::json!({"version": name});
            let shown = yaml(&document).unwrap();
            assert!(
                !shown.chars().any(|letter| letter != '\n' && escape::is_disruptive(letter)),
                "{shown:?}"
            );
            assert_eq!(serde_saphyr::from_str::<serde_json::Value>(&shown).unwrap(), document, "{shown:?}");
        }
        assert_eq!(yaml(&serde_json::json!({"version": "0.1.0"})).unwrap(), "version: \"0.1.0\"\n");
    }

    #[test]
    fn one_error_is_at_the_margin() {
        let lines = error_lines("it failed:\n- one\nerror: forged\r\n");
        assert_eq!(lines, "error: it failed:\n  - one\n  error: forged");
    }
}
