//! krew installs what `hack/krew` makes.

use std::{
    fs,
    path::{Path, PathBuf},
};

use tokio::process::Command;

use super::documents::ROOT;
use crate::harness::{Output, PLUGIN, Test, run};

const URL: &str = "https://example.com/releases";

/// This machine, as krew names it.
fn platform() -> String {
    let os = std::env::consts::OS.replace("macos", "darwin");
    let arch = std::env::consts::ARCH.replace("x86_64", "amd64").replace("aarch64", "arm64");
    format!("{os}/{arch}")
}

/// Runs `hack/krew`, which writes into this folder.
async fn make(output: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(Path::new(ROOT).join("hack/krew"));
    command.args(arguments).env("OUTPUT", output).current_dir(output);
    run(command, "").await
}

/// The files of a folder, but for hidden ones, with what is in them.
fn contents(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = paths.map(|path| (path.clone(), fs::read(path).unwrap())).collect();
    files.sort();
    files
}

#[tokio::test(flavor = "multi_thread")]
async fn krew_installs_the_archive_and_kubectl_runs_it() {
    let test = Test::new("krew").await;
    let folder = tempfile::tempdir().unwrap();
    let made = make(folder.path(), &[URL, &format!("{}={PLUGIN}", platform())]).await.success();
    let manifest = made.trim();
    let mut files = contents(folder.path()).into_iter().map(|(path, _)| path);
    let archive = files.find(|path| path.extension().is_some_and(|it| it == "gz")).unwrap();

    let tools = run(Command::new(Path::new(ROOT).join("tests/krew/build")), "").await.success();
    let tools = Path::new(tools.trim());
    let mut validate = Command::new(tools.join("validate-krew-manifest"));
    validate.args(["-manifest", manifest, "-skip-install"]);
    run(validate, "").await.success();
    let root = folder.path().join("root");
    let mut install = Command::new(tools.join("krew"));
    install.args(["install", "--manifest", manifest, "--archive"]).arg(archive).env("KREW_ROOT", &root);
    run(install, "").await.success();

    let kubectl = async |arguments: &[&str]| test.kubectl_on_path(&root.join("bin"), arguments).await;
    let version = kubectl(&["tenantpricing", "--version"]).await.success();
    assert!(version.contains(env!("CARGO_PKG_VERSION")), "{version}");
    let status = kubectl(&["tenantpricing", "status"]).await.success();
    assert!(status.contains(&format!("0 TenantPricings in namespace {}", test.namespace)), "{status}");
    let check = kubectl(&["tenantpricing", "check", "--pre", "-o", "json"]).await.stdout;
    let report: serde_json::Value = serde_json::from_str(&check).unwrap();
    let findings = report["findings"].as_array().unwrap();
    let is_fine = |id: &str| findings.iter().any(|it| it["id"] == id && it["verdict"] == "ok");
    assert!(is_fine("api-server") && is_fine("installer-rights"), "{check}");
    test.finish().await;
}

#[tokio::test]
async fn the_same_programs_give_the_same_archives() {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("program");
    fs::write(&program, "a program").unwrap();
    let targets =
        ["linux/amd64", "darwin/arm64", "windows/amd64"].map(|it| format!("{it}={}", program.display()));
    let arguments = [&[URL], targets.each_ref().map(String::as_str).as_slice()].concat();
    let mut made = Vec::new();
    for name in ["one", "two"] {
        let output = folder.path().join(name);
        fs::create_dir(&output).unwrap();
        make(&output, &arguments).await.success();
        let named = contents(&output).into_iter();
        let named = named.map(|(path, bytes)| (path.file_name().unwrap().to_owned(), bytes));
        made.push(named.collect::<Vec<_>>());
    }
    assert_eq!(made[0], made[1]);
    assert_eq!(made[0].len(), 4, "three archives and the manifest");
    let (_, manifest) = made[0].last().unwrap();
    let manifest: serde_json::Value = serde_saphyr::from_slice(manifest).unwrap();
    let platforms = manifest["spec"]["platforms"].as_array().unwrap();
    let programs: Vec<&str> = platforms.iter().map(|platform| platform["bin"].as_str().unwrap()).collect();
    assert_eq!(programs, ["kubectl-tenantpricing", "kubectl-tenantpricing", "kubectl-tenantpricing.exe"]);
    assert_eq!(manifest["spec"]["version"], format!("v{}", env!("CARGO_PKG_VERSION")));
}

#[tokio::test]
async fn what_krew_cannot_use_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let refused = async |arguments: &[&str]| make(folder.path(), arguments).await.failure();
    let insecure = refused(&["http://example.com"]).await;
    assert!(insecure.contains("URL http://example.com: give the https address"), "{insecure}");
    assert!(refused(&[]).await.contains("URL (none)"));
    let missing = refused(&[URL, "linux/amd64=/no/such/file"]).await;
    assert!(missing.contains("there is no file /no/such/file"), "{missing}");
    let unnamed = refused(&[URL, PLUGIN]).await;
    assert!(unnamed.contains("write it as linux/amd64=FILE"), "{unnamed}");
    assert!(contents(folder.path()).is_empty(), "nothing half-made is left");
}
