//! What the kernel reports about a process.

use std::{path::Path, time::Duration};

use crate::Measured;

/// A unit of processor time in `/proc`, the same on every Linux.
const TICKS_PER_SECOND: u64 = 100;

/// Resident memory, in bytes.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    pub present: u64,
    pub peak: u64,
}

pub fn memory(process: u32) -> Measured<Memory> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let kibibytes = |key: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
        let number = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
        number.ok_or_else(|| format!("/proc/{process}/status has no {key}"))
    };
    Ok(Memory { present: kibibytes("VmRSS")? * 1024, peak: kibibytes("VmHWM")? * 1024 })
}

/// Processor time used so far, in user and kernel mode.
pub fn processor_time(process: u32) -> Measured<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat"))?;
    let unreadable = || format!("/proc/{process}/stat cannot be read: {stat}");
    // The program's name, in parentheses, may hold anything; the third field is the first one after it.
    let (_, fields) = stat.rsplit_once(") ").ok_or_else(unreadable)?;
    let mut times = fields.split(' ').skip(11).map(str::parse::<u64>);
    match (times.next(), times.next()) {
        (Some(Ok(user)), Some(Ok(system))) => {
            Ok(Duration::from_millis((user + system) * 1000 / TICKS_PER_SECOND))
        }
        _ => Err(unreadable().into()),
    }
}

/// The child of `parent` that runs `program`.
pub fn child_running(parent: u32, program: &Path) -> Option<u32> {
    let processes = std::fs::read_dir("/proc").ok()?.flatten();
    let numbers = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    numbers.into_iter().find(|number| {
        let is_child = || {
            let status = std::fs::read_to_string(format!("/proc/{number}/status")).ok()?;
            let line = status.lines().find_map(|line| line.strip_prefix("PPid:"))?;
            Some(line.trim().parse() == Ok(parent))
        };
        std::fs::read_link(format!("/proc/{number}/exe")).is_ok_and(|running| running == program)
            && is_child().unwrap_or(false)
    })
}
