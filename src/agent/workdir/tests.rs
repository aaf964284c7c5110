//! Working directories: what a function finds there, and that its leavings go without harm.

use std::fs;
use std::io::{Cursor, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::sync::Arc;

use nix::fcntl::{OFlag, openat};
use nix::sys::stat::{Mode, mkdirat};
use nix::unistd::mkfifo;
use openssl::sha::sha256;
use tempfile::TempDir;

use super::remove::{Budget, remove_tree};
use super::{WorkDir, WorkDirs};
use crate::agent::release::{Release, Releases};
use crate::archive::ArchiveLimits;
use crate::model::function::Code;
use crate::model::ids::{Digest, ExecutionId, FunctionName};

struct Fixture {
    root: TempDir,
    work_dirs: WorkDirs,
    release: Arc<Release>,
}

fn fixture() -> Fixture {
    let root = tempfile::tempdir().expect("tempdir");
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for name in ["handler", "data/table", ".tmp/shipped"] {
        let options = zip::write::SimpleFileOptions::default();
        writer.start_file(name, options).expect("start");
        writer.write_all(b"shipped").expect("write");
    }
    let archive = writer.finish().expect("finish").into_inner();
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

impl Fixture {
    fn create(&self) -> WorkDir {
        self.work_dirs
            .create(&ExecutionId::generate(), &self.release, None)
            .expect("create")
    }

    /// Directories of executions, and whatever else lies beside the spares.
    fn count(&self) -> usize {
        count(&self.root.path().join("work")) - 1
    }

    fn spares(&self) -> usize {
        count(&self.root.path().join("work/.spares"))
    }
}

fn count(directory: &Path) -> usize {
    fs::read_dir(directory).expect("list").count()
}

/// Not `fs::write`, which the daemons must not use and clippy refuses.
fn write_file(path: &Path) {
    fs::File::create(path)
        .and_then(|mut file| file.write_all(b"x"))
        .expect("write");
}

fn mode_of(path: &Path) -> u32 {
    fs::metadata(path).expect("stat").permissions().mode() & 0o7777
}

#[test]
fn a_function_finds_a_private_directory_with_its_files_and_room_for_temporary_ones() {
    let fixture = fixture();
    let work_dir = fixture.create();
    assert_eq!(mode_of(work_dir.cwd()), 0o700);
    assert_eq!(mode_of(&work_dir.tmp()), 0o700);
    assert_eq!(mode_of(&fixture.root.path().join("work")), 0o711);
    for name in ["handler", "data/table"] {
        assert_eq!(
            fs::read(work_dir.cwd().join(name)).expect("read"),
            b"shipped"
        );
    }
    assert_eq!(fs::read_dir(work_dir.tmp()).expect("list").count(), 0);
    work_dir.remove().expect("remove");
    assert_eq!(fixture.count(), 0);
    assert!(fixture.release.dir.join("handler").exists());
}

#[test]
fn one_execution_has_one_directory() {
    let fixture = fixture();
    let id = ExecutionId::generate();
    let first = fixture
        .work_dirs
        .create(&id, &fixture.release, None)
        .expect("create");
    let second = fixture.work_dirs.create(&id, &fixture.release, None);
    assert!(second.is_err());
    assert!(
        first.cwd().exists(),
        "the refused one has removed the other's"
    );
}

#[test]
fn removal_follows_no_link_that_a_function_planted() {
    let fixture = fixture();
    let outside = tempfile::tempdir().expect("tempdir");
    fs::create_dir(outside.path().join("directory")).expect("mkdir");
    write_file(&outside.path().join("directory/precious"));
    let before = mode_of(outside.path());
    let work_dir = fixture.create();
    let nested = work_dir.tmp().join("a/b/c");
    fs::create_dir_all(&nested).expect("mkdir");
    for place in [work_dir.cwd(), &work_dir.tmp(), &nested] {
        symlink(outside.path(), place.join("link")).expect("link");
        symlink(outside.path().join("directory"), place.join("link2")).expect("link");
        symlink("..", place.join("up")).expect("link");
        symlink("/proc/self/root", place.join("root")).expect("link");
    }
    // A link in the place of what Flux made itself.
    fs::remove_dir_all(work_dir.tmp()).expect("remove");
    symlink(outside.path(), work_dir.tmp()).expect("link");
    work_dir.remove().expect("remove");
    assert_eq!(fixture.count(), 0);
    assert!(outside.path().join("directory/precious").exists());
    assert_eq!(mode_of(outside.path()), before);
    assert!(fixture.release.dir.join("data/table").exists());
}

#[test]
fn a_link_in_the_place_of_the_working_directory_is_only_unlinked() {
    let fixture = fixture();
    let outside = tempfile::tempdir().expect("tempdir");
    write_file(&outside.path().join("precious"));
    symlink(outside.path(), fixture.root.path().join("work/leftover")).expect("link");
    assert_eq!(fixture.work_dirs.clear_leftovers().expect("clear"), 1);
    assert_eq!(fixture.count(), 0);
    assert!(outside.path().join("precious").exists());
}

#[test]
fn pipes_full_directories_and_unreadable_ones_are_removed() {
    let fixture = fixture();
    let work_dir = fixture.create();
    for number in 0..500 {
        let directory = work_dir.cwd().join(format!("d{}", number % 7));
        fs::create_dir_all(directory.join(format!("e{number}"))).expect("mkdir");
        write_file(&directory.join(format!("e{number}/f")));
    }
    mkfifo(&work_dir.tmp().join("pipe"), Mode::S_IRUSR).expect("mkfifo");
    // Names that removal itself uses.
    fs::create_dir_all(work_dir.cwd().join(".removing-1/full")).expect("mkdir");
    write_file(&work_dir.cwd().join(".removing-2"));
    let locked = work_dir.cwd().join("locked");
    fs::create_dir_all(locked.join("in/side")).expect("mkdir");
    for path in [locked.join("in"), locked] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o000)).expect("chmod");
    }
    work_dir.remove().expect("remove");
    assert_eq!(fixture.count(), 0);
}

#[test]
fn a_tree_far_deeper_than_any_path_is_removed() {
    const DEPTH: usize = 5_000;
    let fixture = fixture();
    let work_dir = fixture.create();
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let mut fd = nix::fcntl::open(work_dir.cwd(), flags, Mode::empty()).expect("open");
    for _ in 0..DEPTH {
        mkdirat(&fd, "d", Mode::S_IRWXU).expect("mkdir");
        fd = openat(&fd, "d", flags, Mode::empty()).expect("open");
    }
    drop(fd);
    work_dir.remove().expect("remove");
    assert_eq!(fixture.count(), 0);
}

#[test]
fn a_dropped_directory_is_removed_and_leftovers_are_cleared_at_start() {
    let fixture = fixture();
    drop(fixture.create());
    assert_eq!(fixture.count(), 0);
    std::mem::forget(fixture.create());
    std::mem::forget(fixture.create());
    write_file(&fixture.root.path().join("work/file"));
    let restarted = WorkDirs::open(&fixture.root.path().join("work"), None).expect("open");
    assert_eq!(restarted.clear_leftovers().expect("clear"), 3);
    assert_eq!(fixture.count(), 0);
}

#[test]
fn removal_stops_when_its_budget_is_spent() {
    let root = tempfile::tempdir().expect("tempdir");
    fs::DirBuilder::new()
        .mode(0o700)
        .create(root.path().join("d"))
        .expect("mkdir");
    for number in 0..100 {
        write_file(&root.path().join(format!("d/{number}")));
    }
    let fd = fs::File::open(root.path()).expect("open");
    let error = remove_tree(fd.as_fd(), c"d", Budget::entries(30)).expect_err("spent");
    assert_eq!(error.raw_os_error(), Some(nix::libc::E2BIG));
    assert_eq!(
        fs::read_dir(root.path().join("d")).expect("list").count(),
        70
    );
    remove_tree(fd.as_fd(), c"d", Budget::entries(100)).expect("enough");
    assert!(!root.path().join("d").exists());
}

#[test]
fn a_directory_that_ended_as_it_began_is_used_again() {
    let fixture = fixture();
    let first = fixture.create();
    let inode = fs::metadata(first.cwd()).expect("stat").ino();
    let second = fixture.create();
    first.remove().expect("remove");
    assert_eq!((fixture.count(), fixture.spares()), (1, 1));
    assert_eq!(mode_of(&fixture.root.path().join("work/.spares")), 0o700);
    let third = fixture.create();
    assert_eq!(fs::metadata(third.cwd()).expect("stat").ino(), inode);
    assert_eq!((fixture.count(), fixture.spares()), (2, 0));
    assert_eq!(
        fs::read(third.cwd().join("handler")).expect("read"),
        b"shipped"
    );
    drop((second, third));
    assert_eq!((fixture.count(), fixture.spares()), (0, 2));
    // A restart knows no spares.
    WorkDirs::open(&fixture.root.path().join("work"), None).expect("open");
    assert_eq!(fixture.spares(), 0);
}

#[test]
fn a_directory_that_a_function_changed_in_any_way_is_not_used_again() {
    let changes: [fn(&WorkDir); 10] = [
        |dir| write_file(&dir.cwd().join("file")),
        |dir| write_file(&dir.tmp().join("file")),
        |dir| fs::create_dir(dir.tmp().join("d")).expect("mkdir"),
        |dir| {
            fs::remove_dir(dir.tmp())
                .and_then(|()| symlink("/tmp", dir.tmp()))
                .expect("swap");
        },
        |dir| fs::remove_file(dir.cwd().join("handler")).expect("unlink"),
        |dir| {
            let link = dir.cwd().join("handler");
            fs::remove_file(&link)
                .and_then(|()| symlink("/etc/passwd", &link))
                .expect("swap");
        },
        |dir| {
            let link = dir.cwd().join("handler");
            fs::remove_file(&link).expect("unlink");
            write_file(&link);
        },
        |dir| symlink(dir.cwd().join("handler"), dir.cwd().join("other")).expect("link"),
        |dir| {
            let mode = fs::Permissions::from_mode(0o777);
            fs::set_permissions(dir.cwd(), mode).expect("chmod");
        },
        |dir| {
            let mode = fs::Permissions::from_mode(0o1700);
            fs::set_permissions(dir.tmp(), mode).expect("chmod");
        },
    ];
    let fixture = fixture();
    for (number, change) in changes.into_iter().enumerate() {
        let work_dir = fixture.create();
        change(&work_dir);
        work_dir.remove().expect("remove");
        assert_eq!(
            (fixture.count(), fixture.spares()),
            (0, 0),
            "change {number}"
        );
    }
}

/// On some file systems a directory never shrinks: the next execution's disk limit would be spent.
#[test]
fn a_directory_that_a_function_has_swollen_is_not_used_again() {
    let fixture = fixture();
    let work_dir = fixture.create();
    let paths = (0..2_000).map(|number| work_dir.tmp().join(format!("{number:0200}")));
    for path in paths.clone() {
        write_file(&path);
    }
    for path in paths {
        fs::remove_file(path).expect("unlink");
    }
    let is_swollen = fs::metadata(work_dir.tmp()).expect("stat").blocks() > 128;
    work_dir.remove().expect("remove");
    assert_eq!(fixture.spares(), usize::from(!is_swollen));
}

/// What is alive in it could change it for whoever has it next.
#[test]
fn a_directory_in_which_something_may_be_alive_is_not_used_again() {
    let fixture = fixture();
    let mut work_dir = fixture.create();
    work_dir.never_reuse();
    work_dir.remove().expect("remove");
    assert_eq!((fixture.count(), fixture.spares()), (0, 0));
}

#[test]
fn a_spare_is_used_only_for_its_own_owner_and_spares_are_bounded() {
    let fixture = fixture();
    fixture.create().remove().expect("remove");
    let owner = Some((
        nix::unistd::geteuid().as_raw(),
        nix::unistd::getegid().as_raw(),
    ));
    let other = fixture
        .work_dirs
        .create(&ExecutionId::generate(), &fixture.release, owner)
        .expect("create");
    assert_eq!(fixture.spares(), 1);
    drop(other);
    let many: Vec<_> = (0..200).map(|_| fixture.create()).collect();
    drop(many);
    assert_eq!((fixture.count(), fixture.spares()), (0, 128));
}
