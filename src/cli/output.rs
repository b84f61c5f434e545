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
}

/// A CSV file by RFC 4180, with a head and line ends that spreadsheets know. The cells may hold foreign text: they are
/// escaped here.
///
/// # Errors
/// A row has more or fewer cells than the head.
pub(crate) fn csv(head: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> Result<String, FormatError> {
    let failed = |error: &dyn std::fmt::Display| FormatError::Csv(error.to_string());
    let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
    writer.write_record(head).map_err(|error| failed(&error))?;
    for row in rows {
        let cells = row.iter().map(|cell| escape::csv(cell));
        writer.write_record(cells.collect::<Vec<_>>()).map_err(|error| failed(&error))?;
    }
    let bytes = writer.into_inner().map_err(|error| failed(&error))?;
    String::from_utf8(bytes).map_err(|error| failed(&error))
}

/// A document as JSON for people and programs.
///
/// # Errors
/// It cannot be written as JSON, which does not happen.
pub(crate) fn json(document: &impl serde::Serialize) -> Result<String, FormatError> {
    Ok(serde_json::to_string_pretty(document)? + "\n")
}

/// Writes a line to standard error. A closed standard error is ignored: there is no place left to report it.
pub(crate) fn note(text: &str) {
    let _ = writeln!(anstream::stderr().lock(), "{text}");
}
