//! Which file is the configuration, and its text.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::error::ConfigError;

/// Bytes of a configuration file at the most; the annotated examples have a few thousand.
pub(super) const MAX_FILE_BYTES: usize = 1 << 20;

/// Looks environment variables up; tests give their own.
pub(super) type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The process's own variables; one that is no UTF-8 counts as unset.
pub(super) fn process_environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// A configuration file that was read.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) path: PathBuf,
    pub(super) bytes: Vec<u8>,
}

impl Source {
    /// The file that was named, by argument or by `variable`, and must be there; else the first of
    /// `places` that is.
    pub(super) fn find(
        named: Option<&Path>,
        variable: &'static str,
        places: &[&str],
        environment: Environment<'_>,
    ) -> Result<Source, ConfigError> {
        let named = named
            .map(Path::to_owned)
            .or_else(|| environment(variable).map(PathBuf::from));
        if let Some(path) = named {
            return Source::read(path);
        }
        let places: Vec<PathBuf> = places.iter().map(PathBuf::from).collect();
        match places.iter().find(|path| path.exists()) {
            Some(path) => Source::read(path.clone()),
            None => Err(ConfigError::NotFound {
                searched: places,
                variable,
            }),
        }
    }

    /// Where relative paths in the file start.
    pub(super) fn base(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new(""))
    }

    fn read(path: PathBuf) -> Result<Source, ConfigError> {
        let mut bytes = Vec::new();
        let result = File::open(&path)
            .and_then(|file| file.take(MAX_FILE_BYTES as u64 + 1).read_to_end(&mut bytes));
        if let Err(source) = result {
            return Err(ConfigError::Read { path, source });
        }
        if bytes.len() > MAX_FILE_BYTES {
            return Err(ConfigError::TooLarge {
                path,
                limit_bytes: MAX_FILE_BYTES,
            });
        }
        Ok(Source { path, bytes })
    }
}
