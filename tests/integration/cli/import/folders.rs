//! What goes into a folder or a file, and what stays as it is.

use std::{collections::BTreeMap, fs, time::SystemTime};

use serde_json::Value;
use tenant_pricing_controller::simulator::{Code, Fault, FaultAction, Operation, TenantKind, TenantSpec};

use super::{add, assert_only_reads, files, import, names};
use crate::harness::Test;

/// Names that YAML reads as something else if they are not quoted, and names that try to be more than text.
const AWKWARD: &[&str] = &[
    "yes",
    "null",
    "~",
    "1e3",
    "0x1F",
    "0o17",
    "12:30:45",
    "2026-01-01",
    ".inf",
    "=",
    "<<",
    "- a",
    "a: b",
    "# x",
    "{a: b}",
    "[a]",
    "*a",
    "&a",
    "!a",
    "'a'",
    "\"a\"",
    "a\\n",
    "%a",
    "@a",
    "`a`",
    "--- a",
    "? a",
    "Ärzte 北京 🏥",
];

#[tokio::test(flavor = "multi_thread")]
async fn a_second_import_changes_no_byte() {
    let test = Test::new("import-twice").await;
    let north = test.simulator.add_tenant(TenantSpec::partner("Resellers North"));
    let below = test.simulator.add_tenant(TenantSpec::customer("Acme GmbH").below(&north));
    test.simulator.add_tenant(TenantSpec::customer("A unit").kind(TenantKind::Unit).below(&below));
    let ids = add(&test, &["Zürich & Söhne", "ACME GmbH", "!!!", "Kustomization"]);
    let first = import(&test, &["--output", "tenants/"]).await;
    let folder = test.directory().join("tenants");
    let short = |id: &str| id[..8].to_owned();
    let mut expected = vec![
        format!("acme-gmbh-{}.yaml", short(&below)),
        format!("acme-gmbh-{}.yaml", short(&ids[1])),
        "kustomization.yaml".to_owned(),
        format!("kustomization-{}.yaml", short(&ids[3])),
        format!("tenant-{}.yaml", short(&ids[2])),
        "zurich-sohne.yaml".to_owned(),
    ];
    expected.sort();
    assert_eq!(names(&folder), expected);
    assert_eq!(first.code, 0, "{first:?}");
    assert_eq!((first.stdout.as_str(), first.stderr.as_str()), ("", "tenants/: 5 written.\n"));
    let acme = fs::read_to_string(folder.join(format!("acme-gmbh-{}.yaml", short(&below)))).unwrap();
    let name = format!("acme-gmbh-{}", short(&below));
    assert_eq!(
        acme,
        format!(
            "apiVersion: tenantpricing.io/v1alpha1\nkind: TenantPricing\nmetadata:\n  name: {name}\n  annotations:\n    \
             tenantpricing.io/tenant-name: Acme GmbH\n    tenantpricing.io/tenant-path: Simulated Partner / Resellers \
             North / Acme GmbH\nspec:\n  tenant:\n    id: {below}\n"
        )
    );
    let list = fs::read_to_string(folder.join("kustomization.yaml")).unwrap();
    let listed: Vec<&str> = list.lines().filter_map(|line| line.strip_prefix("- ")).collect();
    expected.retain(|name| name != "kustomization.yaml");
    assert_eq!(listed, expected);

    let times = || -> Vec<SystemTime> {
        let paths = files(&folder).into_keys();
        paths.map(|path| fs::metadata(folder.join(path)).unwrap().modified().unwrap()).collect()
    };
    let (before, written) = (files(&folder), times());
    let second = import(&test, &["--output", "tenants/"]).await;
    assert_eq!((second.code, second.stderr.as_str()), (0, "tenants/: 0 written, 5 unchanged.\n"));
    assert_eq!((files(&folder), times()), (before, written));
    assert_only_reads(&test.simulator.requests());
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_person_edited_stays_and_what_is_new_is_added() {
    let test = Test::new("import-again").await;
    let ids = add(&test, &["Acme", "Bolt", "Core", "Dune"]);
    import(&test, &["--output", "tenants"]).await.success();
    let folder = test.directory().join("tenants");
    let path = |name: &str| folder.join(name);
    // A person edits one file, moves another one, and describes a new tenant by its name.
    let edited =
        fs::read_to_string(path("acme.yaml")).unwrap().replace("spec:", "spec: # ours\r\n  suspend: true");
    fs::write(path("acme.yaml"), &edited).unwrap();
    fs::create_dir(path("moved")).unwrap();
    fs::rename(path("bolt.yaml"), path("moved/b.yml")).unwrap();
    let by_name = "apiVersion: tenantpricing.io/v1alpha1\nkind: TenantPricing\nmetadata: {name: by-name}\n\
                   spec: {tenant: {name: Echo}}\n";
    fs::write(path("by-name.yaml"), by_name).unwrap();
    fs::write(path("foil.yaml"), "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: foil}\n").unwrap();
    // Meanwhile on the platform: one renamed, one deleted, four new.
    test.simulator.update_tenant(&ids[1], |tenant| tenant.name = "Bolt\u{1b}[31m Ltd".to_owned());
    let now = test.simulator.now();
    test.simulator.update_tenant(&ids[2], |tenant| tenant.deleted_at = Some(now));
    let new = add(&test, &["Echo", "Foil", "Acme", "Gold"]);
    let before = files(&folder);
    let output = import(&test, &["--output", "tenants"]).await;
    assert_eq!(output.code, 1, "{output:?}");
    let lines: Vec<&str> = output.stderr.lines().collect();
    let expected = [
        format!(
            "renamed: tenants/moved/b.yml: tenant {} was \"Bolt\" and is \"Bolt\\u{{1b}}[31m Ltd\" now. File and object keep \
             their names.",
            ids[1]
        ),
        format!(
            "gone: tenants/core.yaml: tenant {} (\"Core\") is no longer listed. The file is kept. Remove it if the tenant is \
             deleted; that changes nothing on the platform.",
            ids[2]
        ),
        format!(
            "error: tenants/foil.yaml is in the way of tenant {}, and is no manifest of it. Move it, and run the \
             command again.",
            new[1]
        ),
        "tenants: 2 written, 4 unchanged, 1 renamed, 1 gone, 1 refused.".to_owned(),
    ];
    assert_eq!(lines, expected);
    // Nothing that was there has changed but the list of Kustomize, which lost the moved file.
    let mut after = files(&folder);
    let list = after.remove(std::path::Path::new("kustomization.yaml")).unwrap();
    let (first, gold) = (format!("acme-{}.yaml", &new[2][..8]), "gold.yaml".to_owned());
    for name in [&first, &gold] {
        assert!(after.remove(std::path::Path::new(name)).is_some(), "{name} is missing: {after:?}");
    }
    let listed: Vec<&str> = list.lines().filter_map(|line| line.strip_prefix("- ")).collect();
    assert_eq!(listed, [first.as_str(), "acme.yaml", "core.yaml", "dune.yaml", gold.as_str()]);
    let mut kept = before;
    kept.remove(std::path::Path::new("kustomization.yaml"));
    assert_eq!(after, kept);
    // A list that a person edits stays, and the command says what is missing in it.
    fs::write(path("kustomization.yaml"), list.replace("resources:", "namespace: tenants\nresources:"))
        .unwrap();
    add(&test, &["Hall"]);
    let output = import(&test, &["--output", "tenants"]).await;
    assert!(
        output.stderr.contains(
            "tenants/kustomization.yaml was not written by this program, or was edited. Add to \
                                its resources: hall.yaml"
        ),
        "{output:?}"
    );
    assert_only_reads(&test.simulator.requests());
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_of_others_gets_no_kustomization() {
    let test = Test::new("import-shared").await;
    add(&test, &["Acme"]);
    let folder = test.directory().join("shared");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("namespace.yaml"), "apiVersion: v1\nkind: Namespace\nmetadata: {name: x}\n")
        .unwrap();
    let output = import(&test, &["--output", "shared"]).await;
    assert_eq!(output.code, 0, "{output:?}");
    assert!(output.stderr.starts_with("note: the folder had manifests before"), "{output:?}");
    assert_eq!(names(&folder), ["acme.yaml", "namespace.yaml"]);
    // What cannot be read could hold a tenant.
    let broken = "apiVersion: tenantpricing.io/v1alpha1\nkind: {\n";
    fs::write(folder.join("broken.yaml"), broken).unwrap();
    test.simulator.clear_log();
    let said = import(&test, &["--output", "shared"]).await.failure();
    assert!(said.contains("shared/broken.yaml:") && said.contains("Nothing is written"), "{said}");
    assert_eq!(test.simulator.requests().len(), 0);
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn parents_get_a_folder_each_and_keep_it() {
    let test = Test::new("import-grouped").await;
    let north = test.simulator.add_tenant(TenantSpec::partner("North"));
    let south = test.simulator.add_tenant(TenantSpec::partner("North"));
    test.simulator.add_tenant(TenantSpec::customer("Acme").below(&north));
    test.simulator.add_tenant(TenantSpec::customer("Bolt").below(&south));
    add(&test, &["Core"]);
    let arguments = ["--output", "grouped", "--group-by", "parent"];
    import(&test, &arguments).await.success();
    let folder = test.directory().join("grouped");
    let of = |parent: &str| format!("north-{}", &parent[..8]);
    let mut expected = vec![
        format!("{}/acme.yaml", of(&north)),
        format!("{}/bolt.yaml", of(&south)),
        "kustomization.yaml".to_owned(),
        "simulated-partner/core.yaml".to_owned(),
    ];
    expected.sort();
    assert_eq!(names(&folder), expected);
    // A parent that is renamed keeps its folder.
    test.simulator.update_tenant(&south, |tenant| tenant.name = "South".to_owned());
    test.simulator.add_tenant(TenantSpec::customer("Dune").below(&south));
    import(&test, &arguments).await.success();
    assert!(names(&folder).contains(&format!("{}/dune.yaml", of(&south))), "{:?}", names(&folder));
    let kustomized = test.kubectl(&["kustomize", folder.to_str().unwrap()]).await.success();
    assert_eq!(kustomized.matches("kind: TenantPricing").count(), 4);
    assert_only_reads(&test.simulator.requests());
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tenants_are_selected_by_parent_name_and_mode() {
    let test = Test::new("import-selected").await;
    let north = test.simulator.add_tenant(TenantSpec::partner("North"));
    for (name, mode) in
        [("Acme One", "trial"), ("Acme Two", "production"), ("Bolt", "trial"), ("Core", "suspended")]
    {
        test.simulator.add_tenant(TenantSpec::customer(name).mode(mode).below(&north));
    }
    add(&test, &["Acme Elsewhere"]);
    for (arguments, expected) in [
        (&["--parent", &*north][..], &["acme-one", "acme-two", "bolt", "core"][..]),
        (&["--name-prefix", "Acme "], &["acme-elsewhere", "acme-one", "acme-two"]),
        (&["--mode", "production,suspended"], &["acme-two", "core"]),
        (&["--parent", &north, "--name-prefix", "Acme", "--mode", "trial"], &["acme-one"]),
    ] {
        let output = import(&test, &[arguments, &["--output", "-"]].concat()).await.success();
        let found: Vec<&str> = output.lines().filter_map(|line| line.strip_prefix("  name: ")).collect();
        assert_eq!(found, expected, "{arguments:?}");
    }
    // A tenant outside of --parent is not gone, and neither is one that the other flags leave out.
    import(&test, &["--output", "selected"]).await.success();
    let parent = ["--output", "selected", "--parent", &north, "--mode", "trial"];
    let output = import(&test, &parent).await;
    assert_eq!(output.stderr, "selected: 0 written, 2 unchanged.\n");
    assert_only_reads(&test.simulator.requests());
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_continued_and_the_api_server_reads_all_of_it() {
    let test = Test::new("import-file").await;
    let mut ids = add(&test, AWKWARD);
    let to_file = ["--output", "tenants.yaml", "-n", &test.namespace];
    import(&test, &to_file).await.success();
    let path = test.directory().join("tenants.yaml");
    let first = fs::read_to_string(&path).unwrap().replacen("spec:", "spec: # edited", 1);
    fs::write(&path, first.trim_end()).unwrap();
    ids.extend(add(
        &test,
        &["\u{202e}evil\u{0}\u{85}\u{2028}\n---\nkind: Secret", "line\nbreak", "\u{feff}"],
    ));
    let output = import(&test, &to_file).await;
    assert_eq!(output.stderr, format!("tenants.yaml: 3 written, {} unchanged.\n", AWKWARD.len()));
    assert!(fs::read_to_string(&path).unwrap().starts_with(&first), "what was there has changed");
    let dry_run = ["create", "--dry-run=server", "-o", "json", "-f", path.to_str().unwrap()];
    // kubectl prints one document after the other.
    let created = test.kubectl(&dry_run).await.success();
    let items: Vec<Value> =
        serde_json::Deserializer::from_str(&created).into_iter().collect::<Result<_, _>>().unwrap();
    let by_id: BTreeMap<&str, &Value> =
        items.iter().map(|item| (item["spec"]["tenant"]["id"].as_str().unwrap(), item)).collect();
    assert_eq!((items.len(), by_id.len()), (ids.len(), ids.len()));
    for (id, name) in ids.iter().zip(AWKWARD) {
        let annotations = &by_id[id.as_str()]["metadata"]["annotations"];
        assert_eq!(annotations["tenantpricing.io/tenant-name"], **name, "{annotations}");
    }
    // A file of somebody else is not continued.
    let notes = test.directory().join("notes.yaml");
    fs::write(&notes, "a: b\n").unwrap();
    let said = import(&test, &["--output", "notes.yaml"]).await.failure();
    assert!(said.contains("notes.yaml is in the way: it has content, and no TenantPricing"), "{said}");
    assert_eq!(fs::read_to_string(&notes).unwrap(), "a: b\n");
    assert_only_reads(&test.simulator.requests());
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_that_cannot_read_all_says_so() {
    let test = Test::new("import-unread").await;
    test.simulator.add_customers(150, "shop");
    let forbidden =
        FaultAction::Error { status: 403, code: Code::Number(1003), retry_after: None, after_effect: false };
    let fault = test.simulator.inject(Fault::new(forbidden).on(Operation::FetchTenants).skip(1).once());
    let said = import(&test, &["--output", "tenants"]).await.failure();
    assert!(said.contains("100 tenants were listed before, and nothing is written"), "{said}");
    assert!(!test.directory().join("tenants").exists());
    test.simulator.clear_fault(fault);
    test.simulator.add_tenant(TenantSpec::customer("x".repeat(2000)));
    let said = import(&test, &["--output", "tenants"]).await.failure();
    assert!(
        said.contains(
            "error: 1 tenant is left out: what the platform says about it cannot be understood: \"xxx"
        ),
        "{said}"
    );
    assert_eq!(names(&test.directory().join("tenants")).len(), 151);
    // Without credentials, or for a host that is not allowed, nothing is sent.
    test.simulator.clear_log();
    let url = test.simulator.url();
    let arguments = ["import", "--url", &url, "--output", "other"];
    let said = test.plugin(&arguments, &[], "").await.failure();
    assert!(said.contains("there are no credentials for"), "{said}");
    let hosts = ["--output", "other", "--allowed-hosts", "*.acronis.com"];
    import(&test, &hosts).await.failure();
    assert_eq!(test.simulator.requests().len(), 0);
    test.finish().await;
}
