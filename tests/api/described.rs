//! The description of the interface: served as the snapshot beside this file says, so that a change of it is seen and meant.

use crate::server::Server;

const SNAPSHOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/api/openapi.json");

/// After a change that is meant: `DECLAIM_BLESS=1 cargo test --workspace --test api described`.
#[test]
fn the_description_is_the_one_that_was_looked_at() {
    let served = Server::start().get("/openapi.json");
    assert_eq!((served.status, served.header("content-type")), (200, "application/json"));
    let served = serde_json::to_string_pretty(&served.json()).unwrap() + "\n";
    if std::env::var_os("DECLAIM_BLESS").is_some() {
        std::fs::write(SNAPSHOT, &served).unwrap();
    }
    let known = std::fs::read_to_string(SNAPSHOT).unwrap_or_default();
    let differs = served.lines().zip(known.lines()).find(|(now, then)| now != then);
    assert!(served == known, "the description has changed, first at {differs:?}; bless it if that is meant");
}

#[test]
fn the_viewer_is_served_under_the_policy_of_the_page() {
    let server = Server::start();
    let viewer = server.get("/docs");
    assert_eq!((viewer.status, viewer.header("content-type")), (200, "text/html; charset=utf-8"));
    assert!(viewer.header("content-security-policy").contains("default-src 'none'"));
    let script = viewer.text().split("src=\"").nth(2).unwrap().split('"').next().unwrap().to_owned();
    assert!(script.ends_with("/js/docs.js"), "{script}");
    assert_eq!(server.get(&script).header("content-type"), "text/javascript; charset=utf-8");
}
