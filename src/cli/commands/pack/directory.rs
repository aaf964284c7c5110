//! A function's directory as a zip archive.
//!
//! Invariant: the same files give the same bytes, whenever and wherever they are packed: names are
//! sorted, times fixed, modes 0755 or 0644. Refuses symbolic links and special files, which would mean
//! something else on the machine where they arrive.

use std::fs::{self, File};
use std::io::{self, Seek, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use super::ignore::IgnoreRules;
use crate::archive::ArchiveLimits;
use crate::cli::platform::is_executable;

/// Directories below each other; no source tree comes near.
const MAX_DEPTH: usize = 32;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Package {
    files: Vec<PackagedFile>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PackagedFile {
    /// In the archive: relative, with slashes.
    pub(crate) name: String,
    pub(crate) is_executable: bool,
    path: PathBuf,
}

impl Package {
    /// Finds the files of `directory` that its `.fluxignore` does not name.
    ///
    /// # Errors
    /// Something cannot be read or is neither file nor directory, or there is too much of it.
    pub(crate) fn collect(directory: &Path) -> anyhow::Result<Package> {
        // The control plane counts directories, too, and refuses what is too much with them.
        let most = ArchiveLimits::default().max_entries;
        Package::collect_at_most(usize::try_from(most).unwrap_or(usize::MAX), directory)
    }

    fn collect_at_most(most: usize, directory: &Path) -> anyhow::Result<Package> {
        let ignore = match fs::read_to_string(directory.join(".fluxignore")) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(error).context("cannot read .fluxignore"),
        };
        let mut walk = Walk {
            ignore: IgnoreRules::new(&ignore),
            most,
            files: Vec::new(),
        };
        walk.collect(directory, "", MAX_DEPTH)?;
        let mut files = walk.files;
        files.sort_by(|left, right| left.name.cmp(&right.name));
        Ok(Package { files })
    }

    /// Sorted by name.
    pub(crate) fn files(&self) -> &[PackagedFile] {
        &self.files
    }

    /// Writes the archive.
    ///
    /// # Errors
    /// A file that cannot be read, or an archive that cannot be written.
    pub(crate) fn write(&self, archive: impl Write + Seek) -> anyhow::Result<()> {
        let mut zip = ZipWriter::new(archive);
        for file in &self.files {
            let mode = if file.is_executable { 0o755 } else { 0o644 };
            let options = SimpleFileOptions::DEFAULT
                .compression_method(CompressionMethod::Deflated)
                .unix_permissions(mode)
                .large_file(true);
            zip.start_file(&file.name, options)
                .with_context(|| format!("cannot add {}", file.name))?;
            File::open(&file.path)
                .and_then(|mut source| io::copy(&mut source, &mut zip))
                .with_context(|| format!("cannot read {}", file.path.display()))?;
        }
        zip.finish().context("cannot finish the archive")?;
        Ok(())
    }
}

struct Walk {
    ignore: IgnoreRules,
    most: usize,
    files: Vec<PackagedFile>,
}

impl Walk {
    fn collect(&mut self, directory: &Path, prefix: &str, depth: usize) -> anyhow::Result<()> {
        let reading = || format!("cannot read {}", directory.display());
        for entry in fs::read_dir(directory).with_context(reading)? {
            let entry = entry.with_context(reading)?;
            let path = entry.path();
            let Some(name) = entry.file_name().to_str().map(str::to_owned) else {
                bail!("{}: the name is no UTF-8", path.display());
            };
            let name = format!("{prefix}{name}");
            if self.ignore.matches(&name) {
                continue;
            }
            let kind = entry.file_type().with_context(reading)?;
            if kind.is_symlink() {
                bail!(
                    "{name} is a symbolic link, which cannot be deployed: put the file itself there, or name the link in .fluxignore"
                );
            } else if kind.is_dir() {
                if depth == 0 {
                    bail!("{name} is nested deeper than {MAX_DEPTH} directories");
                }
                self.collect(&path, &format!("{name}/"), depth - 1)?;
            } else if kind.is_file() {
                let metadata = entry.metadata().with_context(reading)?;
                self.files.push(PackagedFile {
                    name,
                    is_executable: is_executable(&metadata),
                    path,
                });
            } else {
                bail!("{name} is neither a file nor a directory; name it in .fluxignore");
            }
            if self.files.len() > self.most {
                bail!(
                    "there are more than {} files; name what is not needed in .fluxignore",
                    self.most
                );
            }
        }
        Ok(())
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::base::atomic_file::{create_directory, write};

    fn directory() -> tempfile::TempDir {
        let directory = tempfile::tempdir().expect("tempdir");
        let at = |name: &str| directory.path().join(name);
        create_directory(&at("lib"), 0o755).expect("lib");
        create_directory(&at(".git"), 0o755).expect("git");
        for (name, mode) in [
            ("run.sh", 0o700),
            ("lib/data.txt", 0o600),
            (".git/config", 0o644),
            ("function.yaml", 0o644),
            ("debug.log", 0o644),
            (".fluxignore", 0o644),
        ] {
            let text: &[u8] = if name == ".fluxignore" {
                b"*.log\n"
            } else {
                b"text"
            };
            write(&at(name), text, mode).expect(name);
        }
        directory
    }

    fn archive(directory: &Path) -> Vec<u8> {
        let mut bytes = io::Cursor::new(Vec::new());
        let package = Package::collect(directory).expect("collected");
        package.write(&mut bytes).expect("written");
        bytes.into_inner()
    }

    #[test]
    fn the_archive_holds_what_is_not_ignored_with_its_execute_bits() {
        let directory = directory();
        let mut zip =
            zip::ZipArchive::new(io::Cursor::new(archive(directory.path()))).expect("zip");
        let entries: Vec<_> = (0..zip.len())
            .map(|i| {
                let file = zip.by_index(i).expect("entry");
                (
                    file.name().expect("name").into_owned(),
                    file.unix_mode().expect("mode") & 0o777,
                )
            })
            .collect();
        assert_eq!(
            entries,
            [
                ("lib/data.txt".to_owned(), 0o644),
                ("run.sh".to_owned(), 0o755)
            ]
        );
    }

    #[test]
    fn more_files_than_an_archive_may_have_are_refused() {
        let directory = directory();
        assert!(Package::collect_at_most(2, directory.path()).is_ok());
        let error = Package::collect_at_most(1, directory.path()).expect_err("refused");
        let message = "there are more than 1 files; name what is not needed in .fluxignore";
        assert_eq!(error.to_string(), message);
    }

    #[test]
    fn the_same_files_give_the_same_archive() {
        assert_eq!(archive(directory().path()), archive(directory().path()));
    }

    #[test]
    fn a_symbolic_link_is_refused_by_name() {
        let directory = directory();
        symlink("/etc/passwd", directory.path().join("lib/users")).expect("link");
        let error = Package::collect(directory.path())
            .expect_err("refused")
            .to_string();
        assert!(error.starts_with("lib/users is a symbolic link"), "{error}");
    }
}
