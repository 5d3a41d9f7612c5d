//! The `declaim` program.

use std::process::ExitCode;

/// Decoding takes and gives back a few large buffers per token; the reason and its figures stand in Cargo.toml.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    declaim::cli::run()
}
