//! The password in a proxy's URL appears in no output.

use serde_json::json;

use crate::harness::{BINARY, Output, Test, until_connection};

const PASSWORD: &str = "a-proxys-password-4e1f";

async fn run(arguments: &[&str], proxy: &str) -> Output {
    let mut command = tokio::process::Command::new(BINARY);
    command.args(arguments).env("TENANT_PRICING_PLATFORM_PROXY", proxy).env("KUBECONFIG", "/nowhere");
    let output = command.output().await.unwrap();
    Output {
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
        code: output.status.code().unwrap(),
    }
}

/// Neither the help nor an error nor a log at the lowest level shows it.
#[tokio::test(flavor = "multi_thread")]
async fn a_proxys_password_is_never_shown() {
    let test = Test::new("proxy").await;
    test.keep_secret(PASSWORD);
    let with_password = format!("http://user:{PASSWORD}@127.0.0.1:1");
    let help = test.hear("the help", &[], run(&["run", "--help"], &with_password).await).success();
    assert!(help.contains("TENANT_PRICING_PLATFORM_PROXY"), "{help}");
    for wrong in [format!("user:{PASSWORD}@proxy"), format!("socks5://user:{PASSWORD}@proxy:1080")] {
        let said = test.hear("a refusal", &[], run(&["run"], &wrong).await).failure();
        assert!(said.contains("--platform-proxy") && said.contains("http://proxy.example:3128"), "{said}");
        let as_flag = format!("--platform-proxy={wrong}");
        test.hear("a refusal", &[], run(&["run", &as_flag], "").await).failure();
    }
    test.connection("default", json!({})).await;
    let mut options = test.controller_options().argument(format!("--platform-proxy={with_password}"));
    options.log_level = "trace".to_owned();
    test.controller_with(&options).await;
    let said = until_connection(&test, "default", "PlatformUnavailable").await;
    assert!(said.contains("the connection was refused"), "{said}");
    assert_eq!(test.simulator.requests().len(), 0, "nothing goes past the proxy");
    test.finish().await;
}
