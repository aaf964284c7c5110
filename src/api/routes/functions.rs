//! Functions: registered, deployed, listed, rolled back, deleted.

use serde_json::{Value, json};

use super::input::{id, kind, small_fields};
use super::render::{self, mismatched};
use crate::api::errors::ApiError;
use crate::api::handler::Api;
use crate::api::router::Params;
use crate::api::views::{FunctionJson, VersionJson, distributed};
use crate::config::function::{FunctionYamlError, MAX_FUNCTION_YAML_BYTES, parse_function_yaml};
use crate::control::command::{Answer, Command};
use crate::http::request::Request;
use crate::http::response::Response;
use crate::http::status::Status;
use crate::model::ids::FunctionName;

/// `GET /functions`.
pub fn list(api: &Api, _: &mut Request<'_>, _: &Params) -> Result<Response, ApiError> {
    match api.run(Command::ListFunctions)? {
        Answer::Functions(functions) => {
            let functions: Vec<_> = functions.iter().map(FunctionJson::new).collect();
            render::json(Status::Ok, &functions)
        }
        _ => Err(mismatched()),
    }
}

/// `GET /functions/{name}`.
pub fn get(api: &Api, _: &mut Request<'_>, params: &Params) -> Result<Response, ApiError> {
    let name = id(params, FunctionName::new)?;
    match api.run(Command::GetFunction(name))? {
        Answer::Function(function) => render::json(Status::Ok, &FunctionJson::new(&function)),
        _ => Err(mismatched()),
    }
}

/// `PUT /functions`, with YAML.
pub fn register(api: &Api, request: &mut Request<'_>, _: &Params) -> Result<Response, ApiError> {
    let yaml = request.body().read_to_vec(MAX_FUNCTION_YAML_BYTES)?;
    let config = parse_function_yaml(&yaml).map_err(|error| match error {
        FunctionYamlError::Malformed(malformed) => ApiError::new(
            Status::BadRequest,
            "malformed_yaml",
            malformed.to_string(),
            "send the function's YAML as the body",
        ),
        FunctionYamlError::Invalid(fields) => ApiError::invalid(fields),
    })?;
    match api.run(Command::RegisterFunction(Box::new(config)))? {
        Answer::Distributed { function, agents } => render::json(
            Status::Created,
            &distributed(&function, &agents, "registered_count"),
        ),
        _ => Err(mismatched()),
    }
}

/// `PUT /deploy/{name}`, with a zip archive, which goes to disk as it comes.
pub fn deploy(api: &Api, request: &mut Request<'_>, params: &Params) -> Result<Response, ApiError> {
    let name = id(params, FunctionName::new)?;
    if !request.body().is_declared() {
        return Err(ApiError::new(
            Status::LengthRequired,
            "length_required",
            "the request has no body",
            "send the zip archive with Content-Length or in chunks",
        ));
    }
    let mut upload = api.control().start_upload(&name)?;
    request
        .body()
        .copy_to(&mut upload, api.control().archive_limit())?;
    match api.run(Command::Deploy { name, upload })? {
        Answer::Distributed { function, agents } => render::json(
            Status::Ok,
            &distributed(&function, &agents, "deployed_count"),
        ),
        _ => Err(mismatched()),
    }
}

/// `DELETE /functions/{name}`.
pub fn delete(api: &Api, _: &mut Request<'_>, params: &Params) -> Result<Response, ApiError> {
    let name = id(params, FunctionName::new)?;
    match api.run(Command::DeleteFunction(name.clone()))? {
        Answer::Removed => render::json(
            Status::Ok,
            &json!({"status": "removed", "name": name.as_str()}),
        ),
        _ => Err(mismatched()),
    }
}

/// `GET /functions/{name}/versions`.
pub fn versions(api: &Api, _: &mut Request<'_>, params: &Params) -> Result<Response, ApiError> {
    let name = id(params, FunctionName::new)?;
    match api.run(Command::ListVersions(name))? {
        Answer::Versions { function, versions } => {
            let versions: Vec<_> = versions
                .iter()
                .map(|version| VersionJson::new(version, &function))
                .collect();
            render::json(Status::Ok, &versions)
        }
        _ => Err(mismatched()),
    }
}

/// `POST /functions/{name}/rollback`.
pub fn rollback(
    api: &Api,
    request: &mut Request<'_>,
    params: &Params,
) -> Result<Response, ApiError> {
    let name = id(params, FunctionName::new)?;
    let mut fields = small_fields(request)?;
    let version = fields.take("version", |value: Value| {
        value
            .as_u64()
            .filter(|&number| number > 0)
            .ok_or_else(|| format!("expected a version's number, found {}", kind(&value)))
    });
    fields.finish()?;
    match api.run(Command::Rollback { name, version })? {
        Answer::Distributed { function, agents } => render::json(
            Status::Ok,
            &distributed(&function, &agents, "deployed_count"),
        ),
        _ => Err(mismatched()),
    }
}
