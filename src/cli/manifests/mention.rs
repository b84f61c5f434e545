//! Whether a text may mention a word, in any way in which YAML can write it. Pure.
//!
//! A text that cannot be parsed here may be YAML to another reader. So the answer must not depend on a parser.

/// Whether the value of a scalar may contain the word: as it stands, by escapes, or by a tag that changes the value.
/// The answer may be true for too many texts, and is never false for one too few.
pub(super) fn may_mention(text: &str, word: &str) -> bool {
    text.contains(word) || text.contains('\\') && unescaped(text).contains(word) || has_tag(text)
}

/// The text with the meaning of each escape of a double-quoted scalar (YAML 1.2, section 5.7). Backslashes outside of
/// such a scalar are read in the same way.
fn unescaped(text: &str) -> String {
    let mut read = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        read.push_str(&rest[..at]);
        let mut after = rest[at + 1..].chars();
        let digits = match after.next() {
            Some('x') => 2,
            Some('u') => 4,
            Some('U') => 8,
            // An escaped end of a line joins two lines without a blank.
            Some('\n' | '\r') => {
                rest = after.as_str().trim_start();
                continue;
            }
            Some(character) => {
                // `\n` and the like are no character of a word.
                read.push(if character.is_alphanumeric() { '\n' } else { character });
                0
            }
            None => 0,
        };
        rest = after.as_str();
        let number = rest.get(..digits).filter(|_| digits > 0);
        let number = number.and_then(|number| u32::from_str_radix(number, 16).ok());
        if let Some(character) = number.and_then(char::from_u32) {
            read.push(character);
            rest = &rest[digits..];
        }
    }
    read.push_str(rest);
    read
}

/// Whether a tag may stand in the text, such as `!!binary`. An exclamation mark in the middle of a word is none.
fn has_tag(text: &str) -> bool {
    text.match_indices('!').any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = text[at + 1..].chars().next();
        before.is_none_or(|before| before.is_whitespace() || "[{,:?-\u{feff}".contains(before))
            && after.is_some_and(|after| after.is_alphanumeric() || "!<%-_".contains(after))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_found_however_it_is_written() {
        for text in [
            "x.io",
            r#"a: "\x78.io""#,
            r#"a: "x\u002eio""#,
            r#"a: "x.\U00000069o""#,
            r#"a: "x\.io""#,
            "a: \"x.\\\n   io\"",
            "a: \"x.\\\r\n\t\\\n  io\"",
            r#"a: "\\\x78.io""#,
            r#"a: '\' b: "\x78.io""#,
            "a: !!binary eC5pbw==",
            "[!<tag:yaml.org,2002:binary> eC5pbw==]",
            "- !t!binary eC5pbw==",
            "{a: b,!!binary eC5pbw==: c}",
        ] {
            assert!(may_mention(text, "x.io"), "{text}");
        }
    }

    #[test]
    fn other_escapes_and_exclamations_mention_nothing() {
        for text in [
            "",
            "a: x.com",
            r#"path: "C:\\temp\n""#,
            r#"a: "\\x78.io""#,
            r#"{{ printf "\x79.io" }}"#,
            r"{{- if ne .a \",
            "# Watch out! It is not this one.",
            "a: b!c ! d!",
            "expression: a != b && !(c)",
            r"\",
            r"\x",
            r"\xé",
            r"\u12",
        ] {
            assert!(!may_mention(text, "x.io"), "{text}");
        }
    }
}
