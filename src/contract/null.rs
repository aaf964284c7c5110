//! Fields that a peer may send as null, where others leave them out.

use serde::{Deserialize, Deserializer};

/// Reads null as the default; `serde(default)` beside it does the same for what is left out.
pub(super) fn null_as_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Option::<T>::deserialize(deserializer).map(Option::unwrap_or_default)
}
