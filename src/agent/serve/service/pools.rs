//! The threads that answer calls, so that those that read connections need not: a pool for each kind of
//! wait, so that none of them starves the others.

use std::time::Duration;

use crate::base::pool::{Pool, PoolLimits};
use crate::base::threads::Supervisor;

/// Calls that read or write a little; a cancel among them waits for a process tree to die.
const CALLS: PoolLimits = PoolLimits {
    threads: 64,
    queued: 256,
    idle: IDLE,
};
/// Each writes an archive to disk, which more of them at once would only slow down.
const RELEASES: PoolLimits = PoolLimits {
    threads: 4,
    queued: 16,
    idle: IDLE,
};
/// Each waits for one execution's output, for as long as it runs.
const FOLLOWERS: PoolLimits = PoolLimits {
    threads: 256,
    queued: 0,
    idle: IDLE,
};
/// Each waits for the ends of all executions; as many as may subscribe. Apart from the followers,
/// so that these cannot keep a control plane from learning what ended.
const WATCHERS: PoolLimits = PoolLimits {
    threads: 16,
    queued: 0,
    idle: IDLE,
};
/// Keeps a burst's threads for the next one, and none over night.
const IDLE: Duration = Duration::from_secs(10);

/// A full one refuses at once.
pub(super) struct Pools {
    pub(super) calls: Pool,
    pub(super) releases: Pool,
    pub(super) followers: Pool,
    pub(super) watchers: Pool,
}

impl Pools {
    /// Without threads yet: they come with the work.
    pub(super) fn start(supervisor: &Supervisor) -> Pools {
        Pools {
            calls: Pool::new("agent-calls", CALLS, supervisor),
            releases: Pool::new("agent-releases", RELEASES, supervisor),
            followers: Pool::new("agent-followers", FOLLOWERS, supervisor),
            watchers: Pool::new("agent-watchers", WATCHERS, supervisor),
        }
    }
}
