//! The HTTP side: one request at a time, answers as the contract's types, and the API's errors as
//! values.
//!
//! Refuses: redirects, which would take the key elsewhere, and answers without end.

use std::io::Read;
use std::time::Duration;

use anyhow::Context as _;
use serde::Serialize;
use serde::de::DeserializeOwned;
use ureq::http::{Method, Request, Response};
use ureq::{Agent, AsSendBody, Body, SendBody};

use super::call::Call;
use crate::base::causes::with_causes;
use crate::base::https::system_tls;
use crate::cli::error::{ApiError, CliError};
use crate::config::secret::Secret;

/// To connect, and for the first byte of an ordinary answer's head.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Between two bytes. A synchronous execution's answer may be minutes away, but no command here waits
/// for one; a live stream shows signs of life more often than this, and is taken up again otherwise.
const READ_TIMEOUT: Duration = Duration::from_secs(60);
/// Enough for a record with the most output that an agent keeps, and the escapes in it.
const MAX_ANSWER_BYTES: u64 = 512 << 20;

/// One control plane.
#[derive(Debug)]
pub(crate) struct Client {
    agent: Agent,
    url: String,
    key: Option<Secret>,
}

impl Client {
    /// Sends nothing yet.
    pub(crate) fn new(url: String, key: Option<Secret>) -> Client {
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

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// # Errors
    /// As [`Client::json`].
    pub(crate) fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, CliError> {
        self.json(Call::new(Method::GET, path), ())
    }

    /// # Errors
    /// As [`Client::json`].
    pub(crate) fn delete<T: DeserializeOwned>(&self, path: &str) -> Result<T, CliError> {
        self.json(Call::new(Method::DELETE, path), ())
    }

    /// # Errors
    /// As [`Client::json`].
    pub(crate) fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, CliError> {
        let body = serde_json::to_vec(body).context("cannot encode the request")?;
        let call = Call::new(Method::POST, path).header("content-type", "application/json");
        self.json(call, body.as_slice())
    }

    /// Sends a body that is read from a file or the like, of a known length.
    ///
    /// # Errors
    /// As [`Client::json`].
    pub(crate) fn upload<T: DeserializeOwned>(
        &self,
        call: Call,
        mut body: impl Read,
        length: u64,
    ) -> Result<T, CliError> {
        let call = call.header("content-length", length.to_string());
        self.json(call, SendBody::from_reader(&mut body))
    }

    /// Reads the answer as a `T`.
    ///
    /// # Errors
    /// No answer, the API's refusal, or an answer that is no `T`.
    pub(crate) fn json<T: DeserializeOwned>(
        &self,
        call: Call,
        body: impl AsSendBody,
    ) -> Result<T, CliError> {
        let name = call.name();
        let mut response = self.send(call, body)?;
        let bytes = self.read(&mut response)?;
        serde_json::from_slice(&bytes).map_err(|error| {
            self.protocol(if error.is_data() {
                format!(
                    "the answer to {name} cannot be read: {}",
                    with_causes(&error)
                )
            } else {
                format!("the answer to {name} is no JSON")
            })
        })
    }

    /// Reads the answer as bytes.
    ///
    /// # Errors
    /// No answer, or the API's refusal.
    pub(crate) fn bytes(&self, call: Call) -> Result<Vec<u8>, CliError> {
        let mut response = self.send(call, ())?;
        self.read(&mut response)
    }

    /// Hands the answer on as it comes.
    ///
    /// # Errors
    /// No answer, or the API's refusal.
    pub(crate) fn stream(&self, call: Call) -> Result<impl Read + use<>, CliError> {
        Ok(self.send(call, ())?.into_body().into_reader())
    }

    /// For an answer that Flux would not have given; `what` is a whole clause that says why.
    pub(crate) fn protocol(&self, what: impl Into<String>) -> CliError {
        CliError::Protocol {
            url: self.url.clone(),
            what: what.into(),
        }
    }

    fn send(&self, call: Call, body: impl AsSendBody) -> Result<Response<Body>, CliError> {
        let mut request = Request::builder()
            .uri(format!("{}{}", self.url, call.target()))
            .method(call.method);
        if let Some(key) = &self.key {
            request = request.header("x-api-key", key.expose());
        }
        for (name, value) in call.headers {
            request = request.header(name, value);
        }
        let request = request.body(body).map_err(|error| {
            CliError::usage(with_causes(&error), "header values are plain text")
        })?;
        let mut response = self.agent.run(request).map_err(self.unreachable())?;
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status().as_u16();
        let bytes = self.read(&mut response)?;
        Err(ApiError::read(status, &bytes).into())
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
}
