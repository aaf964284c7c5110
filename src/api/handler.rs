//! The API as the server's handler: finds the route, checks who calls, answers.

use std::sync::Arc;

use super::auth;
use super::errors::ApiError;
use super::router::{self, Access, Found};
use crate::base::units::Mib;
use crate::config::secret::Secret;
use crate::config::server::ServerConfig;
use crate::control::plane::ControlPlane;
use crate::http::handler::Handler;
use crate::http::request::Request;
use crate::http::response::Response;

pub(crate) struct Api {
    control: Arc<ControlPlane>,
    key: Secret,
    public_agents: bool,
    execute_body_max: Mib,
}

impl Api {
    /// The API of this control plane.
    pub(crate) fn new(control: Arc<ControlPlane>, config: &ServerConfig) -> Api {
        Api {
            control,
            key: config.api_key.clone(),
            public_agents: config.public_agents,
            execute_body_max: config.limits.execute_body_max,
        }
    }

    /// What carries out what the routes ask for.
    pub(crate) fn control(&self) -> &ControlPlane {
        &self.control
    }

    /// The body of an execute call at the most.
    pub(crate) fn execute_body_max(&self) -> Mib {
        self.execute_body_max
    }

    fn answer(&self, request: &mut Request<'_>) -> Result<Response, ApiError> {
        let found = router::find(request.method(), request.segments());
        let access = match &found {
            Found::Action(_, access, _) => *access,
            // Without the key nobody learns which paths there are.
            Found::OtherMethods(_) | Found::Nothing => Access::Key,
        };
        let needs_key = match access {
            Access::Key => true,
            Access::PublicAgents => !self.public_agents,
            Access::Open | Access::Token => false,
        };
        if needs_key {
            auth::check(request, &self.key)?;
        }
        match found {
            Found::Action(action, _, params) => action(self, request, &params),
            Found::OtherMethods(allow) => Err(ApiError::method_not_allowed(allow)),
            Found::Nothing => Err(router::not_found()),
        }
    }
}

impl Handler for Api {
    fn handle(&self, request: &mut Request<'_>) -> Response {
        self.answer(request).unwrap_or_else(ApiError::into_response)
    }
}
