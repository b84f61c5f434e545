//! How the commands of `kubectl-tenantpricing` write: to standard output, in tables, and with foreign text escaped.

pub(crate) mod escape;
pub(crate) mod table;

use std::io::{self, Write};

/// Writes the result of a command to standard output.
///
/// A reader that has seen enough, such as `head`, closes the pipe. That is no error.
///
/// # Errors
/// The error of the operating system, unless the pipe is closed.
pub(crate) fn write(text: &str) -> io::Result<()> {
    let mut output = anstream::stdout().lock();
    match output.write_all(text.as_bytes()).and_then(|()| output.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

/// Writes a line to standard error. A closed standard error is ignored: there is no place left to report it.
pub(crate) fn note(text: &str) {
    let _ = writeln!(anstream::stderr().lock(), "{text}");
}
