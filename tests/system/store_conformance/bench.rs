//! What a property needs: an empty store that can be opened again, and values to put in.

use std::io::Write;
use std::num::NonZeroU32;
use std::time::Duration;

use flux::base::clock::Timestamp;
use flux::base::units::Mib;
use flux::model::ends::{Ended, EndedOutput};
use flux::model::execution::{Ending, ExecutionRecord};
use flux::model::function::{Behavior, Env, FunctionConfig, HandlerPath};
use flux::model::ids::{AgentId, ExecutionId, FunctionName};
use flux::model::isolation::{
    FileIsolation, IsolationRequest, NetworkIsolation, SyscallIsolation, UserIsolation,
};
use flux::model::output::Output;
use flux::store::history::HistoryStore;
use flux::store::{Store, StoredArchive};

/// One store of its own for each property.
pub trait Bench {
    /// Opens it; it is empty the first time, and keeps its state from then on. Only one is open
    /// at a time.
    fn open(&self) -> Box<dyn Store>;
}

/// One history of its own for each property.
pub trait HistoryBench {
    /// Opens it; it is empty the first time, and keeps its state from then on. Only one is open
    /// at a time.
    fn open(&self) -> Box<dyn HistoryStore>;
}

/// Calls `call` from eight threads at once.
pub fn at_once<T: Send>(call: impl Fn(usize) -> T + Sync) -> Vec<T> {
    std::thread::scope(|scope| {
        let call = &call;
        let threads: Vec<_> = (0..8).map(|i| scope.spawn(move || call(i))).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().expect("join"))
            .collect()
    })
}

pub fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

pub fn function(name: &str) -> FunctionName {
    FunctionName::new(name).expect("name")
}

pub fn agent(id: &str) -> AgentId {
    AgentId::new(id).expect("id")
}

pub fn execution(id: &str) -> ExecutionId {
    ExecutionId::new(id).expect("id")
}

/// A success on agent `a1` that wrote nothing.
pub fn ended(id: &str) -> Ended {
    ended_with(id, EndedOutput::Whole(Output::default()))
}

/// A success on agent `a1`.
pub fn ended_with(id: &str, output: EndedOutput) -> Ended {
    let accepted =
        ExecutionRecord::accepted(execution(id), agent("a1"), function("f"), 3, at(1000));
    Ended {
        record: ExecutionRecord {
            ending: Some(Ending::Exited(0)),
            status_at: at(2000),
            duration: Duration::from_secs(1),
            ..accepted
        },
        output,
    }
}

/// With every field set.
pub fn config(name: &str) -> FunctionConfig {
    FunctionConfig {
        disk: Some(Mib(64)),
        pids: NonZeroU32::new(20),
        isolation: IsolationRequest {
            user: Some(UserIsolation::Own),
            network: Some(NetworkIsolation::None),
            files: Some(FileIsolation::Strict),
            syscalls: Some(SyscallIsolation::Open),
        },
        name: function(name),
        handler: HandlerPath::new("bin/run").expect("handler"),
        cpu_millicores: NonZeroU32::new(250),
        memory: Some(Mib(128)),
        timeout: Some(Duration::from_millis(1500)),
        max_concurrency: NonZeroU32::new(7).expect("not zero"),
        max_concurrency_behavior: Behavior::Wait,
        resource_pressure_behavior: Behavior::Exit,
        max_wait: Duration::from_secs(60),
        env: Env::from([("A".to_owned(), "ä\n".to_owned())]),
    }
}

/// Stores an archive with that content.
pub fn archive(store: &dyn Store, content: &str) -> StoredArchive {
    let mut upload = store.archive_scratch().expect("scratch");
    upload.write_all(content.as_bytes()).expect("write");
    store.put_archive(upload, None).expect("put")
}
