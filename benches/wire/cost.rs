//! What a process has cost so far.

use std::ops::{Add, Sub};
use std::time::Duration;

use nix::sys::resource::{UsageWho, getrusage};

#[derive(Debug, Clone, Copy)]
pub struct Cost {
    pub cpu: Duration,
    /// Times that a thread gave its processor up because it waited.
    pub waits: u64,
}

pub fn of_this_process() -> Cost {
    let usage = getrusage(UsageWho::RUSAGE_SELF).expect("usage");
    let micros = |time: nix::sys::time::TimeVal| {
        let micros = time.tv_sec() * 1_000_000 + time.tv_usec();
        Duration::from_micros(micros.unsigned_abs())
    };
    Cost {
        cpu: micros(usage.user_time()) + micros(usage.system_time()),
        waits: usage.voluntary_context_switches().unsigned_abs(),
    }
}

impl Cost {
    /// For [`Cost::read`].
    pub fn written(self) -> String {
        format!("{} {}", self.cpu.as_micros(), self.waits)
    }

    pub fn read(text: &str) -> Cost {
        let mut numbers = text
            .split_whitespace()
            .map(|number| number.parse().expect("a number"));
        Cost {
            cpu: Duration::from_micros(numbers.next().expect("time")),
            waits: numbers.next().expect("waits"),
        }
    }
}

impl Sub for Cost {
    type Output = Cost;

    fn sub(self, before: Cost) -> Cost {
        Cost {
            cpu: self.cpu - before.cpu,
            waits: self.waits - before.waits,
        }
    }
}

impl Add for Cost {
    type Output = Cost;

    fn add(self, other: Cost) -> Cost {
        Cost {
            cpu: self.cpu + other.cpu,
            waits: self.waits + other.waits,
        }
    }
}
