//! `flux logs`: shows the output of one execution, so far or to its end.

use clap::Args;
use ureq::http::Method;

use crate::cli::client::call::Call;
use crate::cli::client::document::Document;
use crate::cli::client::follow;
use crate::cli::client::http::Client;
use crate::cli::client::names;
use crate::cli::client::target::Target;
use crate::cli::error::CliError;
use crate::cli::exit_code::ExitCode;
use crate::cli::printer;
use crate::contract::record::Record;
use crate::model::ids::ExecutionId;
use crate::model::output::Stream;

/// Shows one execution's output
#[derive(Debug, Args)]
#[command(
    after_help = "Without --follow, stdout and stderr both go to stdout, in the order in which they were \
written; with it, each goes where the function wrote it. --json prints the record, or with --follow \
one event a line."
)]
pub(crate) struct Arguments {
    /// The execution
    id: String,
    /// Wait for more until the execution ends
    #[arg(long, short)]
    follow: bool,
    /// Show only this stream
    #[arg(long, value_parser = ["stdout", "stderr"])]
    stream: Option<String>,
}

pub(crate) fn run(arguments: &Arguments, target: &Target) -> Result<ExitCode, CliError> {
    let id = names::execution(&arguments.id)?;
    let client = target.client()?;
    let stream = arguments.stream.as_deref();
    match (arguments.follow, target.json) {
        (true, is_json) => follow_output(&client, &id, stream, is_json)?,
        (false, true) => {
            let record: Document<Record> = client.get(&format!("/executions/{id}"))?;
            printer::json(&record)?;
        }
        (false, false) => so_far(&client, &id, stream)?,
    }
    Ok(ExitCode::Ok)
}

fn follow_output(
    client: &Client,
    id: &ExecutionId,
    stream: Option<&str>,
    is_json: bool,
) -> Result<(), CliError> {
    let is_wanted = |of: Stream| stream.is_none_or(|stream| stream == of.as_str());
    let ended = follow::follow(client, id, |chunk| {
        if !is_wanted(chunk.stream) {
            Ok(())
        } else if is_json {
            printer::json_line(&chunk.event)
        } else {
            chunk.show()
        }
    })?;
    if is_json {
        printer::json_line(&ended)?;
    }
    Ok(())
}

/// Asks for one part after the other; the first empty one is the end of what there is.
fn so_far(client: &Client, id: &ExecutionId, stream: Option<&str>) -> Result<(), CliError> {
    let mut offset: u64 = 0;
    loop {
        let mut call = Call::new(Method::GET, format!("/executions/{id}/output"))
            .query("offset", &offset.to_string());
        if let Some(stream) = stream {
            call = call.query("stream", stream);
        }
        let bytes = client.bytes(call)?;
        if bytes.is_empty() {
            return Ok(());
        }
        printer::raw(&bytes)?;
        offset += bytes.len() as u64;
    }
}
