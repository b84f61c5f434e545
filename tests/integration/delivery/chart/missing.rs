//! Values that are not there: set to null, or unknown to the chart that a release was installed from; and what a
//! parent chart hands down.

use std::{fs, path::PathBuf};

use futures::{StreamExt as _, stream};
use serde_json::{Value, json};

use super::{AT_ONCE, CHART, HELMS, values::template};
use crate::harness::Test;

/// The paths of all values, those of whole maps included, as `--set` writes them.
fn paths(values: &Value, prefix: &str, found: &mut Vec<String>) {
    for (name, value) in values.as_object().into_iter().flatten() {
        let path = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
        paths(value, &path, found);
        found.push(path);
    }
}

fn manifests(yaml: &str) -> Vec<Value> {
    serde_saphyr::from_multiple(yaml).unwrap()
}

/// The manifests without what the controller's container may use.
fn without_resources(yaml: &str) -> Vec<Value> {
    let mut manifests = manifests(yaml);
    for manifest in manifests.iter_mut().filter(|manifest| manifest["kind"] == "Deployment") {
        manifest["spec"]["template"]["spec"]["containers"][0]["resources"] = Value::Null;
    }
    manifests
}

#[tokio::test(flavor = "multi_thread")]
async fn null_takes_each_value_back_to_its_default() {
    let test = Test::new("chart-null").await;
    let values = fs::read_to_string(format!("{CHART}/values.yaml")).unwrap();
    let mut all = Vec::new();
    paths(&serde_saphyr::from_str(&values).unwrap(), "", &mut all);
    assert!(all.len() > 90 && all.contains(&"metrics.serviceMonitor.labels".to_owned()), "{all:?}");
    let default = template(&test, &[]).await.success();
    let take_back = async |path: &String| {
        // Helm 4 alone: a hundred renders take their time. Below, Helm 3 gets all of them at once.
        let output = test.helm(&["template", "release", CHART, "--set", &format!("{path}=null")]).await;
        match path.split('.').next() {
            // No host at all is no default.
            Some("allowedHosts") => assert!(output.failure().contains("allowedHosts is empty"), "{path}"),
            // Asked for: no limit, or no request.
            Some("resources") => {
                let rendered = output.success();
                assert_ne!(rendered, default, "{path}");
                assert_eq!(without_resources(&rendered), without_resources(&default), "{path}");
            }
            _ => assert_eq!(output.success(), default, "{path}"),
        }
    };
    stream::iter(&all).for_each_concurrent(AT_ONCE, take_back).await;
    // All of them at once, as an overlay with many of them does.
    let all: Vec<_> = all.iter().filter(|path| !path.contains('.') && *path != "allowedHosts").collect();
    let nulls = all.iter().map(|path| format!("{path}=null")).collect::<Vec<_>>().join(",");
    let rendered = template(&test, &["--set", &nulls]).await.success();
    assert_eq!(without_resources(&rendered), without_resources(&default));
}

/// A copy of the chart whose `values.yaml` has only what the chart had before it had an election, an admin address or
/// metrics; with these values of `crds`.
fn older_chart(test: &Test, crds: &Value) -> String {
    let copy = test.directory().join("older-chart");
    let _ = fs::remove_dir_all(&copy);
    let copied = std::process::Command::new("cp").arg("-R").args([CHART.as_ref(), &*copy]).status().unwrap();
    assert!(copied.success());
    let values = json!({"image": {"repository": "older"}, "allowedHosts": ["*.acronis.com"],
        "serviceAccount": {"create": true}, "rbac": {"create": true}, "crds": crds});
    fs::write(copy.join("values.yaml"), values.to_string()).unwrap();
    // It did not refuse its own names.
    let rules = copy.join("templates/_validate.tpl");
    let source = fs::read_to_string(&rules).unwrap();
    assert!(source.contains(r#""crds.install" "crds.enabled""#));
    fs::write(&rules, source.replace(r#""crds.install" "crds.enabled""#, "")).unwrap();
    copy.display().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_that_reuses_values_gets_new_defaults() {
    let test = Test::new("chart-reuse").await;
    // The CRDs are there already.
    let own = "logFormat=text,crds.enabled=false,rbac.create=false,rbac.userRoles=false";
    for helm in HELMS {
        test.helm_of(helm, &["install", "it", &older_chart(&test, &json!({})), "--set", own]).await.success();
        for flag in ["--reuse-values", "--reset-then-reuse-values"] {
            test.helm_of(helm, &["upgrade", "it", CHART, flag]).await.success();
            let path = "jsonpath={.spec.template.spec.containers[0]}";
            let deployment = ["get", "deployment", "it-tenant-pricing-controller", "-o", path];
            let container: Value = serde_json::from_str(&test.kubectl(&deployment).await.success()).unwrap();
            let arguments = container["args"].as_array().unwrap();
            for argument in ["--leader-elect=true", "--log-format=text", "--admin-address=0.0.0.0:8080"] {
                assert!(arguments.contains(&json!(argument)), "{helm} {flag}: {argument}: {arguments:?}");
            }
        }
        test.helm_of(helm, &["uninstall", "it"]).await.success();
    }
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_default_with_a_new_name_is_refused_with_the_flag() {
    let test = Test::new("chart-renamed-value").await;
    let own = "rbac.create=false,rbac.userRoles=false,crds.enabled=false";
    for helm in HELMS {
        let older = older_chart(&test, &json!({"install": true}));
        test.helm_of(helm, &["install", "it", &older, "--set", own]).await.success();
        let message = test.helm_of(helm, &["upgrade", "it", CHART, "--reuse-values"]).await.failure();
        assert!(message.contains("If you never wrote crds.install"), "{helm}: {message}");
        test.helm_of(helm, &["upgrade", "it", CHART, "--reset-then-reuse-values"]).await.success();
        test.helm_of(helm, &["uninstall", "it"]).await.success();
    }
    test.finish().await;
}

/// A chart that has this one as a dependency, with these values for it.
async fn umbrella(test: &Test, values: &Value) -> PathBuf {
    let folder = test.directory().join("umbrella");
    fs::create_dir_all(&folder).unwrap();
    let chart = json!({"apiVersion": "v2", "name": "umbrella", "version": "0.1.0", "dependencies": [{
        "name": "tenant-pricing-controller", "version": ">=0.1.0", "repository": format!("file://{CHART}"),
        "condition": "tenant-pricing-controller.enabled",
    }]});
    fs::write(folder.join("Chart.yaml"), chart.to_string()).unwrap();
    fs::write(folder.join("values.yaml"), values.to_string()).unwrap();
    let vendored = folder.join("charts");
    if !vendored.exists() {
        test.helm(&["dependency", "update", &folder.display().to_string()]).await.success();
    }
    folder
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parent_chart_switches_it_on_and_hands_values_down() {
    let test = Test::new("chart-umbrella").await;
    let render = async |values: Value| {
        let folder = umbrella(&test, &values).await.display().to_string();
        super::template(&test, &folder, &[]).await.success()
    };
    let off = render(json!({"tenant-pricing-controller": {"enabled": false}})).await;
    assert!(!off.contains("kind:"), "{off}");
    let nulls = json!({"enabled": true, "podLabels": null, "logLevel": null, "watchNamespaces": null, "admin": null,
        "leaderElection": {"enabled": null}, "metrics": {"service": null}});
    for global in [json!(null), json!({}), json!({"imageRegistry": null, "otherCharts": {"read": "this"}})] {
        let on = render(json!({"global": global, "tenant-pricing-controller": nulls})).await;
        assert!(on.contains("--log-level=info") && on.contains("--leader-elect=true"), "{global}: {on}");
    }
    let global = json!({"imageRegistry": "registry.local:5000/mirror/",
        "imagePullSecrets": ["one", {"name": "two"}, {"name": "one"}]});
    for (repository, image) in [
        ("tenant-pricing-controller", "registry.local:5000/mirror/tenant-pricing-controller"),
        ("team/controller", "registry.local:5000/mirror/team/controller"),
        ("ghcr.example/team/controller", "registry.local:5000/mirror/team/controller"),
        ("localhost/controller", "registry.local:5000/mirror/controller"),
        ("registry:5000/controller", "registry.local:5000/mirror/controller"),
    ] {
        let own =
            json!({"image": {"repository": repository, "tag": "7"}, "imagePullSecrets": [{"name": "three"}]});
        let on = render(json!({"global": global, "tenant-pricing-controller": own})).await;
        let deployments: Vec<_> =
            manifests(&on).into_iter().filter(|manifest| manifest["kind"] == "Deployment").collect();
        let pod = &deployments[0]["spec"]["template"]["spec"];
        assert_eq!(pod["containers"][0]["image"], format!("{image}:7"), "{repository}");
        let secrets = json!([{"name": "one"}, {"name": "two"}, {"name": "three"}]);
        assert_eq!(pod["imagePullSecrets"], secrets, "{repository}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_release_name_serves_two_namespaces() {
    let test = Test::new("chart-two").await;
    let other = format!("{}-other", test.namespace);
    test.kubectl(&["create", "namespace", &other]).await.success();
    let watched = format!("watchNamespaces={{{other}}}");
    let common = ["--set", "crds.enabled=false", "--namespace"];
    test.helm(&[&["install", "tpc", CHART], &common[..], &[&test.namespace]].concat()).await.success();
    let second = [&["install", "tpc", CHART], &common[..], &[&other, "--set", &watched]].concat();
    test.helm(&second).await.success();
    let roles = test.kubectl(&["get", "clusterroles", "-o", "name"]).await.success();
    for (namespace, role) in
        [(&test.namespace, ""), (&test.namespace, "-viewer"), (&other, "-editor"), (&other, "-admin")]
    {
        let role = format!("/{namespace}:tpc-tenant-pricing-controller{role}\n");
        assert!(roles.contains(&role), "{role}{roles}");
    }
    assert!(!roles.contains(&format!("/{other}:tpc-tenant-pricing-controller\n")), "bound to its namespaces");
    for namespace in [&test.namespace, &other] {
        test.helm(&["uninstall", "tpc", "--namespace", namespace]).await.success();
    }
    test.finish().await;
}
