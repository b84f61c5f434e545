//! The examples for CI, as far as they are shell, in a repository of git.

use std::{fs, path::Path};

use tenant_pricing_controller::simulator::TenantSpec;

use super::{assert_only_reads, credentials};
use crate::harness::{PLUGIN, Test};

/// Runs the script in a repository, with these variables. Returns its exit code, the comment, and what it said.
async fn run_script(folder: &Path, url: &str, variables: &[(&str, &str)]) -> (Option<i32>, String, String) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/ci/plan.sh");
    let known = std::env::var_os("PATH").unwrap();
    let folders =
        std::iter::once(Path::new(PLUGIN).parent().unwrap().to_owned()).chain(std::env::split_paths(&known));
    let mut command = tokio::process::Command::new("bash");
    command.arg(&script).args(["main", "comment.md", "--url", url]).current_dir(folder);
    command.env("PATH", std::env::join_paths(folders).unwrap()).env("TENANT_PRICING_ALLOWED_HOSTS", url);
    command.env_remove("TENANT_PRICING_CLIENT_ID").envs(variables.iter().copied());
    let output = command.output().await.unwrap();
    let comment = fs::read_to_string(folder.join("comment.md")).unwrap();
    (output.status.code(), comment, String::from_utf8(output.stderr).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_script_for_ci_comments_and_fails_as_it_says() {
    let test = Test::new("plan-ci").await;
    let tenant = test.simulator.add_tenant(TenantSpec::customer("Acme GmbH"));
    let partner = test.simulator.add_tenant(TenantSpec::partner("Partner"));
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let git = |arguments: &[&str]| {
        let mut command = std::process::Command::new("git");
        command.args(["-c", "user.name=t", "-c", "user.email=t@example.com"]).args(arguments);
        assert!(command.current_dir(folder.path()).status().unwrap().success(), "{arguments:?}");
    };
    let object = |name: &str, tenant: &str| {
        format!(
            "apiVersion: tenantpricing.io/v1alpha1\nkind: TenantPricing\nmetadata: {{name: {name}, namespace: a}}\n\
             spec: {{tenant: {{id: {tenant}}}, mode: production}}\n"
        )
    };
    fs::create_dir(path("tenants")).unwrap();
    git(&["init", "-q", "-b", "main"]);
    git(&["commit", "-q", "--allow-empty", "-m", "base"]);
    fs::write(path("tenants/acme.yaml"), object("acme", &tenant)).unwrap();
    let (url, variables) = (test.simulator.url(), credentials(&test));
    let run = async |with_credentials: bool, fail_on: &str| {
        let mut all = vec![("FAIL_ON", fail_on)];
        if with_credentials {
            all.extend(variables.iter().map(|(name, value)| (*name, value.as_str())));
        }
        run_script(folder.path(), &url, &all).await
    };
    let (code, comment, error) = run(true, "switches>20").await;
    assert_eq!(code, Some(0), "{comment}{error}");
    assert!(comment.starts_with("<!-- kubectl-tenantpricing plan -->"), "{comment}");
    assert!(comment.contains("1 switch now"), "{comment}");
    let requests = test.simulator.requests().len();
    let (code, comment, error) = run(false, "switches>20").await;
    assert_eq!(code, Some(0), "{comment}{error}");
    assert!(comment.contains("1 unknown"), "{comment}");
    assert_eq!(test.simulator.requests().len(), requests, "a fork has no credentials");
    let (code, _, error) = run(true, "immediate-switch").await;
    assert_eq!(code, Some(4), "{error}");
    fs::write(path("tenants/partner.yaml"), object("partner", &partner)).unwrap();
    let (code, comment, error) = run(true, "switches>20").await;
    assert_eq!(code, Some(3), "{comment}{error}");
    assert!(comment.contains("NotACustomer") || comment.contains("only customer tenants"), "{comment}");
    assert_only_reads(&test.simulator.requests());
    test.finish().await;
}

/// The switch is in the kustomization alone: the file of the tenant does not change.
#[tokio::test(flavor = "multi_thread")]
async fn the_script_for_ci_renders_both_trees() {
    let test = Test::new("plan-ci-rendered").await;
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let git = |arguments: &[&str]| {
        let mut command = std::process::Command::new("git");
        command.args(["-c", "user.name=t", "-c", "user.email=t@example.com"]).args(arguments);
        assert!(command.current_dir(folder.path()).status().unwrap().success(), "{arguments:?}");
    };
    fs::create_dir(path("tenants")).unwrap();
    let list = "namespace: team\nresources: [acme.yaml]\n";
    fs::write(path("tenants/kustomization.yaml"), list).unwrap();
    let object = "apiVersion: tenantpricing.io/v1alpha1\nkind: TenantPricing\nmetadata: {name: acme}\n\
                  spec: {tenant: {name: Acme GmbH}}\n";
    fs::write(path("tenants/acme.yaml"), object).unwrap();
    git(&["init", "-q", "-b", "main"]);
    git(&["add", "-A"]);
    git(&["commit", "-qm", "base"]);
    let kubectl = test.program("kubectl");
    let render = format!("{} kustomize", kubectl.display());
    let variables = [("RENDER", render.as_str()), ("FAIL_ON", "immediate-switch")];
    let url = test.simulator.url();
    let (code, comment, error) = run_script(folder.path(), &url, &variables).await;
    assert!(code == Some(0) && comment.contains("1 unchanged"), "{code:?} {comment}{error}");
    let patch = r#"[{"op": "add", "path": "/spec/mode", "value": "production"}]"#;
    let patch = format!("patches:\n- target: {{kind: TenantPricing}}\n  patch: '{patch}'\n");
    fs::write(path("tenants/kustomization.yaml"), format!("{list}{patch}")).unwrap();
    let (code, comment, error) = run_script(folder.path(), &url, &variables).await;
    assert_eq!(code, Some(4), "{comment}{error}");
    assert!(comment.contains("it is switched to production at once"), "{comment}");
    // Without the variable, the folder is not read as it stands.
    let (code, comment, error) = run_script(folder.path(), &url, &variables[1..]).await;
    assert_eq!(code, Some(1), "{comment}{error}");
    assert!(comment.contains("render the folder first"), "{comment}");
    test.finish().await;
}
