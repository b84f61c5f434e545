//! An import that ends in the middle leaves whole files, and the next one goes on.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use tokio::process::{Child, Command};

use super::{credentials, files, import};
use crate::harness::{PATIENCE, PLUGIN, Test};

/// How many tenants there are. One second's worth of requests at the default pace lists them.
const TENANTS: usize = 700;

/// How often a process is killed, unless `IMPORT_KILLS` names another number.
const KILLS: usize = 20;

/// The beginning of the names of drafts.
const DRAFT: &str = ".tenantpricing-";

/// The command that imports into a folder.
fn command(test: &Test, output: &str) -> Command {
    let mut command = Command::new(PLUGIN);
    command.args(["import", "--url", &test.simulator.url(), "--output", output]).envs(credentials(test));
    command.env("TENANT_PRICING_ALLOWED_HOSTS", test.simulator.url()).current_dir(test.directory());
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

/// Waits until a folder has this many files, drafts included. The answer is false if the process ends before.
async fn until_files(child: &mut Child, folder: &Path, count: usize) -> bool {
    let waited = tokio::time::timeout(PATIENCE, async {
        loop {
            let written = fs::read_dir(folder).map_or(0, Iterator::count);
            if written >= count {
                return true;
            }
            if child.try_wait().unwrap().is_some() {
                return false;
            }
            // The files appear within a fraction of a second.
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
    waited.await.expect("neither are files written, nor does the import end")
}

/// Checks that every file but drafts is as a run without trouble writes it.
fn assert_whole(found: &BTreeMap<PathBuf, String>, expected: &BTreeMap<PathBuf, String>) {
    for (path, text) in found.iter().filter(|(path, _)| !path.display().to_string().starts_with(DRAFT)) {
        assert_eq!(Some(text), expected.get(path), "{}", path.display());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_import_leaves_whole_files() {
    let test = Test::new("import-killed").await;
    test.simulator.add_customers(TENANTS, "shop");
    import(&test, &["--output", "expected"]).await.success();
    let expected = files(&test.directory().join("expected"));
    assert_eq!(expected.len(), TENANTS + 1);
    let kills = std::env::var("IMPORT_KILLS").map_or(KILLS, |text| text.parse().unwrap());
    let mut in_the_middle = 0;
    for round in 0..kills {
        // Three runs are killed in one folder, each at a place of its own.
        let output = format!("killed-{}", round / 3);
        let folder = test.directory().join(&output);
        let there = fs::read_dir(&folder).map_or(0, Iterator::count);
        let more = rand::random_range(1..=TENANTS.saturating_sub(there).max(1));
        let mut child = command(&test, &output).spawn().unwrap();
        let was_running = until_files(&mut child, &folder, there + more).await;
        child.kill().await.unwrap();
        let found = files(&folder);
        assert_whole(&found, &expected);
        in_the_middle += usize::from(was_running && found.len() < expected.len());
    }
    assert!(in_the_middle * 2 > kills, "only {in_the_middle} of {kills} were killed in the middle");
    for round in (0..kills).step_by(3) {
        let output = format!("killed-{}", round / 3);
        import(&test, &["--output", &output]).await.success();
        assert_eq!(files(&test.directory().join(&output)), expected, "{output}");
    }
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_ends_an_import_between_two_files() {
    let test = Test::new("import-stopped").await;
    test.simulator.add_customers(TENANTS, "shop");
    import(&test, &["--output", "expected"]).await.success();
    let expected = files(&test.directory().join("expected"));
    let mut stopped = 0;
    for round in 0..10 {
        let output = format!("stopped-{round}");
        let folder = test.directory().join(&output);
        let mut child = command(&test, &output).spawn().unwrap();
        until_files(&mut child, &folder, 3).await;
        let id = child.id().map(|id| id.to_string()).unwrap_or_default();
        std::process::Command::new("kill").args(["-INT", &id]).output().unwrap();
        let ended = child.wait_with_output().await.unwrap();
        let said = String::from_utf8(ended.stderr).unwrap();
        // A fast machine may have written all of them before the signal arrives.
        if ended.status.code() != Some(0) {
            assert_eq!(ended.status.code(), Some(1), "{said}");
            assert!(said.starts_with("error: stopped. "), "{said}");
            assert!(
                said.contains(&format!(" of {TENANTS} manifests are written, each as a whole. Run")),
                "{said}"
            );
            let found = files(&folder);
            assert_whole(&found, &expected);
            // One draft at most: the next list of Kustomize.
            let drafts = found.keys().filter(|path| path.display().to_string().starts_with(DRAFT)).count();
            assert!(drafts <= 1, "{found:?}");
            stopped += 1;
        }
        import(&test, &["--output", &output]).await.success();
        assert_eq!(files(&folder), expected);
        if stopped == 3 {
            break;
        }
    }
    assert!(stopped > 0, "the signal always came too late");
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_leaves_the_file_as_it_was() {
    let test = Test::new("import-full").await;
    test.simulator.add_customers(50, "shop");
    import(&test, &["--output", "tenants.yaml"]).await.success();
    let before = files(test.directory());
    test.simulator.add_customers(100, "more");
    // No file may have more than 32 KiB: the write fails in the middle, as on a full disk.
    let mut command = Command::new("bash");
    let script = "trap '' XFSZ; ulimit -f 32; exec \"$@\"";
    let url = test.simulator.url();
    command.args(["-c", script, "bash", PLUGIN, "import", "--url", &url, "--output", "tenants.yaml"]);
    command.envs(credentials(&test)).env("TENANT_PRICING_ALLOWED_HOSTS", &url).current_dir(test.directory());
    let output = command.output().await.unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("tenants.yaml: ") && said.contains("0 of 100 manifests are written"), "{said}");
    assert_eq!(files(test.directory()), before);
    import(&test, &["--output", "tenants.yaml"]).await.success();
    test.finish().await;
}
