//! What to do about a stall, or about a connection that is not ready: the last column of the tables in
//! `docs/reference/conditions.md`, which is the one source. Pure.

/// The reference, as users read it.
const REFERENCE: &str = include_str!("../../../docs/reference/conditions.md");

/// The heading of the table about stalls.
const STALLED: &str = "## Stalled";

/// The heading of the table about connections.
const CONNECTION: &str = "## Ready of a PlatformConnection";

/// What to do about a stall for this reason, as plain text. `None` for a reason that this version does not know.
pub(crate) fn of_stall(reason: &str) -> Option<String> {
    below(STALLED, reason)
}

/// What to do about a connection whose `Ready` has this reason, as plain text. `None` for an unknown reason.
pub(crate) fn of_connection(reason: &str) -> Option<String> {
    below(CONNECTION, reason)
}

/// The last cell of the row of a reason, in the table below a heading.
fn below(heading: &str, reason: &str) -> Option<String> {
    let name = format!("`{reason}`");
    let below = REFERENCE.lines().skip_while(|line| *line != heading).skip(1);
    let rows = below.take_while(|line| !line.starts_with('#')).filter(|line| line.starts_with('|'));
    rows.map(|row| row.trim_matches('|').split(" | ").map(str::trim).collect::<Vec<_>>())
        .find(|cells| cells.first().is_some_and(|cell| *cell == name))
        .and_then(|cells| cells.last().map(|cell| plain(cell)))
}

/// Markdown as plain text: without backticks, and of each link only its text.
fn plain(markdown: &str) -> String {
    let mut text = String::with_capacity(markdown.len());
    let mut rest = markdown;
    while let Some((before, link)) = rest.split_once('[') {
        text.push_str(before);
        let Some((words, after)) = link.split_once("](") else {
            text.push('[');
            rest = link;
            continue;
        };
        text.push_str(words);
        rest = after.split_once(')').map_or("", |(_, after)| after);
    }
    text.push_str(rest);
    text.replace('`', "")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{ConnectionReason, StalledReason};

    #[test]
    fn each_stall_has_a_remedy_in_plain_words() {
        for reason in StalledReason::ALL {
            let remedy = of_stall(reason.as_str()).unwrap_or_else(|| panic!("{reason} has no remedy"));
            assert!(remedy.len() > 10 && !remedy.contains(['`', '[', ']', '|', '\n']), "{reason}: {remedy}");
        }
        assert_eq!(of_stall("TenantLocked").unwrap(), "Have its owner release the lock");
        assert_eq!(
            of_stall("ConnectionNotReady").unwrap(),
            "Run kubectl describe pconn, and see what its reason means"
        );
        assert_eq!(of_stall("Unknown"), None);
        assert_eq!(of_stall("reason"), None, "the head of the table is no row");
    }

    #[test]
    fn each_reason_of_a_connection_has_a_remedy() {
        for reason in ConnectionReason::ALL {
            let remedy = of_connection(reason.as_str()).unwrap_or_else(|| panic!("{reason} has no remedy"));
            assert!(remedy.len() > 3 && !remedy.contains(['`', '[', ']', '|', '\n']), "{reason}: {remedy}");
        }
        assert_eq!(of_connection("SecretNotFound").unwrap(), "Create it. It is read again every 30 s");
        assert_eq!(of_connection("TenantLocked"), None, "a reason of another table");
    }

    #[test]
    fn a_link_is_shown_as_its_text() {
        assert_eq!(plain("See [the `guide`](a.md#b) and [note]."), "See the guide and [note].");
    }
}
