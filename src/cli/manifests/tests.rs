//! Manifests good and bad, from files of each kind.

use std::{
    fs, io,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::Path,
};

use proptest::prelude::*;
use serde_json::json;
use tempfile::TempDir;

use super::*;

/// A `TenantPricing` in six lines.
fn pricing(name: &str) -> String {
    format!(
        "apiVersion: tenantpricing.io/v1alpha1\nkind: TenantPricing\nmetadata:\n  name: {name}\nspec:\n  tenant: {{name: Acme}}\n"
    )
}

fn in_namespace(recursive: bool) -> ReadOptions {
    ReadOptions { recursive, default_namespace: Some("billing".to_owned()) }
}

/// What is read from standard input.
fn from_text(text: &str) -> Manifests {
    read(&["-".into()], &in_namespace(false), &mut text.as_bytes())
}

fn from_path(path: &Path, recursive: bool) -> Manifests {
    read(&[path.to_owned()], &in_namespace(recursive), &mut io::empty())
}

fn names(manifests: &Manifests) -> Vec<&str> {
    manifests.objects.iter().map(|object| object.name.as_str()).collect()
}

fn problems(manifests: &Manifests) -> Vec<String> {
    manifests.problems.iter().map(|problem| format!("{:?} {problem}", problem.severity)).collect()
}

/// Asserts that there is one problem of the severity, whose text contains `expected`.
#[track_caller]
fn one_problem(manifests: &Manifests, severity: Severity, expected: &str) {
    let problems = problems(manifests);
    assert!(
        problems.len() == 1 && problems[0].contains(expected) && manifests.problems[0].severity == severity,
        "{problems:#?}"
    );
}

#[test]
fn fields_have_positions_in_a_file_of_many_documents() {
    let text = format!(
        "# first\n{}---\n{}  mode: production\n  switch:\n    at: MonthStart\n---\n\
         {{\"apiVersion\": \"tenantpricing.io/v1alpha1\", \"kind\": \"TenantPricing\",\n \
         \"metadata\": {{\"name\": \"third\", \"labels\": {{\"a/b\": \"c\"}}}}}}\n",
        pricing("first"),
        pricing("second")
    );
    let found = from_text(&text);
    assert_eq!((names(&found), problems(&found)), (vec!["first", "second", "third"], vec![]));
    let at = |index: usize, pointer: &str| {
        let position = found.objects[index].position(pointer);
        (position.line, position.column)
    };
    assert_eq!(at(0, ""), (2, 1));
    assert_eq!(at(0, "/spec/tenant/name"), (7, 12));
    assert_eq!(at(1, "/metadata/name"), (12, 3));
    assert_eq!(at(1, "/spec/mode"), (15, 3));
    assert_eq!(at(1, "/spec/switch/at"), (17, 5));
    assert_eq!(at(2, "/metadata/labels/a~1b"), (20, 43));
    assert_eq!(at(2, "/spec/tenant"), (19, 1), "a missing field is at what is around it");
    assert_eq!(found.objects[0].position("/spec").to_string(), "standard input:6:1");
}

#[test]
fn a_stream_of_json_has_positions_too() {
    let one = |name: &str| {
        format!(
            "{{\"apiVersion\":\"tenantpricing.io/v1alpha1\",\"kind\":\"TenantPricing\",\"metadata\":{{\"name\":\"{name}\"}}}}"
        )
    };
    let found = from_text(&format!("{}{}\n{}\n---\n{}", one("a"), one("b"), one("c"), pricing("d")));
    assert_eq!((names(&found), problems(&found)), (vec!["a", "b", "c", "d"], vec![]));
    let place = |index: usize| {
        let position = found.objects[index].position("/metadata/name");
        (position.line, position.column)
    };
    assert_eq!((place(0), place(1), place(2), place(3)), ((1, 78), (1, 167), (2, 78), (7, 3)));
}

#[test]
fn values_are_those_that_kubectl_sends() {
    let found = from_text(
        "\u{feff}apiVersion: tenantpricing.io/v1alpha1\r\nkind: TenantPricing\r\nmetadata:\r\n  name: acme\r\n\
         defaults: &defaults\r\n  suspend: yes\r\n  octal: 0755\r\n  whole: 10.0\r\n  float: 0.5\r\n\
         spec:\r\n  <<: *defaults\r\n  again: *defaults\r\n  1: one\r\n  block: |\r\n    two\r\n    lines\r\n",
    );
    assert_eq!(problems(&found), Vec::<String>::new());
    let defaults = json!({"suspend": true, "octal": 493, "whole": 10, "float": 0.5});
    let mut spec = defaults.clone();
    spec["again"] = defaults;
    spec["1"] = "one".into();
    spec["block"] = "two\nlines\n".into();
    assert_eq!(found.objects[0].value["spec"], spec);
    assert_eq!(found.objects[0].value["metadata"], json!({"name": "acme", "namespace": "billing"}));
}

#[test]
fn lists_are_opened_and_other_kinds_are_counted() {
    let item = pricing("one").replace('\n', "\n    ");
    let text = format!(
        "apiVersion: v1\nkind: List\nitems:\n  - {item}\n  - {{apiVersion: v1, kind: Secret, metadata: {{name: s, namespace: other}}}}\n\
         \x20 - {{apiVersion: v1, kind: ConfigMap, metadata: {{name: c}}}}\n\
         \x20 - {{apiVersion: v1, kind: List, items: [{{apiVersion: v1, kind: ConfigMap}}]}}\n---\n\
         apiVersion: tenantpricing.io/v1alpha1\nkind: PlatformConnectionList\nitems:\n- metadata: {{name: eu2}}\n---\n\
         apiVersion: apps/v1\nkind: Deployment\n---\nfoo: bar\n---\njust a text\n---\n- a sequence\n"
    );
    let found = from_text(&text);
    assert_eq!((names(&found), problems(&found)), (vec!["one", "s", "eu2"], vec![]));
    let kinds: Vec<ManifestKind> = found.objects.iter().map(|object| object.kind).collect();
    assert_eq!(kinds, [ManifestKind::TenantPricing, ManifestKind::Secret, ManifestKind::PlatformConnection]);
    assert_eq!(found.objects[2].value["kind"], "PlatformConnection");
    let skipped = BTreeMap::from([("ConfigMap", 2), ("Deployment", 1), ("no kind", 3)]);
    let skipped: BTreeMap<String, usize> =
        skipped.into_iter().map(|(kind, count)| (kind.to_owned(), count)).collect();
    assert_eq!(found.skipped, skipped);
    assert_eq!(found.objects[0].position("/spec/tenant").line, 9);
    assert_eq!(found.of(ManifestKind::Secret).count(), 1);
}

#[test]
fn the_file_that_was_rendered_is_named() {
    let found = from_text(&format!(
        "---\n# Source: chart/templates/a.yaml\n{}---\n# Source: chart/templates/b.yaml\n# a comment\n{}",
        pricing("a"),
        pricing("b").replace(
            "  name: b\n",
            "  name: b\n  annotations:\n    config.kubernetes.io/origin: |\n      path: base/b.yaml\n"
        )
    ));
    let source = |index: usize| found.objects[index].position("/spec").rendered_from;
    assert_eq!(source(0).as_deref(), Some("chart/templates/a.yaml"));
    assert_eq!(source(1).as_deref(), Some("base/b.yaml"));
    let position = found.objects[0].position("/spec").to_string();
    assert_eq!(position, "standard input:7:1 (rendered from chart/templates/a.yaml)");
}

#[test]
fn a_bad_document_hides_no_other() {
    for (bad, expected) in [
        ("kind: [\n", "it is no YAML"),
        ("spec:\n\tmode: trial\n", "indented with a tab"),
        ("mode: trial\nmode: production\n", r#"the key "mode" is there twice"#),
        ("a: *nothing\n", "has no anchor"),
        ("a: .nan\n", ".nan is no number"),
        ("{{- if .a }}\nkind: A\n{{- end }}\n", "it is a template"),
        ("a: &a [*a]\n", "inside its own anchor"),
    ] {
        let text = format!("{}---\n# of tenantpricing.io\n{bad}---\n{}", pricing("a"), pricing("b"));
        let found = from_text(&text);
        assert_eq!(names(&found), ["a", "b"], "{bad}");
        one_problem(&found, Severity::Error, expected);
        let line = found.problems[0].position.line;
        assert!((8..=11).contains(&line), "{bad}: {}", found.problems[0]);
        let found = from_text(&format!("{}---\n{bad}", pricing("a")));
        one_problem(&found, Severity::Note, expected);
    }
}

#[test]
fn a_fault_is_named_with_its_line() {
    let found = from_text(&format!("{}  suspend: true\n  suspend: false\n", pricing("a")));
    assert_eq!(
        problems(&found),
        ["Error standard input:8:3: the key \"suspend\" is there twice in one mapping: keep one of them"]
    );
    let found = from_text(&format!("{}  1: a\n  \"1\": b\n", pricing("a")));
    one_problem(&found, Severity::Error, "standard input:8:3: the key \"1\" is there twice");
}

#[test]
fn an_object_that_is_ours_and_unusable_is_an_error() {
    let of =
        |version: &str, kind: &str| format!("apiVersion: {version}\nkind: {kind}\nmetadata: {{name: a}}\n");
    for (text, expected) in [
        (of("tenantpricing.io/v1alpha1", "TenantPrizing"), "did you mean TenantPricing?"),
        (of("tenantpricing.io/v1alpha1", "Connection"), "did you mean PlatformConnection?"),
        (of("tenantpricing.io/v1", "TenantPricing"), "does not know tenantpricing.io/v1: write"),
        (of("tenantpricings.io/v1alpha1", "TenantPricing"), "is not that of a TenantPricing"),
        ("apiVersion: tenantpricing.io/v1alpha1\n".to_owned(), "has no kind"),
        (pricing("''"), "has no name: add metadata.name"),
        (pricing("5"), "put metadata.name in quotes"),
        (pricing("a").replace("spec:", "  namespace: 5\nspec:"), "put it in quotes"),
        (pricing(&format!("a\n  annotations: {{a: {}}}", "x".repeat(MAX_OBJECT_BYTES))), "more than 1 MiB"),
    ] {
        let found = from_text(&text);
        assert_eq!(found.objects.len(), 0, "{found:?}");
        one_problem(&found, Severity::Error, expected);
        assert!(found.has_errors());
    }
}

/// Most Secrets have nothing to do with this program.
#[test]
fn a_secret_that_cannot_be_used_is_a_note() {
    let secret = |metadata: &str| format!("apiVersion: v1\nkind: Secret\nmetadata: {metadata}\n");
    for (text, expected) in [
        (secret("{generateName: s-}"), "has no name"),
        (secret("{name: s}"), "names no namespace"),
        (secret("{name: 5}"), "is no text"),
        (
            secret(&format!(
                "{{name: s, namespace: ns, annotations: {{a: {}}}}}",
                "x".repeat(MAX_OBJECT_BYTES)
            )),
            "1 MiB",
        ),
        (format!("{0}---\n{0}", secret("{name: s, namespace: ns}")), "there is another Secret ns/s"),
    ] {
        let found = read(&["-".into()], &ReadOptions::default(), &mut text.as_bytes());
        one_problem(&found, Severity::Note, expected);
    }
}

#[test]
fn an_object_without_a_namespace_gets_the_default() {
    let text = format!("{}---\n{}", pricing("a"), pricing("b").replace("spec:", "  namespace: other\nspec:"));
    let found = from_text(&text);
    let namespaces: Vec<&str> = found.objects.iter().map(|object| object.namespace.as_str()).collect();
    assert_eq!(namespaces, ["billing", "other"]);
    let found = read(&["-".into()], &ReadOptions::default(), &mut text.as_bytes());
    assert_eq!(names(&found), ["b"]);
    one_problem(&found, Severity::Error, "standard input:3:1: the TenantPricing a names no namespace");
}

#[test]
fn of_two_objects_of_one_name_the_first_counts() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("a.yaml"), pricing("acme")).unwrap();
    fs::write(folder.path().join("b.yaml"), format!("{}---\n{}", pricing("acme"), pricing("bolt"))).unwrap();
    let found = from_path(folder.path(), false);
    assert_eq!(names(&found), ["acme", "bolt"]);
    one_problem(&found, Severity::Error, "there is another TenantPricing billing/acme at ");
    let (problem, folder) = (&found.problems[0], folder.path().display());
    assert!(problem.message.contains(&format!("{folder}/a.yaml:4:3")), "{problem}");
    assert_eq!(problem.position.to_string(), format!("{folder}/b.yaml:4:3"));
    // Another kind, or another namespace, is another object.
    let connection = pricing("acme").replace("TenantPricing", "PlatformConnection");
    let other = pricing("acme").replace("spec:", "  namespace: other\nspec:");
    assert_eq!(from_text(&format!("{}---\n{connection}---\n{other}", pricing("acme"))).objects.len(), 3);
}

#[test]
fn folders_are_read_as_kubectl_reads_them() {
    let folder = TempDir::new().unwrap();
    let inner = folder.path().join("inner");
    fs::create_dir(&inner).unwrap();
    for (file, name) in [("b.yml", "b"), ("a.yaml", "a"), ("c.json", "c"), ("d.txt", "d"), ("e.YAML", "e")] {
        fs::write(folder.path().join(file), pricing(name)).unwrap();
    }
    fs::write(inner.join("f.yaml"), pricing("f")).unwrap();
    assert_eq!(names(&from_path(folder.path(), false)), ["a", "b", "c"]);
    assert_eq!(names(&from_path(folder.path(), true)), ["a", "b", "c", "f"]);
    assert_eq!(names(&from_path(&folder.path().join("d.txt"), false)), ["d"]);
    // No file is read twice.
    let paths = [folder.path().to_owned(), folder.path().join("a.yaml"), inner.clone()];
    let found = read(&paths, &in_namespace(false), &mut io::empty());
    assert_eq!((names(&found), problems(&found)), (vec!["a", "b", "c", "f"], vec![]));
}

#[test]
fn a_link_to_a_folder_is_named_and_not_followed() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("a.yaml"), pricing("a")).unwrap();
    symlink(folder.path(), folder.path().join("itself")).unwrap();
    symlink(folder.path().join("a.yaml"), folder.path().join("again.yaml")).unwrap();
    symlink(folder.path().join("gone"), folder.path().join("broken.yaml")).unwrap();
    let found = from_path(folder.path(), true);
    assert_eq!(names(&found), ["a"]);
    let all = problems(&found);
    assert_eq!(all.len(), 2, "{all:#?}");
    assert!(
        all[0].starts_with("Error") && all[0].contains("broken.yaml: there is no such file"),
        "{}",
        all[0]
    );
    assert!(all[1].starts_with("Note") && all[1].contains("itself: a link to a folder"), "{}", all[1]);
}

/// Writes these files into a folder, each with its text.
fn write_all(folder: &Path, files: &[(&str, &str)]) {
    for (file, text) in files {
        let path = folder.join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
}

#[test]
fn a_link_that_leads_out_of_the_folder_is_refused() {
    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name);
    write_all(folder.path(), &[("in/a.yaml", &pricing("a")), ("out.yaml", &pricing("o"))]);
    fs::create_dir(path("in/deep")).unwrap();
    symlink("../../out.yaml", path("in/deep/b.yaml")).unwrap();
    symlink(path("out.yaml"), path("in/c.yaml")).unwrap();
    // One that leads out by another link, and one whose target does not exist: a reader learns nothing about it.
    symlink("c.yaml", path("in/d.yaml")).unwrap();
    symlink("../nowhere.yaml", path("in/e.yaml")).unwrap();
    symlink("deep/../a.yaml", path("in/f.yaml")).unwrap();
    let found = from_path(&path("in"), true);
    assert_eq!(names(&found), ["a"]);
    let all = problems(&found);
    assert_eq!(all.len(), 4, "{all:#?}");
    for (problem, link) in all.iter().zip(["c", "d", "deep/b", "e"]) {
        let expected = format!("in/{link}.yaml: it is a link to a file that is not in the folder");
        assert!(problem.starts_with("Error") && problem.contains(&expected), "{problem}");
    }
    // A person who names the link means it.
    assert_eq!(names(&from_path(&path("in/c.yaml"), false)), ["o"]);
}

#[test]
fn a_list_of_kustomize_is_as_good_as_its_files() {
    let folder = TempDir::new().unwrap();
    let list = "# a comment\n---\napiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources:\n\
                - a.yaml\n- ./north/b.yaml\n- south\n";
    write_all(
        folder.path(),
        &[
            ("kustomization.yaml", list),
            ("a.yaml", &pricing("a")),
            ("north/b.yaml", &pricing("b")),
            ("south/kustomization.yml", "resources: [c.yaml]\n"),
            ("south/c.yaml", &pricing("c")),
            ("values.yaml", "no: object\n"),
            ("secret.yaml", "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\n"),
        ],
    );
    let found = from_path(folder.path(), true);
    assert_eq!((names(&found), problems(&found)), (vec!["a", "b", "s", "c"], vec![]));
    assert!(found.doubtful.is_empty());
    let found = from_path(folder.path(), false);
    let all = problems(&found).join("\n");
    assert!(
        all.contains("kustomization.yaml:7:3: it lists north/b.yaml, and that is not read here"),
        "{all}"
    );
    assert!(all.contains("it lists south") && all.contains("--recursive"), "{all}");
}

#[test]
fn a_kustomization_that_is_no_list_is_an_error() {
    for (text, place, expected) in [
        ("resources: [a.yaml]\npatches: []\n", ":2:1: ", "with \"patches\", Kustomize may apply"),
        ("namePrefix: x-\nresources: [a.yaml]\n", ":1:1: ", "with \"namePrefix\""),
        ("components: [../production]\n", ":1:1: ", "with \"components\""),
        ("kind: Component\nresources: [a.yaml]\n", ":1:1: ", "the kind is \"Component\""),
        ("resources: [../base]\n", ":1:13: ", "no file or folder inside this one"),
        ("resources: [https://evil.example/a.yaml]\n", ":1:13: ", "no file or folder inside this one"),
        ("resources: a.yaml\n", ":1:1: ", "no list"),
        ("resources: [a.yaml]\n---\npatches: []\n", ": ", "2 documents"),
        ("resources: [a.yaml\n", ":", "it is no YAML"),
        ("resources: [a.yaml]\nresources: []\n", ":2:1: ", "twice"),
        ("", ": ", "0 documents"),
        ("\u{feff}---\n\"\\x70atches\": []\nresources: [a.yaml]\n", ":2:1: ", "with \"patches\""),
    ] {
        for name in ["kustomization.yaml", "kustomization.yml", "Kustomization"] {
            let folder = TempDir::new().unwrap();
            write_all(folder.path(), &[("x/a.yaml", &pricing("a")), (&format!("x/{name}"), text)]);
            let found = from_path(folder.path(), true);
            assert_eq!(names(&found), ["a"]);
            one_problem(&found, Severity::Error, expected);
            one_problem(&found, Severity::Error, &format!("x/{name}{place}"));
            one_problem(&found, Severity::Error, "render the folder first, such as with kubectl kustomize");
            assert_eq!(found.doubtful.len(), 1, "{found:?}");
        }
    }
}

#[test]
fn what_a_list_leaves_out_is_an_error_if_an_object_is_in_it() {
    let folder = TempDir::new().unwrap();
    write_all(
        folder.path(),
        &[
            ("kustomization.yaml", "resources: [a.yaml, b.txt, gone.yaml]\n"),
            ("a.yaml", &pricing("a")),
            ("b.txt", &pricing("b")),
            ("c.yaml", &pricing("c")),
            ("deep/d.yaml", &pricing("d")),
            ("south/kustomization.yaml", "resources: [e.yaml]\n"),
            ("south/e.yaml", &pricing("e")),
            ("config.yaml", "kind: ConfigMap\n"),
        ],
    );
    let found = from_path(folder.path(), true);
    let all = problems(&found);
    let root = folder.path().display();
    for expected in [
        format!("Error {root}/kustomization.yaml:1:21: it lists b.txt, and that is not read"),
        format!("Error {root}/kustomization.yaml:1:28: it lists gone.yaml"),
        format!("Error {root}/c.yaml: {root}/c.yaml is not among the resources of {root}/kustomization.yaml"),
        format!("Error {root}/deep/d.yaml: {root}/deep/d.yaml is not among the resources"),
        format!("Error {root}/south/e.yaml: {root}/south is not among the resources of {root}/kust"),
    ] {
        assert!(all.iter().any(|problem| problem.starts_with(&expected)), "{expected}: {all:#?}");
    }
    assert_eq!(all.len(), 5, "{all:#?}");
    let doubtful: Vec<&str> = found.doubtful.iter().filter_map(|file| file.rsplit('/').next()).collect();
    assert_eq!(doubtful, ["c.yaml", "d.yaml", "e.yaml"]);
}

/// Without the annotation, the object would be applied. Its spec does not show that.
#[test]
fn an_object_that_kustomize_leaves_out_is_an_error() {
    let of =
        |value: &str| pricing(&format!("a\n  annotations: {{config.kubernetes.io/local-config: {value}}}"));
    for value in ["'true'", "''", "any"] {
        let found = from_text(&of(value));
        one_problem(&found, Severity::Error, "Kustomize leaves the object out");
        assert_eq!(found.doubtful.len(), 1);
    }
    assert_eq!(problems(&from_text(&of("'false'"))), Vec::<String>::new());
}

#[test]
fn a_chart_is_to_be_rendered_first() {
    let folder = TempDir::new().unwrap();
    let templated = pricing("a").replace("{name: Acme}", "\"{{ .Values.tenant }}\"");
    write_all(
        folder.path(),
        &[("x/Chart.yaml", "name: x\n"), ("x/templates/a.yaml", &templated), ("b.yaml", &pricing("b"))],
    );
    let found = from_path(folder.path(), true);
    one_problem(&found, Severity::Error, "x/Chart.yaml: it makes the folder a Helm chart");
    assert_eq!(found.doubtful.len(), 1);
    // A kustomization alone is no manifest either.
    let path = folder.path().join("kustomization.yaml");
    fs::write(&path, "resources: [b.yaml]\n").unwrap();
    one_problem(&from_path(&path, false), Severity::Error, "it is no manifest, but a list for Kustomize");
}

#[test]
fn what_cannot_be_read_is_named_and_the_rest_is_read() {
    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("a.yaml"), pricing("a")).unwrap();
    fs::write(path("binary.yaml"), b"apiVersion: \xff\xfe\n").unwrap();
    let utf16: Vec<u8> =
        [0xff, 0xfe].into_iter().chain(pricing("u").bytes().flat_map(|byte| [byte, 0])).collect();
    fs::write(path("utf16.yaml"), utf16).unwrap();
    fs::create_dir(path("folder.yaml")).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(path("socket.yaml")).unwrap();
    let found = from_path(folder.path(), false);
    assert_eq!(names(&found), ["a"]);
    let all = problems(&found).join("\n");
    for expected in
        ["binary.yaml: it is no UTF-8 text", "socket.yaml: it is no file", "utf16.yaml: it is UTF-16 text"]
    {
        assert!(all.contains(expected), "{expected}: {all}");
    }
    assert_eq!(found.problems.len(), 3, "{all}");

    let paths = [path("nowhere.yaml"), path("a.yaml")];
    let found = read(&paths, &in_namespace(false), &mut io::empty());
    assert_eq!(names(&found), ["a"]);
    one_problem(&found, Severity::Error, "nowhere.yaml: there is no such file or folder");

    fs::set_permissions(path("a.yaml"), fs::Permissions::from_mode(0o000)).unwrap();
    if fs::read(path("a.yaml")).is_err() {
        // Not as root, who may read everything.
        one_problem(&from_path(&path("a.yaml"), false), Severity::Error, "it may not be read");
    }
}

#[test]
fn no_input_at_all_is_an_error() {
    one_problem(&from_text(" \n"), Severity::Error, "standard input: it is empty");
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("notes.txt"), "").unwrap();
    one_problem(&from_path(folder.path(), true), Severity::Error, "holds no file ending in .yaml");
    one_problem(&from_path(folder.path(), false), Severity::Error, "add --recursive");
}

#[test]
fn a_secret_is_not_in_the_debug_text() {
    let found =
        from_text("apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {clientSecret: hunter2}\n");
    assert_eq!(found.objects[0].value["stringData"]["clientSecret"], "hunter2");
    assert!(!format!("{found:?}").contains("hunter2"));
}

#[test]
fn a_secret_in_a_broken_document_is_not_repeated() {
    for broken in [
        "stringData: {clientSecret: hunter2",
        "stringData:\n  clientSecret: \"hunter2\n",
        "stringData:\n  clientSecret: hunter2: x\n",
        "stringData:\n  clientSecret: *hunter2\n",
        "stringData:\n  clientSecret: !hunter2 [hunter2\n",
        "stringData:\n  clientSecret: @hunter2\n",
        "stringData:\n  clientSecret: !!int hunter2\n",
        "stringData:\n\tclientSecret: hunter2\n",
        "stringData:\n  clientSecret: hunter2\n hunter2\n",
        "stringData:\n  clientSecret: |1x\n   hunter2\n",
        "stringData: {? [hunter2] : x}\n",
        "metadata: {name: [hunter2]}\n",
    ] {
        let found = from_text(&format!("apiVersion: v1\nkind: Secret\n{broken}"));
        let problems = problems(&found);
        assert_eq!(problems.len(), 1, "{broken}: {problems:?}");
        assert!(!problems[0].contains("hunter2"), "{broken}: {problems:?}");
    }
}

#[test]
fn an_alias_bomb_is_refused_soon() {
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let aliases = vec![format!("*a{}", level - 1); 10].join(", ");
        bomb.extend([format!("a{level}: &a{level} [{aliases}]\n")]);
    }
    let found = from_text(&format!("# tenantpricing.io\n{bomb}---\n{}", pricing("a")));
    assert_eq!(names(&found), ["a"]);
    one_problem(&found, Severity::Error, "its aliases repeat too much");
    let deep = format!("# tenantpricing.io\na: {}\n---\n{}", "[".repeat(5000), pricing("a"));
    let found = from_text(&deep);
    assert_eq!(names(&found), ["a"]);
    one_problem(&found, Severity::Error, "is nested too deeply");
}

#[test]
fn an_object_cannot_hide_from_the_reader() {
    let ours = pricing("a");
    for text in [
        ours.replace("tenantpricing.io", "\"tenantpricing\\x2eio\"")
            .replace("io\"/v1alpha1", "io/v1alpha1\""),
        ours.replace("tenantpricing.io/v1alpha1", "!!binary dGVuYW50cHJpY2luZy5pby92MWFscGhhMQ=="),
        ours.replace("apiVersion: tenantpricing.io", "x: &v tenantpricing.io/v1alpha1\napiVersion: *v\n#"),
        ours.replace('\n', "\r"),
        format!("# a comment\r{}", ours.replace('\n', "\r")),
        format!("kind: ConfigMap\r---\r{}", ours.replace('\n', "\r")),
        format!("...\n{ours}"),
        format!("%YAML 1.1\n---\n{ours}"),
        format!("--- # a comment\n{ours}"),
        format!("---\t\n{ours}"),
        format!("kind: ConfigMap\n...\n{ours}"),
        // kubectl parses each document alone, and skips a byte order mark at its start.
        format!("kind: ConfigMap\n---\n\u{feff}{ours}"),
        format!("---\r\n\u{feff}{ours}"),
        format!("kind: ConfigMap\n--- # next\n\u{feff}---\n{ours}"),
        // kubectl takes each object with items for a list.
        format!("kind: ConfigMap\nitems:\n- {}", ours.replace('\n', "\n  ")),
    ] {
        let found = from_text(&text);
        assert_eq!(names(&found), ["a"], "{text:?}: {:?}", problems(&found));
    }
    let found = from_text(&format!("kind: ConfigMap\n# a comment\u{2028}{}", ours.replace('\n', "\u{2028}")));
    one_problem(&found, Severity::Error, "Unicode line break");
}

/// kubectl may read the object in spite of the fault: it takes the last of two keys, for example.
#[test]
fn a_fault_in_what_may_be_ours_is_an_error() {
    let hidden = pricing("a").replace("apiVersion: t", "apiVersion: \"\\x74").replace("1alpha1", "1alpha1\"");
    let tagged =
        pricing("a").replace("tenantpricing.io/v1alpha1", "!!binary dGVuYW50cHJpY2luZy5pby92MWFscGhhMQ==");
    let joined = pricing("a").replace("apiVersion: tenantpricing.io", "apiVersion: \"tenant\\\n  pricing.io");
    let joined = joined.replace("1alpha1", "1alpha1\"");
    for text in [&hidden, &tagged, &joined] {
        assert!(!text.contains("tenantpricing.io"), "{text}");
        assert_eq!(names(&from_text(text)), ["a"], "{text}");
        for faulty in [
            format!("{text}  mode: trial\n  mode: production\n"),
            format!("# a comment\n\u{feff}{}", text.replace("\nkind", "\n\u{feff}kind")),
            format!("{text}  data: .nan\n"),
            format!("---\u{a0}\n{text}"),
        ] {
            let found = from_text(&faulty);
            assert!(names(&found).is_empty() && found.has_errors(), "{faulty:?}: {found:?}");
        }
    }
    // A template that has nothing to do with this program stays a note.
    let template = "{{- if ne .a \"\\n\" }}\nkind: A # Watch out!\n{{- end }}\n";
    one_problem(&from_text(&format!("{}---\n{template}", pricing("a"))), Severity::Note, "a template");
}

#[test]
fn positions_behind_a_byte_order_mark_are_those_of_the_file() {
    let found = from_text(&format!("kind: ConfigMap\n---\n\u{feff}# Source: chart/a.yaml\n{}", pricing("a")));
    let position = found.objects[0].position("/metadata/name");
    assert_eq!(position.to_string(), "standard input:7:3 (rendered from chart/a.yaml)");
}

#[test]
fn reading_stops_after_the_last_document_that_is_allowed() {
    let text = format!("{}---\n{}---\n{}", "---\nkind: C\n".repeat(99), pricing("a"), pricing("b"));
    let options = in_namespace(false);
    let mut objects = Vec::new();
    let mut visit = |manifest| objects.push(manifest);
    let mut reader = objects::Reader::new(&options, 100, &mut visit);
    assert!(!reader.read("a.yaml", &text), "it can go on");
    let rest = reader.finish();
    let found = Manifests { objects, ..rest };
    assert_eq!((names(&found), found.skipped["C"]), (vec!["a"], 99));
    one_problem(&found, Severity::Error, "a.yaml:206:1: these are more than 100 documents");

    let list = format!("kind: List\nitems: [{}]\n", "{kind: C}, ".repeat(100));
    let mut visit = |_| {};
    let mut reader = objects::Reader::new(&options, 100, &mut visit);
    assert!(!reader.read("a.yaml", &list), "it can go on");
    assert_eq!(reader.finish().skipped["C"], 99);
}

proptest! {
    #![proptest_config(crate::testing::adversarial::cases(300))]

    #[test]
    fn no_text_is_too_bad_to_be_read(
        text in "([a-z{}\\[\\]\"'&*!|>%@`:,#\\-? \t\r\n]|tenantpricing.io|kind: |apiVersion: |---\n){0,60}",
        cut in 0_usize..200,
    ) {
        let manifest = pricing("a");
        let cut = cut.min(manifest.len());
        let found = from_text(&format!("{}{text}{}", &manifest[..cut], &manifest[cut..]));
        for problem in &found.problems {
            prop_assert!(problem.message.len() > 20 && !problem.message.contains('\n'), "{}", problem);
        }
    }
}
