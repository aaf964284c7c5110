//! Zip archives made byte by byte, so that an attack can lie in every field.
//!
//! Format: PKWARE's APPNOTE.TXT 6.3.10; section numbers are its.

use std::io::{Cursor, Read, Write};

/// One entry; every field that a header repeats can be made to lie.
#[derive(Clone)]
pub struct TestEntry {
    pub name: Vec<u8>,
    /// As it stands in the archive, after compression.
    pub payload: Vec<u8>,
    pub method: u16,
    pub flags: u16,
    pub crc: u32,
    pub bytes: u32,
    pub compressed_bytes: u32,
    pub mode: u32,
    /// Time in the lower half, date in the upper, as MS-DOS counts (4.4.6).
    pub time: u32,
    pub central_extra: Vec<u8>,
    pub local_extra: Vec<u8>,
    pub local_name: Option<Vec<u8>>,
    pub local_flags: Option<u16>,
    pub local_method: Option<u16>,
    pub local_crc: Option<u32>,
    pub local_sizes: Option<(u32, u32)>,
    /// Overrides where the directory says that the local header is.
    pub local_start: Option<u32>,
    /// Follows the payload: a data descriptor, or what should not be there.
    pub trailer: Vec<u8>,
    /// Whether the local header and the payload are written at all.
    pub is_written: bool,
}

pub fn stored(name: impl AsRef<[u8]>, data: &[u8]) -> TestEntry {
    let length = u32::try_from(data.len()).expect("small");
    TestEntry {
        name: name.as_ref().to_vec(),
        payload: data.to_vec(),
        method: 0,
        flags: 0,
        crc: crc32(data),
        bytes: length,
        compressed_bytes: length,
        mode: 0o100_644,
        // Midnight of the first day there is.
        time: 0x21 << 16,
        central_extra: Vec::new(),
        local_extra: Vec::new(),
        local_name: None,
        local_flags: None,
        local_method: None,
        local_crc: None,
        local_sizes: None,
        local_start: None,
        trailer: Vec::new(),
        is_written: true,
    }
}

pub fn deflated(name: impl AsRef<[u8]>, data: &[u8]) -> TestEntry {
    let payload = deflate(data);
    TestEntry {
        compressed_bytes: u32::try_from(payload.len()).expect("small"),
        payload,
        method: 8,
        ..stored(name, data)
    }
}

pub fn directory(name: impl AsRef<[u8]>) -> TestEntry {
    TestEntry {
        mode: 0o040_755,
        ..stored(name, b"")
    }
}

pub fn with_mode(mode: u32, entry: TestEntry) -> TestEntry {
    TestEntry { mode, ..entry }
}

/// The end record's fields, as they will be unless a test changes them.
#[derive(Clone, Copy, Default)]
pub struct End {
    pub disk: u16,
    pub entries_here: u16,
    pub entries: u16,
    pub directory_bytes: u32,
    pub directory_start: u32,
}

pub fn zip(entries: &[TestEntry]) -> Vec<u8> {
    zip_with(entries, &[], |_| {})
}

/// `before_end` stands between the directory and the end record.
pub fn zip_with(
    entries: &[TestEntry],
    before_end: &[u8],
    change_end: impl FnOnce(&mut End),
) -> Vec<u8> {
    let mut out = Vec::new();
    let mut directory = Vec::new();
    for entry in entries {
        let start = entry
            .local_start
            .unwrap_or(u32::try_from(out.len()).expect("small"));
        if entry.is_written {
            local_header(&mut out, entry);
            out.extend(&entry.payload);
            out.extend(&entry.trailer);
        }
        central_header(&mut directory, entry, start);
    }
    let mut end = End {
        disk: 0,
        entries_here: u16::try_from(entries.len()).expect("few"),
        entries: u16::try_from(entries.len()).expect("few"),
        directory_bytes: u32::try_from(directory.len()).expect("small"),
        directory_start: u32::try_from(out.len()).expect("small"),
    };
    change_end(&mut end);
    out.extend(directory);
    out.extend(before_end);
    end_record(&mut out, &end);
    out
}

fn local_header(out: &mut Vec<u8>, entry: &TestEntry) {
    let name = entry.local_name.as_ref().unwrap_or(&entry.name);
    let (compressed, bytes) = entry
        .local_sizes
        .unwrap_or((entry.compressed_bytes, entry.bytes));
    out.extend(b"PK\x03\x04\x14\0");
    out.extend(entry.local_flags.unwrap_or(entry.flags).to_le_bytes());
    out.extend(entry.local_method.unwrap_or(entry.method).to_le_bytes());
    out.extend(entry.time.to_le_bytes());
    out.extend(entry.local_crc.unwrap_or(entry.crc).to_le_bytes());
    out.extend(compressed.to_le_bytes());
    out.extend(bytes.to_le_bytes());
    out.extend(short(name.len()));
    out.extend(short(entry.local_extra.len()));
    out.extend(name);
    out.extend(&entry.local_extra);
}

fn central_header(out: &mut Vec<u8>, entry: &TestEntry, start: u32) {
    // Made by Unix, version 2.0.
    out.extend(b"PK\x01\x02\x14\x03\x14\0");
    out.extend(entry.flags.to_le_bytes());
    out.extend(entry.method.to_le_bytes());
    out.extend(entry.time.to_le_bytes());
    out.extend(entry.crc.to_le_bytes());
    out.extend(entry.compressed_bytes.to_le_bytes());
    out.extend(entry.bytes.to_le_bytes());
    out.extend(short(entry.name.len()));
    out.extend(short(entry.central_extra.len()));
    // No comment, disk 0, no internal attributes.
    out.extend([0; 6]);
    out.extend((entry.mode << 16).to_le_bytes());
    out.extend(start.to_le_bytes());
    out.extend(&entry.name);
    out.extend(&entry.central_extra);
}

fn end_record(out: &mut Vec<u8>, end: &End) {
    out.extend(b"PK\x05\x06");
    out.extend(end.disk.to_le_bytes());
    out.extend(end.disk.to_le_bytes());
    out.extend(end.entries_here.to_le_bytes());
    out.extend(end.entries.to_le_bytes());
    out.extend(end.directory_bytes.to_le_bytes());
    out.extend(end.directory_start.to_le_bytes());
    out.extend([0, 0]);
}

/// The zip64 end record and its locator, for an archive whose directory ends at `directory_end`.
pub fn zip64_records(entries: u64, start: u64, bytes: u64) -> Vec<u8> {
    let mut out = Vec::new();
    out.extend(b"PK\x06\x06");
    out.extend(44u64.to_le_bytes());
    out.extend([45, 3, 45, 0]);
    out.extend([0; 8]);
    out.extend(entries.to_le_bytes());
    out.extend(entries.to_le_bytes());
    out.extend(bytes.to_le_bytes());
    out.extend(start.to_le_bytes());
    out.extend(b"PK\x06\x07");
    out.extend([0; 4]);
    out.extend((start + bytes).to_le_bytes());
    out.extend(1u32.to_le_bytes());
    out
}

/// An entry whose sizes follow its data (4.3.9), as tools write that cannot seek.
pub fn streamed(entry: TestEntry) -> TestEntry {
    let trailer = descriptor(entry.crc, entry.compressed_bytes, entry.bytes);
    TestEntry {
        flags: 1 << 3,
        local_crc: Some(0),
        local_sizes: Some((0, 0)),
        trailer,
        ..entry
    }
}

/// A data descriptor with its signature.
pub fn descriptor(crc: u32, compressed_bytes: u32, bytes: u32) -> Vec<u8> {
    let mut out = b"PK\x07\x08".to_vec();
    out.extend(crc.to_le_bytes());
    out.extend(compressed_bytes.to_le_bytes());
    out.extend(bytes.to_le_bytes());
    out
}

/// An extra field.
pub fn extra(id: u16, body: &[u8]) -> Vec<u8> {
    let mut out = id.to_le_bytes().to_vec();
    out.extend(short(body.len()));
    out.extend(body);
    out
}

pub fn deflate(data: &[u8]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default()
        .compression_method(zip::CompressionMethod::Deflated);
    writer.start_file("x", options).expect("start");
    writer.write_all(data).expect("write");
    let mut archive = writer.finish_into_readable().expect("finish");
    let mut compressed = Vec::new();
    archive
        .by_index_raw(0)
        .expect("entry")
        .read_to_end(&mut compressed)
        .expect("read");
    compressed
}

/// CRC-32 of IEEE 802.3, as zip uses it, bit by bit.
pub fn crc32(data: &[u8]) -> u32 {
    !data.iter().fold(u32::MAX, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| {
            (crc >> 1) ^ (0xEDB8_8320 & (crc & 1).wrapping_neg())
        })
    })
}

fn short(length: usize) -> [u8; 2] {
    u16::try_from(length).expect("short").to_le_bytes()
}
