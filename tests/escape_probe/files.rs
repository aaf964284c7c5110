//! Files that are somebody else's: to read, to list, to write.
//!
//! Which of them there are beyond the system's own is told: `read=<label>:<path>`,
//! `list=<label>:<path>` and `write=<label>:<path>`. A path that is not there would be denied for the
//! wrong reason; the run outside, with the same arguments, shows that it is.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::path::Path;

use crate::attempt::{Attempt, Finding};
use crate::told::Told;

/// Of the system, that no function has any business with.
const TO_READ: [(&str, &str); 4] = [
    ("shadow", "/etc/shadow"),
    ("shadow_backup", "/etc/shadow-"),
    ("group_shadow", "/etc/gshadow"),
    ("kernel_memory", "/proc/kcore"),
];
const TO_LIST: [(&str, &str); 3] = [
    ("home_of_root", "/root"),
    ("logs", "/var/log/apt"),
    ("cron_tables", "/var/spool/cron/crontabs"),
];
/// Directories in which a file would stay, and files that would change the system.
const TO_WRITE: [(&str, &str); 20] = [
    ("tmp", "/tmp"),
    ("var_tmp", "/var/tmp"),
    ("dev_shm", "/dev/shm"),
    ("dev", "/dev"),
    ("run", "/run"),
    ("run_lock", "/run/lock"),
    ("etc", "/etc"),
    ("passwd", "/etc/passwd"),
    ("cron", "/etc/cron.d"),
    ("units", "/etc/systemd/system"),
    ("usr", "/usr"),
    ("bin", "/usr/bin"),
    ("local_bin", "/usr/local/bin"),
    ("home", "/home"),
    ("root", "/root"),
    ("var_lib", "/var/lib"),
    ("var_log", "/var/log"),
    ("core_pattern", "/proc/sys/kernel/core_pattern"),
    ("sysrq", "/proc/sysrq-trigger"),
    ("mqueue", "/dev/mqueue"),
];

/// See the module's text.
pub fn attempts(told: &'static Told) -> Vec<Attempt> {
    let family =
        |verb: &'static str, known: &[(&'static str, &'static str)], make: fn(&Path) -> Finding| {
            known
                .iter()
                .copied()
                .chain(told.labelled(verb))
                .map(|(label, path)| {
                    Attempt::new(format!("{verb}.{label}"), move || make(path.as_ref()))
                })
                .collect::<Vec<_>>()
        };
    let mut all = family("read", &TO_READ, read);
    all.extend(family("list", &TO_LIST, list));
    all.extend(family("write", &TO_WRITE, write));
    all
}

/// A part of a file is as good as all of it.
fn read(path: &Path) -> Finding {
    let mut first = [0; 64];
    match File::open(path).and_then(|mut file| file.read(&mut first)) {
        Ok(bytes) => Finding::Escaped(format!("read {bytes} bytes of {}", path.display())),
        Err(error) => by(path, &error),
    }
}

fn list(path: &Path) -> Finding {
    match fs::read_dir(path).map(Iterator::count) {
        Ok(entries) => Finding::Escaped(format!("found {entries} entries in {}", path.display())),
        Err(error) => by(path, &error),
    }
}

fn write(path: &Path) -> Finding {
    let opened = if path.is_dir() {
        plant_file(path)
    } else {
        // Opened is proof enough; nothing is written.
        OpenOptions::new().append(true).open(path).map(drop)
    };
    match opened {
        Ok(()) => Finding::Escaped(format!("may write {}", path.display())),
        Err(error) => by(path, &error),
    }
}

/// Made and removed.
pub fn plant_file(directory: &Path) -> io::Result<()> {
    let path = directory.join(format!("flux-escape-{}", std::process::id()));
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&path)?;
    fs::remove_file(&path)
}

fn by(path: &Path, error: &io::Error) -> Finding {
    Finding::Denied(format!("{}: {error}", path.display()))
}
