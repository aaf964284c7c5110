//! Whether the control plane lives and serves.

use super::render;
use crate::api::errors::ApiError;
use crate::api::handler::Api;
use crate::api::router::Params;
use crate::contract::machine::State;
use crate::http::request::Request;
use crate::http::response::Response;
use crate::http::status::Status;

/// `GET /health`: the process lives. Touches nothing else, so that a sick disk does not get a
/// healthy process restarted.
pub(crate) fn health(_: &Api, _: &mut Request<'_>, _: &Params) -> Result<Response, ApiError> {
    state("ok")
}

/// `GET /ready`: the store answers, and no shutdown is under way.
pub(crate) fn ready(api: &Api, _: &mut Request<'_>, _: &Params) -> Result<Response, ApiError> {
    api.control().ready()?;
    state("ready")
}

fn state(word: &str) -> Result<Response, ApiError> {
    let body = State {
        status: word.to_owned(),
    };
    render::json(Status::Ok, &body)
}
