//! Runs a credential plugin (`exec` in a kubeconfig) and reads its output. No text contains its environment or output.

use std::{
    collections::HashMap,
    fmt,
    io::{self, IsTerminal},
    os::unix::process::ExitStatusExt,
    process::Stdio,
    time::Duration,
};

use jiff::Timestamp;
use kube::config::{ExecConfig, ExecInteractiveMode};
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::json;
use tokio::{io::AsyncReadExt, process::Command, time::timeout};

use super::AccessError;

/// A plugin that runs longer is killed.
const PLUGIN_TIMEOUT: Duration = Duration::from_secs(60);

/// The limit of an interactive plugin: a person may have to log in meanwhile.
const INTERACTIVE_PLUGIN_TIMEOUT: Duration = Duration::from_secs(300);

/// After this time the log says what the process waits for.
const SLOW_PLUGIN_WARNING: Duration = Duration::from_secs(10);

/// The most bytes of a plugin's output that are read.
const OUTPUT_LIMIT: u64 = 1024 * 1024;

/// A credential plugin. Prints as its command alone.
#[derive(Clone)]
pub(super) struct Plugin {
    command: String,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    api_version: Option<String>,
    install_hint: Option<String>,
    mode: Option<ExecInteractiveMode>,
    cluster: Option<serde_json::Value>,
    limit: Option<Duration>,
}

impl fmt::Debug for Plugin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Plugin").field("command", &self.command).finish_non_exhaustive()
    }
}

/// What a plugin returns.
pub(super) struct Given {
    pub token: Option<SecretString>,
    /// A client certificate and its key, in PEM.
    pub identity: Option<(String, SecretString)>,
    pub expires: Option<Timestamp>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Printed {
    #[serde(default)]
    api_version: Option<String>,
    #[serde(default)]
    kind: Option<String>,
    #[serde(default)]
    status: Option<PrintedStatus>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PrintedStatus {
    #[serde(default)]
    expiration_timestamp: Option<String>,
    #[serde(default)]
    token: Option<SecretString>,
    #[serde(default)]
    client_certificate_data: Option<String>,
    #[serde(default)]
    client_key_data: Option<SecretString>,
}

impl Plugin {
    pub(super) fn new(exec: &ExecConfig) -> Result<Self, AccessError> {
        let command = exec.command.clone().filter(|command| !command.is_empty()).ok_or_else(|| {
            AccessError::new("`exec` of the kubeconfig has no `command`, so no auth plugin can run")
        })?;
        let pair =
            |entry: &HashMap<String, String>| Some((entry.get("name")?.clone(), entry.get("value")?.clone()));
        let hint = exec.install_hint.as_deref().map(str::trim);
        Ok(Self {
            command,
            arguments: exec.args.clone().unwrap_or_default(),
            environment: exec.env.iter().flatten().filter_map(pair).collect(),
            api_version: exec.api_version.clone(),
            install_hint: hint.filter(|hint| !hint.is_empty()).map(str::to_owned),
            mode: exec.interactive_mode.clone(),
            cluster: exec.cluster.as_ref().and_then(|cluster| serde_json::to_value(cluster).ok()),
            limit: None,
        })
    }

    /// Sets another time limit.
    #[cfg(test)]
    pub(super) fn limited(mut self, limit: Duration) -> Self {
        self.limit = Some(limit);
        self
    }

    fn says(&self, what: impl fmt::Display) -> AccessError {
        AccessError::new(format!("auth plugin {} {what}", self.command))
    }

    /// Runs the plugin once.
    pub(super) async fn run(&self) -> Result<Given, AccessError> {
        let is_interactive = io::stdin().is_terminal() && self.mode != Some(ExecInteractiveMode::Never);
        if self.mode == Some(ExecInteractiveMode::Always) && !is_interactive {
            return Err(
                self.says("wants to ask a person (interactiveMode: Always), and there is no terminal")
            );
        }
        let limit =
            self.limit.unwrap_or(if is_interactive { INTERACTIVE_PLUGIN_TIMEOUT } else { PLUGIN_TIMEOUT });
        let running = self.output(is_interactive);
        tokio::pin!(running);
        let waiting = async {
            if let Ok(output) = timeout(SLOW_PLUGIN_WARNING, &mut running).await {
                return output;
            }
            tracing::warn!(
                plugin = self.command,
                limit = limit.as_secs(),
                "an auth plugin of the kubeconfig still runs; no request is sent to the API server until it ends"
            );
            running.await
        };
        match timeout(limit, waiting).await {
            Ok(output) => self.read(&output?),
            Err(_) => Err(self.says(format_args!(
                "did not end within {} s, and was ended. Run it by hand to see what it waits for",
                limit.as_secs()
            ))),
        }
    }

    async fn output(&self, is_interactive: bool) -> Result<Vec<u8>, AccessError> {
        let asked = json!({
            "apiVersion": self.api_version,
            "kind": "ExecCredential",
            "spec": match &self.cluster {
                Some(cluster) => json!({"interactive": is_interactive, "cluster": cluster}),
                None => json!({"interactive": is_interactive}),
            },
        });
        let mut command = Command::new(&self.command);
        command
            .args(&self.arguments)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .env("KUBERNETES_EXEC_INFO", asked.to_string())
            .stdin(if is_interactive { Stdio::inherit() } else { Stdio::null() })
            .stdout(Stdio::piped())
            // On a terminal a person sees stderr. A log must not keep it: it may hold a secret.
            .stderr(if io::stderr().is_terminal() { Stdio::inherit() } else { Stdio::null() })
            .kill_on_drop(true);
        let mut child = command.spawn().map_err(|error| self.not_started(&error))?;
        let mut printed = Vec::new();
        if let Some(stdout) = child.stdout.take() {
            let read = stdout.take(OUTPUT_LIMIT).read_to_end(&mut printed).await;
            read.map_err(|error| self.says(format_args!("cannot be read from: {}", error.kind())))?;
        }
        let status =
            child.wait().await.map_err(|error| self.says(format_args!("is lost: {}", error.kind())))?;
        match (status.code(), status.signal()) {
            (Some(0), _) => Ok(printed),
            (Some(code), _) => Err(self.says(format_args!("failed with exit code {code}"))),
            (None, Some(signal)) => Err(self.says(format_args!("was ended by signal {signal}"))),
            (None, None) => Err(self.says("failed")),
        }
    }

    fn not_started(&self, error: &io::Error) -> AccessError {
        let hint = self.install_hint.as_ref().map(|hint| format!(". {hint}")).unwrap_or_default();
        match error.kind() {
            io::ErrorKind::NotFound => {
                self.says(format_args!("is not installed: there is no such executable{hint}"))
            }
            kind => self.says(format_args!("cannot be started: {kind}{hint}")),
        }
    }

    fn read(&self, printed: &[u8]) -> Result<Given, AccessError> {
        let printed: Printed = serde_saphyr::from_slice(printed)
            .map_err(|_| self.says("did not print an ExecCredential in JSON"))?;
        if printed.kind.as_deref() != Some("ExecCredential") {
            return Err(self.says("printed something that is no ExecCredential"));
        }
        if let Some(expected) = &self.api_version
            && printed.api_version.as_ref() != Some(expected)
        {
            return Err(self.says(format_args!(
                "printed an ExecCredential of another apiVersion than the {expected:?} that the kubeconfig asks for"
            )));
        }
        let status = printed.status.ok_or_else(|| self.says("printed an ExecCredential without `status`"))?;
        let identity = match (status.client_certificate_data, status.client_key_data) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) => None,
            _ => {
                return Err(self.says("printed only one of clientCertificateData and clientKeyData"));
            }
        };
        if status.token.is_none() && identity.is_none() {
            return Err(self.says("printed neither a token nor a client certificate"));
        }
        let expires = status.expiration_timestamp.map(|text| text.parse()).transpose();
        let expires = expires.map_err(|_| self.says("printed an expirationTimestamp that is no time"))?;
        Ok(Given { token: status.token, identity, expires })
    }

    /// The name of the plugin: its command.
    pub(super) fn name(&self) -> &str {
        &self.command
    }
}
