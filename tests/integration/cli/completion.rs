//! Completion in bash and by kubectl, with the names of a real cluster.

use std::{net::TcpListener, os::unix::fs::symlink, path::Path};

use serde_json::json;
use tokio::process::Command;

use crate::harness::{Output, PATIENCE, PLUGIN, Test, User, run};

const ID: &str = "0fcd4a69-8a40-4de8-b711-d9c83dc000f7";

/// The candidates that bash finds for the last word of a line.
async fn in_bash(reader: &User<'_>, line: &[&str]) -> Vec<String> {
    // What bash does at the tab key, for the line `"$@"`.
    const SCRIPT: &str = r#"
        source <(kubectl-tenantpricing completion bash)
        COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMP_TYPE=9
        complete -p kubectl-tenantpricing >/dev/null
        _clap_complete_kubectl_tenantpricing kubectl-tenantpricing "${@: -1}" 2>/dev/null
        printf '%s\n' "${COMPREPLY[@]}""#;
    let arguments = [&["-euc", SCRIPT, "bash", "kubectl-tenantpricing"], line].concat();
    let found = reader.run_program("bash", &arguments).await.success();
    found.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn bash_completes_commands_and_the_names_of_the_cluster() {
    let test = Test::new("completion-bash").await;
    test.connection("default", json!({})).await;
    for name in ["acme", "acorn", "bolt"] {
        test.tenant_pricing(name, json!({"tenant": {"id": ID}})).await;
    }
    let reader = test.reader().await;
    assert_eq!(in_bash(&reader, &["hist"]).await, ["history"]);
    assert_eq!(in_bash(&reader, &["status", ""]).await, ["acme", "acorn", "bolt"]);
    assert_eq!(in_bash(&reader, &["events", "--for", "ac"]).await, ["acme", "acorn"]);
    let connection = format!("{}/default", test.namespace);
    assert_eq!(in_bash(&reader, &["import", "--connection", ""]).await, [connection]);
    // The reader may not list namespaces, and gets no error for it.
    assert_eq!(in_bash(&reader, &["status", "-n", ""]).await, [""; 0]);
    assert_eq!(in_bash(&reader, &["status", "-n", "elsewhere", "a"]).await, [""; 0]);
    reader.wrote_nothing(0).await;
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_completes_the_arguments_of_the_plugin() {
    let test = Test::new("completion-kubectl").await;
    test.tenant_pricing("acme", json!({"tenant": {"id": ID}})).await;
    let folder = tempfile::tempdir().unwrap();
    symlink(PLUGIN, folder.path().join("kubectl-tenantpricing")).unwrap();
    symlink(PLUGIN, folder.path().join("kubectl_complete-tenantpricing")).unwrap();
    let complete = async |words: &[&str]| {
        let line = [&["__complete", "tenantpricing"], words].concat();
        test.kubectl_on_path(folder.path(), &line).await.success()
    };
    assert_eq!(complete(&["status", "a"]).await, "acme\n:4\n");
    let namespaces = complete(&["status", "-n", &test.namespace]).await;
    assert_eq!(namespaces, format!("{}\n:4\n", test.namespace));
    let commands = complete(&["hi"]).await;
    assert!(commands.starts_with("history\tShow every switch on record"), "{commands}");
    test.finish().await;
}

/// The server takes the connection and never answers.
#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_that_does_not_answer_does_not_hold_up_completion() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let kubeconfig = folder.path().join("config");
    let config = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "it",
        "clusters": [{"name": "it", "cluster": {"server": format!("http://{}", server.local_addr().unwrap())}}],
        "users": [{"name": "it", "user": {"token": "secret"}}],
        "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}],
    });
    std::fs::write(&kubeconfig, config.to_string()).unwrap();
    for kubeconfig in [kubeconfig.as_path(), Path::new("/nowhere")] {
        let mut command = Command::new(PLUGIN);
        command.env_clear().env("KUBECONFIG", kubeconfig).env("KUBECTL_TENANTPRICING_COMPLETE", "bash");
        command.env("_CLAP_COMPLETE_INDEX", "4");
        command.args(["--", "kubectl-tenantpricing", "status", "--request-timeout", "0", ""]);
        let answer = tokio::time::timeout(PATIENCE, run(command, "")).await;
        let Output { stdout, stderr, code } = answer.expect("completion ends");
        assert!(stderr.is_empty() && code == 0 && !stdout.contains("acme"), "{code}: {stdout}{stderr}");
    }
}

/// A script of a shell, or a job of CI, may export the variable. A plan must not end well without a word.
#[tokio::test]
async fn an_inherited_variable_silences_no_command() {
    let plan = ["plan", "-f", "/nowhere.yaml", "--no-cluster", "--offline"];
    for arguments in [&plan[..], &["status", "--", "acme"], &["plan", "--"], &[]] {
        let mut command = Command::new(PLUGIN);
        command.args(arguments).env("KUBECONFIG", "/nowhere").env("KUBECTL_TENANTPRICING_COMPLETE", "bash");
        let Output { stdout, stderr, code } = run(command, "").await;
        assert!(code != 0 && stdout.len() + stderr.len() > 20, "{arguments:?}: {code} {stdout}{stderr}");
    }
}
