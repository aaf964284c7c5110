//! The API as a user calls it.

use std::io::Read;
use std::time::Duration;

use serde_json::Value;

/// An address and a key.
#[derive(Debug, Clone)]
pub struct Api {
    pub url: String,
    pub key: String,
    agent: ureq::Agent,
}

/// What came back, whatever its status.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Api {
    pub fn new(url: &str, key: &str) -> Api {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(60)))
            .max_idle_connections(0)
            .build();
        Api {
            url: url.to_owned(),
            key: key.to_owned(),
            agent: config.new_agent(),
        }
    }

    pub fn get(&self, path: &str) -> Reply {
        self.call("GET", path, &[], b"")
    }

    pub fn delete(&self, path: &str) -> Reply {
        self.call("DELETE", path, &[], b"")
    }

    pub fn put(&self, path: &str, body: &[u8]) -> Reply {
        self.call("PUT", path, &[], body)
    }

    pub fn post_json(&self, path: &str, body: &Value) -> Reply {
        self.call(
            "POST",
            path,
            &[("content-type", "application/json")],
            body.to_string().as_bytes(),
        )
    }

    /// Any method with any headers; the key is added unless `headers` say how to authenticate.
    #[track_caller]
    pub fn call(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
        self.try_call(method, path, headers, body)
            .unwrap_or_else(|error| panic!("{method} {path}: {error}"))
    }

    /// The same where no answer is an answer too.
    ///
    /// # Errors
    /// The connection was refused or broke.
    pub fn try_call(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Reply, String> {
        let mut response = self.try_send(method, path, headers, body)?;
        let mut body = Vec::new();
        response
            .body_mut()
            .as_reader()
            .read_to_end(&mut body)
            .map_err(|error| format!("body: {error}"))?;
        Ok(Reply {
            status: response.status().as_u16(),
            headers: response
                .headers()
                .iter()
                .map(|(name, value)| {
                    (
                        name.to_string(),
                        String::from_utf8_lossy(value.as_bytes()).into_owned(),
                    )
                })
                .collect(),
            body,
        })
    }

    /// As [`Api::call`]; returns once the head of the answer is there.
    #[track_caller]
    pub fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> ureq::http::Response<ureq::Body> {
        self.try_send(method, path, headers, body)
            .unwrap_or_else(|error| panic!("{method} {path}: {error}"))
    }

    fn try_send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<ureq::http::Response<ureq::Body>, String> {
        let mut request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.url));
        let authenticated = headers
            .iter()
            .any(|(name, _)| matches!(*name, "x-api-key" | "authorization"));
        if !authenticated {
            request = request.header("x-api-key", &self.key);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(body.to_vec()).expect("request");
        self.agent.run(request).map_err(|error| error.to_string())
    }
}

impl Reply {
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("not JSON ({error}): {}", self.text()))
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(header, _)| header.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// The body, after the status is what it has to be.
    #[track_caller]
    pub fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text());
        self.json()
    }

    /// A 422 in the contract's shape that names exactly these fields, in this order.
    #[track_caller]
    pub fn expect_invalid(&self, fields: &[&str]) {
        self.expect_error(422, "invalid");
        let body = self.json();
        let named: Vec<_> = body["error"]["fields"]
            .as_array()
            .expect("fields")
            .iter()
            .map(|field| {
                assert_ne!(field["message"].as_str().expect("message"), "");
                field["field"].as_str().expect("name").to_owned()
            })
            .collect();
        assert_eq!(named, fields, "{body}");
    }

    /// An error in the contract's shape, with this status and code; returns its message.
    #[track_caller]
    pub fn expect_error(&self, status: u16, code: &str) -> String {
        let body = self.expect(status);
        let error = &body["error"];
        assert_eq!(error["code"], code, "{body}");
        let message = error["message"].as_str().expect("a message");
        assert!(!message.is_empty());
        assert!(error.get("hint").is_some(), "{body}");
        message.to_owned()
    }
}
