//! Enrolment tokens: each is taken once or runs out.

use rusqlite::{Connection, Row, params};

use crate::base::clock::Timestamp;
use crate::base::sqlite::{first, run};
use crate::model::ids::AgentId;
use crate::store::error::StoreError;
use crate::store::rows::{Change, corrupt, refuse};
use crate::store::values::EnrolmentToken;

/// Tokens that may wait to be used: more than machines are enrolled at once by anybody.
const MAX_TOKENS: u64 = 10_000;

pub(super) fn put(connection: &Connection, token: &EnrolmentToken, now: Timestamp) -> Change<()> {
    run(
        connection,
        "DELETE FROM tokens WHERE expires_at <= ?1",
        [now.as_millis()],
    )?;
    run(
        connection,
        "INSERT OR REPLACE INTO tokens (id, agent, secret, expires_at) VALUES (?1, ?2, ?3, ?4)",
        params![
            token.id,
            token.agent.as_str(),
            token.secret,
            token.expires_at.as_millis()
        ],
    )?;
    let count = first(connection, "SELECT count(*) FROM tokens", (), |row| {
        row.get::<_, i64>(0)
    })?;
    if count.is_some_and(|count| count.unsigned_abs() > MAX_TOKENS) {
        return refuse(StoreError::LimitReached {
            what: "enrolment tokens",
            limit: MAX_TOKENS,
        });
    }
    Ok(())
}

pub(super) fn take(
    connection: &Connection,
    id: &str,
    now: Timestamp,
) -> Change<Option<EnrolmentToken>> {
    first(
        connection,
        "DELETE FROM tokens WHERE id = ?1 RETURNING id, agent, secret, expires_at",
        [id],
        TokenRow::read,
    )?
    .filter(|row| row.expires_at > now.as_millis())
    .map(TokenRow::decode)
    .transpose()
}

pub(super) fn peek(
    connection: &Connection,
    id: &str,
    now: Timestamp,
) -> Change<Option<EnrolmentToken>> {
    first(
        connection,
        "SELECT id, agent, secret, expires_at FROM tokens WHERE id = ?1 AND expires_at > ?2",
        params![id, now.as_millis()],
        TokenRow::read,
    )?
    .map(TokenRow::decode)
    .transpose()
}

struct TokenRow {
    id: String,
    agent: String,
    secret: Vec<u8>,
    expires_at: i64,
}

impl TokenRow {
    fn read(row: &Row<'_>) -> rusqlite::Result<TokenRow> {
        Ok(TokenRow {
            id: row.get(0)?,
            agent: row.get(1)?,
            secret: row.get(2)?,
            expires_at: row.get(3)?,
        })
    }

    fn decode(self) -> Change<EnrolmentToken> {
        Ok(EnrolmentToken {
            agent: AgentId::new(&self.agent).map_err(corrupt("enrolment token", &self.id))?,
            id: self.id,
            secret: self.secret,
            expires_at: Timestamp::from_millis(self.expires_at),
        })
    }
}
