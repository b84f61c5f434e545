//! Tests of the list of checks, of its table in the documentation, and of the formats.

use jiff::Timestamp;

use super::{
    document::{Report, Verdict},
    findings::Findings,
    formats::{Detail, line, report, summary},
    list::{Check, Group, When},
};
use crate::{cli::output::escape, testing::golden};

fn read(path: &str) -> String {
    std::fs::read_to_string(format!("{}/{path}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

fn found(add: impl FnOnce(&mut Findings)) -> Report {
    let mut findings = Findings::default();
    add(&mut findings);
    findings.report(false, Timestamp::UNIX_EPOCH)
}

#[test]
fn the_checked_in_schema_is_that_of_the_document() {
    let text = serde_json::to_string_pretty(&schemars::schema_for!(Report)).unwrap() + "\n";
    golden::compare("schemas/check-v1.json", &text).unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn the_documentation_lists_every_check_in_order() {
    let page = read("docs/cli.md");
    let below = page.lines().skip_while(|line| *line != "### The checks").skip(1);
    let rows = below.skip_while(|line| !line.starts_with('|')).take_while(|line| line.starts_with('|'));
    let listed: Vec<Vec<&str>> =
        rows.skip(2).map(|row| row.trim_matches('|').split(" | ").map(str::trim).collect()).collect();
    let expected: Vec<Vec<String>> = Check::ALL
        .iter()
        .map(|check| {
            let when = match check.when() {
                When::Always => "both",
                When::Before => "`--pre`",
                When::After => "after",
            };
            vec![format!("`{check}`"), check.group().to_string(), check.title().to_owned(), when.to_owned()]
        })
        .collect();
    assert_eq!(listed, expected, "docs/cli.md, below \"### The checks\" (left), and src/cli/check/list.rs");
}

#[test]
fn every_check_links_to_a_section_that_exists() {
    for check in Check::ALL {
        let docs = check.docs();
        let (path, anchor) = docs.split_once('#').unwrap();
        let headings = read(path);
        let mut anchors = headings.lines().filter(|line| line.starts_with('#')).map(|line| {
            let kept = |letter: &char| letter.is_alphanumeric() || " -_".contains(*letter);
            let heading: String = line.trim_start_matches('#').trim().to_lowercase();
            heading.chars().filter(kept).collect::<String>().replace(' ', "-")
        });
        assert!(anchors.any(|found| found == anchor), "{check}: {docs} is not there");
    }
}

#[test]
fn checks_of_a_group_stand_together() {
    let groups: Vec<Group> = Check::ALL.iter().map(|check| check.group()).collect();
    assert!(groups.is_sorted(), "{groups:?}");
    assert_eq!(groups.iter().collect::<std::collections::BTreeSet<_>>().len(), Group::ALL.len());
}

#[test]
fn a_check_without_a_finding_is_skipped() {
    let report = found(|findings| findings.ok(Check::Kubeconfig, None, "It is there."));
    let made = Check::ALL.iter().filter(|check| check.applies(false)).count();
    assert_eq!(report.findings.len(), made);
    assert_eq!(report.of(Verdict::Skipped).count(), made - 1);
    assert!(report.findings.iter().all(|finding| finding.id != Check::InstallerRights.as_str()));
    let mut findings = Findings::default();
    findings.ok(Check::InstallerRights, None, "You may.");
    let before = findings.report(true, Timestamp::UNIX_EPOCH);
    assert!(before.findings.iter().all(|finding| finding.id != Check::ConnectionReady.as_str()));
}

#[test]
fn a_terminal_gets_marks_and_the_way_out() {
    let report_of = |detail| {
        let found = found(|findings| {
            findings.ok(Check::ApiServer, None, "It answers.");
            findings.warning(Check::ConnectionReady, Some("a/b"), "It is suspended.", "Resume it.");
            findings.error(Check::ObjectWatched, None, "It waits.", "Correct it.");
        });
        report(&found, detail)
    };
    let all = report_of(Detail::All);
    for part in [
        "Cluster\n",
        "\u{1b}[32m✔\u{1b}[0m api-server: It answers.\n",
        "\u{1b}[33m!\u{1b}[0m connection-ready a/b: It is suspended.\n    Resume it.\n    See docs/",
        "\u{1b}[31m✘\u{1b}[0m object-watched: It waits.\n    Correct it.\n",
    ] {
        assert!(all.contains(part), "{part:?}\n{all:?}");
    }
    assert!(all.ends_with("\n1 error, 1 warning, 18 skipped.\n"), "{all}");
    let short = report_of(Detail::Faults);
    assert!(short.starts_with("Connections\n") && !short.contains("api-server"), "{short}");
}

#[test]
fn a_report_without_faults_is_one_sentence() {
    let sound = found(|findings| {
        for check in Check::ALL.iter().filter(|check| check.applies(false)) {
            findings.ok(*check, None, "It is well.");
        }
    });
    assert_eq!(
        report(&sound, Detail::Faults),
        format!("No faults found in {} checks.\n", sound.findings.len())
    );
}

#[test]
fn foreign_text_reaches_a_terminal_as_text() {
    for name in escape::HOSTILE {
        let found = found(|findings| findings.error(Check::ConnectionReady, Some(name), *name, *name));
        let shown = report(&found, Detail::Faults).replace("\u{1b}[31m✘\u{1b}[0m", "✘");
        let is_plain =
            |text: &str| text.chars().all(|letter| letter == '\n' || !escape::is_disruptive(letter));
        assert!(is_plain(&shown), "{shown:?}");
        let one = found.of(Verdict::Error).map(line).collect::<Vec<_>>();
        assert!(is_plain(&one[0]) && one[0].lines().count() == 1, "{one:?}");
        assert!(is_plain(&summary(&found)));
    }
}
