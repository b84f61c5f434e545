//! The examples for CI, as far as they are shell, in a repository of git.

use std::{fs, path::Path};

use tenant_pricing_controller::simulator::TenantSpec;

use super::{assert_only_reads, credentials};
use crate::harness::{PLUGIN, Test};

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
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/ci/plan.sh");
    let (url, variables) = (test.simulator.url(), credentials(&test));
    let run = async |with_credentials: bool, fail_on: &str| {
        let mut command = tokio::process::Command::new("bash");
        command.arg(&script).args(["main", "comment.md", "--url", &url]).current_dir(folder.path());
        let known = std::env::var_os("PATH").unwrap();
        let folders = std::iter::once(Path::new(PLUGIN).parent().unwrap().to_owned())
            .chain(std::env::split_paths(&known));
        command.env("PATH", std::env::join_paths(folders).unwrap()).env("FAIL_ON", fail_on);
        command.env("TENANT_PRICING_ALLOWED_HOSTS", &url).env_remove("TENANT_PRICING_CLIENT_ID");
        if with_credentials {
            command.envs(variables.iter().map(|(name, value)| (*name, value.as_str())));
        }
        let output = command.output().await.unwrap();
        let comment = fs::read_to_string(path("comment.md")).unwrap();
        (output.status.code(), comment, String::from_utf8(output.stderr).unwrap())
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
