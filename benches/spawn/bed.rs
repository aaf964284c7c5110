//! What an execution needs around it, made as the agent makes it: a release with the program in
//! it, the place for working directories, the sandbox.

use std::fs;
use std::io::{Cursor, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flux::agent::release::{Access, Release, Releases};
use flux::agent::workdir::WorkDirs;
use flux::archive::ArchiveLimits;
use flux::model::function::Code;
use flux::model::ids::{Digest, FunctionName};
use flux::sandbox::{
    CgroupMode, Identities, Identity, Sandbox, SandboxConfig, default_system_paths,
};
use nix::unistd::geteuid;
use openssl::sha::sha256;
use tempfile::TempDir;

/// Everything that executions share. Fields drop in order: the sandboxes before their directory.
pub struct Bed {
    pub sandbox: Sandbox,
    /// Runs everything as this process's own user.
    pub without_user: Sandbox,
    pub without_cgroup: Sandbox,
    pub release: Arc<Release>,
    pub workdirs: WorkDirs,
    work_root: PathBuf,
    /// For rows without a working directory of their own.
    pub fixed: PathBuf,
    pub identity: Option<Identity>,
    /// Lets that user read the release.
    _access: Option<Access>,
    _root: TempDir,
}

impl Bed {
    pub fn make(program: &Path, uid: u32) -> Bed {
        let root = tempfile::tempdir().expect("a directory");
        open_to_all(root.path());
        let identity = geteuid().is_root().then_some(Identity { uid, gid: uid });
        let work_root = root.path().join("work");
        let workdirs = WorkDirs::open(&work_root, None).expect("a place for working directories");
        let fixed = root.path().join("fixed");
        fs::create_dir(&fixed).expect("a directory");
        if let Some(identity) = identity {
            std::os::unix::fs::chown(&fixed, Some(identity.uid), Some(identity.gid))
                .expect("give it away");
        }
        let (release, access) = release(root.path(), program, identity);
        Bed {
            sandbox: open(&work_root, identity, CgroupMode::Auto),
            without_user: open(&work_root, None, CgroupMode::Auto),
            without_cgroup: open(&work_root, identity, CgroupMode::Off),
            release,
            workdirs,
            work_root,
            fixed,
            identity,
            _access: access,
            _root: root,
        }
    }

    /// The copy that everybody starts.
    pub fn program(&self) -> PathBuf {
        self.release.dir.join("run")
    }

    /// Where working directories are.
    pub fn workdirs_path(&self) -> &Path {
        &self.work_root
    }

    /// This thread, for good, as the agent does with those that start executions.
    pub fn contain_thread(&self) {
        self.sandbox.contain_thread().expect("a filter");
    }

    /// What can be had here: a row without its ingredient costs nothing.
    pub fn describe(&self) {
        let enforced: Vec<_> = self
            .sandbox
            .enforced()
            .iter()
            .map(|it| it.as_str())
            .collect();
        println!("enforced: {}", enforced.join(", "));
        for missing in self.sandbox.missing() {
            println!("missing: {missing}");
        }
        let version = fs::read_to_string("/proc/version").unwrap_or_default();
        println!("{}", version.trim());
    }

    /// Whether the sandbox lists it.
    pub fn enforces(&self, name: &str) -> bool {
        self.sandbox.enforced().iter().any(|it| it.as_str() == name)
    }
}

/// So many of them, which every child is made with and has to lose.
pub fn descriptors(count: usize) -> Vec<fs::File> {
    flux::base::process::raise_descriptor_limit();
    let null = fs::File::open("/dev/null").expect("/dev/null");
    (0..count)
        .map(|_| null.try_clone().expect("one more"))
        .collect()
}

fn open(work_root: &Path, identity: Option<Identity>, cgroup: CgroupMode) -> Sandbox {
    Sandbox::open(SandboxConfig {
        // Each has cgroups of its own.
        name: format!(
            "bench-{}-{}",
            std::process::id(),
            u8::from(identity.is_some())
        ),
        work_root: work_root.to_owned(),
        identities: identity.map(|shared| Identities { shared, own: None }),
        system_paths: default_system_paths(),
        require_isolation: false,
        cgroup,
    })
    .expect("a sandbox")
}

fn release(
    root: &Path,
    program: &Path,
    identity: Option<Identity>,
) -> (Arc<Release>, Option<Access>) {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default().unix_permissions(0o755);
    zip.start_file("run", options).expect("an entry");
    zip.write_all(&fs::read(program).expect("the program"))
        .expect("its bytes");
    let archive = zip.finish().expect("an archive").into_inner();
    let code = Code {
        version: 1,
        digest: Digest::from_sha256(sha256(&archive)),
    };
    let name = FunctionName::new("bench").expect("a name");
    let releases =
        Releases::open(&root.join("apps"), ArchiveLimits::default()).expect("a directory");
    let release = releases
        .install(&name, &code, &mut Cursor::new(archive))
        .expect("a release");
    let access = identity.map(|it| releases.grant(&name, it.uid).expect("access"));
    (release, access)
}

fn open_to_all(directory: &Path) {
    fs::set_permissions(directory, fs::Permissions::from_mode(0o755)).expect("permissions");
}
