//! The front door: a small, bounded HTTP/1.1 server and the API's routes.
