//! A request as a handler sees it.

use std::net::SocketAddr;

use super::body::Body;
use super::method::Method;
use super::parse::{Head, Headers, Repeated, Version};
use super::server::Watch;
use crate::base::cancel::Cancel;

/// The head, the body that is still to be read, and the client.
pub struct Request<'c> {
    head: Head,
    peer: SocketAddr,
    is_tls: bool,
    body: Body<'c>,
    watch: Watch<'c>,
}

impl<'c> Request<'c> {
    pub(super) fn new(
        head: Head,
        peer: SocketAddr,
        is_tls: bool,
        body: Body<'c>,
        watch: Watch<'c>,
    ) -> Request<'c> {
        Request {
            head,
            peer,
            is_tls,
            body,
            watch,
        }
    }

    /// What to do.
    pub fn method(&self) -> Method {
        self.head.method
    }

    /// HTTP/1.0 or 1.1.
    pub fn version(&self) -> Version {
        self.head.version
    }

    /// The path as it came, without the query.
    pub fn raw_path(&self) -> &str {
        &self.head.target.raw_path
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
    pub fn query_all<'a>(&'a self, key: &str) -> impl Iterator<Item = &'a str> {
        self.query()
            .iter()
            .filter(move |(found, _)| found == key)
            .map(|(_, value)| value.as_str())
    }

    /// The header lines.
    pub fn headers(&self) -> &Headers {
        &self.head.headers
    }

    /// The value of a header that may stand once at the most.
    ///
    /// # Errors
    /// [`Repeated`] when it stands more than once.
    pub fn header(&self, name: &str) -> Result<Option<&str>, Repeated> {
        self.head.headers.at_most_one(name)
    }

    /// The client's address, or that of the proxy in front of us.
    pub fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// Whether it came through TLS.
    pub fn is_tls(&self) -> bool {
        self.is_tls
    }

    /// The body, to be read at most once.
    pub fn body(&mut self) -> &mut Body<'c> {
        &mut self.body
    }

    /// A token that is pulled when the client closes or resets the connection, or ends its
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
