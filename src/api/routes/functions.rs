//! Functions: registered, deployed, listed, rolled back, deleted.

use super::input::{SMALL_BODY_BYTES, fields, id};
use super::render;
use crate::api::errors::ApiError;
use crate::api::handler::Api;
use crate::api::router::Params;
use crate::api::views;
use crate::config::function::{FunctionYamlError, MAX_FUNCTION_YAML_BYTES, parse_function_yaml};
use crate::config::read;
use crate::contract::function::Removed;
use crate::control::functions::Versions;
use crate::http::request::Request;
use crate::http::response::Response;
use crate::http::status::Status;
use crate::model::ids::FunctionName;

/// `GET /functions`.
pub(crate) fn list(api: &Api, _: &mut Request<'_>, _: &Params) -> Result<Response, ApiError> {
    let functions = api.control().functions().list();
    let functions: Vec<_> = functions.iter().map(views::function).collect();
    render::json(Status::Ok, &functions)
}

/// `GET /functions/{name}`.
pub(crate) fn get(api: &Api, _: &mut Request<'_>, params: &Params) -> Result<Response, ApiError> {
    let name = id(params, FunctionName::new)?;
    let function = api.control().functions().get(&name)?;
    render::json(Status::Ok, &views::function(&function))
}

/// `PUT /functions`, with YAML.
pub(crate) fn register(
    api: &Api,
    request: &mut Request<'_>,
    _: &Params,
) -> Result<Response, ApiError> {
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
    let registered = api.control().functions().register(&config)?;
    render::json(Status::Created, &views::registered(&registered))
}

/// `PUT /deploy/{name}`, with a zip archive, which goes to disk as it comes.
pub(crate) fn deploy(
    api: &Api,
    request: &mut Request<'_>,
    params: &Params,
) -> Result<Response, ApiError> {
    let name = id(params, FunctionName::new)?;
    if !request.body().is_declared() {
        return Err(ApiError::new(
            Status::LengthRequired,
            "length_required",
            "the request has no body",
            "send the zip archive with Content-Length or in chunks",
        ));
    }
    let functions = api.control().functions();
    let mut upload = functions.start_upload(&name)?;
    request
        .body()
        .copy_to(&mut upload, functions.archive_limit())?;
    let deployed = functions.deploy(&name, upload)?;
    render::json(Status::Ok, &views::deployed(&deployed))
}

/// `DELETE /functions/{name}`.
pub(crate) fn delete(
    api: &Api,
    _: &mut Request<'_>,
    params: &Params,
) -> Result<Response, ApiError> {
    let name = id(params, FunctionName::new)?;
    api.control().functions().delete(&name)?;
    let body = Removed {
        status: "removed".to_owned(),
        name: name.to_string(),
    };
    render::json(Status::Ok, &body)
}

/// `GET /functions/{name}/versions`.
pub(crate) fn versions(
    api: &Api,
    _: &mut Request<'_>,
    params: &Params,
) -> Result<Response, ApiError> {
    let name = id(params, FunctionName::new)?;
    let Versions { function, versions } = api.control().functions().versions(&name)?;
    let versions: Vec<_> = versions
        .iter()
        .map(|version| views::version(version, &function))
        .collect();
    render::json(Status::Ok, &versions)
}

/// `POST /functions/{name}/rollback`.
pub(crate) fn rollback(
    api: &Api,
    request: &mut Request<'_>,
    params: &Params,
) -> Result<Response, ApiError> {
    let name = id(params, FunctionName::new)?;
    let version = fields(request, SMALL_BODY_BYTES, |fields| {
        Some(fields.optional("version", read::integer(1..=u64::MAX)))
    })?;
    let rolled_back = api.control().functions().rollback(&name, version)?;
    render::json(Status::Ok, &views::deployed(&rolled_back))
}
