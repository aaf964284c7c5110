//! The fleet of all tests that only need functions of their own: one agent, small limits.

use std::sync::Arc;

use crate::harness::{AgentOptions, Fleet, FleetOptions, Shared};

/// In the agent's own environment, and nowhere else.
pub const AGENTS_SECRET: &str = "agents-own-secret-5d1c";

static PLAIN: Shared = Shared::new();

/// Shared: a test may not change its agent, and names its functions as no other does.
#[track_caller]
pub fn plain() -> Arc<Fleet> {
    PLAIN.get(|| FleetOptions {
        flux_yaml: "limits: {archive_max_mb: 1, execute_body_max_mb: 1}\n".to_owned(),
        agents: vec![AgentOptions {
            agent_yaml: "network: {node_private_ip: 10.9.8.7, node_public_ip: 203.0.113.5}\n\
                         limits: {output_max_mb: 1, max_executions: 200}\n"
                .to_owned(),
            env: vec![
                ("AGENT_TEST_SECRET", AGENTS_SECRET),
                ("LANG", "C.UTF-8"),
                ("TZ", "Pacific/Chatham"),
            ],
            ..AgentOptions::default()
        }],
    })
}
