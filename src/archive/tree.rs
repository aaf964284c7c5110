//! The tree that the entries' names make: no name twice, none that another system takes for the
//! same, none that is a file for one entry and a directory for another.
//!
//! Which names are the same is decided for all systems at once, also on one that tells them apart:
//! the same archive has to be the same tree everywhere, and on its way to an agent it may pass
//! disks that fold case (NTFS, APFS), decompose letters (HFS+) or drop trailing dots and spaces
//! (Windows).
//!
//! Kept by parts, not by paths: ten thousand deep names cost what they are long, not their
//! length times their depth.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use unicode_normalization::UnicodeNormalization;

use super::error::ArchiveError;

/// Grows by [`NameTree::insert`].
#[derive(Debug, Default)]
pub(super) struct NameTree {
    // By parent and the part's key. The root is node 0, and no node of its own.
    nodes: HashMap<(usize, String), Node>,
}

#[derive(Debug)]
struct Node {
    id: usize,
    /// As it was first written.
    part: String,
    is_directory: bool,
    /// Whether an entry of its own named it, and not only a path through it.
    is_entry: bool,
}

impl NameTree {
    /// Adds a checked path.
    ///
    /// # Errors
    /// [`ArchiveError::Duplicate`], [`ArchiveError::CaseCollision`],
    /// [`ArchiveError::FileIsDirectory`].
    pub(super) fn insert(&mut self, path: &str, is_directory: bool) -> Result<(), ArchiveError> {
        let mut parent = 0;
        let mut end = 0;
        for part in path.split('/') {
            end += part.len() + usize::from(end > 0);
            let is_last = end == path.len();
            let wanted = Wanted {
                path: &path[..end],
                part,
                is_directory: is_directory || !is_last,
                is_entry: is_last,
            };
            parent = self.step(parent, &wanted)?;
        }
        Ok(())
    }

    /// Files and directories, those that are only implied by a path among them.
    pub(super) fn len(&self) -> usize {
        self.nodes.len()
    }

    fn step(&mut self, parent: usize, wanted: &Wanted<'_>) -> Result<usize, ArchiveError> {
        let id = self.nodes.len() + 1;
        match self.nodes.entry((parent, key(wanted.part))) {
            Entry::Vacant(vacant) => {
                vacant.insert(Node {
                    id,
                    part: wanted.part.to_owned(),
                    is_directory: wanted.is_directory,
                    is_entry: wanted.is_entry,
                });
                Ok(id)
            }
            Entry::Occupied(mut occupied) => {
                let node = occupied.get_mut();
                wanted.check_against(node)?;
                node.is_entry |= wanted.is_entry;
                Ok(node.id)
            }
        }
    }
}

struct Wanted<'a> {
    path: &'a str,
    part: &'a str,
    is_directory: bool,
    is_entry: bool,
}

impl Wanted<'_> {
    fn check_against(&self, node: &Node) -> Result<(), ArchiveError> {
        let name = self.path.to_owned();
        if node.part != self.part {
            let other = name[..name.len() - self.part.len()].to_owned() + &node.part;
            let same_letters = node.part.nfd().eq(self.part.nfd());
            return Err(
                if !same_letters && folded(&node.part) == folded(self.part) {
                    ArchiveError::CaseCollision { name, other }
                } else {
                    ArchiveError::NameCollision { name, other }
                },
            );
        }
        if node.is_directory != self.is_directory {
            return Err(ArchiveError::FileIsDirectory { name });
        }
        if node.is_entry && self.is_entry {
            return Err(ArchiveError::Duplicate { name });
        }
        Ok(())
    }
}

/// The same for all names that some system takes for one: decomposed canonically (Unicode
/// Standard Annex 15, NFD) before and after folding, because either can undo the other.
fn key(part: &str) -> String {
    let part = part.trim_end_matches(['.', ' ']);
    if part.is_ascii() {
        return part.to_ascii_lowercase();
    }
    let decomposed: String = part.nfd().collect();
    folded(&decomposed).nfd().collect()
}

/// Through capitals, which `ß` and `ſ` need to meet `ss` and `s`.
fn folded(part: &str) -> String {
    part.to_uppercase().to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn insert_all(paths: &[&str]) -> Result<(), ArchiveError> {
        let mut tree = NameTree::default();
        paths
            .iter()
            .try_for_each(|path| match path.strip_suffix('/') {
                Some(directory) => tree.insert(directory, true),
                None => tree.insert(path, false),
            })
    }

    #[test]
    fn directories_may_be_named_before_after_or_never() {
        insert_all(&["a/", "a/b", "c/d/e", "c/", "c/d/", "f", "ab", "a/ab"]).expect("no conflict");
    }

    #[test]
    fn conflicts_are_found_at_every_level_and_in_every_order() {
        for (paths, code) in [
            (&["a", "a"][..], "archive_duplicate"),
            (&["a/", "a/"], "archive_duplicate"),
            (&["a/b", "a/", "a/b"], "archive_duplicate"),
            (&["a", "A"], "archive_case_collision"),
            (&["a/b", "A/c"], "archive_case_collision"),
            (&["x/ä", "x/Ä"], "archive_case_collision"),
            (&["x/\u{e9}", "x/e\u{301}"], "archive_name_collision"),
            (&["a/b", "a./b"], "archive_name_collision"),
            (&["a", "a/b"], "archive_file_is_directory"),
            (&["a/b", "a"], "archive_file_is_directory"),
            (&["a", "a/"], "archive_file_is_directory"),
            (&["a/b/c", "a/b"], "archive_file_is_directory"),
        ] {
            let error = insert_all(paths).expect_err("a conflict");
            assert_eq!(error.code(), code, "{paths:?}: {error}");
        }
    }

    #[test]
    fn a_case_collision_names_both() {
        let error = insert_all(&["lib/Readme", "lib/README"]).expect_err("a conflict");
        let text = error.to_string();
        assert!(
            text.contains("lib/Readme") && text.contains("lib/README"),
            "{text}"
        );
    }
}
