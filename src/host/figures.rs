//! The machine's figures, read from the system when they are asked for.

use std::fs;
use std::sync::Mutex;

use crate::base::clock::{Clock, Moment};
use crate::base::threads::lock;
use crate::model::resources::NodeStatus;

/// Reads the figures; CPU use is the mean since the reading before.
#[derive(Debug)]
pub(crate) struct Host {
    clock: Clock,
    started: Moment,
    last_cpu: Mutex<CpuTimes>,
}

#[derive(Debug, Clone, Copy, Default)]
struct CpuTimes {
    busy: u64,
    total: u64,
    percent: f64,
}

impl Host {
    /// Uptime counts from here.
    pub(crate) fn new(clock: Clock) -> Host {
        Host {
            started: clock.moment(),
            clock,
            last_cpu: Mutex::new(read_cpu_times()),
        }
    }

    /// The figures now, with the executions that the caller counts.
    pub(crate) fn status(&self, active_tasks: u32, max_tasks: u32) -> NodeStatus {
        let (total_kib, available_kib) = read_memory();
        let used_kib = total_kib.saturating_sub(available_kib);
        NodeStatus {
            cpu_percent: self.cpu_percent(),
            memory_percent: percent(used_kib, total_kib),
            memory_total_mb: total_kib / 1024,
            memory_used_mb: used_kib / 1024,
            active_tasks,
            max_tasks,
            uptime_seconds: self.clock.moment().since(self.started).as_secs(),
            cpu_millicores: cores() * 1000,
            collected_at: self.clock.now(),
        }
    }

    fn cpu_percent(&self) -> f64 {
        let now = read_cpu_times();
        let mut last = lock(&self.last_cpu);
        let total = now.total.saturating_sub(last.total);
        // Two readings within one tick of the kernel's clock have nothing between them.
        if total > 0 {
            let busy = now.busy.saturating_sub(last.busy);
            *last = CpuTimes {
                percent: percent(busy.min(total), total),
                ..now
            };
        }
        last.percent
    }
}

/// Processors this process may use; at least 1.
pub(crate) fn cores() -> u64 {
    std::thread::available_parallelism().map_or(1, |count| count.get() as u64)
}

fn percent(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        return 0.0;
    }
    // One decimal place: more would claim a precision that the counters do not have.
    ((part as f64 / whole as f64) * 1000.0).round() / 10.0
}

/// (MemTotal, MemAvailable) in KiB; proc_meminfo(5). Zeros when they cannot be read.
fn read_memory() -> (u64, u64) {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let field = |name: &str| {
        text.lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
            .and_then(|rest| rest.split_whitespace().next()?.parse().ok())
            .unwrap_or(0)
    };
    (field("MemTotal"), field("MemAvailable"))
}

/// The first line of /proc/stat, in ticks; proc_stat(5): user nice system idle iowait irq
/// softirq steal. Guest time is part of user time already.
fn read_cpu_times() -> CpuTimes {
    let text = fs::read_to_string("/proc/stat").unwrap_or_default();
    let ticks: Vec<u64> = text
        .lines()
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .skip(1)
        .take(8)
        .filter_map(|field| field.parse().ok())
        .collect();
    let total = ticks.iter().sum();
    let idle: u64 = ticks.iter().skip(3).take(2).sum();
    CpuTimes {
        busy: total - idle,
        total,
        percent: 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_read_and_make_sense() {
        let host = Host::new(Clock::system());
        let status = host.status(3, 8);
        assert!(status.memory_total_mb > 0);
        assert!(status.memory_used_mb <= status.memory_total_mb);
        assert!((0.0..=100.0).contains(&status.memory_percent));
        assert!((0.0..=100.0).contains(&status.cpu_percent));
        assert!(status.cpu_millicores >= 1000);
        assert_eq!((status.active_tasks, status.max_tasks), (3, 8));
    }

    #[test]
    fn a_part_of_nothing_is_zero_percent() {
        assert_eq!(percent(1, 0).to_bits(), 0f64.to_bits());
        assert_eq!(percent(1, 3).to_bits(), 33.3f64.to_bits());
    }
}
