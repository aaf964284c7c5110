//! A request as a handler sees it.

use super::body::Body;
use super::method::Method;
use super::parse::{Head, Repeated};
use super::server::Watch;
use crate::base::cancel::Cancel;

/// The head, the body that is still to be read, and the client.
pub struct Request<'c> {
    head: Head,
    is_tls: bool,
    body: Body<'c>,
    watch: Watch<'c>,
}

impl<'c> Request<'c> {
    pub(super) fn new(head: Head, is_tls: bool, body: Body<'c>, watch: Watch<'c>) -> Request<'c> {
        Request {
            head,
            is_tls,
            body,
            watch,
        }
    }

    pub(crate) fn method(&self) -> Method {
        self.head.method
    }

    /// The path, decoded as a whole.
    pub fn path(&self) -> &str {
        &self.head.target.path
    }

    /// The path's segments, each decoded: for routing, since `%2F` is no separator here.
    pub fn segments(&self) -> &[String] {
        &self.head.target.segments
    }

    /// The query's pairs in order, decoded.
    pub fn query(&self) -> &[(String, String)] {
        &self.head.target.query
    }

    /// The values of every pair with that key, in order.
    pub(crate) fn query_all<'a>(&'a self, key: &str) -> impl Iterator<Item = &'a str> {
        self.query()
            .iter()
            .filter(move |(found, _)| found == key)
            .map(|(_, value)| value.as_str())
    }

    /// The value of a header that may stand once at the most.
    ///
    /// # Errors
    /// [`Repeated`] when it stands more than once.
    pub(crate) fn header(&self, name: &str) -> Result<Option<&str>, Repeated> {
        self.head.headers.at_most_one(name)
    }

    /// Whether it came through TLS.
    pub fn is_tls(&self) -> bool {
        self.is_tls
    }

    /// The body, to be read at most once.
    pub fn body(&mut self) -> &mut Body<'c> {
        &mut self.body
    }

    /// A cancel that is pulled when the client closes or resets the connection, or ends its
    /// sending side, and at the latest when the response has been sent. Bytes of a next request
    /// pull nothing. Ask for it after reading the body, as late as the call that may be
    /// cancelled: it costs one system call, and no thread.
    pub fn client_gone(&mut self) -> Cancel {
        self.watch.client_gone()
    }

    pub(super) fn is_watched(&self) -> bool {
        self.watch.is_used()
    }

    pub(super) fn finish_body(&mut self) -> bool {
        self.body.finish()
    }
}
