//! What a plan says to a user who may not read everything that it concerns.

use serde_json::Value;
use tenant_pricing_controller::simulator::TenantSpec;

use super::{assert_only_reads, entry, json, manifest};
use crate::harness::{Output, Test};

/// What a role admits: a namespace, a resource, and verbs.
type Rule<'a> = (&'a str, &'a str, &'a [&'a str]);

/// A team with a namespace of its own, beside that of the platform with the connection.
struct Team {
    test: Test,
    namespace: String,
}

impl Team {
    async fn new(name: &str) -> Self {
        let test = Test::new(name).await;
        test.connection("default", json!({"allowedNamespaces": {"from": "All"}})).await;
        let namespace = format!("{}-team", test.namespace);
        test.kubectl(&["create", "namespace", &namespace]).await.success();
        Self { test, namespace }
    }

    fn platform(&self) -> &str {
        &self.test.namespace
    }

    /// The kubeconfig of a user with these rights.
    async fn user(&self, name: &str, rules: &[Rule<'_>]) -> String {
        let (api, group) = ("rbac.authorization.k8s.io/v1", "rbac.authorization.k8s.io");
        let account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}});
        let mut items = vec![account];
        for (number, (namespace, resource, verbs)) in rules.iter().enumerate() {
            let of = if *resource == "secrets" { "" } else { "tenantpricing.io" };
            let role = format!("{name}-{number}");
            let metadata = json!({"name": role, "namespace": namespace});
            items.push(json!({"apiVersion": api, "kind": "Role", "metadata": metadata, "rules": [
                {"apiGroups": [of], "resources": [resource], "verbs": verbs}]}));
            items.push(json!({"apiVersion": api, "kind": "RoleBinding", "metadata": metadata,
                "roleRef": {"apiGroup": group, "kind": "Role", "name": role},
                "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": self.platform()}]}));
        }
        let list = json!({"apiVersion": "v1", "kind": "List", "items": items});
        self.test.apply(&list.to_string()).await;
        self.test.service_account_kubeconfig(name).await.to_str().unwrap().to_owned()
    }

    /// A manifest of an object of the team, through the connection of the platform.
    fn object(&self, name: &str, tenant: &str, switch: &str) -> String {
        let text = manifest(&self.namespace, name, &format!("{{id: {tenant}}}"), switch);
        let reference = format!("connectionRef: {{name: default, namespace: {}}}, mode:", self.platform());
        text.replace("mode:", &reference)
    }

    /// The plan of a user, with these flags.
    async fn plan(&self, kubeconfig: &str, flags: &[&str], input: &str) -> (Output, Value) {
        let first = ["plan", "--kubeconfig", kubeconfig, "-n", &self.namespace, "-f", "-", "-o", "json"];
        let output = self.test.plugin(&[&first, flags].concat(), &[], input).await;
        let plan = json(&output);
        (output, plan)
    }
}

fn notes(plan: &Value) -> String {
    plan["notes"].to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_in_one_namespace_and_get_of_the_connection_suffice() {
    let team = Team::new("plan-role").await;
    let (mine, platform) = (team.namespace.as_str(), team.platform());
    let rules: [Rule<'_>; 3] = [
        (mine, "tenantpricings", &["list"]),
        (platform, "platformconnections", &["get"]),
        (platform, "secrets", &["get"]),
    ];
    let user = team.user("planner", &rules).await;
    let tenant = team.test.simulator.add_tenant(TenantSpec::customer("Acme GmbH"));
    let later = team.object("acme", &tenant, "{at: MonthStart}");
    let (output, plan) = team.plan(&user, &[], &later).await;
    assert_eq!(output.code, 2, "{plan:#}{}", output.stderr);
    let acme = entry(&plan, "acme");
    assert_eq!((&acme["change"], &acme["outcome"]), (&json!("create"), &json!("switchLater")), "{plan:#}");
    assert!(notes(&plan).contains(&format!("tenantpricings are read in {mine} only")), "{plan:#}");
    assert!(!notes(&plan).contains("is not known: you may not"), "{plan:#}");
    // What is stored counts.
    team.test.apply(&later).await;
    let (output, plan) = team.plan(&user, &[], &later).await;
    assert_eq!((output.code, &plan["summary"]["unchanged"]), (0, &json!(1)), "{plan:#}");
    let now = later.replace("MonthStart", "Immediately");
    let (output, plan) = team.plan(&user, &["--fail-on", "unknown"], &now).await;
    let acme = entry(&plan, "acme");
    assert_eq!((&acme["change"], &acme["outcome"]), (&json!("update"), &json!("switchNow")), "{plan:#}");
    assert_eq!(output.code, 2, "{plan:#}");
    assert_only_reads(&team.test.simulator.requests());
    team.test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_get_of_the_connection_its_objects_are_unknown() {
    let team = Team::new("plan-no-get").await;
    let (mine, platform) = (team.namespace.clone(), team.platform().to_owned());
    let user = team.user("planner", &[(&mine, "tenantpricings", &["get", "list"])]).await;
    let tenant = team.test.simulator.add_tenant(TenantSpec::customer("Acme GmbH"));
    let now = team.object("acme", &tenant, "{at: Immediately}");
    let why = format!("you may not get platformconnections in namespace {platform}. Ask for that right");
    for (policy, code) in [("switches>1", 2), ("unknown", 4), ("immediate-switch", 4)] {
        let (output, plan) = team.plan(&user, &["--fail-on", policy], &now).await;
        assert_eq!(output.code, code, "{policy}: {plan:#}{}", output.stderr);
        let acme = entry(&plan, "acme");
        assert_eq!((&acme["change"], &acme["outcome"]), (&json!("create"), &json!("unknown")), "{plan:#}");
        assert!(acme["message"].as_str().unwrap().contains(&why), "{plan:#}");
        assert!(notes(&plan).contains(&why), "{plan:#}");
    }
    // A manifest of the connection is not what is stored.
    let connection = format!(
        "apiVersion: tenantpricing.io/v1alpha1\nkind: PlatformConnection\nmetadata: {{name: default, namespace: \
         {platform}}}\nspec: {{url: '{}', credentialsSecretRef: {{name: default}}, allowedNamespaces: {{from: All}}}}\n---\n",
        team.test.simulator.url()
    );
    let (output, plan) = team.plan(&user, &["--offline"], &(connection + &now)).await;
    assert_eq!(entry(&plan, "acme")["outcome"], "unknown", "{plan:#}");
    let notes = notes(&plan);
    assert!(notes.contains("may change, since the stored one is not known"), "{notes}");
    assert!(!notes.contains("is new"), "{notes}");
    // What else goes through it is not known: the objects around it cannot be listed.
    assert!(notes.contains(&format!("you may not list tenantpricings in namespace {platform}")), "{notes}");
    assert_eq!(output.code, 1, "{plan:#}");
    assert_eq!(team.test.simulator.requests().len(), 0);
    team.test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_of_a_namespace_that_is_not_listed_are_unknown() {
    let team = Team::new("plan-no-list").await;
    let (mine, platform) = (team.namespace.clone(), team.platform().to_owned());
    let rules: [Rule<'_>; 4] = [
        (&mine, "tenantpricings", &["list", "create", "update"]),
        (&platform, "tenantpricings", &["create", "update"]),
        (&platform, "platformconnections", &["get"]),
        (&platform, "secrets", &["get"]),
    ];
    let user = team.user("planner", &rules).await;
    let [one, other] =
        ["Acme GmbH", "Bolt AG"].map(|name| team.test.simulator.add_tenant(TenantSpec::customer(name)));
    let shown = team.object("shown", &one, "{at: MonthStart}");
    let hidden = manifest(&platform, "hidden", &format!("{{id: {other}}}"), "{at: MonthStart}");
    team.test.apply(&hidden).await;
    let input = shown + &hidden;
    let why = format!("you may not list tenantpricings in namespace {platform}. Ask for that right");
    for (policy, code) in [("switches>2", 2), ("unknown", 4), ("immediate-switch", 4)] {
        let (output, plan) = team.plan(&user, &["--fail-on", policy], &input).await;
        assert_eq!(output.code, code, "{policy}: {plan:#}{}", output.stderr);
        assert_eq!(entry(&plan, "shown")["outcome"], "switchLater", "{plan:#}");
        let hidden = entry(&plan, "hidden");
        assert_eq!(
            (&hidden["change"], &hidden["outcome"]),
            (&json!("unknown"), &json!("unknown")),
            "{plan:#}"
        );
        assert!(hidden["message"].as_str().unwrap().contains(&why), "{plan:#}");
        assert!(notes(&plan).contains(&why), "{plan:#}");
    }
    // A dry run that creates it would say that it exists.
    let (output, plan) = team.plan(&user, &["--offline", "--validate=server"], &input).await;
    assert_eq!(output.code, 1, "{plan:#}");
    let not_checked = format!("The API server did not check TenantPricing {platform}/hidden: {why}");
    assert!(notes(&plan).contains(&not_checked), "{plan:#}");
    assert_eq!(entry(&plan, "hidden")["outcome"], "unknown", "{plan:#}");
    assert_only_reads(&team.test.simulator.requests());
    team.test.finish().await;
}
