//! Text that others wrote, such as names of tenants, made harmless for each format. Pure.
//!
//! Each format has one function here. No foreign text reaches an output in another way.

use std::{fmt::Write, path::Path};

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

/// A path for a message, on one line: others may choose the names of files.
pub(crate) fn path(path: &Path) -> String {
    terminal(&path.display().to_string())
}

/// The text for a paragraph or a cell of GitHub's and GitLab's Markdown. A reader who copies it gets the text as it
/// was.
///
/// Two things keep it text. Every character of markup is written as an entity. Each word that is not plain stands in
/// `<code>`: it may be a mention, a reference, a link or an emoji. GitHub and GitLab search for those in the rendered
/// text, where an entity is its character again, and leave out what is in code (`MentionFilter` of html-pipeline,
/// `Banzai::Filter::ReferenceFilter` of GitLab).
pub(crate) fn markdown(text: &str) -> String {
    let mut shown = String::with_capacity(2 * text.len());
    for part in terminal(text).split_inclusive(char::is_whitespace) {
        let word = part.trim_end_matches(char::is_whitespace);
        let inner = word.trim_start_matches(['(', '"', '\'']);
        let core = inner.trim_end_matches(['.', ',', ';', ':', '?', ')', '"', '\'']);
        push_entities(&mut shown, &word[..word.len() - inner.len()]);
        if is_plain(core) {
            push_entities(&mut shown, core);
        } else {
            shown.push_str("<code>");
            push_entities(&mut shown, core);
            shown.push_str("</code>");
        }
        push_entities(&mut shown, &inner[core.len()..]);
        shown.push_str(&part[word.len()..]);
    }
    shown
}

/// Whether neither GitHub nor GitLab makes more of a word: it has no sign before a name or a number, as in `@org/team`,
/// `!1` or `~label`, and it is no ticket such as `GH-1` and no hash of a commit.
fn is_plain(word: &str) -> bool {
    /// Fewer digits are no hash.
    const HASH_DIGITS: usize = 7;
    if word.chars().count() == 1 {
        // A sign alone names nothing. Only the dollar has a partner elsewhere: a formula stands between two of them.
        return word != "$";
    }
    let is_letter = |letter: char| letter.is_ascii_alphanumeric() || !letter.is_ascii();
    let is_ticket =
        word.split('-').skip(1).any(|part| part.starts_with(|first: char| first.is_ascii_digit()));
    let has_hash = word.split(|letter: char| !letter.is_ascii_hexdigit()).any(|run| run.len() >= HASH_DIGITS);
    word.chars().all(|letter| is_letter(letter) || matches!(letter, '-' | '\'')) && !is_ticket && !has_hash
}

/// Writes each character that may be markup as an entity.
fn push_entities(shown: &mut String, text: &str) {
    for character in text.chars() {
        match character {
            '\\' | '`' | '*' | '_' | '{' | '}' | '[' | ']' | '<' | '>' | '(' | ')' | '#' | '+' | '!'
            | '|' | '@' | '~' | '%' | '&' | '$' | ':' | '/' | '^' | '=' | '"' | '\'' | '.' | '-' => {
                let _ = write!(shown, "&#{};", u32::from(character));
            }
            _ => shown.push(character),
        }
    }
}

/// The message of a workflow command of GitHub Actions, as in `::error::MESSAGE`.
pub(crate) fn workflow(text: &str) -> String {
    terminal(text).replace('%', "%25")
}

/// The value of a property of a workflow command, as in `::error file=VALUE::`.
pub(crate) fn workflow_property(text: &str) -> String {
    workflow(text).replace(':', "%3A").replace(',', "%2C")
}

/// The text for one cell of a CSV file that a spreadsheet opens. An apostrophe stands before what would be taken for a
/// formula. A spreadsheet may also begin a cell after a semicolon: it is the separator where a comma marks decimals.
/// The writer of the file adds the quotes.
pub(crate) fn csv(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut begins_cell = true;
    for character in terminal(text).chars() {
        if begins_cell && matches!(character, '=' | '+' | '-' | '@' | '＝' | '＋' | '－' | '＠') {
            shown.push('\'');
        }
        begins_cell = character == ';' || begins_cell && (character.is_whitespace() || character == '"');
        shown.push(character);
    }
    shown
}

/// A JSON document with each disruptive character as an escape, as in `\u202e`. It means the same.
pub(crate) fn json(document: &str) -> String {
    let mut shown = String::with_capacity(document.len());
    for character in document.chars() {
        // Outside a text, JSON has only the line feeds of its layout.
        if character == '\n' || !is_disruptive(character) {
            shown.push(character);
        } else {
            for unit in character.encode_utf16(&mut [0; 2]) {
                let _ = write!(shown, "\\u{unit:04x}");
            }
        }
    }
    shown
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
    "@org/team, (@someone): \"@none\".",
    "GH-1 gh-1 PROJECT-17",
    "owner/repo@a5c3785ed8d6a35868bc169f07e40e889087fd2e a5c3785",
    "group/project!1 !1 %milestone %\"next one\" ~label ~\"two words\"",
    "&1 &epic group&2 $1 $snippet ^alert#1 [vulnerability:1] *iteration:1 [[wiki]]",
    ":tada: :+1:",
    "/close",
    "$ x $ $`y`$",
    "<code>@everyone</code> </code>#1<code>",
    "&#64;everyone &commat;everyone &num;1",
    "xmpp:a@evil.example mailto:a@evil.example ftp://evil.example",
    "x;=1+1;y; @SUM(A1)",
    "\"=1\" ;\"=1\"",
    "＝1+1",
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

    /// The text nodes of what a browser shows, each with whether it is in code. Markup other than code fails.
    fn rendered(markdown: &str) -> Vec<(bool, String)> {
        let mut nodes = Vec::new();
        for (index, part) in markdown.split("<code>").enumerate() {
            let (code, text) = if index == 0 { ("", part) } else { part.split_once("</code>").unwrap() };
            nodes.extend([(true, decoded(code)), (false, decoded(text))]);
        }
        nodes.retain(|(_, text)| !text.is_empty());
        nodes
    }

    fn decoded(text: &str) -> String {
        let mut parts = text.split("&#");
        let mut decoded = parts.next().unwrap().to_owned();
        assert!(decoded.chars().all(is_no_markup), "{text:?}");
        for part in parts {
            let (number, rest) = part.split_once(';').unwrap();
            assert!(rest.chars().all(is_no_markup), "{text:?}");
            decoded.push(char::from_u32(number.parse().unwrap()).unwrap());
            decoded.push_str(rest);
        }
        decoded
    }

    fn is_no_markup(character: char) -> bool {
        character.is_alphanumeric() || !character.is_ascii() || " ,;?".contains(character)
    }

    /// What GitHub and GitLab search for in a text that is not in code.
    fn is_more_than_text(text: &str) -> bool {
        let signs = "@#!~%&$^*:[]<>/\\`_=+.";
        let letters: Vec<char> = text.chars().collect();
        let is_word = |letter: char| letter.is_alphanumeric() || letter == '"' || signs.contains(letter);
        let has_sign = letters.windows(2).any(|two| signs.contains(two[0]) && is_word(two[1]));
        let words = text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '-');
        let is_ticket = |word: &str| {
            word.split_once('-').is_some_and(|(name, number)| {
                !name.is_empty() && number.starts_with(|digit: char| digit.is_ascii_digit())
            })
        };
        let is_hash = |word: &str| word.len() >= 7 && word.chars().all(|digit| digit.is_ascii_hexdigit());
        has_sign || text.contains('$') || words.clone().any(is_ticket) || words.clone().any(is_hash)
    }

    #[test]
    fn markdown_gets_no_mention_no_reference_and_no_link() {
        for name in HOSTILE {
            let nodes = rendered(&markdown(name));
            for (is_code, text) in &nodes {
                assert!(*is_code || !is_more_than_text(text), "{name:?}: {text:?}");
            }
            let copied: String = nodes.into_iter().map(|(_, text)| text).collect();
            assert_eq!(copied, terminal(name), "what is copied is the name");
        }
        for text in ["@a", "#1", "!1", "~a", "%a", "&1", "$a", "GH-1", "a/b#1", "www.a", ":a:", "a5c3785"] {
            assert!(is_more_than_text(text), "the test itself sees {text:?}");
        }
    }

    #[test]
    fn plain_words_are_not_in_code() {
        for name in
            ["Acme GmbH", "Zürich & Söhne (Nord)", "A-Team, Inc.", "O'Neill", "日本 株式会社", "B – C"]
        {
            let shown = markdown(name);
            assert!(!shown.contains("<code>"), "{shown}");
            assert_eq!(rendered(&shown), [(false, name.to_owned())]);
        }
        assert_eq!(
            markdown("A|B (@org/team)."),
            "<code>A&#124;B</code> &#40;<code>&#64;org&#47;team</code>&#41;&#46;"
        );
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
    fn no_cell_is_a_formula_whatever_the_separator() {
        for name in HOSTILE {
            let shown = csv(name);
            for cell in shown.split(';') {
                let first = cell
                    .trim_start_matches(|letter: char| letter.is_whitespace() || letter == '"')
                    .chars()
                    .next();
                assert!(!matches!(first, Some('=' | '+' | '-' | '@' | '＝')), "{shown:?}");
            }
        }
        assert_eq!(csv("Acme = GmbH"), "Acme = GmbH");
        assert_eq!(csv("x;=1+1;y"), "x;'=1+1;y");
    }

    #[test]
    fn json_has_no_disruptive_character_and_means_the_same() {
        for name in HOSTILE {
            let document = serde_json::json!({(*name): [name]});
            let shown = json(&serde_json::to_string_pretty(&document).unwrap());
            assert!(!shown.chars().any(|letter| letter != '\n' && is_disruptive(letter)), "{shown:?}");
            assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).unwrap(), document);
        }
    }

    #[test]
    fn a_path_is_one_line() {
        assert_eq!(
            path(Path::new("x\u{1b}[31m\nerror: forged.yaml")),
            "x\\u{1b}[31m\\u{a}error: forged.yaml"
        );
    }
}
