//! Which files of a function's directory stay out of its archive.
//!
//! `.fluxignore` holds one pattern a line. A name matches at any depth; a pattern with a slash matches
//! from the directory itself; `*` stands for any text within one name; `#` starts a comment. There are
//! no exceptions with `!`, so that one look shows what a deploy leaves out.

/// Left out everywhere: version control, build directories, and what editors and systems leave behind.
const ALWAYS: [&str; 8] = [
    ".git",
    ".hg",
    ".svn",
    ".fluxignore",
    ".DS_Store",
    "__pycache__",
    "target",
    "*.swp",
];

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct IgnoreRules {
    names: Vec<String>,
    paths: Vec<String>,
}

impl IgnoreRules {
    /// The fixed patterns, and those of a `.fluxignore`.
    pub(crate) fn new(fluxignore: &str) -> IgnoreRules {
        let mut rules = IgnoreRules {
            names: ALWAYS.map(str::to_owned).to_vec(),
            // Sent by itself, before the archive.
            paths: vec!["function.yaml".to_owned()],
        };
        let patterns = fluxignore
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty() && !line.starts_with('#'));
        for pattern in patterns {
            let is_path = pattern.trim_end_matches('/').contains('/');
            let pattern = pattern.trim_matches('/').to_owned();
            if is_path {
                rules.paths.push(pattern);
            } else {
                rules.names.push(pattern);
            }
        }
        rules
    }

    /// Whether `path` (relative, with slashes) stays out, and with a directory all that is in it.
    pub(crate) fn matches(&self, path: &str) -> bool {
        let name = path.rsplit('/').next().unwrap_or(path);
        self.names.iter().any(|pattern| wildcard(pattern, name))
            || self.paths.iter().any(|pattern| {
                let (mut patterns, mut parts) = (pattern.split('/'), path.split('/'));
                loop {
                    match (patterns.next(), parts.next()) {
                        (None, None) => return true,
                        (Some(pattern), Some(part)) if wildcard(pattern, part) => {}
                        (Some(_) | None, Some(_)) | (Some(_), None) => return false,
                    }
                }
            })
    }
}

/// `*` stands for any text, every other character for itself.
fn wildcard(pattern: &str, text: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let Some(mut text) = text.strip_prefix(start) else {
        return false;
    };
    let mut rest = rest;
    // The leftmost match will do for every part but the last, which has to end the text.
    while let Some((part, after)) = rest.split_once('*') {
        let Some(found) = text.find(part) else {
            return false;
        };
        text = &text[found + part.len()..];
        rest = after;
    }
    text.ends_with(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_names_at_any_depth_and_paths_from_the_root() {
        let rules = IgnoreRules::new("# comment\n*.log\nbuild/\n/docs/draft-*.md\n");
        for path in [
            ".git",
            "a/.git",
            "x.log",
            "a/b/x.log",
            "build",
            "a/build",
            "docs/draft-1.md",
            "function.yaml",
        ] {
            assert!(rules.matches(path), "{path}");
        }
        for path in [
            "x.logs",
            "builds",
            "docs/final.md",
            "a/docs/draft-1.md",
            "a/function.yaml",
            "git",
        ] {
            assert!(!rules.matches(path), "{path}");
        }
    }

    #[test]
    fn a_star_stands_for_any_text() {
        for (pattern, text, matches) in [
            ("*", "", true),
            ("a*b*c", "a-b-c", true),
            ("a*b*c", "acb", false),
            ("*ab", "aab", true),
            ("a*a", "a", false),
        ] {
            assert_eq!(wildcard(pattern, text), matches, "{pattern} {text}");
        }
    }
}
