//! Text that others wrote, such as names of tenants, made harmless for each format. Pure.
//!
//! Each format has one function here. No foreign text reaches an output in another way.

use std::fmt::Write;

/// Whether a character can change how a terminal or a reader shows the text around it: control characters, and those
/// that change the direction or take no room.
pub(crate) fn is_disruptive(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{AD}' | '\u{61C}' | '\u{180E}' | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}'
                | '\u{2060}'..='\u{206F}' | '\u{FEFF}' | '\u{FFF9}'..='\u{FFFB}' | '\u{E0000}'..='\u{E007F}'
        )
}

/// The text for a terminal, on one line. Disruptive characters are shown by their number, as in `\u{202e}`.
pub(crate) fn terminal(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        if is_disruptive(character) {
            let _ = write!(shown, "{}", character.escape_unicode());
        } else {
            shown.push(character);
        }
    }
    shown
}

/// The text for a paragraph or a cell of GitHub's and GitLab's Markdown. Everything that could become markup, a link, a
/// mention or a reference is written as an entity.
pub(crate) fn markdown(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in terminal(text).chars() {
        match character {
            '\\' | '`' | '*' | '_' | '{' | '}' | '[' | ']' | '<' | '>' | '(' | ')' | '#' | '+' | '!'
            | '|' | '@' | '~' | '&' | '$' | ':' | '/' | '^' | '=' | '"' | '\'' => {
                let _ = write!(shown, "&#{};", u32::from(character));
            }
            // A host name without a scheme becomes a link as well.
            '.' => shown.push_str("&#46;"),
            '-' => shown.push_str("&#45;"),
            _ => shown.push(character),
        }
    }
    shown
}

/// The message of a workflow command of GitHub Actions, as in `::error::MESSAGE`.
pub(crate) fn workflow(text: &str) -> String {
    terminal(text).replace('%', "%25")
}

/// The value of a property of a workflow command, as in `::error file=VALUE::`.
pub(crate) fn workflow_property(text: &str) -> String {
    workflow(text).replace(':', "%3A").replace(',', "%2C")
}

/// The text for one cell of a CSV file that a spreadsheet opens. A cell that would be taken for a formula begins with an
/// apostrophe. The writer of the file adds the quotes.
pub(crate) fn csv(text: &str) -> String {
    let shown = terminal(text);
    match shown.trim_start().chars().next() {
        Some('=' | '+' | '-' | '@') => format!("'{shown}"),
        _ => shown,
    }
}

/// Names that try to be more than text.
#[cfg(test)]
pub(crate) const HOSTILE: &[&str] = &[
    "\u{1b}[31mred\u{1b}[0m",
    "\u{1b}]8;;https://evil.example\u{7}click\u{1b}]8;;\u{7}",
    "line\nbreak\r\n::error::forged",
    "::set-output name=x::y",
    "100%0A::error::forged",
    "\u{202e}txt.exe",
    "zero\u{200b}width\u{feff}",
    "a|b|c",
    "`rm -rf`",
    "<script>alert(1)</script>",
    "<!-- marker -->",
    "@everyone #1 owner/repo#2",
    "[click](https://evil.example)",
    "https://evil.example www.evil.example evil@evil.example",
    "=HYPERLINK(\"https://evil.example\")",
    "+1",
    "-1+1",
    "@SUM(A1)",
    " =1",
    "\t=1",
    "**bold** __bold__ ~~gone~~ $x$",
    "\u{2028}line\u{2029}paragraph",
    "tag\u{e0041}\u{e007f}",
    "null\0byte\u{9b}31m",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_gets_only_printable_characters() {
        for name in HOSTILE {
            let shown = terminal(name);
            assert!(!shown.chars().any(is_disruptive), "{shown:?}");
        }
        assert_eq!(terminal("Zürich Ärzte GmbH 日本"), "Zürich Ärzte GmbH 日本");
        assert_eq!(terminal("a\u{202e}b"), "a\\u{202e}b");
    }

    #[test]
    fn markdown_gets_no_markup_and_no_link() {
        for name in HOSTILE {
            let shown = markdown(name);
            let rest: String = {
                // What is left when the entities are taken out is plain text.
                let mut rest = String::new();
                let mut parts = shown.split("&#");
                rest.push_str(parts.next().unwrap());
                for part in parts {
                    let (number, text) = part.split_once(';').unwrap();
                    assert!(number.parse::<u32>().is_ok(), "{shown}");
                    rest.push_str(text);
                }
                rest
            };
            assert!(rest.chars().all(|c| c.is_alphanumeric() || " ,;%?".contains(c)), "{name:?}: {rest:?}");
        }
        assert_eq!(markdown("A|B"), "A&#124;B");
    }

    #[test]
    fn a_workflow_command_cannot_be_ended() {
        for name in HOSTILE {
            let (message, property) = (workflow(name), workflow_property(name));
            assert!(!message.contains(['\n', '\r']), "{message:?}");
            assert!(!property.contains(['\n', '\r', ':', ',']), "{property:?}");
            // Each percent sign is one that GitHub decodes to a percent sign, a colon or a comma.
            for part in property.split('%').skip(1) {
                assert!(["25", "3A", "2C"].iter().any(|code| part.starts_with(code)), "{property:?}");
            }
        }
    }

    #[test]
    fn no_cell_is_a_formula() {
        for name in HOSTILE {
            let shown = csv(name);
            let first = shown.trim_start().chars().next();
            assert!(!matches!(first, Some('=' | '+' | '-' | '@')), "{shown:?}");
        }
        assert_eq!(csv("Acme = GmbH"), "Acme = GmbH");
    }
}
