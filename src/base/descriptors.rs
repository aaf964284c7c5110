//! How many files this process may have open.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Raises the soft limit on open descriptors to the hard one. The usual soft limit of 1024 is
/// there for programs that use select(2), which ours do not, and is too low for the connections
/// they serve. A process that functions are started from gives them limits of their own.
///
/// Failing is no reason not to start: it is logged.
pub fn raise_limit() {
    let raised = getrlimit(Resource::RLIMIT_NOFILE)
        .and_then(|(_, hard)| setrlimit(Resource::RLIMIT_NOFILE, hard, hard));
    if let Err(error) = raised {
        log::warn!("the limit on open files stays as it is: {error}");
    }
}
