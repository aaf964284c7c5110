//! Agents: listed, registered, enrolled, drained, removed.

use super::input::{SMALL_BODY_BYTES, fields, id};
use super::render;
use crate::api::errors::ApiError;
use crate::api::handler::Api;
use crate::api::router::Params;
use crate::api::views;
use crate::config::read;
use crate::contract::agent::{Enrolled, Registered, Removed};
use crate::http::request::Request;
use crate::http::response::Response;
use crate::http::status::Status;
use crate::model::ids::AgentId;
use crate::wire::names::JOIN_TOKEN_HEADER;

/// `GET /agents`.
pub(crate) fn list(api: &Api, _: &mut Request<'_>, _: &Params) -> Result<Response, ApiError> {
    let agents = api.control().agents().list();
    let agents: Vec<_> = agents.iter().map(views::agent).collect();
    render::json(Status::Ok, &agents)
}

/// `POST /agents/register`.
pub(crate) fn register(
    api: &Api,
    request: &mut Request<'_>,
    _: &Params,
) -> Result<Response, ApiError> {
    let (address, tls) = fields(request, SMALL_BODY_BYTES, |fields| {
        let address = fields.required("address", read::text);
        let tls = fields.optional("tls", read::boolean);
        Some((address?, tls))
    })?;
    let view = api.control().agents().register(&address, tls)?;
    let body = Registered {
        status: "registered".to_owned(),
        id: view.agent.id.to_string(),
        address: view.agent.address.clone(),
        node: view.contact.node.as_ref().map(views::node),
    };
    render::json(Status::Created, &body)
}

/// `POST /agents/enroll`.
pub(crate) fn enroll(
    api: &Api,
    request: &mut Request<'_>,
    _: &Params,
) -> Result<Response, ApiError> {
    let agent = fields(request, SMALL_BODY_BYTES, |fields| {
        fields.required("agent_id", |node| {
            AgentId::new(&read::text(node)?).map_err(|error| error.to_string())
        })
    })?;
    let invited = api.control().enrolment().invite(&agent)?;
    let body = Enrolled {
        agent_id: invited.agent.to_string(),
        token: invited.token,
        expires_at: invited.expires_at.to_rfc3339(),
    };
    render::json(Status::Created, &body)
}

/// `POST /agents/join`: open to whoever holds a token, and to nobody else's bytes.
pub(crate) fn join(api: &Api, request: &mut Request<'_>, _: &Params) -> Result<Response, ApiError> {
    let enrolment = api.control().enrolment();
    let token = request
        .header(JOIN_TOKEN_HEADER)?
        .unwrap_or_default()
        .to_owned();
    enrolment
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
    render::json(Status::Ok, &enrolment.join(&join)?)
}

/// `POST /agents/{id}/drain`; `{"drain": false}` takes it back.
pub(crate) fn drain(
    api: &Api,
    request: &mut Request<'_>,
    params: &Params,
) -> Result<Response, ApiError> {
    let id = id(params, AgentId::new)?;
    let drain = fields(request, SMALL_BODY_BYTES, |fields| {
        Some(fields.or("drain", true, read::boolean))
    })?;
    let view = api.control().agents().drain(&id, drain)?;
    render::json(Status::Ok, &views::agent(&view))
}

/// `DELETE /agents/{id}`.
pub(crate) fn remove(
    api: &Api,
    _: &mut Request<'_>,
    params: &Params,
) -> Result<Response, ApiError> {
    let id = id(params, AgentId::new)?;
    api.control().agents().remove(&id)?;
    let body = Removed {
        status: "removed".to_owned(),
        id: id.to_string(),
    };
    render::json(Status::Ok, &body)
}
