//! From a method and a path to a route: one table.

use super::errors::ApiError;
use super::handler::Api;
use super::routes::{agents, executions, functions, machine, operation};
use crate::http::method::Method;
use crate::http::request::Request;
use crate::http::response::Response;
use crate::http::status::Status;

/// Answers one route; `Params` are the path's variable segments, in order.
pub(crate) type Action = fn(&Api, &mut Request<'_>, &Params) -> Result<Response, ApiError>;

/// The segments that stand where the pattern has `{…}`.
pub(crate) type Params = Vec<String>;

/// Who may use a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// Whoever has the API key.
    Key,
    /// Everybody.
    Open,
    /// Everybody, if `public_agents` says so.
    PublicAgents,
    /// Whoever has a one-time token; the route checks.
    Token,
}

struct Route {
    method: Method,
    pattern: &'static str,
    access: Access,
    action: Action,
}

const fn route(method: Method, pattern: &'static str, access: Access, action: Action) -> Route {
    Route {
        method,
        pattern,
        access,
        action,
    }
}

use Access::{Key, Open, PublicAgents, Token};
use Method::{Delete, Get, Post, Put};

#[rustfmt::skip]
const ROUTES: [Route; 29] = [
    route(Get,    "/health",                       Open,         operation::health),
    route(Get,    "/ready",                        Open,         operation::ready),
    route(Get,    "/resources",                    Key,          machine::resources),
    route(Post,   "/initialize",                   Key,          machine::initialize),
    route(Delete, "/nodes",                        Key,          machine::remove_nodes),
    route(Get,    "/agents",                       PublicAgents, agents::list),
    route(Post,   "/agents/register",              Key,          agents::register),
    route(Post,   "/agents/enroll",                Key,          agents::enroll),
    route(Post,   "/agents/join",                  Token,        agents::join),
    route(Delete, "/agents/{id}",                  Key,          agents::remove),
    route(Post,   "/agents/{id}/drain",            Key,          agents::drain),
    route(Get,    "/functions",                    Key,          functions::list),
    route(Put,    "/functions",                    Key,          functions::register),
    route(Get,    "/functions/{name}",             Key,          functions::get),
    route(Delete, "/functions/{name}",             Key,          functions::delete),
    route(Get,    "/functions/{name}/versions",    Key,          functions::versions),
    route(Post,   "/functions/{name}/rollback",    Key,          functions::rollback),
    route(Put,    "/deploy/{name}",                Key,          functions::deploy),
    route(Post,   "/execute/{name}",               Key,          executions::execute),
    route(Post,   "/execute/{name}/async",         Key,          executions::execute_async),
    route(Get,    "/executions",                   Key,          executions::list),
    route(Get,    "/executions/{id}",              Key,          executions::get),
    route(Delete, "/executions/{id}",              Key,          executions::cancel),
    route(Get,    "/executions/{id}/output",       Key,          executions::output),
    route(Get,    "/executions/{id}/events",       Key,          executions::events),
    // HEAD as RFC 9110 wants it where a monitor may ask.
    route(Method::Head, "/health",                 Open,         operation::health),
    route(Method::Head, "/ready",                  Open,         operation::ready),
    route(Method::Head, "/agents",                 PublicAgents, agents::list),
    route(Method::Head, "/executions/{id}",        Key,          executions::get),
];

/// What a request leads to.
pub(crate) enum Found {
    /// An action, and who may have it done.
    Action(Action, Access, Params),
    /// The path is known for other methods.
    OtherMethods(String),
    Nothing,
}

/// Looks a request up.
pub(crate) fn find(method: Method, segments: &[String]) -> Found {
    let mut allowed = Vec::new();
    for route in &ROUTES {
        let Some(params) = matches(route.pattern, segments) else {
            continue;
        };
        if route.method == method {
            return Found::Action(route.action, route.access, params);
        }
        allowed.push(route.method.name());
    }
    if allowed.is_empty() {
        return Found::Nothing;
    }
    Found::OtherMethods(allowed.join(", "))
}

/// 404 for a path that leads nowhere.
pub(crate) fn not_found() -> ApiError {
    ApiError::new(
        Status::NotFound,
        "not_found",
        "there is nothing at this path",
        "see the API's documentation for the paths there are",
    )
}

fn matches(pattern: &str, segments: &[String]) -> Option<Params> {
    let parts: Vec<_> = pattern.split('/').skip(1).collect();
    if parts.len() != segments.len() {
        return None;
    }
    let mut params = Vec::new();
    for (part, segment) in parts.into_iter().zip(segments) {
        if part.starts_with('{') {
            params.push(segment.clone());
        } else if part != segment {
            return None;
        }
    }
    Some(params)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segments(path: &str) -> Vec<String> {
        path.split('/').skip(1).map(str::to_owned).collect()
    }

    #[test]
    fn fixed_segments_win_over_variable_ones_and_methods_are_told() {
        let find = |method, path| find(method, &segments(path));
        assert!(
            matches!(find(Post, "/agents/register"), Found::Action(_, Key, params) if params.is_empty())
        );
        assert!(
            matches!(find(Delete, "/agents/a1"), Found::Action(_, Key, params) if params == ["a1"])
        );
        assert!(matches!(find(Get, "/health"), Found::Action(_, Open, _)));
        assert!(matches!(find(Put, "/health"), Found::OtherMethods(allow) if allow == "GET, HEAD"));
        assert!(matches!(find(Get, "/functions/a/b"), Found::Nothing));
        assert!(matches!(find(Get, "/"), Found::Nothing));
    }

    #[test]
    fn only_what_the_contract_opens_is_open() {
        let open: Vec<_> = ROUTES
            .iter()
            .filter(|route| route.access != Key)
            .map(|route| route.pattern)
            .collect();
        assert_eq!(
            open,
            [
                "/health",
                "/ready",
                "/agents",
                "/agents/join",
                "/health",
                "/ready",
                "/agents"
            ]
        );
    }
}
