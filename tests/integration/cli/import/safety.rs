//! Nothing that an import writes switches a tenant, and the import itself writes nothing.

use std::{collections::BTreeMap, fs, path::PathBuf};

use serde_json::{Value, json};
use tenant_pricing_controller::{
    api::{PlatformConnection, TenantPricing},
    simulator::{TenantKind, TenantSpec},
};

use super::assert_only_reads;
use crate::harness::{Output, PATIENCE, Test, has, reason, until_connection};

/// A kubeconfig of a user who may read the connection and its Secret, and nothing else.
async fn importer(test: &Test) -> PathBuf {
    let (api, group) = ("rbac.authorization.k8s.io/v1", "rbac.authorization.k8s.io");
    let name = json!({"name": "importer"});
    let rights = json!({"apiVersion": "v1", "kind": "List", "items": [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": name},
        {"apiVersion": api, "kind": "Role", "metadata": name, "rules": [
            {"apiGroups": ["tenantpricing.io"], "resources": ["platformconnections"], "verbs": ["get"]},
            {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}]},
        {"apiVersion": api, "kind": "RoleBinding", "metadata": name,
         "roleRef": {"apiGroup": group, "kind": "Role", "name": "importer"},
         "subjects": [{"kind": "ServiceAccount", "name": "importer", "namespace": test.namespace}]}]});
    test.apply(&rights.to_string()).await;
    test.service_account_kubeconfig("importer").await
}

/// Imports through the connection `default`.
async fn import(test: &Test, kubeconfig: &str, arguments: &[&str]) -> Output {
    let connection = format!("{}/default", test.namespace);
    let first = ["import", "--kubeconfig", kubeconfig, "--connection", &connection];
    test.plugin(&[&first, arguments].concat(), &[], "").await
}

/// Customers of every kind, each with the mode that a pinned manifest has. Some cannot be seen.
fn every_kind(test: &Test) -> BTreeMap<String, (String, Option<&'static str>)> {
    let north = test.simulator.add_tenant(TenantSpec::partner("Resellers North"));
    let folder = TenantSpec::customer("Folder").kind(TenantKind::Folder).below(&north);
    let folder = test.simulator.add_tenant(folder);
    let modes =
        [("trial", Some("trial")), ("production", Some("production")), ("suspended", None), ("paid", None)];
    let mut customers = BTreeMap::new();
    for (mode, pinned) in modes {
        let customer = |state: &str| TenantSpec::customer(format!("{mode} {state}")).mode(mode);
        let specs = [
            customer("enabled"),
            customer("disabled").disabled(),
            customer("locked").locked_by("11111111-1111-4111-8111-111111111111"),
            TenantSpec { deprovisioning: true, ..customer("deprovisioning") },
            TenantSpec { parent_disabled: true, ..customer("below disabled") },
            TenantSpec { ancestral_access: Some(false), ..customer("shut") },
            customer("foldered").below(&folder),
            customer("one name"),
            customer("one name").below(&north),
        ];
        for spec in specs {
            let name = spec.name.clone();
            let id = test.simulator.add_tenant(spec);
            customers.insert(id, (name, pinned));
        }
        for kind in [TenantKind::Unit, TenantKind::Partner] {
            test.simulator.add_tenant(customer("of another kind").kind(kind));
        }
        test.simulator.add_tenant(TenantSpec { hidden: true, ..customer("hidden") });
        test.simulator.add_tenant(TenantSpec { deleted: true, ..customer("deleted") });
    }
    customers
}

/// The objects of a folder of manifests, by the id of their tenant, each with its name and its spec.
async fn objects(test: &Test, folder: &str) -> BTreeMap<String, (String, Value)> {
    let arguments = ["create", "--dry-run=client", "-o", "json", "-k", folder];
    let printed = test.kubectl(&arguments).await.success();
    let owned = |value: &Value| value.as_str().unwrap().to_owned();
    // kubectl prints one document after the other.
    serde_json::Deserializer::from_str(&printed)
        .into_iter::<Value>()
        .map(Result::unwrap)
        .map(|item| {
            (owned(&item["spec"]["tenant"]["id"]), (owned(&item["metadata"]["name"]), item["spec"].clone()))
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_imported_switches_no_tenant_of_any_kind() {
    let test = Test::new("import-safety").await;
    test.set_time("2026-11-23T12:00:00Z".parse().unwrap());
    test.connection("default", json!({})).await;
    let customers = every_kind(&test);
    let kubeconfig = importer(&test).await;
    let kubeconfig = kubeconfig.to_str().unwrap();
    import(&test, kubeconfig, &["--output", "observed"]).await.success();
    import(&test, kubeconfig, &["--output", "pinned", "--pin-mode"]).await.success();
    assert_only_reads(&test.simulator.requests());

    let path = |name: &str| test.directory().join(name).to_str().unwrap().to_owned();
    let observed = objects(&test, &path("observed")).await;
    let pinned = objects(&test, &path("pinned")).await;
    let ids: Vec<&String> = customers.keys().collect();
    assert_eq!(observed.keys().collect::<Vec<_>>(), ids);
    assert_eq!(pinned.keys().collect::<Vec<_>>(), ids);
    let connection = json!({"name": "default", "namespace": test.namespace});
    for (id, (name, mode)) in &customers {
        let expected = json!({"tenant": {"id": id}, "connectionRef": connection});
        assert_eq!(observed[id].1, expected, "{name}");
        let mut with_mode = expected;
        if let Some(mode) = mode {
            with_mode["mode"] = json!(mode);
        }
        assert_eq!(pinned[id].1, with_mode, "{name}");
    }

    // The real controller gets all of it: first what only observes, then what is pinned.
    test.controller().await;
    until_connection(&test, "default", "CredentialsAccepted").await;
    for (folder, objects) in [("observed", &observed), ("pinned", &pinned)] {
        test.kubectl(&["apply", "-k", &path(folder)]).await.success();
        for (object, spec) in objects.values() {
            let desired = spec.get("mode").and_then(Value::as_str);
            let decided = |found: &TenantPricing| {
                let seen = found.status.as_ref().map(|status| status.observed_generation);
                let is_current = seen == found.metadata.generation;
                is_current
                    && match desired {
                        None => reason(found, "Ready") == "Observed",
                        Some(_) => reason(found, "Ready") == "InSync",
                    }
            };
            test.until_within(PATIENCE, object, "is read", decided).await;
        }
    }
    assert_eq!(test.simulator.total_puts(), 0);

    // Months later the platform has switched what was in trial. The controller sees it, and still sends nothing.
    test.set_time("2027-02-01T00:00:05Z".parse().unwrap());
    for (id, (object, spec)) in &pinned {
        if spec.get("mode") == Some(&json!("trial")) {
            assert_eq!(test.simulator.tenant(id).unwrap().pricing.mode, "production", "{object}");
            test.request_reconcile(object, "months-later").await;
            let refused = |found: &TenantPricing| {
                has(found, "Stalled", "True") && reason(found, "Stalled") == "ReversalRefused"
            };
            test.until_within(PATIENCE, object, "is refused", refused).await;
        }
    }
    // Even then, a second import pins no switch.
    import(&test, kubeconfig, &["--output", "later", "--pin-mode"]).await.success();
    for (id, (_, spec)) in objects(&test, &path("later")).await {
        let (name, mode) = &customers[&id];
        let expected = mode.map(|_| json!("production"));
        assert_eq!(spec.get("mode"), expected.as_ref(), "{name}");
    }
    assert_eq!(test.simulator.total_puts(), 0);
    let by_importer = |write: &&crate::harness::Write| write.user.ends_with(":importer");
    let writes = test.writes().await;
    assert_eq!(writes.iter().filter(by_importer).count(), 0, "{writes:?}");
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_must_not_be_used_is_not_used() {
    let test = Test::new("import-connection").await;
    test.connection("default", json!({})).await;
    test.simulator.add_customers(3, "shop");
    let kubeconfig = importer(&test).await;
    let kubeconfig = kubeconfig.to_str().unwrap();
    test.edit::<PlatformConnection>("default", json!({"spec": {"suspend": true}})).await;
    let said = import(&test, kubeconfig, &["--output", "tenants"]).await.failure();
    assert!(said.contains("/default: it is suspended, so no request is made through it"), "{said}");
    let missing = ["import", "--kubeconfig", kubeconfig, "--connection", "none", "--output", "tenants"];
    let said = test.plugin(&missing, &[], "").await.failure();
    assert!(said.contains(&format!("PlatformConnection {}/none: there is none", test.namespace)), "{said}");
    for arguments in [
        &["import", "--output", "tenants"][..],
        &["import", "--connection", "a/b/c", "--output", "tenants"],
        &["import", "--url", "https://eu.acronis.com/path", "--output", "tenants"],
        &["import", "--connection", "default", "--output", "tenants.json"],
        &["import", "--connection", "default", "--output", "-", "--group-by", "parent"],
        &["import", "--connection", "default", "--output", "-", "--parent", "Acme"],
    ] {
        let output = test.plugin(arguments, &[], "").await;
        assert_eq!(output.code, 1, "{arguments:?}: {output:?}");
    }
    assert_eq!(test.simulator.requests().len(), 0);
    assert!(fs::read_dir(test.directory()).unwrap().all(|entry| entry.unwrap().file_name() != "tenants"));
    test.finish().await;
}

/// A connection without a namespace is in that of the object. Such a manifest stands for its tenant already.
#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_of_the_connection_without_its_namespace_is_known() {
    let test = Test::new("import-namespace").await;
    test.connection("default", json!({})).await;
    for name in ["Acme", "Bolt", "Core", "Dune"] {
        test.simulator.add_tenant(TenantSpec::customer(name));
    }
    let kubeconfig = importer(&test).await;
    let kubeconfig = kubeconfig.to_str().unwrap();
    let folder = test.directory().join("tenants");
    fs::create_dir_all(folder.join("base")).unwrap();
    let write = |file: &str, metadata: &str, tenant: &str, spec: &str| {
        let manifest = format!(
            "apiVersion: tenantpricing.io/v1alpha1\nkind: TenantPricing\nmetadata: {{{metadata}}}\nspec: {{tenant: {{name: \
             {tenant}}}{spec}}}\n"
        );
        fs::write(folder.join(file), manifest).unwrap();
    };
    let own = &test.namespace;
    write("a.yaml", &format!("name: a, namespace: {own}"), "Acme", "");
    // Without any namespace, the object is in that of the context, as for kubectl.
    write("b.yaml", "name: b", "Bolt", "");
    // Kustomize overrides what a manifest says.
    write("base/c.yaml", "name: c, namespace: other", "Core", "");
    fs::write(folder.join("base/kustomization.yaml"), format!("namespace: {own}\nresources: [c.yaml]\n"))
        .unwrap();
    // This one is of a connection of another namespace, which has another tenant of the name.
    write("d.yaml", "name: d, namespace: other", "Dune", ", connectionRef: {name: default}");
    let said = import(&test, kubeconfig, &["--output", "tenants"]).await;
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.stderr.ends_with("tenants: 1 written, 3 unchanged.\n"), "{said:?}");
    assert!(folder.join("dune.yaml").exists());
    // A second manifest of the name, through this connection, counts beside the first.
    fs::remove_file(folder.join("dune.yaml")).unwrap();
    write("e.yaml", &format!("name: e, namespace: {own}"), "Dune", "");
    let said = import(&test, kubeconfig, &["--output", "tenants"]).await;
    assert!(said.stderr.ends_with("tenants: 0 written, 4 unchanged.\n"), "{said:?}");
    test.finish().await;
}
