//! A request in the making, before it is sent.

use ureq::http::Method;

/// Method, path, query and headers; whoever sends it has the body.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(super) method: Method,
    path: String,
    query: String,
    pub(super) headers: Vec<(&'static str, String)>,
}

impl Call {
    /// `path` starts with a slash; whoever puts an id into it has checked that it is one.
    pub(crate) fn new(method: Method, path: impl Into<String>) -> Call {
        Call {
            method,
            path: path.into(),
            query: String::new(),
            headers: Vec::new(),
        }
    }

    /// Adds `name=value` to the query, escaped.
    #[must_use]
    pub(crate) fn query(mut self, name: &str, value: &str) -> Call {
        let separator = if self.query.is_empty() { '?' } else { '&' };
        self.query
            .push_str(&format!("{separator}{name}={}", escape(value)));
        self
    }

    #[must_use]
    pub(crate) fn header(mut self, name: &'static str, value: impl Into<String>) -> Call {
        self.headers.push((name, value.into()));
        self
    }

    /// For messages: `GET /executions`, without the query, which can be long.
    pub(super) fn name(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    pub(super) fn target(&self) -> String {
        format!("{}{}", self.path, self.query)
    }
}

/// Percent-encodes everything but RFC 3986's unreserved characters.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn query_values_cannot_break_out_of_their_place() {
        let call = Call::new(Method::GET, "/x")
            .query("arg", "a b&c=ä")
            .query("arg", "#");
        assert_eq!(call.target(), "/x?arg=a%20b%26c%3D%C3%A4&arg=%23");
    }
}
