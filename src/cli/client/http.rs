//! The HTTP side: one request each, JSON answers, the API's errors as values.
//!
//! Refuses: redirects (they would take the key elsewhere) and answers without end.

use std::io::Read;
use std::time::Duration;

use serde_json::Value;
use ureq::http::{Method, Request, Response};
use ureq::{Agent, AsSendBody, Body, SendBody};

use crate::base::https::system_tls;
use crate::cli::error::{ApiError, CliError};
use crate::config::secret::Secret;

/// To connect, and for the first byte of an ordinary answer's head.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Between two bytes. A sync answer may be minutes away, but no command here waits for one; a live
/// stream shows a sign of life more often than this, and is taken up again when it does not.
const READ_TIMEOUT: Duration = Duration::from_secs(60);
/// A record with the largest output that an agent keeps, and its escapes.
const MAX_ANSWER_BYTES: u64 = 512 << 20;
/// Of an error that is no Flux's, shown to the user.
const SHOWN_CHARACTERS: usize = 200;

/// One control plane.
#[derive(Debug)]
pub struct Client {
    agent: Agent,
    url: String,
    key: Option<Secret>,
}

/// A request in the making.
#[derive(Debug, Clone)]
pub struct Call {
    method: Method,
    path: String,
    headers: Vec<(&'static str, String)>,
}

impl Call {
    /// `path` starts with a slash; whoever puts ids into it has checked them.
    pub fn new(method: Method, path: impl Into<String>) -> Call {
        Call {
            method,
            path: path.into(),
            headers: Vec::new(),
        }
    }

    /// Adds `?name=value`, escaped.
    #[must_use]
    pub fn query(mut self, name: &str, value: &str) -> Call {
        let separator = if self.path.contains('?') { '&' } else { '?' };
        self.path
            .push_str(&format!("{separator}{name}={}", escape(value)));
        self
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Call {
        self.headers.push((name, value.into()));
        self
    }
}

impl Client {
    /// Nothing is sent before the first call.
    pub fn new(url: String, key: Option<Secret>) -> Client {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .user_agent(concat!("flux/", env!("CARGO_PKG_VERSION")))
            .timeout_connect(Some(CONNECT_TIMEOUT))
            .timeout_per_read(Some(READ_TIMEOUT))
            .tls_config(system_tls())
            .build();
        Client {
            agent: config.new_agent(),
            url,
            key,
        }
    }

    /// Where it talks to.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// A GET's JSON.
    ///
    /// # Errors
    /// As [`Client::json`].
    pub fn get(&self, path: &str) -> Result<Value, CliError> {
        self.json(Call::new(Method::GET, path), ())
    }

    /// A DELETE's JSON.
    ///
    /// # Errors
    /// As [`Client::json`].
    pub fn delete(&self, path: &str) -> Result<Value, CliError> {
        self.json(Call::new(Method::DELETE, path), ())
    }

    /// A POST's JSON, with a JSON body.
    ///
    /// # Errors
    /// As [`Client::json`].
    pub fn post(&self, path: &str, body: &Value) -> Result<Value, CliError> {
        let call = Call::new(Method::POST, path).header("content-type", "application/json");
        self.json(call, body.to_string().as_bytes())
    }

    /// A call's JSON.
    ///
    /// # Errors
    /// No answer, an answer that is no JSON, or the API's refusal.
    pub fn json(&self, call: Call, body: impl AsSendBody) -> Result<Value, CliError> {
        let mut response = self.send(call, body)?;
        let bytes = self.read(&mut response)?;
        serde_json::from_slice(&bytes).map_err(|_| self.protocol("an answer that is no JSON"))
    }

    /// A call's answer as bytes.
    ///
    /// # Errors
    /// No answer, or the API's refusal.
    pub fn bytes(&self, call: Call) -> Result<Vec<u8>, CliError> {
        let mut response = self.send(call, ())?;
        self.read(&mut response)
    }

    /// A call's answer as it comes.
    ///
    /// # Errors
    /// No answer, or the API's refusal.
    pub fn stream(&self, call: Call) -> Result<impl Read + use<>, CliError> {
        Ok(self.send(call, ())?.into_body().into_reader())
    }

    /// A call whose body is read from a file or the like, of a known length.
    ///
    /// # Errors
    /// As [`Client::json`].
    pub fn upload(&self, call: Call, body: impl Read, length: u64) -> Result<Value, CliError> {
        let mut body = body;
        let call = call.header("content-length", length.to_string());
        self.json(call, SendBody::from_reader(&mut body))
    }

    fn send(&self, call: Call, body: impl AsSendBody) -> Result<Response<Body>, CliError> {
        let mut request = Request::builder()
            .method(call.method)
            .uri(format!("{}{}", self.url, call.path));
        if let Some(key) = &self.key {
            request = request.header("x-api-key", key.expose());
        }
        for (name, value) in call.headers {
            request = request.header(name, value);
        }
        let request = request
            .body(body)
            .map_err(|error| CliError::usage(error.to_string(), "header values are plain text"))?;
        let mut response = self.agent.run(request).map_err(self.unreachable())?;
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status().as_u16();
        let bytes = self.read(&mut response)?;
        Err(api_error(status, &bytes).into())
    }

    fn read(&self, response: &mut Response<Body>) -> Result<Vec<u8>, CliError> {
        response
            .body_mut()
            .with_config()
            .limit(MAX_ANSWER_BYTES)
            .read_to_vec()
            .map_err(self.unreachable())
    }

    fn unreachable(&self) -> impl FnOnce(ureq::Error) -> CliError {
        |source| CliError::Unreachable {
            url: self.url.clone(),
            source: Box::new(source),
        }
    }

    fn protocol(&self, what: &str) -> CliError {
        CliError::Protocol {
            url: self.url.clone(),
            what: what.to_owned(),
        }
    }
}

fn api_error(status: u16, body: &[u8]) -> ApiError {
    let value: Value = serde_json::from_slice(body).unwrap_or_default();
    let error = &value["error"];
    let text = |key: &str| error[key].as_str().unwrap_or_default().to_owned();
    let mut message = text("message");
    if message.is_empty() {
        let body = String::from_utf8_lossy(body);
        message = body.trim().chars().take(SHOWN_CHARACTERS).collect();
    }
    for field in error["fields"].as_array().into_iter().flatten() {
        let part = |key: &str| field[key].as_str().unwrap_or_default();
        message.push_str(&format!("\n  {}: {}", part("field"), part("message")));
    }
    ApiError {
        status,
        code: match text("code") {
            code if code.is_empty() => "no_code".to_owned(),
            code => code,
        },
        message,
        hint: text("hint"),
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
        assert_eq!(call.path, "/x?arg=a%20b%26c%3D%C3%A4&arg=%23");
    }

    #[test]
    fn an_error_is_read_whatever_sends_it() {
        let error = api_error(
            422,
            br#"{"error":{"code":"invalid","message":"bad","hint":"fix it","fields":[{"field":"name","message":"is missing"}]}}"#,
        );
        assert_eq!(error.message, "bad\n  name: is missing");
        assert_eq!(
            (error.code.as_str(), error.hint.as_str()),
            ("invalid", "fix it")
        );
        let proxy = api_error(502, b"<html>Bad gateway</html>");
        assert_eq!(
            proxy.to_string(),
            "<html>Bad gateway</html> (no_code, HTTP 502)"
        );
    }
}
