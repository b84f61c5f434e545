//! A text as documents. Pure.
//!
//! A text is cut before it is parsed, so that a document that is no YAML does not hide those after it.

use serde_json::value::RawValue;

/// The maximum size of a document in bytes. A list of 10,000 objects is one document.
pub const MAX_DOCUMENT_BYTES: usize = 64 * 1024 * 1024;

/// What begins the line between two documents.
const SEPARATOR: &str = "---";

/// What may begin a text that an editor wrote, and means nothing there.
pub(super) const BYTE_ORDER_MARK: char = '\u{feff}';

/// A part of a text that holds at least one whole document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Document<'a> {
    pub(super) text: &'a str,
    /// The number of lines before it.
    pub(super) lines_before: u32,
    /// The number of characters before it on its first line.
    pub(super) columns_before: u32,
}

/// The documents of a text, at most `max` of them. Parts with nothing but blanks, comments and directives are left out.
pub(super) fn split(text: &str, max: usize) -> Vec<Document<'_>> {
    let text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
    let mut rest = Rest { text, from: 0, lines: 0, columns: 0, found: Vec::new(), max };
    if text.trim_start().starts_with('{') {
        rest.json_values();
    }
    rest.yaml_documents();
    rest.found
}

/// What of a text is not cut yet, and what was found before it.
struct Rest<'a> {
    text: &'a str,
    from: usize,
    lines: u32,
    /// The characters of the line before `from`.
    columns: u32,
    found: Vec<Document<'a>>,
    max: usize,
}

impl Rest<'_> {
    /// Cuts off the text up to `to`. The answer is false after the last document that may be found.
    fn cut(&mut self, to: usize) -> bool {
        let text = &self.text[self.from..to];
        if !is_empty(text) {
            self.found.push(match behind_byte_order_mark(text) {
                Some(text) => {
                    Document { text, lines_before: self.lines.saturating_add(1), columns_before: 0 }
                }
                None => Document { text, lines_before: self.lines, columns_before: self.columns },
            });
        }
        let newline = text.rfind('\n');
        self.columns = match newline {
            Some(at) => count(text[at + 1..].chars().count()),
            None => self.columns.saturating_add(count(text.chars().count())),
        };
        self.lines = self.lines.saturating_add(count(text.bytes().filter(|byte| *byte == b'\n').count()));
        self.from = to;
        self.found.len() < self.max
    }

    /// Cuts off the values of a JSON stream, up to the first that is no JSON.
    fn json_values(&mut self) {
        let mut values = serde_json::Deserializer::from_str(self.text).into_iter::<&RawValue>();
        while let Some(Ok(_)) = values.next() {
            if !self.cut(values.byte_offset()) {
                return;
            }
        }
    }

    /// Cuts off the parts between the lines that begin with `---`. Such a line belongs to the part after it.
    fn yaml_documents(&mut self) {
        let mut line = self.from;
        while line < self.text.len() && self.found.len() < self.max {
            if line > self.from && is_separator(&self.text[line..]) {
                self.cut(line);
            }
            line = self.text[line..].find('\n').map_or(self.text.len(), |at| line + at + 1);
        }
        if self.found.len() < self.max {
            self.cut(self.text.len());
        }
    }
}

fn is_separator(text: &str) -> bool {
    text.strip_prefix(SEPARATOR)
        .is_some_and(|after| after.is_empty() || after.starts_with([' ', '\t', '\r', '\n']))
}

/// The rest of a document, if a byte order mark begins the line after its separator. `kubectl` parses each document
/// alone, and so skips the mark.
fn behind_byte_order_mark(document: &str) -> Option<&str> {
    let (separator, rest) = document.split_once('\n').filter(|(line, _)| is_separator(line))?;
    // Something else on the line of the separator is a part of the document.
    let is_alone = matches!(separator[SEPARATOR.len()..].trim().chars().next(), None | Some('#'));
    rest.strip_prefix(BYTE_ORDER_MARK).filter(|_| is_alone)
}

fn is_empty(document: &str) -> bool {
    document.split(['\n', '\r']).all(|line| {
        let line = line.strip_prefix(SEPARATOR).unwrap_or(line).trim();
        line.is_empty() || line.starts_with(['#', '%']) || line == "..."
    })
}

/// The file that Helm made a document from: the comment `# Source: …` above the first field.
pub(super) fn helm_source(document: &str) -> Option<&str> {
    let comments = document
        .lines()
        .map(str::trim)
        .take_while(|line| line.is_empty() || line.starts_with('#') || line.starts_with(SEPARATOR));
    comments.filter_map(|line| line.strip_prefix("# Source: ")).last().map(str::trim)
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
