//! Whether the control plane lives and serves.

use serde_json::json;

use super::render::{self, mismatched};
use crate::api::errors::ApiError;
use crate::api::handler::Api;
use crate::api::router::Params;
use crate::control::command::{Answer, Command};
use crate::http::request::Request;
use crate::http::response::Response;
use crate::http::status::Status;

/// `GET /health`: the process lives. Touches nothing else, so that a sick disk does not get a
/// healthy process restarted.
pub fn health(_: &Api, _: &mut Request<'_>, _: &Params) -> Result<Response, ApiError> {
    render::json(Status::Ok, &json!({"status": "ok"}))
}

/// `GET /ready`: the store answers, and no shutdown is under way.
pub fn ready(api: &Api, _: &mut Request<'_>, _: &Params) -> Result<Response, ApiError> {
    match api.run(Command::Ready)? {
        Answer::Ready => render::json(Status::Ok, &json!({"status": "ready"})),
        _ => Err(mismatched()),
    }
}
