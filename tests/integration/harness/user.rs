//! `kubectl-tenantpricing`, run by a user who may do only some things in the namespace of a test.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};
use tenant_pricing_controller::simulator::Operation;
use tokio::process::Command;

use super::{
    Test,
    command::{self, Output},
    controller::PLUGIN,
    schemas, terminal,
};

/// A service account with a role of its own.
pub struct User<'a> {
    test: &'a Test,
    name: &'static str,
    kubeconfig: PathBuf,
}

impl Test {
    /// A user with a read-only role.
    pub async fn reader(&self) -> User<'_> {
        self.reader_of(&[]).await
    }

    /// The same, who may also read these resources, each with its group.
    pub async fn reader_of(&self, resources: &[(&str, &str)]) -> User<'_> {
        let own = [
            ("tenantpricing.io", "tenantpricings"),
            ("tenantpricing.io", "platformconnections"),
            ("events.k8s.io", "events"),
        ];
        let rules = own.iter().chain(resources).map(|(group, resource)| {
            json!({"apiGroups": [group], "resources": [resource], "verbs": ["get", "list", "watch"]})
        });
        self.user("reader", rules.collect()).await
    }

    /// A user who may edit `TenantPricing`s, and neither their statuses nor anything else.
    pub async fn editor(&self) -> User<'_> {
        let rules = json!([
            {"apiGroups": ["tenantpricing.io"], "resources": ["tenantpricings"],
             "verbs": ["get", "list", "watch", "patch"]},
            {"apiGroups": ["tenantpricing.io"], "resources": ["platformconnections"], "verbs": ["get"]},
        ]);
        self.user("editor", rules).await
    }

    async fn user(&self, name: &'static str, rules: Value) -> User<'_> {
        let (api, group) = ("rbac.authorization.k8s.io/v1", "rbac.authorization.k8s.io");
        let named = json!({"name": name});
        let manifest = json!({"apiVersion": "v1", "kind": "List", "items": [
            {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": named},
            {"apiVersion": api, "kind": "Role", "metadata": named, "rules": rules},
            {"apiVersion": api, "kind": "RoleBinding", "metadata": named,
             "roleRef": {"apiGroup": group, "kind": "Role", "name": name},
             "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": self.namespace}]},
        ]});
        self.apply(&manifest.to_string()).await;
        User { test: self, name, kubeconfig: self.service_account_kubeconfig(name).await }
    }
}

impl User<'_> {
    /// The kubeconfig of the user.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// The command, for a test that runs it in its own way.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(PLUGIN);
        command.args(arguments).env("KUBECONFIG", &self.kubeconfig).env_remove("_");
        command
    }

    /// The command in a pseudo-terminal. Its arguments are plain words.
    pub fn on_a_terminal(&self, arguments: &[&str]) -> Command {
        let mut command = terminal::command(&format!("{PLUGIN} {}", arguments.join(" ")));
        command.env("KUBECONFIG", &self.kubeconfig).env_remove("_");
        command
    }

    /// Runs another program to its end. It finds the command on the path.
    pub async fn run_program(&self, program: &str, arguments: &[&str]) -> Output {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folder = Path::new(PLUGIN).parent().unwrap().to_owned();
        let folders = std::iter::once(folder).chain(std::env::split_paths(&path));
        let mut command = Command::new(program);
        command.args(arguments).env("KUBECONFIG", &self.kubeconfig).env_remove("_");
        command.env("PATH", std::env::join_paths(folders).unwrap());
        let output = command::run(command, "").await;
        self.test.hear(program, arguments, output)
    }

    /// Runs the command to its end.
    pub async fn run(&self, arguments: &[&str]) -> Output {
        let output = command::run(self.command(arguments), "").await;
        self.test.hear("kubectl-tenantpricing", arguments, output)
    }

    /// The result of a command that must succeed, as JSON. It follows its schema.
    pub async fn json(&self, arguments: &[&str]) -> Value {
        let text = self.run(arguments).await.success();
        let document = serde_json::from_str(&text);
        let document = document.unwrap_or_else(|error| panic!("{arguments:?}: {error}\n{text}"));
        schemas::assert_valid(&document);
        document
    }

    /// The writes of this user to the API server so far, refused ones included.
    pub async fn writes(&self) -> Vec<super::Write> {
        let end = format!(":{}", self.name);
        self.test.writes().await.into_iter().filter(|write| write.user.ends_with(&end)).collect()
    }

    /// Checks that the user wrote nothing to the API server, not even a write that was refused. The platform got no
    /// write but those of the controller, which are `puts`.
    pub async fn wrote_nothing(&self, puts: usize) {
        assert!(self.reviews(puts).await.is_empty(), "a command that asks for no rights has asked");
    }

    /// The same, but for questions about rights, which store nothing. Returns their kinds.
    pub async fn reviews(&self, puts: usize) -> BTreeSet<String> {
        let user = format!("system:serviceaccount:{}:{}", self.test.namespace, self.name);
        let is_review = |write: &super::Write| {
            let kinds = ["selfsubjectaccessreviews", "subjectaccessreviews"];
            let (plural, group) = write.resource.split_once('.').unwrap_or_default();
            write.verb == "create" && group == "authorization.k8s.io" && kinds.contains(&plural)
        };
        let (reviews, writes): (Vec<_>, Vec<_>) =
            self.test.writes_of(&user).await.into_iter().partition(is_review);
        assert!(writes.is_empty(), "a command that only reads has written: {writes:#?}");
        let requests = self.test.simulator.requests();
        let sent = requests.iter().filter(|request| request.operation == Operation::PutPricing).count();
        assert_eq!(sent, puts, "writes to the platform");
        reviews.into_iter().map(|review| review.resource).collect()
    }
}
