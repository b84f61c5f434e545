//! What the cluster holds before anything is measured: the CRDs, a namespace, and two service accounts with
//! exactly the rights that the chart grants. An administrator would be exempt from the API server's fairness.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::json;
use tenant_pricing_controller::api;

use crate::{Measured, api_server::ApiServer, command::Output, environment::Environment, manifests};

pub const CHART: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/charts/tenant-pricing-controller");
pub const RELEASE: &str = "tenant-pricing-controller";
/// The namespace of the release.
pub const SYSTEM: &str = "tenant-pricing-system";

/// The account that does what a controller cannot do without, and nothing else: for the floors.
const FLOOR: &str = "floor";

/// Whole seconds of silence that the controller's own client allows.
const READ_TIMEOUT: Duration = Duration::from_secs(295);

/// What the API server calls the controller.
pub fn controller_user() -> String {
    format!("system:serviceaccount:{SYSTEM}:{RELEASE}")
}

/// A client of the API server.
pub struct Accounts {
    /// May do anything, and prepares everything.
    pub admin: ApiServer,
    /// Has the rights of the controller.
    pub floor: ApiServer,
    /// For the controller itself.
    pub controller_kubeconfig: PathBuf,
    /// For a program that reads as the account of [`Self::floor`] does.
    pub floor_kubeconfig: PathBuf,
}

impl Accounts {
    /// Sets everything up in an empty cluster.
    pub async fn set_up(environment: &'static Environment) -> Measured<Self> {
        let definitions = json!({
            "apiVersion": "v1", "kind": "List", "items": api::custom_resource_definitions(),
        });
        let apply = ["apply", "--server-side", "-f", "-"];
        succeed(environment.run("kubectl", &apply, &definitions.to_string()).await)?;
        tokio::task::block_in_place(|| environment.wait_for_crds())?;
        for namespace in [SYSTEM, manifests::NAMESPACE] {
            succeed(environment.run("kubectl", &["create", "namespace", namespace], "").await)?;
        }
        let template = ["template", RELEASE, CHART, "--namespace", SYSTEM];
        let only = ["--show-only", "templates/serviceaccount.yaml", "--show-only", "templates/rbac.yaml"];
        let release = succeed(environment.run("helm", &[&template[..], &only[..]].concat(), "").await)?;
        succeed(environment.run("kubectl", &[&apply[..], &["-n", SYSTEM]].concat(), &release).await)?;
        let floor = ["create", "serviceaccount", FLOOR, "-n", SYSTEM];
        succeed(environment.run("kubectl", &floor, "").await)?;
        // As the chart names it.
        let role = format!("--clusterrole={SYSTEM}:{RELEASE}");
        let account = format!("--serviceaccount={SYSTEM}:{FLOOR}");
        let bind = ["create", "clusterrolebinding", FLOOR, &role, &account];
        succeed(environment.run("kubectl", &bind, "").await)?;

        let controller_kubeconfig = kubeconfig(environment, RELEASE).await?;
        let floor_kubeconfig = kubeconfig(environment, FLOOR).await?;
        Ok(Self {
            admin: ApiServer::new(config(&environment.kubeconfig()).await?)?,
            floor: ApiServer::new(config(&floor_kubeconfig).await?)?,
            controller_kubeconfig,
            floor_kubeconfig,
        })
    }
}

/// A kubeconfig for a service account, with a token as a pod would have it.
async fn kubeconfig(environment: &'static Environment, account: &str) -> Measured<PathBuf> {
    let create = ["create", "token", account, "-n", SYSTEM, "--duration=12h"];
    let token = format!("--token={}", succeed(environment.run("kubectl", &create, "").await)?.trim());
    let path = environment.directory.join(format!("{account}.kubeconfig"));
    fs::copy(environment.kubeconfig(), &path)?;
    let file = format!("--kubeconfig={}", path.display());
    let set = ["config", "set-credentials", "admin", &token, &file];
    succeed(environment.run("kubectl", &set, "").await)?;
    Ok(path)
}

/// A client for a user of this name, whom the administrator impersonates.
pub async fn user(environment: &Environment, name: &str) -> Measured<ApiServer> {
    let mut config = config(&environment.kubeconfig()).await?;
    config.auth_info.impersonate = Some(name.to_owned());
    ApiServer::new(config)
}

async fn config(kubeconfig: &Path) -> Measured<kube::Config> {
    let kubeconfig = Kubeconfig::read_from(kubeconfig)?;
    let mut config = kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    config.read_timeout = Some(READ_TIMEOUT);
    config.proxy_url = None;
    Ok(config)
}

/// What a program printed that succeeded.
pub fn succeed(output: Output) -> Measured<String> {
    match output.code {
        0 => Ok(output.stdout),
        code => Err(format!("exit code {code}: {}{}", output.stdout, output.stderr).into()),
    }
}
