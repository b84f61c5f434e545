//! `plan` in a checkout of git whose files come from somebody else. It needs no cluster and no platform.

use std::{fs, os::unix::fs::symlink, path::Path, process::Command};

use serde_json::Value;
use tempfile::TempDir;

use super::entry;
use crate::harness::{PLUGIN, schemas};

/// A repository on the branch `main`, and what a change did to its files.
struct Checkout(TempDir);

/// What a plan said.
struct Said {
    code: i32,
    stdout: String,
    stderr: String,
}

impl Said {
    fn plan(&self) -> Value {
        let plan = serde_json::from_str(&self.stdout);
        let plan = plan.unwrap_or_else(|error| panic!("{error}: {}{}", self.stdout, self.stderr));
        schemas::assert_valid(&plan);
        plan
    }

    /// Asserts that there is no plan, for this reason.
    #[track_caller]
    fn refused(&self, reason: &str) {
        assert_eq!((self.code, self.stdout.as_str()), (1, ""), "{}", self.stderr);
        assert!(self.stderr.contains(reason), "{reason}: {}", self.stderr);
    }
}

impl Checkout {
    fn new() -> Self {
        let checkout = Self(tempfile::tempdir().unwrap());
        checkout.git(&["init", "-q", "-b", "main"]);
        checkout
    }

    fn path(&self, file: &str) -> std::path::PathBuf {
        self.0.path().join(file)
    }

    fn write(&self, file: &str, text: &str) {
        let path = self.path(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn git(&self, arguments: &[&str]) -> String {
        git(self.0.path(), arguments)
    }

    /// Commits all files, and returns the commit.
    fn commit(&self) -> String {
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "--allow-empty", "-m", "a change"]);
        self.git(&["rev-parse", "HEAD"])
    }

    fn plan(&self, arguments: &[&str]) -> Said {
        plan(self.0.path(), arguments)
    }
}

fn git(folder: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new("git");
    command.args(["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "protocol.file.allow=always"]);
    let output = command.args(arguments).current_dir(folder).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// A plan of `tenants`, without cluster and platform.
fn plan(folder: &Path, arguments: &[&str]) -> Said {
    let mut command = Command::new(PLUGIN);
    command.args(["plan", "--no-cluster", "--offline", "-n", "team", "-o", "json"]).args(arguments);
    if !arguments.contains(&"-f") {
        command.args(["-f", "tenants"]);
    }
    let output = command.current_dir(folder).stdin(std::process::Stdio::null()).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Said { code: output.status.code().unwrap(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

fn pricing(name: &str, mode: &str) -> String {
    format!(
        "apiVersion: tenantpricing.io/v1alpha1\nkind: TenantPricing\nmetadata: {{name: {name}}}\n\
         spec: {{tenant: {{name: {name}}}, mode: {mode}}}\n"
    )
}

/// The errors and remarks of a plan, as one text.
fn notes(plan: &Value) -> String {
    plan["notes"].to_string()
}

/// The change puts what it changes into a folder with the name of the base. Compared with it, nothing would change.
#[test]
fn no_file_takes_the_place_of_a_revision() {
    let checkout = Checkout::new();
    checkout.write("tenants/acme.yaml", &pricing("acme", "trial"));
    let base = checkout.commit();
    checkout.git(&["update-ref", "refs/remotes/origin/main", &base]);
    checkout.write("tenants/acme.yaml", &pricing("acme", "production"));
    for forged in ["origin/main", &base, "main:tenants", "HEAD", "main~0"] {
        checkout.write(&format!("{forged}/acme.yaml"), &pricing("acme", "production"));
        checkout.plan(&["--base", forged]).refused("it is a revision of git, and a folder or file here");
    }
    checkout.write("tag", "");
    checkout.git(&["tag", "tag"]);
    checkout.plan(&["--base", "tag"]).refused("For the revision write");
    // What can only be a path is one, and a name that no file has is a revision.
    assert_eq!(checkout.plan(&["--base", "./origin/main"]).plan()["summary"]["unchanged"], 1);
    let said = checkout.plan(&["--base", "origin/main^{commit}", "--fail-on", "immediate-switch"]);
    let plan = said.plan();
    assert_eq!((said.code, &entry(&plan, "acme")["change"]), (4, &Value::from("update")), "{plan:#}");
}

/// Git prefers a tag. A person who may push one could choose what a plan compares with.
#[test]
fn a_name_of_two_commits_is_refused() {
    let checkout = Checkout::new();
    checkout.write("tenants/acme.yaml", &pricing("acme", "trial"));
    let base = checkout.commit();
    checkout.git(&["update-ref", "refs/remotes/origin/main", &base]);
    checkout.git(&["tag", "-a", "-m", "the same", "origin/main"]);
    assert_eq!(checkout.plan(&["--base", "origin/main"]).code, 0);
    checkout.write("tenants/acme.yaml", &pricing("acme", "production"));
    checkout.commit();
    checkout.git(&["tag", "-f", "-a", "-m", "another", "origin/main"]);
    for name in ["origin/main", "origin/main~0", "origin/main^{commit}", "origin/main:tenants"] {
        checkout.plan(&["--base", name]).refused("refs/remotes/origin/main and refs/tags/origin/main");
    }
    for name in ["refs/remotes/origin/main", "remotes/origin/main", &base] {
        assert_eq!(checkout.plan(&["--base", name]).code, 2, "{name}");
    }
}

#[test]
fn a_path_that_a_revision_lacks_is_named() {
    let checkout = Checkout::new();
    checkout.write("tenants/acme.yaml", &pricing("acme", "trial"));
    checkout.commit();
    checkout.plan(&["--base", "main:typo"]).refused("main has no typo");
    checkout.plan(&["--base", "main", "-f", "-"]).refused("a revision has no standard input");
    checkout.plan(&["--base", "main", "-f", "/tmp"]).refused("is not in the repository");
    checkout.write("more/bolt.yaml", &pricing("bolt", "trial"));
    let plan = checkout.plan(&["--base", "main", "-f", "tenants", "-f", "more"]).plan();
    assert!(notes(&plan).contains("main has no more: everything in it counts as new"), "{plan:#}");
    assert_eq!(entry(&plan, "bolt")["change"], "create");
    assert_eq!(entry(&plan, "acme")["change"], "none");
}

#[test]
fn links_in_the_base_are_those_of_the_checkout() {
    let checkout = Checkout::new();
    checkout.write("shared/acme.yaml", &pricing("acme", "trial"));
    checkout.write("shared/deep/bolt.yaml", &pricing("bolt", "trial"));
    symlink("deep/bolt.yaml", checkout.path("shared/link.yaml")).unwrap();
    symlink("link.yaml", checkout.path("shared/again.yaml")).unwrap();
    symlink("shared", checkout.path("tenants")).unwrap();
    fs::create_dir(checkout.path("files")).unwrap();
    symlink("../shared/acme.yaml", checkout.path("files/acme.yaml")).unwrap();
    checkout.commit();
    for (arguments, count) in
        [(["-f", "shared"], 2), (["-f", "tenants"], 2), (["-f", "files/acme.yaml"], 1), (["-f", "."], 2)]
    {
        let said = checkout.plan(&[&arguments[..], &["-R", "--base", "HEAD"]].concat());
        let plan = said.plan();
        // In the root, the link out of the folder `files` stays in the folder that was given.
        assert_eq!(
            (said.code, &plan["summary"]["unchanged"]),
            (0, &Value::from(count)),
            "{arguments:?}: {plan:#}"
        );
    }
    // A folder that lies elsewhere is not the one that was reviewed.
    let elsewhere = Checkout::new();
    elsewhere.write("a.yaml", &pricing("secret-name", "trial"));
    fs::remove_file(checkout.path("tenants")).unwrap();
    symlink(elsewhere.0.path(), checkout.path("tenants")).unwrap();
    symlink(elsewhere.path("a.yaml"), checkout.path("shared/a.yaml")).unwrap();
    for (path, words) in [
        ("tenants", "leads out of the current folder"),
        ("shared", "is not in the folder, and is not followed"),
    ] {
        let said = checkout.plan(&["-f", path, "--base", "HEAD"]);
        let plan = said.plan();
        assert!(said.code == 1 && notes(&plan).contains(words), "{path}: {plan:#}");
        assert!(!said.stdout.contains("secret-name"), "{plan:#}");
    }
}

/// The base has the same files, and something that a tool made of them.
#[test]
fn what_a_base_may_have_rendered_counts_as_new() {
    let list = "resources: [acme.yaml]\n";
    for base in [format!("{list}patches: [{{path: trial.yaml}}]\n"), "resources: []\n".to_owned()] {
        let checkout = Checkout::new();
        checkout.write("tenants/acme.yaml", &pricing("acme", "production"));
        checkout.write("tenants/kustomization.yaml", &base);
        checkout.commit();
        let said = checkout.plan(&["--base", "main"]);
        assert_eq!(said.code, 1, "{}", said.stdout);
        checkout.write("tenants/kustomization.yaml", list);
        for base in ["main", "main:tenants"] {
            let said = checkout.plan(&["--base", base, "--fail-on", "immediate-switch"]);
            let plan = said.plan();
            assert_eq!((said.code, &entry(&plan, "acme")["change"]), (4, &Value::from("create")), "{plan:#}");
            assert!(notes(&plan).contains("1 objects of the base count as absent"), "{plan:#}");
            assert!(notes(&plan).contains("main:tenants/") && !notes(&plan).contains("/tmp"), "{plan:#}");
        }
        checkout.commit();
        assert_eq!(checkout.plan(&["--base", "main"]).code, 0);
    }
}

/// Removes the content of a file in a commit, so that it cannot be read.
fn forget(checkout: &Checkout, file: &str) {
    let id = checkout.git(&["rev-parse", &format!("HEAD:{file}")]);
    fs::remove_file(checkout.path(&format!(".git/objects/{}/{}", &id[..2], &id[2..]))).unwrap();
}

#[test]
fn only_manifests_of_a_revision_are_read() {
    let checkout = Checkout::new();
    checkout.write("tenants/acme.yaml", &pricing("acme", "trial"));
    checkout.write("tenants/film.bin", "a large file");
    checkout.write("tenants/deep/bolt.yaml", &pricing("bolt", "trial"));
    checkout.write("other.yaml", "kind: ConfigMap\n");
    checkout.commit();
    for file in ["tenants/film.bin", "other.yaml"] {
        forget(&checkout, file);
    }
    assert_eq!(checkout.plan(&["--base", "main", "-R"]).code, 0);
    forget(&checkout, "tenants/deep/bolt.yaml");
    assert_eq!(checkout.plan(&["--base", "main"]).code, 0);
    checkout.plan(&["--base", "main", "-R"]).refused("this clone does not have tenants/deep/bolt.yaml");
}

#[test]
fn a_partial_clone_fetches_nothing() {
    let origin = Checkout::new();
    origin.write("tenants/acme.yaml", &pricing("acme", "trial"));
    let base = origin.commit();
    origin.write("tenants/acme.yaml", &pricing("acme", "production"));
    origin.commit();
    origin.git(&["config", "uploadpack.allowFilter", "true"]);
    let folder = tempfile::tempdir().unwrap();
    let url = format!("file://{}", origin.0.path().display());
    git(folder.path(), &["clone", "-q", "--filter=blob:none", &url, "."]);
    let said = plan(folder.path(), &["--base", &base]);
    said.refused("tenants/acme.yaml, and nothing is fetched here");
    // With the content there, it is as any clone.
    git(folder.path(), &["cat-file", "-p", &format!("{base}:tenants/acme.yaml")]);
    assert_eq!(plan(folder.path(), &["--base", &base]).code, 2);
}

/// A checkout can hold a bare repository, whose configuration names programs.
#[test]
fn a_repository_among_the_files_runs_nothing() {
    let origin = Checkout::new();
    origin.write("tenants/acme.yaml", &pricing("acme", "trial"));
    let base = origin.commit();
    let folder = tempfile::tempdir().unwrap();
    let url = format!("file://{}", origin.0.path().display());
    git(folder.path(), &["clone", "-q", "--bare", &url, "."]);
    let mark = folder.path().join("mark");
    for name in ["core.fsmonitor", "core.sshCommand", "core.pager"] {
        git(folder.path(), &["config", name, &format!("touch {}", mark.display())]);
    }
    fs::create_dir(folder.path().join("tenants")).unwrap();
    fs::write(folder.path().join("tenants/acme.yaml"), pricing("acme", "trial")).unwrap();
    plan(folder.path(), &["--base", &base]).refused("safe.bareRepository");
    assert!(!mark.exists());
}

/// The Secret of a GitOps repository is encrypted. It matters only where its credentials are needed.
#[test]
fn an_encrypted_secret_is_an_error_only_if_it_is_needed() {
    let folder = tempfile::tempdir().unwrap();
    let connection = "apiVersion: tenantpricing.io/v1alpha1\nkind: PlatformConnection\nmetadata: {name: default}\n\
                      spec: {url: 'https://eu2-cloud.acronis.com', credentialsSecretRef: {name: client}}\n---\n";
    let secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: client}\nstringData: {clientId: 'ENC[x]'}\nsops: {}\n";
    let tenants = folder.path().join("tenants.yaml");
    fs::write(&tenants, format!("{connection}{}---\n{secret}", pricing("acme", "production"))).unwrap();
    let said = plan(folder.path(), &["-f", "tenants.yaml"]);
    assert_eq!(said.code, 2, "{}", said.stdout);
    assert!(notes(&said.plan()).contains("Secret team/client cannot be used: it is encrypted by SOPS"));
    let mut command = Command::new(PLUGIN);
    command.args(["plan", "--no-cluster", "-n", "team", "-f", "tenants.yaml"]).current_dir(folder.path());
    let output = command.env_remove("TENANT_PRICING_CLIENT_ID").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    let expected = "error: PlatformConnection team/default: Secret team/client of the input cannot be used";
    assert!(text.contains(expected), "{text}");
}
