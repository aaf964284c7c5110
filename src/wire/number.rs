//! Whole numbers between the model, which counts up from zero, and the protocol, whose integers
//! are signed. Out of range saturates on the way out and is an error on the way in.

use std::time::Duration;

use super::error::WireError;

pub(super) fn out(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

pub(super) fn out_i32(value: u32) -> i32 {
    i32::try_from(value).unwrap_or(i32::MAX)
}

pub(super) fn millis_out(value: Duration) -> i64 {
    i64::try_from(value.as_millis()).unwrap_or(i64::MAX)
}

pub(super) fn count(field: &'static str, value: i64) -> Result<u64, WireError> {
    u64::try_from(value).map_err(|_| WireError::Negative { field, value })
}

pub(super) fn count_u32(field: &'static str, value: i32) -> Result<u32, WireError> {
    u32::try_from(value).map_err(|_| WireError::Negative {
        field,
        value: value.into(),
    })
}

pub(super) fn millis(field: &'static str, value: i64) -> Result<Duration, WireError> {
    count(field, value).map(Duration::from_millis)
}
