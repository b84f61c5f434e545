//! The examples that end each help text run as they stand, on a real cluster and the simulator.

use std::fs;

use serde_json::json;
use tenant_pricing_controller::simulator::TenantSpec;

use super::{assert_only_reads, credentials, watch::Watch};
use crate::harness::Test;

const PROGRAM: &str = "kubectl-tenantpricing ";

/// The parent tenant that an example names.
const PARENT: &str = "0fcd4a69-8a40-4de8-b711-d9c83dc000f7";

/// What is added to an example whose command has the flag: the test has no person to ask, and its object stays as it
/// is.
const ADDED: [&str; 2] = ["--yes", "--dry-run=server"];

/// The commands that the help of the program lists.
async fn commands(test: &Test) -> Vec<String> {
    let help = test.plugin(&["--help"], &[], "").await.success();
    let (_, list) = help.split_once("\nCommands:\n").unwrap();
    let names =
        list.lines().take_while(|line| !line.is_empty()).filter_map(|line| line.split_whitespace().next());
    names.filter(|name| *name != "help").map(str::to_owned).collect()
}

/// The calls of the program among the examples of a help text, each with its arguments.
fn calls(help: &str) -> Vec<Vec<String>> {
    let (_, examples) = help.split_once("EXAMPLES:\n").unwrap_or_else(|| panic!("no examples: {help}"));
    let examples = examples.replace("\\\n", " ");
    let lines = examples.lines().take_while(|line| line.is_empty() || line.starts_with(' '));
    let calls = lines.filter(|line| !line.trim_start().starts_with('#')).filter_map(|line| {
        let call = &line[line.find(PROGRAM)? + PROGRAM.len()..];
        // Another program, or a file, gets the output.
        let end = [" | ", " > ", ")"].iter().filter_map(|end| call.find(end)).min().unwrap_or(call.len());
        Some(call[..end].split_whitespace().map(str::to_owned).collect())
    });
    calls.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_example_of_the_help_runs() {
    let test = Test::new("examples-of-help").await;
    let parent = TenantSpec { id: Some(PARENT.to_owned()), ..TenantSpec::partner("Reseller") };
    test.simulator.add_tenant(parent);
    let tenant = test.simulator.add_tenant(TenantSpec::customer("Acme GmbH"));
    test.connection("default", json!({})).await;
    test.tenant_pricing("acme", json!({"tenant": {"id": tenant}})).await;

    // What a person has who types them: a repository with manifests.
    let folder = test.directory();
    let manifest = json!({
        "apiVersion": "tenantpricing.io/v1alpha1", "kind": "TenantPricing",
        "metadata": {"name": "acme", "namespace": test.namespace},
        "spec": {"tenant": {"id": tenant}, "mode": "production"},
    });
    fs::create_dir(folder.join("tenants")).unwrap();
    fs::write(folder.join("acme.yaml"), manifest.to_string()).unwrap();
    fs::write(folder.join("tenants/acme.yaml"), manifest.to_string()).unwrap();
    for arguments in
        ["init -q -b main", "add tenants", "commit -q -m base", "update-ref refs/remotes/origin/main HEAD"]
    {
        let mut git = std::process::Command::new("git");
        git.args(["-c", "user.name=t", "-c", "user.email=t@example.com"]).args(arguments.split(' '));
        assert!(git.current_dir(folder).status().unwrap().success(), "{arguments}");
    }

    let connection = format!("{}/default", test.namespace);
    let (url, variables) = (test.simulator.url(), credentials(&test));
    let variables: Vec<(&str, &str)> =
        variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let in_this_test = |word: &str| match word {
        "https://eu2-cloud.acronis.com" => url.clone(),
        "platform/eu2" => connection.clone(),
        "team" => test.namespace.clone(),
        // No controller comes for `check` to wait for.
        "2m" => "1s".to_owned(),
        word => word.to_owned(),
    };
    let mut run = 0;
    for command in commands(&test).await.iter().map(String::as_str).chain([""]) {
        let arguments: Vec<&str> = [command, "--help"].into_iter().filter(|word| !word.is_empty()).collect();
        let help = test.plugin(&arguments, &[], "").await.success();
        for call in calls(&help) {
            let line = call.join(" ");
            run += 1;
            let words: Vec<String> = call.iter().map(|word| in_this_test(word)).collect();
            let mut words: Vec<&str> = words.iter().map(String::as_str).collect();
            for flag in ADDED {
                let name = flag.split('=').next().unwrap();
                if help.contains(name) && !line.contains(name) {
                    words.push(flag);
                }
            }
            if words.contains(&"--watch") {
                let mut watch = Watch::start(test.plugin_command(&words));
                watch.until(&[]).await;
                continue;
            }
            let output = test.plugin(&words, &variables, "").await;
            // Some commands say by their code what they found.
            let codes: &[i32] = match words[0] {
                "plan" => &[0, 2, 3],
                "check" => &[0, 1, 2],
                _ => &[0],
            };
            assert!(
                codes.contains(&output.code),
                "{line}: exit code {}\n{}{}",
                output.code,
                output.stdout,
                output.stderr
            );
        }
    }
    assert!(run >= 15, "only {run} examples");
    assert_only_reads(&test.simulator.requests());
    test.finish().await;
}
