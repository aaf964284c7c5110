//! The promises of this module, on real files.

use std::fs;
use std::io;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rusqlite::Connection;

use super::{Commit, Database, Failure, Schema, SqliteError};

const SCHEMA: Schema = Schema {
    application_id: 0x466c_7578,
    gives_room_back: false,
    migrations: &["CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT NOT NULL) STRICT;"],
};

const NEXT_SCHEMA: Schema = Schema {
    gives_room_back: false,
    application_id: SCHEMA.application_id,
    migrations: &[
        SCHEMA.migrations[0],
        "ALTER TABLE notes ADD COLUMN colour TEXT NOT NULL DEFAULT 'yellow';",
    ],
};

#[derive(Debug)]
enum NoteError {
    Refused,
    Storage(SqliteError),
}

impl From<SqliteError> for NoteError {
    fn from(error: SqliteError) -> NoteError {
        NoteError::Storage(error)
    }
}

impl std::fmt::Display for NoteError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self:?}")
    }
}

impl std::error::Error for NoteError {}

fn insert(text: String) -> impl FnOnce(&Connection) -> Result<(), Failure<NoteError>> + Send {
    move |connection| {
        connection.execute("INSERT INTO notes (text) VALUES (?1)", [text])?;
        Ok(())
    }
}

fn add(database: &Database, text: &str) -> Result<(), NoteError> {
    database.write("add a note to", Commit::Synced, insert(text.to_owned()))
}

fn count(database: &Database) -> i64 {
    database
        .read("count notes in", |connection| {
            Ok(connection.query_row("SELECT count(*) FROM notes", (), |row| row.get(0))?)
        })
        .map_err(|error: NoteError| error)
        .expect("count")
}

fn open_error(path: &Path, schema: &Schema) -> SqliteError {
    match Database::open(path, schema) {
        Ok(_) => panic!("{} was opened", path.display()),
        Err(error) => error,
    }
}

#[test]
fn what_is_written_is_there_after_reopening_and_only_the_owner_may_read_it() {
    let directory = tempfile::tempdir().expect("tempdir");
    let path = directory.path().join("state").join("a.db");
    let database = Database::open(&path, &SCHEMA).expect("open");
    add(&database, "one").expect("add");
    let mode = |path: &Path| fs::metadata(path).expect("stat").permissions().mode() & 0o777;
    assert_eq!(mode(path.parent().expect("parent")), 0o700);
    for suffix in ["", "-wal", "-shm"] {
        let file = path.with_file_name(format!("a.db{suffix}"));
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }
    drop(database);
    assert_eq!(count(&Database::open(&path, &SCHEMA).expect("reopen")), 1);
}

#[test]
fn a_newer_format_is_refused_and_says_so() {
    let directory = tempfile::tempdir().expect("tempdir");
    let path = directory.path().join("a.db");
    drop(Database::open(&path, &NEXT_SCHEMA).expect("newer program"));
    let error = open_error(&path, &SCHEMA);
    assert!(
        matches!(
            error,
            SqliteError::NewerFormat {
                found: 2,
                supported: 1,
                ..
            }
        ),
        "{error:?}"
    );
    assert!(error.to_string().contains("a.db"), "{error}");
    Database::open(&path, &NEXT_SCHEMA).expect("the newer program still reads it");
}

#[test]
fn an_older_format_is_migrated_with_its_content() {
    let directory = tempfile::tempdir().expect("tempdir");
    let path = directory.path().join("a.db");
    let older = Database::open(&path, &SCHEMA).expect("older program");
    add(&older, "kept").expect("add");
    drop(older);
    let newer = Database::open(&path, &NEXT_SCHEMA).expect("newer program");
    let note: (String, String) = newer
        .read("read", |connection| {
            Ok::<_, Failure<SqliteError>>(connection.query_row(
                "SELECT text, colour FROM notes",
                (),
                |row| Ok((row.get(0)?, row.get(1)?)),
            )?)
        })
        .expect("read");
    assert_eq!(note, ("kept".to_owned(), "yellow".to_owned()));
}

#[test]
fn a_migration_that_fails_leaves_the_older_format_as_it_was() {
    const BROKEN: Schema = Schema {
        migrations: &[
            SCHEMA.migrations[0],
            "CREATE TABLE more (id INTEGER) STRICT; THIS IS NO SQL;",
        ],
        ..SCHEMA
    };
    let directory = tempfile::tempdir().expect("tempdir");
    let path = directory.path().join("a.db");
    drop(Database::open(&path, &SCHEMA).expect("older program"));
    assert!(matches!(
        open_error(&path, &BROKEN),
        SqliteError::Failed {
            action: "migrate",
            ..
        }
    ));
    let database = Database::open(&path, &SCHEMA).expect("older program again");
    assert_eq!(count(&database), 0);
}

#[test]
fn a_file_that_is_no_database_is_refused_by_name_and_left_alone() {
    let directory = tempfile::tempdir().expect("tempdir");
    let path = directory.path().join("a.db");
    let content = b"# these are not the rows you are looking for\n".repeat(100);
    crate::base::atomic_file::write(&path, &content, 0o600).expect("write");
    let error = open_error(&path, &SCHEMA);
    assert!(matches!(error, SqliteError::NotOurs { .. }), "{error:?}");
    let text = error.to_string();
    assert!(text.contains("a.db") && text.contains("move"), "{text}");
    assert_eq!(fs::read(&path).expect("read"), content);
}

#[test]
fn the_database_of_another_program_is_refused_and_left_alone() {
    let directory = tempfile::tempdir().expect("tempdir");
    let path = directory.path().join("a.db");
    let foreign = Connection::open(&path).expect("open");
    foreign
        .execute_batch("CREATE TABLE theirs (id INTEGER)")
        .expect("create");
    drop(foreign);
    let before = fs::read(&path).expect("read");
    let error = open_error(&path, &SCHEMA);
    assert!(matches!(error, SqliteError::NotOurs { .. }), "{error:?}");
    assert_eq!(fs::read(&path).expect("read"), before);
}

#[test]
fn a_damaged_page_is_reported_as_damage() {
    let directory = tempfile::tempdir().expect("tempdir");
    let path = directory.path().join("a.db");
    let database = Database::open(&path, &SCHEMA).expect("open");
    add(&database, &"x".repeat(10_000)).expect("add");
    // Closing moves everything from the log into the database.
    drop(database);
    let file = fs::OpenOptions::new()
        .write(true)
        .open(&path)
        .expect("open file");
    // The second page is the root of the table.
    file.write_all_at(&[0xff; 4096], 4096).expect("damage");
    let database = Database::open(&path, &SCHEMA).expect("the header is whole");
    let error = database
        .read("count notes in", |connection| {
            Ok::<i64, Failure<SqliteError>>(connection.query_row(
                "SELECT sum(length(text)) FROM notes",
                (),
                |row| row.get(0),
            )?)
        })
        .expect_err("damaged");
    assert!(matches!(error, SqliteError::Damaged { .. }), "{error:?}");
    assert!(error.to_string().contains("a.db"), "{error}");
}

#[test]
fn a_path_that_cannot_be_a_directory_is_named() {
    let directory = tempfile::tempdir().expect("tempdir");
    let path = directory.path().join("file").join("a.db");
    fs::File::create(directory.path().join("file")).expect("file");
    let error = open_error(&path, &SCHEMA);
    let SqliteError::File(source) = error else {
        panic!("{error:?}");
    };
    assert!(source.path.ends_with("file"), "{source:?}");
    assert_eq!(source.source.kind(), io::ErrorKind::AlreadyExists);
}

#[test]
fn a_refused_change_leaves_nothing_and_does_not_disturb_its_batch() {
    let directory = tempfile::tempdir().expect("tempdir");
    let database = Database::open(&directory.path().join("a.db"), &SCHEMA).expect("open");
    let refuse = |connection: &Connection| {
        insert("half".to_owned())(connection)?;
        Err(Failure::Refused(NoteError::Refused))
    };
    // Lazy changes wait for the next one, so that all three are one batch.
    database.write_lazily("add", insert("before".to_owned()), || ());
    database.write_lazily("add", refuse, || ());
    add(&database, "after").expect("add");
    assert_eq!(count(&database), 2);
    let refused: Result<(), _> = database.write("add", Commit::Synced, refuse);
    assert!(matches!(refused, Err(NoteError::Refused)));
    assert_eq!(count(&database), 2);
}

#[test]
fn a_change_that_breaks_a_constraint_fails_alone() {
    let directory = tempfile::tempdir().expect("tempdir");
    let database = Database::open(&directory.path().join("a.db"), &SCHEMA).expect("open");
    database.write_lazily(
        "add",
        |connection| {
            insert("half".to_owned())(connection)?;
            connection.execute("INSERT INTO notes (text) VALUES (NULL)", ())?;
            Ok(())
        },
        || (),
    );
    add(&database, "whole").expect("add");
    assert_eq!(count(&database), 1);
}

#[test]
fn a_refused_commit_fails_its_batch_and_the_next_one_works() {
    let directory = tempfile::tempdir().expect("tempdir");
    let schema = Schema {
        migrations: &[
            "CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT NOT NULL,
                 parent INTEGER REFERENCES notes (id) DEFERRABLE INITIALLY DEFERRED) STRICT;",
        ],
        ..SCHEMA
    };
    let database = Database::open(&directory.path().join("a.db"), &schema).expect("open");
    database.write_lazily("add", insert("before".to_owned()), || ());
    let orphan = database.write("add", Commit::Synced, |connection| {
        connection.execute("INSERT INTO notes (text, parent) VALUES ('x', 99)", ())?;
        Ok::<_, Failure<NoteError>>(())
    });
    assert!(matches!(orphan, Err(NoteError::Storage(_))));
    assert_eq!(count(&database), 0, "the batch fails as one");
    add(&database, "after").expect("add");
    assert_eq!(count(&database), 1);
}

#[test]
fn a_full_disk_fails_the_write_keeps_what_was_there_and_passes() {
    let directory = tempfile::tempdir().expect("tempdir");
    let database = Database::open(&directory.path().join("a.db"), &SCHEMA).expect("open");
    add(&database, "acknowledged").expect("add");
    limit_pages(&database, 10);
    let error = add(&database, &"x".repeat(1 << 20)).expect_err("no room");
    assert!(
        matches!(error, NoteError::Storage(SqliteError::Full { .. })),
        "{error:?}"
    );
    assert_eq!(count(&database), 1);
    limit_pages(&database, 1_000_000);
    add(&database, &"x".repeat(1 << 20)).expect("room again");
    assert_eq!(count(&database), 2);
}

#[test]
fn a_failed_write_makes_the_check_prove_that_writing_works_again() {
    let directory = tempfile::tempdir().expect("tempdir");
    let path = directory.path().join("a.db");
    let database = Database::open(&path, &SCHEMA).expect("open");
    database.check().expect("whole");
    let changes_nothing = fs::metadata(path.with_extension("db-wal"))
        .expect("log")
        .len();
    database.check().expect("whole");
    let log = || {
        fs::metadata(path.with_extension("db-wal"))
            .expect("log")
            .len()
    };
    assert_eq!(log(), changes_nothing, "a healthy check only reads");
    database.failing.store(true, Ordering::Relaxed);
    database.check().expect("writes");
    assert!(log() > changes_nothing, "an unhealthy one writes");
    assert!(!database.failing.load(Ordering::Relaxed));
}

#[test]
fn a_read_does_not_wait_for_a_write_in_progress() {
    let directory = tempfile::tempdir().expect("tempdir");
    let database = Database::open(&directory.path().join("a.db"), &SCHEMA).expect("open");
    add(&database, "one").expect("add");
    let (release, held) = crossbeam_channel::bounded::<()>(0);
    let (entered, inside) = crossbeam_channel::bounded::<()>(0);
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            database.write("add", Commit::Synced, move |connection| {
                insert("two".to_owned())(connection)?;
                entered.send(()).expect("test waits");
                held.recv().expect("test releases");
                Ok(())
            })
        });
        inside.recv().expect("the writer is inside its transaction");
        assert_eq!(count(&database), 1, "the uncommitted note is not seen");
        release.send(()).expect("writer waits");
        writer.join().expect("join").expect("write");
    });
    assert_eq!(count(&database), 2);
}

#[test]
fn a_lazy_write_settles_before_a_later_write_is_acknowledged() {
    let directory = tempfile::tempdir().expect("tempdir");
    let database = Database::open(&directory.path().join("a.db"), &SCHEMA).expect("open");
    let settled = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&settled);
    database.write_lazily("add", insert("lazy".to_owned()), move || {
        seen.store(true, Ordering::SeqCst);
    });
    assert!(!settled.load(Ordering::SeqCst));
    assert_eq!(count(&database), 0);
    add(&database, "eager").expect("add");
    assert!(settled.load(Ordering::SeqCst));
    assert_eq!(count(&database), 2);
}

#[test]
fn more_readers_than_connections_all_get_their_answer() {
    let directory = tempfile::tempdir().expect("tempdir");
    let database = Database::open(&directory.path().join("a.db"), &SCHEMA).expect("open");
    add(&database, "one").expect("add");
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| (0..50).for_each(|_| assert_eq!(count(&database), 1)));
        }
    });
}

#[test]
fn a_reading_connection_cannot_write() {
    let directory = tempfile::tempdir().expect("tempdir");
    let database = Database::open(&directory.path().join("a.db"), &SCHEMA).expect("open");
    let result: Result<(), NoteError> = database.read("read", insert("sneaky".to_owned()));
    assert!(matches!(result, Err(NoteError::Storage(_))));
    assert_eq!(count(&database), 0);
}

fn limit_pages(database: &Database, pages: u32) {
    database
        .write("limit", Commit::Written, move |connection| {
            connection.query_row(&format!("PRAGMA max_page_count = {pages}"), (), |_| Ok(()))?;
            Ok::<_, Failure<SqliteError>>(())
        })
        .expect("limit");
}
