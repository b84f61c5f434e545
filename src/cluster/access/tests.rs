//! Kubeconfigs with something wrong in them, and plugins that misbehave.

use std::{fs, os::unix::fs::PermissionsExt, path::Path, time::Duration};

use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{plugin::Plugin, *};

/// Stands for each secret that no text may contain.
const SECRET: &str = "PLACEHOLDER-SECRET";

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

/// A kubeconfig in a folder, with this user and these additions to the cluster.
fn write(folder: &Path, user: &Value, cluster: &Value) {
    let mut server = json!({"server": "https://127.0.0.1:6443", "insecure-skip-tls-verify": true});
    server.as_object_mut().unwrap().extend(cluster.as_object().cloned().unwrap_or_default());
    let config = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "c",
        "clusters": [{"name": "c", "cluster": server}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u", "namespace": ""}}],
        "users": [{"name": "u", "user": user}],
    });
    fs::write(folder.join("config"), config.to_string()).unwrap();
}

async fn find(list: &str) -> Result<Access, AccessError> {
    crate::platform::install_tls_provider();
    Access::find_in(Places { list: Some(list.into()), ..Places::default() }, &Selection::default()).await
}

async fn with(folder: &Path, user: Value, cluster: Value) -> Result<Access, AccessError> {
    write(folder, &user, &cluster);
    find(folder.join("config").to_str().unwrap()).await
}

/// Why a kubeconfig cannot be used, which never shows a secret.
async fn refusal(folder: &Path, user: Value, cluster: Value) -> String {
    let error = match with(folder, user, cluster).await {
        Ok(access) => {
            let built = kube::client::ClientBuilder::try_from(access.config);
            explain_build(&built.err().expect("it cannot be used"))
        }
        Err(error) => error,
    };
    let said = format!("{error} {error:?}");
    assert!(!said.contains(SECRET), "{said}");
    error.to_string()
}

/// The header of the requests.
async fn header(access: &Access) -> Option<String> {
    let header = access.credentials.authorization().await.unwrap();
    header.map(|value| value.to_str().unwrap().to_owned())
}

fn script(folder: &Path, text: &str) {
    let path = folder.join("plugin.sh");
    fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// A user whose plugin is the script of the folder.
fn plugin_user() -> Value {
    json!({"exec": {
        "apiVersion": "client.authentication.k8s.io/v1", "command": "./plugin.sh", "interactiveMode": "Never",
        "env": [{"name": "SSO_PASSWORD", "value": SECRET}],
    }})
}

/// The command that prints this status as a plugin does.
fn print(status: &Value) -> String {
    let credential =
        json!({"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": status});
    format!("printf '%s\\n' '{credential}'")
}

#[tokio::test]
async fn a_plugin_that_fails_is_named_and_its_output_is_not() {
    let folder = folder();
    let given = print(&json!({"token": SECRET}));
    let v1beta1 = given.replace("/v1\"", "/v1beta1\"");
    for (text, word) in [
        (format!("{given}; exit 1"), "failed with exit code 1"),
        (format!("{given}; kill -9 $$"), "was ended by signal 9"),
        (format!("echo {SECRET}"), "did not print an ExecCredential"),
        (format!("echo '{{\"token\": \"{SECRET}\"}}'"), "no ExecCredential"),
        (v1beta1, "another apiVersion than the \"client.authentication.k8s.io/v1\""),
        (print(&json!({"clientKeyData": SECRET})), "only one of"),
        (print(&json!({})), "neither a token nor a client certificate"),
        (print(&json!({"token": SECRET, "expirationTimestamp": SECRET})), "no time"),
        (print(&json!({"token": format!("{SECRET}\nmore")})), "line break"),
        ("exit 0".to_owned(), "ExecCredential"),
    ] {
        script(folder.path(), &text);
        let said = refusal(folder.path(), plugin_user(), json!({})).await;
        assert!(said.starts_with("auth plugin ") || said.contains("of auth plugin "), "{said}");
        assert!(said.contains("plugin.sh") && said.contains(word), "{word}: {said}");
    }
}

#[tokio::test]
async fn a_plugin_that_is_not_installed_says_how_to_install_it() {
    let folder = folder();
    let user = json!({"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "no-such-plugin",
                               "installHint": "\nInstall it with brew.\n"}});
    let said = refusal(folder.path(), user, json!({})).await;
    assert!(said.contains("auth plugin no-such-plugin is not installed"), "{said}");
    assert!(said.ends_with("Install it with brew."), "{said}");
    fs::write(folder.path().join("plugin.sh"), "no program").unwrap();
    let said = refusal(folder.path(), plugin_user(), json!({})).await;
    assert!(said.contains("cannot be started: permission denied"), "{said}");
    let said = refusal(folder.path(), json!({"exec": {"apiVersion": "v1"}}), json!({})).await;
    assert!(said.contains("no `command`"), "{said}");
}

#[tokio::test]
async fn a_plugin_that_hangs_is_ended() {
    let folder = folder();
    script(folder.path(), "sleep 600");
    let exec = json!({"command": folder.path().join("plugin.sh"), "interactiveMode": "Never"});
    let plugin = Plugin::new(&serde_json::from_value(exec).unwrap()).unwrap();
    let ended = plugin.limited(Duration::from_millis(200)).run().await;
    let said = ended.err().unwrap().to_string();
    assert!(said.contains("did not end within"), "{said}");
}

#[tokio::test]
async fn a_plugin_runs_once_for_all_and_again_when_its_token_expires() {
    let folder = folder();
    let count = "echo run >> runs; ";
    let cd = format!("cd {}; ", folder.path().display());
    script(folder.path(), &format!("{cd}{count}{}", print(&json!({"token": "one"}))));
    let access = with(folder.path(), plugin_user(), json!({})).await.unwrap();
    for _ in 0..5 {
        assert_eq!(header(&access).await.as_deref(), Some("Bearer one"));
    }
    let runs = || fs::read_to_string(folder.path().join("runs")).unwrap().lines().count();
    assert_eq!(runs(), 1);
    let past = print(&json!({"token": "two", "expirationTimestamp": "2020-01-01T00:00:00Z"}));
    script(folder.path(), &format!("{cd}{count}{past}"));
    let access = with(folder.path(), plugin_user(), json!({})).await.unwrap();
    let (one, two) = tokio::join!(header(&access), header(&access));
    assert_eq!((one.as_deref(), two.as_deref()), (Some("Bearer two"), Some("Bearer two")));
    assert_eq!(runs(), 3, "at the start, and once for both");
}

#[tokio::test]
async fn a_token_file_may_end_in_a_line_break() {
    let folder = folder();
    for text in ["token", "token\n", "token\r\n", "  token \n\n"] {
        fs::write(folder.path().join("token"), text).unwrap();
        let access = with(folder.path(), json!({"tokenFile": "token"}), json!({})).await.unwrap();
        assert_eq!(header(&access).await.as_deref(), Some("Bearer token"), "{text:?}");
        assert!(access.config.auth_info.token_file.is_none(), "kube does not read it as well");
    }
}

#[tokio::test]
async fn a_token_that_no_header_can_carry_is_a_sentence() {
    let folder = folder();
    for user in [json!({"token": format!("{SECRET}\n")}), json!({"token": format!("{SECRET}\r\nX: y")})] {
        let said = refusal(folder.path(), user, json!({})).await;
        assert!(said.contains("the token in the kubeconfig holds a line break"), "{said}");
    }
    for (text, word) in [(format!("{SECRET}\n{SECRET}"), "line break"), ("\n".to_owned(), "is empty")] {
        fs::write(folder.path().join("token"), text).unwrap();
        let said = refusal(folder.path(), json!({"tokenFile": "token"}), json!({})).await;
        assert!(said.contains(word) && said.contains("token"), "{said}");
    }
    let said = refusal(folder.path(), json!({"tokenFile": "nowhere"}), json!({})).await;
    assert!(said.contains("nowhere of the kubeconfig cannot be read"), "{said}");
}

#[tokio::test]
async fn passwords_and_tokens_become_headers() {
    let folder = folder();
    for (user, expected) in [
        (json!({"username": "a", "password": "b"}), Some("Basic YTpi")),
        (json!({"token": "t", "tokenFile": "nowhere"}), Some("Bearer t")),
        (json!({"token": ""}), None),
        (json!({"auth-provider": {"name": "oidc", "config": {"id-token": "i"}}}), Some("Bearer i")),
    ] {
        let access = with(folder.path(), user.clone(), json!({})).await.unwrap();
        assert_eq!(header(&access).await.as_deref(), expected, "{user}");
        let printed = format!("{:?}", access.credentials);
        assert!(!printed.contains("YTpi") && !printed.contains("Bearer"), "{printed}");
        assert_eq!(access.config.default_namespace, "default", "an empty one is none");
    }
    let config = json!({"cmd-path": "/bin/echo", "cmd-args": SECRET, "access-token": SECRET});
    let said =
        refusal(folder.path(), json!({"auth-provider": {"name": "gcp", "config": config}}), json!({})).await;
    assert!(said.contains("\"gcp\"") && said.contains("not supported"), "{said}");
}

#[tokio::test]
async fn a_plugins_client_certificate_reaches_the_client() {
    let folder = folder();
    let certificate = rcgen::generate_simple_self_signed(["here".to_owned()]).unwrap();
    let (pem, key) = (certificate.cert.pem(), certificate.signing_key.serialize_pem());
    script(folder.path(), &print(&json!({"clientCertificateData": pem, "clientKeyData": key})));
    let access = with(folder.path(), plugin_user(), json!({})).await.unwrap();
    assert_eq!(header(&access).await, None);
    let given = access.config.auth_info.client_key_data.as_ref().unwrap().expose_secret();
    assert!(!given.contains("PRIVATE KEY"), "it is in Base64");
    assert!(kube::client::ClientBuilder::try_from(access.config).is_ok());
}

#[tokio::test]
async fn an_invalid_file_is_explained_by_the_field() {
    let folder = folder();
    fs::write(folder.path().join("broken.pem"), SECRET).unwrap();
    for (user, cluster, words) in [
        (
            json!({}),
            json!({"certificate-authority": "nowhere.crt"}),
            ["certificate-authority", "nowhere.crt"],
        ),
        (json!({}), json!({"certificate-authority-data": "*"}), ["certificate-authority-data", "Base64"]),
        (
            json!({"client-certificate": "nowhere.crt", "client-key": "broken.pem"}),
            json!({}),
            ["client-certificate", "nowhere.crt"],
        ),
        (
            json!({"client-certificate": "broken.pem", "client-key": "broken.pem"}),
            json!({}),
            ["client-certificate and client-key", "PEM"],
        ),
        (json!({"client-certificate": "broken.pem"}), json!({}), ["client-key", "missing"]),
        (
            json!({"client-certificate": "broken.pem", "client-key-data": format!("{SECRET}*")}),
            json!({}),
            ["client-key-data", "Base64"],
        ),
        (json!({}), json!({"server": format!("https://user:{SECRET}@ here")}), ["server", "no URL"]),
        (json!({"as": format!("{SECRET}\n")}), json!({}), ["`as`", "header"]),
    ] {
        let said = refusal(folder.path(), user, cluster).await;
        assert!(words.iter().all(|word| said.contains(word)), "{words:?}: {said}");
    }
}

#[tokio::test]
async fn a_kubeconfig_that_cannot_be_read_is_not_quoted() {
    let folder = folder();
    let path = folder.path().join("config");
    for text in [
        format!("users:\n- name: u\n  user: {{token: {SECRET}\n"),
        format!("users: {SECRET}\n"),
        format!("users:\n- name: u\n  user: {SECRET}\n"),
        format!("apiVersion: v1\nusers:\n- name: u\n  user:\n    exec: [{SECRET}]\n"),
    ] {
        fs::write(&path, &text).unwrap();
        let error = find(path.to_str().unwrap()).await.err().unwrap().to_string();
        assert!(!error.contains(SECRET), "{error}");
        assert!(error.contains("no kubeconfig in YAML") && error.contains("config"), "{error}");
    }
}

#[tokio::test]
async fn files_of_the_list_that_do_not_exist_are_left_out() {
    let folder = folder();
    write(folder.path(), &json!({"token": "t"}), &json!({}));
    let (there, nowhere) = (folder.path().join("config"), folder.path().join("nowhere"));
    let (there, nowhere) = (there.display(), nowhere.display());
    for list in [format!("{there}:{nowhere}"), format!("{nowhere}::{there}"), format!(":{there}:")] {
        let access = find(&list).await.unwrap();
        assert_eq!(header(&access).await.as_deref(), Some("Bearer t"), "{list}");
        assert!(!access.is_in_cluster);
    }
    let error = find(&format!("{nowhere}:{nowhere}2")).await.err().unwrap().to_string();
    assert!(error.contains("no file that KUBECONFIG names exists") && error.contains("nowhere2"), "{error}");
    let home = Some(folder.path().to_owned());
    let places = Places { list: Some("::".into()), home, ..Places::default() };
    let error = Access::find_in(places, &Selection::default()).await.err().unwrap().to_string();
    assert!(error.contains("KUBECONFIG is not set") && error.contains(".kube/config"), "{error}");
}

/// The program goes on with the cluster of its pod only if no flag asks for another one.
#[tokio::test]
async fn in_a_pod_no_flag_is_ignored() {
    crate::platform::install_tls_provider();
    let folder = folder();
    write(folder.path(), &json!({"token": "t"}), &json!({}));
    let (there, nowhere) = (folder.path().join("config"), folder.path().join("nowhere"));
    let empty = folder.path().join("empty");
    fs::write(&empty, "apiVersion: v1\nkind: Config\n").unwrap();
    let refusal = async |selection: Selection| {
        let list = Some(nowhere.clone().into_os_string());
        let places = Places { file: selection.kubeconfig.clone(), list, home: None, is_pod: true };
        Access::find_in(places, &selection).await.err().unwrap().to_string()
    };
    let default = Selection::default;
    let name = || Some("prod".to_owned());
    for (selection, words) in [
        (
            Selection { kubeconfig: Some(nowhere.clone()), ..default() },
            ["--kubeconfig", "there is no such file"],
        ),
        (
            Selection { kubeconfig: Some(folder.path().into()), ..default() },
            ["--kubeconfig", "it cannot be read"],
        ),
        (Selection { kubeconfig: Some(empty), ..default() }, ["--kubeconfig", "the kubeconfig is empty"]),
        (Selection { context: name(), ..default() }, ["--context \"prod\"", "there is none"]),
        (Selection { cluster: name(), ..default() }, ["--cluster \"prod\"", "there is none"]),
        (Selection { user: name(), ..default() }, ["--user \"prod\"", "there is none"]),
        (
            Selection { kubeconfig: Some(there.clone()), context: name(), ..default() },
            ["--context \"prod\"", "no such context"],
        ),
        (
            Selection { kubeconfig: Some(there.clone()), cluster: name(), ..default() },
            ["--cluster \"prod\"", "no such cluster"],
        ),
        (
            Selection { kubeconfig: Some(there.clone()), user: name(), ..default() },
            ["--user \"prod\"", "no such user"],
        ),
    ] {
        let said = refusal(selection.clone()).await;
        assert!(words.iter().all(|word| said.contains(word)), "{selection:?}: {said}");
    }
    // Without a flag, the pod's own account is used. This is no pod, so it has none.
    let said = refusal(default()).await;
    assert!(said.contains("the ServiceAccount of this pod"), "{said}");
}

#[tokio::test]
async fn a_kubeconfig_of_a_flag_is_one_file() {
    crate::platform::install_tls_provider();
    let folder = folder();
    write(folder.path(), &json!({"token": "t"}), &json!({}));
    let path = folder.path().join("a:b");
    fs::rename(folder.path().join("config"), &path).unwrap();
    let selection = Selection { kubeconfig: Some(path), ..Selection::default() };
    let access = Access::find_in(Places::of(&selection), &selection).await.unwrap();
    assert_eq!(header(&access).await.as_deref(), Some("Bearer t"));
}

#[tokio::test]
async fn what_a_context_lacks_is_named() {
    let folder = folder();
    let path = folder.path().join("config");
    for (change, words) in [
        (json!({"current-context": ""}), "no current-context"),
        (json!({"current-context": "other"}), "\"other\""),
        (json!({"clusters": []}), "the cluster \"c\""),
        (json!({"clusters": [{"name": "c", "cluster": {}}]}), "no `server`"),
    ] {
        write(folder.path(), &json!({}), &json!({}));
        let mut config: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        config.as_object_mut().unwrap().extend(change.as_object().cloned().unwrap());
        fs::write(&path, config.to_string()).unwrap();
        let error = find(path.to_str().unwrap()).await.err().unwrap().to_string();
        assert!(error.contains(words), "{words}: {error}");
    }
}

#[tokio::test]
async fn a_proxy_is_used_or_refused_without_its_password() {
    let folder = folder();
    for url in
        ["http://proxy:3128", "https://user:p@proxy:3128", "socks5://proxy:1080", "socks5h://proxy:1080"]
    {
        let access = with(folder.path(), json!({}), json!({"proxy-url": url})).await.unwrap();
        let scheme = access.config.proxy_url.as_ref().unwrap().scheme_str().unwrap().to_owned();
        assert_eq!(scheme, url.split(':').next().unwrap().replace("socks5h", "socks5"));
        assert!(kube::client::ClientBuilder::try_from(access.config).is_ok(), "{url}");
    }
    for (url, word) in [
        (format!("socks4://user:{SECRET}@proxy:1080"), "socks4"),
        (format!("socks5://user:{SECRET}@proxy:1080"), "user name"),
        ("proxy:3128".to_owned(), "http"),
        (format!("http://user:{SECRET}@ proxy"), "no URL"),
    ] {
        let said = refusal(folder.path(), json!({}), json!({"proxy-url": url})).await;
        assert!(said.contains("proxy-url") && said.contains(word), "{said}");
    }
}
