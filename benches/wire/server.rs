//! The process that stands for the agent. It says where it listens, then answers each line with what it has
//! cost so far, and ends with its standard input.

use std::io::{BufRead, Write};
use std::path::Path;
use std::sync::Arc;

use flux::agent::serve::service::Serving;
use flux::base::threads::Supervisor;
use flux::model::ids::AgentId;
use flux::rpc::limits::Keepalive;
use flux::rpc::tls::ServerIdentity;

use super::link::{AGENT, identity_in};
use super::{cost, floor, worker};

#[expect(clippy::print_stdout, reason = "its parent reads it")]
pub fn serve(directory: &Path) {
    let supervisor = Supervisor::new();
    let agent = AgentId::new(AGENT).expect("an id");
    let worker = Arc::new(worker::Idle::new(&agent, &supervisor));
    let identity = Arc::new(ServerIdentity::new(identity_in(directory)));
    let address = "127.0.0.1:0".parse().expect("an address");
    let keepalive = Keepalive::default();
    let serving = Serving::start(address, Some(identity), worker, &supervisor, keepalive);
    let serving = serving.expect("a server");
    let bare = floor::listen(&supervisor);
    println!("{} {bare}", serving.address());
    let _ = std::io::stdout().flush();
    for line in std::io::stdin().lock().lines() {
        if line.is_err() {
            break;
        }
        println!("{}", cost::of_this_process().written());
        let _ = std::io::stdout().flush();
    }
    // Its threads wait for connections, which the parent has.
    std::process::exit(0);
}
