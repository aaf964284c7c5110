//! Archives that look odd and are accepted: what comes of them is always plain.

use super::corpus::handler;
use super::zip_bytes::{
    TestEntry, deflated, directory, stored, streamed, with_mode, zip, zip_with, zip64_records,
};

/// One archive, and one of its files as it has to be on disk.
pub struct SoundArchive {
    /// What is odd about it; unique.
    pub name: &'static str,
    /// Its bytes.
    pub build: fn() -> Vec<u8>,
    /// Path and permission bits.
    pub becomes: (&'static str, u32),
}

/// All of them.
pub fn sound() -> &'static [SoundArchive] {
    SOUND
}

const SOUND: &[SoundArchive] = &[
    archive("set-user-id", ("file", 0o755), || moded(0o104_755)),
    archive("set-group-id", ("file", 0o755), || moded(0o102_755)),
    archive("sticky", ("file", 0o644), || moded(0o101_644)),
    archive("all bits", ("file", 0o755), || moded(0o107_777)),
    archive("writable by all", ("file", 0o644), || moded(0o100_666)),
    archive("readable by nobody", ("file", 0o644), || moded(0o100_000)),
    archive("executable by nobody but others", ("file", 0o755), || {
        moded(0o100_001)
    }),
    archive("no mode at all", ("file", 0o644), || moded(0)),
    archive("sticky directory for all", ("dir", 0o755), || {
        zip(&[handler(), with_mode(0o041_777, directory("dir/"))])
    }),
    archive(
        "directory that nobody may enter",
        ("dir/file", 0o644),
        || {
            let closed = with_mode(0o040_000, directory("dir/"));
            zip(&[handler(), closed, stored("dir/file", b"x")])
        },
    ),
    archive("directory compressed to nothing", ("dir", 0o755), || {
        let compressed = TestEntry {
            payload: b"\x03\0".to_vec(),
            compressed_bytes: 2,
            method: 8,
            ..directory("dir/")
        };
        zip(&[handler(), compressed])
    }),
    archive("a time that does not exist", ("file", 0o644), || {
        timed(u32::MAX)
    }),
    archive("a time of zeros", ("file", 0o644), || timed(0)),
    archive("sizes behind the data", ("file", 0o644), || {
        zip(&[handler(), streamed(deflated("file", b"data"))])
    }),
    archive("sizes behind the data, unsigned", ("file", 0o644), || {
        let mut entry = streamed(stored("file", b"data"));
        entry.trailer.drain(..4);
        zip(&[handler(), entry])
    }),
    archive("zip64 that nothing needs", ("file", 0o644), || {
        let entries = [handler(), stored("file", b"data")];
        let plain = zip(&entries);
        let start = plain
            .windows(4)
            .position(|four| four == b"PK\x01\x02")
            .expect("directory");
        let bytes = plain.len() - 22 - start;
        zip_with(
            &entries,
            &zip64_records(2, start as u64, bytes as u64),
            |end| {
                (end.entries, end.entries_here) = (u16::MAX, u16::MAX);
                end.directory_start = u32::MAX;
            },
        )
    }),
    archive("an archive as a file", ("inner.zip", 0o644), || {
        let inner = zip(&[stored("../escape", b"never unpacked")]);
        zip(&[handler(), stored("inner.zip", &inner)])
    }),
    archive(
        "names of many scripts",
        ("δοκιμή/試験 é", 0o644),
        || zip(&[handler(), stored("δοκιμή/試験 é", b"x")]),
    ),
];

const fn archive(
    name: &'static str,
    becomes: (&'static str, u32),
    build: fn() -> Vec<u8>,
) -> SoundArchive {
    SoundArchive {
        name,
        build,
        becomes,
    }
}

fn moded(mode: u32) -> Vec<u8> {
    zip(&[handler(), with_mode(mode, stored("file", b"x"))])
}

fn timed(time: u32) -> Vec<u8> {
    let file = stored("file", b"x");
    zip(&[handler(), TestEntry { time, ..file }])
}
