//! The guests that tests share.
//!
//! Invariants: a shared guest is booted by the first test that asks for it, and one test has it at a
//! time, so tests that would disturb one another ask for the same name, and others run beside them; a
//! guest in which a test failed is thrown away, so that one failure does not cause the next; at most
//! [`GUESTS_AT_WORK`] tests have a guest at once, because a guest keeps a processor busy, and tests in
//! guests that starve miss their deadlines.

use std::cell::RefCell;
use std::collections::HashMap;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Condvar, LazyLock, Mutex, MutexGuard, PoisonError};

use super::machine::Machine;

/// As many as there are processors in a small machine.
const GUESTS_AT_WORK: u32 = 2;

/// A shared guest's place; empty until somebody asks, and after a failure.
type Slot = Mutex<Option<Machine>>;

static SLOTS: LazyLock<Mutex<HashMap<String, &'static Slot>>> = LazyLock::new(Mutex::default);
static STARTED: AtomicU8 = AtomicU8::new(0);
/// How many tests may still take a guest.
static FREE: Mutex<u32> = Mutex::new(GUESTS_AT_WORK);
static FREED: Condvar = Condvar::new();

thread_local! {
    /// Of this thread's test, if it has a guest; ends with the thread, which is the test's own.
    static WORK: RefCell<Option<Work>> = const { RefCell::new(None) };
}

/// The shared guest of this name, for this test alone until it is dropped.
pub fn machine(name: &str) -> Shared {
    let slot = *lock(&SLOTS)
        .entry(name.to_owned())
        .or_insert_with(|| Box::leak(Box::default()));
    let mut guest = lock(slot);
    begin_work();
    if guest.is_none() {
        *guest = Some(fresh(name));
    }
    Shared(guest)
}

/// A guest for one test, gone when it is dropped.
pub fn fresh(name: &str) -> Machine {
    begin_work();
    Machine::start(name, STARTED.fetch_add(1, Ordering::Relaxed))
}

/// Once for each test, whatever number of guests it takes. After the wait for a shared guest, so that
/// nobody who only waits for that keeps others from theirs; so a test asks for shared guests first.
fn begin_work() {
    WORK.with_borrow_mut(|work| {
        work.get_or_insert_with(Work::begin);
    });
}

/// One of the tests that have a guest.
struct Work;

impl Work {
    fn begin() -> Work {
        let mut free = lock(&FREE);
        while *free == 0 {
            free = FREED.wait(free).unwrap_or_else(PoisonError::into_inner);
        }
        *free -= 1;
        Work
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        *lock(&FREE) += 1;
        FREED.notify_one();
    }
}

/// A shared guest in a test's hands.
pub struct Shared(MutexGuard<'static, Option<Machine>>);

impl Deref for Shared {
    type Target = Machine;

    fn deref(&self) -> &Machine {
        self.0.as_ref().expect("a slot in use holds a guest")
    }
}

impl DerefMut for Shared {
    fn deref_mut(&mut self) -> &mut Machine {
        self.0.as_mut().expect("a slot in use holds a guest")
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.take();
        }
    }
}

/// A panic leaves every slot empty or whole, so a poisoned lock is as good as any.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
