//! The traits' methods, each handed to the database's readers or to its writer.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::archive_directory::ArchiveDirectory;
use super::idempotency_keys::{self, Claim, MAX_KEYS};
use super::lazy_routes::LazyRoutes;
use super::news::News;
use super::schema::SCHEMA;
use super::{agents, changes, functions, routes, tokens, versions};
use crate::base::atomic_file::{LockFile, create_directory};
use crate::base::cancel::Cancel;
use crate::base::clock::Timestamp;
use crate::base::sqlite::{Commit, Database};
use crate::model::agent::Agent;
use crate::model::function::{Function, FunctionConfig, Version};
use crate::model::ids::{AgentId, Digest, ExecutionId, FunctionName};
use crate::store::archives::{ArchiveReader, ArchiveUpload, StoredArchive};
use crate::store::contract::{
    AgentStore, ArchiveStore, ChangeStore, Changes, FunctionStore, KeyStore, RouteStore, Store,
    TokenStore,
};
use crate::store::error::StoreError;
use crate::store::idempotency::{Idempotency, IdempotencyKey};
use crate::store::rows::{Change, refuse};
use crate::store::values::{EnrolmentToken, Revision, Route, Stored};

type Result<T> = std::result::Result<T, StoreError>;

/// The fleet's state in one directory: a database, and the archives beside it.
pub struct EmbeddedStore {
    database: Database,
    archives: Arc<ArchiveDirectory>,
    lazy_routes: Arc<LazyRoutes>,
    news: News,
    // Last: the database closes before another process may open it.
    _lock: LockFile,
}

impl EmbeddedStore {
    /// Opens the store in `state_dir`, and makes it where there is none.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]: another process has it open (the source's kind is
    /// `WouldBlock`), the database is not ours, newer or damaged, or the system refuses.
    pub fn open(state_dir: &Path) -> Result<EmbeddedStore> {
        create_directory(state_dir, 0o700)?;
        let lock = LockFile::acquire(&state_dir.join("store.lock"))?;
        Ok(EmbeddedStore {
            database: Database::open(&state_dir.join("flux.db"), &SCHEMA)?,
            archives: Arc::new(ArchiveDirectory::open(state_dir.join("archives"))?),
            lazy_routes: Arc::default(),
            news: News::default(),
            _lock: lock,
        })
    }

    fn write<T: Send + 'static>(
        &self,
        action: &'static str,
        change: impl FnOnce(&rusqlite::Connection) -> Change<T> + Send + 'static,
    ) -> Result<T> {
        self.database.write(action, Commit::Synced, change)
    }

    /// The same, and wakes who waits for news.
    fn write_function(
        &self,
        action: &'static str,
        change: impl FnOnce(&rusqlite::Connection) -> Change<Stored<Function>> + Send + 'static,
    ) -> Result<Stored<Function>> {
        let function = self.write(action, change)?;
        self.news.tell(function.revision);
        Ok(function)
    }
}

impl AgentStore for EmbeddedStore {
    fn put_agent(&self, agent: &Agent, expected: Option<Revision>) -> Result<Revision> {
        let agent = agent.clone();
        let revision = self.write("store an agent in", move |connection| {
            agents::put(connection, &agent, expected)
        })?;
        self.news.tell(revision);
        Ok(revision)
    }

    fn get_agent(&self, id: &AgentId) -> Result<Option<Stored<Agent>>> {
        self.database.read("read an agent from", |connection| {
            agents::get(connection, id)
        })
    }

    fn list_agents(&self) -> Result<Vec<Stored<Agent>>> {
        self.database.read("list agents in", agents::list)
    }

    fn delete_agent(&self, id: &AgentId, expected: Revision) -> Result<Revision> {
        let id = id.clone();
        let revision = self.write("delete an agent from", move |connection| {
            agents::delete(connection, &id, expected)
        })?;
        self.news.tell(revision);
        Ok(revision)
    }
}

impl FunctionStore for EmbeddedStore {
    fn put_function(&self, config: &FunctionConfig, now: Timestamp) -> Result<Stored<Function>> {
        let config = config.clone();
        self.write_function("store a function in", move |connection| {
            functions::put(connection, &config, now)
        })
    }

    fn get_function(&self, name: &FunctionName) -> Result<Option<Stored<Function>>> {
        self.database.read("read a function from", |connection| {
            functions::get(connection, name)
        })
    }

    fn list_functions(&self) -> Result<Vec<Stored<Function>>> {
        self.database.read("list functions in", functions::list)
    }

    fn delete_function(&self, name: &FunctionName) -> Result<Option<Revision>> {
        let name = name.clone();
        let deleted = self.write("delete a function from", move |connection| {
            functions::delete(connection, &name)
        })?;
        if let Some(revision) = deleted {
            self.news.tell(revision);
        }
        Ok(deleted)
    }

    fn add_version(
        &self,
        name: &FunctionName,
        archive: &StoredArchive,
        now: Timestamp,
    ) -> Result<Stored<Function>> {
        let (name, archive) = (name.clone(), archive.clone());
        let archives = Arc::clone(&self.archives);
        self.write_function("add a version to", move |connection| {
            // Inside the writer, where nothing deletes the archive between look and reference.
            if !archives.contains(&archive.digest)? {
                return refuse(StoreError::ArchiveMissing {
                    digest: archive.digest,
                });
            }
            versions::add(connection, &name, &archive, now)
        })
    }

    fn list_versions(&self, name: &FunctionName) -> Result<Vec<Version>> {
        self.database.read("list versions in", |connection| {
            versions::list(connection, name)
        })
    }

    fn activate_version(
        &self,
        name: &FunctionName,
        number: u64,
        now: Timestamp,
    ) -> Result<Stored<Function>> {
        let name = name.clone();
        self.write_function("activate a version in", move |connection| {
            versions::activate(connection, &name, number, now)
        })
    }
}

impl ArchiveStore for EmbeddedStore {
    fn archive_scratch(&self) -> Result<ArchiveUpload> {
        Ok(self.archives.scratch()?)
    }

    fn put_archive(
        &self,
        upload: ArchiveUpload,
        expected: Option<&Digest>,
    ) -> Result<StoredArchive> {
        self.archives.put(upload, expected)
    }

    fn open_archive(&self, digest: &Digest) -> Result<Option<ArchiveReader>> {
        Ok(self.archives.open_archive(digest)?)
    }

    fn collect_archives(&self, older_than: Timestamp) -> Result<usize> {
        let mut removed = self.archives.remove_older_uploads(older_than)?;
        for digest in self.archives.older_archives(older_than)? {
            let archives = Arc::clone(&self.archives);
            let gone = self.write("look for an archive's versions in", move |connection| {
                Ok(!versions::refer_to(connection, &digest)?
                    && archives.remove_older(&digest, older_than)?)
            })?;
            removed += usize::from(gone);
        }
        Ok(removed)
    }
}

impl RouteStore for EmbeddedStore {
    fn put_route(&self, route: &Route) -> Result<()> {
        let route = route.clone();
        self.write("store a route in", move |connection| {
            routes::put(connection, &route)
        })
    }

    fn put_route_lazily(&self, route: &Route) {
        let shown = self.lazy_routes.show(route);
        let lazy_routes = Arc::clone(&self.lazy_routes);
        let (route, execution) = (route.clone(), route.execution.clone());
        self.database.write_lazily(
            "store a route in",
            move |connection| routes::put(connection, &route),
            move || lazy_routes.settle(&execution, shown),
        );
    }

    fn get_route(&self, execution: &ExecutionId) -> Result<Option<Route>> {
        if let Some(route) = self.lazy_routes.get(execution) {
            return Ok(Some(route));
        }
        self.database.read("read a route from", |connection| {
            routes::get(connection, execution)
        })
    }

    fn forget_routes(&self, executions: &[ExecutionId]) -> Result<usize> {
        let executions = executions.to_vec();
        self.database
            .write("forget routes in", Commit::Written, move |connection| {
                routes::forget(connection, &executions)
            })
    }

    fn list_routes(&self, agent: &AgentId, after: Option<&ExecutionId>) -> Result<Vec<Route>> {
        // Lists serve reconciliation, which can wait for what is on its way.
        self.database.flush();
        self.database.read("list routes in", |connection| {
            routes::list(connection, agent, after)
        })
    }
}

impl KeyStore for EmbeddedStore {
    fn begin_idempotent(
        &self,
        key: &IdempotencyKey,
        fingerprint: &[u8; 32],
        execution: &ExecutionId,
        now: Timestamp,
        ttl: Duration,
    ) -> Result<Idempotency> {
        let claim = Claim {
            key: *key,
            fingerprint: *fingerprint,
            execution: execution.clone(),
            now,
            ttl,
        };
        self.write("claim an idempotency key in", move |connection| {
            idempotency_keys::begin(connection, &claim, MAX_KEYS)
        })
    }

    fn abandon_idempotent(&self, key: &IdempotencyKey, execution: &ExecutionId) -> Result<bool> {
        let (key, execution) = (*key, execution.clone());
        self.write("free an idempotency key in", move |connection| {
            idempotency_keys::abandon(connection, &key, &execution)
        })
    }

    fn claimed_until(&self, execution: &ExecutionId, now: Timestamp) -> Result<Option<Timestamp>> {
        self.database.read("look for a key in", |connection| {
            idempotency_keys::claimed_until(connection, execution, now)
        })
    }

    fn expire_idempotent(&self, now: Timestamp) -> Result<usize> {
        in_portions(idempotency_keys::EXPIRED_PER_CHANGE, || {
            self.write("forget idempotency keys in", move |connection| {
                idempotency_keys::expire(connection, now)
            })
        })
    }
}

impl TokenStore for EmbeddedStore {
    fn put_token(&self, token: &EnrolmentToken, now: Timestamp) -> Result<()> {
        let token = token.clone();
        self.write("store an enrolment token in", move |connection| {
            tokens::put(connection, &token, now)
        })
    }

    fn take_token(&self, id: &str, now: Timestamp) -> Result<Option<EnrolmentToken>> {
        let id = id.to_owned();
        self.write("take an enrolment token from", move |connection| {
            tokens::take(connection, &id, now)
        })
    }

    fn peek_token(&self, id: &str, now: Timestamp) -> Result<Option<EnrolmentToken>> {
        self.database
            .read("read an enrolment token from", |connection| {
                tokens::peek(connection, id, now)
            })
    }
}

impl ChangeStore for EmbeddedStore {
    fn revision(&self) -> Result<Revision> {
        self.database
            .read("read the revision of", changes::revision)
    }

    fn changes_since(&self, since: Revision) -> Result<Changes> {
        self.database.read("list changes in", |connection| {
            changes::since(connection, since)
        })
    }

    fn await_changes(&self, since: Revision, cancel: &Cancel, at_most: Duration) {
        self.news.wait(since, cancel, at_most);
    }
}

impl Store for EmbeddedStore {
    fn check(&self) -> Result<()> {
        Ok(self.database.check()?)
    }

    fn flush(&self) -> Result<()> {
        self.database.flush();
        self.check()
    }
}

/// Repeats `change` while it does as much as it does at once; how much that was in all.
fn in_portions(portion: usize, change: impl Fn() -> Result<usize>) -> Result<usize> {
    let mut total = 0;
    loop {
        let done = change()?;
        total += done;
        if done < portion {
            return Ok(total);
        }
    }
}
