//! What a store does with the ways to executions.

use crate::base::clock::Timestamp;
use crate::model::ids::{AgentId, ExecutionId};
use crate::store::error::StoreError;
use crate::store::values::Route;

/// Routes of one answer of [`RouteStore::list_routes`]; an agent can have millions in the hour they
/// are kept.
pub const ROUTES_PER_PAGE: usize = 1000;

/// Where executions run or ran.
///
/// # Errors
/// See [`super::Store`]; others are named at the method.
pub trait RouteStore: Send + Sync {
    /// Writes a route, over an earlier one of the same execution.
    ///
    /// # Errors
    /// See the trait.
    fn put_route(&self, route: &Route) -> Result<(), StoreError>;

    /// The same without waiting for the disk, for executions whose caller waits for the result:
    /// [`RouteStore::get_route`] sees it at once; it is durable with the next write that is, and
    /// survives the end of this process from the next [`super::Store::flush`] on, which somebody should
    /// therefore call every now and then. Should its write fail, that is logged and the route
    /// forgotten. To end such a route, put it again with `expires_at`.
    fn put_route_lazily(&self, route: &Route);

    /// The route of an execution.
    ///
    /// # Errors
    /// See the trait.
    fn get_route(&self, execution: &ExecutionId) -> Result<Option<Route>, StoreError>;

    /// Sets when a route may be forgotten; whether there is one.
    ///
    /// # Errors
    /// See the trait.
    fn end_route(&self, execution: &ExecutionId, expires_at: Timestamp)
    -> Result<bool, StoreError>;

    /// Points a route to another agent; whether there is one.
    ///
    /// # Errors
    /// See the trait.
    fn move_route(&self, execution: &ExecutionId, to: &AgentId) -> Result<bool, StoreError>;

    /// Forgets a route, for an execution that came to nothing; whether there was one.
    ///
    /// # Errors
    /// See the trait.
    fn delete_route(&self, execution: &ExecutionId) -> Result<bool, StoreError>;

    /// The next [`ROUTES_PER_PAGE`] routes to an agent, by execution, that come `after` one;
    /// empty at the end.
    ///
    /// # Errors
    /// See the trait.
    fn list_routes(
        &self,
        agent: &AgentId,
        after: Option<&ExecutionId>,
    ) -> Result<Vec<Route>, StoreError>;

    /// Forgets the routes whose time has come; how many. A route without `expires_at` stays.
    ///
    /// # Errors
    /// See the trait.
    fn expire_routes(&self, now: Timestamp) -> Result<usize, StoreError>;
}
