//! What differs on a terminal: progress and colour. The words are the same.

use serde_json::json;
use tenant_pricing_controller::simulator::TenantSpec;
use tokio::process::Command;

use super::credentials;
use crate::harness::{PLUGIN, Test, on_a_terminal, run};

/// How wide a terminal is unless a test says otherwise.
const COLUMNS: u32 = 120;

/// A test whose simulator has some customers, and a line that imports them.
async fn fleet(name: &str) -> Test {
    let test = Test::new(name).await;
    for number in 0..5 {
        test.simulator.add_tenant(TenantSpec::customer(format!("Acme {number}")));
    }
    test
}

/// The command with what it needs to read the simulator.
fn at_the_simulator(test: &Test, mut command: Command) -> Command {
    command.env("TENANT_PRICING_ALLOWED_HOSTS", test.simulator.url()).envs(credentials(test));
    command.current_dir(test.directory());
    command
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_shows_its_progress_on_a_terminal_alone() {
    let test = fleet("progress-import").await;
    let url = test.simulator.url();
    let arguments = |folder| ["import", "--url", url.as_str(), "--output", folder];
    let command = at_the_simulator(&test, on_a_terminal(&arguments("on-a-terminal"), 60));
    let seen = run(command, "").await.success();
    for part in ["Listing ", "Writing [", "/5 tenants"] {
        assert!(seen.contains(part), "{part}: {seen:?}");
    }
    // A line that is too long would wrap, and could not be drawn over.
    let drawn = seen.split(['\r', '\n']).filter(|line| line.contains("tenants"));
    assert!(drawn.clone().all(|line| without_escapes(line).chars().count() <= 60), "{seen:?}");
    assert!(drawn.count() > 0, "{seen:?}");

    let mut command = Command::new(PLUGIN);
    command.args(arguments("in-a-pipe"));
    let output = run(at_the_simulator(&test, command), "").await;
    assert!(output.code == 0 && !output.stderr.contains(['\r', '\u{1b}', '[']), "{output:?}");
    let written = |folder: &str| std::fs::read_dir(test.directory().join(folder)).unwrap().count();
    assert_eq!(written("on-a-terminal"), written("in-a-pipe"));
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_shows_its_progress_and_then_the_plan_alone() {
    let test = fleet("progress-plan").await;
    let tenant = test.simulator.add_tenant(TenantSpec::customer("Bolt AG"));
    let manifest = json!({
        "apiVersion": "tenantpricing.io/v1alpha1", "kind": "TenantPricing",
        "metadata": {"name": "bolt", "namespace": "team"},
        "spec": {"tenant": {"id": tenant}, "mode": "production"},
    });
    std::fs::write(test.directory().join("bolt.yaml"), manifest.to_string()).unwrap();
    let url = test.simulator.url();
    let arguments = ["plan", "-f", "bolt.yaml", "--no-cluster", "--url", url.as_str()];
    let seen = run(at_the_simulator(&test, on_a_terminal(&arguments, COLUMNS)), "").await;
    assert_eq!(seen.code, 2, "{seen:?}");
    assert!(seen.stdout.contains("Reading the platform ["), "{seen:?}");
    let (_, after) = seen.stdout.rsplit_once("tenants").unwrap();
    assert!(after.contains(&tenant), "an id is never wrapped: {seen:?}");

    let mut command = Command::new(PLUGIN);
    command.args(arguments);
    let output = run(at_the_simulator(&test, command), "").await;
    assert!(output.code == 2 && output.stderr.is_empty(), "{output:?}");
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_takes_the_place_of_the_progress() {
    let test = fleet("progress-log").await;
    let url = test.simulator.url();
    let arguments = ["import", "--url", url.as_str(), "--output", "tenants", "--log-level", "debug"];
    let seen = run(at_the_simulator(&test, on_a_terminal(&arguments, COLUMNS)), "").await.success();
    assert!(seen.contains("DEBUG") && !seen.contains("Listing "), "{seen:?}");
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn colour_is_for_a_terminal_that_wants_it() {
    let help = async |variable: Option<(&str, &str)>, arguments: &[&str]| {
        let mut command = on_a_terminal(arguments, COLUMNS);
        command.env_remove("NO_COLOR").envs(variable);
        run(command, "").await.success()
    };
    assert!(help(None, &["--help"]).await.contains('\u{1b}'));
    let plain = help(Some(("NO_COLOR", "1")), &["--help"]).await;
    assert!(plain.contains("Usage:") && !plain.contains('\u{1b}'), "{plain:?}");
    let mut piped = Command::new(PLUGIN);
    piped.arg("--help").env_remove("NO_COLOR");
    assert!(!run(piped, "").await.success().contains('\u{1b}'));
}

/// A text without the sequences that move the cursor or set a colour.
fn without_escapes(text: &str) -> String {
    let mut parts = text.split("\u{1b}[");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |plain, part| {
        let rest = part.trim_start_matches(|it: char| !it.is_ascii_alphabetic());
        plain + rest.get(1..).unwrap_or_default()
    })
}
