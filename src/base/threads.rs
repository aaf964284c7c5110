//! Threads with a name, an owner and a join; and the supervisor that a panic in any of them trips.
//!
//! Owns: every `std::thread` of both daemons. Refuses: detached threads.
//! Invariant: a daemon is whole or gone. A panic pulls the shutdown trigger and is remembered
//! with the thread's name, so that the process ends with a failure instead of limping.

use std::any::Any;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use super::cancel::{Cancel, Trigger, pair};

/// Shared by all threads of one daemon.
#[derive(Debug, Clone)]
pub struct Supervisor {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    shutdown: Trigger,
    first_panic: Mutex<Option<String>>,
}

impl Default for Supervisor {
    fn default() -> Self {
        Self::new()
    }
}

impl Supervisor {
    /// A supervisor whose shutdown has not been asked for.
    pub fn new() -> Supervisor {
        let (shutdown, _) = pair();
        Supervisor {
            inner: Arc::new(Inner {
                shutdown,
                first_panic: Mutex::new(None),
            }),
        }
    }

    /// Pulled when the daemon must end: by a signal, by an owner, or by a panic.
    pub fn shutdown(&self) -> Cancel {
        self.inner.shutdown.waiter()
    }

    /// Asks the daemon to end.
    pub fn request_shutdown(&self) {
        self.inner.shutdown.pull();
    }

    /// `thread: message` of the first panic, if there was one.
    pub fn first_panic(&self) -> Option<String> {
        lock(&self.inner.first_panic).clone()
    }

    /// Runs `body`; a panic in it is logged, remembered under `name`, and ends the daemon.
    pub(crate) fn guard(&self, name: &str, body: impl FnOnce()) {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(body)) {
            let message = format!("{name}: {}", panic_message(panic.as_ref()));
            log::error!("thread panicked, the daemon ends: {message}");
            lock(&self.inner.first_panic).get_or_insert(message);
            self.request_shutdown();
        }
    }

    /// Starts a guarded thread.
    ///
    /// # Errors
    /// The system's error when no thread can be started (EAGAIN at a thread or memory limit).
    pub fn spawn(
        &self,
        name: impl Into<String>,
        body: impl FnOnce() + Send + 'static,
    ) -> io::Result<Joined> {
        let name = name.into();
        let supervisor = self.clone();
        let thread_name = name.clone();
        let handle = std::thread::Builder::new()
            .name(name)
            .spawn(move || supervisor.guard(&thread_name, body))?;
        Ok(Joined(Some(handle)))
    }

    /// Starts a guarded thread whose `body` returns when [`Supervisor::shutdown`] is pulled.
    ///
    /// # Errors
    /// As [`Supervisor::spawn`].
    pub(crate) fn spawn_lasting(
        &self,
        name: impl Into<String>,
        body: impl FnOnce() + Send + 'static,
    ) -> io::Result<Lasting> {
        Ok(Lasting {
            supervisor: self.clone(),
            thread: self.spawn(name, body)?,
        })
    }
}

/// A thread that serves until the daemon ends. Whoever drops it ends the daemon, and only then
/// waits for it: so also a start that fails halfway ends, instead of waiting for ever for a
/// thread which waits for a shutdown that nobody asks for.
#[derive(Debug)]
pub(crate) struct Lasting {
    supervisor: Supervisor,
    thread: Joined,
}

impl Drop for Lasting {
    fn drop(&mut self) {
        self.supervisor.request_shutdown();
        self.thread.join_in_place();
    }
}

/// A thread that is joined when its owner drops it. The owner must have told it to end before:
/// field order in the owning struct matters, and is commented where it does.
#[derive(Debug)]
pub struct Joined(Option<JoinHandle<()>>);

impl Joined {
    /// Waits for the thread's end.
    pub fn join(mut self) {
        self.join_in_place();
    }

    /// Whether the thread has ended already.
    pub(crate) fn is_finished(&self) -> bool {
        self.0.as_ref().is_none_or(JoinHandle::is_finished)
    }

    fn join_in_place(&mut self) {
        if let Some(handle) = self.0.take()
            // The last owner of a value can be one of its own threads; that thread is ending anyway.
            && handle.thread().id() != std::thread::current().id()
        {
            // The guard has caught and reported every panic of the body.
            let _ = handle.join();
        }
    }
}

impl Drop for Joined {
    fn drop(&mut self) {
        self.join_in_place();
    }
}

/// Locks a mutex whose data stays meaningful after a panic elsewhere: the supervisor ends the
/// daemon, and until then nobody else should panic because of the poison.
pub fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn panic_message(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("panic without a message")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_in_a_thread_trips_shutdown_with_its_name() {
        let supervisor = Supervisor::new();
        let thread = supervisor
            .spawn("unlucky", || panic!("the reason"))
            .expect("thread starts");
        supervisor.shutdown().wait();
        thread.join();
        assert_eq!(
            supervisor.first_panic().as_deref(),
            Some("unlucky: the reason")
        );
    }

    #[test]
    fn a_lasting_thread_that_is_dropped_early_ends_instead_of_waiting_for_ever() {
        let supervisor = Supervisor::new();
        let shutdown = supervisor.shutdown();
        let thread = supervisor
            .spawn_lasting("lasting", move || shutdown.wait())
            .expect("thread starts");
        drop(thread);
        assert!(supervisor.shutdown().is_pulled());
    }

    #[test]
    fn dropping_a_joined_thread_waits_for_it() {
        let supervisor = Supervisor::new();
        let done = Arc::new(Mutex::new(false));
        let seen = Arc::clone(&done);
        drop(supervisor.spawn("worker", move || *lock(&seen) = true));
        assert!(*lock(&done));
        assert!(!supervisor.shutdown().is_pulled());
    }
}
