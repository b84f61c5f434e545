//! Metrics of the process itself, read from `/proc` at each scrape, under the names that all Prometheus clients use.
//! Without `/proc` there are none.

use std::{fmt, fs};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, counter::ConstCounter},
    registry::Unit,
};

use super::fleet::single;

/// The unit of time in `/proc`, in parts of a second: `USER_HZ`. It is part of the kernel's interface, and equal on
/// every architecture that the program is built for.
const TICKS_PER_SECOND: f64 = 100.0;

#[derive(Debug)]
pub(super) struct ProcessCollector;

impl Collector for ProcessCollector {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let stat = fs::read_to_string("/proc/self/stat").ok();
        let times = stat.as_deref().and_then(Times::parse);
        if let Some(times) = &times {
            let help = "Processor time spent, by user and system together.";
            let counter = ConstCounter::new(times.cpu);
            let unit = Some(&Unit::Seconds);
            counter.encode(encoder.encode_descriptor("process_cpu", help, unit, MetricType::Counter)?)?;
        }
        if let Some(booted) = fs::read_to_string("/proc/stat").ok().as_deref().and_then(boot_time)
            && let Some(times) = &times
        {
            let help = "When the process started, in Unix time.";
            let name = ("process_start_time", help, Some(&Unit::Seconds));
            single(&mut encoder, name, booted + times.started)?;
        }
        let status = fs::read_to_string("/proc/self/status").ok();
        for (field, name, help) in [
            ("VmRSS:", "process_resident_memory", "Resident memory."),
            ("VmSize:", "process_virtual_memory", "Virtual memory."),
        ] {
            if let Some(size) = status.as_deref().and_then(|status| bytes(status, field)) {
                single(&mut encoder, (name, help, Some(&Unit::Bytes)), size)?;
            }
        }
        if let Ok(open) = fs::read_dir("/proc/self/fd") {
            // The descriptor that is open for this read does not count.
            let open = open.count().saturating_sub(1);
            single(&mut encoder, ("process_open_fds", "Open file descriptors.", None), open)?;
        }
        let limits = fs::read_to_string("/proc/self/limits").ok();
        if let Some(most) = limits.as_deref().and_then(max_fds) {
            let help = "The most file descriptors that the process may have open.";
            single(&mut encoder, ("process_max_fds", help, None), most)?;
        }
        Ok(())
    }
}

/// Times in seconds, from `/proc/self/stat`.
#[derive(Debug, PartialEq)]
struct Times {
    /// User and system time of all threads, including those that have ended.
    cpu: f64,
    /// The start of the process, since the machine booted.
    started: f64,
}

impl Times {
    fn parse(stat: &str) -> Option<Self> {
        // The second field is the name of the program in parentheses, which may contain anything.
        let (_, after) = stat.rsplit_once(") ")?;
        // The numbers of proc_pid_stat(5). The first field here is number 3.
        let field = |number: usize| after.split(' ').nth(number - 3)?.parse::<f64>().ok();
        Some(Self {
            cpu: (field(14)? + field(15)?) / TICKS_PER_SECOND,
            started: field(22)? / TICKS_PER_SECOND,
        })
    }
}

/// When the machine booted, in Unix seconds.
fn boot_time(stat: &str) -> Option<f64> {
    stat.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()
}

/// The size in a field of `/proc/self/status`.
fn bytes(status: &str, field: &str) -> Option<u64> {
    let kibibytes = status.lines().find_map(|line| line.strip_prefix(field))?.trim().strip_suffix(" kB")?;
    kibibytes.parse::<u64>().ok()?.checked_mul(1024)
}

/// The soft limit in `/proc/self/limits`. `None` if there is no limit.
fn max_fds(limits: &str) -> Option<u64> {
    let limits = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    limits.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_may_be_called_anything() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4194560 1 0 0 0 250 50 0 0 20 0 5 0 12345 1 2 3";
        assert_eq!(Times::parse(stat), Some(Times { cpu: 3.0, started: 123.45 }));
        assert_eq!(Times::parse("7 (a) S 1"), None);
    }

    #[test]
    fn the_kernel_says_kilobytes_and_means_1024() {
        let status = "Name:\tx\nVmSize:\t    4096 kB\nVmRSS:\t    2048 kB\nVmData: 1 kB\n";
        let sizes = ["VmRSS:", "VmSize:", "VmSwap:"].map(|field| bytes(status, field));
        assert_eq!(sizes, [Some(2 * 1024 * 1024), Some(4 * 1024 * 1024), None]);
        assert_eq!(boot_time("cpu 1 2\nbtime 1700000000\nprocesses 5\n"), Some(1_700_000_000.0));
    }

    #[test]
    fn the_soft_limit_of_open_files_is_the_one_that_counts() {
        let limits = |soft: &str| {
            format!(
                "Limit                     Soft Limit           Hard Limit           Units     \n\
                 Max processes             99                   99                   processes \n\
                 Max open files            {soft:<20} 524288               files     \n"
            )
        };
        assert_eq!(max_fds(&limits("1024")), Some(1024));
        assert_eq!(max_fds(&limits("unlimited")), None);
    }
}
