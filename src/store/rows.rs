//! From columns to values: every text and number is checked again on its way out.

use crate::base::atomic_file::FileError;
use crate::base::sqlite::Failure;
use crate::store::error::StoreError;
pub(in crate::store) use crate::stored::corrupt::corrupt;

/// What reads and changes of this module result in.
pub(in crate::store) type Change<T> = Result<T, Failure<StoreError>>;

impl From<StoreError> for Failure<StoreError> {
    fn from(error: StoreError) -> Failure<StoreError> {
        Failure::Refused(error)
    }
}

impl From<FileError> for Failure<StoreError> {
    fn from(error: FileError) -> Failure<StoreError> {
        Failure::Refused(error.into())
    }
}

/// Ends a change with `error`.
pub(in crate::store) fn refuse<T>(error: StoreError) -> Change<T> {
    Err(Failure::Refused(error))
}

/// Sizes and version numbers, which stay far below 2^63.
pub(in crate::store) fn to_column(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
