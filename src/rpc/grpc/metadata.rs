//! What goes beside messages: requests and answers as header fields, deadlines, statuses.

use std::time::Duration;

use super::status::{Code, Status};
use crate::rpc::h2::session::Header;

const CONTENT_TYPE: &[u8] = b"application/grpc";
/// The most that the standard lets a deadline have.
const TIMEOUT_DIGITS_MOST: u128 = 99_999_999;

/// A request as it came in.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Request {
    /// `/package.Service/Method`.
    pub path: String,
    /// Until when its caller waits for it, from its arrival on.
    pub timeout: Option<Duration>,
}

/// Why a request is none of gRPC: what to answer in plain HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoRequest {
    /// 405: gRPC is POST alone.
    Method,
    /// 415, as the standard says.
    ContentType,
    /// `INVALID_ARGUMENT`: a deadline that is none.
    Timeout,
}

/// The fields of a request.
pub(crate) fn request(
    scheme: &str,
    authority: &str,
    path: &str,
    timeout: Option<Duration>,
) -> Vec<Header> {
    let mut headers = vec![
        header(":method", "POST"),
        header(":scheme", scheme),
        header(":path", path),
        header(":authority", authority),
        header("te", "trailers"),
        header("content-type", "application/grpc"),
        header(
            "user-agent",
            concat!("grpc-flux/", env!("CARGO_PKG_VERSION")),
        ),
    ];
    if let Some(timeout) = timeout {
        headers.push(header("grpc-timeout", &timeout_text(timeout)));
    }
    headers
}

/// The fields of an answer before its messages.
pub(crate) fn response() -> Vec<Header> {
    vec![
        header(":status", "200"),
        header("content-type", "application/grpc"),
    ]
}

/// The fields of an answer that has no messages ("Trailers-Only").
pub(crate) fn response_of(status: &Status) -> Vec<Header> {
    let mut headers = response();
    if status.code == Code::Unimplemented {
        // It may be about how a message is compressed: then its sender has to learn how it may be.
        headers.push(header("grpc-accept-encoding", "identity"));
    }
    headers.extend(trailers(status));
    headers
}

/// The fields of an answer to what is no gRPC.
pub(crate) fn response_of_http(refused: NoRequest) -> Vec<Header> {
    let status = match refused {
        NoRequest::Method => "405",
        NoRequest::ContentType => "415",
        NoRequest::Timeout => {
            let status = Status::new(Code::InvalidArgument, "grpc-timeout cannot be read");
            return response_of(&status);
        }
    };
    vec![header(":status", status)]
}

/// The fields after the messages of an answer.
pub(crate) fn trailers(status: &Status) -> Vec<Header> {
    let mut headers = vec![header("grpc-status", &status.code.number().to_string())];
    if !status.message.is_empty() {
        headers.push(header("grpc-message", &escaped(&status.message)));
    }
    if !status.details.is_empty() {
        let text = openssl::base64::encode_block(&status.details);
        headers.push(header(
            "grpc-status-details-bin",
            text.trim_end_matches('='),
        ));
    }
    headers
}

/// # Errors
/// See [`NoRequest`].
pub(crate) fn read_request(headers: &[Header]) -> Result<Request, NoRequest> {
    if find(headers, ":method") != Some(b"POST") {
        return Err(NoRequest::Method);
    }
    if !find(headers, "content-type").is_some_and(is_grpc) {
        return Err(NoRequest::ContentType);
    }
    let timeout = match find(headers, "grpc-timeout") {
        Some(text) => Some(read_timeout(text).ok_or(NoRequest::Timeout)?),
        None => None,
    };
    let path = find(headers, ":path").unwrap_or_default();
    Ok(Request {
        path: String::from_utf8_lossy(path).into_owned(),
        timeout,
    })
}

/// Of the fields before an answer's messages, what is wrong with them. What does not speak gRPC gets a
/// code by its HTTP status, as the standard's doc/http-grpc-status-mapping.md has it.
///
/// # Errors
/// The call's end.
pub(crate) fn check_response(headers: &[Header]) -> Result<(), Status> {
    let http = find(headers, ":status").unwrap_or_default();
    if http == b"200" && find(headers, "content-type").is_some_and(is_grpc) {
        return Ok(());
    }
    let code = match http {
        b"400" => Code::Internal,
        b"401" => Code::Unauthenticated,
        b"403" => Code::PermissionDenied,
        b"404" => Code::Unimplemented,
        b"429" | b"502" | b"503" | b"504" => Code::Unavailable,
        _ => Code::Unknown,
    };
    let text = format!(
        "the answer is not of gRPC (HTTP status {})",
        String::from_utf8_lossy(http)
    );
    Err(Status::new(code, text))
}

/// The status among an answer's last fields; `None` where there is none.
pub(crate) fn read_status(headers: &[Header]) -> Option<Status> {
    let number = std::str::from_utf8(find(headers, "grpc-status")?).ok()?;
    let code = Code::of_number(number.parse().unwrap_or(usize::MAX));
    let message = find(headers, "grpc-message").map(unescaped);
    let details = find(headers, "grpc-status-details-bin").and_then(read_binary);
    Some(Status {
        code,
        message: message.unwrap_or_default(),
        details: details.unwrap_or_default(),
    })
}

fn header(name: &str, value: &str) -> Header {
    Header {
        name: name.as_bytes().to_vec(),
        value: value.as_bytes().to_vec(),
    }
}

fn find<'a>(headers: &'a [Header], name: &str) -> Option<&'a [u8]> {
    let found = headers.iter().find(|it| it.name == name.as_bytes());
    found.map(|it| it.value.as_slice())
}

/// `application/grpc`, with `+proto`, `;…` or nothing after it.
fn is_grpc(content_type: &[u8]) -> bool {
    content_type
        .strip_prefix(CONTENT_TYPE)
        .is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';')))
}

/// Whole milliseconds where they fit, as other implementations send them; upwards, so that the other end
/// does not give up before this one.
fn timeout_text(timeout: Duration) -> String {
    let units = [
        (timeout.as_nanos().div_ceil(1_000_000), 'm'),
        (timeout.as_nanos().div_ceil(1_000_000_000), 'S'),
    ];
    let fitting = units
        .into_iter()
        .find(|(count, _)| *count <= TIMEOUT_DIGITS_MOST);
    let (count, unit) = fitting.unwrap_or((TIMEOUT_DIGITS_MOST, 'H'));
    format!("{count}{unit}")
}

fn read_timeout(text: &[u8]) -> Option<Duration> {
    let (&unit, digits) = text.split_last()?;
    if digits.is_empty() || digits.len() > 8 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let count: u64 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    match unit {
        b'H' => Some(Duration::from_secs(count * 3600)),
        b'M' => Some(Duration::from_secs(count * 60)),
        b'S' => Some(Duration::from_secs(count)),
        b'm' => Some(Duration::from_millis(count)),
        b'u' => Some(Duration::from_micros(count)),
        b'n' => Some(Duration::from_nanos(count)),
        _ => None,
    }
}

/// Percent-encoding as the standard has it for `grpc-message`: everything but printable ASCII, and `%`.
fn escaped(message: &str) -> String {
    let mut text = String::with_capacity(message.len());
    for byte in message.bytes() {
        match byte {
            b'%' | 0..0x20 | 0x7f.. => text.push_str(&format!("%{byte:02X}")),
            _ => text.push(char::from(byte)),
        }
    }
    text
}

/// What is no escape stands for itself, and what is no UTF-8 is replaced: a message is for people, and
/// none is lost over its form.
fn unescaped(value: &[u8]) -> String {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value;
    while let Some((&first, after)) = rest.split_first() {
        let escape = (first == b'%')
            .then(|| after.get(..2))
            .flatten()
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match escape {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Base64, with padding or without, as the standard wants both to be read.
fn read_binary(value: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(value).ok()?.trim_end_matches('=');
    let padding = match text.len() % 4 {
        // No number of bytes has such a text.
        1 => return None,
        rest => (4 - rest) % 4,
    };
    let padded = format!("{text}{}", &"==="[..padding]);
    openssl::base64::decode_block(&padded).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deadlines_are_read_and_written_in_every_unit() {
        let ms = Duration::from_millis;
        for (text, duration) in [
            ("1H", ms(3_600_000)),
            ("2M", ms(120_000)),
            ("3S", ms(3000)),
            ("4m", ms(4)),
            ("5u", Duration::from_micros(5)),
            ("99999999n", Duration::from_nanos(99_999_999)),
        ] {
            assert_eq!(read_timeout(text.as_bytes()), Some(duration), "{text}");
        }
        for text in [
            "",
            "m",
            "1",
            "1x",
            "-1m",
            "+1m",
            "123456789m",
            "1.5S",
            "1 m",
        ] {
            assert_eq!(read_timeout(text.as_bytes()), None, "{text}");
        }
        assert_eq!(timeout_text(Duration::from_micros(1)), "1m");
        assert_eq!(timeout_text(ms(1500)), "1500m");
        assert_eq!(timeout_text(Duration::from_secs(100_000)), "100000S");
        assert_eq!(timeout_text(Duration::MAX), "99999999H");
    }

    #[test]
    fn a_status_survives_its_trailers() {
        for message in ["", "plain", "100 % größer\n", "%zz %4", "\u{1F980}"] {
            for details in [&b""[..], b"\x00", b"\x01\x02", b"\xff\x00\xfe", b"1234"] {
                let status = Status {
                    code: Code::NotFound,
                    message: message.to_owned(),
                    details: details.to_vec(),
                };
                assert_eq!(read_status(&trailers(&status)), Some(status));
            }
        }
    }

    #[test]
    fn who_uses_what_there_is_not_learns_which_encodings_there_are() {
        let of = |code| response_of(&Status::new(code, ""));
        let encodings = of(Code::Unimplemented);
        assert_eq!(
            find(&encodings, "grpc-accept-encoding"),
            Some(&b"identity"[..])
        );
        assert_eq!(find(&of(Code::Internal), "grpc-accept-encoding"), None);
    }

    #[test]
    fn binary_metadata_is_read_with_padding_too() {
        assert_eq!(read_binary(b"AQ=="), Some(vec![1]));
        assert_eq!(read_binary(b"AQ"), Some(vec![1]));
        assert_eq!(read_binary(b"A"), None);
        assert_eq!(read_binary(b"A!=="), None);
    }

    #[test]
    fn what_is_no_grpc_is_told_apart() {
        let with = |name: &str, value: &str| {
            let mut headers = request("https", "a", "/p.S/M", Some(Duration::from_secs(1)));
            let place = headers.iter_mut().find(|it| it.name == name.as_bytes());
            place.expect("a field").value = value.as_bytes().to_vec();
            read_request(&headers)
        };
        let fine = with(":path", "/flux.AgentService/Drain").expect("a request");
        assert_eq!(fine.path, "/flux.AgentService/Drain");
        assert_eq!(fine.timeout, Some(Duration::from_secs(1)));
        assert!(with("content-type", "application/grpc+proto").is_ok());
        assert_eq!(with(":method", "GET"), Err(NoRequest::Method));
        for other in ["application/grpc-web", "text/html", ""] {
            assert_eq!(with("content-type", other), Err(NoRequest::ContentType));
        }
        assert_eq!(with("grpc-timeout", "soon"), Err(NoRequest::Timeout));
    }

    #[test]
    fn an_answer_that_is_no_grpc_gets_a_code_by_its_http_status() {
        let of = |status: &str| check_response(&[header(":status", status)]);
        assert_eq!(of("503").expect_err("no").code, Code::Unavailable);
        assert_eq!(of("404").expect_err("no").code, Code::Unimplemented);
        assert_eq!(of("200").expect_err("no").code, Code::Unknown);
        assert_eq!(check_response(&response()), Ok(()));
        let bad = [header("grpc-status", "99")];
        assert_eq!(read_status(&bad).expect("one").code, Code::Unknown);
        assert_eq!(read_status(&response()), None);
    }
}
