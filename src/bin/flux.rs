//! The control plane and the command line.

fn main() {}
