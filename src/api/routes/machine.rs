//! Machines: their figures, and those that a provider makes.

use serde_json::json;

use super::render::{self, mismatched};
use crate::api::errors::ApiError;
use crate::api::handler::Api;
use crate::api::router::Params;
use crate::api::views::{AgentJson, NodeJson};
use crate::control::command::{Answer, Command};
use crate::http::request::Request;
use crate::http::response::Response;
use crate::http::status::Status;

/// `GET /resources`.
pub fn resources(api: &Api, _: &mut Request<'_>, _: &Params) -> Result<Response, ApiError> {
    match api.run(Command::Resources)? {
        Answer::Resources { flux, agents } => {
            let agents: Vec<_> = agents.iter().map(AgentJson::new).collect();
            let body = json!({"flux": {"node": NodeJson::new(&flux)}, "agents": agents});
            render::json(Status::Ok, &body)
        }
        _ => Err(mismatched()),
    }
}

/// `POST /initialize`.
pub fn initialize(api: &Api, _: &mut Request<'_>, _: &Params) -> Result<Response, ApiError> {
    api.run(Command::Initialize)?;
    Err(mismatched())
}

/// `DELETE /nodes`.
pub fn remove_nodes(api: &Api, _: &mut Request<'_>, _: &Params) -> Result<Response, ApiError> {
    match api.run(Command::RemoveNodes)? {
        Answer::NodesRemoved(removed) => render::json(
            Status::Ok,
            &json!({"status": "removed", "removed": removed}),
        ),
        _ => Err(mismatched()),
    }
}
