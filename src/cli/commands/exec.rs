//! `flux exec`: starts a function, shows its output as it comes, and ends as it ends.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use serde_json::{Map, Value, json};
use ureq::http::Method;

use crate::base::units::parse_duration;
use crate::cli::client::follow::{self, Chunk};
use crate::cli::client::http::{Call, Client};
use crate::cli::client::interrupt;
use crate::cli::client::record;
use crate::cli::client::target::Target;
use crate::cli::error::CliError;
use crate::cli::exit_code::ExitCode;
use crate::cli::printer::{self, Printer};
use crate::model::function::{Env, check_env};
use crate::model::ids::{ExecutionId, FunctionName};
use crate::model::output::Stream;

/// Standard input that is read into memory and sent; the control plane's own limit is lower.
const MAX_STDIN_BYTES: u64 = 48 << 20;
/// Bytes of arguments that go into a request line, which servers keep short.
const MAX_QUERY_ARGS_BYTES: usize = 4096;

/// Starts a function and shows its output live; ends with the function's own exit code
#[derive(Debug, Args)]
#[command(
    after_help = "Ctrl-C cancels the execution. With --async --follow it only stops following.\n\
Exit codes beside the function's own: 124 timed out, 125 Flux failed, 126 not startable, \
127 no such function, 128+n signal n."
)]
pub struct Arguments {
    /// The function
    name: String,
    /// Print the execution's id and return at once
    #[arg(long = "async")]
    detach: bool,
    /// Show the output until the end: the default without --async
    #[arg(long)]
    follow: bool,
    /// Standard input for the function: a file, or - for this command's own
    #[arg(long, value_name = "FILE")]
    stdin: Option<PathBuf>,
    /// An addition to the function's environment
    #[arg(long = "env", value_name = "NAME=VALUE")]
    environment: Vec<String>,
    /// Shortens the function's timeout for this execution, such as 30s
    #[arg(long, value_name = "DURATION")]
    timeout: Option<String>,
    /// The same key gives the first answer again, and never a second execution
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
    /// Arguments for the function
    #[arg(last = true)]
    args: Vec<String>,
}

/// Runs the command.
///
/// # Errors
/// Whatever kept Flux from running the function or showing its end.
pub fn run(arguments: &Arguments, target: &Target) -> Result<ExitCode, CliError> {
    let request = Request::new(arguments)?;
    let client = target.client()?;
    let printer = Printer::new(target.json);
    if arguments.detach {
        let (answer, id) = start(&client, &request)?;
        if !arguments.follow {
            printer.show_line(&answer, id.as_str())?;
            return Ok(ExitCode::Ok);
        }
        printer::note(&format!("execution {id}"));
        return show(&client, &id, printer);
    }
    let watch = interrupt::watch()?;
    let (_, id) = start(&client, &request)?;
    let guard = watch.cancel(target.client()?, id.clone())?;
    let result = show(&client, &id, printer);
    drop(guard);
    if matches!(result, Err(CliError::PipeClosed)) {
        // As a local process would have met SIGPIPE. Its failure has no reader left either.
        let _ = client.delete(&format!("/executions/{id}"));
    }
    result
}

struct Request {
    call: Call,
    body: Vec<u8>,
}

impl Request {
    fn new(arguments: &Arguments) -> Result<Request, CliError> {
        let name = FunctionName::new(&arguments.name)
            .map_err(|error| CliError::usage(error.to_string(), ""))?;
        let environment = environment(&arguments.environment)?;
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
            // Raw: needs no escapes, and may be any bytes.
            Some(body) if environment.is_empty() && args_bytes <= MAX_QUERY_ARGS_BYTES => {
                for arg in &arguments.args {
                    call = call.query("arg", arg);
                }
                let call = call.header("content-type", "application/octet-stream");
                Ok(Request { call, body })
            }
            stdin => {
                let body = json_body(&arguments.args, &environment, stdin)?;
                let call = call.header("content-type", "application/json");
                Ok(Request { call, body })
            }
        }
    }
}

fn start(client: &Client, request: &Request) -> Result<(Value, ExecutionId), CliError> {
    let answer = client.json(request.call.clone(), request.body.as_slice())?;
    let id = answer["execution_id"].as_str().unwrap_or_default();
    let id = ExecutionId::new(id).map_err(|error| CliError::Protocol {
        url: client.url().to_owned(),
        what: error.to_string(),
    })?;
    Ok((answer, id))
}

fn show(client: &Client, id: &ExecutionId, printer: Printer) -> Result<ExitCode, CliError> {
    let ended = follow::follow(client, id, |chunk| {
        if printer.is_json() {
            Ok(())
        } else {
            write(chunk)
        }
    })?;
    if printer.is_json() {
        // The event leaves the output out; the record has it.
        let record = client.get(&format!("/executions/{id}")).unwrap_or(ended);
        printer.json(&record)?;
        return Ok(record::exit_code(&record));
    }
    if ended["truncated"] == true {
        printer::note("the output was longer than the agent keeps; its rest is lost");
    }
    let remark = record::remark(&ended);
    if !remark.is_empty() {
        printer::note(&remark);
    }
    Ok(record::exit_code(&ended))
}

/// A chunk to where the function wrote it, byte by byte.
pub(super) fn write(chunk: &Chunk) -> Result<(), CliError> {
    match chunk.stream {
        Stream::Stdout => printer::raw(&chunk.data),
        Stream::Stderr => {
            printer::raw_stderr(&chunk.data);
            Ok(())
        }
    }
}

fn json_body(args: &[String], env: &Env, stdin: Option<Vec<u8>>) -> Result<Vec<u8>, CliError> {
    let mut body = Map::new();
    body.insert("args".to_owned(), json!(args));
    if !env.is_empty() {
        body.insert("env".to_owned(), json!(env));
    }
    if let Some(stdin) = stdin {
        let text = String::from_utf8(stdin).map_err(|_| {
            CliError::usage(
                "standard input that is no UTF-8 goes neither with --env nor with arguments over 4 KiB",
                "put such values into the function's YAML, or into the input",
            )
        })?;
        body.insert("stdin".to_owned(), Value::String(text));
    }
    Ok(Value::Object(body).to_string().into_bytes())
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
        std::fs::File::open(path).and_then(|file| file.take(limit).read_to_end(&mut bytes))
    };
    result.with_context(|| format!("read standard input from {}", path.display()))?;
    if bytes.len() as u64 > MAX_STDIN_BYTES {
        return Err(CliError::usage(
            "standard input is larger than 48 MiB",
            "let the function fetch large inputs itself",
        ));
    }
    Ok(bytes)
}
