//! The chart: what it refuses, what it installs, and that its rights suffice for the controller.
//!
//! Pods never run here. The controller is started as the pod would start it instead: with the arguments of the
//! installed Deployment and a token of its service account.

mod authorization;
mod cannot_work;
mod cluster;
mod coverage;
mod metadata;
mod missing;
mod namespaces;
mod pods;
mod renders;
mod rights;
mod rollback;
mod upgrades;
mod values;

use std::{fs, os::unix::fs::PermissionsExt as _, path::PathBuf};

use crate::harness::{BINARY, CHART, Controller, HELM_3, Output, Test};

/// Helm 4 and Helm 3.
const HELMS: [&str; 2] = ["helm", HELM_3];

/// How many renders or edits a test with many of them makes at once.
const AT_ONCE: usize = 4;

/// What Helm 4 makes of a chart. Helm 3 must make the same of it, or refuse it with the same words.
async fn template(test: &Test, chart: &str, arguments: &[&str]) -> Output {
    let arguments = [&["template", "release", chart], arguments].concat();
    let (four, three) = tokio::join!(test.helm(&arguments), test.helm_of(HELM_3, &arguments));
    assert_eq!(four.code, three.code, "Helm 4 and 3 with {arguments:?}: {}{}", four.stderr, three.stderr);
    // They differ in empty lines, and in what they log before the error.
    let manifests = |output: &Output| output.stdout.replace("\n\n", "\n").replace("\n\n", "\n");
    let error = |output: &Output| output.stderr.split_once("Error: ").map(|(_, error)| error.to_owned());
    assert!(manifests(&four) == manifests(&three), "Helm 3 renders something else with {arguments:?}");
    assert_eq!(error(&four), error(&three), "Helm 4 (left) and Helm 3 (right) with {arguments:?}");
    four
}

/// An installed release: its namespace, and the name of all its objects.
struct Release<'a> {
    namespace: &'a str,
    fullname: &'a str,
}

impl Release<'_> {
    /// Runs kubectl in the release's namespace.
    async fn kubectl(&self, test: &Test, arguments: &[&str]) -> Output {
        test.kubectl(&[&["--namespace", self.namespace], arguments].concat()).await
    }

    /// A kubeconfig with a token of the release's service account.
    async fn kubeconfig(&self, test: &Test) -> PathBuf {
        self.kubeconfig_of(test, self.fullname).await
    }

    async fn kubeconfig_of(&self, test: &Test, account: &str) -> PathBuf {
        let token = self.kubectl(test, &["create", "token", account]).await.success();
        let path = test.directory().join(format!("{account}.kubeconfig"));
        fs::copy(test.directory().join("kubeconfig"), &path).unwrap();
        let (file, token) = (format!("--kubeconfig={}", path.display()), format!("--token={}", token.trim()));
        test.kubectl(&["config", "set-credentials", "admin", &token, &file]).await.success();
        path
    }

    /// The arguments of the installed Deployment, with an address of its own: a pod has all ports to itself, and here
    /// several controllers run at once.
    async fn arguments(&self, test: &Test) -> Vec<String> {
        let path = "jsonpath={.spec.template.spec.containers[0].args}";
        let arguments = self.kubectl(test, &["get", "deployment", self.fullname, "-o", path]).await.success();
        let mut arguments: Vec<String> = serde_json::from_str(&arguments).unwrap();
        let is_address = |argument: &String| argument.starts_with("--admin-address=");
        let address = arguments.iter_mut().find(|argument| is_address(argument)).unwrap();
        "--admin-address=127.0.0.1:0".clone_into(address);
        arguments
    }

    /// Starts the controller with the Deployment's arguments and the service account's rights.
    async fn start_controller(&self, test: &Test) -> Controller {
        self.start_controller_as(test, self.fullname).await
    }

    /// The same with another service account, which the release did not create.
    async fn start_controller_as(&self, test: &Test, account: &str) -> Controller {
        let arguments = self.arguments(test).await;
        // Not the command line that the harness would compose.
        let program = test.directory().join("as-the-pod-does");
        fs::write(&program, format!("#!/bin/sh\nexec '{BINARY}' '{}'\n", arguments.join("' '"))).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let mut options = test.controller_options();
        options.binary = program;
        options.kubeconfig = self.kubeconfig_of(test, account).await;
        test.start_controller(&options)
    }
}
