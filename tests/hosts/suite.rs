//! The guests that tests share, and the form of a test.
//!
//! Invariants: a shared guest is booted by the first test that asks for it, and one test has it at a
//! time, so tests that would disturb one another ask for the same name, and others run beside them; a
//! guest in which a test failed is thrown away, so that one failure does not cause the next; at most
//! [`GUESTS_AT_WORK`] tests have a guest at once, because a guest keeps a processor busy, and tests in
//! guests that starve miss their deadlines.

use std::cell::Cell;
use std::collections::HashMap;
use std::ops::{Deref, DerefMut};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Condvar, LazyLock, Mutex, MutexGuard, PoisonError};

use libtest_mimic::{Failed, Trial};

use crate::logs;
use crate::machine::Machine;

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
    /// This thread's test is one of those that have a guest.
    static IS_AT_WORK: Cell<bool> = const { Cell::new(false) };
}

/// Lists a module's tests, as functions without arguments, under the names that cargo would give them.
macro_rules! tests {
    ($($test:ident),* $(,)?) => {
        pub fn tests() -> Vec<libtest_mimic::Trial> {
            vec![$($crate::suite::test(module_path!(), stringify!($test), $test)),*]
        }
    };
}
pub(crate) use tests;

/// A test that fails by panicking; its message then has the logs of the guests that it had.
pub fn test(module: &str, name: &str, body: fn()) -> Trial {
    let module = module.split_once("::").map_or(module, |(_, inner)| inner);
    let name = format!("{module}::{name}");
    Trial::test(name.clone(), move || {
        logs::begin(&name);
        let ended = catch_unwind(AssertUnwindSafe(body));
        end_work();
        ended.map_err(|panic| {
            let words = panic
                .downcast_ref::<String>()
                .map(String::as_str)
                .or_else(|| panic.downcast_ref::<&str>().copied())
                .unwrap_or("a panic without words");
            Failed::from(format!("{words}\n{}", logs::report()))
        })
    })
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
    if IS_AT_WORK.replace(true) {
        return;
    }
    let mut free = lock(&FREE);
    while *free == 0 {
        free = FREED.wait(free).unwrap_or_else(PoisonError::into_inner);
    }
    *free -= 1;
}

fn end_work() {
    if IS_AT_WORK.replace(false) {
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
