//! The rights that a release gives to its service account: exactly those that the controller needs.

use std::{collections::BTreeSet, path::Path};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use serde::Deserialize;
use serde_json::{Value, json};
use tenant_pricing_controller::{
    clock::Clock,
    testing::rights::{CONTROLLER, Place},
};
use tokio::process::Command;

use super::{CHART, Release};
use crate::harness::{BINARY, PATIENCE, Test, has, reason, run};

/// What the controller may do at such a place, as `check` asks for it: verb and resource.
fn needed_at(place: Place) -> impl Iterator<Item = String> {
    CONTROLLER.iter().filter(move |right| right.place == place).map(ToString::to_string)
}

/// What a kubeconfig's user may do in a namespace, in the API server's own words. The rights of every user, to ask
/// about themselves, are left out.
async fn rights(test: &Test, kubeconfig: &Path, namespace: &str) -> BTreeSet<String> {
    let question = json!({
        "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectRulesReview", "spec": {"namespace": namespace},
    });
    let file = format!("--kubeconfig={}", kubeconfig.display());
    let answer = test
        .kubectl_with(&["create", "--validate=false", "-f", "-", "-o", "json", &file], &question.to_string())
        .await;
    let mut answer: Value = serde_json::from_str(&answer.success()).unwrap();
    assert_eq!(answer["status"]["incomplete"], false);
    let rules: Vec<Rule> = serde_json::from_value(answer["status"]["resourceRules"].take()).unwrap();
    let about_others = rules.iter().filter(|rule| {
        !rule
            .api_groups
            .iter()
            .all(|group| ["authorization.k8s.io", "authentication.k8s.io"].contains(&&**group))
    });
    about_others.flat_map(Rule::rights).collect()
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Rule {
    verbs: Vec<String>,
    api_groups: Vec<String>,
    resources: Vec<String>,
}

impl Rule {
    fn rights(&self) -> BTreeSet<String> {
        let mut rights = BTreeSet::new();
        for (verb, group) in
            self.verbs.iter().flat_map(|verb| self.api_groups.iter().map(move |group| (verb, group)))
        {
            for resource in &self.resources {
                let (plural, subresource) = resource.split_once('/').unwrap_or((resource, ""));
                let right = format!("{verb} {plural}.{group}/{subresource}");
                rights.insert(right.trim_end_matches('/').trim_end_matches('.').to_owned());
            }
        }
        rights
    }
}

/// In `inside` the release's account may do what the controller needs and nothing else. What it needs in the
/// whole cluster is more than what a Role in a namespace can give. That all but `create` of Leases is bound to the one
/// Lease is seen from what is refused.
pub(super) async fn are_exactly_those_needed(
    test: &Test,
    release: &Release<'_>,
    inside: &str,
    in_the_cluster: bool,
) {
    let kubeconfig = release.kubeconfig(test).await;
    let mut needed: BTreeSet<String> = needed_at(Place::Watched).collect();
    if in_the_cluster {
        needed.extend(needed_at(Place::Cluster));
    }
    if inside == release.namespace {
        needed.extend(needed_at(Place::AnyLease).chain(needed_at(Place::OwnLease)));
    }
    assert_eq!(rights(test, &kubeconfig, inside).await, needed);
}

/// In `outside` it may do nothing, which leaves nothing in the cluster as a whole either.
pub(super) async fn are_none(test: &Test, release: &Release<'_>, outside: &str) {
    let kubeconfig = release.kubeconfig(test).await;
    assert_eq!(rights(test, &kubeconfig, outside).await, BTreeSet::new());
}

/// A release without an election, whose Lease another process holds.
async fn beside_a_leader(test: &Test) -> Release<'_> {
    let release = Release { namespace: &test.namespace, fullname: "it-tenant-pricing-controller" };
    let values = format!(
        "crds.enabled=false,rbac.userRoles=false,leaderElection.enabled=false,watchNamespaces={{{}}}",
        test.namespace
    );
    test.helm(&["install", "it", CHART, "--set", &values]).await.success();
    let lease = json!({
        "apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": release.fullname},
        // For longer than the test could take.
        "spec": {"holderIdentity": "another", "leaseDurationSeconds": 3600,
                 "renewTime": MicroTime(Clock::system().now())},
    });
    test.apply(&lease.to_string()).await;
    release
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_election_it_may_read_the_lease_of_a_leader() {
    let test = Test::new("chart-unelected").await;
    let release = beside_a_leader(&test).await;
    let mut needed: BTreeSet<String> = needed_at(Place::Watched).collect();
    needed.insert("get leases.coordination.k8s.io".to_owned());
    assert_eq!(rights(&test, &release.kubeconfig(&test).await, &test.namespace).await, needed);
    let mut command = Command::new(BINARY);
    command.args(release.arguments(&test).await).env("KUBECONFIG", release.kubeconfig(&test).await);
    let ended = tokio::time::timeout(PATIENCE, run(command, "")).await.expect("the process ends");
    let message = ended.failure();
    assert!(message.contains("another holds Lease") && message.contains("both would act"), "{message}");
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_that_may_not_be_read_is_a_warning() {
    let test = Test::new("chart-unread-lease").await;
    let release = beside_a_leader(&test).await;
    let binding = format!("{}-lease", release.fullname);
    test.kubectl(&["delete", "rolebinding", &binding]).await.success();
    let controller = release.start_controller(&test).await;
    let entry = test
        .wait_for("the log says what is not known", PATIENCE, async || {
            let unread = |entry: &Value| entry["message"].as_str().unwrap_or("").contains("cannot be read");
            controller.log_entries().into_iter().find(unread)
        })
        .await;
    assert_eq!(entry["level"], "WARN", "{entry}");
    assert_eq!(entry["lease"], format!("{}/{}", test.namespace, release.fullname));
    assert!(entry["reason"].as_str().unwrap().contains("403"), "{entry}");
    test.finish().await;
}

/// A whole life with these rights: a read, a switch, its events. There is a connection for the object `acme`,
/// which gets `spec` merged into its own; `tenant` is in trial.
pub(super) async fn suffice_for_a_switch(test: &Test, release: &Release<'_>, tenant: &str, spec: Value) {
    let controller = release.start_controller(test).await;
    test.production("acme", tenant, spec).await;
    let object = test.until("acme", "is switched", |object| has(object, "Production", "True")).await;
    assert_eq!(reason(&object, "Production"), "SwitchedByController");
    assert_eq!(reason(&object, "Ready"), "InSync");
    assert_eq!(test.simulator.puts(tenant), 1);
    test.wait_for("the events are published", PATIENCE, async || {
        let events = test.events("acme").await;
        let reasons: BTreeSet<_> = events.into_iter().filter_map(|event| event.reason).collect();
        (reasons.contains("SwitchRequested") && reasons.contains("SwitchCompleted")).then_some(())
    })
    .await;

    let account = format!("system:serviceaccount:{}:{}", release.namespace, release.fullname);
    let writes = test.controller_writes().await;
    assert!(writes.iter().all(|write| write.user == account), "{writes:#?}");
    // A write made from a cache that is behind conflicts, and is made again.
    assert!(writes.iter().all(|write| write.code < 300 || write.code == 409), "{writes:#?}");
    let log = controller.log().to_lowercase();
    assert!(!log.contains("forbidden"), "a right is missing:\n{log}");
}

/// Requests that the account's rights must not let through, each with what it would do. There is an object `acme`
/// and a Secret `default` in the test's namespace.
pub(super) async fn allow_nothing_else(test: &Test, release: &Release<'_>) {
    let file = format!("--kubeconfig={}", release.kubeconfig(test).await.display());
    let as_controller = async |arguments: &[&str]| test.kubectl(&[arguments, &[&file]].concat()).await;
    as_controller(&["get", "secret", "default"]).await.success();
    let own = ["-n", release.namespace];
    as_controller(&[&["get", "lease", release.fullname], &own[..]].concat()).await.success();
    for refused in
        [vec!["get", "lease", "another"], vec!["get", "leases"], vec!["delete", "lease", release.fullname]]
    {
        let message = as_controller(&[&refused, &own[..]].concat()).await.failure();
        assert!(message.contains("Forbidden"), "{refused:?}: {message}");
    }
    let refused: [&[&str]; 9] = [
        &["get", "secrets"],
        &["annotate", "secret", "default", "touched=yes"],
        &["patch", "tp", "acme", "--type=merge", "-p", r#"{"spec":{"mode":null}}"#],
        &["annotate", "tp", "acme", "touched=yes"],
        &["delete", "tp", "acme"],
        &["delete", "tp", "--all"],
        &["patch", "pconn", "default", "--type=merge", "-p", r#"{"spec":{"suspend":true}}"#],
        &["get", "configmaps"],
        &["get", "events"],
    ];
    for arguments in refused {
        let message = as_controller(arguments).await.failure();
        assert!(message.contains("Forbidden"), "{arguments:?}: {message}");
    }
}
