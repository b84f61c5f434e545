//! The page that says what to do about each alert of the chart.

use std::path::Path;

use serde_json::{Value, json};

use super::{
    alerts::{alerts, name},
    documents::{read, table},
};
use crate::harness::{CHART, Output, PLUGIN, Test};

const RUNBOOK: &str = "docs/runbook.md";
const RELEASE: &str = "tenant-pricing-controller";

/// The sections about alerts, by their headings.
fn sections() -> Vec<(String, String)> {
    let text = read(RUNBOOK);
    let sections = text.split("\n## ").filter_map(|section| section.split_once('\n'));
    let sections = sections.filter(|(heading, _)| heading.starts_with("TenantPricing"));
    sections.map(|(heading, section)| (heading.to_owned(), section.to_owned())).collect()
}

/// The lines of the blocks of `sh`, also of those in a list.
pub(super) fn commands(text: &str) -> Vec<String> {
    let (mut commands, mut is_code) = (Vec::new(), false);
    for line in text.lines().map(str::trim) {
        match line {
            "```sh" => is_code = true,
            "```" => is_code = false,
            _ if is_code => commands.push(line.to_owned()),
            _ => {}
        }
    }
    commands
}

#[test]
fn each_alert_has_a_section_and_each_section_an_alert() {
    let sections = sections();
    let headings: Vec<&str> = sections.iter().map(|(heading, _)| heading.as_str()).collect();
    let alerts = alerts();
    let names: Vec<&str> = alerts.iter().map(name).collect();
    assert_eq!(headings, names, "the sections of {RUNBOOK} (left) and the alerts (right)");
    for (heading, section) in &sections {
        for part in ["**The bill:**", "**Find the cause:**", "**Do:**", "**Do nothing if**"] {
            assert_eq!(section.matches(part).count(), 1, "{RUNBOOK}: {heading}: {part}");
        }
        assert!(!commands(section).is_empty(), "{RUNBOOK}: {heading} has no command");
    }
}

#[test]
fn each_alert_says_what_it_means_and_where_to_read_on() {
    let chart: Value = serde_saphyr::from_str(&read("charts/tenant-pricing-controller/Chart.yaml")).unwrap();
    let page = format!("{}/blob/main/{RUNBOOK}", chart["home"].as_str().unwrap());
    for alert in alerts() {
        let (name, annotations) = (name(&alert), &alert["annotations"]);
        assert_eq!(annotations["runbook_url"], format!("{page}#{}", name.to_lowercase()), "{name}");
        for annotation in ["summary", "description"] {
            let text = annotations[annotation].as_str().unwrap_or_default();
            assert!(text.len() > 20 && text.ends_with('.'), "{name}: {annotation}: {text}");
        }
    }
}

#[test]
fn the_runbook_lists_the_alerts_as_they_are() {
    let listed = table(RUNBOOK, "## The alerts");
    let alerts = alerts().into_iter().map(|alert| {
        let (name, text) = (name(&alert), |value: &Value| value.as_str().unwrap_or_default().to_owned());
        let severity = text(&alert["labels"]["severity"]);
        assert!(["critical", "warning"].contains(&severity.as_str()), "{name}: {severity}");
        let expression = text(&alert["expr"]);
        // The chart takes it as the threshold, too.
        let threshold = expression.rsplit_once("> ").map(|(_, last)| last.to_owned());
        let threshold = threshold.filter(|last| last.parse::<f64>().is_ok()).unwrap_or_default();
        vec![
            format!("[`{name}`](#{})", name.to_lowercase()),
            severity,
            threshold,
            text(&alert["for"]).trim().to_owned(),
        ]
    });
    assert_eq!(listed, alerts.collect::<Vec<_>>(), "{RUNBOOK} (left) and alerts.yaml (right)");
}

#[test]
fn metrics_that_the_runbook_names_are_documented() {
    let documented = read("docs/metrics.md");
    let text = read(RUNBOOK);
    let is_of_a_name = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    let named = text.split(|letter| !is_of_a_name(letter)).filter(|word| word.starts_with("tenantpricing_"));
    for metric in named {
        assert!(documented.contains(&format!("| `{metric}` |")), "{RUNBOOK}: there is no metric {metric}");
    }
}

/// The arguments of a command, as a shell splits them.
pub(super) fn arguments(command: &str) -> Vec<String> {
    let (mut arguments, mut quoted) = (vec![String::new()], false);
    for letter in command.chars() {
        match letter {
            '\'' => quoted = !quoted,
            ' ' if !quoted => arguments.push(String::new()),
            _ => arguments.last_mut().unwrap().push(letter),
        }
    }
    assert!(!quoted, "{command}");
    arguments
}

/// What the runbook presupposes, all in the namespace of the test: a release that has run, whose pod no node runs, a
/// connection, and an object that asks for production. No controller runs.
async fn installation(test: &Test) {
    let values = format!("crds.enabled=false,rbac.userRoles=false,watchNamespaces={{{}}}", test.namespace);
    test.helm(&["install", RELEASE, CHART, "--set", &values]).await.success();
    let template = ["get", "deployment", RELEASE, "-o", "jsonpath={.spec.template}"];
    let mut pod: Value = serde_json::from_str(&test.kubectl(&template).await.success()).unwrap();
    pod["apiVersion"] = json!("v1");
    pod["kind"] = json!("Pod");
    pod["metadata"]["name"] = json!(RELEASE);
    test.apply(&pod.to_string()).await;
    let lease = json!({
        "apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": RELEASE},
        "spec": {"leaseTransitions": 1},
    });
    test.apply(&lease.to_string()).await;
    test.connection("default", json!({})).await;
    test.production("acme", "00000000-0000-4000-8000-000000000000", json!({})).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_command_of_the_runbook_runs() {
    let test = Test::new("runbook").await;
    installation(&test).await;
    let plugins = Path::new(PLUGIN).parent().unwrap();
    let (mut ran, own) = (0, format!("-n {}", test.namespace));
    for command in commands(&read(RUNBOOK)) {
        let here = command.replace("tenant-pricing-system", &test.namespace);
        // Other tests have objects as well, and some cannot be read.
        let here =
            ["-n platform", "-n team-a", "-A"].iter().fold(here, |line, other| line.replace(other, &own));
        let line = here.strip_prefix("kubectl ").unwrap_or_else(|| panic!("{RUNBOOK}: {command}"));
        let arguments = arguments(line);
        let output =
            test.kubectl_on_path(plugins, &arguments.iter().map(String::as_str).collect::<Vec<_>>()).await;
        runs(&command, &output);
        ran += 1;
    }
    assert!(ran > 25, "only {ran} commands were found");
    test.finish().await;
}

/// A command runs if it succeeds, or is a check and finds the faults that there are.
fn runs(command: &str, output: &Output) {
    if command.contains("tenantpricing check ") {
        assert!(output.code <= 2 && !output.stderr.contains("Usage:"), "{command}: {output:?}");
        assert!(output.stdout.contains('✘'), "{command}: {output:?}");
    } else {
        assert!(output.code == 0, "{command}: {output:?}");
    }
}
