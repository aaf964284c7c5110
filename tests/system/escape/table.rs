//! The probe's lines, and what they have to be.

use std::collections::BTreeMap;

/// What the probe prints last; without it, it did not get there.
const END: &str = "end of the table";

/// Held back by a network of its own alone: an ordinary function does not try them.
pub const OF_A_NETWORK: [&str; 7] = [
    "socket.abstract",
    "network.interfaces",
    "network.routes",
    "network.elsewhere",
    "network.agent_port",
    "network.control_port",
    "network.abstract_sockets",
];

/// For a function that has one, what to try: all that could lead out of it.
pub fn only_of_a_network() -> impl Iterator<Item = String> {
    let lines = [
        "network.",
        "socket.abstract",
        "socket.any",
        "rpc.",
        "control.",
    ];
    let only = lines.map(|line| format!("only={line}"));
    std::iter::once("network=none".to_owned()).chain(only)
}

/// Name to (word, text).
#[derive(Debug)]
pub struct Table {
    lines: BTreeMap<String, (String, String)>,
    whole: String,
}

impl Table {
    #[track_caller]
    pub fn parse(output: &str) -> Table {
        assert!(
            output.contains(END),
            "the probe ended before its end:\n{output}"
        );
        let lines = output
            .lines()
            .filter(|line| *line != END)
            .map(|line| {
                let (word, rest) = line.split_once(' ').unwrap_or_else(|| panic!("{line:?}"));
                let (name, text) = rest.split_once(": ").unwrap_or_else(|| panic!("{line:?}"));
                (name.to_owned(), (word.to_owned(), text.to_owned()))
            })
            .collect();
        Table {
            lines,
            whole: output.to_owned(),
        }
    }

    /// How many lines there are of each word.
    pub fn summary(&self) -> String {
        let mut counts = BTreeMap::new();
        for (word, _) in self.lines.values() {
            *counts.entry(word.as_str()).or_insert(0) += 1;
        }
        format!("{counts:?}")
    }

    /// Every line is `denied`, but those of `skipped` may be that.
    #[track_caller]
    pub fn expect_denied(&self, skipped: &[&str]) {
        let wrong: Vec<_> = self
            .lines
            .iter()
            .filter(|(name, (word, _))| match word.as_str() {
                "denied" => false,
                "skipped" => !skipped.contains(&name.as_str()),
                _ => true,
            })
            .map(|(name, (word, text))| format!("{word} {name}: {text}"))
            .collect();
        assert!(
            wrong.is_empty(),
            "{} of {} lines:\n{}\n\nthe whole table:\n{}",
            wrong.len(),
            self.lines.len(),
            wrong.join("\n"),
            self.whole
        );
    }

    /// Every line is `ESCAPED`, but those of `others`: whole names, or the starts of some with a `*` at
    /// their end.
    #[track_caller]
    pub fn expect_escaped(&self, others: &[&str]) {
        let is_other = |name: &str| {
            others.iter().any(|other| match other.strip_suffix('*') {
                Some(start) => name.starts_with(start),
                None => name == *other,
            })
        };
        let wrong: Vec<_> = self
            .lines
            .iter()
            .filter(|(name, (word, _))| word != "ESCAPED" && !is_other(name))
            .map(|(name, (word, text))| format!("{word} {name}: {text}"))
            .collect();
        assert!(
            wrong.is_empty(),
            "{} lines have no power:\n{}\n\nthe whole table:\n{}",
            wrong.len(),
            wrong.join("\n"),
            self.whole
        );
    }
}
