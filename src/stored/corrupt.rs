//! An entry of a database that cannot be read back.

use std::fmt::Display;

use thiserror::Error;

use crate::base::sqlite::Failure;

/// One entry cannot be read back; the others can.
#[derive(Debug, Error)]
#[error("the stored {what} {key:?} cannot be read: {detail}")]
pub struct Corrupt {
    /// The kind of entry: `execution`, `function`.
    pub what: &'static str,
    /// What it is stored under: an execution's id, a function's name.
    pub key: String,
    /// The field that cannot be read, and why.
    pub detail: String,
}

impl<E: From<Corrupt>> From<Corrupt> for Failure<E> {
    fn from(corrupt: Corrupt) -> Failure<E> {
        Failure::Refused(corrupt.into())
    }
}

/// For `map_err`: names the entry that cannot be read back.
pub(crate) fn corrupt<D: Display, E: From<Corrupt>>(
    what: &'static str,
    key: &str,
) -> impl FnOnce(D) -> Failure<E> {
    let key = key.to_owned();
    move |detail| {
        let detail = detail.to_string();
        Corrupt { what, key, detail }.into()
    }
}
