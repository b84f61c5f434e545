//! The released `kubectl-tenantpricing`, each run a process of its own.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    thread,
    time::{Duration, Instant},
};

use tokio::{process::Command, task::spawn_blocking, time::timeout};

use crate::{Measured, controller::proc};

/// The pause between two reads of a process's peak. What it adds to that in its last moments remains unseen.
const PAUSE: Duration = Duration::from_millis(1);

/// A command that takes longer is ended.
const PATIENCE: Duration = Duration::from_secs(300);

/// The program, and how it is run.
#[derive(Clone, Debug)]
pub struct Plugin {
    program: PathBuf,
}

/// What one run took.
#[derive(Clone, Debug)]
pub struct Run {
    /// From its start until the process was gone.
    pub time: Duration,
    /// The most resident memory, in bytes.
    pub peak: u64,
    /// What it printed.
    pub output: String,
}

impl Plugin {
    pub fn new(program: &Path) -> Self {
        Self { program: program.to_owned() }
    }

    /// Runs a command to its end, with these variables as its whole environment. It fails with what the command wrote
    /// to standard error, if the exit code is not the expected one.
    pub async fn run(&self, arguments: &[&str], variables: &[(&str, &str)], code: i32) -> Measured<Run> {
        let mut command = Command::new(&self.program);
        command.args(arguments).env_clear().envs(variables.iter().copied());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let line = format!("kubectl-tenantpricing {}", arguments.join(" "));
        let started = Instant::now();
        let child = command.spawn()?;
        let process = child.id().ok_or_else(|| format!("{line}: ended at once"))?;
        let peak = spawn_blocking(move || peak(process));
        let ended = timeout(PATIENCE, child.wait_with_output()).await;
        let ended = ended.map_err(|_| format!("{line}: did not end within {} s", PATIENCE.as_secs()))??;
        let time = started.elapsed();
        if ended.status.code() != Some(code) {
            let said = String::from_utf8_lossy(&ended.stderr);
            return Err(format!("{line}: {} in place of {code}: {}", ended.status, said.trim_end()).into());
        }
        Ok(Run { time, peak: peak.await?, output: String::from_utf8(ended.stdout)? })
    }
}

/// The most resident memory that a process had, in bytes. The kernel forgets it with the process, so it is read until
/// then. (`wait4` would also count the memory of this process, which is the child's until it starts the program.)
fn peak(process: u32) -> u64 {
    let mut peak = 0;
    while let Ok(memory) = proc::memory(process) {
        peak = memory.peak;
        thread::sleep(PAUSE);
    }
    peak
}
