//! A method of the protocol, with what it takes and gives.

use std::marker::PhantomData;

/// Takes `Q`s and gives `A`s.
pub struct Method<Q, A> {
    /// As it stands in a request: `/package.Service/Method`.
    pub path: &'static str,
    types: PhantomData<fn(Q) -> A>,
}

impl<Q, A> Method<Q, A> {
    /// What the generated code makes of the protocol's file.
    pub const fn new(path: &'static str) -> Method<Q, A> {
        Method {
            path,
            types: PhantomData,
        }
    }
}

impl<Q, A> Clone for Method<Q, A> {
    fn clone(&self) -> Method<Q, A> {
        *self
    }
}

impl<Q, A> Copy for Method<Q, A> {}
