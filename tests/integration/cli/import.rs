//! `import`: manifests for the tenants that exist, and nothing else.

mod folders;
mod interrupted;
mod safety;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use tenant_pricing_controller::simulator::TenantSpec;

use super::{assert_only_reads, credentials};
use crate::harness::{Output, Test};

/// Runs `import` with the credentials of the simulator in variables, below the folder of the test.
async fn import(test: &Test, arguments: &[&str]) -> Output {
    let url = test.simulator.url();
    let arguments = [&["import", "--url", &url], arguments].concat();
    let [(id, id_value), (secret, secret_value)] = credentials(test);
    test.plugin(&arguments, &[(id, &id_value), (secret, &secret_value)], "").await
}

/// All files below a folder, hidden ones too, with their contents.
fn files(folder: &Path) -> BTreeMap<PathBuf, String> {
    let mut found = BTreeMap::new();
    let mut open = vec![folder.to_owned()];
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(next).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if let Ok(text) = fs::read_to_string(&path) {
                found.insert(path.strip_prefix(folder).unwrap().to_owned(), text);
            }
        }
    }
    found
}

/// The names of all files below a folder.
fn names(folder: &Path) -> Vec<String> {
    files(folder).keys().map(|path| path.display().to_string()).collect()
}

/// Adds customers with these names.
fn add(test: &Test, names: &[&str]) -> Vec<String> {
    names.iter().map(|name| test.simulator.add_tenant(TenantSpec::customer(*name))).collect()
}
