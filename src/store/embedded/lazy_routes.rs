//! Routes on their way to the database: visible before they are written.
//!
//! A reader looks here first and in the database after. An entry leaves when its write has
//! settled, and the database shows it from then on, so there is no moment in between. The
//! alternative, to write everything that waits when a route is not found, would make a reader
//! wait for an fsync that happens to run.

use std::collections::HashMap;
use std::sync::Mutex;

use crate::base::threads::lock;
use crate::model::ids::ExecutionId;
use crate::store::values::Route;

/// Bounded by the operations that may wait for a commit (`base::group_commit`).
#[derive(Default)]
pub(super) struct LazyRoutes {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    next_ticket: u64,
    routes: HashMap<ExecutionId, (u64, Route)>,
}

impl LazyRoutes {
    /// Shows `route`; the ticket takes it back.
    pub(crate) fn show(&self, route: &Route) -> u64 {
        let mut state = lock(&self.state);
        let ticket = state.next_ticket;
        state.next_ticket += 1;
        state
            .routes
            .insert(route.execution.clone(), (ticket, route.clone()));
        ticket
    }

    /// The route that waits for its write.
    pub(crate) fn get(&self, execution: &ExecutionId) -> Option<Route> {
        let state = lock(&self.state);
        state.routes.get(execution).map(|(_, route)| route.clone())
    }

    /// The write has settled. A newer route of the same execution stays.
    pub(crate) fn settle(&self, execution: &ExecutionId, ticket: u64) {
        let mut state = lock(&self.state);
        if state
            .routes
            .get(execution)
            .is_some_and(|(held, _)| *held == ticket)
        {
            state.routes.remove(execution);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::Timestamp;
    use crate::model::ids::{AgentId, FunctionName};

    #[test]
    fn a_settled_write_does_not_hide_a_newer_one_that_waits() {
        let route = |agent: &str| Route {
            execution: ExecutionId::new("e1").expect("id"),
            agent: AgentId::new(agent).expect("id"),
            function: FunctionName::new("f").expect("name"),
            accepted_at: Timestamp::from_millis(1),
        };
        let lazy = LazyRoutes::default();
        let (first, second) = (route("a1"), route("a2"));
        let first_ticket = lazy.show(&first);
        let second_ticket = lazy.show(&second);
        lazy.settle(&first.execution, first_ticket);
        assert_eq!(lazy.get(&first.execution), Some(second));
        lazy.settle(&first.execution, second_ticket);
        assert_eq!(lazy.get(&first.execution), None);
    }
}
