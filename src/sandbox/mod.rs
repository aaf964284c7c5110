//! Runs one process contained: one contract, same-shaped platforms behind it.
