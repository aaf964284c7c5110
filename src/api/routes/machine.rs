//! Machines: their figures, and those that a provider makes.

use super::render;
use crate::api::errors::ApiError;
use crate::api::handler::Api;
use crate::api::router::Params;
use crate::api::views;
use crate::contract::machine::{NodesRemoved, OwnMachine, Resources};
use crate::http::request::Request;
use crate::http::response::Response;
use crate::http::status::Status;

/// `GET /resources`.
pub(crate) fn resources(api: &Api, _: &mut Request<'_>, _: &Params) -> Result<Response, ApiError> {
    let agents = api.control().agents().list();
    let body = Resources {
        flux: OwnMachine {
            node: views::node(&api.control().machines().own()),
        },
        agents: agents.iter().map(views::agent).collect(),
    };
    render::json(Status::Ok, &body)
}

/// `POST /initialize`.
pub(crate) fn initialize(api: &Api, _: &mut Request<'_>, _: &Params) -> Result<Response, ApiError> {
    let never = api.control().machines().initialize()?;
    match never {}
}

/// `DELETE /nodes`.
pub(crate) fn remove_nodes(
    api: &Api,
    _: &mut Request<'_>,
    _: &Params,
) -> Result<Response, ApiError> {
    let body = NodesRemoved {
        status: "removed".to_owned(),
        removed: api.control().machines().remove_all(),
    };
    render::json(Status::Ok, &body)
}
