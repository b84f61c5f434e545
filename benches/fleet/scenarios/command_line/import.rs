//! `import` of all tenants, at the default pace, and once more into the same folder.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    time::SystemTime,
};

use super::Limits;
use crate::{
    Measured,
    bench::Bench,
    measurements::{Amount, Measurement},
    platform::Traffic,
};

/// How many folders are made, each by two runs.
const FOLDERS: usize = 3;

/// For 10,000 tenants.
const LIMITS: Limits = Limits { seconds: 15.0, mebibytes: 64.0 };

/// Beside one request for each hundred tenants: the token, the client's own tenant, and the tenant at the top.
const OTHER_REQUESTS: usize = 5;

/// The list of the manifests, which is one file more.
const LIST: &str = "kustomization.yaml";

/// A folder from nothing, and a second run that has nothing to do.
pub async fn import(bench: &mut Bench) -> Measured<()> {
    let tenants = bench.fleet.size;
    let platform = bench.fleet.another_platform(tenants).await?;
    let simulator = &platform.simulator;
    let (url, id, secret) = (simulator.url(), simulator.client_id(), simulator.client_secret());
    let variables = [
        ("TENANT_PRICING_ALLOWED_HOSTS", url.as_str()),
        ("TENANT_PRICING_CLIENT_ID", id.as_str()),
        ("TENANT_PRICING_CLIENT_SECRET", secret.as_str()),
    ];
    let (mut first_runs, mut second_runs, mut requests, mut changed) =
        (Vec::new(), Vec::new(), Vec::new(), 0);
    for number in 1..=FOLDERS {
        let folder = bench.fleet.folder(&format!("import-{number}"))?;
        let path = folder.display().to_string();
        let arguments = ["import", "--url", &url, "--output", &path];
        let mut cursor = platform.here();
        first_runs.push(bench.plugin.run(&arguments, &variables, 0).await?);
        requests.push(Traffic::of(&platform.since(&mut cursor)).arrivals.len());
        let before = contents(&folder)?;
        let written = before.keys().filter(|name| *name != Path::new(LIST)).count();
        if written != tenants {
            return Err(format!("{written} manifests were written for {tenants} tenants").into());
        }
        second_runs.push(bench.plugin.run(&arguments, &variables, 0).await?);
        changed += differences(&before, &contents(&folder)?);
        fs::remove_dir_all(folder)?;
    }
    super::add(bench, "import", LIMITS, &first_runs);
    let most = tenants.div_ceil(100) + OTHER_REQUESTS;
    super::add_count(bench, "import: requests to the platform", most, requests);
    super::add(bench, "import once more", LIMITS, &second_runs);
    bench.add(
        Measurement::at_most("import once more: files that changed", Amount::count(changed), 0.0, "0")
            .note(format!("of {} in {FOLDERS} folders, by content and time", FOLDERS * (tenants + 1))),
    );
    Ok(())
}

/// The files of a folder: when each was last written, and what is in it.
fn contents(folder: &Path) -> Measured<BTreeMap<PathBuf, (SystemTime, Vec<u8>)>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let content = (entry.metadata()?.modified()?, fs::read(entry.path())?);
        files.insert(entry.file_name().into(), content);
    }
    Ok(files)
}

/// How many keys have another value in the other map, or none in one of them.
fn differences<K: Ord, V: PartialEq>(one: &BTreeMap<K, V>, other: &BTreeMap<K, V>) -> usize {
    let keys: BTreeSet<&K> = one.keys().chain(other.keys()).collect();
    keys.into_iter().filter(|key| one.get(*key) != other.get(*key)).count()
}
