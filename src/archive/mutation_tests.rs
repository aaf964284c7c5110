//! Tens of thousands of damaged archives: no panic, nothing outside the directory, bounded output.

use std::fs;
use std::io::Cursor;
use std::path::Path;

use super::hostile_archives::zip_bytes::{deflated, directory, stored, with_mode, zip};
use super::{ArchiveLimits, extract, inspect};

const MUTATIONS: u64 = 20_000;

/// xorshift64* (Vigna, 2014): the same sequence on every machine.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let value = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33;
        usize::try_from(value).expect("31 bits") % bound
    }

    fn byte(&mut self) -> u8 {
        const EDGES: [u8; 8] = [0, 1, 0x7f, 0x80, 0xff, b'/', b'.', b'\\'];
        match self.below(2) {
            0 => EDGES[self.below(EDGES.len())],
            _ => u8::try_from(self.below(256)).expect("a byte"),
        }
    }

    fn mutate(&mut self, archive: &mut Vec<u8>) {
        for _ in 0..=self.below(4) {
            let at = self.below(archive.len());
            match self.below(8) {
                0 => archive.truncate(at.max(1)),
                1 => archive.insert(at, self.byte()),
                2 => drop(archive.remove(at)),
                3 => {
                    let length = self.below(40).min(archive.len() - at);
                    let piece = archive[at..at + length].to_vec();
                    let to = self.below(archive.len() - length + 1);
                    archive[to..to + length].copy_from_slice(&piece);
                }
                4 => archive[at] ^= 1 << self.below(8),
                _ => archive[at] = self.byte(),
            }
            if archive.len() < 2 {
                return;
            }
        }
    }
}

fn bytes_below(path: &Path) -> u64 {
    fs::read_dir(path)
        .expect("list")
        .map(|entry| {
            let entry = entry.expect("entry");
            let kind = entry.file_type().expect("kind");
            assert!(kind.is_dir() || kind.is_file(), "{:?}", entry.path());
            if kind.is_dir() {
                bytes_below(&entry.path())
            } else {
                entry.metadata().expect("stat").len()
            }
        })
        .sum()
}

#[test]
fn no_mutation_of_a_good_archive_panics_or_writes_more_than_planned() {
    let good = zip(&[
        with_mode(0o100_755, stored("handler", b"#!/bin/sh\necho hi\n")),
        directory("lib/"),
        deflated("lib/text", &b"some text ".repeat(40)),
        stored("lib/data/raw", b"\0\x01\x02"),
    ]);
    let limits = ArchiveLimits {
        max_total_bytes: 1 << 20,
        ..ArchiveLimits::default()
    };
    let outer = tempfile::tempdir().expect("tempdir");
    let mut random = Random(0x5EED);
    let mut extracted = 0;
    for round in 0..MUTATIONS {
        let mut archive = good.clone();
        random.mutate(&mut archive);
        let Ok(plan) = inspect(Cursor::new(&archive), &limits) else {
            continue;
        };
        let into = outer.path().join("inside");
        let outcome = extract(Cursor::new(&archive), &plan, &into);
        let beside = fs::read_dir(outer.path()).expect("list").count();
        if outcome.is_err() {
            assert_eq!(beside, 0, "round {round}");
            continue;
        }
        assert_eq!(beside, 1, "round {round}");
        assert_eq!(bytes_below(&into), plan.total_bytes(), "round {round}");
        assert!(plan.total_bytes() <= limits.max_total_bytes);
        fs::remove_dir_all(&into).expect("remove");
        extracted += 1;
    }
    // Some mutations hit what nobody reads, such as times: the loop has really extracted.
    assert!(extracted > 100, "only {extracted} were acceptable");
}
