//! Executions: started, read, followed, listed, cancelled.

use std::io;
use std::time::Duration;

use serde_json::{Value, json};

use super::input::{Fields, bad_query, id, kind, only_query_keys, query, query_number, text};
use super::render::{self, mismatched};
use crate::api::errors::ApiError;
use crate::api::handler::Api;
use crate::api::router::Params;
use crate::base::causes::with_causes;
use crate::base::units::parse_duration;
use crate::control::command::{Answer, Call, Command, Listing};
use crate::control::executions::{Follow, Followed, MAX_LISTED};
use crate::http::request::Request;
use crate::http::response::Response;
use crate::http::sse::{Event, EventWriter};
use crate::http::status::Status;
use crate::model::execution::{self, Executed, OutputChunk, Stream};
use crate::model::function::{Env, check_env};
use crate::model::ids::{AgentId, ExecutionId, FunctionName};
use crate::wire::json::RecordJson;
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
pub fn execute(
    api: &Api,
    request: &mut Request<'_>,
    params: &Params,
) -> Result<Response, ApiError> {
    let call = read_call(api, request, params)?;
    match api.run(Command::Execute(call))? {
        Answer::Ended(execution) => ended(&execution),
        _ => Err(mismatched()),
    }
}

/// `POST /execute/{name}/async`.
pub fn execute_async(
    api: &Api,
    request: &mut Request<'_>,
    params: &Params,
) -> Result<Response, ApiError> {
    let call = read_call(api, request, params)?;
    match api.run(Command::ExecuteAsync(call))? {
        Answer::Accepted(id) => {
            let body = json!({"status": "accepted", "execution_id": id.as_str()});
            Ok(render::json(Status::Accepted, &body)?
                .header("X-Flux-Execution-Id", id.as_str())
                .header("X-Flux-Reason", "accepted"))
        }
        _ => Err(mismatched()),
    }
}

/// `GET /executions/{id}`.
pub fn get(api: &Api, _: &mut Request<'_>, params: &Params) -> Result<Response, ApiError> {
    let id = id(params, ExecutionId::new)?;
    match api.run(Command::GetExecution(id))? {
        Answer::Execution(execution) => record(Status::Ok, &execution),
        _ => Err(mismatched()),
    }
}

/// `DELETE /executions/{id}`.
pub fn cancel(api: &Api, _: &mut Request<'_>, params: &Params) -> Result<Response, ApiError> {
    let id = id(params, ExecutionId::new)?;
    match api.run(Command::CancelExecution(id))? {
        Answer::Cancelled(id) => render::json(
            Status::Ok,
            &json!({"status": "cancelled", "execution_id": id.as_str()}),
        ),
        _ => Err(mismatched()),
    }
}

/// `GET /executions`.
pub fn list(api: &Api, request: &mut Request<'_>, _: &Params) -> Result<Response, ApiError> {
    only_query_keys(request, &["function", "status", "limit", "cursor"])?;
    let function = query(request, "function")?
        .map(FunctionName::new)
        .transpose()
        .map_err(|error| ApiError::bad_id(&error))?;
    let status = query(request, "status")?
        .map(|word| {
            execution::Status::parse(word).ok_or_else(|| {
                let words = "expected running, success, failed or cancelled";
                bad_query("status", words.to_owned())
            })
        })
        .transpose()?;
    let limit = match query_number(request, "limit")? {
        None => DEFAULT_LISTED,
        Some(limit) if (1..=MAX_LISTED as u64).contains(&limit) => limit as usize,
        Some(_) => return Err(bad_query("limit", format!("expected 1 to {MAX_LISTED}"))),
    };
    let before = query(request, "cursor")?
        .map(ExecutionId::new)
        .transpose()
        .map_err(|_| bad_query("cursor", "expected the next_cursor of an answer".to_owned()))?;
    let listing = Listing {
        function,
        status,
        limit,
        before,
    };
    match api.run(Command::ListExecutions(listing))? {
        Answer::Executions {
            records,
            next,
            unreachable,
        } => {
            let executions: Vec<_> = records.iter().map(listed).collect();
            let unreachable: Vec<_> = unreachable.iter().map(AgentId::as_str).collect();
            render::json(
                Status::Ok,
                &json!({
                    "executions": executions,
                    "next_cursor": next.as_ref().map(ExecutionId::as_str),
                    "unreachable_agents": unreachable,
                }),
            )
        }
        _ => Err(mismatched()),
    }
}

/// `GET /executions/{id}/output`: raw bytes.
pub fn output(api: &Api, request: &mut Request<'_>, params: &Params) -> Result<Response, ApiError> {
    only_query_keys(request, &["stream", "offset"])?;
    let id = id(params, ExecutionId::new)?;
    let stream = match query(request, "stream")? {
        None => None,
        Some("stdout") => Some(Stream::Stdout),
        Some("stderr") => Some(Stream::Stderr),
        Some(_) => return Err(bad_query("stream", "expected stdout or stderr".to_owned())),
    };
    let offset = query_number(request, "offset")?.unwrap_or(0);
    match api.run(Command::ReadOutput { id, stream, offset })? {
        Answer::Output { data, total, ended } => {
            Ok(
                Response::bytes(Status::Ok, "application/octet-stream", data)
                    .header("X-Flux-Output-Total", total.to_string())
                    .header("X-Flux-Output-Ended", ended.to_string()),
            )
        }
        _ => Err(mismatched()),
    }
}

/// `GET /executions/{id}/events`: Server-Sent Events.
pub fn events(api: &Api, request: &mut Request<'_>, params: &Params) -> Result<Response, ApiError> {
    let id = id(params, ExecutionId::new)?;
    let offset = match request.header("last-event-id")? {
        None => 0,
        Some(text) => text.trim().parse().map_err(|_| {
            bad_query(
                "Last-Event-ID",
                "expected the id of an event of this execution".to_owned(),
            )
        })?,
    };
    let client_gone = request.client_gone();
    match api.run(Command::FollowExecution {
        id,
        offset,
        client_gone,
    })? {
        Answer::Follow(follow) => Ok(Response::events(move |events| send_events(*follow, events))),
        _ => Err(mismatched()),
    }
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
                    data: &chunk_json(&chunk).to_string(),
                })?;
            }
            Followed::Event(FollowEvent::Ended(record)) => {
                let record = listed(&record).to_string();
                return events.event(Event {
                    id: None,
                    name: Some("ended"),
                    data: &record,
                });
            }
            Followed::Silence => events.heartbeat()?,
            Followed::Over => return Ok(()),
        }
    }
}

fn chunk_json(chunk: &OutputChunk) -> Value {
    let mut body = json!({
        "stream": chunk.stream.as_str(),
        "offset": chunk.offset,
        "stream_offset": chunk.stream_offset,
        "data_base64": openssl::base64::encode_block(&chunk.data),
    });
    if let (Ok(text), Some(object)) = (std::str::from_utf8(&chunk.data), body.as_object_mut()) {
        object.insert("data".to_owned(), text.into());
    }
    body
}

/// A record without its output.
fn listed(record: &execution::ExecutionRecord) -> Value {
    let mut body = serde_json::to_value(RecordJson::new(record, b"")).unwrap_or_default();
    if let Some(object) = body.as_object_mut() {
        object.remove("output");
    }
    body
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
    render::json(
        status,
        &RecordJson::new(&execution.record, &execution.output),
    )
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
        read_json(&request.body().read_to_vec(limit)?)?
    } else {
        only_query_keys(request, &["arg"])?;
        let args: Vec<_> = request.query_all("arg").map(str::to_owned).collect();
        check_args(&args).map_err(|message| bad_query("arg", message))?;
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

fn read_json(body: &[u8]) -> Result<(Vec<String>, Vec<u8>, Env), ApiError> {
    let mut fields = Fields::parse(body)?;
    let args = fields.take("args", args).unwrap_or_default();
    let stdin = fields.take("stdin", text).unwrap_or_default();
    let env = fields.take("env", env).unwrap_or_default();
    fields.finish()?;
    Ok((args, stdin.into_bytes(), env))
}

fn args(value: Value) -> Result<Vec<String>, String> {
    let Value::Array(values) = value else {
        return Err(format!("expected a list of texts, found {}", kind(&value)));
    };
    let args = values
        .into_iter()
        .enumerate()
        .map(|(index, value)| text(value).map_err(|error| format!("item {index}: {error}")))
        .collect::<Result<Vec<_>, _>>()?;
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

fn env(value: Value) -> Result<Env, String> {
    let Value::Object(entries) = value else {
        return Err(format!(
            "expected an object of texts, found {}",
            kind(&value)
        ));
    };
    let env = entries
        .into_iter()
        .map(|(name, value)| {
            let value = text(value).map_err(|error| format!("{name}: {error}"))?;
            Ok((name, value))
        })
        .collect::<Result<Env, String>>()?;
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
        return Err(bad_query("Idempotency-Key", expected));
    }
    Ok(Some(key.to_owned()))
}

fn read_timeout(request: &Request<'_>) -> Result<Option<Duration>, ApiError> {
    let Some(text) = request.header("x-flux-timeout")? else {
        return Ok(None);
    };
    match parse_duration(text) {
        Ok(timeout) if timeout.is_zero() => Err(bad_query(
            "X-Flux-Timeout",
            "expected more than 0".to_owned(),
        )),
        Ok(timeout) => Ok(Some(timeout)),
        Err(message) => Err(bad_query("X-Flux-Timeout", message)),
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

    #[test]
    fn a_chunk_is_shown_as_text_only_where_it_is_text() {
        let mut chunk = OutputChunk {
            stream: Stream::Stderr,
            offset: 7,
            stream_offset: 3,
            data: b"hi".to_vec(),
        };
        assert_eq!(
            chunk_json(&chunk),
            json!({"stream": "stderr", "offset": 7, "stream_offset": 3, "data_base64": "aGk=", "data": "hi"})
        );
        chunk.data = vec![0xff];
        assert_eq!(chunk_json(&chunk).get("data"), None);
    }
}
