//! What `flux exec` sends: the function's arguments, environment and standard input, checked here as
//! far as they can be.
//!
//! Standard input travels as it is, in any bytes, as long as nothing has to travel beside it that only
//! a JSON body can hold.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use anyhow::Context as _;
use ureq::http::Method;

use super::run::Arguments;
use crate::base::units::parse_duration;
use crate::cli::client::call::Call;
use crate::cli::client::names;
use crate::cli::error::CliError;
use crate::contract::execution::Execute;
use crate::model::function::{Env, check_env};

/// Standard input that is read into memory and sent; the control plane's own limit is lower.
const MAX_STDIN_BYTES: u64 = 48 << 20;
/// Bytes of arguments that go into a request line, which servers keep short.
const MAX_QUERY_ARGS_BYTES: usize = 4096;

pub(super) struct Request {
    pub(super) call: Call,
    pub(super) body: Vec<u8>,
}

impl Request {
    /// # Errors
    /// An argument that cannot be sent, or a file that cannot be read.
    pub(super) fn new(arguments: &Arguments) -> Result<Request, CliError> {
        let name = names::function(&arguments.name)?;
        let env = environment(&arguments.environment)?;
        let stdin = arguments.stdin.as_deref().map(read_stdin).transpose()?;
        let mut call = Call::new(Method::POST, format!("/execute/{name}/async"));
        if let Some(timeout) = &arguments.timeout {
            parse_duration(timeout)
                .map_err(|message| CliError::usage(format!("--timeout: {message}"), ""))?;
            call = call.header("x-flux-timeout", timeout.clone());
        }
        if let Some(key) = &arguments.idempotency_key {
            call = call.header("idempotency-key", key.clone());
        }
        let args_bytes: usize = arguments.args.iter().map(String::len).sum();
        match stdin {
            Some(stdin) if env.is_empty() && args_bytes <= MAX_QUERY_ARGS_BYTES => {
                Ok(raw(call, &arguments.args, stdin))
            }
            stdin => json(call, arguments.args.clone(), env, stdin.unwrap_or_default()),
        }
    }
}

/// Needs no escapes, and takes any bytes.
fn raw(mut call: Call, args: &[String], stdin: Vec<u8>) -> Request {
    for arg in args {
        call = call.query("arg", arg);
    }
    Request {
        call: call.header("content-type", "application/octet-stream"),
        body: stdin,
    }
}

fn json(call: Call, args: Vec<String>, env: Env, stdin: Vec<u8>) -> Result<Request, CliError> {
    let stdin = String::from_utf8(stdin).map_err(|_| {
        CliError::usage(
            "standard input has to be UTF-8 beside --env or more than 4 KiB of arguments",
            "put such values into the function's YAML, or into the input",
        )
    })?;
    let body =
        serde_json::to_vec(&Execute { args, stdin, env }).context("cannot encode the request")?;
    Ok(Request {
        call: call.header("content-type", "application/json"),
        body,
    })
}

fn environment(pairs: &[String]) -> Result<Env, CliError> {
    let mut env = Env::new();
    for pair in pairs {
        let (name, value) = pair.split_once('=').ok_or_else(|| {
            CliError::usage("--env expects NAME=VALUE", "such as --env LEVEL=debug")
        })?;
        env.insert(name.to_owned(), value.to_owned());
    }
    check_env(&env).map_err(|error| CliError::usage(error.to_string(), ""))?;
    Ok(env)
}

fn read_stdin(path: &Path) -> Result<Vec<u8>, CliError> {
    let mut bytes = Vec::new();
    let limit = MAX_STDIN_BYTES + 1;
    let result = if path == Path::new("-") {
        io::stdin().lock().take(limit).read_to_end(&mut bytes)
    } else {
        File::open(path).and_then(|file| file.take(limit).read_to_end(&mut bytes))
    };
    result.with_context(|| format!("cannot read standard input from {}", path.display()))?;
    if bytes.len() as u64 > MAX_STDIN_BYTES {
        return Err(CliError::usage(
            "standard input is larger than 48 MiB",
            "let the function fetch large inputs itself",
        ));
    }
    Ok(bytes)
}
