//! Models from a hub in miniature, through everything that can go wrong on the way: lines that break, servers that lie,
//! disks that are full, processes that are killed. Whatever happens, a name in the store is a whole model or none, and what
//! came once need not come again.

#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

#[path = "models/command.rs"]
mod command;
#[path = "models/encrypted.rs"]
mod encrypted;
#[path = "models/failing.rs"]
mod failing;
#[path = "models/hub.rs"]
mod hub;
#[path = "models/local.rs"]
mod local;
#[path = "models/over_http.rs"]
mod over_http;
#[path = "models/pulling.rs"]
mod pulling;
#[path = "models/scene.rs"]
mod scene;
#[expect(dead_code, reason = "shared with the tests of the API, which use all of it")]
mod server;
