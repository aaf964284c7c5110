//! The names that stand in certificates. They are part of the protocol: both ends check them.
//!
//! An agent is a server and nothing else, the control plane a client and nothing else; an
//! agent's certificate therefore cannot command another agent.

use crate::model::ids::AgentId;

/// The subject alternative name of the control plane's certificate.
pub(crate) const CONTROL_NAME: &str = "control.flux.internal";

/// HTTP header that names the token of a join, so that nothing more is read from whoever has none.
pub(crate) const JOIN_TOKEN_HEADER: &str = "x-flux-token-id";

const AGENT_SUFFIX: &str = ".agent.flux.internal";

/// The subject alternative name of an agent's certificate: `<id>.agent.flux.internal`.
pub fn agent_name(id: &AgentId) -> String {
    format!("{id}{AGENT_SUFFIX}")
}

/// The reverse of [`agent_name`]; `None` for every other name.
pub(crate) fn agent_of(name: &str) -> Option<AgentId> {
    AgentId::new(name.strip_suffix(AGENT_SUFFIX)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agents_name_leads_back_to_its_id_and_nothing_else_does() {
        for text in ["a", "agent-1.rack_2"] {
            let id = AgentId::new(text).expect(text);
            assert_eq!(agent_of(&agent_name(&id)), Some(id));
        }
        for name in [
            CONTROL_NAME,
            ".agent.flux.internal",
            "*.agent.flux.internal",
            "a.agent.flux.internal.example.com",
            "A.agent.flux.internal",
        ] {
            assert_eq!(agent_of(name), None, "{name}");
        }
    }
}
