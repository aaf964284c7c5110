//! An agent as it is stored.

use serde::{Deserialize, Serialize};

use super::json::{self, text_of};
use crate::base::clock::Timestamp;
use crate::model::agent::{Agent, AgentState, Machine};
use crate::model::ids::AgentId;

#[derive(Serialize, Deserialize)]
#[serde(tag = "format")]
enum StoredAgent {
    #[serde(rename = "1")]
    V1(AgentV1),
}

#[derive(Serialize, Deserialize)]
struct AgentV1 {
    id: String,
    address: String,
    tls: bool,
    state: String,
    machine: Option<MachineV1>,
    registered_at_ms: i64,
}

#[derive(Serialize, Deserialize)]
struct MachineV1 {
    provider: String,
    instance_id: String,
    instance_type: String,
}

pub(crate) fn encode(agent: &Agent) -> String {
    json::encode(&StoredAgent::V1(AgentV1 {
        id: agent.id.as_str().to_owned(),
        address: agent.address.clone(),
        tls: agent.tls,
        state: agent.state.as_str().to_owned(),
        machine: agent.machine.as_ref().map(|machine| MachineV1 {
            provider: machine.provider.clone(),
            instance_id: machine.instance_id.clone(),
            instance_type: machine.instance_type.clone(),
        }),
        registered_at_ms: agent.registered_at.as_millis(),
    }))
}

/// # Errors
/// What makes the text no agent.
pub(crate) fn decode(text: &str) -> Result<Agent, String> {
    let StoredAgent::V1(stored) = serde_json::from_str(text).map_err(text_of)?;
    Ok(Agent {
        id: AgentId::new(&stored.id).map_err(text_of)?,
        address: stored.address,
        tls: stored.tls,
        state: AgentState::parse(&stored.state)
            .ok_or_else(|| format!("no agent state is called {:?}", stored.state))?,
        machine: stored.machine.map(|machine| Machine {
            provider: machine.provider,
            instance_id: machine.instance_id,
            instance_type: machine.instance_type,
        }),
        registered_at: Timestamp::from_millis(stored.registered_at_ms),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Written by hand: what the first released program has stored must stay readable.
    const AGENT: &str = r#"{"format":"1","id":"a1","address":"10.0.0.1:50052","tls":true,"state":"online","machine":{"provider":"aws","instance_id":"i-1","instance_type":"t3.small"},"registered_at_ms":1000}"#;

    #[test]
    fn the_first_format_reads_back_and_is_written_alike() {
        let agent = decode(AGENT).expect("agent");
        assert_eq!(agent.state, AgentState::Online);
        assert_eq!(encode(&agent), AGENT);
    }

    #[test]
    fn an_unknown_format_or_state_is_refused() {
        for (text, complaint) in [
            (AGENT.replace(r#""1""#, r#""2""#), "variant"),
            (AGENT.replace("online", "asleep"), "asleep"),
            (AGENT.replace("a1", "../a"), "agent id"),
            ("{}".to_owned(), "format"),
            (String::new(), "EOF"),
        ] {
            let error = decode(&text).expect_err(&text);
            assert!(error.contains(complaint), "{error}");
        }
    }
}
