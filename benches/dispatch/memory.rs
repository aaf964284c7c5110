//! Resident memory of a process, from /proc.

use std::fs;
use std::io::Write;

const KIB: f64 = 1024.0;

/// `VmRSS`, in MiB.
pub fn resident_mib(pid: i32) -> f64 {
    status_mib(pid, "VmRSS:")
}

/// The part of it that no other process can share: `RssAnon`, in MiB. The rest is the program's and
/// its libraries' text.
pub fn private_mib(pid: i32) -> f64 {
    status_mib(pid, "RssAnon:")
}

/// Since [`forget_peak`], in MiB. The kernel keeps it, so that no moment is missed as between
/// samples.
pub fn peak_mib(pid: i32) -> f64 {
    status_mib(pid, "VmHWM:")
}

/// Begins the peak anew: proc(5), `/proc/pid/clear_refs`.
pub fn forget_peak(pid: i32) {
    let path = format!("/proc/{pid}/clear_refs");
    fs::File::options()
        .write(true)
        .open(&path)
        .and_then(|mut file| file.write_all(b"5"))
        .unwrap_or_else(|error| panic!("{path}: {error}"));
}

fn status_mib(pid: i32, field: &str) -> f64 {
    let path = format!("/proc/{pid}/status");
    let status = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let kib: f64 = status
        .lines()
        .find_map(|line| line.strip_prefix(field))
        .and_then(|rest| rest.split_whitespace().next())
        .and_then(|number| number.parse().ok())
        .unwrap_or_else(|| panic!("no {field} in {path}"));
    kib / KIB
}
