//! Reads the kubeconfig, from the files that `kubectl` reads, and says what is wrong with it without quoting it.

use std::{io, path::PathBuf};

use kube::config::{Kubeconfig, KubeconfigError, LoadDataError};

use super::{AccessError, Places};

/// The result of a search.
pub(super) enum Found {
    /// All files together.
    Kubeconfig(Box<Kubeconfig>),
    /// No file, for this reason.
    Nothing(String),
}

/// Finds and merges the files. As `kubectl` does, it leaves out those of the list that do not exist. The file of a flag
/// must exist.
pub(super) fn find(places: &Places) -> Result<Found, AccessError> {
    if let Some(file) = &places.file {
        let named = file.display().to_string();
        let read = Kubeconfig::read_from(file).map_err(|error| match error {
            KubeconfigError::ReadConfig(error, _) if error.kind() == io::ErrorKind::NotFound => {
                AccessError::new(format!("--kubeconfig {named:?}: there is no such file"))
            }
            error => AccessError::new(format!("--kubeconfig {named:?}: {}", explain(&error))),
        })?;
        return Ok(of(read));
    }
    let list: Vec<PathBuf> = places
        .list
        .iter()
        .flat_map(std::env::split_paths)
        .filter(|path| !path.as_os_str().is_empty())
        .collect();
    let is_listed = !list.is_empty();
    let files = if is_listed {
        list
    } else {
        places.home.iter().map(|home| home.join(".kube").join("config")).collect()
    };
    let (mut merged, mut found, mut missing) = (Kubeconfig::default(), false, Vec::new());
    for path in files {
        match Kubeconfig::read_from(&path) {
            Ok(next) => {
                found = true;
                merged = merged.merge(next).map_err(|error| AccessError::new(explain(&error)))?;
            }
            Err(KubeconfigError::ReadConfig(error, _)) if error.kind() == io::ErrorKind::NotFound => {
                missing.push(path.display().to_string());
            }
            Err(error) => {
                let (file, why) = (path.display(), explain(&error));
                return Err(AccessError::new(format!("kubeconfig {file}: {why}")));
            }
        }
    }
    let missing = missing.join(", ");
    if !found {
        return Ok(Found::Nothing(match (is_listed, missing.is_empty()) {
            (true, _) => format!("no file that KUBECONFIG names exists: {missing}"),
            (false, false) => format!("KUBECONFIG is not set, and {missing} does not exist"),
            (false, true) => "KUBECONFIG is not set, and there is no home directory".to_owned(),
        }));
    }
    if is_listed && !missing.is_empty() {
        tracing::warn!(missing, "KUBECONFIG names files that do not exist; the others are used");
    }
    Ok(of(merged))
}

/// A kubeconfig, if it has anything.
fn of(mut read: Kubeconfig) -> Found {
    if read.contexts.is_empty() && read.clusters.is_empty() && read.auth_infos.is_empty() {
        return Found::Nothing("the kubeconfig is empty".to_owned());
    }
    read.current_context = read.current_context.filter(|name| !name.is_empty());
    Found::Kubeconfig(Box::new(read))
}

/// What is wrong with a kubeconfig. kube's own texts quote the file, and with it what is secret in it.
pub(super) fn explain(error: &KubeconfigError) -> String {
    match error {
        KubeconfigError::CurrentContextNotSet => {
            "the kubeconfig sets no current-context. Set it with: kubectl config use-context NAME".to_owned()
        }
        KubeconfigError::KindMismatch => "the files of KUBECONFIG differ in `kind`".to_owned(),
        KubeconfigError::ApiVersionMismatch => "the files of KUBECONFIG differ in `apiVersion`".to_owned(),
        KubeconfigError::LoadContext(name) => {
            format!("current-context of the kubeconfig is {name:?}, and there is no such context")
        }
        KubeconfigError::LoadClusterOfContext(name) => {
            format!("the context names the cluster {name:?}, and the kubeconfig has none of that name")
        }
        KubeconfigError::FindPath => "there is no home directory".to_owned(),
        KubeconfigError::ReadConfig(error, _) => format!("it cannot be read: {error}"),
        KubeconfigError::Parse(error) => error.location().map_or_else(
            || "it is no kubeconfig in YAML".to_owned(),
            |at| format!("it is no kubeconfig in YAML, see line {}, column {}", at.line(), at.column()),
        ),
        KubeconfigError::MissingClusterUrl => "the cluster of the kubeconfig has no `server`".to_owned(),
        KubeconfigError::ParseClusterUrl(_) => {
            "`server` of the kubeconfig's cluster is no URL such as https://cluster.example:6443".to_owned()
        }
        KubeconfigError::ParseProxyUrl(_) => {
            "proxy-url of the kubeconfig, or HTTPS_PROXY, is no URL such as http://proxy.example:3128"
                .to_owned()
        }
        KubeconfigError::LoadCertificateAuthority(error) => data("certificate-authority", error),
        KubeconfigError::LoadClientCertificate(error) => data("client-certificate", error),
        KubeconfigError::LoadClientKey(error) => data("client-key", error),
        KubeconfigError::ParseCertificates(_) => {
            "certificate-authority of the kubeconfig holds no certificate in PEM".to_owned()
        }
        KubeconfigError::ParseNoProxy(_) => "the variable NO_PROXY cannot be read".to_owned(),
    }
}

fn data(field: &str, error: &LoadDataError) -> String {
    match error {
        LoadDataError::DecodeBase64(_) => format!("{field}-data of the kubeconfig is not Base64"),
        LoadDataError::ReadFile(error, path) => {
            format!("{field} of the kubeconfig: {} cannot be read: {error}", path.display())
        }
        LoadDataError::NoBase64DataOrFile => {
            format!("{field} is missing in the kubeconfig beside its counterpart")
        }
    }
}
