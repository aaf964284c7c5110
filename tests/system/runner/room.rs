//! How many tests are at work at once. All have a thread from the start, and wait here for their turn in
//! the order of their coming: so those that wait for a guest keep nobody else from running.

use crossbeam_channel::{Receiver, Sender, bounded};

/// A room for some tests at once.
pub struct Room {
    leave: Sender<()>,
    enter: Receiver<()>,
}

/// A place in it, free again when dropped.
pub struct Inside<'a>(&'a Room);

impl Room {
    pub fn new(tests: usize) -> Room {
        let (leave, enter) = bounded(tests);
        for _ in 0..tests {
            leave.send(()).expect("as many as there is room for");
        }
        Room { leave, enter }
    }

    pub fn enter(&self) -> Inside<'_> {
        self.enter.recv().expect("the room has both ends");
        Inside(self)
    }
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        self.0.leave.send(()).expect("the room has both ends");
    }
}
