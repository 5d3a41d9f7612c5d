//! The `declaim` program.

fn main() {}
