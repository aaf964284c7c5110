//! Whether the configured users can be had: by the agent's rights, and by the mapping of ids where it
//! runs in a user namespace, as in a container (user_namespaces(7)).

use std::fs;
use std::ops::RangeInclusive;

use nix::unistd::geteuid;

use super::capabilities;
use super::findings::Findings;
use crate::base::causes::with_causes;
use crate::sandbox::{Enforced, Identities};

/// Notes [`Enforced::User`] and [`Enforced::OwnUser`].
pub(in crate::sandbox) fn inspect(identities: Option<Identities>, findings: &mut Findings) {
    let Some(identities) = identities else {
        let reason = "no user is configured for executions: they run as the agent's own";
        findings.miss(Enforced::User, reason.to_owned());
        findings.miss(Enforced::OwnUser, reason.to_owned());
        return;
    };
    note(Enforced::User, shared(identities), findings);
    note(Enforced::OwnUser, own(identities), findings);
}

fn note(what: Enforced, found: Result<(), String>, findings: &mut Findings) {
    match found {
        Ok(()) => findings.have(what),
        Err(reason) => findings.miss(what, reason),
    }
}

fn shared(identities: Identities) -> Result<(), String> {
    rights()?;
    if identities.shared.uid == 0 || identities.shared.gid == 0 {
        return Err("the configured user or its group is root".to_owned());
    }
    Ok(())
}

fn own(identities: Identities) -> Result<(), String> {
    shared(identities)?;
    let Some((first, last)) = identities.own else {
        return Err("no range of user ids is configured for functions' own users".to_owned());
    };
    if first == 0 || last < first {
        return Err(format!(
            "{first} to {last} is no range of user ids other than root's"
        ));
    }
    let map = fs::read_to_string("/proc/self/uid_map")
        .map_err(|error| format!("/proc/self/uid_map cannot be read: {}", with_causes(&error)))?;
    match first_unmapped(&map, first..=last) {
        None => Ok(()),
        Some(uid) => Err(format!(
            "user id {uid} of the range {first} to {last} does not exist in the agent's user namespace: \
             map it there, or configure a range that is mapped"
        )),
    }
}

fn rights() -> Result<(), String> {
    if !geteuid().is_root() {
        return Err("only an agent that runs as root can change the user".to_owned());
    }
    if !capabilities::has(capabilities::CAP_SETUID) {
        return Err("the agent lacks CAP_SETUID: its unit or container takes it away".to_owned());
    }
    Ok(())
}

/// Lines of three numbers: the first id inside, the first outside, how many.
fn first_unmapped(map: &str, ids: RangeInclusive<u32>) -> Option<u32> {
    let mapped: Vec<(u64, u64)> = map
        .lines()
        .filter_map(|line| {
            let mut numbers = line.split_whitespace().map(str::parse::<u64>);
            let first = numbers.next()?.ok()?;
            let count = numbers.nth(1)?.ok()?;
            Some((first, first + count))
        })
        .collect();
    let mut next = u64::from(*ids.start());
    while let Some((_, end)) = mapped
        .iter()
        .find(|(first, end)| (*first..*end).contains(&next))
    {
        next = *end;
    }
    u32::try_from(next).ok().filter(|next| ids.contains(next))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_mapped_when_each_of_its_ids_is() {
        let whole = "         0          0 4294967295\n";
        assert_eq!(first_unmapped(whole, 60_000..=69_999), None);
        // The last number there is means no user at all.
        assert_eq!(first_unmapped(whole, u32::MAX..=u32::MAX), Some(u32::MAX));
        let container = "0 100000 65536\n";
        assert_eq!(first_unmapped(container, 60_000..=65_535), None);
        assert_eq!(first_unmapped(container, 60_000..=65_536), Some(65_536));
        let parts = "65536 5 10\n0 100000 65536\n";
        assert_eq!(first_unmapped(parts, 60_000..=65_545), None);
        assert_eq!(first_unmapped(parts, 60_000..=65_546), Some(65_546));
        assert_eq!(first_unmapped("", 1..=1), Some(1));
    }
}
