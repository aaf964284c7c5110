//! A bounded set of reading connections, opened when needed and lent to one thread at a time.

use std::path::PathBuf;
use std::sync::{Condvar, Mutex, PoisonError};

use rusqlite::Connection;

use super::error::SqliteError;
use super::open::open_reader;
use crate::base::threads::lock;

/// Reads take microseconds from the page cache; each connection holds up to 2 MiB of pages.
const MAX_READERS: usize = 4;

pub(super) struct Readers {
    path: PathBuf,
    state: Mutex<State>,
    returned: Condvar,
}

#[derive(Default)]
struct State {
    idle: Vec<Connection>,
    lent: usize,
}

impl Readers {
    /// Opens nothing yet.
    pub(crate) fn new(path: PathBuf) -> Readers {
        Readers {
            path,
            state: Mutex::default(),
            returned: Condvar::new(),
        }
    }

    /// Lends a connection to `read`; waits while all are lent.
    ///
    /// # Errors
    /// No connection can be opened.
    pub(crate) fn with<T>(&self, read: impl FnOnce(&Connection) -> T) -> Result<T, SqliteError> {
        let mut loan = Loan {
            readers: self,
            connection: self.borrow(),
        };
        let connection = match loan.connection.take() {
            Some(connection) => connection,
            None => open_reader(&self.path)?,
        };
        // Back in the loan, so that it returns also when `read` panics.
        Ok(read(loan.connection.insert(connection)))
    }

    /// An idle connection, or the right to open one.
    fn borrow(&self) -> Option<Connection> {
        let mut state = lock(&self.state);
        while state.lent == MAX_READERS {
            state = self
                .returned
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        state.lent += 1;
        state.idle.pop()
    }
}

struct Loan<'a> {
    readers: &'a Readers,
    connection: Option<Connection>,
}

impl Drop for Loan<'_> {
    fn drop(&mut self) {
        let mut state = lock(&self.readers.state);
        state.lent -= 1;
        state.idle.extend(self.connection.take());
        drop(state);
        self.readers.returned.notify_one();
    }
}
