//! What really happened, written by the executions themselves to a file that Flux does not know.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::caller::arguments;
use crate::harness::fleet::fs_write;

/// `run FILE SECONDS`. Each echo is one write to a file opened for appending: lines stay whole.
pub const SCRIPT: &str = "\
echo \"started $FLUX_EXECUTION_ID $$\" >> \"$1\"
sleep \"$2\"
echo \"ended $FLUX_EXECUTION_ID\" >> \"$1\"
echo done";

pub struct Witness {
    file: PathBuf,
    fleet: PathBuf,
}

/// How often each execution said so.
#[derive(Debug, Default)]
pub struct Testimony {
    pub started: BTreeMap<String, usize>,
    pub ended: BTreeMap<String, usize>,
}

impl Witness {
    /// In a directory of its own below `fleet`, into which whoever runs functions may write.
    pub fn new(fleet: &Path) -> Witness {
        let directory = fleet.join("witness");
        fs::create_dir(&directory).expect("directory");
        let file = directory.join("log");
        fs_write(&file, "");
        allow(&directory, 0o1777);
        allow(&file, 0o666);
        Witness {
            file,
            fleet: fleet.to_owned(),
        }
    }

    /// Where the executions write to.
    pub fn path(&self) -> &Path {
        &self.file
    }

    /// The body of a call that takes so long.
    pub fn call(&self, millis: u64) -> Value {
        let seconds = format!("{}.{:03}", millis / 1000, millis % 1000);
        arguments(&[self.file.to_str().expect("UTF-8"), &seconds])
    }

    pub fn testimony(&self) -> Testimony {
        let mut testimony = Testimony::default();
        for line in fs::read_to_string(&self.file).expect("witness").lines() {
            let mut words = line.split(' ');
            let (what, id) = (words.next(), words.next());
            let counts = match what {
                Some("started") => &mut testimony.started,
                Some("ended") => &mut testimony.ended,
                other => panic!("{other:?} in {line:?}"),
            };
            *counts.entry(id.expect("an id").to_owned()).or_default() += 1;
        }
        testimony
    }

    /// Every process of an execution of this fleet, whatever it has become of its agent.
    pub fn processes(&self) -> BTreeSet<(i32, String)> {
        let entries = fs::read_dir("/proc").expect("/proc");
        entries
            .filter_map(|entry| {
                let pid: i32 = entry.ok()?.file_name().to_str()?.parse().ok()?;
                Some((pid, self.execution_of(pid)?))
            })
            .collect()
    }

    /// The execution that a process belongs to, if it is one of this fleet's: they are told apart
    /// by the directory they run in.
    fn execution_of(&self, pid: i32) -> Option<String> {
        const VARIABLE: &[u8] = b"FLUX_EXECUTION_ID=";
        let environment = fs::read(format!("/proc/{pid}/environ")).ok()?;
        let id = environment
            .split(|byte| *byte == 0)
            .find_map(|entry| entry.strip_prefix(VARIABLE))?;
        let directory = fs::read_link(format!("/proc/{pid}/cwd")).ok()?;
        directory
            .starts_with(&self.fleet)
            .then(|| String::from_utf8_lossy(id).into_owned())
    }
}

fn allow(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("chmod");
}
