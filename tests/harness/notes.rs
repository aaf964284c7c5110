//! What a test says on its way: kept for its end, and shown only if it fails.

use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, Ordering};

thread_local! {
    /// Of the test that runs on this thread; nothing where none does.
    static NOTES: RefCell<Option<String>> = const { RefCell::new(None) };
}

static ARE_SHOWN: AtomicBool = AtomicBool::new(false);

/// From here on this thread's notes are a test's.
pub fn begin() {
    NOTES.set(Some(String::new()));
}

/// What has been noted since [`begin`].
pub fn end() -> String {
    NOTES.take().unwrap_or_default()
}

/// From here on notes are shown when they are made, too.
pub fn show_at_once() {
    ARE_SHOWN.store(true, Ordering::Relaxed);
}

/// Keeps a text for the end of this thread's test; shows it where the thread has none.
pub fn add(text: &str) {
    let is_kept = NOTES.with_borrow_mut(|notes| match notes {
        Some(notes) => {
            notes.push_str(text);
            notes.push('\n');
            true
        }
        None => false,
    });
    if !is_kept || ARE_SHOWN.load(Ordering::Relaxed) {
        eprintln!("{text}");
    }
}
