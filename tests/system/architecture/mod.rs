//! What a person would have to remember about the structure, remembered by a check: who imports whom, who
//! may be unsafe, who names which library, how files open and how long they are, and that ARCHITECTURE.md
//! says what is so.
//!
//! The checks read the sources as tokens, not as lines: a name in a comment or a string is none. They are
//! approximations where they cannot be more, and each says so.

pub mod causes;
pub mod confined;
pub mod layers;
pub mod map;
mod paths;
pub mod shape;
mod sources;
mod tokens;
pub mod tree;
pub mod wildcards;
