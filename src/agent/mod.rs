//! The worker.

<<<<<<< HEAD
pub mod admission;
=======
pub mod output;
pub mod release;
pub mod workdir;
>>>>>>> archive
