//! A specification in the form that execve(2) takes, built before the clone because the child may
//! not allocate.

use std::ffi::{CString, OsStr, c_char};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr;

use thiserror::Error;

use crate::sandbox::Spec;

/// Owns every string; the pointer lists point into them.
#[derive(Debug)]
pub(in crate::sandbox) struct Image {
    program: CString,
    cwd: CString,
    argv: Pointers,
    envp: Pointers,
}

/// Strings, and pointers to them that end with a null pointer.
#[derive(Debug)]
struct Pointers {
    // Never touched after `list` was made from it; a CString's bytes stay where they are when it moves.
    _strings: Vec<CString>,
    list: Vec<*const c_char>,
}

/// What of a specification cannot be executed as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(in crate::sandbox) enum ImageError {
    #[error("the {what} {path:?} is not an absolute path")]
    Relative { what: &'static str, path: String },
    #[error("{what} contains a NUL byte")]
    Nul { what: String },
    #[error("{name:?} is no name of an environment variable")]
    EnvName { name: String },
}

impl Image {
    pub(in crate::sandbox) fn new(spec: &Spec) -> Result<Image, ImageError> {
        let program = absolute("program", &spec.program)?;
        let mut args = vec![program.clone()];
        for (index, arg) in spec.args.iter().enumerate() {
            args.push(c_string(arg, || format!("argument {}", index + 1))?);
        }
        let env: Result<Vec<CString>, ImageError> = spec
            .env
            .iter()
            .map(|(name, value)| env_entry(name, value))
            .collect();
        Ok(Image {
            program,
            cwd: absolute("working directory", &spec.cwd)?,
            argv: Pointers::new(args),
            envp: Pointers::new(env?),
        })
    }

    pub(in crate::sandbox) fn program(&self) -> *const c_char {
        self.program.as_ptr()
    }

    pub(in crate::sandbox) fn cwd(&self) -> *const c_char {
        self.cwd.as_ptr()
    }

    pub(in crate::sandbox) fn argv(&self) -> *const *const c_char {
        self.argv.list.as_ptr()
    }

    pub(in crate::sandbox) fn envp(&self) -> *const *const c_char {
        self.envp.list.as_ptr()
    }
}

impl Pointers {
    fn new(strings: Vec<CString>) -> Pointers {
        let list = strings
            .iter()
            .map(|string| string.as_ptr())
            .chain([ptr::null()])
            .collect();
        Pointers {
            _strings: strings,
            list,
        }
    }
}

fn absolute(what: &'static str, path: &Path) -> Result<CString, ImageError> {
    if !path.is_absolute() {
        return Err(ImageError::Relative {
            what,
            path: path.display().to_string(),
        });
    }
    c_string(path.as_os_str(), || format!("the {what}"))
}

/// The value is not part of any error: it may be a secret.
fn env_entry(name: &OsStr, value: &OsStr) -> Result<CString, ImageError> {
    if name.is_empty() || name.as_bytes().contains(&b'=') {
        return Err(ImageError::EnvName {
            name: name.display().to_string(),
        });
    }
    let mut entry = Vec::with_capacity(name.len() + value.len() + 2);
    entry.extend_from_slice(name.as_bytes());
    entry.push(b'=');
    entry.extend_from_slice(value.as_bytes());
    CString::new(entry).map_err(|_| ImageError::Nul {
        what: format!("the environment variable {name:?}"),
    })
}

fn c_string(text: &OsStr, what: impl FnOnce() -> String) -> Result<CString, ImageError> {
    CString::new(text.as_bytes()).map_err(|_| ImageError::Nul { what: what() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ids::ExecutionId;
    use crate::model::isolation::{NetworkIsolation, SyscallIsolation};
    use crate::sandbox::{FileAccess, ResourceLimits, Stdin};

    fn spec() -> Spec {
        Spec {
            execution_id: ExecutionId::generate(),
            program: "/bin/true".into(),
            args: Vec::new(),
            env: Vec::new(),
            cwd: "/".into(),
            project: None,
            stdin: Stdin::Null,
            identity: None,
            files: FileAccess::Open,
            network: NetworkIsolation::Host,
            syscalls: SyscallIsolation::Open,
            limits: ResourceLimits::NONE,
            kill_grace: Spec::KILL_GRACE,
            pipe_grace: Spec::PIPE_GRACE,
        }
    }

    #[test]
    fn what_execve_could_not_take_as_it_stands_is_refused_and_named() {
        let mut relative = spec();
        relative.program = "bin/true".into();
        let mut nul = spec();
        nul.args = vec!["a".into(), "b\0c".into()];
        let mut name = spec();
        name.env = vec![("A=B".into(), "s3cret".into())];
        let mut value = spec();
        value.env = vec![("A".into(), "s3cret\0".into())];
        for (spec, part) in [
            (relative, "\"bin/true\" is not an absolute path"),
            (nul, "argument 2"),
            (name, "\"A=B\""),
            (value, "\"A\" contains a NUL"),
        ] {
            let error = Image::new(&spec).expect_err(part).to_string();
            assert!(error.contains(part) && !error.contains("s3cret"), "{error}");
        }
        assert!(Image::new(&spec()).is_ok());
    }
}
