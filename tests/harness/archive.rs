//! Functions as a user would make them: their zip archives, and their function.yaml.

use std::io::{Cursor, Write};

use zip::write::{SimpleFileOptions, ZipWriter};

/// An archive of `(path, contents, executable)`.
pub fn archive_of(files: &[(&str, &[u8], bool)]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (path, contents, executable) in files {
        let mode = if *executable { 0o755 } else { 0o644 };
        zip.start_file(*path, SimpleFileOptions::default().unix_permissions(mode))
            .expect("entry");
        zip.write_all(contents).expect("contents");
    }
    zip.finish().expect("archive").into_inner()
}

/// An archive whose handler `run` is a shell script.
pub fn script_archive(script: &str) -> Vec<u8> {
    let script = format!("#!/bin/sh\n{script}\n");
    archive_of(&[("run", script.as_bytes(), true)])
}

/// A function whose handler is a shell script.
pub fn function_yaml(name: &str, extra: &str) -> String {
    format!("name: {name}\nhandler: run\n{extra}")
}
