//! Which names an entry may have: relative, slash-separated, printable, inside the directory.

use super::error::{ArchiveError, shown};
use super::limits::ArchiveLimits;

/// Checks a name. The answer has no trailing slash; the flag says whether there was one, which
/// is how a zip marks a directory.
///
/// # Errors
/// The first rule that the name breaks.
pub(super) fn check<'a>(
    raw: &'a [u8],
    limits: &ArchiveLimits,
) -> Result<(&'a str, bool), ArchiveError> {
    let name = || shown(raw);
    // Before anything looks at the text: a long name costs every later step.
    if raw.len() > ArchiveLimits::MAX_PATH_BYTES {
        return Err(ArchiveError::NameTooLong { name: name() });
    }
    let text = std::str::from_utf8(raw).map_err(|_| ArchiveError::NameNotUtf8 { name: name() })?;
    if text.contains('\\') {
        return Err(ArchiveError::NameBackslash { name: name() });
    }
    if text.chars().any(char::is_control) {
        return Err(ArchiveError::NameControl { name: name() });
    }
    if text.starts_with('/') {
        return Err(ArchiveError::NameAbsolute { name: name() });
    }
    if has_drive(text) {
        return Err(ArchiveError::NameDrive { name: name() });
    }
    let (path, is_directory) = match text.strip_suffix('/') {
        Some(path) => (path, true),
        None => (text, false),
    };
    let mut depth = 0;
    for part in path.split('/') {
        depth += 1;
        match part {
            ".." => return Err(ArchiveError::NameParent { name: name() }),
            // Windows drops trailing dots and spaces, and takes `.. ` for `..`.
            _ if part.trim_end_matches(['.', ' ']).is_empty() => {
                return Err(ArchiveError::NamePart { name: name() });
            }
            _ if part.len() > ArchiveLimits::MAX_PART_BYTES => {
                return Err(ArchiveError::NameTooLong { name: name() });
            }
            _ => {}
        }
    }
    if depth > limits.max_depth {
        return Err(ArchiveError::TooDeep {
            name: name(),
            limit: limits.max_depth,
        });
    }
    Ok((path, is_directory))
}

/// `C:` and the like, which Windows programs take for another disk.
fn has_drive(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() >= 2 && bytes[0].is_ascii_alphabetic() && bytes[1] == b':'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_names_pass_and_directories_are_recognised() {
        let limits = ArchiveLimits::default();
        for (raw, path, is_directory) in [
            ("handler", "handler", false),
            ("lib/", "lib", true),
            ("a/b/c.txt", "a/b/c.txt", false),
            (".hidden", ".hidden", false),
            ("..a/b..", "..a/b..", false),
            ("grüße.txt", "grüße.txt", false),
            ("a:b", "a:b", false),
        ] {
            let found = check(raw.as_bytes(), &limits);
            if raw == "a:b" {
                assert_eq!(found.expect_err(raw).code(), "archive_name_drive");
            } else {
                assert_eq!(found.expect(raw), (path, is_directory));
            }
        }
    }

    #[test]
    fn each_bad_name_is_refused_with_its_own_reason() {
        let limits = ArchiveLimits::default();
        let long_part = "x".repeat(256);
        let long_path = vec!["x".repeat(200); 6].join("/");
        let deep = vec!["d"; 33].join("/");
        for (raw, code) in [
            (&b"../x"[..], "archive_name_parent"),
            (b"a/../x", "archive_name_parent"),
            (b"..", "archive_name_parent"),
            (b"../", "archive_name_parent"),
            (b"/etc/passwd", "archive_name_absolute"),
            (b"/", "archive_name_absolute"),
            (b"", "archive_name_part"),
            (b"./a", "archive_name_part"),
            (b"a//b", "archive_name_part"),
            (b"a/b//", "archive_name_part"),
            (b"...", "archive_name_part"),
            (b".. /a", "archive_name_part"),
            (b"a\\..\\b", "archive_name_backslash"),
            (b"a\0b", "archive_name_control"),
            (b"a\nb", "archive_name_control"),
            (b"C:/x", "archive_name_drive"),
            (b"c:x", "archive_name_drive"),
            (b"\xff\xfe", "archive_name_not_utf8"),
            (long_part.as_bytes(), "archive_name_too_long"),
            (long_path.as_bytes(), "archive_name_too_long"),
            (deep.as_bytes(), "archive_too_deep"),
        ] {
            let error = check(raw, &limits).expect_err(&shown(raw));
            assert_eq!(error.code(), code, "{error}");
        }
    }
}
