//! Reports on an access log in the combined format, read from standard input.
//!
//! usage: report [--top N] < access.log
//!
//! Exit codes: 0 for a report, 1 when no line could be read, 2 for wrong arguments.

use std::collections::{HashMap, HashSet};
use std::env;
use std::io::{self, BufRead, Write};
use std::process::ExitCode;

/// What the report says of one line.
struct Entry<'a> {
    address: &'a [u8],
    /// Without its query; absent when the request line is none.
    path: Option<&'a [u8]>,
    /// First digit of the status.
    class: u8,
    bytes: u64,
}

#[derive(Default)]
struct Totals {
    requests: u64,
    unreadable: u64,
    bytes: u64,
    classes: [u64; 5],
    addresses: HashSet<Vec<u8>>,
    paths: HashMap<Vec<u8>, u64>,
}

fn main() -> ExitCode {
    let Some(top) = top_argument(env::args().skip(1)) else {
        eprintln!("usage: report [--top N] < access.log");
        return ExitCode::from(2);
    };
    let totals = match read(io::stdin().lock()) {
        Ok(totals) => totals,
        Err(error) => {
            eprintln!("cannot read the log: {error}");
            return ExitCode::FAILURE;
        }
    };
    if totals.unreadable > 0 {
        eprintln!("{} lines could not be read", totals.unreadable);
    }
    if totals.requests == 0 {
        return ExitCode::FAILURE;
    }
    match print(&totals, top) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn top_argument(mut arguments: impl Iterator<Item = String>) -> Option<usize> {
    match (arguments.next(), arguments.next(), arguments.next()) {
        (None, None, None) => Some(10),
        (Some(name), Some(number), None) if name == "--top" => number.parse().ok(),
        _ => None,
    }
}

fn read(mut log: impl BufRead) -> io::Result<Totals> {
    let mut totals = Totals::default();
    let mut line = Vec::new();
    while log.read_until(b'\n', &mut line)? > 0 {
        match parse(&line) {
            Some(entry) => totals.add(&entry),
            None => totals.unreadable += 1,
        }
        line.clear();
    }
    Ok(totals)
}

impl Totals {
    fn add(&mut self, entry: &Entry) {
        self.requests += 1;
        self.bytes += entry.bytes;
        self.classes[usize::from(entry.class - b'1')] += 1;
        if !self.addresses.contains(entry.address) {
            self.addresses.insert(entry.address.to_vec());
        }
        if let Some(path) = entry.path {
            match self.paths.get_mut(path) {
                Some(count) => *count += 1,
                None => {
                    self.paths.insert(path.to_vec(), 1);
                }
            }
        }
    }
}

/// `address identity user [time] "request" status bytes …`
fn parse(line: &[u8]) -> Option<Entry<'_>> {
    let line = line.trim_ascii_end();
    let (head, rest) = split_once(line, b" [")?;
    let (_, rest) = split_once(rest, b"] \"")?;
    let (request, rest) = split_once(rest, b"\" ")?;
    let mut fields = rest.split(|&b| b == b' ');
    let (status, bytes) = (fields.next()?, fields.next()?);
    let is_status = status.len() == 3 && status.iter().all(u8::is_ascii_digit);
    if !is_status || !(b'1'..=b'5').contains(&status[0]) {
        return None;
    }
    let mut request = request.split(|&b| b == b' ');
    let path = match (request.next(), request.next(), request.next(), request.next()) {
        (Some(_), Some(target), Some(_), None) => target.split(|&b| b == b'?').next(),
        _ => None,
    };
    Some(Entry {
        address: head.split(|&b| b == b' ').next()?,
        path,
        class: status[0],
        bytes: match bytes {
            b"-" => 0,
            digits => std::str::from_utf8(digits).ok()?.parse().ok()?,
        },
    })
}

fn split_once<'a>(text: &'a [u8], separator: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let at = text.windows(separator.len()).position(|part| part == separator)?;
    Some((&text[..at], &text[at + separator.len()..]))
}

fn print(totals: &Totals, top: usize) -> io::Result<()> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    let errors = totals.classes[3] + totals.classes[4];
    writeln!(out, "requests   {}", totals.requests)?;
    writeln!(out, "clients    {}", totals.addresses.len())?;
    writeln!(out, "bytes      {}", totals.bytes)?;
    let rate = 100.0 * errors as f64 / totals.requests as f64;
    writeln!(out, "error rate {rate:.2}%")?;
    for (class, count) in (1..).zip(totals.classes) {
        if count > 0 {
            writeln!(out, "{class}xx        {count}")?;
        }
    }
    writeln!(out, "top {top} paths")?;
    let mut paths: Vec<_> = totals.paths.iter().collect();
    paths.sort_by(|(left, a), (right, b)| b.cmp(a).then(left.cmp(right)));
    for (path, count) in paths.into_iter().take(top) {
        writeln!(out, "{count:8} {}", String::from_utf8_lossy(path))?;
    }
    out.flush()
}
