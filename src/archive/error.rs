//! Why an archive is refused, in words for whoever made it and in codes for programs.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// Each variant is one reason; the text names the entry and says what to do about it.
#[derive(Debug, Error)]
pub enum ArchiveError {
    #[error(
        "the archive has {size} bytes, over the limit of {limit}: leave out what the function does not need"
    )]
    TooLarge { size: u64, limit: u64 },
    #[error(
        "it is no zip archive, or its end is missing: make it with `zip -r` and upload all of it"
    )]
    NotZip,
    #[error("{bytes} bytes follow the end of the archive: upload the zip file alone")]
    Trailing { bytes: u64 },
    #[error(
        "{bytes} bytes of the archive belong to no entry (a self-extracting archive?): upload a plain zip file"
    )]
    Prefixed { bytes: u64 },
    #[error("the archive is one of several parts: upload it as a single file")]
    MultiPart,
    #[error("the archive's zip64 records do not fit: {reason}; make the archive again")]
    Zip64 { reason: &'static str },
    #[error("the archive's directory is damaged: {reason}; make the archive again")]
    Directory { reason: &'static str },
    #[error("the archive holds no files")]
    Empty,
    #[error(
        "the archive has {count} entries, over the limit of {limit}: leave out what the function does not need"
    )]
    TooManyEntries { count: u64, limit: u64 },

    #[error(
        "{name:?} is no UTF-8: rename the file, or make the archive with a tool that writes UTF-8 names"
    )]
    NameNotUtf8 { name: String },
    #[error("{name:?} is an absolute path: make the archive from inside the directory")]
    NameAbsolute { name: String },
    #[error("{name:?} starts with a drive letter: make the archive from inside the directory")]
    NameDrive { name: String },
    #[error("{name:?} has a `..` part: make the archive from inside the directory")]
    NameParent { name: String },
    #[error(
        "{name:?} has a part that is empty or only dots and spaces: make the archive with `zip -r`"
    )]
    NamePart { name: String },
    #[error("{name:?} has a backslash: separate directories with slashes")]
    NameBackslash { name: String },
    #[error("{name:?} has a NUL or another control character: rename the file")]
    NameControl { name: String },
    #[error("{name:?} is too long: at most 255 bytes a part and 1024 in all")]
    NameTooLong { name: String },
    #[error("{name:?} is nested over {limit} deep: use fewer directories")]
    TooDeep { name: String, limit: usize },
    #[error("{name:?} stands in the archive twice: keep one of them")]
    Duplicate { name: String },
    #[error("{name:?} and {other:?} differ in case only: rename one of them")]
    CaseCollision { name: String, other: String },
    #[error(
        "{name:?} and {other:?} are one name on some systems (letters composed of others, trailing dots or spaces): rename one of them"
    )]
    NameCollision { name: String, other: String },
    #[error("{name:?} is both a file and a directory: rename one of them")]
    FileIsDirectory { name: String },

    #[error("{name:?} is a symbolic link: put the file itself in the archive (zip without `-y`)")]
    Symlink { name: String },
    #[error(
        "{name:?} carries the target of a link or the number of a device: put the file itself in the archive"
    )]
    LinkTarget { name: String },
    #[error("{name:?} is a {kind}: only files and directories can be deployed")]
    SpecialFile { name: String, kind: &'static str },
    #[error("{name:?} is marked as a {marked} but named as a {named}: make the archive again")]
    KindMismatch {
        name: String,
        marked: &'static str,
        named: &'static str,
    },
    #[error("{name:?} is encrypted: make the archive without a password")]
    Encrypted { name: String },
    #[error("{name:?} uses compression method {method}: only `store` and `deflate` are supported")]
    Method { name: String, method: u16 },
    #[error("{name:?} inflates to {size} bytes, over the limit of {limit} for a file")]
    EntryTooLarge { name: String, size: u64, limit: u64 },
    #[error(
        "the archive inflates to over {limit} bytes: leave out what the function does not need"
    )]
    TotalTooLarge { limit: u64 },
    #[error(
        "{name:?} inflates to over {limit} times its compressed size: create such a file when the function runs"
    )]
    Ratio { name: String, limit: u64 },
    #[error(
        "the archive inflates to over {limit} times its size: create such files when the function runs"
    )]
    TotalRatio { limit: u64 },
    #[error("{name:?} shares bytes with {other:?}: make the archive again")]
    Overlap { name: String, other: String },
    #[error("{name:?} reaches past the archive's entries: make the archive again")]
    OutOfBounds { name: String },
    #[error(
        "{name:?} has another {what} in its own header than in the archive's directory: make the archive again"
    )]
    HeaderMismatch { name: String, what: &'static str },
    #[error(
        "the sizes or the checksum that follow the data of {name:?} are missing or others than in the archive's directory: make the archive again"
    )]
    Descriptor { name: String },
    #[error("{bytes} bytes that follow {name:?} belong to no entry: make the archive again")]
    Gap { name: String, bytes: u64 },

    #[error(
        "{name:?} does not inflate to the {declared} bytes that it declares: make the archive again"
    )]
    SizeMismatch { name: String, declared: u64 },
    #[error("{name:?} does not match its checksum: upload the archive again")]
    Checksum { name: String },
    #[error("{name:?} cannot be inflated: upload the archive again")]
    Corrupt {
        name: String,
        #[source]
        source: io::Error,
    },
    #[error("the archive is not the one that was inspected")]
    Changed,
    #[error("cannot read the archive")]
    Read(#[source] io::Error),
    #[error("cannot {action} {path}")]
    Write {
        action: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

impl ArchiveError {
    /// A stable name for programs; never changes its meaning.
    pub(crate) const fn code(&self) -> &'static str {
        match self {
            ArchiveError::TooLarge { .. } => "archive_too_large",
            ArchiveError::NotZip => "archive_not_zip",
            ArchiveError::Trailing { .. } => "archive_trailing_bytes",
            ArchiveError::Prefixed { .. } => "archive_prefixed",
            ArchiveError::MultiPart => "archive_multi_part",
            ArchiveError::Zip64 { .. } => "archive_zip64_invalid",
            ArchiveError::Directory { .. } => "archive_directory_invalid",
            ArchiveError::Empty => "archive_empty",
            ArchiveError::TooManyEntries { .. } => "archive_too_many_entries",
            ArchiveError::NameNotUtf8 { .. } => "archive_name_not_utf8",
            ArchiveError::NameAbsolute { .. } => "archive_name_absolute",
            ArchiveError::NameDrive { .. } => "archive_name_drive",
            ArchiveError::NameParent { .. } => "archive_name_parent",
            ArchiveError::NamePart { .. } => "archive_name_part",
            ArchiveError::NameBackslash { .. } => "archive_name_backslash",
            ArchiveError::NameControl { .. } => "archive_name_control",
            ArchiveError::NameTooLong { .. } => "archive_name_too_long",
            ArchiveError::TooDeep { .. } => "archive_too_deep",
            ArchiveError::Duplicate { .. } => "archive_duplicate",
            ArchiveError::CaseCollision { .. } => "archive_case_collision",
            ArchiveError::NameCollision { .. } => "archive_name_collision",
            ArchiveError::FileIsDirectory { .. } => "archive_file_is_directory",
            ArchiveError::Symlink { .. } => "archive_symlink",
            ArchiveError::LinkTarget { .. } => "archive_link_target",
            ArchiveError::SpecialFile { .. } => "archive_special_file",
            ArchiveError::KindMismatch { .. } => "archive_kind_mismatch",
            ArchiveError::Encrypted { .. } => "archive_encrypted",
            ArchiveError::Method { .. } => "archive_method_unsupported",
            ArchiveError::EntryTooLarge { .. } => "archive_entry_too_large",
            ArchiveError::TotalTooLarge { .. } => "archive_total_too_large",
            ArchiveError::Ratio { .. } => "archive_ratio",
            ArchiveError::TotalRatio { .. } => "archive_total_ratio",
            ArchiveError::Overlap { .. } => "archive_overlap",
            ArchiveError::OutOfBounds { .. } => "archive_out_of_bounds",
            ArchiveError::HeaderMismatch { .. } => "archive_header_mismatch",
            ArchiveError::Descriptor { .. } => "archive_descriptor",
            ArchiveError::Gap { .. } => "archive_gap",
            ArchiveError::SizeMismatch { .. } => "archive_size_mismatch",
            ArchiveError::Checksum { .. } => "archive_checksum",
            ArchiveError::Corrupt { .. } => "archive_corrupt",
            ArchiveError::Changed => "archive_changed",
            ArchiveError::Read(_) => "archive_read_failed",
            ArchiveError::Write { .. } => "archive_write_failed",
        }
    }

    /// Whether the archive itself is at fault, rather than this machine's disk: the same archive
    /// would be refused anywhere.
    pub(crate) const fn is_refusal(&self) -> bool {
        !matches!(
            self,
            ArchiveError::Changed | ArchiveError::Read(_) | ArchiveError::Write { .. }
        )
    }
}

/// Longest piece of a name that an error repeats, in characters: names come from the archive.
const SHOWN_NAME_CHARS: usize = 200;

/// A name as errors show it: bounded, and with replacement characters where it is no UTF-8.
pub(super) fn shown(raw: &[u8]) -> String {
    String::from_utf8_lossy(raw)
        .chars()
        .take(SHOWN_NAME_CHARS)
        .collect()
}
