//! Agents: listed, registered, enrolled, drained, removed.

use serde_json::json;

use super::input::{SMALL_BODY_BYTES, flag, id, small_fields, text};
use super::render::{self, mismatched};
use crate::api::errors::ApiError;
use crate::api::handler::Api;
use crate::api::router::Params;
use crate::api::views::{AgentJson, NodeJson};
use crate::control::command::{Answer, Command};
use crate::http::request::Request;
use crate::http::response::Response;
use crate::http::status::Status;
use crate::model::ids::AgentId;
use crate::wire::names::JOIN_TOKEN_HEADER;

/// `GET /agents`.
pub fn list(api: &Api, _: &mut Request<'_>, _: &Params) -> Result<Response, ApiError> {
    match api.run(Command::ListAgents)? {
        Answer::Agents(agents) => {
            let agents: Vec<_> = agents.iter().map(AgentJson::new).collect();
            render::json(Status::Ok, &agents)
        }
        _ => Err(mismatched()),
    }
}

/// `POST /agents/register`.
pub fn register(api: &Api, request: &mut Request<'_>, _: &Params) -> Result<Response, ApiError> {
    let mut fields = small_fields(request)?;
    let address = fields.require("address", text);
    let tls = fields.take("tls", |value| flag(&value));
    fields.finish()?;
    let command = Command::RegisterAgent {
        address: address.unwrap_or_default(),
        tls,
    };
    match api.run(command)? {
        Answer::Agent(view) => render::json(
            Status::Created,
            &json!({
                "status": "registered",
                "id": view.agent.id.as_str(),
                "address": view.agent.address,
                "node": view.contact.node.as_ref().map(NodeJson::new),
            }),
        ),
        _ => Err(mismatched()),
    }
}

/// `POST /agents/enroll`.
pub fn enroll(api: &Api, request: &mut Request<'_>, _: &Params) -> Result<Response, ApiError> {
    let mut fields = small_fields(request)?;
    let agent = fields.require("agent_id", |value| {
        AgentId::new(&text(value)?).map_err(|error| error.to_string())
    });
    fields.finish()?;
    let Some(agent) = agent else {
        return Err(mismatched());
    };
    match api.run(Command::EnrollAgent(agent))? {
        Answer::Enrolled {
            agent,
            token,
            expires_at,
        } => render::json(
            Status::Created,
            &json!({
                "agent_id": agent.as_str(),
                "token": token,
                "expires_at": expires_at.to_rfc3339(),
            }),
        ),
        _ => Err(mismatched()),
    }
}

/// `POST /agents/join`: open to whoever holds a token, and to nobody else's bytes.
pub fn join(api: &Api, request: &mut Request<'_>, _: &Params) -> Result<Response, ApiError> {
    let token = request
        .header(JOIN_TOKEN_HEADER)?
        .unwrap_or_default()
        .to_owned();
    api.control()
        .expect_token(&token)
        .map_err(|error| ApiError::from(error).closing())?;
    let body = request.body().read_to_vec(SMALL_BODY_BYTES)?;
    let join = serde_json::from_slice(&body).map_err(|error| {
        ApiError::new(
            Status::BadRequest,
            "malformed_json",
            error.to_string(),
            "joining is done by: flux-agent join URL TOKEN",
        )
    })?;
    match api.run(Command::JoinAgent(Box::new(join)))? {
        Answer::Joined(answer) => render::json(Status::Ok, &answer),
        _ => Err(mismatched()),
    }
}

/// `POST /agents/{id}/drain`; `{"drain": false}` takes it back.
pub fn drain(api: &Api, request: &mut Request<'_>, params: &Params) -> Result<Response, ApiError> {
    let id = id(params, AgentId::new)?;
    let mut fields = small_fields(request)?;
    let drain = fields.take("drain", |value| flag(&value)).unwrap_or(true);
    fields.finish()?;
    match api.run(Command::DrainAgent { id, drain })? {
        Answer::Agent(view) => render::json(Status::Ok, &AgentJson::new(&view)),
        _ => Err(mismatched()),
    }
}

/// `DELETE /agents/{id}`.
pub fn remove(api: &Api, _: &mut Request<'_>, params: &Params) -> Result<Response, ApiError> {
    let id = id(params, AgentId::new)?;
    match api.run(Command::RemoveAgent(id.clone()))? {
        Answer::Removed => {
            render::json(Status::Ok, &json!({"status": "removed", "id": id.as_str()}))
        }
        _ => Err(mismatched()),
    }
}
