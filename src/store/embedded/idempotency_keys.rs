//! Keys of idempotent calls: claimed once, free again after their time.

use std::time::Duration;

use rusqlite::{Connection, Row, params};

use crate::base::clock::Timestamp;
use crate::base::sqlite::{first, run};
use crate::model::ids::ExecutionId;
use crate::store::error::StoreError;
use crate::store::idempotency::{Idempotency, IdempotencyKey};
use crate::store::rows::{Change, corrupt, refuse, to_column};

/// A million keys are eleven calls a second with a key for a whole day, and some 300 MB with their
/// indices.
pub(super) const MAX_KEYS: u64 = 1_000_000;

/// Keys that one transaction forgets: others wait for it.
pub(super) const EXPIRED_PER_CHANGE: usize = 2000;

/// What a call brings.
#[derive(Clone)]
pub(super) struct Claim {
    pub key: IdempotencyKey,
    pub fingerprint: [u8; 32],
    pub execution: ExecutionId,
    pub now: Timestamp,
    pub ttl: Duration,
}

pub(super) fn begin(connection: &Connection, claim: &Claim, max_keys: u64) -> Change<Idempotency> {
    let found = first(
        connection,
        "SELECT execution, fingerprint FROM idempotency_keys
         WHERE key = ?1 AND expires_at > ?2",
        params![claim.key.as_bytes(), claim.now.as_millis()],
        ClaimedRow::read,
    )?;
    if let Some(row) = found {
        return row.decode();
    }
    run(
        connection,
        "DELETE FROM idempotency_keys WHERE key = ?1",
        [claim.key.as_bytes()],
    )?;
    if counter(connection, "idempotency_keys")? >= to_column(max_keys)
        && expire(connection, claim.now)? == 0
    {
        return refuse(StoreError::LimitReached {
            what: "idempotency keys",
            limit: max_keys,
        });
    }
    run(
        connection,
        "INSERT INTO idempotency_keys (key, fingerprint, execution, expires_at)
         VALUES (?1, ?2, ?3, ?4)",
        params![
            claim.key.as_bytes(),
            claim.fingerprint,
            claim.execution.as_str(),
            claim.now.after(claim.ttl).as_millis()
        ],
    )?;
    Ok(Idempotency::New)
}

pub(super) fn abandon(
    connection: &Connection,
    key: &IdempotencyKey,
    execution: &ExecutionId,
) -> Change<bool> {
    let deleted = run(
        connection,
        "DELETE FROM idempotency_keys WHERE key = ?1 AND execution = ?2",
        params![key.as_bytes(), execution.as_str()],
    )?;
    Ok(deleted > 0)
}

pub(super) fn claimed_until(
    connection: &Connection,
    execution: &ExecutionId,
    now: Timestamp,
) -> Change<Option<Timestamp>> {
    let until: Option<i64> = first(
        connection,
        "SELECT max(expires_at) FROM idempotency_keys WHERE execution = ?1 AND expires_at > ?2",
        params![execution.as_str(), now.as_millis()],
        |row| row.get(0),
    )?
    .flatten();
    Ok(until.map(Timestamp::from_millis))
}

/// Forgets up to [`EXPIRED_PER_CHANGE`].
pub(super) fn expire(connection: &Connection, now: Timestamp) -> Change<usize> {
    Ok(run(
        connection,
        "DELETE FROM idempotency_keys WHERE key IN (
             SELECT key FROM idempotency_keys WHERE expires_at <= ?1 LIMIT ?2)",
        params![now.as_millis(), EXPIRED_PER_CHANGE as i64],
    )?)
}

fn counter(connection: &Connection, name: &str) -> rusqlite::Result<i64> {
    connection
        .prepare_cached("SELECT value FROM counters WHERE name = ?1")?
        .query_row([name], |row| row.get(0))
}

struct ClaimedRow {
    execution: String,
    fingerprint: Vec<u8>,
}

impl ClaimedRow {
    fn read(row: &Row<'_>) -> rusqlite::Result<ClaimedRow> {
        Ok(ClaimedRow {
            execution: row.get(0)?,
            fingerprint: row.get(1)?,
        })
    }

    fn decode(self) -> Change<Idempotency> {
        const WHAT: &str = "idempotency key of";
        let key = &self.execution;
        let fingerprint = self.fingerprint.try_into();
        Ok(Idempotency::Existing {
            execution: ExecutionId::new(key).map_err(corrupt(WHAT, key))?,
            fingerprint: fingerprint
                .map_err(|_| corrupt(WHAT, key)("a fingerprint is 32 bytes"))?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::schema::SCHEMA;
    use super::*;
    use crate::base::sqlite::Failure;
    use crate::model::ids::FunctionName;

    const KEYS: u64 = 2;

    fn claim(client_key: &str, now: i64) -> Claim {
        let function = FunctionName::new("f").expect("name");
        Claim {
            key: IdempotencyKey::new(&function, client_key),
            fingerprint: [0; 32],
            execution: ExecutionId::new(client_key).expect("id"),
            now: Timestamp::from_millis(now),
            ttl: Duration::from_millis(100),
        }
    }

    fn database() -> Connection {
        let connection = Connection::open_in_memory().expect("open");
        for migration in SCHEMA.migrations {
            connection.execute_batch(migration).expect("schema");
        }
        connection
    }

    fn begin_at(connection: &Connection, client_key: &str, now: i64) -> Change<Idempotency> {
        begin(connection, &claim(client_key, now), KEYS)
    }

    fn assert_limit<T: std::fmt::Debug>(result: &Change<T>) {
        assert!(
            matches!(
                result,
                Err(Failure::Refused(StoreError::LimitReached { .. }))
            ),
            "{result:?}"
        );
    }

    #[test]
    fn keys_in_use_are_bounded_and_those_that_are_over_make_room() {
        let connection = database();
        begin_at(&connection, "a", 0).expect("first");
        begin_at(&connection, "b", 50).expect("second");
        assert_limit(&begin_at(&connection, "c", 99));
        begin_at(&connection, "b", 99).expect("a known key needs no room");
        assert_eq!(
            begin_at(&connection, "c", 100).expect("a is over"),
            Idempotency::New
        );
        assert_limit(&begin_at(&connection, "d", 100));
        let b = claim("b", 0);
        abandon(&connection, &b.key, &b.execution).expect("abandon");
        begin_at(&connection, "d", 100).expect("b is free");
    }
}
