//! How much room the file takes.

use rusqlite::Connection;

use crate::store::rows::Change;

/// Pages that are given back at once: the last ones of the file are moved to where there is room.
const PAGES_AT_ONCE: u64 = 1024;

/// In pages, and bytes of one.
pub(super) struct Room {
    pages: u64,
    free: u64,
    page_bytes: u64,
}

impl Room {
    /// Bytes of the pages that hold something.
    pub(super) fn used(&self) -> u64 {
        (self.pages - self.free) * self.page_bytes
    }

    /// Pages that nothing uses, of those that are more than `bytes`.
    pub(super) fn spare(&self, bytes: u64) -> u64 {
        self.pages
            .saturating_sub(bytes / self.page_bytes)
            .min(self.free)
    }
}

pub(super) fn measure(connection: &Connection) -> Change<Room> {
    let pragma = |name| {
        let value = connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
        value.map(i64::unsigned_abs)
    };
    Ok(Room {
        pages: pragma("page_count")?,
        free: pragma("freelist_count")?,
        page_bytes: pragma("page_size")?,
    })
}

pub(super) fn give_back(connection: &Connection, to: u64) -> Change<()> {
    let pages = measure(connection)?.spare(to).min(PAGES_AT_ONCE);
    // No more and no less than this many, and no 0, which would be all.
    if pages > 0 {
        let mut statement = connection.prepare(&format!("PRAGMA incremental_vacuum({pages})"))?;
        // A page with each step.
        let mut steps = statement.query(())?;
        while steps.next()?.is_some() {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::Timestamp;
    use crate::model::ends::{Ended, EndedOutput};
    use crate::model::execution::ExecutionRecord;
    use crate::model::ids::{AgentId, ExecutionId, FunctionName};
    use crate::model::output::Output;
    use crate::store::history::{OutputStore, RecordStore, SqliteHistory};

    #[test]
    fn a_file_that_is_larger_than_it_may_be_shrinks_piece_by_piece() {
        let directory = tempfile::tempdir().expect("tempdir");
        let history = SqliteHistory::open(directory.path()).expect("history");
        let id = ExecutionId::new("e").expect("id");
        let record = ExecutionRecord::accepted(
            id.clone(),
            AgentId::new("a").expect("id"),
            FunctionName::new("f").expect("name"),
            1,
            Timestamp::from_millis(0),
        );
        let output = EndedOutput::Whole(Output::of_stdout(vec![0; 12 << 20]));
        history.keep(vec![Ended { record, output }]).expect("keep");
        history.forget_outputs(&[id]).expect("forget");
        let taken = || {
            let file = Connection::open(directory.path().join("history.db")).expect("open");
            let room = measure(&file).expect("measure");
            room.pages * room.page_bytes
        };
        let full = taken();
        history.shrink(full).expect("shrink");
        assert_eq!(taken(), full);
        history.shrink(1 << 20).expect("shrink");
        assert!((6 << 20..10 << 20).contains(&taken()), "{}", taken());
        for _ in 0..4 {
            history.shrink(1 << 20).expect("shrink");
        }
        assert!((1 << 19..=1 << 20).contains(&taken()), "{}", taken());
    }
}
