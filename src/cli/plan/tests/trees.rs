//! Two trees of manifests, planned by the command itself, without a cluster and without the platform.

use std::fs;

use clap::Parser;

use crate::cli::{
    cluster::ClusterArguments,
    plan::{
        PlanArguments,
        document::{Change, Entry, Outcome, Plan},
        summary,
    },
    plugin::exit::Exit,
};

#[derive(Parser)]
struct CommandLine {
    #[command(flatten)]
    plan: PlanArguments,
}

const TENANT: &str = "0fcd4a69-8a40-4de8-b711-d9c83dc000f7";

/// An object that asks for production through the connection of its namespace.
fn object(name: &str, extra: &str) -> String {
    format!(
        "apiVersion: tenantpricing.io/v1alpha1\nkind: TenantPricing\nmetadata: {{name: {name}, namespace: team}}\n\
         spec: {{tenant: {{id: {TENANT}}}, mode: production{extra}}}\n---\n"
    )
}

fn connection(extra: &str) -> String {
    format!(
        "apiVersion: tenantpricing.io/v1alpha1\nkind: PlatformConnection\nmetadata: {{name: default, namespace: team}}\n\
         spec: {{url: 'https://eu2-cloud.acronis.com', credentialsSecretRef: {{name: eu2}}{extra}}}\n---\n"
    )
}

/// The plan of `head` compared with `base`, and the exit code.
async fn planned(base: &str, head: &str, flags: &[&str]) -> (Plan, Exit) {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::create_dir(&path).unwrap();
        fs::write(path.join("all.yaml"), text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (base, head) = (file("base", base), file("head", head));
    let words = ["plan", "-f", &head, "--base", &base, "--no-cluster", "--offline"];
    let now = ["--now", "2026-11-23T10:00:00Z"];
    let line = CommandLine::try_parse_from(words.iter().chain(&now).chain(flags)).unwrap().plan;
    let plan = line.plan(&ClusterArguments::default()).await.unwrap();
    let exit = line.exit(&plan);
    (plan, exit)
}

fn entry<'a>(plan: &'a Plan, name: &str) -> &'a Entry {
    plan.objects.iter().find(|entry| entry.name == name).unwrap_or_else(|| panic!("no {name} in {plan:#?}"))
}

#[tokio::test]
async fn a_connection_that_lets_a_switch_happen_is_announced() {
    let stopped = [
        ("suspend", connection(", suspend: true"), connection("")),
        ("new", String::new(), connection("")),
        ("switch.at", connection(", switch: {at: MonthStart}"), connection("")),
        ("budget", connection(", switch: {budget: {count: 0}}"), connection("")),
        (
            "admits",
            connection(", allowedNamespaces: {from: Same}"),
            connection(", allowedNamespaces: {from: All}"),
        ),
        ("url", connection(""), connection("").replace("eu2-cloud", "us5-cloud")),
        ("secret", connection(""), connection("").replace("{name: eu2}", "{name: new}")),
    ];
    for (what, before, after) in stopped {
        let (base, head) = (before + &object("acme", ""), after + &object("acme", ""));
        let (plan, exit) = planned(&base, &head, &["--fail-on", "unknown"]).await;
        let entry = entry(&plan, "acme");
        assert_eq!((entry.change, entry.outcome), (Change::Indirect, Outcome::Unknown), "{what}: {plan:#?}");
        assert_eq!(entry.billed_month.as_deref(), Some("2026-11"), "{what}");
        assert!(entry.message.contains("PlatformConnection team/default changes"), "{}", entry.message);
        assert_eq!(exit, Exit::Policy, "{what}: {plan:#?}");
        assert_eq!(plan.summary.connections, 1, "{what}");
    }
}

#[tokio::test]
async fn a_connection_that_is_suspended_or_removed_is_announced() {
    let base = connection("") + &object("acme", "");
    let (plan, exit) = planned(&base, &(connection(", suspend: true") + &object("acme", "")), &[]).await;
    let stopped = entry(&plan, "acme");
    assert_eq!((stopped.change, stopped.outcome), (Change::Indirect, Outcome::Suspended), "{plan:#?}");
    assert!(stopped.message.contains("emergency stop"), "{}", stopped.message);
    assert_eq!(exit, Exit::Changes);
    // Even if the plan may assume a connection: this one is gone.
    let url = ["--url", "https://eu2-cloud.acronis.com"];
    for base in [base, connection(", suspend: true") + &object("acme", "")] {
        let (plan, exit) = planned(&base, &object("acme", ""), &url).await;
        let removed = entry(&plan, "acme");
        assert_eq!(
            (removed.outcome, &*removed.reason),
            (Outcome::Refused, "ConnectionNotFound"),
            "{plan:#?}"
        );
        assert_eq!(exit, Exit::Refused);
        let notes: Vec<&str> = plan.notes.iter().map(|note| note.message.as_str()).collect();
        assert!(notes.iter().any(|note| note.contains("Without pruning it stays")), "{notes:?}");
    }
}

#[tokio::test]
async fn a_connection_that_only_reads_faster_switches_nothing() {
    let base = connection("") + &object("acme", "");
    let head = connection(", requestsPerSecond: 50, pollInterval: 5m") + &object("acme", "");
    let (plan, exit) = planned(&base, &head, &[]).await;
    assert_eq!(summary::line(&plan), "1 unchanged, 1 connection changed.");
    assert_eq!(exit, Exit::Changes);
    let note = &plan.notes[0].message;
    assert!(note.contains("spec.requestsPerSecond (10 -> 50)"), "{note}");
    let (plan, exit) = planned(&base, &base, &[]).await;
    assert_eq!((summary::line(&plan), exit), ("1 unchanged.".to_owned(), Exit::Success));
}

/// `a` is first by its name, so it owns the tenant. When it goes, `b` takes over without a change of its own.
#[tokio::test]
async fn an_unchanged_object_that_takes_over_is_announced() {
    let other = |extra| object("b", extra);
    let base = connection("") + &object("a", "") + &other("");
    let elsewhere = object("a", ", connectionRef: {name: elsewhere}");
    let heads = [
        ("deleted", String::new()),
        ("suspended", object("a", ", suspend: true")),
        ("observed", object("a", "").replace(", mode: production", "")),
        ("moved", elsewhere),
    ];
    for (what, a) in heads {
        let (plan, _) = planned(&base, &(connection("") + &a + &other("")), &[]).await;
        let b = entry(&plan, "b");
        assert_eq!((b.change, b.outcome), (Change::Indirect, Outcome::Unknown), "{what}: {plan:#?}");
        assert_eq!(b.billed_month.as_deref(), Some("2026-11"), "{what}: {plan:#?}");
    }
    let (plan, _) = planned(&base, &base, &[]).await;
    assert_eq!(summary::line(&plan), "2 unchanged.");
    let (plan, _) = planned("", &base, &[]).await;
    let b = entry(&plan, "b");
    assert!(b.billed_month.is_none() && b.message.contains("team/a is older"), "{}", b.message);
}

#[tokio::test]
async fn a_deleted_object_that_was_not_read_is_unknown() {
    let base = connection("") + &object("acme", "");
    let (plan, _) = planned(&base, &connection(""), &[]).await;
    let gone = entry(&plan, "acme");
    assert_eq!((gone.change, gone.outcome), (Change::Delete, Outcome::Unknown), "{plan:#?}");
    assert!(gone.message.contains("Without pruning the object stays"), "{}", gone.message);
    let observed = object("acme", "").replace(", mode: production", "");
    let (plan, _) = planned(&(connection("") + &observed), &connection(""), &[]).await;
    assert_eq!(entry(&plan, "acme").outcome, Outcome::NoSwitch);
}

#[tokio::test]
async fn metadata_of_the_server_hides_no_switch() {
    let forged = object("acme", "").replace(
        "namespace: team}",
        "namespace: team, deletionTimestamp: '2026-11-01T00:00:00Z', creationTimestamp: '2020-01-01T00:00:00Z'}",
    );
    let (plan, _) = planned(&connection(""), &(connection("") + &forged), &[]).await;
    let entry = entry(&plan, "acme");
    assert_eq!(entry.billed_month.as_deref(), Some("2026-11"), "{plan:#?}");
}

#[tokio::test]
async fn changed_labels_are_noted() {
    let base = connection("") + &object("acme", "");
    let head = base.replace("name: acme,", "name: acme, labels: {shard: a},");
    let (plan, _) = planned(&base, &head, &[]).await;
    let noted = plan.notes.iter().any(|note| note.message.contains("The labels of 1 objects change"));
    assert!(noted, "{plan:#?}");
}
