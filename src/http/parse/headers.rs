//! The headers of one request: two allocations, however many there are.

use std::ops::Range;

/// The header lines in the order they came. Names compare without regard to case.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Headers {
    text: String,
    lines: Vec<(Range<usize>, Range<usize>)>,
}

/// A header that may stand once stands twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the header is repeated")]
pub(crate) struct Repeated;

impl Headers {
    pub(super) fn with_capacity(lines: usize, bytes: usize) -> Headers {
        Headers {
            text: String::with_capacity(bytes),
            lines: Vec::with_capacity(lines),
        }
    }

    pub(super) fn push(&mut self, name: &str, value: &str) {
        let name_start = self.text.len();
        self.text.push_str(name);
        let value_start = self.text.len();
        self.text.push_str(value);
        self.lines
            .push((name_start..value_start, value_start..self.text.len()));
    }

    /// All lines, as (name, value).
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.lines
            .iter()
            .map(|(name, value)| (&self.text[name.clone()], &self.text[value.clone()]))
    }

    /// The values of every line of that name.
    pub(crate) fn all<'a, 'n>(
        &'a self,
        name: &'n str,
    ) -> impl Iterator<Item = &'a str> + use<'a, 'n> {
        self.iter()
            .filter(move |(found, _)| found.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    /// The first value of that name.
    #[cfg(test)]
    pub(crate) fn first(&self, name: &str) -> Option<&str> {
        self.iter()
            .find(|(found, _)| found.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    /// The value of a header that may stand once at the most, such as a key or a token.
    ///
    /// # Errors
    /// [`Repeated`]: which of several values counts must not depend on who reads them.
    pub(crate) fn at_most_one(&self, name: &str) -> Result<Option<&str>, Repeated> {
        let mut values = self.all(name);
        let value = values.next();
        match values.next() {
            None => Ok(value),
            Some(_) => Err(Repeated),
        }
    }

    /// Whether a header that is a comma-separated list has `token`, in any of its lines.
    pub(crate) fn has_token(&self, name: &str, token: &str) -> bool {
        self.all(name)
            .flat_map(|value| value.split(','))
            .any(|found| found.trim_matches([' ', '\t']).eq_ignore_ascii_case(token))
    }

    /// How many lines there are.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.lines.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lookup_ignores_case_and_tells_a_repeated_header() {
        let mut headers = Headers::default();
        headers.push("X-API-Key", "secret");
        headers.push("Accept", "a");
        headers.push("accept", "b");
        headers.push("Connection", "foo, Keep-Alive");
        assert_eq!(headers.at_most_one("x-api-key"), Ok(Some("secret")));
        assert_eq!(headers.at_most_one("ACCEPT"), Err(Repeated));
        assert_eq!(headers.at_most_one("x-none"), Ok(None));
        assert_eq!(headers.first("ACCEPT"), Some("a"));
        assert_eq!(headers.all("Accept").collect::<Vec<_>>(), ["a", "b"]);
        assert!(headers.has_token("connection", "keep-alive"));
        assert!(!headers.has_token("connection", "close"));
        assert_eq!(headers.len(), 4);
    }
}
