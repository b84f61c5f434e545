//! What `Chart.yaml` says to people and to Artifact Hub is true.

use std::{collections::BTreeSet, path::Path};

use serde_json::{Value, json};
use tenant_pricing_controller::{api, testing::golden};
use tokio::process::Command;

use super::values::{file, manifests, of_kind};
use crate::harness::{Output, Test, run};

const CHART_YAML: &str = "charts/tenant-pricing-controller/Chart.yaml";

fn chart() -> Value {
    serde_saphyr::from_str(&file(CHART_YAML)).unwrap()
}

/// An annotation of Artifact Hub. Each is a text, which may hold YAML.
fn annotation(name: &str) -> String {
    let chart = chart();
    let annotation = &chart["annotations"][format!("artifacthub.io/{name}")];
    annotation.as_str().unwrap_or_else(|| panic!("{CHART_YAML}: no text artifacthub.io/{name}")).to_owned()
}

fn list(name: &str) -> Vec<Value> {
    serde_saphyr::from_str(&annotation(name)).unwrap()
}

/// They are built as the Makefile builds.
#[test]
fn image_and_chart_have_this_version() {
    let (chart, dockerfile) = (chart(), file("Dockerfile"));
    for field in ["version", "appVersion"] {
        assert_eq!(chart[field], env!("CARGO_PKG_VERSION"), "{CHART_YAML}: {field}");
    }
    let rust = env!("CARGO_PKG_RUST_VERSION");
    assert!(
        dockerfile.contains(&format!("FROM rust:{rust}-")),
        "the image is built with another Rust than {rust}"
    );
    // No features: neither the simulator nor what tests need gets into the image.
    let build = "cargo build --locked --release\n";
    assert!(file("Makefile").contains(build));
    assert!(dockerfile.replace(" \\\n", "\n").contains(build));
}

/// The floor is where selectable fields became stable; what the tests run on is another version.
#[test]
fn the_documents_name_the_kubernetes_that_the_tests_run() {
    let modules = file("tests/controlplane/go.mod");
    let (_, version) = modules.split_once("\tk8s.io/kubernetes v").expect("a version of Kubernetes");
    let tested = version.split('.').take(2).collect::<Vec<_>>().join(".");
    assert_eq!(chart()["kubeVersion"], ">=1.32.0-0");
    for name in ["README.md", "docs/install.md", CHART_YAML, "charts/tenant-pricing-controller/README.md"] {
        let text = file(name);
        let words = [format!("The tests run on Kubernetes {tested}"), format!("The tests run on {tested}.")];
        assert!(words.iter().any(|words| text.contains(words)), "{name}: the tests run on {tested}");
        assert!(text.contains("1.32"), "{name}: the floor");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_images_are_those_that_the_chart_installs() {
    let test = Test::new("chart-images").await;
    let manifests = manifests(&test, &[]).await;
    let pod = &of_kind(&manifests, "Deployment")[0]["spec"]["template"]["spec"];
    let installed: Vec<_> =
        pod["containers"].as_array().unwrap().iter().map(|container| &container["image"]).collect();
    let listed = list("images");
    assert_eq!(listed.iter().map(|image| &image["image"]).collect::<Vec<_>>(), installed);
}

#[test]
fn the_crds_are_those_that_the_chart_installs() {
    let listed = list("crds");
    let listed: BTreeSet<String> = listed
        .iter()
        .map(|crd| {
            assert!(crd["description"].as_str().is_some_and(|text| text.len() > 20), "{crd}");
            assert_eq!(crd["displayName"], crd["kind"]);
            format!("{} {} {}", crd["name"], crd["kind"], crd["version"]).replace('"', "")
        })
        .collect();
    let crds = api::custom_resource_definitions();
    let names = crds.iter().map(|crd| {
        let name = crd.metadata.name.as_deref().unwrap();
        format!("{name} {} {}", crd.spec.names.kind, crd.spec.versions[0].name)
    });
    assert_eq!(listed, names.collect());
    let is_unstable = crds.iter().any(|crd| crd.spec.versions[0].name.contains(['a', 'b']));
    assert_eq!(annotation("prerelease"), is_unstable.to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_server_accepts_the_examples_of_the_kinds() {
    let test = Test::new("chart-examples").await;
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "platform"}});
    test.apply(&namespace.to_string()).await;
    let examples = list("crdsExamples");
    let kinds: BTreeSet<_> = examples.iter().map(|example| example["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, BTreeSet::from(["PlatformConnection", "TenantPricing"]));
    for example in examples {
        let apply = ["apply", "--dry-run=server", "--validate=strict", "-f", "-"];
        test.kubectl_with(&apply, &example.to_string()).await.success();
    }
}

/// Artifact Hub shows a link that leads nowhere without a word.
#[test]
fn the_addresses_lead_into_the_repository() {
    let chart = chart();
    let home = chart["home"].as_str().unwrap();
    assert_eq!(chart["sources"], json!([home]));
    let links = list("links");
    let links = links.iter().map(|link| link["url"].as_str().unwrap());
    for url in links.chain([chart["icon"].as_str().unwrap()]) {
        let path = url
            .strip_prefix(home)
            .and_then(|path| path.split_once("/main/"))
            .unwrap_or_else(|| panic!("{url}"))
            .1;
        assert!(Path::new(env!("CARGO_MANIFEST_DIR")).join(path).is_file(), "{url}");
    }
}

/// The changes of a version, as Artifact Hub takes them: from the section of the changelog, or what is not released
/// yet. Of each entry the first sentence.
fn changes(changelog: &str, version: &str) -> Vec<(String, String)> {
    let section = |name: &str| changelog.split_once(&format!("\n## [{name}]")).map(|(_, rest)| rest);
    let rest = section(version).or_else(|| section("Unreleased")).unwrap();
    let section = rest.split("\n## ").next().unwrap_or_default();
    let (mut kind, mut changes) = (String::new(), Vec::new());
    for line in section.lines() {
        if let Some(heading) = line.strip_prefix("### ") {
            kind = heading.to_lowercase();
        } else if let Some(entry) = line.strip_prefix("- ") {
            let sentence = entry.split_once(". ").map_or(entry, |(first, _)| first);
            changes.push((kind.clone(), sentence.trim_end_matches(['.', ':']).to_owned()));
        }
    }
    changes
}

#[test]
fn the_changes_are_those_of_the_changelog() {
    let changes = changes(&file("CHANGELOG.md"), env!("CARGO_PKG_VERSION"));
    assert!(!changes.is_empty(), "the changelog has no section of this version");
    let known = ["added", "changed", "deprecated", "removed", "fixed", "security"];
    let entries = changes.iter().map(|(kind, description)| {
        assert!(known.contains(&kind.as_str()), "Artifact Hub knows no kind {kind:?}: {description}");
        // A text in JSON is one in YAML.
        format!("    - kind: {kind}\n      description: {}\n", Value::from(description.as_str()))
    });
    let chart = file(CHART_YAML);
    let (before, rest) = chart.split_once("  artifacthub.io/changes: |\n").unwrap();
    let (_, after) = rest.split_once("  artifacthub.io/crds:").unwrap();
    let entries: String = entries.collect();
    let expected = format!("{before}  artifacthub.io/changes: |\n{entries}  artifacthub.io/crds:{after}");
    golden::compare(CHART_YAML, &expected).unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn a_release_takes_its_own_section_of_the_changelog() {
    let text = "# Changelog\n\n## [Unreleased]\n\n### Added\n\n- Later.\n\n## [1.2.0] - 2027-01-01\n\n### Fixed\n\n\
                - A `thing`. It was broken.\n\n### Security\n\n- Another: with a colon\n\n## [1.1.0]\n\n### Added\n\n- Old.\n";
    let of = |version| changes(text, version);
    let (fixed, security) = (("fixed", "A `thing`"), ("security", "Another: with a colon"));
    assert_eq!(of("1.2.0"), [fixed, security].map(|(kind, entry)| (kind.to_owned(), entry.to_owned())));
    assert_eq!(of("1.3.0"), [("added".to_owned(), "Later".to_owned())]);
}

#[tokio::test]
async fn a_chart_that_changes_after_a_tag_needs_a_new_version() {
    let repository = std::env::temp_dir().join(format!("chart-version-{}", std::process::id()));
    let chart = repository.join(CHART_YAML);
    std::fs::create_dir_all(chart.parent().unwrap()).unwrap();
    let git = async |arguments: &[&str]| {
        let author = ["-c", "user.name=a", "-c", "user.email=a@b.example", "-c", "commit.gpgsign=false"];
        let mut command = Command::new("git");
        command.arg("-C").arg(&repository).args(author).args(arguments);
        run(command, "").await.success()
    };
    let check = async || -> Output {
        let mut command = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/hack/chart-version"));
        command.arg(&repository);
        run(command, "").await
    };
    let write = |version: &str, description: &str| {
        std::fs::write(&chart, format!("version: {version}\ndescription: {description}\n")).unwrap();
    };
    git(&["init", "--quiet"]).await;
    write("0.9.0", "first");
    git(&["add", "."]).await;
    git(&["commit", "--quiet", "-m", "first"]).await;
    assert!(check().await.success().contains("no tag yet"));
    git(&["tag", "v0.9.0"]).await;
    check().await.success();
    write("0.9.0", "second");
    let message = check().await.failure();
    assert!(message.contains("it has changed since v0.9.0, and its version is still 0.9.0"), "{message}");
    write("0.8.0", "second");
    check().await.failure();
    write("0.10.0", "second");
    check().await.success();
    std::fs::remove_dir_all(&repository).unwrap();
}
