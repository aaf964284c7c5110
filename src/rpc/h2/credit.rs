//! What of one stream waits for whoever reads its messages, and how far the other end is held back meanwhile.
//!
//! Invariants: a message that is larger than the window still arrives, because its bytes are given back as they come
//! while nothing waits; once a message waits, nothing is given back until it is taken. So no more waits than one
//! message and a window.

/// What one stream has waiting, in messages and bytes, and what of its window is withheld for that.
#[derive(Debug, Default)]
pub(super) struct Credit {
    /// Complete, and not taken.
    messages: usize,
    /// Theirs.
    bytes: usize,
    /// Of the window, for pieces of the message after them.
    withheld: usize,
}

/// What is given back once a message is taken.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::rpc) struct Owed {
    length: usize,
    window: usize,
}

impl Credit {
    /// A piece came of a message that is not complete: how much of the window is given back at once.
    pub(super) fn piece(&mut self, bytes: usize) -> usize {
        if self.messages == 0 {
            return bytes;
        }
        self.withheld += bytes;
        0
    }

    /// A message is complete, of whose last piece this much of the window is left to be given back.
    pub(super) fn message(&mut self, length: usize, last: usize) -> Owed {
        self.messages += 1;
        self.bytes += length;
        Owed {
            length,
            window: std::mem::take(&mut self.withheld) + last,
        }
    }

    /// A message was taken: how much of the window is given back.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "what is owed is given back once"
    )]
    pub(super) fn taken(&mut self, owed: Owed) -> usize {
        self.messages -= 1;
        self.bytes -= owed.length;
        let rest = if self.messages == 0 {
            std::mem::take(&mut self.withheld)
        } else {
            0
        };
        owed.window + rest
    }

    /// Memory of the messages that wait.
    pub(super) fn held(&self) -> usize {
        self.bytes
    }

    /// Complete ones that wait.
    pub(super) fn waiting(&self) -> usize {
        self.messages
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_larger_than_a_window_arrives_and_the_next_one_waits_for_it_to_be_taken() {
        let mut credit = Credit::default();
        assert_eq!((credit.piece(100), credit.piece(100)), (100, 100));
        let first = credit.message(210, 10);
        assert_eq!((credit.piece(50), credit.piece(50)), (0, 0));
        assert_eq!((credit.held(), credit.waiting()), (210, 1));
        assert_eq!(credit.taken(first), 110);
        assert_eq!(credit.piece(7), 7);
        assert_eq!((credit.held(), credit.waiting()), (0, 0));
    }

    #[test]
    fn everything_is_given_back_in_the_end() {
        let mut credit = Credit::default();
        let mut given = credit.piece(3);
        let first = credit.message(4, 1);
        given += credit.piece(20);
        let second = credit.message(25, 5);
        given += credit.piece(6);
        given += credit.taken(first);
        given += credit.taken(second);
        assert_eq!(given, 3 + 1 + 20 + 5 + 6);
    }
}
