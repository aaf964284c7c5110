//! What a store does with the ways to executions.

use crate::model::ids::{AgentId, ExecutionId};
use crate::store::error::StoreError;
use crate::store::values::Route;

/// Routes of one answer of [`RouteStore::list_routes`].
pub const ROUTES_PER_PAGE: usize = 1000;

/// Where executions are that were handed over and of whose end nothing is kept.
///
/// # Errors
/// Those of every method of [`super::Store`].
pub trait RouteStore: Send + Sync {
    /// Writes a route, over an earlier one of the same execution.
    fn put_route(&self, route: &Route) -> Result<(), StoreError>;

    /// The same without waiting for the disk, for executions whose caller waits for the result:
    /// [`RouteStore::get_route`] sees it at once; it is durable with the next write that is, and
    /// survives the end of this process from the next [`super::Store::flush`] on, which somebody should
    /// therefore call every now and then. Should its write fail, that is logged and the route
    /// forgotten.
    fn put_route_lazily(&self, route: &Route);

    /// The route of an execution.
    fn get_route(&self, execution: &ExecutionId) -> Result<Option<Route>, StoreError>;

    /// Forgets routes, because what they lead to has ended or came to nothing; how many there were.
    /// A power cut may bring them back.
    fn forget_routes(&self, executions: &[ExecutionId]) -> Result<usize, StoreError>;

    /// The next [`ROUTES_PER_PAGE`] routes to an agent, by execution, that come `after` one;
    /// empty at the end.
    fn list_routes(
        &self,
        agent: &AgentId,
        after: Option<&ExecutionId>,
    ) -> Result<Vec<Route>, StoreError>;
}
