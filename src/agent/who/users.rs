//! Users for functions: a user id out of a range for each, that no other function has.
//!
//! Owns: which ids are taken now. Which function has which is the journal's to remember.
//! Invariant: an id is free again only when its [`OwnUser`] is dropped, and whoever runs anything as
//! that user holds it.

use std::collections::HashSet;
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex};

use openssl::sha::sha256;
use thiserror::Error;

use crate::base::threads::lock;
use crate::model::ids::FunctionName;

/// The range, and what of it is taken.
#[derive(Debug)]
pub(crate) struct Users {
    range: RangeInclusive<u32>,
    taken: Mutex<HashSet<u32>>,
}

/// One user id, taken until this is dropped.
#[derive(Debug)]
pub(crate) struct OwnUser {
    uid: u32,
    users: Arc<Users>,
}

/// Every id of the range is taken.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "all {count} user ids from {first} to {last} belong to functions: widen isolation.runner_uids in agent.yaml"
)]
pub(crate) struct NoUserLeft {
    count: u64,
    first: u32,
    last: u32,
}

impl Users {
    /// All of the range is free.
    pub(crate) fn new(range: RangeInclusive<u32>) -> Arc<Users> {
        Arc::new(Users {
            range,
            taken: Mutex::default(),
        })
    }

    /// Takes an id for a function. The search begins at a place that follows from its name: so a
    /// function that is removed and comes back mostly has its old id, and what a removed one left
    /// behind under its id falls to another function hardly ever.
    ///
    /// # Errors
    /// [`NoUserLeft`].
    pub(crate) fn take(self: &Arc<Self>, function: &FunctionName) -> Result<OwnUser, NoUserLeft> {
        let (first, last) = (*self.range.start(), *self.range.end());
        let count = u64::from(last - first) + 1;
        let start = place(function) % count;
        let mut taken = lock(&self.taken);
        (0..count)
            // Within the range, so within 32 bits.
            .map(|step| first + ((start + step) % count) as u32)
            .find(|uid| taken.insert(*uid))
            .map(|uid| OwnUser {
                uid,
                users: Arc::clone(self),
            })
            .ok_or(NoUserLeft { count, first, last })
    }

    /// Takes a certain id again, as the journal says; `None` when it is outside of the range or
    /// taken.
    pub(crate) fn retake(self: &Arc<Self>, uid: u32) -> Option<OwnUser> {
        let is_free = self.range.contains(&uid) && lock(&self.taken).insert(uid);
        is_free.then(|| OwnUser {
            uid,
            users: Arc::clone(self),
        })
    }
}

impl OwnUser {
    /// Its user id.
    pub(crate) fn uid(&self) -> u32 {
        self.uid
    }
}

impl Drop for OwnUser {
    fn drop(&mut self) {
        lock(&self.users.taken).remove(&self.uid);
    }
}

fn place(function: &FunctionName) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = sha256(function.as_str().as_bytes());
    u64::from_be_bytes([a, b, c, d, e, f, g, h])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> FunctionName {
        FunctionName::new(text).expect(text)
    }

    #[test]
    fn each_function_gets_an_id_of_its_own_until_the_range_ends() {
        let users = Users::new(70_000..=70_019);
        let held: Vec<OwnUser> = (0..20)
            .map(|number| users.take(&name(&format!("f{number}"))).expect("room"))
            .collect();
        let ids: HashSet<u32> = held.iter().map(OwnUser::uid).collect();
        assert_eq!(ids, (70_000..=70_019).collect());
        let error = users.take(&name("more")).expect_err("no room").to_string();
        for part in ["20", "70000 to 70019", "isolation.runner_uids"] {
            assert!(error.contains(part), "{part}: {error}");
        }
    }

    #[test]
    fn an_id_is_free_again_once_nobody_holds_it() {
        let users = Users::new(70_000..=70_000);
        let held = Arc::new(users.take(&name("a")).expect("room"));
        let by_an_execution = Arc::clone(&held);
        drop(held);
        assert!(users.take(&name("b")).is_err());
        drop(by_an_execution);
        assert_eq!(users.take(&name("b")).expect("room").uid(), 70_000);
    }

    #[test]
    fn a_function_that_comes_back_has_its_old_id() {
        let users = Users::new(70_000..=79_999);
        let first = users.take(&name("resize")).expect("room").uid();
        let other = users.take(&name("other")).expect("room");
        let again = users.take(&name("resize")).expect("room");
        assert_eq!(again.uid(), first);
        assert_ne!(other.uid(), first);
    }

    #[test]
    fn a_recorded_id_is_taken_again_if_it_can_be() {
        let users = Users::new(70_000..=70_001);
        let held = users.retake(70_001).expect("free");
        assert!(users.retake(70_001).is_none(), "taken");
        assert!(users.retake(70_002).is_none(), "outside of the range");
        assert_eq!(users.take(&name("a")).expect("room").uid(), 70_000);
        drop(held);
    }
}
