//! What the attacker knows: `name=value` arguments, some names more than once.
//!
//! Invariant: an attempt that needs to be told something it was not says so; it never guesses.

/// See the module's text.
#[derive(Debug)]
pub struct Told(Vec<(String, String)>);

impl Told {
    /// Arguments without `=` have an empty value.
    pub fn new(arguments: impl Iterator<Item = String>) -> Told {
        Told(
            arguments
                .map(|argument| match argument.split_once('=') {
                    Some((name, value)) => (name.to_owned(), value.to_owned()),
                    None => (argument, String::new()),
                })
                .collect(),
        )
    }

    /// The first value of that name.
    pub fn one(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// Every value of that name.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0
            .iter()
            .filter(move |(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// Values of the form `label:value`.
    pub fn labelled<'a>(&'a self, name: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.all(name).filter_map(|value| value.split_once(':'))
    }

    /// A number of that name.
    pub fn number(&self, name: &str) -> Option<u64> {
        self.one(name)?.parse().ok()
    }

    /// A process's number.
    pub fn pid(&self, name: &str) -> Option<i32> {
        self.one(name)?.parse().ok()
    }

    /// Whether an attempt is asked for: `only=<start of its name>` asks for some.
    pub fn wants(&self, attempt: &str) -> bool {
        let mut only = self.all("only").peekable();
        only.peek().is_none() || only.any(|start| attempt.starts_with(start))
    }
}
