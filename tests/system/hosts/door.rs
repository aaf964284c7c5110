//! What this program does about guests before it collects any test: it may be the process inside, or be
//! asked for a guest by a person.

use std::process::ExitCode;

use super::{cache, inside, measured, namespace, requirements, shell};
use crate::runner::Test;

/// Does that, if there is something of the kind to do.
pub fn serve(tests: impl FnOnce() -> Vec<Test>) -> Option<ExitCode> {
    if namespace::is_inside() {
        return Some(inside::serve(tests()));
    }
    if shell::wanted().is_none() && measured::wanted().is_none() {
        return None;
    }
    let missing = requirements::missing();
    let prepared = match missing.is_empty() {
        true => cache::build_what_is_missing(),
        false => Err(missing.join("; ")),
    };
    Some(match prepared {
        Ok(()) => namespace::run_this_program_inside(),
        Err(reason) => {
            eprintln!("hosts: there can be no guest: {reason}");
            ExitCode::FAILURE
        }
    })
}
