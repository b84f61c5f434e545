//! The examples for CI, as far as they are shell, in a repository of git.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use serde_json::{Value, json};
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
    // Without a plan, the comment of the last one does not stay.
    let (code, comment, error) = run(true, "switches").await;
    assert_eq!(code, Some(1), "{error}");
    assert!(comment.starts_with("<!-- kubectl-tenantpricing plan -->\n"), "{comment}");
    assert!(
        comment.contains("there is no plan for this change") && !comment.contains("switch now"),
        "{comment}"
    );
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
    let operation = r#"[{"op": "add", "path": "/spec/mode", "value": "production"}]"#;
    let switch = format!("patches:\n- target: {{kind: TenantPricing}}\n  patch: '{operation}'\n");
    fs::write(path("tenants/kustomization.yaml"), format!("{list}{switch}")).unwrap();
    let (code, comment, error) = run_script(folder.path(), &url, &variables).await;
    assert_eq!(code, Some(4), "{comment}{error}");
    assert!(comment.contains("it is switched to production at once"), "{comment}");
    // Without the variable, the folder is not read as it stands.
    let (code, comment, error) = run_script(folder.path(), &url, &variables[1..]).await;
    assert_eq!(code, Some(1), "{comment}{error}");
    assert!(comment.contains("render the folder first"), "{comment}");
    test.finish().await;
}

/// What stands in for `gh` and `curl`: answers from files of this folder, with jq as both have it, and a log of writes.
const STAND_IN: &str = r#"#!/usr/bin/env bash
set -euo pipefail
here=$(dirname "$0")
if [[ " $* " == *" --method "* || " $* " == *" --request "* ]]; then
  printf '%s\n' "$*" >>"$here/writes"
  exit
fi
while (($#)); do
  case $1 in
    --jq) filter=$2; shift ;;
    --dump-header) headers=$2; shift ;;
    http*) url=$1 ;;
  esac
  shift
done
if [[ -n ${filter:-} ]]; then
  jq -r "$filter" "$here/comments"
elif [[ $url == */user ]]; then
  cat "$here/user"
elif [[ $url == *page=1 ]]; then
  printf 'HTTP/2 200\r\nX-Next-Page: 2\r\n\r\n' >"$headers"
  printf '[]'
else
  printf 'HTTP/2 200\r\nx-next-page: \r\n\r\n' >"$headers"
  cat "$here/comments"
fi
"#;

/// The last script of a job in an example that writes a comment.
fn comment_script(example: &str, path: &str) -> String {
    let text =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/ci").join(example)).unwrap();
    let workflow: Value = serde_saphyr::from_str(&text).unwrap();
    let script = workflow.pointer(path).and_then(Value::as_str);
    script.unwrap_or_else(|| panic!("{example} has no {path}")).to_owned()
}

/// Runs a script that writes a comment, among these comments. Returns the writes.
fn comment(script: &str, comments: &Value) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    for name in ["gh", "curl"] {
        fs::write(path(name), STAND_IN).unwrap();
        fs::set_permissions(path(name), fs::Permissions::from_mode(0o755)).unwrap();
    }
    fs::write(path("comments"), comments.to_string()).unwrap();
    fs::write(path("user"), r#"{"id": 7}"#).unwrap();
    fs::write(path("comment.md"), "the plan").unwrap();
    let known = std::env::var_os("PATH").unwrap();
    let folders = std::iter::once(folder.path().to_owned()).chain(std::env::split_paths(&known));
    let mut command = std::process::Command::new("bash");
    command.args(["-e", "-c", script]).current_dir(folder.path());
    command.env("PATH", std::env::join_paths(folders).unwrap());
    for (name, value) in [
        ("GITHUB_STEP_SUMMARY", "summary"),
        ("GITHUB_REPOSITORY", "provider/tenants"),
        ("NUMBER", "5"),
        ("FORK", "false"),
        ("AUTHOR", "github-actions[bot]"),
        ("CI_API_V4_URL", "https://gitlab.example/api/v4"),
        ("CI_PROJECT_ID", "3"),
        ("CI_MERGE_REQUEST_IID", "5"),
        ("COMMENT_TOKEN", "token"),
    ] {
        command.env(name, value);
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    fs::read_to_string(path("writes")).unwrap()
}

#[test]
fn only_a_comment_of_the_job_itself_is_updated() {
    const MARKER: &str = "<!-- kubectl-tenantpricing plan -->";
    let github = comment_script("github.yaml", "/jobs/plan/steps/2/run");
    let gitlab = comment_script("gitlab.yaml", "/plan/script/2");
    let of = |id: u32, login: &str, author: u32, body: &str| json!({"id": id, "user": {"login": login}, "author": {"id": author}, "body": body});
    let own = |id: u32, body: &str| of(id, "github-actions[bot]", 7, body);
    let plan = format!("{MARKER}\n### What this changes on the bill");
    let taken = of(1, "mallory", 8, &plan);
    let quoted = own(2, &format!("> {plan}"));
    for (script, create, update) in [
        (
            &github,
            "--method POST repos/provider/tenants/issues/5/comments ",
            "--method PATCH repos/provider/tenants/issues/comments/4 ",
        ),
        (&gitlab, "--request POST ", "--request PUT "),
    ] {
        for (comments, expected) in [
            (json!([]), create),
            (json!([taken]), create),
            (json!([of(1, "github-actions", 77, &plan)]), create),
            (json!([quoted]), create),
            (json!([taken, quoted, own(4, &plan), own(5, &plan)]), update),
        ] {
            let writes = comment(script, &comments);
            assert!(writes.contains(expected) && writes.lines().count() == 1, "{comments:#}: {writes}");
            assert!(writes.contains("body=@comment.md") || writes.contains("body@comment.md"), "{writes}");
            assert!(!writes.contains("comments/1") && !writes.contains("notes/1"), "{writes}");
            assert_eq!(writes.contains("notes/4"), script == &gitlab && expected == update, "{writes}");
        }
    }
}
