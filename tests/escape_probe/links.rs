//! Links to what belongs to others: made now (hard links), or left for whoever comes next.
//!
//! [`plant`] fills the working and the temporary directory with everything that could hurt those who
//! empty or reuse it; what it did is seen from outside.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::attempt::{Attempt, Finding};
use crate::files::plant_file;
use crate::release;
use crate::told::Told;

/// Directories inside each other: deeper than a path may be long, and not so deep that the disk limit
/// ends the execution first.
const DEPTH: usize = 1500;
/// More than fit in one read of a directory.
const FILES: usize = 2000;

/// Hard links to `link=<label>:<path>`, and to what is known.
pub fn attempts(told: &'static Told) -> Vec<Attempt> {
    let beside = release::directory(told).join(release::BESIDE);
    [
        ("shadow", PathBuf::from("/etc/shadow")),
        ("system_program", PathBuf::from("/usr/bin/passwd")),
        ("release", beside),
    ]
    .into_iter()
    .chain(
        told.labelled("link")
            .map(|(label, path)| (label, PathBuf::from(path))),
    )
    .map(|(label, path)| Attempt::new(format!("link.hard_to_{label}"), move || hard_link(&path)))
    .chain([
        Attempt::new("link.replace_working_directory", replace_working_directory),
        Attempt::new("link.write_beside_working_directory", || {
            let beside = working_directory()
                .parent()
                .unwrap_or(Path::new("/"))
                .to_owned();
            Finding::of_io(plant_file(&beside), "made a file there")
        }),
    ])
    .collect()
}

fn hard_link(path: &Path) -> Finding {
    let mut last = Finding::Unclear("no directory to link into".to_owned());
    for directory in own_directories() {
        let link = directory.join("hard-link");
        let linked = fs::hard_link(path, &link);
        let _ = fs::remove_file(&link);
        last = Finding::of_io(linked, "linked it");
        if last.is_failure() {
            return last;
        }
    }
    last
}

/// By a link to elsewhere, which whoever empties it would follow.
fn replace_working_directory() -> Finding {
    let own = working_directory();
    let mut moved = own.clone().into_os_string();
    moved.push(".moved");
    let renamed = fs::rename(&own, &moved).and_then(|()| fs::rename(&moved, &own));
    Finding::of_io(renamed, "renamed it")
}

fn working_directory() -> PathBuf {
    std::env::current_dir().unwrap_or_default()
}

fn own_directories() -> Vec<PathBuf> {
    let temporary = std::env::var_os("TMPDIR").map(PathBuf::from);
    std::iter::once(working_directory())
        .chain(temporary)
        .collect()
}

/// Links to every `canary`, under the names that the release has and others.
pub fn plant(told: &Told) -> ExitCode {
    let canaries: Vec<&str> = told.all("canary").collect();
    let mut planted = 0;
    for directory in own_directories() {
        planted += replace_entries(&directory, &canaries);
        planted += make_links(&directory, &canaries);
        make_difficult(&directory);
    }
    println!("planted {planted} links");
    ExitCode::from(u8::from(planted == 0))
}

/// What Flux has put there leads elsewhere now, its temporary directory too.
fn replace_entries(directory: &Path, canaries: &[&str]) -> usize {
    let entries: Vec<_> = fs::read_dir(directory)
        .into_iter()
        .flatten()
        .flatten()
        .collect();
    let mut planted = 0;
    for (entry, canary) in entries.iter().zip(canaries.iter().cycle()) {
        let aside = directory.join(format!("aside-{planted}"));
        let replaced = fs::rename(entry.path(), aside).and_then(|()| symlink(canary, entry.path()));
        planted += usize::from(replaced.is_ok());
    }
    planted
}

fn make_links(directory: &Path, canaries: &[&str]) -> usize {
    let mut planted = 0;
    for (number, canary) in canaries.iter().enumerate() {
        planted += usize::from(symlink(canary, directory.join(format!("link-{number}"))).is_ok());
        // Only where the system lets it.
        let _ = fs::hard_link(canary, directory.join(format!("hard-{number}")));
    }
    planted
}

/// Hard to remove: deep, many, without rights, with strange names.
fn make_difficult(directory: &Path) {
    use std::os::unix::fs::PermissionsExt;
    for number in 0..FILES {
        let _ = fs::write(directory.join(format!("{number}\n\u{1b}[2J")), "");
    }
    let closed = directory.join("closed");
    let _ = fs::create_dir(&closed);
    let _ = fs::write(closed.join("inside"), "");
    let _ = fs::set_permissions(&closed, fs::Permissions::from_mode(0o0));
    let start = working_directory();
    if std::env::set_current_dir(directory).is_ok() {
        for _ in 0..DEPTH {
            if fs::create_dir("deep")
                .and_then(|()| std::env::set_current_dir("deep"))
                .is_err()
            {
                break;
            }
        }
    }
    let _ = std::env::set_current_dir(start);
    let _ = fs::set_permissions(directory, fs::Permissions::from_mode(0o0));
}
