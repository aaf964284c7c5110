//! Why a request head is refused, and what the client is told.

use crate::http::status::Status;

/// A refused head. The text is for the client: it names the rule, never the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum HeadError {
    /// A line ends in LF alone.
    #[error("a line ends without a carriage return")]
    BareLineFeed,
    /// A carriage return that no line feed follows.
    #[error("a carriage return stands alone")]
    BareCarriageReturn,
    /// NUL, DEL or another control byte.
    #[error("the head has a control byte")]
    ControlByte,
    /// A header continued on a second line (obs-fold).
    #[error("a header is continued on a second line")]
    FoldedHeader,
    /// Something that is no request line.
    #[error("the request line is malformed")]
    RequestLine,
    /// A header line without a proper name and colon.
    #[error("a header line is malformed")]
    HeaderLine,
    /// A header value that is not UTF-8.
    #[error("a header value is not UTF-8")]
    HeaderEncoding,
    /// A method this server does not implement.
    #[error("the method is not implemented")]
    Method,
    /// A version other than HTTP/1.0 and HTTP/1.1.
    #[error("the protocol version is not supported")]
    Version,
    /// A target that is neither a path nor an http URI.
    #[error("the request target is malformed")]
    Target,
    /// A percent escape that is none, or that decodes to no text.
    #[error("the request target has an invalid percent escape")]
    TargetEscape,
    /// HTTP/1.1 without Host.
    #[error("the Host header is missing")]
    HostMissing,
    /// More than one Host.
    #[error("the Host header is repeated")]
    HostRepeated,
    /// A Host that names no host.
    #[error("the Host header is malformed")]
    HostMalformed,
    /// Both ways of framing at once.
    #[error("the request has both Content-Length and Transfer-Encoding")]
    LengthAndEncoding,
    /// More than one Content-Length, even if they agree.
    #[error("the Content-Length header is repeated")]
    LengthRepeated,
    /// A Content-Length that is not 1 to 19 digits.
    #[error("the Content-Length header is malformed")]
    LengthMalformed,
    /// A Transfer-Encoding other than one `chunked`.
    #[error("the transfer encoding is not exactly one 'chunked'")]
    Encoding,
    /// Transfer-Encoding in an HTTP/1.0 request.
    #[error("HTTP/1.0 has no transfer encoding")]
    EncodingInOldVersion,
    /// An Expect other than `100-continue`.
    #[error("the expectation is not supported")]
    Expectation,
    /// Over the limit on the head's bytes.
    #[error("the request head is too large")]
    HeadTooLarge,
    /// Over the limit on header lines.
    #[error("the request has too many headers")]
    TooManyHeaders,
    /// Over the limit on the target's bytes.
    #[error("the request target is too long")]
    TargetTooLong,
}

impl HeadError {
    /// The status of the answer.
    pub(crate) const fn status(self) -> Status {
        self.answer().0
    }

    /// The `code` of the JSON error.
    pub(crate) const fn code(self) -> &'static str {
        self.answer().1
    }

    const fn answer(self) -> (Status, &'static str) {
        match self {
            HeadError::BareLineFeed
            | HeadError::BareCarriageReturn
            | HeadError::ControlByte
            | HeadError::FoldedHeader
            | HeadError::RequestLine
            | HeadError::HeaderLine
            | HeadError::HeaderEncoding
            | HeadError::Target
            | HeadError::TargetEscape
            | HeadError::HostMissing
            | HeadError::HostRepeated
            | HeadError::HostMalformed
            | HeadError::LengthAndEncoding
            | HeadError::LengthRepeated
            | HeadError::LengthMalformed
            | HeadError::Encoding
            | HeadError::EncodingInOldVersion => (Status::BadRequest, "malformed_request"),
            HeadError::Method => (Status::NotImplemented, "method_not_implemented"),
            HeadError::Version => (Status::HttpVersionNotSupported, "version_not_supported"),
            HeadError::Expectation => (Status::ExpectationFailed, "expectation_failed"),
            HeadError::HeadTooLarge | HeadError::TooManyHeaders => (
                Status::RequestHeaderFieldsTooLarge,
                "request_head_too_large",
            ),
            HeadError::TargetTooLong => (Status::UriTooLong, "request_target_too_long"),
        }
    }

    /// What the client can do about it.
    pub(crate) const fn hint(self) -> &'static str {
        match self {
            HeadError::ControlByte | HeadError::RequestLine => {
                "this port speaks HTTP/1.1; a TLS or HTTP/2 client needs another one"
            }
            HeadError::Version => "use HTTP/1.1",
            HeadError::Method => "use GET, HEAD, POST, PUT, PATCH, DELETE or OPTIONS",
            HeadError::Expectation => "send no Expect header, or 100-continue",
            HeadError::HeadTooLarge | HeadError::TooManyHeaders => "send fewer or shorter headers",
            HeadError::TargetTooLong => "move the arguments into the request body",
            HeadError::LengthAndEncoding
            | HeadError::LengthRepeated
            | HeadError::LengthMalformed
            | HeadError::Encoding
            | HeadError::EncodingInOldVersion => {
                "frame the body by one Content-Length or by 'Transfer-Encoding: chunked'"
            }
            HeadError::HostMissing | HeadError::HostRepeated | HeadError::HostMalformed => {
                "send exactly one Host header"
            }
            HeadError::Target | HeadError::TargetEscape => {
                "percent-encode the path and query as UTF-8"
            }
            HeadError::BareLineFeed
            | HeadError::BareCarriageReturn
            | HeadError::FoldedHeader
            | HeadError::HeaderLine
            | HeadError::HeaderEncoding => "send the request as RFC 9112 frames it",
        }
    }
}
