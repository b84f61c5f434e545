//! The confirmation of an edit that lets a switch happen: the person types the name of the tenant.

use std::io::{self, BufRead, IsTerminal, Write};

use super::EditError;
use crate::cli::{output::escape, plan::document::TenantView};

/// Asks for the name of the tenant, and reads it from the terminal.
///
/// # Errors
/// Standard input is no terminal, or something else was typed. Nothing is edited then.
pub(super) fn ask(tenant: &TenantView) -> Result<(), EditError> {
    let input = io::stdin();
    if !input.is_terminal() {
        return Err(EditError::NoTerminal);
    }
    let Some(asked) = asked(tenant) else { return Err(EditError::Unnamed) };
    {
        // The line goes on behind the question, so `output::note` does not fit.
        let mut error = anstream::stderr().lock();
        let question = format!("Type {asked} to go on, or press Enter to leave everything as it is: ");
        error.write_all(escape::terminal(&question).as_bytes()).and_then(|()| error.flush())?;
    }
    let mut line = String::new();
    input.lock().read_line(&mut line)?;
    if confirms(tenant, &line) { Ok(()) } else { Err(EditError::NotConfirmed(escape::terminal(line.trim()))) }
}

/// What a person has to type, in words.
fn asked(tenant: &TenantView) -> Option<String> {
    let name = tenant.name.as_deref().filter(|name| can_be_typed(name));
    match (name, tenant.id.as_deref()) {
        (Some(name), _) => Some(format!("the name of the tenant ({name})")),
        (None, Some(id)) => Some(format!("the id of the tenant ({id})")),
        (None, None) => None,
    }
}

/// Whether a name can be read and typed as it is.
fn can_be_typed(name: &str) -> bool {
    !name.trim().is_empty() && !name.chars().any(escape::is_disruptive)
}

/// Whether the answer names the tenant, by its name or its id. Blanks around it do not count.
fn confirms(tenant: &TenantView, answer: &str) -> bool {
    let answer = answer.trim();
    let is_name = tenant.name.as_deref().is_some_and(|name| can_be_typed(name) && name.trim() == answer);
    let is_id = tenant.id.as_deref().is_some_and(|id| id.eq_ignore_ascii_case(answer));
    !answer.is_empty() && (is_name || is_id)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0fcd4a69-8a40-4de8-b711-d9c83dc000f7";

    fn tenant(name: Option<&str>, id: Option<&str>) -> TenantView {
        TenantView { id: id.map(str::to_owned), name: name.map(str::to_owned), mode: None }
    }

    #[test]
    fn only_the_name_or_the_id_confirms() {
        let acme = tenant(Some("Acme GmbH"), Some(ID));
        for answer in ["Acme GmbH", "Acme GmbH\n", "  Acme GmbH\r\n", ID, &ID.to_uppercase()] {
            assert!(confirms(&acme, answer), "{answer:?}");
        }
        for answer in ["", "\n", "y", "yes", "acme gmbh", "Acme", "Acme GmbH Co", "0fcd4a69"] {
            assert!(!confirms(&acme, answer), "{answer:?}");
        }
        assert!(!confirms(&tenant(None, None), ""), "a tenant without a name is not confirmed by nothing");
        assert!(!confirms(&tenant(Some(" "), None), "\n"));
    }

    #[test]
    fn the_id_stands_in_for_a_name_that_cannot_be_typed() {
        assert_eq!(asked(&tenant(Some("Acme"), Some(ID))).unwrap(), "the name of the tenant (Acme)");
        for name in [None, Some(" "), Some("a\u{202e}b"), Some("line\nbreak")] {
            assert_eq!(asked(&tenant(name, Some(ID))).unwrap(), format!("the id of the tenant ({ID})"));
        }
        assert_eq!(asked(&tenant(None, None)), None);
        assert!(!confirms(&tenant(Some("a\u{202e}b"), Some(ID)), "a\u{202e}b"));
    }
}
