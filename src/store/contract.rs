//! The contract: what every store does. The sentences here are the properties of
//! `tests/store_conformance`.

use std::time::Duration;

use super::archives::{ArchiveReader, ArchiveUpload, StoredArchive};
use super::error::StoreError;
use super::idempotency::{Idempotency, IdempotencyKey, StoredAnswer};
use super::values::{EnrolmentToken, Revision, Route};
use crate::base::clock::Timestamp;
use crate::model::agent::Agent;
use crate::model::function::{Function, FunctionConfig, Version};
use crate::model::ids::{AgentId, Digest, ExecutionId, FunctionName};

/// How many versions are kept besides the active one: those that were active last, so that a
/// deploy that turns out badly can be taken back also after an earlier rollback.
pub const KEPT_VERSIONS: u32 = 3;

/// Routes of one answer of [`Store::list_routes`]; an agent can have millions in the hour they
/// are kept.
pub const ROUTES_PER_PAGE: usize = 1000;

/// The fleet's state. Shared by all threads; every method is atomic.
///
/// # Errors
/// Every method: [`StoreError::Unavailable`] when the store cannot be reached,
/// [`StoreError::Full`] when it cannot take a write, [`StoreError::Corrupt`] when an entry it has
/// to read is broken. Others are named at the method.
pub trait Store: Send + Sync {
    /// Registers a function or replaces its configuration; its versions and `created_at` stay.
    /// An equal configuration changes nothing, `updated_at` included.
    ///
    /// # Errors
    /// See the trait.
    fn put_function(&self, config: &FunctionConfig, now: Timestamp)
    -> Result<Function, StoreError>;

    /// The function of that name.
    ///
    /// # Errors
    /// See the trait.
    fn get_function(&self, name: &FunctionName) -> Result<Option<Function>, StoreError>;

    /// All functions, by name.
    ///
    /// # Errors
    /// See the trait.
    fn list_functions(&self) -> Result<Vec<Function>, StoreError>;

    /// Forgets a function and its versions; whether there was one.
    ///
    /// # Errors
    /// See the trait.
    fn delete_function(&self, name: &FunctionName) -> Result<bool, StoreError>;

    /// Makes a stored archive the function's next version and activates it. Numbers count up
    /// from 1 and are never used twice while the function exists. Beyond the active version and
    /// [`KEPT_VERSIONS`] others, the one whose activation is longest ago goes. An archive that
    /// is active already makes no new version.
    ///
    /// # Errors
    /// [`StoreError::FunctionNotFound`], [`StoreError::ArchiveMissing`]; see the trait.
    fn add_version(
        &self,
        name: &FunctionName,
        archive: &StoredArchive,
        now: Timestamp,
    ) -> Result<Function, StoreError>;

    /// The kept versions, newest first; empty also for an unknown function.
    ///
    /// # Errors
    /// See the trait.
    fn list_versions(&self, name: &FunctionName) -> Result<Vec<Version>, StoreError>;

    /// Puts a kept version in force.
    ///
    /// # Errors
    /// [`StoreError::FunctionNotFound`], [`StoreError::VersionNotKept`]; see the trait.
    fn activate_version(
        &self,
        name: &FunctionName,
        number: u64,
        now: Timestamp,
    ) -> Result<Function, StoreError>;

    /// A place to receive an archive in.
    ///
    /// # Errors
    /// See the trait.
    fn archive_scratch(&self) -> Result<ArchiveUpload, StoreError>;

    /// Stores a received archive under its digest. One that is there already is replaced by its
    /// equal, which makes it young again for [`Store::collect_archives`].
    ///
    /// # Errors
    /// [`StoreError::ArchiveMismatch`] when it is not the `expected` one; see the trait.
    fn put_archive(
        &self,
        upload: ArchiveUpload,
        expected: Option<&Digest>,
    ) -> Result<StoredArchive, StoreError>;

    /// Opens a stored archive.
    ///
    /// # Errors
    /// See the trait.
    fn open_archive(&self, digest: &Digest) -> Result<Option<ArchiveReader>, StoreError>;

    /// Deletes archives that no version refers to and that were stored before `older_than`, and
    /// what unfinished uploads from before then have left; how many files that were. The
    /// difference to now is the time an upload has to become a version.
    ///
    /// # Errors
    /// See the trait.
    fn collect_archives(&self, older_than: Timestamp) -> Result<usize, StoreError>;

    /// Writes an agent if it still is what the writer has seen: at revision `expected`, or
    /// absent for `None`. A late write therefore neither undoes a newer one nor brings a deleted
    /// agent back.
    ///
    /// # Errors
    /// [`StoreError::Conflict`]; see the trait.
    fn put_agent(&self, agent: &Agent, expected: Option<Revision>) -> Result<Revision, StoreError>;

    /// All agents, by id.
    ///
    /// # Errors
    /// See the trait.
    fn list_agents(&self) -> Result<Vec<(Agent, Revision)>, StoreError>;

    /// Deletes an agent if it still is at revision `expected`.
    ///
    /// # Errors
    /// [`StoreError::Conflict`], also when it is gone already; see the trait.
    fn delete_agent(&self, id: &AgentId, expected: Revision) -> Result<(), StoreError>;

    /// Writes a route, over an earlier one of the same execution.
    ///
    /// # Errors
    /// See the trait.
    fn put_route(&self, route: &Route) -> Result<(), StoreError>;

    /// The same without waiting for the disk, for executions whose caller waits for the result:
    /// [`Store::get_route`] sees it at once; it is durable with the next write that is, and
    /// survives the end of this process from the next [`Store::flush`] on, which somebody should
    /// therefore call every now and then. Should its write fail, that is logged and the route
    /// forgotten. To end such a route, put it again with `expires_at`.
    fn put_route_lazily(&self, route: &Route);

    /// The route of an execution.
    ///
    /// # Errors
    /// See the trait.
    fn get_route(&self, execution: &ExecutionId) -> Result<Option<Route>, StoreError>;

    /// Sets when a route may be forgotten; whether there is one.
    ///
    /// # Errors
    /// See the trait.
    fn end_route(&self, execution: &ExecutionId, expires_at: Timestamp)
    -> Result<bool, StoreError>;

    /// Points a route to another agent; whether there is one.
    ///
    /// # Errors
    /// See the trait.
    fn move_route(&self, execution: &ExecutionId, to: &AgentId) -> Result<bool, StoreError>;

    /// Forgets a route, for an execution that came to nothing; whether there was one.
    ///
    /// # Errors
    /// See the trait.
    fn delete_route(&self, execution: &ExecutionId) -> Result<bool, StoreError>;

    /// The next [`ROUTES_PER_PAGE`] routes to an agent, by execution, that come `after` one;
    /// empty at the end.
    ///
    /// # Errors
    /// See the trait.
    fn list_routes(
        &self,
        agent: &AgentId,
        after: Option<&ExecutionId>,
    ) -> Result<Vec<Route>, StoreError>;

    /// Forgets the routes whose time has come; how many. A route without `expires_at` stays.
    ///
    /// # Errors
    /// See the trait.
    fn expire_routes(&self, now: Timestamp) -> Result<usize, StoreError>;

    /// Claims a key for an execution, or says who has it. Of any number of simultaneous calls
    /// exactly one gets [`Idempotency::New`]. A key is free again `ttl` after it was claimed.
    ///
    /// # Errors
    /// [`StoreError::LimitReached`] when too many keys are in use; see the trait.
    fn begin_idempotent(
        &self,
        key: &IdempotencyKey,
        fingerprint: &[u8; 32],
        execution: &ExecutionId,
        now: Timestamp,
        ttl: Duration,
    ) -> Result<Idempotency, StoreError>;

    /// Records the answer for repetitions; the first one stays. False when the key is not this
    /// execution's any more, or has its answer.
    ///
    /// # Errors
    /// [`StoreError::LimitReached`] when the answer is over [`super::MAX_ANSWER_BYTES`], or all
    /// answers together are too long; see the trait.
    fn finish_idempotent(
        &self,
        key: &IdempotencyKey,
        execution: &ExecutionId,
        answer: &StoredAnswer,
    ) -> Result<bool, StoreError>;

    /// Frees a key whose execution never started; whether it was this execution's and without
    /// an answer.
    ///
    /// # Errors
    /// See the trait.
    fn abandon_idempotent(
        &self,
        key: &IdempotencyKey,
        execution: &ExecutionId,
    ) -> Result<bool, StoreError>;

    /// Forgets the keys whose time is over; how many.
    ///
    /// # Errors
    /// See the trait.
    fn expire_idempotent(&self, now: Timestamp) -> Result<usize, StoreError>;

    /// Stores a token, over an earlier one of the same id, and forgets those that are over.
    ///
    /// # Errors
    /// [`StoreError::LimitReached`]; see the trait.
    fn put_token(&self, token: &EnrolmentToken, now: Timestamp) -> Result<(), StoreError>;

    /// Takes a token out: of any number of simultaneous calls exactly one gets it. One that is
    /// over is absent.
    ///
    /// # Errors
    /// See the trait.
    fn take_token(&self, id: &str, now: Timestamp) -> Result<Option<EnrolmentToken>, StoreError>;

    /// Reads a token and leaves it in place.
    ///
    /// # Errors
    /// See the trait.
    fn peek_token(&self, id: &str, now: Timestamp) -> Result<Option<EnrolmentToken>, StoreError>;

    /// Whether the store answers; cheap enough for a probe every second.
    ///
    /// # Errors
    /// Why it does not.
    fn check(&self) -> Result<(), StoreError>;

    /// Returns once everything written lazily before is with the operating system: it survives
    /// the end of this process.
    ///
    /// # Errors
    /// See the trait.
    fn flush(&self) -> Result<(), StoreError>;
}
