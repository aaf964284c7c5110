//! What serves requests: the router, or a test.

use super::request::Request;
use super::response::Response;

/// Called on a worker's thread, for many requests at once. A panic ends the daemon.
pub trait Handler: Send + Sync {
    /// Answers one request. The head is complete; the body has not been read, so that a request
    /// can be refused before its body costs anything. A body left unread is thrown away if it
    /// is small and at hand, and closes the connection otherwise.
    fn handle(&self, request: &mut Request<'_>) -> Response;
}

impl<F> Handler for F
where
    F: Fn(&mut Request<'_>) -> Response + Send + Sync,
{
    fn handle(&self, request: &mut Request<'_>) -> Response {
        self(request)
    }
}
