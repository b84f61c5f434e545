//! The controllers of the tests have the rights that the chart grants, and no other. The audit log shows what they do
//! with these rights.
//!
//! Each test fails for a request that was refused. Whether each right is used shows only in the whole suite: see
//! `hack/rights-check`.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File, OpenOptions},
    io::{Read as _, Seek as _, SeekFrom, Write as _},
    path::Path,
    sync::LazyLock,
};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// What the chart renders with its defaults. `delivery::chart::renders` holds it equal to the chart.
const RENDER: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/tests/integration/delivery/chart/golden/defaults.yaml");

/// The name of the Lease in the render, and the default of `--lease-name`.
const LEASES: [&str; 2] = ["release-tenant-pricing-controller", "tenant-pricing-controller"];

/// Names a file. Lines are appended to it: `granted RIGHT`, `used RIGHT`, `refused REQUEST`.
const FILE: &str = "TENANT_PRICING_TEST_RIGHTS_FILE";

/// The annotation of the audit log that tells whether a right was missing: a policy can refuse a request as well.
const DECISION: &str = "authorization.k8s.io/decision";

/// A rule of RBAC.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Rule {
    api_groups: Vec<String>,
    resources: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    resource_names: Vec<String>,
    verbs: Vec<String>,
}

impl Rule {
    fn rights(&self) -> BTreeSet<String> {
        let mut rights = BTreeSet::new();
        for group in &self.api_groups {
            for resource in &self.resources {
                rights.extend(self.verbs.iter().map(|verb| right(verb, group, resource)));
            }
        }
        rights
    }

    fn allows(&self, request: &Request) -> bool {
        (self.resource_names.is_empty() || self.resource_names.contains(&request.object_ref.name))
            && self.rights().contains(&request.right())
    }
}

/// As `check` writes it: `patch tenantpricings.tenantpricing.io/status`.
fn right(verb: &str, group: &str, resource: &str) -> String {
    let (plural, subresource) = resource.split_once('/').unwrap_or((resource, ""));
    let right = format!("{verb} {plural}.{group}/{subresource}");
    right.trim_end_matches('/').trim_end_matches('.').to_owned()
}

/// The rules of all roles that the render binds to the service account of the controller.
static RULES: LazyLock<Vec<Rule>> = LazyLock::new(|| {
    let render = fs::read_to_string(RENDER).unwrap().replace(LEASES[0], LEASES[1]);
    let objects: Vec<Value> = serde_saphyr::from_multiple(&render).unwrap();
    let is_bound = |role: &&Value| {
        let names_it = |binding: &Value| {
            let role_ref = &binding["roleRef"];
            role_ref["kind"] == role["kind"] && role_ref["name"] == role["metadata"]["name"]
        };
        objects.iter().any(names_it)
    };
    let rules = objects.iter().filter(is_bound).filter_map(|role| role["rules"].as_array());
    rules.flatten().map(|rule| Rule::deserialize(rule).unwrap()).collect()
});

/// Grants user `controller` what the chart grants, in the whole cluster. This holds for the Lease as well, because each
/// test has one in a namespace of its own.
pub fn objects() -> [Value; 2] {
    let (group, name) = ("rbac.authorization.k8s.io", json!({"name": "controller"}));
    let api = format!("{group}/v1");
    let role = json!({"apiVersion": api, "kind": "ClusterRole", "metadata": name, "rules": *RULES});
    RULES.iter().flat_map(Rule::rights).for_each(|right| note("granted", &right));
    let binding = json!({
        "apiVersion": api, "kind": "ClusterRoleBinding", "metadata": name,
        "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": "controller"},
        "subjects": [{"apiGroup": group, "kind": "User", "name": "controller"}],
    });
    [role, binding]
}

fn note(what: &str, text: &str) {
    let Some(file) = std::env::var_os(FILE) else { return };
    let mut file = OpenOptions::new().append(true).open(file).unwrap();
    file.write_all(format!("{what} {text}\n").as_bytes()).unwrap();
}

/// A line of the audit log.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Request {
    verb: String,
    user: User,
    #[serde(default)]
    user_agent: String,
    #[serde(rename = "requestURI")]
    uri: String,
    /// What is not about objects, such as `/version`, has none. Everybody may ask for that.
    object_ref: ObjectRef,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct User {
    username: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ObjectRef {
    #[serde(default)]
    api_group: String,
    resource: String,
    #[serde(default)]
    subresource: String,
    #[serde(default)]
    name: String,
}

impl Request {
    /// Not by the test itself, as that user.
    fn is_by_a_controller(&self) -> bool {
        self.user.username == "controller" && !self.user_agent.starts_with("kubectl/")
    }

    fn right(&self) -> String {
        let ObjectRef { api_group, resource, subresource, .. } = &self.object_ref;
        right(&self.verb, api_group, &format!("{resource}/{subresource}"))
    }
}

/// Reads the requests of the controllers from an audit log, as it grows.
#[derive(Default)]
pub struct Requests {
    read_to: u64,
    used: BTreeSet<String>,
}

impl Requests {
    /// The requests since the last call that were refused, and that the chart does not allow.
    pub fn refused(&mut self, audit_log: &Path) -> BTreeSet<String> {
        let Ok(mut file) = File::open(audit_log) else { return BTreeSet::new() };
        file.seek(SeekFrom::Start(self.read_to)).unwrap();
        let mut text = Vec::new();
        file.read_to_end(&mut text).unwrap();
        // The last line may still be in the making.
        let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
        self.read_to += whole as u64;
        let Judged { used, refused } = judge(&String::from_utf8_lossy(&text[..whole]));
        for right in used {
            if self.used.insert(right.clone()) {
                note("used", &right);
            }
        }
        for request in &refused {
            note("refused", request);
        }
        refused
            .into_iter()
            .map(|request| format!("the chart does not grant a controller {request}"))
            .collect()
    }
}

/// What some lines of an audit log show.
#[derive(Debug, Default, PartialEq, Eq)]
struct Judged {
    /// Rights.
    used: BTreeSet<String>,
    /// Each with its path.
    refused: BTreeSet<String>,
}

/// An API server that has just started also refuses what is granted, until it has read the roles.
fn judge(audit_log: &str) -> Judged {
    let mut judged = Judged::default();
    let lines = audit_log.lines().filter(|line| line.contains("\"username\":\"controller\""));
    let requests = lines.filter_map(|line| serde_json::from_str::<Request>(line).ok());
    for request in requests.filter(Request::is_by_a_controller) {
        match request.annotations.get(DECISION).map(String::as_str) {
            Some("allow") => {
                judged.used.insert(request.right());
            }
            Some("forbid") if !RULES.iter().any(|rule| rule.allows(&request)) => {
                judged.refused.insert(format!("{}: {}", request.right(), request.uri));
            }
            _ => {}
        }
    }
    judged
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A line about an object of the resource `of` in namespace `a`.
    fn line(user: &str, agent: &str, verb: &str, of: [&str; 4], decision: &str) -> String {
        let [group, resource, subresource, name] = of;
        let uri = format!("/apis/{group}/v1/namespaces/a/{resource}/{name}/{subresource}");
        json!({
            "verb": verb, "user": {"username": user}, "userAgent": agent, "requestURI": uri.trim_end_matches('/'),
            "objectRef": {"apiGroup": group, "resource": resource, "subresource": subresource, "name": name},
            "annotations": {DECISION: decision},
        })
        .to_string()
    }

    #[test]
    fn the_render_grants_the_one_lease_and_no_list_of_secrets() {
        let rights: BTreeSet<String> = RULES.iter().flat_map(Rule::rights).collect();
        for right in ["patch tenantpricings.tenantpricing.io/status", "get secrets", "watch namespaces"] {
            assert!(rights.contains(right), "{right}: {rights:?}");
        }
        assert!(!rights.contains("list secrets"), "{rights:?}");
        let lease =
            |name| line("controller", "", "update", ["coordination.k8s.io", "leases", "", name], "forbid");
        let judged = judge(&format!("{}\n{}\n", lease(LEASES[1]), lease("another")));
        let refused =
            "update leases.coordination.k8s.io: /apis/coordination.k8s.io/v1/namespaces/a/leases/another";
        assert_eq!(judged.refused, [refused.to_owned()].into());
    }

    #[test]
    fn only_what_a_controller_may_never_ask_for_is_a_fault() {
        let status = ["tenantpricing.io", "tenantpricings", "status", "acme"];
        let spec = ["tenantpricing.io", "tenantpricings", "", "acme"];
        let log = [
            line("controller", "", "patch", status, "allow"),
            // After a restart of the API server.
            line("controller", "", "get", spec, "forbid"),
            line("controller", "", "patch", spec, "forbid"),
            line("controller", "kubectl/v1", "delete", spec, "forbid"),
            line("admin", "", "delete", spec, "allow"),
            line("system:serviceaccount:a:controller", "", "delete", spec, "forbid"),
            r#"{"verb": "get", "user": {"username":"controller"}, "requestURI": "/version"}"#.to_owned(),
            r#"{"verb": "get", "user": {"username":"controller"}"#.to_owned(),
        ];
        let patch = "patch tenantpricings.tenantpricing.io";
        let expected = Judged {
            used: [format!("{patch}/status")].into(),
            refused: [format!("{patch}: /apis/tenantpricing.io/v1/namespaces/a/tenantpricings/acme")].into(),
        };
        assert_eq!(judge(&log.join("\n")), expected);
    }
}
