//! Tables on a terminal.

use comfy_table::{ContentArrangement, Table, presets};

use super::escape;

/// A table as kubectl prints them: no lines, and two blanks between the columns.
///
/// The cells may hold foreign text: they are escaped here. Nothing is wrapped, so an id can be copied as one word.
pub(crate) fn plain<'a>(
    head: &[&str],
    rows: impl IntoIterator<Item = Vec<std::borrow::Cow<'a, str>>>,
) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled).set_header(head);
    for row in rows {
        table.add_row(row.iter().map(|cell| escape::terminal(cell)));
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    let mut text = String::new();
    for line in table.lines() {
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_aligned_and_escaped_and_never_wrapped() {
        let long = "x".repeat(300);
        let rows = [vec!["a\u{1b}[31m".into(), long.as_str().into()], vec!["bb".into(), "c".into()]];
        let text = plain(&["NAME", "TENANT"], rows);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "NAME         TENANT");
        assert_eq!(lines[1], format!("a\\u{{1b}}[31m  {long}"));
        assert_eq!(lines[2], "bb           c");
    }
}
