//! The result of a run: numbers for the reader, and a folder with everything when it failed.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt, fs,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{driver::Driver, oracle::Record};

/// What there was of everything.
pub struct Figures {
    pub seed: u64,
    pub lasted: Duration,
    pub staged: Duration,
    pub converged: Duration,
    /// By kind: how often it was done, or met a request.
    pub counts: BTreeMap<String, u32>,
    pub calls: BTreeMap<String, u32>,
    pub puts: usize,
    pub effective: usize,
    pub objects: usize,
    pub versions: usize,
    pub announced: usize,
    /// Processes.
    pub lives: usize,
    /// How often another process than before announced an attempt.
    pub takeovers: usize,
}

impl Figures {
    pub fn of(driver: &Driver, record: &Record, staged: Duration, converged: Duration) -> Self {
        let pricings = || record.versions.iter().filter(|stored| stored.kind == "tenantpricings");
        let uids = pricings().filter_map(|stored| stored.object.as_ref()?["metadata"]["uid"].as_str());
        let mut announcements: Vec<_> = record.noted.iter().filter(|noted| noted.attempt.is_some()).collect();
        announcements.sort_by_key(|noted| noted.arrived);
        let mut known = BTreeSet::new();
        announcements.retain(|noted| known.insert(&noted.attempt));
        Self {
            seed: driver.plan.seed,
            lasted: driver.plan.shape.lasts,
            staged,
            converged,
            counts: driver.counts(),
            calls: driver.requests.calls(),
            puts: record.puts.len(),
            effective: record.puts.iter().filter(|put| put.took_effect).count(),
            objects: uids.collect::<BTreeSet<_>>().len(),
            versions: pricings().count(),
            announced: announcements.len(),
            lives: driver.replicas.lives().len(),
            takeovers: announcements.windows(2).filter(|pair| pair[0].life != pair[1].life).count(),
        }
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            formatter,
            "chaos: SEED={}: {} s of it after {:.0} s to set the environment; where everything belongs {:.1} s later",
            self.seed,
            self.lasted.as_secs(),
            self.staged.as_secs_f64(),
            self.converged.as_secs_f64()
        )?;
        writeln!(
            formatter,
            "{} objects, {} stored versions, {} announcements, {} PUTs, {} of them took effect; {} processes, {} \
             takeovers",
            self.objects,
            self.versions,
            self.announced,
            self.puts,
            self.effective,
            self.lives,
            self.takeovers
        )?;
        let calls: Vec<String> = self.calls.iter().map(|(call, count)| format!("{call} {count}")).collect();
        writeln!(formatter, "requests to the platform: {}", calls.join(", "))?;
        for (kind, count) in self.counts.iter().filter(|(_, count)| **count > 0) {
            writeln!(formatter, "| {kind} | {count} |")?;
        }
        Ok(())
    }
}

/// Keeps everything there is, and prints where.
pub fn keep(driver: &Driver, record: &Record, faults: &[String]) -> PathBuf {
    let seed = driver.plan.seed;
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("chaos-{seed}"));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    let write = |name: &str, text: String| fs::write(folder.join(name), text).unwrap();
    write("faults", faults.join("\n"));
    write("plan", driver.plan.to_string());
    write("history", driver.environment.history.text());
    let start = driver.environment.history.start;
    let since = |instant: std::time::Instant| instant.saturating_duration_since(start).as_secs_f64();
    let puts = record
        .puts
        .iter()
        .map(|put| format!("{:>9.3} s  {put:?}\n", since(record.epoch + put.started_after)));
    write("puts", puts.collect());
    let noted = record.noted.iter().map(|noted| {
        let answered = noted.answered.map(|(at, status)| (since(at), status));
        format!("{:>9.3} s  life {} {:?} {answered:?}\n", since(noted.arrived), noted.life, noted.attempt)
    });
    write("noted", noted.collect());
    let tenants = record.tenants.iter().map(|state| {
        format!("{:>9.3} s  {}\n", since(state.since), serde_json::to_string(&state.tenant).unwrap())
    });
    write("tenants", tenants.collect());
    let versions = record.versions.iter().map(|stored| {
        let object = stored.object.as_ref().map(serde_json::Value::to_string).unwrap_or_default();
        format!("{} {} {}/{} {object}\n", stored.revision, stored.kind, stored.namespace, stored.name)
    });
    write("versions", versions.collect());
    for life in driver.replicas.lives() {
        let _ = fs::copy(&life.log, folder.join(life.log.file_name().unwrap()));
    }
    for log in ["etcd.log", "kube-apiserver.log"] {
        let _ = fs::copy(driver.environment.control_plane.directory.join(log), folder.join(log));
    }
    folder
}
