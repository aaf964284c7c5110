//! What a file system may let a function do to its working directory beyond names, modes and owners. The
//! tests beside the code have the rest.

use std::fs;
use std::io::Cursor;
use std::path::Path;
use std::sync::Arc;

use flux::agent::release::{Release, Releases};
use flux::agent::workdir::{WorkDir, WorkDirs};
use flux::archive::ArchiveLimits;
use flux::model::function::Code;
use flux::model::ids::{Digest, ExecutionId, FunctionName};
use openssl::sha::sha256;
use rustix::fs::{IFlags, XattrFlags, ioctl_getflags, ioctl_setflags, setxattr};
use tempfile::TempDir;

use crate::harness::script_archive;
use crate::runner::{Case, skip, tests};

tests![a_directory_with_attributes_that_a_function_gave_it_is_not_used_again in Change::EVERY];

/// Something that a later execution would find, and that changes no name, no mode and no owner.
#[derive(Debug, Clone, Copy)]
enum Change {
    Attribute,
    DefaultAccessList,
    Flags,
}

impl Change {
    const EVERY: [Change; 3] = [Change::Attribute, Change::DefaultAccessList, Change::Flags];

    /// # Errors
    /// The file system does not have it.
    fn make(self, directory: &Path) -> rustix::io::Result<()> {
        match self {
            Change::Attribute => setxattr(directory, "user.note", b"x", XattrFlags::empty()),
            Change::DefaultAccessList => {
                let name = "system.posix_acl_default";
                setxattr(directory, name, &for_nobody(), XattrFlags::empty())
            }
            Change::Flags => {
                let directory = fs::File::open(directory).expect("open");
                ioctl_getflags(&directory)
                    .and_then(|flags| ioctl_setflags(&directory, flags | IFlags::SYNC))
            }
        }
    }
}

impl Case for Change {
    fn name(&self) -> &'static str {
        match self {
            Change::Attribute => "by_an_attribute",
            Change::DefaultAccessList => "by_a_default_access_list",
            Change::Flags => "by_flags",
        }
    }
}

/// Nobody may do anything with what is made in the directory, its maker included.
fn for_nobody() -> Vec<u8> {
    let entries = [1u16, 4, 0x20].iter().flat_map(|tag| {
        let entry = [tag.to_le_bytes(), [0; 2], [0xff; 2], [0xff; 2]];
        entry.concat()
    });
    2u32.to_le_bytes().into_iter().chain(entries).collect()
}

fn a_directory_with_attributes_that_a_function_gave_it_is_not_used_again(change: Change) {
    for inner in [false, true] {
        let fixture = Fixture::new();
        let work_dir = fixture.work_dir();
        let tmp = work_dir.tmp();
        let directory = if inner { tmp.as_path() } else { work_dir.cwd() };
        if let Err(error) = change.make(directory) {
            skip!("the file system of temporary files has no such thing: {error}");
        }
        work_dir.remove().expect("remove");
        assert_eq!(fixture.spares(), 0, "in .tmp: {inner}");
    }
}

/// Working directories, and a release for them.
struct Fixture {
    root: TempDir,
    work_dirs: WorkDirs,
    release: Arc<Release>,
}

impl Fixture {
    fn new() -> Fixture {
        let root = tempfile::tempdir().expect("tempdir");
        let archive = script_archive("true");
        let code = Code {
            version: 1,
            digest: Digest::from_sha256(sha256(&archive)),
        };
        let releases = Releases::open(&root.path().join("apps"), ArchiveLimits::default());
        let name = FunctionName::new("f").expect("name");
        let release = releases
            .and_then(|releases| releases.install(&name, &code, &mut Cursor::new(archive)))
            .expect("install");
        let work_dirs = WorkDirs::open(&root.path().join("work"), None).expect("open");
        Fixture {
            root,
            work_dirs,
            release,
        }
    }

    fn work_dir(&self) -> WorkDir {
        let id = ExecutionId::generate();
        let made = self.work_dirs.create(&id, &self.release, None);
        made.expect("create")
    }

    fn spares(&self) -> usize {
        let spares = self.root.path().join("work/.spares");
        fs::read_dir(spares).expect("list").count()
    }
}
