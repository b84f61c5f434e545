//! A text as documents. Pure.
//!
//! A text is cut before it is parsed, so that a document that is no YAML does not hide those after it.

use serde_json::value::RawValue;

/// The maximum size of a document in bytes. A list of 10,000 objects is one document.
pub const MAX_DOCUMENT_BYTES: usize = 64 * 1024 * 1024;

/// A part of a text that holds at least one whole document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Document<'a> {
    pub(super) text: &'a str,
    /// The number of lines before it.
    pub(super) lines_before: u32,
    /// The number of characters before it on its first line.
    pub(super) columns_before: u32,
}

/// The documents of a text. Parts with nothing but blanks, comments and directives are left out.
pub(super) fn split(text: &str) -> Vec<Document<'_>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut found = Vec::new();
    let mut rest = Rest { text, from: 0, lines: 0 };
    if text.trim_start().starts_with('{') {
        found.extend(json_values(&mut rest));
    }
    found.extend(yaml_documents(&mut rest));
    found.retain(|document| !is_empty(document.text));
    found
}

/// What of a text is not cut yet.
struct Rest<'a> {
    text: &'a str,
    from: usize,
    lines: u32,
}

impl<'a> Rest<'a> {
    /// Cuts off the text up to `to`.
    fn take(&mut self, to: usize) -> Document<'a> {
        let text = &self.text[self.from..to];
        let line = self.text[..self.from].rfind('\n').map_or(0, |at| at + 1);
        let columns_before = count(self.text[line..self.from].chars().count());
        let document = Document { text, lines_before: self.lines, columns_before };
        self.lines += count(text.bytes().filter(|byte| *byte == b'\n').count());
        self.from = to;
        document
    }
}

/// The values of a JSON stream, up to the first that is no JSON.
fn json_values<'a>(rest: &mut Rest<'a>) -> Vec<Document<'a>> {
    let mut values = serde_json::Deserializer::from_str(rest.text).into_iter::<&RawValue>();
    let mut found = Vec::new();
    while let Some(Ok(_)) = values.next() {
        found.push(rest.take(values.byte_offset()));
    }
    found
}

/// The parts between the lines that begin with `---`. Such a line belongs to the part after it.
fn yaml_documents<'a>(rest: &mut Rest<'a>) -> Vec<Document<'a>> {
    let mut found = Vec::new();
    let mut line = rest.from;
    while line < rest.text.len() {
        if line > rest.from && is_separator(&rest.text[line..]) {
            found.push(rest.take(line));
        }
        line = rest.text[line..].find('\n').map_or(rest.text.len(), |at| line + at + 1);
    }
    found.push(rest.take(rest.text.len()));
    found
}

fn is_separator(text: &str) -> bool {
    text.strip_prefix("---")
        .is_some_and(|after| after.is_empty() || after.starts_with([' ', '\t', '\r', '\n']))
}

fn is_empty(document: &str) -> bool {
    document.split(['\n', '\r']).all(|line| {
        let line = line.strip_prefix("---").unwrap_or(line).trim();
        line.is_empty() || line.starts_with(['#', '%']) || line == "..."
    })
}

/// The file that Helm made a document from: the comment `# Source: …` above the first field.
pub(super) fn helm_source(document: &str) -> Option<&str> {
    let comments = document
        .lines()
        .map(str::trim)
        .take_while(|line| line.is_empty() || line.starts_with('#') || line.starts_with("---"));
    comments.filter_map(|line| line.strip_prefix("# Source: ")).last().map(str::trim)
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
