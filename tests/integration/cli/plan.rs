//! `plan` against manifests, the cluster and the simulator.

mod changes;
mod rights;

use std::{fs, time::Duration};

use serde_json::{Value, json};
use tenant_pricing_controller::{
    api::PlatformConnection,
    simulator::{Operation, Simulator, SimulatorOptions, TenantSpec},
};
use tokio::time::timeout;

use super::{assert_only_reads, credentials, entry, json};
use crate::{
    adversarial::certificates::{authority, behind_tls, certificate},
    harness::{Test, has},
};

/// A manifest of an object that asks for production.
fn manifest(namespace: &str, name: &str, tenant: &str, switch: &str) -> String {
    format!(
        "apiVersion: tenantpricing.io/v1alpha1\nkind: TenantPricing\nmetadata: {{name: {name}, namespace: \
         {namespace}}}\nspec: {{tenant: {tenant}, mode: production, switch: {switch}}}\n---\n"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_needs_only_rights_to_read_and_writes_nothing() {
    let test = Test::new("plan-reads").await;
    test.connection("default", json!({})).await;
    let now = test.simulator.add_tenant(TenantSpec::customer("Now AG"));
    test.simulator.add_tenant(TenantSpec::customer("Later AG"));
    let namespace = &test.namespace;
    // A role that can read and nothing else.
    let rights = json!({"apiVersion": "v1", "kind": "List", "items": [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "reader"}},
        {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "reader"}, "rules": [
            {"apiGroups": ["tenantpricing.io"], "resources": ["tenantpricings", "platformconnections"],
             "verbs": ["get", "list"]},
            {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}]},
        {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": "reader"},
         "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reader"},
         "subjects": [{"kind": "ServiceAccount", "name": "reader", "namespace": namespace}]}]});
    test.apply(&rights.to_string()).await;
    let kubeconfig = test.service_account_kubeconfig("reader").await;
    let kubeconfig = kubeconfig.to_str().unwrap();
    let input = manifest(namespace, "now", &format!("{{id: {now}}}"), "{at: Immediately}")
        + &manifest(namespace, "later", "{name: Later AG}", "{at: MonthStart}");
    let arguments = ["plan", "--kubeconfig", kubeconfig, "-f", "-", "-o", "json"];
    let output = test.plugin(&arguments, &[], &input).await;
    assert_eq!(output.code, 2, "{}{}", output.stdout, output.stderr);
    let plan = json(&output);
    assert_eq!(entry(&plan, "now")["outcome"], "switchNow");
    assert_eq!(entry(&plan, "later")["outcome"], "switchLater", "{plan:#}");
    assert_eq!(entry(&plan, "later")["tenant"]["name"], "Later AG");
    assert_eq!(plan["comparedWith"], "cluster");
    let notes = plan["notes"].to_string();
    assert!(notes.contains(&format!("tenantpricings are read in {namespace} only")), "{notes}");
    assert!(notes.contains("Deployments cannot be listed"), "{notes}");
    assert_only_reads(&test.simulator.requests());
    let tokens = test.simulator.requests().iter().filter(|r| r.operation == Operation::Token).count();
    assert_eq!(tokens, 1);
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edited_url_gets_no_credentials() {
    let test = Test::new("plan-url").await;
    test.connection("default", json!({})).await;
    let other = Simulator::start(SimulatorOptions::default()).await.unwrap();
    let tenant = test.simulator.add_tenant(TenantSpec::customer("Acme GmbH"));
    let namespace = &test.namespace;
    // The pull request: the same connection, at another URL.
    let connection = format!(
        "apiVersion: tenantpricing.io/v1alpha1\nkind: PlatformConnection\nmetadata: {{name: default, namespace: \
         {namespace}}}\nspec: {{url: '{}', credentialsSecretRef: {{name: default}}}}\n---\n",
        other.url()
    );
    let input = connection + &manifest(namespace, "acme", &format!("{{id: {tenant}}}"), "{at: Immediately}");
    let hosts = format!("{},{}", test.simulator.url(), other.url());
    let [(id, id_value), (secret, secret_value)] = credentials(&test);
    let url = test.simulator.url();
    let with_variables: &[(&str, &str)] =
        &[(id, &id_value), (secret, &secret_value), ("TENANT_PRICING_ALLOWED_HOSTS", &hosts)];
    let without: &[(&str, &str)] = &[("TENANT_PRICING_ALLOWED_HOSTS", &hosts)];
    let by_url = ["plan", "-f", "-", "-o", "json", "--url", &url];
    let no_cluster = ["plan", "-f", "-", "-o", "json", "--no-cluster", "--url", &url];
    let by_cluster = ["plan", "-f", "-", "-o", "json"];
    for (arguments, variables) in
        [(&by_url[..], with_variables), (&no_cluster[..], with_variables), (&by_cluster[..], without)]
    {
        let output = test.plugin(arguments, variables, &input).await;
        assert_eq!(output.code, 1, "{arguments:?}: {}{}", output.stdout, output.stderr);
        let plan = json(&output);
        let mut notes = plan["notes"].as_array().unwrap().iter();
        let note = notes.find(|note| note["isError"] == true).unwrap()["message"].as_str().unwrap();
        assert!(note.contains("the credentials are for") && note.contains("nothing is sent"), "{note}");
        assert_eq!(entry(&plan, "acme")["outcome"], "unknown");
    }
    assert_eq!(other.requests().len(), 0, "{:?}", other.requests());
    other.shutdown().await;
    test.finish().await;
}

/// A pull request names an authority of its own. With that authority and a place in the network, its author could
/// answer in the name of the platform.
#[tokio::test(flavor = "multi_thread")]
async fn an_edited_ca_bundle_gets_no_credentials_of_others() {
    let test = Test::new("plan-ca-bundle").await;
    let ours = authority("Of the pull request");
    let url = behind_tls(test.simulator.address(), certificate("127.0.0.1", false, Some(&ours))).await;
    let hosts = url.trim_start_matches("https://");
    test.connection("default", json!({"url": url})).await;
    let tenant = test.simulator.add_tenant(TenantSpec::customer("Acme GmbH"));
    let namespace = &test.namespace;
    let metadata = |name: &str| json!({"name": name, "namespace": namespace});
    let connection = |bundle: Option<String>| {
        let mut spec = json!({"url": url, "credentialsSecretRef": {"name": "default"}});
        if let Some(bundle) = bundle {
            spec["caBundle"] = json!(bundle);
        }
        json!({"apiVersion": "tenantpricing.io/v1alpha1", "kind": "PlatformConnection",
               "metadata": metadata("default"), "spec": spec})
    };
    let object = manifest(namespace, "acme", &format!("{{id: {tenant}}}"), "{at: Immediately}");
    let edited = format!("{}\n---\n{object}", connection(Some(ours.pem())));
    let [(id, id_value), (secret, secret_value)] = credentials(&test);
    let with_variables: &[(&str, &str)] =
        &[(id, &id_value), (secret, &secret_value), ("TENANT_PRICING_ALLOWED_HOSTS", hosts)];
    let without: &[(&str, &str)] = &[("TENANT_PRICING_ALLOWED_HOSTS", hosts)];
    let by_url = ["plan", "-f", "-", "-o", "json", "--url", &url];
    let no_cluster = ["plan", "-f", "-", "-o", "json", "--no-cluster", "--url", &url];
    let by_cluster = ["plan", "-f", "-", "-o", "json"];
    for (arguments, variables) in
        [(&by_url[..], with_variables), (&no_cluster[..], with_variables), (&by_cluster[..], without)]
    {
        let output = test.plugin(arguments, variables, &edited).await;
        assert_eq!(output.code, 1, "{arguments:?}: {}{}", output.stdout, output.stderr);
        let notes = json(&output)["notes"].to_string();
        assert!(notes.contains("so its spec.caBundle is not trusted"), "{notes}");
        assert!(notes.contains("comes from an unknown authority"), "{notes}");
    }
    assert_eq!(test.simulator.requests().len(), 0, "{:?}", test.simulator.requests());

    // Its own credentials may go wherever it says.
    let data = json!({"clientId": id_value, "clientSecret": secret_value});
    let own =
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": metadata("default"), "stringData": data});
    let output = test.plugin(&no_cluster[..6], without, &format!("{edited}{own}\n")).await;
    assert_eq!(output.code, 2, "{}{}", output.stdout, output.stderr);
    assert_eq!(entry(&json(&output), "acme")["outcome"], "switchNow");
    // What is stored is beside the stored Secret. It counts also where the pull request removes it.
    test.edit::<PlatformConnection>("default", json!({"spec": {"caBundle": ours.pem()}})).await;
    let removed = format!("{}\n---\n{object}", connection(None));
    for input in [&edited, &removed] {
        let output = test.plugin(&by_cluster, without, input).await;
        assert_eq!(output.code, 2, "{}{}", output.stdout, output.stderr);
        assert_eq!(entry(&json(&output), "acme")["outcome"], "switchNow");
    }
    // The given ones trust no manifest, wherever it is.
    let requests = test.simulator.requests().len();
    assert_eq!(test.plugin(&by_url, with_variables, &edited).await.code, 1);
    assert_eq!(test.simulator.requests().len(), requests);
    assert_only_reads(&test.simulator.requests());
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revision_of_git_is_the_base() {
    let test = Test::new("plan-git").await;
    let tenant = test.simulator.add_tenant(TenantSpec::customer("Acme GmbH"));
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::create_dir(path("tenants")).unwrap();
    let planned = manifest("team", "planned", &format!("{{id: {tenant}}}"), "{at: MonthStart}");
    fs::write(path("tenants/planned.yaml"), &planned).unwrap();
    let gone = TenantSpec::customer("Gone GmbH");
    let gone = test.simulator.add_tenant(gone);
    fs::write(
        path("tenants/gone.yaml"),
        manifest("team", "gone", &format!("{{id: {gone}}}"), "{at: MonthStart}"),
    )
    .unwrap();
    let git = |arguments: &[&str]| {
        let mut command = std::process::Command::new("git");
        command.args(["-c", "user.name=t", "-c", "user.email=t@example.com"]).args(arguments);
        let output = command.current_dir(folder.path()).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    };
    git(&["init", "-q", "-b", "main"]);
    git(&["add", "-A"]);
    git(&["commit", "-qm", "base"]);
    fs::write(path("tenants/planned.yaml"), planned.replace("mode: production", "mode: trial")).unwrap();
    fs::remove_file(path("tenants/gone.yaml")).unwrap();
    let fresh = test.simulator.add_tenant(TenantSpec::customer("Fresh GmbH"));
    fs::write(
        path("tenants/new.yaml"),
        manifest("team", "new", &format!("{{id: {fresh}}}"), "{at: Immediately}"),
    )
    .unwrap();
    let (url, variables) = (test.simulator.url(), credentials(&test));
    let run = async |base: &str, directory: &str| {
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_kubectl-tenantpricing"));
        command.args(["plan", "-f", if directory == "tenants" { "." } else { "tenants" }, "--no-cluster"]);
        command.args(["-o", "json", "--url", &url, "--base", base]).current_dir(path(directory));
        command.envs(variables.iter().map(|(name, value)| (*name, value.as_str())));
        command.env("TENANT_PRICING_ALLOWED_HOSTS", &url);
        let output = command.output().await.unwrap();
        (
            output.status.code(),
            String::from_utf8(output.stdout).unwrap(),
            String::from_utf8(output.stderr).unwrap(),
        )
    };
    for (base, directory) in [("main", "."), ("main", "tenants"), ("main:tenants", ".")] {
        let (code, printed, error) = run(base, directory).await;
        assert_eq!(code, Some(2), "{base} {directory}: {printed}{error}");
        let plan: serde_json::Value = serde_json::from_str(&printed).unwrap();
        let outcomes = ["planned", "gone", "new"].map(|name| entry(&plan, name)["outcome"].clone());
        assert_eq!(outcomes, ["cancelled", "cancelled", "switchNow"], "{plan:#}");
        assert_eq!(entry(&plan, "gone")["change"], "delete");
    }
    let (code, printed, error) = run("no-such-revision", ".").await;
    assert_eq!((code, printed.as_str()), (Some(1), ""));
    assert!(error.contains("--base \"no-such-revision\""), "{error}");
    assert_only_reads(&test.simulator.requests());
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_manifests_take_few_requests() {
    let test = Test::new("plan-thousand").await;
    let ids = test.simulator.add_customers(1000, "customer");
    let mut input = String::new();
    for (number, id) in ids.iter().enumerate() {
        let tenant = if number % 2 == 0 {
            format!("{{id: {id}}}")
        } else {
            format!("{{name: customer-{:05}}}", number + 1)
        };
        input += &manifest("team", &format!("c{number}"), &tenant, "{at: MonthStart}");
    }
    let [(id, id_value), (secret, secret_value)] = credentials(&test);
    let url = test.simulator.url();
    let arguments = ["plan", "-f", "-", "-o", "json", "--no-cluster", "--url", &url];
    let output = test.plugin(&arguments, &[(id, &id_value), (secret, &secret_value)], &input).await;
    assert_eq!(output.code, 2, "{}", output.stderr);
    let plan = json(&output);
    assert_eq!(plan["summary"]["switchesLater"], 1000, "{:#}", plan["summary"]);
    let requests = test.simulator.requests();
    assert!(requests.len() <= 25, "{} requests", requests.len());
    assert_only_reads(&requests);
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scheduled_object_of_the_cluster_is_unchanged_or_cancelled() {
    let test = Test::new("plan-stored").await;
    test.connection("default", json!({})).await;
    test.controller().await;
    let tenant = test.simulator.add_tenant(TenantSpec::customer("Acme GmbH"));
    let manifest = manifest(&test.namespace, "acme", &format!("{{id: {tenant}}}"), "{at: MonthStart}");
    test.apply(&manifest).await;
    test.until("acme", "is scheduled", |object| has(object, "Ready", "True")).await;
    let arguments = ["plan", "-f", "-", "-o", "json"];
    let output = test.plugin(&arguments, &[], &manifest).await;
    assert_eq!(output.code, 0, "{}{}", output.stdout, output.stderr);
    assert_eq!(json(&output)["summary"]["unchanged"], 1);
    let taken_back = manifest.replace("mode: production", "mode: trial");
    let output = test.plugin(&arguments, &[], &taken_back).await;
    assert_eq!(output.code, 2, "{}{}", output.stdout, output.stderr);
    assert_eq!(entry(&json(&output), "acme")["outcome"], "cancelled");
    let output = test.plugin(&["plan", "-f", "-", "--fail-on", "any-switch"], &[], &manifest).await;
    assert_eq!(output.code, 0, "{}{}", output.stdout, output.stderr);
    test.finish().await;
}

/// Lets `planner` use these verbs on our kinds in the namespace of the test. Returns its kubeconfig.
async fn kubeconfig_with(test: &Test, verbs: &[&str]) -> String {
    let rights = json!({"apiVersion": "v1", "kind": "List", "items": [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "planner"}},
        {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "planner"}, "rules": [
            {"apiGroups": ["tenantpricing.io"], "resources": ["tenantpricings", "platformconnections"],
             "verbs": verbs}]},
        {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": "planner"},
         "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "planner"},
         "subjects": [{"kind": "ServiceAccount", "name": "planner", "namespace": test.namespace}]}]});
    test.apply(&rights.to_string()).await;
    test.service_account_kubeconfig("planner").await.to_str().unwrap().to_owned()
}

/// A policy of this namespace that refuses objects named `forbidden`, and its binding.
fn policy(namespace: &str) -> String {
    json!({"apiVersion": "v1", "kind": "List", "items": [
        {"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicy",
         "metadata": {"name": format!("{namespace}-names")},
         "spec": {"failurePolicy": "Fail",
          "matchConstraints": {"resourceRules": [{"apiGroups": ["tenantpricing.io"], "apiVersions": ["*"],
            "operations": ["CREATE", "UPDATE"], "resources": ["tenantpricings", "platformconnections"]}]},
          "validations": [{"expression": "!object.metadata.name.startsWith('forbidden')",
            "message": "the name is not one that accounting knows"}]}},
        {"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicyBinding",
         "metadata": {"name": format!("{namespace}-names")},
         "spec": {"policyName": format!("{namespace}-names"), "validationActions": ["Deny"],
          "matchResources": {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}}}}}]})
    .to_string()
}

fn is_rejected(plan: &Value, name: &str) -> bool {
    entry(plan, name)["reason"] == "RejectedAtAdmission"
}

/// The names of the objects that the namespace of a test stores.
async fn stored_names(test: &Test) -> String {
    test.kubectl(&["get", "tenantpricings,platformconnections", "-o", "name"]).await.success()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_server_validates_by_a_dry_run() {
    let test = Test::new("plan-validate").await;
    let namespace = test.namespace.clone();
    test.apply(&policy(&namespace)).await;
    let stored =
        manifest(&namespace, "stored", "{id: 6f1a0000-0000-4000-8000-000000000001}", "{at: MonthStart}");
    test.apply(&stored).await;
    let before = stored_names(&test).await;
    let connection = format!(
        "apiVersion: tenantpricing.io/v1alpha1\nkind: PlatformConnection\nmetadata: {{name: forbidden, namespace: \
         {namespace}}}\nspec: {{url: 'https://eu2-cloud.acronis.com', credentialsSecretRef: {{name: x}}}}\n---\n"
    );
    let input = connection
        + &manifest(&namespace, "fine", "{name: Fine AG}", "{at: MonthStart}")
        + &manifest(&namespace, "forbidden", "{name: Bolt AG}", "{at: MonthStart}")
        + &manifest(&namespace, "unknown", "{name: Cedar AG}", "{att: MonthStart}")
        + &manifest("nowhere", "forbidden-elsewhere", "{name: Dune AG}", "{at: MonthStart}")
        // The tenant of an object is permanent: a rule about the change.
        + &stored.replace("6f1a0000", "6f1b0000");
    let arguments = ["plan", "-f", "-", "-o", "json", "--offline"];
    let asked = [&arguments[..], &["--validate", "server"]].concat();
    // The API server learns of a policy a moment after it is stored.
    let in_force = async {
        loop {
            let plan = json(&test.plugin(&asked, &[], &input).await);
            if is_rejected(&plan, "forbidden") {
                return plan;
            }
        }
    };
    let plan = timeout(Duration::from_secs(60), in_force).await.expect("the policy comes into force");
    let why = |name: &str| entry(&plan, name)["message"].as_str().unwrap_or_default().to_owned();
    assert!(why("forbidden").contains("the name is not one that accounting knows"), "{plan:#}");
    assert!(why("unknown").contains("unknown field \"spec.switch.att\""), "{plan:#}");
    assert_eq!(entry(&plan, "unknown")["source"]["line"], 19, "{plan:#}");
    let local = json(&test.plugin(&arguments, &[], &input).await);
    assert!(is_rejected(&plan, "stored"), "{plan:#}");
    assert_eq!(why("stored"), entry(&local, "stored")["message"].as_str().unwrap());
    for (plan, name) in [(&plan, "fine"), (&plan, "forbidden-elsewhere"), (&local, "forbidden")] {
        assert!(!is_rejected(plan, name), "{name}: {plan:#}");
    }
    let notes = plan["notes"].to_string();
    assert!(notes.contains(&format!("PlatformConnection {namespace}/forbidden is refused")), "{notes}");
    assert!(notes.contains("namespace nowhere does not exist"), "{notes}");
    assert_eq!(stored_names(&test).await, before, "a dry run stores nothing");
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_validation_without_rights_is_an_error_that_says_so() {
    let test = Test::new("plan-rights").await;
    let namespace = test.namespace.clone();
    let kubeconfig = kubeconfig_with(&test, &["get", "list"]).await;
    let input = manifest(&namespace, "acme", "{name: Acme GmbH}", "{at: MonthStart}");
    let arguments =
        ["plan", "--kubeconfig", &kubeconfig, "-n", &namespace, "-f", "-", "-o", "json", "--offline"];
    let output = test.plugin(&[&arguments[..], &["--validate=server"]].concat(), &[], &input).await;
    assert_eq!(output.code, 1, "{}{}", output.stdout, output.stderr);
    let plan = json(&output);
    let note = plan["notes"][0]["message"].as_str().unwrap();
    assert!(note.contains("cannot create resource \"tenantpricings\""), "{note}");
    assert!(note.contains("--validate=local needs no right to write"), "{note}");
    let output = test.plugin(&["plan", "-f", "-", "--validate=server", "--no-cluster"], &[], &input).await;
    assert_eq!((output.code, &*output.stdout), (1, ""));
    assert!(output.stderr.contains("--no-cluster forbids that"), "{}", output.stderr);
    test.finish().await;
}
