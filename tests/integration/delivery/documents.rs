//! The documents agree with the code.

use std::{collections::BTreeSet, fs, path::Path, process::Command};

use tenant_pricing_controller::{
    api::{ConnectionReason, ProductionReason, ReadyReason, ReconcilingReason, StalledReason},
    simulator::TenantsFile,
};

use crate::harness::{BINARY, Test};

pub(super) const ROOT: &str = env!("CARGO_MANIFEST_DIR");

pub(super) fn read(path: &str) -> String {
    fs::read_to_string(Path::new(ROOT).join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The rows of the first table below a heading, as cells.
pub(super) fn table(document: &str, heading: &str) -> Vec<Vec<String>> {
    let text = read(document);
    let below = text.lines().skip_while(|line| *line != heading).skip(1);
    let below = below.take_while(|line| !line.starts_with('#'));
    let rows = below.skip_while(|line| !line.starts_with('|')).take_while(|line| line.starts_with('|'));
    let cells = |row: &str| row.trim_matches('|').split(" | ").map(|cell| cell.trim().to_owned()).collect();
    let rows: Vec<Vec<String>> = rows.skip(2).map(cells).collect();
    assert!(!rows.is_empty(), "{document} has no table below {heading:?}");
    rows
}

#[test]
fn the_reference_explains_every_condition_reason() {
    fn words<T: std::fmt::Display>(reasons: &[T]) -> Vec<String> {
        reasons.iter().map(|reason| format!("`{reason}`")).collect()
    }
    for (heading, reasons) in [
        ("## Ready, while True", words(ReadyReason::ALL)),
        ("## Production", words(ProductionReason::ALL)),
        ("## Reconciling", words(ReconcilingReason::ALL)),
        ("## Stalled", words(StalledReason::ALL)),
        ("## Ready of a PlatformConnection", words(ConnectionReason::ALL)),
    ] {
        let rows = table("docs/reference/conditions.md", heading);
        let explained: Vec<String> = rows.iter().map(|row| row[0].clone()).collect();
        assert_eq!(
            explained, reasons,
            "docs/reference/conditions.md, below {heading:?} (left), and src/api/conditions.rs (right)"
        );
        for row in rows {
            assert!(row.len() == 3 && row.iter().all(|cell| cell.len() > 3), "{heading}: {row:?}");
        }
    }
}

#[test]
fn the_flags_are_listed_with_their_variables_and_defaults() {
    let help = Command::new(BINARY).args(["run", "--help"]).env_clear().output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    // A flag, its variable and its default stand in this order; each flag begins a block.
    let within = |block: &str, before: &str| {
        let (_, rest) = block.split_once(before)?;
        Some(format!("`{}`", &rest[..rest.find([']', '=']).unwrap_or(rest.len())]))
    };
    let flags: BTreeSet<Vec<String>> = help
        .split("\n      --")
        .skip(1)
        .map(|block| {
            let name = block.split([' ', '\n']).next().unwrap_or_default();
            let variable = within(block, "[env: ").unwrap_or_else(|| panic!("--{name} has no variable"));
            let default = within(block, "[default: ").unwrap_or_default();
            vec![format!("`--{name}`"), variable, default]
        })
        .collect();
    let listed: BTreeSet<Vec<String>> = table("docs/operations.md", "## Flags")
        .into_iter()
        .map(|row| {
            // Where the help has no default, the table explains it in words.
            let default = if row[2].starts_with('`') { row[2].clone() } else { String::new() };
            vec![row[0].clone(), row[1].clone(), default]
        })
        .collect();
    assert_eq!(listed, flags, "docs/operations.md (left) and run --help (right)");
}

/// The reasons of the events, but for those of the condition `Stalled`, are words of the sources.
#[test]
fn the_reference_explains_events_that_exist() {
    let mut sources = String::new();
    collect(&Path::new(ROOT).join("src/pricing"), &mut |path| {
        if path.extension().is_some_and(|extension| extension == "rs") {
            sources.push_str(&fs::read_to_string(path).unwrap());
        }
    });
    let sources = sources + &read("src/api/conditions.rs");
    for row in table("docs/reference/events.md", "# Events") {
        let reason = row[0].trim_matches('`');
        let is_word = [format!("\"{reason}\""), format!("{reason},"), format!(" {reason} ")];
        assert!(is_word.iter().any(|word| sources.contains(word)), "no event has the reason {reason}");
    }
}

/// Calls `found` with each file below a folder.
pub(super) fn collect(folder: &Path, found: &mut impl FnMut(&Path)) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { collect(&path, found) } else { found(&path) }
    }
}

/// The pages in Markdown, by their paths from the root of the repository.
pub(super) fn documents() -> Vec<String> {
    let root = Path::new(ROOT);
    let mut pages: Vec<String> = Vec::new();
    for folder in ["docs", "charts", "examples", ".github"] {
        collect(&root.join(folder), &mut |path| {
            pages.push(path.strip_prefix(root).unwrap().display().to_string());
        });
    }
    for entry in fs::read_dir(root).unwrap() {
        pages.push(entry.unwrap().file_name().to_string_lossy().into_owned());
    }
    pages.retain(|page| Path::new(page).extension().is_some_and(|extension| extension == "md"));
    pages
}

#[test]
fn links_between_documents_lead_somewhere() {
    let chart: serde_json::Value =
        serde_saphyr::from_str(&read("charts/tenant-pricing-controller/Chart.yaml")).unwrap();
    let of_the_repository = format!("{}/blob/main/", chart["home"].as_str().unwrap());
    let (mut checked, mut from_outside) = (0, 0);
    for document in documents() {
        let is_of_the_chart = document.starts_with("charts/");
        let folder = Path::new(&document).parent().unwrap().to_owned();
        for link in read(&document).split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            // The chart's page is read outside the repository as well: its links name the repository's address.
            let absolute = link.strip_prefix(&of_the_repository);
            if link.contains("://") && absolute.is_none() {
                continue;
            }
            let link_inside = absolute.unwrap_or(link);
            let (path, fragment) = link_inside.split_once('#').unwrap_or((link_inside, ""));
            let is_inside = absolute.is_some() || path.is_empty() || !is_of_the_chart;
            assert!(is_inside, "{document} is read without the repository: {link} must be absolute");
            let target = match absolute {
                Some(_) => path.to_owned(),
                None if path.is_empty() => document.clone(),
                None => folder.join(path).display().to_string(),
            };
            from_outside += usize::from(absolute.is_some());
            assert!(Path::new(ROOT).join(&target).exists(), "{document} leads to {link}, which is not there");
            if !fragment.is_empty() {
                assert!(
                    anchors(&target).contains(fragment),
                    "{document}: {target} has no heading #{fragment}"
                );
            }
            checked += 1;
        }
    }
    assert!(checked > 20 && from_outside > 3, "only {checked} links were found, {from_outside} from outside");
}

/// The anchors of a document's headings, as the usual readers of Markdown make them.
fn anchors(document: &str) -> BTreeSet<String> {
    let text = read(document);
    let headings = text.lines().filter(|line| line.starts_with('#'));
    headings
        .map(|line| {
            let kept = |letter: char| letter.is_alphanumeric() || " -_".contains(letter);
            let heading = line.trim_start_matches('#').trim().to_lowercase();
            heading.chars().filter(|letter| kept(*letter)).collect::<String>().replace(' ', "-")
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_example_is_accepted_by_the_api_server() {
    let test = Test::new("examples").await;
    let mut files = 0;
    for entry in fs::read_dir(Path::new(ROOT).join("examples")).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            continue;
        }
        files += 1;
        let file = path.to_str().unwrap();
        test.kubectl(&["apply", "--dry-run=server", "--validate=strict", "-f", file]).await.success();
    }
    assert!(files >= 8, "only {files} examples");
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kustomize_carries_changed_names_into_references() {
    let test = Test::new("examples-kustomize").await;
    let folder = Path::new(ROOT).join("examples/kustomize");
    let rendered = test.kubectl(&["kustomize", folder.to_str().unwrap()]).await.success();
    let objects: Vec<serde_json::Value> = serde_saphyr::from_multiple(&rendered).unwrap();
    let of_kind = |kind: &str| objects.iter().find(|object| object["kind"] == kind).unwrap();
    let (connection, secret) = (of_kind("PlatformConnection"), of_kind("Secret"));
    assert_eq!(connection["metadata"]["name"], "team-a-eu2");
    assert_eq!(of_kind("TenantPricing")["spec"]["connectionRef"]["name"], connection["metadata"]["name"]);
    assert_eq!(connection["spec"]["credentialsSecretRef"]["name"], secret["metadata"]["name"]);
    let generated = secret["metadata"]["name"].as_str().unwrap();
    assert!(generated.starts_with("team-a-platform-client-"), "{generated}");
    test.kubectl_with(&["apply", "--dry-run=server", "--validate=strict", "-f", "-"], &rendered)
        .await
        .success();
    test.finish().await;
}

#[test]
fn the_simulator_has_the_tenants_that_the_examples_name() {
    let tenants = TenantsFile::parse(&read("examples/simulator/tenants.yaml")).unwrap().specs();
    let mut named = 0;
    for entry in fs::read_dir(Path::new(ROOT).join("examples")).unwrap() {
        let path = entry.unwrap().path();
        let Some(text) = path.is_file().then(|| fs::read_to_string(&path).unwrap()) else { continue };
        let Some((_, tenant)) = text.split_once("\n  tenant:\n") else { continue };
        let mut lines = tenant.lines().map(str::trim).filter(|line| !line.starts_with('#'));
        let (key, value) = lines.next().unwrap().split_once(": ").unwrap();
        let is_there = tenants.iter().any(|tenant| match key {
            "id" => tenant.id.as_deref() == Some(value),
            _ => tenant.name == value,
        });
        assert!(is_there, "{}: no tenant has {key} {value}", path.display());
        named += 1;
    }
    assert_eq!(named, tenants.len(), "each tenant is there for one example");
}
