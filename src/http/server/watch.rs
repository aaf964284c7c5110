//! A handler's view on whether its client is still there.

use super::poller::{Poller, Registration};
use crate::base::token::Token;

/// Made for each request, free until it is asked.
pub(in crate::http) struct Watch<'c> {
    pub(super) poller: &'c Poller,
    pub(super) registration: &'c Registration,
    pub(super) token: Option<Token>,
}

impl Watch<'_> {
    /// The request's one token. Costs an epoll_ctl(2) the first time.
    pub(in crate::http) fn token(&mut self) -> Token {
        if let Some(token) = &self.token {
            return token.clone();
        }
        let token = self
            .poller
            .watch(self.registration)
            .unwrap_or_else(|error| {
                log::warn!("failed to watch for a client's end: {error}");
                Token::never()
            });
        self.token.insert(token).clone()
    }
    /// Whether a token was asked for.
    pub(in crate::http) fn is_used(&self) -> bool {
        self.token.is_some()
    }
}
