//! Kubeconfigs with credentials of other kinds, and with faults.

use std::{fs, net::SocketAddr, os::unix::fs::PermissionsExt as _, path::PathBuf};

use serde_json::{Value, json};
use tenant_pricing_controller::clock::Clock;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional},
    net::{TcpListener, TcpStream},
};

use super::{ends_at_once, until_logged};
use crate::harness::{BINARY, Output, PATIENCE, Test};

const LEADS: &str = "became leader";
const PASSWORD: &str = "PLACEHOLDER-PASSWORD";

/// The test's kubeconfig as JSON, with the token of its user taken out.
fn kubeconfig(test: &Test) -> (Value, String) {
    let stored = fs::read_to_string(test.controller_options().kubeconfig).unwrap();
    let parsed = kube::config::Kubeconfig::from_yaml(&stored).unwrap();
    let mut config = serde_json::to_value(&parsed).unwrap();
    let user = &mut config["users"][0]["user"];
    let token = user["token"].as_str().expect("a token").to_owned();
    *user = json!({});
    (config, token)
}

/// Stores a kubeconfig whose user is this one.
fn store(test: &Test, name: &str, user: &Value) -> PathBuf {
    let (mut config, _) = kubeconfig(test);
    for named in config["users"].as_array_mut().unwrap() {
        named["user"] = user.clone();
    }
    let path = test.directory().join(name);
    fs::write(&path, config.to_string()).unwrap();
    path
}

/// Stores a script that is run as a plugin, and a kubeconfig with it.
fn plugin(test: &Test, script: &str) -> PathBuf {
    let path = test.directory().join("plugin.sh");
    fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    let exec = json!({
        "apiVersion": "client.authentication.k8s.io/v1", "command": "./plugin.sh", "interactiveMode": "Never",
        "env": [{"name": "SSO_PASSWORD", "value": PASSWORD}],
    });
    store(test, "plugin.kubeconfig", &json!({"exec": exec}))
}

/// Prints a token that is valid for this many seconds.
fn printing(token: &str, seconds: i64) -> String {
    let expires = Clock::system().now() + jiff::SignedDuration::from_secs(seconds);
    let credential = json!({
        "apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential",
        "status": {"token": token, "expirationTimestamp": expires.to_string()},
    });
    format!("echo '{credential}'; echo \"$SSO_PASSWORD\" >&2")
}

async fn refused(test: &Test, kubeconfig: PathBuf) -> String {
    let mut command = tokio::process::Command::new(BINARY);
    command.args(["run", "--admin-address=127.0.0.1:0"]).env("KUBECONFIG", kubeconfig).kill_on_drop(true);
    let output = tokio::time::timeout(PATIENCE, command.output()).await.expect("it ends").unwrap();
    let output = Output {
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
        code: output.status.code().unwrap(),
    };
    let output = test.hear("a start", &[], output);
    assert_eq!(output.code, 1, "{}", output.stderr);
    assert!(!output.stderr.contains("panicked"), "{}", output.stderr);
    output.failure()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_that_fails_later_is_named_and_its_output_is_not() {
    let test = Test::new("plugin").await;
    let (_, token) = kubeconfig(&test);
    test.keep_secret(PASSWORD);
    test.keep_secret(&token);
    let kubeconfig = plugin(&test, &printing(&token, 20));
    let mut options = test.controller_options().through(kubeconfig);
    options.log_level = "trace".to_owned();
    let controller = test.start_controller(&options);
    until_logged(&test, &controller, "INFO", LEADS).await;
    plugin(&test, &format!("{}; exit 1", printing(&token, 20)));
    let warning = until_logged(&test, &controller, "WARN", "failed with exit code 1").await;
    assert!(warning.to_string().contains("plugin.sh"), "{warning}");
    plugin(&test, &printing(&token, 3600));
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_with_credentials_that_cannot_be_used_is_a_sentence() {
    let test = Test::new("no-credentials").await;
    let (_, token) = kubeconfig(&test);
    test.keep_secret(PASSWORD);
    test.keep_secret(&token);
    let failing = plugin(&test, &format!("{}; exit 1", printing(&token, 3600)));
    let said = refused(&test, failing).await;
    assert!(said.contains("plugin.sh failed with exit code 1"), "{said}");
    let said =
        refused(&test, store(&test, "inline.kubeconfig", &json!({"token": format!("{token}\n")}))).await;
    assert!(said.contains("the token in the kubeconfig holds a line break"), "{said}");
    let said = refused(&test, "/nowhere/one:/nowhere/two".into()).await;
    assert!(said.contains("no file that KUBECONFIG names exists: /nowhere/one, /nowhere/two"), "{said}");
    let absent = json!({"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "no-such-plugin",
                                 "installHint": "Install it with brew.", "args": [PASSWORD]}});
    let said = refused(&test, store(&test, "absent.kubeconfig", &absent)).await;
    assert!(said.contains("no-such-plugin is not installed") && said.contains("with brew"), "{said}");
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newline_in_a_token_file_and_gaps_in_a_list_work() {
    let test = Test::new("token-file").await;
    let (_, token) = kubeconfig(&test);
    fs::write(test.directory().join("token"), format!("{token}\r\n")).unwrap();
    let there = store(&test, "file.kubeconfig", &json!({"tokenFile": "token"}));
    let list = format!("/nowhere::{}", there.display());
    let controller = test.start_controller(&test.controller_options().through(list.into()));
    until_logged(&test, &controller, "INFO", LEADS).await;
    until_logged(&test, &controller, "WARN", "KUBECONFIG names files that do not exist").await;
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_that_hangs_does_not_delay_the_end() {
    let test = Test::new("plugin-hangs").await;
    let started = test.directory().join("started");
    let kubeconfig = plugin(&test, &format!("touch {}; exec sleep 600", started.display()));
    let controller = test.start_controller(&test.controller_options().through(kubeconfig));
    test.wait_for("the plugin runs", PATIENCE, async || started.exists().then_some(())).await;
    ends_at_once(&controller).await;
    test.finish().await;
}

/// A SOCKS5 proxy that counts its connections by writing a file.
async fn socks(used: PathBuf) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let used = used.clone();
            tokio::spawn(async move {
                if tunnel(stream).await.is_some() {
                    fs::write(used, "").unwrap();
                }
            });
        }
    });
    address
}

/// Serves one connection to an IPv4 address; nothing if it was never made.
async fn tunnel(mut stream: TcpStream) -> Option<()> {
    let mut greeting = [0; 2];
    stream.read_exact(&mut greeting).await.ok()?;
    let mut methods = vec![0; greeting[1].into()];
    stream.read_exact(&mut methods).await.ok()?;
    stream.write_all(&[5, 0]).await.ok()?;
    let mut head = [0; 4];
    stream.read_exact(&mut head).await.ok()?;
    let host = match head[3] {
        1 => {
            let mut address = [0; 4];
            stream.read_exact(&mut address).await.ok()?;
            std::net::Ipv4Addr::from(address).to_string()
        }
        3 => {
            let length = stream.read_u8().await.ok()?;
            let mut name = vec![0; length.into()];
            stream.read_exact(&mut name).await.ok()?;
            String::from_utf8(name).ok()?
        }
        _ => return None,
    };
    let port = stream.read_u16().await.ok()?;
    let mut server = TcpStream::connect((host.as_str(), port)).await.ok()?;
    stream.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).await.ok()?;
    tokio::spawn(async move { copy_bidirectional(&mut stream, &mut server).await });
    Some(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socks5_proxy_to_the_api_server_works() {
    let test = Test::new("socks5").await;
    let used = test.directory().join("used");
    let proxy = socks(used.clone()).await;
    let (mut config, token) = kubeconfig(&test);
    config["users"][0]["user"] = json!({"token": token});
    config["clusters"][0]["cluster"]["proxy-url"] = json!(format!("socks5://{proxy}"));
    let path = test.directory().join("socks5.kubeconfig");
    fs::write(&path, config.to_string()).unwrap();
    let controller = test.start_controller(&test.controller_options().through(path));
    until_logged(&test, &controller, "INFO", LEADS).await;
    assert!(used.exists(), "the requests went through the proxy");
    test.finish().await;
}
