//! What an archive would become: every entry judged, nothing inflated.

use std::io::{Read, Seek};

use super::directory::{self, RawEntry};
use super::error::ArchiveError;
use super::header::FLAGS_ENCRYPTED;
use super::limits::ArchiveLimits;
use super::tree::NameTree;
use super::{frame, kinds, layout, names};

/// Compression method 0 (APPNOTE 4.4.5).
const METHOD_STORE: u16 = 0;
/// Compression method 8.
const METHOD_DEFLATE: u16 = 8;

/// An acceptable archive, as files and directories to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    entries: Vec<PlannedEntry>,
    total_bytes: u64,
    pub(super) limits: ArchiveLimits,
    pub(super) directory_start: u64,
}

/// One file or directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedEntry {
    /// Relative, slash-separated, checked; no trailing slash.
    pub path: String,
    /// Bytes after inflating; 0 for a directory.
    pub bytes: u64,
    /// Whether the archive gives anybody the right to execute it.
    pub executable: bool,
    /// Whether it is a directory.
    pub is_directory: bool,
    pub(super) raw: RawEntry,
}

/// Judges an archive by everything that can be known without inflating it.
///
/// # Errors
/// The first reason to refuse it, or [`ArchiveError::Read`].
pub fn inspect(mut file: impl Read + Seek, limits: &ArchiveLimits) -> Result<Plan, ArchiveError> {
    let frame = frame::locate(&mut file, limits)?;
    let raw_entries = directory::read(&mut file, &frame)?;
    let mut tree = NameTree::default();
    let mut totals = Totals::default();
    let mut entries = Vec::with_capacity(raw_entries.len());
    for raw in &raw_entries {
        let entry = judge(raw, limits)?;
        tree.insert(&entry.path, entry.is_directory)?;
        check_count(&tree, limits)?;
        totals.add(raw, limits)?;
        entries.push(entry);
    }
    totals.check_ratio(limits)?;
    layout::check(&mut file, &frame, &raw_entries)?;
    Ok(Plan {
        entries,
        total_bytes: totals.bytes,
        limits: *limits,
        directory_start: frame.directory_start,
    })
}

impl Plan {
    /// In the archive's order. Directories that are only implied by a file's path are not among
    /// them.
    pub(crate) fn entries(&self) -> &[PlannedEntry] {
        &self.entries
    }

    /// Bytes of all files after inflating.
    #[cfg(test)]
    pub(crate) const fn total_bytes(&self) -> u64 {
        self.total_bytes
    }

    /// Whether there is a file (not a directory) at `path`, written as in
    /// [`PlannedEntry::path`].
    pub(crate) fn contains_file(&self, path: &str) -> bool {
        self.entries
            .iter()
            .any(|entry| !entry.is_directory && entry.path == path)
    }
}

/// Directories without an entry of their own cost as much as others.
fn check_count(tree: &NameTree, limits: &ArchiveLimits) -> Result<(), ArchiveError> {
    let count = tree.len() as u64;
    if count > limits.max_entries {
        return Err(ArchiveError::TooManyEntries {
            count,
            limit: limits.max_entries,
        });
    }
    Ok(())
}

#[derive(Debug, Default)]
struct Totals {
    bytes: u64,
    compressed_bytes: u64,
}

impl Totals {
    fn add(&mut self, raw: &RawEntry, limits: &ArchiveLimits) -> Result<(), ArchiveError> {
        // Saturation stays over every limit.
        self.bytes = self.bytes.saturating_add(raw.bytes);
        self.compressed_bytes = self.compressed_bytes.saturating_add(raw.compressed_bytes);
        if self.bytes > limits.max_total_bytes {
            return Err(ArchiveError::TotalTooLarge {
                limit: limits.max_total_bytes,
            });
        }
        Ok(())
    }

    fn check_ratio(&self, limits: &ArchiveLimits) -> Result<(), ArchiveError> {
        if is_bomb(self.bytes, self.compressed_bytes, limits) {
            return Err(ArchiveError::TotalRatio {
                limit: limits.max_ratio,
            });
        }
        Ok(())
    }
}

fn judge(raw: &RawEntry, limits: &ArchiveLimits) -> Result<PlannedEntry, ArchiveError> {
    let (path, is_directory) = names::check(&raw.name, limits)?;
    let name = || path.to_owned();
    let mode = raw.external_attributes >> 16;
    kinds::check(path, mode, is_directory)?;
    if raw.flags & FLAGS_ENCRYPTED != 0 {
        return Err(ArchiveError::Encrypted { name: name() });
    }
    if raw.method != METHOD_STORE && raw.method != METHOD_DEFLATE {
        return Err(ArchiveError::Method {
            name: name(),
            method: raw.method,
        });
    }
    if raw.bytes > limits.max_entry_bytes {
        return Err(ArchiveError::EntryTooLarge {
            name: name(),
            size: raw.bytes,
            limit: limits.max_entry_bytes,
        });
    }
    let stored_differs = raw.method == METHOD_STORE && raw.bytes != raw.compressed_bytes;
    if stored_differs || (is_directory && raw.bytes != 0) {
        return Err(ArchiveError::SizeMismatch {
            name: name(),
            declared: raw.bytes,
        });
    }
    if is_bomb(raw.bytes, raw.compressed_bytes, limits) {
        return Err(ArchiveError::Ratio {
            name: name(),
            limit: limits.max_ratio,
        });
    }
    Ok(PlannedEntry {
        path: name(),
        bytes: raw.bytes,
        executable: mode & 0o111 != 0,
        is_directory,
        raw: raw.clone(),
    })
}

fn is_bomb(bytes: u64, compressed_bytes: u64, limits: &ArchiveLimits) -> bool {
    bytes > ArchiveLimits::RATIO_FREE_BYTES
        && bytes > compressed_bytes.saturating_mul(limits.max_ratio)
}
