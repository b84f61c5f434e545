//! `kubectl-tenantpricing`, run by a user who may only read.

use std::path::PathBuf;

use serde_json::{Value, json};
use tenant_pricing_controller::simulator::Operation;
use tokio::process::Command;

use super::Test;
use super::command::{self, Output};
use super::controller::PLUGIN;

/// A user who may read in the namespace of a test, and write nothing.
pub struct Reader<'a> {
    test: &'a Test,
    kubeconfig: PathBuf,
}

impl Test {
    /// A user with a read-only role: the service account `reader`.
    pub async fn reader(&self) -> Reader<'_> {
        let (api, group) = ("rbac.authorization.k8s.io/v1", "rbac.authorization.k8s.io");
        let name = json!({"name": "reader"});
        let rules = json!([
            {"apiGroups": ["tenantpricing.io"], "resources": ["tenantpricings", "platformconnections"],
             "verbs": ["get", "list", "watch"]},
            {"apiGroups": ["events.k8s.io"], "resources": ["events"], "verbs": ["get", "list", "watch"]},
        ]);
        let manifest = json!({"apiVersion": "v1", "kind": "List", "items": [
            {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": name},
            {"apiVersion": api, "kind": "Role", "metadata": name, "rules": rules},
            {"apiVersion": api, "kind": "RoleBinding", "metadata": name,
             "roleRef": {"apiGroup": group, "kind": "Role", "name": "reader"},
             "subjects": [{"kind": "ServiceAccount", "name": "reader", "namespace": self.namespace}]},
        ]});
        self.apply(&manifest.to_string()).await;
        Reader { test: self, kubeconfig: self.service_account_kubeconfig("reader").await }
    }
}

impl Reader<'_> {
    /// The command, for a test that runs it in its own way.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(PLUGIN);
        command.args(arguments).env("KUBECONFIG", &self.kubeconfig).env_remove("_");
        command
    }

    /// The command in a pseudo-terminal, by `script` of util-linux. Its arguments are plain words.
    pub fn on_a_terminal(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("script");
        command.args(["-qfec", &format!("{PLUGIN} {}", arguments.join(" ")), "/dev/null"]);
        command.env("KUBECONFIG", &self.kubeconfig).env_remove("_");
        command
    }

    /// Runs the command to its end.
    pub async fn run(&self, arguments: &[&str]) -> Output {
        let output = command::run(self.command(arguments), "").await;
        self.test.hear("kubectl-tenantpricing", arguments, output)
    }

    /// The result of a command that must succeed, as JSON.
    pub async fn json(&self, arguments: &[&str]) -> Value {
        let text = self.run(arguments).await.success();
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{arguments:?}: {error}\n{text}"))
    }

    /// Checks that the user wrote nothing to the API server, not even a write that was refused. The platform got no
    /// write but those of the controller, which are `puts`.
    pub async fn wrote_nothing(&self, puts: usize) {
        let by_the_reader = |write: &super::Write| write.user.ends_with(":reader");
        let writes: Vec<_> = self.test.writes().await.into_iter().filter(by_the_reader).collect();
        assert!(writes.is_empty(), "a command that only reads has written: {writes:#?}");
        let requests = self.test.simulator.requests();
        let sent = requests.iter().filter(|request| request.operation == Operation::PutPricing).count();
        assert_eq!(sent, puts, "writes to the platform");
    }
}
