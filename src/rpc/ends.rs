//! Reading an agent's ends, and having the fate of an execution settled.

use super::client::AgentClient;
use super::error::RpcError;
use super::limits::CALL_DEADLINE;
use crate::model::ends::{Ends, Settled};
use crate::wire::ends::{
    EndsQuery, SettleQuery, ends_from_proto, query_to_proto, settle_to_proto, settled_from_proto,
};
use crate::wire::execution::check_origin;
use crate::wire::proto;

impl AgentClient {
    /// The next ends, in order.
    ///
    /// # Errors
    /// See [`RpcError`]; [`RpcError::Unimplemented`] from a legacy agent.
    pub fn read_ends(&self, query: &EndsQuery) -> Result<Ends, RpcError> {
        let request = query_to_proto(query);
        let start = proto::READ_ENDS;
        let answer = self.call(start, &request, CALL_DEADLINE)?;
        Ok(ends_from_proto(answer)?)
    }

    /// What became of an execution that may never have come to the agent; one that has not never
    /// will.
    ///
    /// # Errors
    /// See [`RpcError`]; [`RpcError::Unimplemented`] from a legacy agent.
    pub fn settle(&self, query: &SettleQuery) -> Result<Settled, RpcError> {
        let request = settle_to_proto(query);
        let start = proto::SETTLE_EXECUTION;
        let answer = self.call(start, &request, CALL_DEADLINE)?;
        let settled = settled_from_proto(answer)?;
        if let Settled::Ended(record) = &settled {
            check_origin(record, &query.execution, self.agent())?;
        }
        Ok(settled)
    }
}
