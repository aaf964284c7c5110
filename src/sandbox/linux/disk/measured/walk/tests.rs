//! Trees that are deep, and trees that change under the walk.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::sys::stat::mkdirat;

use super::super::super::limit::Limit;
use super::*;
use crate::base::units::Mib;

const NAMES: [&str; 3] = ["a", "m", "z"];
const FLAGS: OFlag = OFlag::O_RDONLY.union(OFlag::O_DIRECTORY);

fn begin(root: &Path) -> (Walk, Tally) {
    let mut tally = Tally::new(Limit::new(Mib(1024)), 0);
    (Walk::new(root, &mut tally).expect("walk"), tally)
}

/// To the end; returns how many descriptors it had at the most.
fn finish(walk: &mut Walk, tally: &mut Tally) -> Result<usize, Excess> {
    let mut most = 0;
    while walk.step(tally)? == Progress::More {
        let open = walk.levels.iter().filter(|level| level.fd.is_some());
        most = most.max(open.count());
    }
    Ok(most)
}

/// Each directory has three, one of which goes on and two of which have a file of a block. Which one
/// goes on changes with each level: so it is not always the first or last of a file system's order.
fn comb(root: &Path, depth: usize) {
    let mut above = open(root, FLAGS, Mode::empty()).expect("root");
    for level in 0..depth {
        for name in NAMES {
            mkdirat(&above, name, Mode::S_IRWXU).expect("mkdir");
        }
        let [on, others @ ..] = [0, 1, 2].map(|index| NAMES[(level + index) % 3]);
        for name in others {
            let flags = OFlag::O_WRONLY | OFlag::O_CREAT;
            let path = format!("{name}/f");
            let file = openat(&above, path.as_str(), flags, Mode::S_IRWXU).expect("file");
            nix::unistd::write(&file, &[1; 4096]).expect("write");
        }
        above = openat(&above, on, FLAGS, Mode::empty()).expect("below");
    }
}

#[test]
fn a_tree_deeper_than_the_open_levels_is_counted_whole_with_few_descriptors() {
    const DEPTH: usize = 200;
    let root = tempfile::tempdir().expect("tempdir");
    comb(root.path(), DEPTH);
    let (mut walk, mut tally) = begin(root.path());
    let most = finish(&mut walk, &mut tally).expect("no excess");
    assert!(most <= OPEN_MOST + 2, "{most}");
    assert_eq!(tally.entries(), DEPTH as u64 * 5);
    let blocks: u64 = all_below(root.path())
        .iter()
        .map(|path| fs::symlink_metadata(path).expect("stat").blocks())
        .sum();
    assert_eq!(tally.bytes(), blocks * 512);
}

fn all_below(root: &Path) -> Vec<PathBuf> {
    let mut found = vec![root.to_owned()];
    let mut index = 0;
    while index < found.len() {
        if let Ok(entries) = fs::read_dir(&found[index]) {
            found.extend(entries.map(|entry| entry.expect("entry").path()));
        }
        index += 1;
    }
    found
}

#[test]
fn a_directory_that_is_moved_costs_no_more_than_what_was_closed_beside_it() {
    const DEPTH: usize = 100;
    for (moved_at, is_replaced) in [(3, false), (3, true), (50, false), (50, true)] {
        let root = tempfile::tempdir().expect("tempdir");
        comb(root.path(), DEPTH);
        let (mut walk, mut tally) = begin(root.path());
        while walk.levels.len() < 90 {
            walk.step(&mut tally).expect("no excess");
        }
        let names: Vec<&str> = (0..moved_at).map(|level| NAMES[level % 3]).collect();
        let moved = root.path().join(names.join("/"));
        // Made since the root was read, with the names that are not visited yet.
        let elsewhere = root.path().join("elsewhere");
        for name in NAMES {
            fs::create_dir_all(elsewhere.join(name).join("not/for/this/look")).expect("mkdir");
        }
        fs::rename(&moved, elsewhere.join("moved")).expect("rename");
        if is_replaced {
            fs::create_dir(&moved).expect("mkdir");
            comb(&moved, 3);
        }
        // Each has one file.
        let closed = walk.levels.iter().take(moved_at).skip(OPEN_MOST);
        let given_up: usize = closed.map(|level| level.unvisited.len()).sum();
        finish(&mut walk, &mut tally).expect("no excess");
        assert_eq!(given_up > 0, moved_at > OPEN_MOST);
        assert_eq!(tally.entries() as usize, DEPTH * 5 - given_up);
    }
}

#[test]
fn links_are_counted_and_not_followed() {
    let outside = tempfile::tempdir().expect("tempdir");
    File::create(outside.path().join("file")).expect("file");
    let root = tempfile::tempdir().expect("tempdir");
    std::os::unix::fs::symlink(outside.path(), root.path().join("link")).expect("symlink");
    let (mut walk, mut tally) = begin(root.path());
    finish(&mut walk, &mut tally).expect("no excess");
    assert_eq!(tally.entries(), 1);
}

#[test]
fn deeper_than_can_be_named_is_too_deep() {
    let root = tempfile::tempdir().expect("tempdir");
    let mut above = open(root.path(), FLAGS, Mode::empty()).expect("root");
    for _ in 0..DEPTH_MOST {
        mkdirat(&above, "d", Mode::S_IRWXU).expect("mkdir");
        above = openat(&above, "d", FLAGS, Mode::empty()).expect("below");
    }
    let (mut walk, mut tally) = begin(root.path());
    assert!(finish(&mut walk, &mut tally).is_ok());
    mkdirat(&above, "d", Mode::S_IRWXU).expect("mkdir");
    let (mut walk, mut tally) = begin(root.path());
    let excess = finish(&mut walk, &mut tally).expect_err("too deep");
    assert_eq!(excess, Excess::Depth { limit: DEPTH_MOST });
    flatten(root.path());
}

/// What removes a temporary directory keeps a descriptor for each level: half as many levels,
/// again and again.
fn flatten(root: &Path) {
    let name = |depth: usize| vec!["d"; depth].join("/");
    for (step, depth) in [1500, 1000, 500].into_iter().enumerate() {
        let deep = root.join(name(depth));
        if deep.exists() {
            fs::rename(deep, root.join(format!("part{step}"))).expect("rename");
        }
    }
}
