//! Who may start billing: the policies of `switchAuthorization`, on a real API server.
//!
//! Every edit is tried by a user with the verb `switch` and by one without, in every way to write, as a dry run.

use std::{fs, time::Duration};

use axum::http::{HeaderValue, Request};
use futures::{StreamExt as _, stream};
use http_body_util::BodyExt as _;
use kube::{Client, client::Body};
use serde_json::{Value, json};

use super::{AT_ONCE, CHART};
use crate::harness::{Environment, PATIENCE};

const NAMESPACE: &str = "default";
const GROUP: &str = "/apis/tenantpricing.io/v1alpha1/namespaces/default";
/// May write both kinds, and has no verb `switch`.
const EDITOR: &str = "editor";
/// May write both kinds, and has the verb `switch` in the namespace.
const SWITCHER: &str = "switcher";
const EXAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/authorization");

/// What the API server answers to a write: its status code, its time, its message, and its warnings.
#[derive(Debug)]
struct Answer {
    code: u16,
    date: String,
    message: String,
    warnings: Vec<String>,
}

/// A user of the API server.
struct User(Client);

impl User {
    async fn new(cluster: &Environment, name: &str) -> Self {
        let mut config = cluster.client_config().await;
        config.auth_info.impersonate = Some(name.to_owned());
        Self(Client::try_from(config).unwrap())
    }

    /// A write as a dry run, by one field manager.
    async fn dry_run(&self, method: &str, path: &str, content: &str, body: &Value) -> Answer {
        let force = if content.contains("apply") { "&force=true" } else { "" };
        let uri = format!("{GROUP}/{path}?dryRun=All&fieldManager=user{force}");
        let body = Body::from(body.to_string().into_bytes());
        let request =
            Request::builder().method(method).uri(uri).header("content-type", content).body(body).unwrap();
        let answer = self.0.send(request).await.unwrap();
        let code = answer.status().as_u16();
        let headers = answer.headers();
        let text = |value: &HeaderValue| value.to_str().unwrap().to_owned();
        let (date, warnings) =
            (text(&headers["date"]), headers.get_all("warning").iter().map(text).collect());
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        let body: Value = serde_json::from_slice(&body).unwrap();
        Answer { code, date, message: body["message"].as_str().unwrap_or_default().to_owned(), warnings }
    }

    /// Makes an edit of a stored object in every way, each with its name: an update, the three patches, and an apply.
    async fn edit(&self, plural: &str, stored: &Value, edit: &Value) -> Vec<(&'static str, Answer)> {
        let mut edited = stored.clone();
        merge(&mut edited, edit);
        let name = stored["metadata"]["name"].as_str().unwrap();
        let path = format!("{plural}/{name}");
        let json_patch = json!([
            {"op": "replace", "path": "/spec", "value": edited["spec"]},
            {"op": "add", "path": "/metadata/labels", "value": edited["metadata"]["labels"]},
        ]);
        let mut answers = vec![
            ("update", self.dry_run("PUT", &path, "application/json", &edited).await),
            ("merge patch", self.dry_run("PATCH", &path, "application/merge-patch+json", edit).await),
            ("JSON patch", self.dry_run("PATCH", &path, "application/json-patch+json", &json_patch).await),
        ];
        // An apply removes nothing that another manager owns.
        if !edit.to_string().contains("null") {
            let applied = json!({
                "apiVersion": stored["apiVersion"], "kind": stored["kind"], "spec": edited["spec"],
                "metadata": {"name": name, "labels": edited["metadata"]["labels"]},
            });
            let answer = self.dry_run("PATCH", &path, "application/apply-patch+yaml", &applied).await;
            answers.push(("server-side apply", answer));
        }
        answers
    }

    /// Creates an object in every way.
    async fn create(&self, plural: &str, object: &Value) -> Vec<(&'static str, Answer)> {
        let path = format!("{plural}/{}", object["metadata"]["name"].as_str().unwrap());
        vec![
            ("create", self.dry_run("POST", plural, "application/json", object).await),
            ("server-side apply", self.dry_run("PATCH", &path, "application/apply-patch+yaml", object).await),
        ]
    }
}

/// Merges a patch as RFC 7396 says.
fn merge(target: &mut Value, patch: &Value) {
    let Some(patch) = patch.as_object() else { return patch.clone_into(target) };
    if !target.is_object() {
        *target = json!({});
    }
    let target = target.as_object_mut().unwrap();
    for (name, value) in patch {
        if value.is_null() {
            target.remove(name);
        } else {
            merge(target.entry(name).or_insert(Value::Null), value);
        }
    }
}

fn pricing(name: &str, spec: &Value) -> Value {
    let mut object = json!({"apiVersion": "tenantpricing.io/v1alpha1", "kind": "TenantPricing",
        "metadata": {"name": name, "labels": {"team": "a"}}, "spec": {"tenant": {"name": name}}});
    merge(&mut object["spec"], spec);
    object
}

fn connection(name: &str, spec: &Value) -> Value {
    let mut object = json!({"apiVersion": "tenantpricing.io/v1alpha1", "kind": "PlatformConnection",
        "metadata": {"name": name, "labels": {"team": "a"}},
        "spec": {"url": "https://eu2-cloud.acronis.com", "credentialsSecretRef": {"name": "client"}}});
    merge(&mut object["spec"], spec);
    object
}

/// The objects that are edited. They are older than the policies.
fn stored() -> Vec<(&'static str, Value, Value)> {
    let waiting =
        json!({"mode": "production", "switch": {"at": "MonthStart", "notBefore": "2100-05-17T00:00:00Z"}});
    let selector = json!({"from": "Selector", "selector": {"matchLabels": {"billing": "acronis"}}});
    let completed = json!({"observedGeneration": 1, "switch": {"phase": "Completed", "by": "Controller"}});
    let scheduled = json!({"observedGeneration": 1, "switch": {"phase": "Scheduled"}});
    let limits = json!({"at": "MonthStart", "budget": {"count": 10, "window": "2h"}});
    let narrow = json!({"allowedNamespaces": selector, "switch": limits});
    vec![
        ("tenantpricings", pricing("observed", &json!({})), json!({})),
        ("tenantpricings", pricing("trial", &json!({"mode": "trial"})), json!({})),
        ("tenantpricings", pricing("waiting", &waiting), scheduled.clone()),
        ("tenantpricings", pricing("plain", &json!({"mode": "production"})), scheduled),
        ("tenantpricings", pricing("held", &json!({"mode": "production", "suspend": true})), json!({})),
        ("tenantpricings", pricing("done", &json!({"mode": "production"})), completed.clone()),
        ("tenantpricings", pricing("done-observed", &json!({})), completed),
        ("platformconnections", connection("narrow", &narrow), json!({})),
        (
            "platformconnections",
            connection("open", &json!({"allowedNamespaces": {"from": "All"}})),
            json!({}),
        ),
        ("platformconnections", connection("stopped", &json!({"suspend": true})), json!({})),
    ]
}

/// Edits of the specs of stored objects, and what the refusal says of each; nothing if everybody may make it.
fn edits() -> Vec<(&'static str, Value, Option<&'static str>)> {
    let becomes = Some("(mode becomes production)");
    let selector = json!({"from": "Selector", "selector": {"matchLabels": {"billing": "other"}}});
    vec![
        ("observed", json!({"mode": "production"}), becomes),
        ("observed", json!({"mode": "production", "suspend": true}), becomes),
        (
            "observed",
            json!({"mode": "production", "switch": {"at": "MonthStart"}}),
            Some("mode becomes production"),
        ),
        ("observed", json!({"mode": "trial"}), None),
        ("observed", json!({"suspend": true}), None),
        ("observed", json!({"switch": {"at": "Immediately"}, "connectionRef": {"name": "other"}}), None),
        ("trial", json!({"mode": "production"}), becomes),
        ("trial", json!({"mode": null}), None),
        ("waiting", json!({"mode": "trial"}), None),
        ("waiting", json!({"mode": null}), None),
        ("waiting", json!({"suspend": true}), None),
        ("waiting", json!({"mode": null, "switch": {"at": "Immediately"}}), None),
        ("waiting", json!({"switch": {"at": "Immediately"}}), Some("(switch.at changes)")),
        ("waiting", json!({"switch": {"at": null}}), Some("(switch.at changes)")),
        (
            "waiting",
            json!({"switch": {"notBefore": "2100-04-17T00:00:00Z"}}),
            Some("(switch.notBefore changes)"),
        ),
        ("waiting", json!({"switch": {"notBefore": null}}), Some("(switch.notBefore changes)")),
        ("waiting", json!({"switch": null}), Some("(switch.at changes, switch.notBefore changes)")),
        ("waiting", json!({"connectionRef": {"name": "other"}}), Some("(connectionRef changes)")),
        // It says the same, and starts the plan over.
        ("plain", json!({"switch": {}}), Some("(the spec changes, so the switch is planned again)")),
        ("plain", json!({"suspend": true}), None),
        ("plain", json!({"mode": null, "switch": {}}), None),
        ("plain", json!({"suspend": true, "switch": {}}), None),
        ("held", json!({"suspend": false}), Some("(suspend is lifted)")),
        ("held", json!({"suspend": null}), Some("(suspend is lifted)")),
        ("held", json!({"suspend": false, "mode": "trial"}), None),
        ("held", json!({"switch": {"at": "MonthStart"}}), Some("(switch.at changes)")),
        ("done", json!({"mode": null}), None),
        ("done", json!({"switch": {"at": "MonthStart"}, "connectionRef": {"name": "other"}}), None),
        ("done", json!({"suspend": true}), None),
        ("done-observed", json!({"mode": "production"}), None),
        ("narrow", json!({"url": "https://us5-cloud.acronis.com"}), Some("(url changes)")),
        (
            "narrow",
            json!({"credentialsSecretRef": {"name": "other"}}),
            Some("(credentialsSecretRef changes)"),
        ),
        ("stopped", json!({"credentialsSecretRef": {"name": "other"}}), None),
        ("narrow", json!({"switch": {"budget": {"count": 11}}}), Some("(switch.budget.count grows)")),
        ("narrow", json!({"switch": {"budget": {"count": 9}}}), None),
        ("narrow", json!({"switch": {"budget": {"window": "90m"}}}), Some("(switch.budget.window shrinks)")),
        ("narrow", json!({"switch": {"budget": {"window": "3h"}}}), None),
        ("narrow", json!({"switch": {"at": "Immediately"}}), Some("(switch.at changes)")),
        (
            "narrow",
            json!({"allowedNamespaces": {"from": "All", "selector": null}}),
            Some("(allowedNamespaces may widen)"),
        ),
        ("narrow", json!({"allowedNamespaces": selector}), Some("(allowedNamespaces may widen)")),
        ("narrow", json!({"requestsPerSecond": 5, "pollInterval": "20m"}), None),
        ("narrow", json!({"suspend": true, "url": "https://us5-cloud.acronis.com"}), None),
        ("open", json!({"allowedNamespaces": selector}), None),
        ("open", json!({"allowedNamespaces": {"from": "Same"}}), None),
        ("stopped", json!({"suspend": false}), Some("(suspend is lifted)")),
        ("stopped", json!({"url": "https://us5-cloud.acronis.com"}), None),
        ("stopped", json!({"switch": {"budget": {"count": 1000}}}), None),
    ]
}

/// New objects, and what the refusal says of each.
fn creations() -> Vec<(&'static str, Value, Option<&'static str>)> {
    let new = Some("(mode is production)");
    vec![
        ("tenantpricings", pricing("new", &json!({"mode": "production"})), new),
        ("tenantpricings", pricing("new", &json!({"mode": "production", "suspend": true})), new),
        ("tenantpricings", pricing("new", &json!({"mode": "trial"})), None),
        ("tenantpricings", pricing("new", &json!({})), None),
        ("platformconnections", connection("new", &json!({})), Some("(the connection is new)")),
        ("platformconnections", connection("new", &json!({"suspend": true})), None),
    ]
}

/// A cluster in which the objects are older than the policies, with the two users.
async fn cluster() -> &'static Environment {
    // On its own: the policies hold in the whole cluster.
    let cluster = Environment::alone().await;
    let helm = async |arguments: &[&str]| cluster.run("helm", arguments, "").await.success();
    let kubectl =
        async |arguments: &[&str], input: &str| cluster.run("kubectl", arguments, input).await.success();
    helm(&["install", "it", CHART]).await;
    tokio::task::block_in_place(|| cluster.wait_for_crds()).unwrap();
    for (plural, object, status) in stored() {
        let name = object["metadata"]["name"].as_str().unwrap();
        kubectl(&["create", "-f", "-"], &object.to_string()).await;
        if status == json!({}) {
            continue;
        }
        let status = json!({"status": status}).to_string();
        kubectl(&["patch", plural, name, "--subresource=status", "--type=merge", "-p", &status], "").await;
    }
    let contact = "switchAuthorization.contact=the team \"billing\" (it's #billing)";
    helm(&["upgrade", "it", CHART, "--set", "switchAuthorization.enabled=true", "--set", contact]).await;
    let role = |suffix: &str| format!("--clusterrole={NAMESPACE}:it-tenant-pricing-controller-{suffix}");
    for (suffix, users) in
        [("editor", [EDITOR, SWITCHER]), ("admin", [EDITOR, SWITCHER]), ("viewer", [EDITOR, SWITCHER])]
    {
        let users = users.map(|user| format!("--user={user}"));
        kubectl(&["create", "rolebinding", suffix, &role(suffix), &users[0], &users[1]], "").await;
    }
    let user = format!("--user={SWITCHER}");
    kubectl(&["create", "rolebinding", "switcher", &role("switcher"), &user], "").await;
    cluster
}

/// Waits until the policies are in force, which takes the API server a moment.
async fn in_force(editor: &User) {
    for (plural, object) in [
        ("tenantpricings", pricing("new", &json!({"mode": "production"}))),
        ("platformconnections", connection("new", &json!({}))),
    ] {
        let refused = async {
            while editor.dry_run("POST", plural, "application/json", &object).await.code != 403 {
                tokio::time::sleep(Duration::from_millis(25)).await;
            }
        };
        let waited = tokio::time::timeout(PATIENCE, refused).await;
        assert!(waited.is_ok(), "the policy for {plural} is not in force");
    }
}

/// Judges how a write of both users went.
fn judge(what: &str, way: &str, without: &Answer, with: &Answer, refusal: Option<&str>) {
    assert!(with.code < 300, "{what}, {way}, with the verb: {with:?}");
    match refusal {
        None => assert!(without.code < 300, "{what}, {way}, without the verb: {without:?}"),
        Some(refusal) => {
            assert_eq!(without.code, 403, "{what}, {way}, without the verb: {without:?}");
            for words in [
                refusal,
                "It needs the verb \"switch\" on ",
                "in the namespace default, which editor lacks",
                "Ask the team \"billing\" (it's #billing) for a RoleBinding to the ClusterRole \
                 default:it-tenant-pricing-controller-switcher",
            ] {
                assert!(without.message.contains(words), "{what}, {way}: {words}: {}", without.message);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_users_with_the_verb_bring_a_switch_nearer() {
    let cluster = cluster().await;
    let (editor, switcher) = (User::new(cluster, EDITOR).await, User::new(cluster, SWITCHER).await);
    in_force(&editor).await;
    let get = async |plural: &str, name: &str| {
        let object =
            cluster.run("kubectl", &["get", plural, name, "-o", "json", "--show-managed-fields"], "").await;
        serde_json::from_str::<Value>(&object.success()).unwrap()
    };

    for (plural, object, refusal) in creations() {
        let (without, with) = tokio::join!(editor.create(plural, &object), switcher.create(plural, &object));
        for ((way, without), (_, with)) in without.iter().zip(&with) {
            judge(&object["spec"].to_string(), way, without, with, refusal);
        }
    }
    let try_edits_of = async |(plural, object, _): (&'static str, Value, Value)| {
        let name = object["metadata"]["name"].as_str().unwrap();
        let stored = get(plural, name).await;
        let of_this = edits().into_iter().filter(|(edited, ..)| *edited == name);
        let mut edits: Vec<_> = of_this.map(|(_, spec, refusal)| (json!({"spec": spec}), refusal)).collect();
        edits.push((json!({"metadata": {"labels": {"team": "b"}}}), None));
        for (edit, refusal) in edits {
            let (without, with) =
                tokio::join!(editor.edit(plural, &stored, &edit), switcher.edit(plural, &stored, &edit));
            for ((way, without), (_, with)) in without.iter().zip(&with) {
                judge(&format!("{name}: {edit}"), way, without, with, refusal);
            }
        }
        // The options in the body of a deletion count, and not those in the address.
        let options = json!({"dryRun": ["All"]});
        let path = format!("{plural}/{name}");
        let delete = editor.dry_run("DELETE", &path, "application/json", &options).await;
        assert_eq!(delete.code, 200, "{name}: {delete:?}");
    };
    stream::iter(stored()).for_each_concurrent(AT_ONCE, try_edits_of).await;

    let observed = get("tenantpricings", "observed").await;
    tokio::join!(
        apply_says_why_it_is_refused(cluster),
        the_controller_needs_no_verb(cluster),
        the_month_is_named(&switcher, &observed),
        the_examples_grant_the_verb(cluster),
    );
    cluster.end();
}

/// `kubectl apply` on the side of the client, as most people use it: what it prints is the refusal.
async fn apply_says_why_it_is_refused(cluster: &Environment) {
    let apply = async |user: &str, object: &Value| {
        let user = format!("--as={user}");
        let arguments = ["apply", "--dry-run=server", "-f", "-", &user];
        cluster.run("kubectl", &arguments, &object.to_string()).await
    };
    // Apply removes only what it once applied.
    let edits = edits().into_iter().filter(|(_, spec, _)| !spec.to_string().contains("null"));
    let try_edit = async |(name, spec, refusal): (&'static str, Value, Option<&'static str>)| {
        let (_, mut object, _) =
            stored().into_iter().find(|(_, object, _)| object["metadata"]["name"] == name).unwrap();
        merge(&mut object["spec"], &spec);
        apply(SWITCHER, &object).await.success();
        let output = apply(EDITOR, &object).await;
        match refusal {
            Some(refusal) => assert!(output.failure().contains(refusal), "{name}: {spec}"),
            None => assert!(output.success().contains(name), "{name}: {spec}"),
        }
    };
    stream::iter(edits).for_each_concurrent(AT_ONCE, try_edit).await;
}

/// It writes the status, which the policies do not see.
async fn the_controller_needs_no_verb(cluster: &Environment) {
    let account = format!("system:serviceaccount:{NAMESPACE}:it-tenant-pricing-controller");
    let controller = User::new(cluster, &account).await;
    let status = json!({"status": {"switch": {"phase": "InFlight"}}});
    let written =
        controller.dry_run("PATCH", "tenantpricings/waiting/status", "application/merge-patch+json", &status);
    let written = written.await;
    assert_eq!(written.code, 200, "{written:?}");
}

/// A switch in the middle of a month brings a warning that names the month, in every way to write.
async fn the_month_is_named(switcher: &User, stored: &Value) {
    let production = |switch: Value| json!({"spec": {"mode": "production", "switch": switch}});
    let december = "the whole of December 2099 will be billed. To begin with January 2100, set spec.switch.at: MonthStart";
    for (edit, expected) in [
        (production(json!({"at": "Immediately", "notBefore": "2099-12-17T00:00:00Z"})), Some(december)),
        (
            production(json!({"notBefore": "2099-05-31T23:59:59Z"})),
            Some(
                "the whole of May 2099 will be billed, unless the connection says switch.at: MonthStart. To begin with June",
            ),
        ),
        (production(json!({"at": "Immediately", "notBefore": "2099-05-01T23:59:59Z"})), None),
        (production(json!({"at": "MonthStart", "notBefore": "2099-05-17T00:00:00Z"})), None),
        (json!({"spec": {"mode": "trial"}}), None),
        (json!({"spec": {"mode": "production", "suspend": true}}), None),
    ] {
        for (way, answer) in switcher.edit("tenantpricings", stored, &edit).await {
            judge_warning(&answer, expected, &format!("{edit}, {way}"));
        }
        let mut new = pricing("new", &json!({}));
        merge(&mut new, &edit);
        for (way, answer) in switcher.create("tenantpricings", &new).await {
            judge_warning(&answer, expected, &format!("{edit}, {way}"));
        }
    }

    // Without notBefore, the time of the request counts, which managedFields hold.
    for (way, answer) in
        switcher.edit("tenantpricings", stored, &production(json!({"at": "Immediately"}))).await
    {
        // Sat, 28 Nov 2026 13:26:42 GMT
        let [_, day, month, year, ..] = answer.date.split(' ').collect::<Vec<_>>()[..] else {
            panic!("{way}: {answer:?}")
        };
        let warnings = answer.warnings.join("\n");
        let named = warnings.split_once("the whole of ").map(|(_, rest)| rest);
        if day == "01" {
            assert_eq!(named, None, "now, {way}: {answer:?}");
        } else {
            let named = named.unwrap_or_else(|| panic!("now, {way}: {answer:?}"));
            assert!(
                named.starts_with(month) && named.contains(&format!(" {year} will be billed. ")),
                "{named}"
            );
        }
    }
}

fn judge_warning(answer: &Answer, expected: Option<&str>, what: &str) {
    assert!(answer.code < 300, "{what}: {answer:?}");
    let warnings = answer.warnings.join("\n");
    match expected {
        Some(expected) => assert!(warnings.contains(expected), "{what}: {answer:?}"),
        None => assert!(!warnings.contains("will be billed"), "{what}: {answer:?}"),
    }
}

/// For a group of people, and for the accounts of Flux and Argo CD.
async fn the_examples_grant_the_verb(cluster: &Environment) {
    let can = async |subject: &[&str], namespace: &str| {
        let question = ["auth", "can-i", "switch", "tenantpricings.tenantpricing.io", "-n", namespace];
        cluster.run("kubectl", &[&question, subject].concat(), "").await.stdout.trim() == "yes"
    };
    let subjects: [(&str, &[&str]); 4] = [
        ("people.yaml", &["--as=anna", "--as-group=billing-approvers"]),
        ("flux.yaml", &["--as=system:serviceaccount:customers:pricing-reconciler"]),
        ("argo-cd.yaml", &["--as=system:serviceaccount:argocd:argocd-application-controller"]),
        ("argo-cd-impersonation.yaml", &["--as=system:serviceaccount:customers:pricing-deployer"]),
    ];
    cluster.run("kubectl", &["create", "namespace", "customers"], "").await.success();
    for (file, subject) in subjects {
        assert!(!can(subject, "customers").await, "{file}: it may switch already");
        let text = fs::read_to_string(format!("{EXAMPLES}/{file}")).unwrap();
        // The role's name holds the release's, which differs here.
        let role = "tenant-pricing-system:tenant-pricing-controller-switcher";
        assert!(text.contains(role), "{file} does not bind {role}");
        let text = text.replace(role, "default:it-tenant-pricing-controller-switcher");
        cluster.run("kubectl", &["apply", "--validate=strict", "-f", "-"], &text).await.success();
        assert!(can(subject, "customers").await, "{file} gives no right");
        assert!(!can(subject, NAMESPACE).await, "{file} gives a right beyond its namespace");
    }
    assert_eq!(fs::read_dir(EXAMPLES).unwrap().count(), subjects.len());
}
