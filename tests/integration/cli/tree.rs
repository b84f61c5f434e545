//! The command line tool beside the controller: nothing of it is in the controller, and kubectl finds it.

use std::{collections::BTreeSet, path::Path, process::Command};

use crate::harness::{PLUGIN, Test};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// The packages of a build with these features, without those that only run at build time.
fn packages(features: &[&str]) -> BTreeSet<String> {
    let mut command = Command::new(env!("CARGO"));
    command.args(["tree", "--locked", "--offline", "--edges", "normal,no-proc-macro", "--prefix", "none"]);
    command.args(["--format", "{p}"]).args(features).current_dir(ROOT);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let printed = String::from_utf8(output.stdout).unwrap();
    printed.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
}

#[test]
fn nothing_of_the_command_line_is_in_the_controller() {
    let controller = packages(&[]);
    let tool = packages(&["--features", "cli"]);
    assert!(controller.is_subset(&tool));
    let added: Vec<&String> = tool.difference(&controller).collect();
    for package in ["comfy-table", "kube-cel", "cel", "walkdir", "tempfile"] {
        assert!(added.iter().any(|added| *added == package), "{package} is not only in the tool: {added:?}");
    }
    assert!(controller.contains("reqwest") && controller.len() > 100, "{} packages", controller.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_finds_the_plugin_on_the_path() {
    let test = Test::new("plugin").await;
    let folder = Path::new(PLUGIN).parent().unwrap();
    let help = test.kubectl_on_path(folder, &["tenantpricing", "plan", "--help"]).await.success();
    assert!(help.contains("--base <DIR|REV[:PATH]>") && help.contains("EXIT CODES"), "{help}");
    let error = test.kubectl_on_path(folder, &["tenantpricing", "plna"]).await.failure();
    assert!(error.contains("a similar subcommand exists: 'plan'"), "{error}");
    test.finish().await;
}
