//! Executions: started, read, followed, listed, cancelled.

use std::io;
use std::time::Duration;

use super::input::{bad_value, fields, id, only_query_keys, query, query_number};
use super::render;
use crate::api::errors::ApiError;
use crate::api::handler::Api;
use crate::api::router::Params;
use crate::api::views;
use crate::base::causes::with_causes;
use crate::base::units::parse_duration;
use crate::config::document::Node;
use crate::config::read;
use crate::contract::execution::{Accepted, Cancelled, Page};
use crate::contract::record::Record;
use crate::control::calls::Call;
use crate::control::executions::{Follow, Followed, Listing, MAX_LISTED};
use crate::http::request::Request;
use crate::http::response::Response;
use crate::http::sse::{Event, EventWriter};
use crate::http::status::Status;
use crate::model::execution::{self, Executed};
use crate::model::function::{Env, check_env};
use crate::model::ids::{ExecutionId, FunctionName};
use crate::model::output::Stream;
use crate::wire::output::FollowEvent;

/// Arguments of one call at the most.
const MAX_ARGS: usize = 4096;
/// Bytes of one argument: the kernel takes no longer one (MAX_ARG_STRLEN, with its NUL).
const MAX_ARG_BYTES: usize = 128 * 1024 - 1;
/// Bytes of all arguments: half of what the kernel takes with the default stack (a quarter of
/// 8 MiB), which the environment shares.
const MAX_ARGS_BYTES: usize = 1 << 20;
/// Characters of an idempotency key: room for any two UUIDs and a name.
const MAX_KEY_CHARACTERS: usize = 255;
/// Executions in one listing when the caller does not say.
const DEFAULT_LISTED: usize = 50;

/// `POST /execute/{name}`.
pub(crate) fn execute(
    api: &Api,
    request: &mut Request<'_>,
    params: &Params,
) -> Result<Response, ApiError> {
    let call = read_call(api, request, params)?;
    ended(&api.control().calls().execute(&call)?)
}

/// `POST /execute/{name}/async`.
pub(crate) fn execute_async(
    api: &Api,
    request: &mut Request<'_>,
    params: &Params,
) -> Result<Response, ApiError> {
    let call = read_call(api, request, params)?;
    let id = api.control().calls().start(&call)?;
    let body = Accepted {
        status: "accepted".to_owned(),
        execution_id: id.to_string(),
    };
    Ok(render::json(Status::Accepted, &body)?
        .header("X-Flux-Execution-Id", id.as_str())
        .header("X-Flux-Reason", "accepted"))
}

/// `GET /executions/{id}`.
pub(crate) fn get(api: &Api, _: &mut Request<'_>, params: &Params) -> Result<Response, ApiError> {
    let id = id(params, ExecutionId::new)?;
    record(Status::Ok, &api.control().executions().get(&id)?)
}

/// `DELETE /executions/{id}`.
pub(crate) fn cancel(
    api: &Api,
    _: &mut Request<'_>,
    params: &Params,
) -> Result<Response, ApiError> {
    let id = id(params, ExecutionId::new)?;
    api.control().executions().cancel(&id)?;
    let body = Cancelled {
        status: "cancelled".to_owned(),
        execution_id: id.to_string(),
    };
    render::json(Status::Ok, &body)
}

/// `GET /executions`.
pub(crate) fn list(api: &Api, request: &mut Request<'_>, _: &Params) -> Result<Response, ApiError> {
    only_query_keys(request, &["function", "status", "limit", "cursor"])?;
    let function = query(request, "function")?
        .map(FunctionName::new)
        .transpose()
        .map_err(|error| ApiError::from(&error))?;
    let status = query(request, "status")?
        .map(|word| {
            execution::Status::parse(word).ok_or_else(|| {
                let words = "expected running, success, failed or cancelled";
                bad_value("status", words.to_owned())
            })
        })
        .transpose()?;
    let limit = match query_number(request, "limit")? {
        None => DEFAULT_LISTED,
        Some(limit) if (1..=MAX_LISTED as u64).contains(&limit) => limit as usize,
        Some(_) => return Err(bad_value("limit", format!("expected 1 to {MAX_LISTED}"))),
    };
    let before = query(request, "cursor")?
        .map(ExecutionId::new)
        .transpose()
        .map_err(|_| bad_value("cursor", "expected the next_cursor of an answer".to_owned()))?;
    let listing = Listing {
        function,
        status,
        limit,
        before,
    };
    let page = api.control().executions().list(&listing)?;
    let body = Page {
        executions: page.records.iter().map(Record::without_output).collect(),
        next_cursor: page.next.as_ref().map(ToString::to_string),
        unreachable_agents: page.unreachable.iter().map(ToString::to_string).collect(),
    };
    render::json(Status::Ok, &body)
}

/// `GET /executions/{id}/output`: raw bytes.
pub(crate) fn output(
    api: &Api,
    request: &mut Request<'_>,
    params: &Params,
) -> Result<Response, ApiError> {
    only_query_keys(request, &["stream", "offset"])?;
    let id = id(params, ExecutionId::new)?;
    let stream = match query(request, "stream")? {
        None => None,
        Some("stdout") => Some(Stream::Stdout),
        Some("stderr") => Some(Stream::Stderr),
        Some(_) => return Err(bad_value("stream", "expected stdout or stderr".to_owned())),
    };
    let offset = query_number(request, "offset")?.unwrap_or(0);
    let piece = api
        .control()
        .executions()
        .read_output(&id, stream, offset)?;
    Ok(
        Response::bytes(Status::Ok, "application/octet-stream", piece.data)
            .header("X-Flux-Output-Total", piece.total.to_string())
            .header("X-Flux-Output-Ended", piece.ended.to_string()),
    )
}

/// `GET /executions/{id}/events`: Server-Sent Events.
pub(crate) fn events(
    api: &Api,
    request: &mut Request<'_>,
    params: &Params,
) -> Result<Response, ApiError> {
    let id = id(params, ExecutionId::new)?;
    let offset = match request.header("last-event-id")? {
        None => 0,
        Some(text) => text.trim().parse().map_err(|_| {
            bad_value(
                "Last-Event-ID",
                "expected the id of an event of this execution".to_owned(),
            )
        })?,
    };
    let client_gone = request.client_gone();
    let follow = api
        .control()
        .executions()
        .follow(&id, offset, client_gone)?;
    Ok(Response::events(move |events| send_events(follow, events)))
}

fn send_events(mut follow: Follow, events: &mut EventWriter<'_>) -> io::Result<()> {
    loop {
        let followed = follow.next_event().map_err(|error| {
            log::warn!(
                "an execution cannot be followed further: {}",
                with_causes(&error)
            );
            // Cuts the stream, so that the client comes back with the last id it has.
            io::Error::other("the agent cannot be followed")
        })?;
        match followed {
            Followed::Event(FollowEvent::Output(chunk)) => {
                let id = (chunk.offset + chunk.data.len() as u64).to_string();
                events.event(Event {
                    id: Some(&id),
                    name: Some("output"),
                    data: &serde_json::to_string(&views::chunk(&chunk))?,
                })?;
            }
            Followed::Event(FollowEvent::Ended(record)) => {
                return events.event(Event {
                    id: None,
                    name: Some("ended"),
                    data: &serde_json::to_string(&Record::without_output(&record))?,
                });
            }
            Followed::Silence => events.heartbeat()?,
            Followed::Over => return Ok(()),
        }
    }
}

fn ended(execution: &Executed) -> Result<Response, ApiError> {
    let ending = execution.record.ending;
    let status = match execution.record.status() {
        execution::Status::Success => Status::Ok,
        execution::Status::Failed | execution::Status::Cancelled | execution::Status::Running => {
            Status::InternalServerError
        }
    };
    Ok(record(status, execution)?
        .header("X-Flux-Execution-Id", execution.record.id.as_str())
        .header(
            "X-Flux-Reason",
            ending.map_or("running", |ending| ending.reason()),
        ))
}

fn record(status: Status, execution: &Executed) -> Result<Response, ApiError> {
    render::json(status, &Record::new(execution))
}

fn read_call(api: &Api, request: &mut Request<'_>, params: &Params) -> Result<Call, ApiError> {
    let function = id(params, FunctionName::new)?;
    let idempotency_key = read_key(request)?;
    let timeout = read_timeout(request)?;
    let is_json = match request.header("content-type")? {
        None => true,
        Some(value) => {
            let media_type = value.split(';').next().unwrap_or_default().trim();
            media_type.eq_ignore_ascii_case("application/json")
        }
    };
    let limit = usize::try_from(api.execute_body_max().bytes()).unwrap_or(usize::MAX);
    let (args, stdin, env) = if is_json {
        only_query_keys(request, &[])?;
        fields(request, limit, |fields| {
            let args = fields.or("args", Vec::new(), args);
            let stdin = fields.or("stdin", String::new(), read::text);
            let env = fields.or("env", Env::new(), env);
            Some((args, stdin.into_bytes(), env))
        })?
    } else {
        only_query_keys(request, &["arg"])?;
        let args: Vec<_> = request.query_all("arg").map(str::to_owned).collect();
        check_args(&args).map_err(|message| bad_value("arg", message))?;
        (args, request.body().read_to_vec(limit)?, Env::new())
    };
    Ok(Call {
        function,
        args,
        stdin,
        env,
        timeout,
        idempotency_key,
        client_gone: request.client_gone(),
    })
}

fn args(node: &Node) -> Result<Vec<String>, String> {
    let args = read::list(read::text)(node)?;
    check_args(&args)?;
    Ok(args)
}

fn check_args(args: &[String]) -> Result<(), String> {
    if args.len() > MAX_ARGS {
        return Err(format!(
            "there are {} arguments, {MAX_ARGS} at the most",
            args.len()
        ));
    }
    if args.iter().any(|arg| arg.contains('\0')) {
        return Err("an argument contains a NUL, which no process can be given".to_owned());
    }
    if args.iter().any(|arg| arg.len() > MAX_ARG_BYTES) {
        return Err("an argument is longer than 128 KiB; send it as standard input".to_owned());
    }
    if args.iter().map(String::len).sum::<usize>() > MAX_ARGS_BYTES {
        return Err("the arguments are longer than 1 MiB; send them as standard input".to_owned());
    }
    Ok(())
}

fn env(node: &Node) -> Result<Env, String> {
    let env = read::texts(node)?;
    check_env(&env).map_err(|error| error.to_string())?;
    Ok(env)
}

fn read_key(request: &Request<'_>) -> Result<Option<String>, ApiError> {
    let Some(key) = request.header("idempotency-key")? else {
        return Ok(None);
    };
    let well_formed = (1..=MAX_KEY_CHARACTERS).contains(&key.len())
        && key.bytes().all(|byte| byte.is_ascii_graphic());
    if !well_formed {
        let expected = format!("expected 1 to {MAX_KEY_CHARACTERS} visible ASCII characters");
        return Err(bad_value("Idempotency-Key", expected));
    }
    Ok(Some(key.to_owned()))
}

fn read_timeout(request: &Request<'_>) -> Result<Option<Duration>, ApiError> {
    let Some(text) = request.header("x-flux-timeout")? else {
        return Ok(None);
    };
    match parse_duration(text) {
        Ok(timeout) if timeout.is_zero() => Err(bad_value(
            "X-Flux-Timeout",
            "expected more than 0".to_owned(),
        )),
        Ok(timeout) => Ok(Some(timeout)),
        Err(message) => Err(bad_value("X-Flux-Timeout", message)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_that_no_process_can_get_are_refused() {
        assert!(check_args(&["a".repeat(MAX_ARG_BYTES)]).is_ok());
        for args in [
            vec!["a".repeat(MAX_ARG_BYTES + 1)],
            vec!["a\0b".to_owned()],
            vec![String::new(); MAX_ARGS + 1],
            vec!["a".repeat(100_000); 11],
        ] {
            assert!(check_args(&args).is_err());
        }
    }
}
