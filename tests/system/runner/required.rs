//! Whether somebody counts on every test.

use std::env;

/// Set to anything: whatever does not run fails.
const ALL: &str = "FLUX_REQUIRE_ALL";
/// What services for continuous integration set; it counts for the tests on real hosts alone.
const CI: &str = "CI";

/// A test that ran nowhere fails the run.
pub fn is_all_required() -> bool {
    is_set(ALL)
}

/// A machine that cannot have guests fails the run; says by which variable.
pub fn hosts_are_required_by() -> Option<&'static str> {
    [ALL, CI].into_iter().find(|name| is_set(name))
}

fn is_set(name: &str) -> bool {
    env::var_os(name).is_some_and(|value| !value.is_empty())
}
