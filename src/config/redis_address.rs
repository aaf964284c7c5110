//! Where a Redis server is, in all the forms in which people write it.

use std::fmt;

use super::secret::Secret;

/// Redis's own port.
const DEFAULT_PORT: u16 = 6379;

/// A checked address. `Debug` and `Display` leave the password out.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct RedisAddress {
    url: Secret,
    shown: String,
}

impl RedisAddress {
    /// Reads `host:port`, `redis://[user:password@]host[:port][/database]`, the same with
    /// `rediss://` (TLS), and `unix:/path`.
    ///
    /// # Errors
    /// What was expected; never the text, which may hold a password.
    pub(crate) fn parse(text: &str) -> Result<RedisAddress, String> {
        let text = text.trim();
        if let Some(path) = text.strip_prefix("unix:") {
            return unix(path.strip_prefix("//").unwrap_or(path));
        }
        for scheme in ["redis://", "rediss://"] {
            if let Some(rest) = text.strip_prefix(scheme) {
                return tcp(scheme, rest);
            }
        }
        if text.contains("://") {
            return Err(expected("one of its forms"));
        }
        if text.contains(['/', '@']) || host_and_port(text, None).is_none() {
            return Err(expected("a port after the host"));
        }
        tcp("redis://", text)
    }

    /// For a Redis client: `redis://`, `rediss://` or `unix://`, with the password.
    #[cfg(test)]
    pub(crate) fn url(&self) -> &Secret {
        &self.url
    }
}

impl fmt::Display for RedisAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Debug for RedisAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RedisAddress({})", self.shown)
    }
}

fn unix(path: &str) -> Result<RedisAddress, String> {
    if !path.starts_with('/') {
        return Err(expected("an absolute path after unix:"));
    }
    let url = format!("unix://{path}");
    Ok(RedisAddress {
        shown: url.clone(),
        url: Secret::new(url),
    })
}

fn tcp(scheme: &str, rest: &str) -> Result<RedisAddress, String> {
    let (credentials, rest) = match rest.rsplit_once('@') {
        Some((credentials, rest)) => (Some(credentials), rest),
        None => (None, rest),
    };
    let (authority, database) = rest.split_once('/').unwrap_or((rest, ""));
    let (host, port) = host_and_port(authority, Some(DEFAULT_PORT))
        .ok_or_else(|| expected("a host name or address, and a port from 1 to 65535"))?;
    if !database.is_empty() && database.parse::<u8>().is_err() {
        return Err(expected("a database number after the /"));
    }
    let end = match database {
        "" => String::new(),
        number => format!("/{number}"),
    };
    let credentials = credentials.map_or(String::new(), |text| format!("{text}@"));
    Ok(RedisAddress {
        shown: format!("{scheme}{host}:{port}{end}"),
        url: Secret::new(format!("{scheme}{credentials}{host}:{port}{end}")),
    })
}

fn host_and_port(text: &str, default_port: Option<u16>) -> Option<(&str, u16)> {
    let bracket = text.rfind(']').map_or(0, |end| end + 1);
    let (host, port) = match text[bracket..].rfind(':') {
        Some(colon) => {
            let (host, port) = text.split_at(bracket + colon);
            (host, port[1..].parse().ok()?)
        }
        None => (text, default_port?),
    };
    let is_ipv6 = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .is_some_and(|host| host.parse::<std::net::Ipv6Addr>().is_ok());
    let is_name = !host.is_empty()
        && host
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "-._".contains(c));
    (port != 0 && (is_ipv6 || is_name)).then_some((host, port))
}

fn expected(what: &str) -> String {
    format!(
        "expected {what}: host:port, redis://[user:password@]host:port/database, rediss://… or unix:/path"
    )
}
