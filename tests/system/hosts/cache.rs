//! The guests' kernel and disk, built once from recipes in `image/` and kept outside the checkout.
//!
//! Invariants: a product's name carries the digest of its recipe, so a changed recipe is built again; it
//! appears under that name whole or not at all (built aside, then renamed); one run builds at a time, and
//! the others wait for it. What a killed build left is removed by the next.

use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use super::namespace;
use crate::harness::process;

/// A kernel takes some minutes of two processors; a slow mirror can take as long for the packages.
const BUILD_LIMIT: Duration = Duration::from_secs(45 * 60);

/// Something that a script in `image/` makes.
struct Product {
    name: &'static str,
    script: &'static str,
    /// Files in `image/` that decide what comes out.
    recipe: &'static [&'static str],
    costs: &'static str,
}

const KERNEL: Product = Product {
    name: "kernel",
    script: "build-kernel",
    recipe: &["build-kernel", "kernel.config"],
    costs: "a few minutes of compiling",
};

const ROOT: Product = Product {
    name: "root",
    script: "build-root",
    recipe: &["build-root"],
    costs: "a few minutes of downloading",
};

/// The program that is the guests' kernel.
pub fn kernel() -> PathBuf {
    KERNEL.path().join("linux")
}

/// The disk that every guest's own is a copy on write of.
pub fn disk() -> PathBuf {
    ROOT.path().join("disk.img")
}

/// The private key that opens every guest.
pub fn client_key() -> PathBuf {
    ROOT.path().join("id")
}

/// The guests' host key.
pub fn known_hosts() -> PathBuf {
    ROOT.path().join("known_hosts")
}

/// Builds what the cache lacks, all at once.
///
/// # Errors
/// What cannot be built, with its log's end.
pub fn build_what_is_missing() -> Result<(), String> {
    let products = [KERNEL, ROOT];
    if products.iter().all(Product::is_there) {
        return Ok(());
    }
    fs::create_dir_all(directory()).expect("the cache's directory");
    let lock = File::create(directory().join("lock")).expect("the cache's lock");
    lock.lock().expect("a lock on the cache");
    let mut under_way: Vec<Build> = products
        .into_iter()
        .filter(|product| !product.is_there())
        .map(Build::start)
        .collect();
    while !under_way.is_empty() {
        match under_way.iter_mut().position(Build::is_over) {
            Some(build) => under_way.swap_remove(build).finish()?,
            None => process::pause(Duration::from_millis(100)),
        }
    }
    Ok(())
}

/// `$XDG_CACHE_HOME/flux/hosts`.
fn directory() -> PathBuf {
    env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| env::home_dir().map(|home| home.join(".cache")))
        .expect("XDG_CACHE_HOME or a home directory")
        .join("flux/hosts")
}

fn recipes() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/system/hosts/image")
}

impl Product {
    fn path(&self) -> PathBuf {
        directory().join(format!("{}-{}", self.name, self.digest()))
    }

    fn is_there(&self) -> bool {
        self.path().is_dir()
    }

    /// Enough of a SHA-256 of the recipe's files to tell recipes apart.
    fn digest(&self) -> String {
        let mut hasher = openssl::sha::Sha256::new();
        for name in self.recipe {
            hasher.update(&fs::read(recipes().join(name)).expect("a recipe's file"));
        }
        hasher.finish()[..6]
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }
}

/// A script at work in a directory of its own, under the cache's lock.
struct Build {
    product: Product,
    place: PathBuf,
    log: PathBuf,
    child: Child,
    began: Instant,
}

impl Build {
    fn start(product: Product) -> Build {
        eprintln!(
            "hosts: building the guests' {}, once ({})",
            product.name, product.costs
        );
        let place = directory().join(format!("building-{}", product.name));
        if place.exists() {
            fs::remove_dir_all(&place).expect("what a killed build left");
        }
        fs::create_dir_all(place.join("output")).expect("a place to build");
        let log = directory().join(format!("{}.log", product.name));
        let output = File::create(&log).expect("the build's log");
        let script = recipes().join(product.script);
        let child = namespace::with_the_network(script.as_os_str())
            .arg(place.join("output"))
            .current_dir(&place)
            .stdin(Stdio::null())
            .stdout(output.try_clone().expect("another descriptor"))
            .stderr(output)
            .spawn()
            .expect("setpriv and unshare");
        Build {
            product,
            place,
            log,
            child,
            began: Instant::now(),
        }
    }

    /// Ended, or out of time.
    fn is_over(&mut self) -> bool {
        let ended = self.child.try_wait().expect("a child of ours");
        ended.is_some() || self.began.elapsed() >= BUILD_LIMIT
    }

    fn finish(&mut self) -> Result<(), String> {
        let ended = self.child.try_wait().expect("a child of ours");
        if !ended.is_some_and(|status| status.success()) {
            return Err(format!(
                "failed to build the guests' {} ({ended:?}); {} ends with:\n{}",
                self.product.name,
                self.log.display(),
                super::logs::tail(&fs::read_to_string(&self.log).unwrap_or_default(), 30)
            ));
        }
        fs::rename(self.place.join("output"), self.product.path()).expect("the finished product");
        fs::remove_dir_all(&self.place).expect("what the build needed");
        eprintln!(
            "hosts: built the guests' {} in {} s",
            self.product.name,
            self.began.elapsed().as_secs()
        );
        Ok(())
    }
}

impl Drop for Build {
    fn drop(&mut self) {
        // It is over, unless it is out of time or another build has failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
