//! Its own release: the code that the next execution will run.
//!
//! It is where this program lies, or what `release` says. Every change that succeeds is taken back.

use std::fs::{self, OpenOptions, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use nix::errno::Errno;

use crate::attempt::{Attempt, Finding, worst};
use crate::files::plant_file;
use crate::system::{address, address_mut, c_string, call};
use crate::told::Told;

/// A file beside the program: the program itself is busy, which would hide whether it may be written.
pub const BESIDE: &str = "data.txt";

/// Name, and how it is done to the release's directory.
type Way = (&'static str, fn(&Path) -> Finding);

/// See the module's text.
pub fn attempts(told: &'static Told) -> Vec<Attempt> {
    let tries: [Way; 12] = [
        ("release.write", write),
        ("release.truncate", truncate),
        ("release.add", |at| {
            Finding::of_io(plant_file(at), "added a file")
        }),
        ("release.remove", remove),
        ("release.rename", |at| rename(&at.join(BESIDE))),
        ("release.rename_whole", rename),
        ("release.mode", mode),
        ("release.owner", owner),
        ("release.times", times),
        ("release.attribute", attribute),
        ("release.immutable", immutable),
        ("release.set_user_bits", set_user_bits),
    ];
    tries
        .into_iter()
        .map(|(name, make)| Attempt::new(name, move || make(&directory(told))))
        .chain([Attempt::new("release.replace_handler", || {
            replace(&directory(told))
        })])
        .collect()
}

/// Of this program's release.
pub fn directory(told: &Told) -> PathBuf {
    if let Some(told) = told.one("release") {
        return PathBuf::from(told);
    }
    let program = std::env::current_exe().unwrap_or_default();
    program.parent().unwrap_or(Path::new("/")).to_owned()
}

fn write(at: &Path) -> Finding {
    let opened = OpenOptions::new().append(true).open(at.join(BESIDE));
    Finding::of_io(opened, "may write it")
}

/// To the size that it has.
fn truncate(at: &Path) -> Finding {
    let path = at.join(BESIDE);
    let size = fs::metadata(&path).map_or(0, |metadata| metadata.size());
    let path = c_string(&path.to_string_lossy());
    let result = call(
        libc::SYS_truncate,
        &[address(path.to_bytes()), size as usize],
    );
    Finding::of(result, "cut it")
}

fn remove(at: &Path) -> Finding {
    let path = at.join(BESIDE);
    let contents = fs::read(&path).unwrap_or_default();
    let removed = fs::remove_file(&path);
    if removed.is_ok() {
        // Without it the next attempts would have nothing to try on.
        let _ = fs::write(&path, contents);
    }
    Finding::of_io(removed, "removed a file")
}

fn rename(path: &Path) -> Finding {
    let mut other = path.as_os_str().to_owned();
    other.push(".moved");
    let renamed = fs::rename(path, &other).and_then(|()| fs::rename(&other, path));
    Finding::of_io(renamed, "renamed it")
}

/// By a copy of itself beside it.
fn replace(at: &Path) -> Finding {
    let program = at.join(
        std::env::current_exe()
            .unwrap_or_default()
            .file_name()
            .unwrap_or_default(),
    );
    let copy = at.join("copy");
    let replaced = fs::copy(&program, &copy).and_then(|_| fs::rename(&copy, &program));
    Finding::of_io(replaced, "replaced the handler")
}

fn mode(at: &Path) -> Finding {
    worst([at.to_owned(), at.join(BESIDE)].map(|path| {
        let same = fs::metadata(&path).map_or(0o644, |metadata| metadata.mode() & 0o7777);
        let changed = fs::set_permissions(&path, Permissions::from_mode(same));
        (
            path.display().to_string(),
            Finding::of_io(changed, "set its mode"),
        )
    }))
}

fn owner(at: &Path) -> Finding {
    let (uid, gid) = (
        nix::unistd::getuid().as_raw(),
        nix::unistd::getgid().as_raw(),
    );
    let path = at.join(BESIDE);
    Finding::of_io(chown(path, Some(uid), Some(gid)), "owns it")
}

fn times(at: &Path) -> Finding {
    let path = at.join(BESIDE);
    let touched = OpenOptions::new()
        .append(true)
        .open(&path)
        .and_then(|file| file.set_modified(std::time::SystemTime::UNIX_EPOCH));
    Finding::of_io(touched, "set its times")
}

fn attribute(at: &Path) -> Finding {
    let path = c_string(&at.join(BESIDE).to_string_lossy());
    let name = c_string("user.flux_escape");
    let arguments = [
        address(path.to_bytes()),
        address(name.to_bytes()),
        address(b"1"),
        1,
        0,
    ];
    let result = call(libc::SYS_setxattr, &arguments);
    match result {
        Err(Errno::EOPNOTSUPP) => Finding::Denied("this file system has none".to_owned()),
        result => Finding::of(result, "gave it an attribute"),
    }
}

/// FS_IOC_SETFLAGS with the flags that it has; the right is asked for by opening alone.
fn immutable(at: &Path) -> Finding {
    use std::os::fd::AsRawFd;
    const GET: usize = 0x8008_6601;
    const SET: usize = 0x4008_6602;
    let file = match fs::File::open(at.join(BESIDE)) {
        Ok(file) => file,
        Err(error) => return Finding::Denied(error.to_string()),
    };
    let mut flags = [0u64; 1];
    let flags = address_mut(&mut flags);
    let arguments = |request| [file.as_raw_fd() as usize, request, flags];
    let result =
        call(libc::SYS_ioctl, &arguments(GET)).and_then(|_| call(libc::SYS_ioctl, &arguments(SET)));
    Finding::of(result, "set its flags")
}

/// An archive could bring them along, and its files belong to root.
fn set_user_bits(at: &Path) -> Finding {
    let listed = fs::read_dir(at).into_iter().flatten().flatten();
    worst(listed.map(|entry| {
        let mode = entry.metadata().map_or(0, |metadata| metadata.mode());
        let name = entry.file_name().to_string_lossy().into_owned();
        let finding = Finding::holds(mode & 0o6000 == 0, "has none", format!("mode {mode:o}"));
        (name, finding)
    }))
}
