//! Where cgroup version 2 is mounted, and where in it this process is (proc_pid_mountinfo(5),
//! cgroups(7)).

use std::fs;
use std::path::{Path, PathBuf};

use super::error::CgroupError;

/// Two places, which are the same for a process in the root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hierarchy {
    /// What is mounted, as a path.
    pub mount: PathBuf,
    /// This process's own cgroup, as a path.
    pub own: PathBuf,
}

pub(super) fn hierarchy() -> Result<Hierarchy, CgroupError> {
    let read = |path: &str| fs::read_to_string(path).map_err(CgroupError::at("read", path));
    parse(&read("/proc/self/mountinfo")?, &read("/proc/self/cgroup")?)
}

fn parse(mountinfo: &str, cgroup: &str) -> Result<Hierarchy, CgroupError> {
    let (root, mount) = mountinfo
        .lines()
        .find_map(cgroup2_mount)
        .ok_or(CgroupError::NotMounted)?;
    // Version 2 has hierarchy number 0 and no controllers in its line.
    let own = cgroup
        .lines()
        .find_map(|line| line.strip_prefix("0::"))
        .ok_or(CgroupError::NotMounted)?;
    // A bind mount or a container may show a part of the hierarchy only.
    let below = Path::new(own)
        .strip_prefix(&root)
        .map_err(|_| CgroupError::Outside {
            mount: mount.clone(),
        })?;
    Ok(Hierarchy {
        // Joining an empty path would add a slash.
        own: if below.as_os_str().is_empty() {
            mount.clone()
        } else {
            mount.join(below)
        },
        mount,
    })
}

/// Root within the file system, and mount point: `36 35 98:0 /root /point options - type …`.
fn cgroup2_mount(line: &str) -> Option<(PathBuf, PathBuf)> {
    let (front, back) = line.split_once(" - ")?;
    if back.split(' ').next() != Some("cgroup2") {
        return None;
    }
    let mut fields = front.split(' ').skip(3);
    let root = unescape(fields.next()?);
    let point = unescape(fields.next()?);
    Some((root.into(), point.into()))
}

/// Space, tab, newline and backslash stand as `\ooo`.
fn unescape(field: &str) -> String {
    field
        .replace("\\040", " ")
        .replace("\\011", "\t")
        .replace("\\012", "\n")
        .replace("\\134", "\\")
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNIFIED: &str = "25 30 0:23 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n";

    fn own(mountinfo: &str, cgroup: &str) -> PathBuf {
        parse(mountinfo, cgroup).expect("a hierarchy").own
    }

    #[test]
    fn a_service_finds_its_own_cgroup_below_the_mount() {
        assert_eq!(
            own(UNIFIED, "0::/system.slice/flux-agent.service\n"),
            Path::new("/sys/fs/cgroup/system.slice/flux-agent.service")
        );
    }

    #[test]
    fn beside_version_1_only_the_unified_hierarchy_counts() {
        let mountinfo = "32 31 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n\
                         41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";
        let cgroup = "4:memory:/somewhere\n1:cpu:/\n0::/\n";
        assert_eq!(own(mountinfo, cgroup).as_os_str(), "/sys/fs/cgroup/unified");
    }

    #[test]
    fn a_mount_of_a_part_is_read_relative_to_it() {
        let mountinfo = "25 30 0:23 /machine /mnt/a\\040b rw - cgroup2 cgroup2 rw\n";
        assert_eq!(own(mountinfo, "0::/machine/x\n"), Path::new("/mnt/a b/x"));
        assert!(matches!(
            parse(mountinfo, "0::/elsewhere\n"),
            Err(CgroupError::Outside { .. })
        ));
    }

    #[test]
    fn without_version_2_it_says_so() {
        assert!(matches!(parse("", "0::/\n"), Err(CgroupError::NotMounted)));
        assert!(matches!(
            parse(UNIFIED, "1:cpu:/\n"),
            Err(CgroupError::NotMounted)
        ));
    }
}
