//! The values by which a user adds to the pod, and what they must not do.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::values::{file, manifests, of_kind, template};
use crate::{delivery::documents::table, harness::Test};

/// A setting has one place, and a message that names it.
#[tokio::test(flavor = "multi_thread")]
async fn a_variable_of_the_controller_is_refused_with_its_value() {
    let test = Test::new("chart-variables").await;
    let values: Value =
        serde_saphyr::from_str(&file("charts/tenant-pricing-controller/values.yaml")).unwrap();
    let mut tried = 0;
    for row in table("docs/operations.md", "## Flags") {
        let variable = row[1].trim_matches('`');
        let message = template(&test, &["--set", &format!("extraEnv[0].name={variable}")]).await.failure();
        let expected = format!("extraEnv[0] is {variable}, which is a setting of the controller: ");
        let (_, instead) = message.split_once(&expected).unwrap_or_else(|| panic!("{variable}: {message}"));
        let named: Vec<_> = instead.split([' ', ',', '\n']).map(|word| word.replace('.', "/")).collect();
        let is_a_value = |word: &String| !word.is_empty() && values.pointer(&format!("/{word}")).is_some();
        assert!(named.iter().any(is_a_value), "{variable}: names no value of the chart: {instead}");
        tried += 1;
    }
    assert!(tried >= 10, "only {tried} flags");
    let message =
        template(&test, &["--set", "extraEnv[0].name=TENANT_PRICING_TEST_CLOCK_FILE"]).await.failure();
    assert!(message.contains("no value sets it: take it out"), "{message}");
    let message = template(&test, &["--set", "extraEnvFrom[0].prefix=TENANT_PRICING_"]).await.failure();
    assert!(message.contains("extraEnvFrom[0].prefix is \"TENANT_PRICING_\""), "{message}");
}

/// Whatever `extraEnvFrom` brings: an entry of `env` wins, and a flag wins over both.
#[tokio::test(flavor = "multi_thread")]
async fn no_config_map_can_change_a_setting() {
    let test = Test::new("chart-env-from").await;
    for (values, is_secret) in
        [("", false), ("platformProxySecretRef.name=proxy,platformProxySecretRef.key=url,", true)]
    {
        let values = format!("{values}extraEnvFrom[0].configMapRef.name=shared");
        let manifests = manifests(&test, &["--set", &values]).await;
        let container = &of_kind(&manifests, "Deployment")[0]["spec"]["template"]["spec"]["containers"][0];
        let variables = container["env"].as_array().unwrap();
        let of =
            |name: &str| variables.iter().filter(|variable| variable["name"] == name).collect::<Vec<_>>();
        let arguments = container["args"].to_string();
        let mut names = BTreeSet::new();
        for row in table("docs/operations.md", "## Flags") {
            let (flag, variable) = (row[0].trim_matches('`'), row[1].trim_matches('`'));
            let flag = flag.split('[').next().unwrap();
            let is_safe = arguments.contains(&format!("{flag}=")) || of(variable).len() == 1;
            assert!(is_safe, "a ConfigMap could set {variable}");
            names.insert(variable.to_owned());
        }
        let proxy = of("TENANT_PRICING_PLATFORM_PROXY")[0];
        assert_eq!(proxy["value"] == "", !is_secret, "{proxy}");
        assert!(variables.iter().all(|variable| names.contains(variable["name"].as_str().unwrap())));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mount_hides_neither_the_token_nor_the_program() {
    let test = Test::new("chart-mounts").await;
    for (path, hidden) in [
        ("/", "the program"),
        ("/.", "the program"),
        ("/etc/..", "the program"),
        ("/usr/local", "the program"),
        ("/usr/local/bin/tenant-pricing-controller", "the program"),
        ("/var/run", "the token"),
        ("/run", "the token"),
        ("/run/secrets/kubernetes.io", "the token"),
        ("/var/run/secrets/kubernetes.io/serviceaccount", "the token"),
        ("/var/run/secrets/kubernetes.io/serviceaccount/token", "the token"),
        ("/var/lib/../run//secrets/", "the token"),
    ] {
        let values = format!("extraVolumeMounts[0].name=own,extraVolumeMounts[0].mountPath={path}");
        let message = template(&test, &["--set", &values]).await.failure();
        assert!(
            message.contains(&format!("extraVolumeMounts[0].mountPath is {path:?}, which would hide")),
            "{message}"
        );
        assert!(message.contains(hidden) && message.contains("mount it elsewhere"), "{path}: {message}");
    }
    for path in ["/etc/ssl/own", "/var/run/secrets/kubernetes.io/other", "/usr/local/bin/other", "/runner"] {
        let volume = "extraVolumes[0].name=own,extraVolumes[0].secret.secretName=own";
        let values = format!("{volume},extraVolumeMounts[0].name=own,extraVolumeMounts[0].mountPath={path}");
        template(&test, &["--set", &values]).await.success();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_volume_is_of_a_type_that_restricted_admits() {
    let test = Test::new("chart-volumes").await;
    let values = "extraVolumes[0].name=own,extraVolumes[0].hostPath.path=/etc";
    let message = template(&test, &["--set", values]).await.failure();
    assert!(message.contains("extraVolumes[0] is of the type hostPath"), "{message}");
    assert!(message.contains("use one of configMap, csi,"), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_replica_has_no_budget_and_no_spread() {
    let test = Test::new("chart-one").await;
    let one = manifests(&test, &[]).await;
    assert!(of_kind(&one, "PodDisruptionBudget").is_empty());
    assert_eq!(
        of_kind(&one, "Deployment")[0]["spec"]["template"]["spec"]["topologySpreadConstraints"],
        Value::Null
    );
    let off = manifests(&test, &["--set", "replicaCount=2,podDisruptionBudget.enabled=false"]).await;
    assert!(of_kind(&off, "PodDisruptionBudget").is_empty());
}

/// Each entry of the rules: the ports, and whether only public addresses are admitted.
fn platform_rules(manifests: &[Value]) -> Vec<(Value, bool)> {
    let rules = of_kind(manifests, "NetworkPolicy")[0]["spec"]["egress"].as_array().unwrap();
    let rules = rules[2..].iter();
    let ports =
        |rule: &Value| rule["ports"].as_array().unwrap().iter().map(|port| port["port"].clone()).collect();
    rules.map(|rule| (ports(rule), rule["to"][0]["ipBlock"]["except"][0] == "10.0.0.0/8")).collect()
}

/// As the controller itself does: docs/operations.md, "Which addresses a host may have".
#[tokio::test(flavor = "multi_thread")]
async fn a_network_policy_admits_what_the_allowed_hosts_do() {
    let test = Test::new("chart-network").await;
    for (values, expected) in [
        ("", vec![(json!([443]), true)]),
        ("allowedHosts={cloud.example}", vec![(json!([443]), true)]),
        ("allowedHosts={*.example:8443}", vec![(json!([8443]), true)]),
        ("allowedHosts={http://*.example}", vec![(json!([80]), true)]),
        ("allowedHosts={cloud.example:8443}", vec![(json!([8443]), false)]),
        ("allowedHosts={http://cloud.example}", vec![(json!([80]), false)]),
        ("allowedHosts={10.1.2.3}", vec![(json!([443]), false)]),
        ("allowedHosts={[fd00::7]:8443}", vec![(json!([8443]), false)]),
        (
            "allowedHosts={*.acronis.com,a.example,b.example:1}",
            vec![(json!([443]), true), (json!([1]), false)],
        ),
        ("platformProxy=http://proxy.example:3128", vec![(json!([3128]), false)]),
        ("platformProxy=https://proxy.example/", vec![(json!([443]), false)]),
        ("networkPolicy.egress.platform.ports={8443}", vec![(json!([8443]), true)]),
    ] {
        let values = format!("networkPolicy.enabled=true,{values}");
        let manifests = manifests(&test, &["--set", values.trim_end_matches(',')]).await;
        assert_eq!(platform_rules(&manifests), expected, "{values}");
    }
}

/// A note, and no failure: the operator may come later.
#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_without_the_operator_gets_a_note() {
    let test = Test::new("chart-operator").await;
    let common = "crds.enabled=false,rbac.create=false,rbac.userRoles=false,fullnameOverride=controller";
    for kind in ["ServiceMonitor", "PodMonitor", "PrometheusRule"] {
        let name = kind[..1].to_lowercase() + &kind[1..];
        let values = format!("{common},metrics.{name}.enabled=true");
        let arguments = ["upgrade", "--install", "it", super::CHART, "--set", &values];
        let notes = test.helm(&arguments).await.success();
        assert!(
            notes.contains(&format!("There is no {kind}: this cluster does not know the kind")),
            "{notes}"
        );
        // Where Helm only renders, it cannot know.
        let rendered = manifests(&test, &["--set", &values]).await;
        assert_eq!(of_kind(&rendered, kind).len(), 1, "{kind}");
        let known = ["--api-versions", "apiregistration.k8s.io/v1", "--set", &values];
        assert!(of_kind(&manifests(&test, &known).await, kind).is_empty(), "{kind}");
        let operator = format!("monitoring.coreos.com/v1/{kind}");
        let known = [&["--api-versions", &operator], &known[..]].concat();
        assert_eq!(of_kind(&manifests(&test, &known).await, kind).len(), 1, "{kind}");
    }
    test.helm(&["uninstall", "it"]).await.success();
    test.finish().await;
}
