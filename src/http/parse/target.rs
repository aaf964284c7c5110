//! The request target (RFC 9112 section 3.2): a path with a query, an absolute http URI, or `*`.

use super::error::HeadError;
use super::percent::decode;
use crate::http::method::Method;

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    /// The path as it came, without the query: `/functions/a%2Fb`, or `*`.
    pub raw_path: String,
    /// The path decoded as a whole. To tell an escaped slash from a separator, use the segments.
    pub path: String,
    /// The path's segments, each decoded: `["functions", "a/b"]`. `/` has none; an empty segment
    /// (`//`, or a slash at the end) stays, as an empty text.
    pub segments: Vec<String>,
    /// The query's pairs in order, decoded, `+` as a space; a key without `=` has an empty value.
    pub query: Vec<(String, String)>,
}

/// Reads a target that httparse has found to be without spaces and controls.
pub(super) fn parse_target(raw: &str, method: Method) -> Result<Target, HeadError> {
    if !raw.is_ascii() || raw.contains('#') {
        return Err(HeadError::Target);
    }
    if raw == "*" {
        return asterisk(method);
    }
    let origin_form = if raw.starts_with('/') {
        raw
    } else {
        path_of_absolute(raw)?
    };
    let (raw_path, raw_query) = origin_form.split_once('?').unwrap_or((origin_form, ""));
    // `http://host` alone, or `http://host?query`: the path is empty, which means the root.
    let raw_path = if raw_path.is_empty() { "/" } else { raw_path };
    let path = decode(raw_path, false).map_err(|_| HeadError::TargetEscape)?;
    if path.contains(|c: char| c.is_ascii_control()) {
        return Err(HeadError::TargetEscape);
    }
    Ok(Target {
        segments: segments(raw_path)?,
        path,
        raw_path: raw_path.to_owned(),
        query: query(raw_query)?,
    })
}

fn asterisk(method: Method) -> Result<Target, HeadError> {
    if method != Method::Options {
        return Err(HeadError::Target);
    }
    Ok(Target {
        raw_path: "*".to_owned(),
        path: "*".to_owned(),
        segments: Vec::new(),
        query: Vec::new(),
    })
}

/// What follows the authority of `http://authority/path?query`. The authority replaces Host for
/// whoever needs it (RFC 9112 section 3.2.2); this server has one site and does not.
fn path_of_absolute(raw: &str) -> Result<&str, HeadError> {
    let (scheme, rest) = raw.split_once("://").ok_or(HeadError::Target)?;
    if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
        return Err(HeadError::Target);
    }
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    // User information in a request is refused: RFC 9110 section 4.2.4.
    if authority.is_empty() || !is_host(authority) {
        return Err(HeadError::Target);
    }
    Ok(path)
}

/// Whether the text has only what a host with an optional port can have (RFC 3986 section 3.2).
pub(super) fn is_host(text: &str) -> bool {
    text.bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:[]%".contains(&byte))
}

fn segments(raw_path: &str) -> Result<Vec<String>, HeadError> {
    if raw_path == "/" {
        return Ok(Vec::new());
    }
    raw_path
        .split('/')
        .skip(1)
        .map(|segment| decode(segment, false).map_err(|_| HeadError::TargetEscape))
        .collect()
}

fn query(raw: &str) -> Result<Vec<(String, String)>, HeadError> {
    raw.split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            Ok((decode(key, true)?, decode(value, true)?))
        })
        .collect::<Result<_, super::percent::DecodeError>>()
        .map_err(|_| HeadError::TargetEscape)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(raw: &str) -> Result<Target, HeadError> {
        parse_target(raw, Method::Get)
    }

    #[test]
    fn path_and_query_are_decoded_and_repeated_keys_keep_their_order() {
        let target = get("/execute/a%2Fb/?arg=1&arg=a+b%26&x&&arg=").expect("well-formed");
        assert_eq!(target.raw_path, "/execute/a%2Fb/");
        assert_eq!(target.path, "/execute/a/b/");
        assert_eq!(target.segments, ["execute", "a/b", ""]);
        let query: Vec<_> = target
            .query
            .iter()
            .map(|(k, v)| (k.as_str(), v.as_str()))
            .collect();
        assert_eq!(
            query,
            [("arg", "1"), ("arg", "a b&"), ("x", ""), ("arg", "")]
        );
        assert_eq!(get("/").expect("root").segments, [""; 0]);
    }

    #[test]
    fn an_absolute_target_is_reduced_to_its_path() {
        for (raw, path) in [
            ("http://host", "/"),
            ("HTTP://host:7227/health?x=1", "/health"),
            ("https://[::1]:7227/a/b", "/a/b"),
            ("http://host?x=/", "/"),
        ] {
            assert_eq!(get(raw).expect(raw).path, path, "{raw}");
        }
        assert_eq!(get("http://h/?a=b").expect("query").query.len(), 1);
    }

    #[test]
    fn what_is_neither_is_refused() {
        for raw in [
            "",
            "health",
            "host:7227",
            "http://",
            "http:///x",
            "ftp://host/",
            "http://me:pw@host/",
            "/a#b",
            "/é",
            "*",
            "?x=1",
            "http:/host/",
        ] {
            assert_eq!(get(raw), Err(HeadError::Target), "{raw}");
        }
        for raw in ["/%", "/%zz", "/%ff", "/?a=%", "/%00", "/%0a", "/?%C3=1"] {
            assert_eq!(get(raw), Err(HeadError::TargetEscape), "{raw}");
        }
        assert_eq!(parse_target("*", Method::Options).expect("legal").path, "*");
    }
}
