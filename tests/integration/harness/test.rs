//! What one test has for itself.

use std::fs;
use std::path::PathBuf;

use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Api, ObjectMeta, PostParams};
use tokio::process::Command;

use super::command::{self, Output};
use super::environment::Environment;

/// A fresh namespace, and all that a test does in it.
pub struct Test {
    /// The test's own; nothing else uses it.
    pub namespace: String,
    /// User `admin`, for this test's runtime.
    pub client: kube::Client,
    environment: &'static Environment,
    directory: PathBuf,
}

impl Test {
    /// `name` becomes part of the namespace's name.
    pub async fn new(name: &str) -> Self {
        let environment = Environment::get().await;
        let client = kube::Client::try_from(environment.client_config().await).unwrap();
        let namespace = format!("{name}-{:06x}", rand::random_range(0..0x0100_0000));
        let metadata = ObjectMeta { name: Some(namespace.clone()), ..ObjectMeta::default() };
        let object = Namespace { metadata, ..Namespace::default() };
        Api::all(client.clone()).create(&PostParams::default(), &object).await.unwrap();
        let directory = environment.directory.join("tests").join(&namespace);
        fs::create_dir_all(&directory).unwrap();
        for file in ["kubeconfig", "controller.kubeconfig"] {
            let kubeconfig = fs::read_to_string(environment.directory.join(file)).unwrap();
            let kubeconfig = kubeconfig.replace("namespace: default", &format!("namespace: {namespace}"));
            fs::write(directory.join(file), kubeconfig).unwrap();
        }
        Self { namespace, client, environment, directory }
    }

    /// Runs `kubectl`, in the test's namespace unless the arguments name another.
    pub async fn kubectl(&self, arguments: &[&str]) -> Output {
        self.kubectl_with(arguments, "").await
    }

    /// Runs `kubectl` with `input` as its standard input, for `-f -`.
    pub async fn kubectl_with(&self, arguments: &[&str], input: &str) -> Output {
        command::run(self.program("kubectl", arguments), input).await
    }

    /// Runs `helm`, in the test's namespace unless the arguments name another.
    pub async fn helm(&self, arguments: &[&str]) -> Output {
        command::run(self.program("helm", arguments), "").await
    }

    /// `kubectl apply` of a manifest, YAML or JSON, that must succeed.
    pub async fn apply(&self, manifest: &str) {
        self.kubectl_with(&["apply", "-f", "-"], manifest).await.success();
    }

    /// A folder for the test's own files; it goes away with the control plane.
    pub fn directory(&self) -> &std::path::Path {
        &self.directory
    }

    fn program(&self, name: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.environment.programs.join(name));
        let cache = self.environment.cache();
        command.args(arguments).env("KUBECONFIG", self.directory.join("kubeconfig"));
        command.env("KUBECACHEDIR", &cache).env("HELM_CACHE_HOME", cache.join("helm"));
        command.env("HELM_CONFIG_HOME", cache.join("helm")).env("HELM_DATA_HOME", cache.join("helm"));
        command
    }
}
