//! What the chart renders from its values, without installing it.

use futures::{StreamExt as _, stream};
use serde_json::{Value, json};
use tenant_pricing_controller::testing::golden;

use super::{AT_ONCE, CHART};
use crate::harness::{Output, Test};

/// Each value set to something else than its default, but for those in [`ALTERNATIVES`].
pub(super) const EVERYTHING: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/tests/integration/delivery/chart/values/everything.yaml");
/// The values that cannot be set together with those in [`EVERYTHING`], or have no effect there.
pub(super) const ALTERNATIVES: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/tests/integration/delivery/chart/values/alternatives.yaml");

/// What `helm template` makes of the chart.
pub(super) async fn template(test: &Test, arguments: &[&str]) -> Output {
    super::template(test, CHART, arguments).await
}

/// The manifests of a chart with these arguments.
pub(super) async fn manifests(test: &Test, arguments: &[&str]) -> Vec<Value> {
    let yaml = template(test, arguments).await.success();
    serde_saphyr::from_multiple(&yaml).unwrap()
}

/// The text of a file of the package.
pub(super) fn file(path: &str) -> String {
    std::fs::read_to_string(format!("{}/{path}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

pub(super) fn of_kind<'a>(manifests: &'a [Value], kind: &str) -> Vec<&'a Value> {
    manifests.iter().filter(|manifest| manifest["kind"] == kind).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn helm_has_nothing_to_warn_of() {
    let test = Test::new("chart-lint").await;
    test.helm(&["lint", "--strict", CHART]).await.success();
    for values in [EVERYTHING, ALTERNATIVES] {
        test.helm(&["lint", "--strict", CHART, "--values", values]).await.success();
    }
}

/// Values as `--set` takes them, and what the refusal says.
const REFUSALS: &[(&str, &str)] = &[
    (
        "replicaCount=2,leaderElection.enabled=false",
        "replicaCount is 2 and leaderElection.enabled is false: without an election each of the pods would act",
    ),
    ("leaderElection.enabled=maybe", "at '/leaderElection/enabled': got string, want boolean"),
    ("leaderElection.leaseName=Mine", "leaderElection.leaseName is \"Mine\", which is no name of a Lease"),
    ("leaderElection.leaseName=a..b", "leaderElection.leaseName is \"a..b\", which is no name of a Lease"),
    ("leaderElection.leaseName=a.-b", "each part between two '.' with a letter or digit at both ends"),
    ("replicaCount=-1", "at '/replicaCount': minimum: got -1, want 0"),
    ("replicas=1", "additional properties 'replicas' not allowed"),
    ("image.repo=controller", "at '/image': additional properties 'repo' not allowed"),
    ("image.repository=", "at '/image/repository': minLength: got 0, want 1"),
    ("image.pullPolicy=Sometimes", "value must be one of 'Always', 'IfNotPresent', 'Never'"),
    ("image.digest=sha256:1", "image.digest is \"sha256:1\" and cannot be used: write sha256: and 64"),
    ("allowedHosts=*.acronis.com", "at '/allowedHosts': got string, want array"),
    ("allowedHosts[0]=https://eu2/api", "allowedHosts[0] is \"https://eu2/api\" and cannot be used"),
    ("allowedHosts[0]=eu2.acronis.*", "an entry is host, *.domain, host:port or http://host:port"),
    ("allowedHosts[0]=a b", "allowedHosts[0] is \"a b\""),
    ("allowedHosts=null", "allowedHosts is empty"),
    ("platformProxy=proxy:3128", "such as http://proxy.example:3128"),
    ("platformProxy=http://user:hidden@proxy:3128", "name it in platformProxySecretRef"),
    ("platformProxySecretRef.name=proxy", "platformProxySecretRef needs a name and a key"),
    ("watchNamespaces=platform", "at '/watchNamespaces': got string, want array"),
    ("watchNamespaces[0]=Platform", "watchNamespaces[0] is \"Platform\", which is no name of a namespace"),
    ("watchNamespaces={a,b,a}", "watchNamespaces names a namespace twice: a, b, a"),
    (
        "serviceAccount.create=false",
        "serviceAccount.create is false and serviceAccount.name is empty: every pod",
    ),
    ("switchAuthorization.contact=anna\nor bert", "a refusal shows one line: write whom to ask in one line"),
    (
        "metrics.prometheusRule.alertLabels.severity=page",
        "metrics.prometheusRule.alertLabels.severity would be ignored, because each alert has its own severity",
    ),
    ("admin.port=0", "at '/admin/port': minimum: got 0, want 1"),
    ("admin.host=::", "admin.host is \"::\" and cannot be used: a pod does not know its address"),
    ("crds.install=false", "crds.install has a new name: write crds.enabled"),
    ("metrics.service.create=true", "metrics.service.create has a new name: write metrics.service.enabled"),
    (
        "metrics.serviceMonitor.create=false",
        "metrics.serviceMonitor.create has a new name: write metrics.serviceMonitor.enabled",
    ),
    ("metrics.enabled=true", "at '/metrics': additional properties 'enabled' not allowed"),
    (
        "metrics.serviceMonitor.interval=often",
        "metrics.serviceMonitor.interval is \"often\" and cannot be used: write a time such as 30s",
    ),
    ("watchLabelSelector[0]=shard=a", "at '/watchLabelSelector': got array, want string"),
    ("logFormat=xml", "at '/logFormat': value must be one of 'text', 'json'"),
    ("logLevel=inof", "logLevel contains \"inof\""),
    ("crds.enabled=maybe", "at '/crds/enabled': got string, want boolean"),
    ("resources.limit.memory=1Gi", "at '/resources': additional properties 'limit' not allowed"),
    ("podLabels.team=1", "at '/podLabels/team': got number, want null or string"),
    ("fullnameOverride=My_App", "fullnameOverride \"My_App\" would make \"My_App\" the name of"),
    ("fullnameOverride=a.b", "lower-case letters, digits and '-', with a letter or digit at both ends"),
    ("nameOverride=Pricing", "the release's name \"release\" and nameOverride \"Pricing\" would make"),
    ("nameOverride=a b,fullnameOverride=ok", "nameOverride is \"a b\" and cannot be the value of a label"),
    ("fullnameOverride=7up,metrics.service.enabled=true", "\"7up\" cannot be the name of a Service"),
    ("namespaceOverride=Billing", "namespaceOverride is \"Billing\", which is no name of a namespace"),
    (
        "podDisruptionBudget.maxUnavailable=0,replicaCount=3",
        "podDisruptionBudget.maxUnavailable is 0: no pod could ever be evicted, and every drain",
    ),
    ("podDisruptionBudget.maxUnavailable=0%", "set podDisruptionBudget.enabled to false"),
    ("podDisruptionBudget.maxUnavailable=some", "at '/podDisruptionBudget/maxUnavailable'"),
    (
        "topologySpreadConstraints[0].maxSkew=1,topologySpreadConstraints[0].topologyKey=zone",
        "topologySpreadConstraints[0] has no labelSelector, and would spread nothing: add labelSelector: \
             {matchLabels: {app.kubernetes.io/instance: release}}",
    ),
    (
        "topologySpreadConstraints[0].labelSelector.matchLabels.a=b",
        "topologySpreadConstraints[0] has no topologyKey, and would spread nothing: add topologyKey: kubernetes",
    ),
    (
        "metrics.serviceMonitor.enabled=true,metrics.podMonitor.enabled=true",
        "Prometheus would count each pod twice. Keep one of them",
    ),
    (
        "metrics.podMonitor.scrapeTimeout=soon",
        "metrics.podMonitor.scrapeTimeout is \"soon\" and cannot be used: write a time such as 30s",
    ),
    (
        "metrics.prometheusRule.alerts.TenantPricingStaled.for=1h",
        "metrics.prometheusRule.alerts.TenantPricingStaled changes an alert that there is not: write one of Tenant",
    ),
    (
        "metrics.prometheusRule.alerts.TenantPricingNoLeader.threshold=2",
        "metrics.prometheusRule.alerts.TenantPricingNoLeader.threshold changes nothing, because this alert compares",
    ),
    (
        "metrics.prometheusRule.alerts.TenantPricingStalled.for=long",
        "metrics.prometheusRule.alerts.TenantPricingStalled.for is \"long\" and cannot be used: write a time",
    ),
    (
        "metrics.prometheusRule.alerts.TenantPricingStalled.threshhold=2",
        "at '/metrics/prometheusRule/alerts/TenantPricingStalled': additional properties 'threshhold'",
    ),
    (
        "networkPolicy.enabled=true,platformProxySecretRef.name=proxy,platformProxySecretRef.key=url",
        "networkPolicy.egress.platform.ports is empty, and the proxy's port is in a Secret",
    ),
    ("networkPolicy.egress.apiServer.cidrs[0]=10.0.0.1", "at '/networkPolicy/egress/apiServer/cidrs/0'"),
    ("networkPolicy.egress.apiServer.ports=[]", "at '/networkPolicy/egress/apiServer/ports': got string"),
    ("dnsPolicy=Mine", "at '/dnsPolicy': value must be one of"),
    ("hostUsers=no", "at '/hostUsers': got string, want boolean"),
    ("extraArgs[0]=--verbose", "additional properties 'extraArgs' not allowed"),
    ("extraContainers[0].name=sidecar", "additional properties 'extraContainers' not allowed"),
    ("securityContext.runAsUser=0", "additional properties 'securityContext' not allowed"),
    ("global.imagePullSecrets[0].secret=x", "at '/global/imagePullSecrets/0'"),
    ("enabled=maybe", "at '/enabled': got string, want boolean"),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_value_is_refused_by_name_and_with_the_way_out() {
    let test = Test::new("chart-values").await;
    let refuse = async |(value, expected): &(&str, &str)| {
        let message = template(&test, &["--set", value]).await.failure();
        assert!(message.contains(expected), "{value}: {message}");
        assert!(!message.contains("hidden"), "{value}: the password is repeated: {message}");
    };
    stream::iter(REFUSALS).for_each_concurrent(AT_ONCE, refuse).await;
}

/// Helm before 3.18 does not know this version of JSON Schema, and a flag turns the schema off.
#[tokio::test(flavor = "multi_thread")]
async fn without_the_schema_the_templates_refuse_what_matters() {
    let test = Test::new("chart-no-schema").await;
    for (value, expected) in [
        (
            "platformProxySecretRef.name=proxy",
            "platformProxySecretRef needs a name and a key: {name: proxy, key: url}",
        ),
        (
            "podDisruptionBudget.maxUnavailable=some",
            "write a number of pods, such as 1, or a percentage, such as 50%",
        ),
        ("extraEnv[0].value=x", "extraEnv[0] has no name: write {name: NAME, value: VALUE}"),
        ("extraVolumeMounts[0].name=own", "extraVolumeMounts[0].mountPath is \"\", which would hide"),
        ("crds.install=true", "crds.install has a new name: write crds.enabled"),
    ] {
        let message = template(&test, &["--skip-schema-validation", "--set", value]).await.failure();
        assert!(message.contains(expected), "{value}: {message}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_name_that_no_service_can_have_is_refused() {
    let test = Test::new("chart-names").await;
    for (name, refused) in [("team.a", true), ("a-b", false), ("7", false)] {
        let output = test.helm(&["template", name, CHART]).await;
        if refused {
            let message = output.failure();
            assert!(message.contains(&format!("the release's name {name:?} would make")), "{message}");
            assert!(message.contains("set fullnameOverride"), "{message}");
            test.helm(&["template", name, CHART, "--set", "fullnameOverride=team-a"]).await.success();
        } else {
            output.success();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_value_reaches_the_manifests() {
    let test = Test::new("chart-everything").await;
    let manifests = manifests(&test, &["--values", EVERYTHING]).await;
    let deployments = of_kind(&manifests, "Deployment");
    let [deployment] = deployments[..] else { panic!("{deployments:#?}") };
    assert_eq!(deployment["metadata"]["name"], "pricing");
    assert_eq!(deployment["spec"]["replicas"], 0);
    assert_eq!(deployment["spec"]["strategy"], json!({"type": "Recreate"}));
    let template = &deployment["spec"]["template"];
    assert_eq!(template["metadata"]["annotations"], json!({"example.com/checked": "yes"}));
    assert_eq!(template["metadata"]["labels"]["team"], "billing");
    let name = &template["metadata"]["labels"]["app.kubernetes.io/name"];
    assert_eq!(name, "tenant-pricing-controller", "a pod label must not take the selector away");
    let pod = &template["spec"];
    assert_eq!(pod["serviceAccountName"], "existing");
    assert_eq!(pod["terminationGracePeriodSeconds"], 45);
    assert_eq!(pod["imagePullSecrets"], json!([{"name": "shared"}, {"name": "registry"}]));
    assert_eq!(pod["nodeSelector"], json!({"kubernetes.io/os": "linux"}));
    assert_eq!(pod["tolerations"], json!([{"key": "control", "operator": "Exists"}]));
    assert_eq!(pod["affinity"]["nodeAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"], json!([]));
    assert_eq!(pod["priorityClassName"], "system-cluster-critical");
    let container = &pod["containers"][0];
    let image = format!("registry.example/pricing@sha256:{}", "0".repeat(64));
    assert_eq!((&container["image"], &container["imagePullPolicy"]), (&json!(image), &json!("Always")));
    assert_eq!(
        container["args"],
        json!([
            "run",
            "--allowed-hosts=*.acronis.com,http://localhost:8080",
            "--watch-namespaces=platform,customers",
            "--leader-elect=false",
            "--lease-namespace=billing",
            "--lease-name=mine",
            "--admin-address=[::]:9090",
            "--watch-label-selector=shard in (a,b)",
            "--log-format=text",
            "--log-level=info,tenant_pricing_controller=debug",
        ])
    );
    let proxy = json!({"secretKeyRef": {"name": "proxy", "key": "url"}});
    assert_eq!(
        container["env"],
        json!([
            {"name": "TENANT_PRICING_PLATFORM_PROXY", "valueFrom": proxy},
            // Empty, so that no ConfigMap of extraEnvFrom can set them.
            {"name": "TENANT_PRICING_WATCH_NAMESPACES", "value": ""},
            {"name": "TENANT_PRICING_WATCH_LABEL_SELECTOR", "value": ""},
            {"name": "RUST_BACKTRACE", "value": "1"},
        ])
    );
    let requests = json!({"cpu": "20m", "memory": "64Mi"});
    assert_eq!(container["resources"], json!({"limits": {"memory": "64Mi"}, "requests": requests}));
    assert_eq!(container["ports"], json!([{"name": "admin", "containerPort": 9090}]));
    prometheus_finds_the_pods(&manifests, &template["metadata"]["labels"]);
    others_are_named_and_placed_alike(&manifests);
}

/// Along the chain from Prometheus to the pod, whose labels these are.
fn prometheus_finds_the_pods(manifests: &[Value], pod_labels: &Value) {
    let service = of_kind(manifests, "Service")[0];
    assert_eq!(service["metadata"]["annotations"], json!({"example.com/scrape": "yes"}));
    let port = json!([{"name": "admin", "port": 9090, "targetPort": "admin"}]);
    assert_eq!(service["spec"]["ports"], port);
    let monitor = of_kind(manifests, "ServiceMonitor")[0];
    assert_eq!(monitor["metadata"]["labels"]["prometheus"], "main");
    assert_eq!(
        monitor["spec"]["endpoints"],
        json!([{
            "port": "admin", "path": "/metrics", "interval": "45s", "scrapeTimeout": "20s",
            "relabelings": [{"targetLabel": "cluster", "replacement": "eu2"}],
            "metricRelabelings": [{"action": "drop", "regex": "process_.*", "sourceLabels": ["__name__"]}],
        }])
    );
    for (selector, selected) in [
        (&monitor["spec"]["selector"]["matchLabels"], &service["metadata"]["labels"]),
        (&service["spec"]["selector"], pod_labels),
    ] {
        for (label, value) in selector.as_object().unwrap() {
            assert_eq!(&selected[label], value, "{label}");
        }
    }
}

/// The rights, and what is the same for all objects.
fn others_are_named_and_placed_alike(manifests: &[Value]) {
    for absent in ["CustomResourceDefinition", "ClusterRole", "ClusterRoleBinding", "ServiceAccount"] {
        assert!(of_kind(manifests, absent).is_empty(), "{absent} is switched off");
    }
    for kind in ["Role", "RoleBinding"] {
        let namespaces: Vec<_> =
            of_kind(manifests, kind).iter().map(|role| &role["metadata"]["namespace"]).collect();
        assert_eq!(namespaces, ["platform", "customers", "billing"], "{kind}");
    }
    let binding = of_kind(manifests, "RoleBinding")[0];
    let account = json!({"kind": "ServiceAccount", "name": "existing", "namespace": "billing"});
    assert_eq!(binding["subjects"], json!([account]));
    let own = of_kind(manifests, "ConfigMap");
    let own: Vec<_> = own.iter().map(|manifest| &manifest["metadata"]["name"]).collect();
    assert_eq!(own, ["pricing-dashboard", "pricing-own", "release-text"]);
    let is_of_the_user = |manifest: &Value| {
        ["pricing-own", "release-text"].map(Value::from).contains(&manifest["metadata"]["name"])
    };
    for manifest in manifests.iter().filter(|manifest| !is_of_the_user(manifest)) {
        let labels = &manifest["metadata"]["labels"];
        assert_eq!(
            (&labels["cost-center"], &labels["app.kubernetes.io/name"]),
            (&json!("7"), &json!("tenant-pricing-controller")),
            "{manifest}"
        );
        let namespace = manifest["metadata"]["namespace"].as_str().unwrap();
        let expected: &[&str] = match manifest["kind"].as_str().unwrap() {
            "Role" | "RoleBinding" if manifest["metadata"]["name"] != "pricing-lease" => {
                &["platform", "customers"]
            }
            _ => &["billing"],
        };
        assert!(expected.contains(&namespace), "{manifest}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn several_replicas_elect_one_by_a_lease_of_the_release() {
    let test = Test::new("chart-replicas").await;
    let manifests = manifests(&test, &["--namespace=system", "--set", "replicaCount=3"]).await;
    let deployment = of_kind(&manifests, "Deployment")[0];
    assert_eq!(deployment["spec"]["replicas"], 3);
    assert_eq!(deployment["spec"]["strategy"]["type"], "RollingUpdate");
    let arguments = deployment["spec"]["template"]["spec"]["containers"][0]["args"].as_array().unwrap();
    let lease = "release-tenant-pricing-controller";
    for argument in ["--leader-elect=true", "--lease-namespace=system", &format!("--lease-name={lease}")] {
        assert!(arguments.contains(&json!(argument)), "{argument}: {arguments:?}");
    }
    let role = of_kind(&manifests, "Role")[0];
    assert_eq!(role["metadata"]["namespace"], "system");
    assert_eq!(role["rules"][1]["resourceNames"], json!([lease]));
    let budget = of_kind(&manifests, "PodDisruptionBudget")[0];
    assert_eq!(budget["spec"]["maxUnavailable"], 1);
    let spread = &deployment["spec"]["template"]["spec"]["topologySpreadConstraints"][0];
    assert_eq!(spread["whenUnsatisfiable"], "ScheduleAnyway");
    assert_eq!(spread["topologyKey"], "kubernetes.io/hostname");
    assert_eq!(spread["labelSelector"], budget["spec"]["selector"]);
    let labels = &deployment["spec"]["template"]["metadata"]["labels"];
    for (label, value) in budget["spec"]["selector"]["matchLabels"].as_object().unwrap() {
        assert_eq!(&labels[label], value, "{label}");
    }
}

/// The chart does not expect the Prometheus operator.
#[tokio::test(flavor = "multi_thread")]
async fn probes_reach_the_admin_port_without_prometheus() {
    let test = Test::new("chart-probes").await;
    let manifests = manifests(&test, &[]).await;
    let container = &of_kind(&manifests, "Deployment")[0]["spec"]["template"]["spec"]["containers"][0];
    let arguments = container["args"].as_array().unwrap();
    assert!(arguments.contains(&json!("--admin-address=0.0.0.0:8080")), "{arguments:?}");
    assert_eq!(container["ports"], json!([{"name": "admin", "containerPort": 8080}]));
    for (probe, path) in [("livenessProbe", "/livez"), ("readinessProbe", "/readyz")] {
        assert_eq!(container[probe]["httpGet"], json!({"path": path, "port": "admin"}), "{probe}");
    }
    for absent in ["Service", "ServiceMonitor", "PodMonitor", "NetworkPolicy", "PodDisruptionBudget"] {
        assert!(of_kind(&manifests, absent).is_empty(), "{absent} is there only if it is asked for");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_monitor_brings_the_service_that_it_selects() {
    let test = Test::new("chart-monitor").await;
    let manifests = manifests(&test, &["--set", "metrics.serviceMonitor.enabled=true"]).await;
    assert_eq!(of_kind(&manifests, "Service").len(), 1);
    let monitor = of_kind(&manifests, "ServiceMonitor")[0];
    assert_eq!(monitor["spec"]["endpoints"], json!([{"port": "admin", "path": "/metrics"}]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_without_a_password_is_an_argument() {
    let test = Test::new("chart-proxy").await;
    let manifests = manifests(&test, &["--set", "platformProxy=http://proxy.example:3128"]).await;
    let container = &of_kind(&manifests, "Deployment")[0]["spec"]["template"]["spec"]["containers"][0];
    assert_eq!(container["args"][2], "--platform-proxy=http://proxy.example:3128");
    assert_eq!(container["env"], Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_chart_ships_the_generated_crds_and_keeps_them() {
    let test = Test::new("chart-crds").await;
    let manifests = manifests(&test, &[]).await;
    let rendered = of_kind(&manifests, "CustomResourceDefinition");
    assert_eq!(rendered.len(), 2);
    for plural in ["platformconnections", "tenantpricings"] {
        // That this file is the one that the program prints is a test of its own.
        let crd = file(&format!("crds/{plural}.yaml"));
        golden::compare(&format!("charts/tenant-pricing-controller/files/crds/{plural}.yaml"), &crd).unwrap();
        let mut expected: Value = serde_saphyr::from_str(&crd).unwrap();
        expected["metadata"]["annotations"] = json!({
            "helm.sh/resource-policy": "keep",
            "argocd.argoproj.io/sync-options": "Prune=false",
        });
        assert!(rendered.contains(&&expected), "{plural}: {rendered:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_policy_that_blocks_the_scrape_gets_a_note() {
    let test = Test::new("chart-scrape-note").await;
    for (values, is_said) in [
        ("networkPolicy.enabled=true,metrics.serviceMonitor.enabled=true", true),
        ("networkPolicy.enabled=true,metrics.podMonitor.enabled=true", true),
        ("networkPolicy.enabled=true,metrics.service.enabled=true", true),
        (
            "networkPolicy.enabled=true,metrics.podMonitor.enabled=true,networkPolicy.ingress.nodeCIDRs={10.0.0.0/8}",
            false,
        ),
        (
            "networkPolicy.enabled=true,metrics.podMonitor.enabled=true,networkPolicy.ingress.from[0].podSelector.\
             matchLabels.app=prometheus",
            false,
        ),
        ("networkPolicy.enabled=true", false),
        ("metrics.serviceMonitor.enabled=true", false),
    ] {
        let arguments = ["install", "it", CHART, "--dry-run=client", "--set", values];
        let notes = test.helm(&arguments).await.success();
        let note = notes.contains("Name your Prometheus in networkPolicy.ingress.from");
        assert_eq!(note, is_said, "{values}: {notes}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn crds_go_with_the_release_only_if_the_user_says_so() {
    let test = Test::new("chart-crds-keep").await;
    let manifests = manifests(&test, &["--set", "crds.keep=false"]).await;
    for crd in of_kind(&manifests, "CustomResourceDefinition") {
        assert_eq!(crd["metadata"]["annotations"], Value::Null);
    }
    let common = ["install", "it", CHART, "--dry-run=client", "--set"];
    for (values, is_told) in
        [("crds.keep=false", true), ("crds.keep=true", false), ("crds.enabled=false", false)]
    {
        let notes = test.helm(&[&common[..], &[values]].concat()).await.success();
        assert_eq!(notes.contains("`helm uninstall` deletes the CRDs"), is_told, "{values}: {notes}");
    }
}
