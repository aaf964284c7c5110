//! `flux exec`: starts a function, shows its output as it comes, and ends as it ends.

use std::path::PathBuf;

use clap::Args;

use super::request::Request;
use crate::cli::client::chunk::Chunk;
use crate::cli::client::document::Document;
use crate::cli::client::follow;
use crate::cli::client::http::Client;
use crate::cli::client::interrupt;
use crate::cli::client::record;
use crate::cli::client::target::Target;
use crate::cli::error::CliError;
use crate::cli::exit_code::ExitCode;
use crate::cli::printer::{self, Printer};
use crate::contract::execution::{Accepted, Cancelled};
use crate::contract::record::Record;
use crate::model::ids::ExecutionId;

/// Starts a function and shows its output live; ends with the function's own exit code
#[derive(Debug, Args)]
#[command(
    after_help = "Ctrl-C cancels the execution. With --async --follow it only stops following.\n\
Exit codes beside the function's own: 124 timed out, 125 Flux failed, 126 not startable, \
127 no such function, 128+n signal n."
)]
pub(crate) struct Arguments {
    /// The function
    pub(super) name: String,
    /// Print the execution's id and return at once
    #[arg(long = "async")]
    detach: bool,
    /// Show the output until the end: the default without --async
    #[arg(long)]
    follow: bool,
    /// Standard input for the function: a file, or - for this command's own
    #[arg(long, value_name = "FILE")]
    pub(super) stdin: Option<PathBuf>,
    /// An addition to the function's environment
    #[arg(long = "env", value_name = "NAME=VALUE")]
    pub(super) environment: Vec<String>,
    /// Shortens the function's timeout for this execution, such as 30s
    #[arg(long, value_name = "DURATION")]
    pub(super) timeout: Option<String>,
    /// The same key gives the first answer again, and never a second execution
    #[arg(long, value_name = "KEY")]
    pub(super) idempotency_key: Option<String>,
    /// Arguments for the function
    #[arg(last = true)]
    pub(super) args: Vec<String>,
}

/// Runs the command.
///
/// # Errors
/// Whatever kept Flux from running the function or showing its end.
pub(crate) fn run(arguments: &Arguments, target: &Target) -> Result<ExitCode, CliError> {
    let request = Request::new(arguments)?;
    let client = target.client()?;
    let printer = Printer::new(target.json);
    if arguments.detach {
        let (answer, id) = start(&client, request)?;
        if !arguments.follow {
            printer.show_line(&answer, id.as_str())?;
            return Ok(ExitCode::Ok);
        }
        printer::note(&format!("execution {id}"));
        return show(&client, &id, printer);
    }
    let watch = interrupt::watch()?;
    let (_, id) = start(&client, request)?;
    let guard = watch.cancel(target.client()?, id.clone())?;
    let result = show(&client, &id, printer);
    drop(guard);
    if matches!(result, Err(CliError::PipeClosed)) {
        // As a local process would have met SIGPIPE. Its failure has no reader left either.
        let _ = client.delete::<Cancelled>(&format!("/executions/{id}"));
    }
    result
}

fn start(client: &Client, request: Request) -> Result<(Document<Accepted>, ExecutionId), CliError> {
    let answer: Document<Accepted> = client.json(request.call, request.body.as_slice())?;
    let id = ExecutionId::new(&answer.execution_id)
        .map_err(|error| client.protocol(format!("the execution was accepted, but {error}")))?;
    Ok((answer, id))
}

fn show(client: &Client, id: &ExecutionId, printer: Printer) -> Result<ExitCode, CliError> {
    if printer.is_json() {
        return show_record(client, id);
    }
    let record = follow::follow(client, id, Chunk::show)?;
    if record.truncated {
        printer::note("the output was longer than the agent keeps; its rest is lost");
    }
    printer::note(&record::remark(&record));
    Ok(record::exit_code(&record))
}

fn show_record(client: &Client, id: &ExecutionId) -> Result<ExitCode, CliError> {
    let ended = follow::follow(client, id, |_| Ok(()))?;
    // The event leaves the output out; the record has it.
    let record: Document<Record> = client.get(&format!("/executions/{id}")).unwrap_or(ended);
    printer::json(&record)?;
    Ok(record::exit_code(&record))
}
