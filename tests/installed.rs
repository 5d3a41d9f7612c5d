//! Installed models: full-size ones (ignored, since each takes gigabytes), and tiny ones of every network through the real
//! server, swapped under load and given the clips that people upload.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a helper that fails fails its test; figures are shown with --nocapture"
)]

#[path = "installed/clips.rs"]
mod clips;
#[path = "installed/converting.rs"]
mod converting;
#[path = "installed/full_size.rs"]
mod full_size;
#[path = "installed/house.rs"]
mod house;
#[expect(dead_code, reason = "shared with the tests of the model manager, which use all of it")]
#[path = "models/hub.rs"]
mod hub;
#[path = "installed/marking.rs"]
mod marking;
#[path = "installed/swapping.rs"]
mod swapping;
