//! The real server dies, or its disk fails, at each named place in turn; and nothing that was promised is lost.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use declaim::breakpoints::PLACES;
use serde_json::json;

use crate::ledger::Ledger;
use crate::load::drain;
use crate::server::Server;
use crate::{DRAIN_BOUND, client, side_by_side, witness};

/// Three chunks.
const TEXT: &str = "The wind told the stone about the river behind the old house. \
    The lantern told the harbour about the winter behind the old house. \
    The garden told the thunder about the wind behind the old house.";

/// `None` when the server died before its answer.
fn enqueue(port: u16) -> Option<String> {
    let body = json!({ "text": TEXT, "split_text": true, "chunk_size": 80 });
    let answer = client::request(port, "POST", "/tts/enqueue", Some(&body))?;
    (answer.status == 202).then(|| answer.json()["job_id"].as_str().unwrap().to_owned())
}

/// The table and the folders as a text: each job with its events, and each file.
fn snapshot(data_dir: &Path) -> String {
    let facts = witness::facts(data_dir).unwrap();
    let mut text = String::new();
    for (id, job) in &facts.jobs {
        let events = facts.events.values().filter(|(of, _)| of == id).map(|(_, kind)| kind.as_str());
        let _ = writeln!(
            text,
            "  {}, {} chunks, {} redone, {} completions",
            job.status,
            job.chunk_texts.len(),
            job.chunks_redone,
            job.completions
        );
        let _ = writeln!(text, "  events: {}", events.collect::<Vec<_>>().join(" "));
    }
    for path in witness::files(data_dir).keys() {
        let mut path = path.strip_prefix(data_dir).unwrap().display().to_string();
        for id in facts.jobs.keys() {
            path = path.replace(id.as_str(), "ID");
        }
        let _ = writeln!(text, "  {path}");
    }
    text
}

#[test]
fn a_death_at_any_place_loses_nothing_and_redoes_at_most_the_chunk_in_hand() {
    let found = side_by_side(PLACES, |place| {
        let folder = tempfile::tempdir().unwrap();
        let data_dir = folder.path();
        witness::prepare(data_dir);
        // What the start itself writes is behind it, since the secret of a data directory is there already.
        std::fs::write(data_dir.join("webhook-secret"), "secret").unwrap();
        let wish = format!("die {place} 1");
        let mut server = Server::start_with(data_dir, &[("DECLAIM_BREAK", &wish)]);
        let accepted = enqueue(server.port());
        server.wait_for_death();
        let found = format!("{place}\n{}", snapshot(data_dir));

        let mut ledger = Ledger::default();
        let mut server = Server::start(data_dir);
        let port = server.port();
        // Whoever got no answer asks whether there is a job.
        let jobs = client::request(port, "GET", "/api/jobs", None).unwrap().json();
        let listed: Vec<&str> =
            jobs["jobs"].as_array().unwrap().iter().map(|job| job["job_id"].as_str().unwrap()).collect();
        assert!(
            accepted.as_ref().is_none_or(|id| listed == [id.as_str()]),
            "{place}: {accepted:?}, {listed:?}"
        );
        for id in listed {
            ledger.accepted.insert(id.to_owned(), TEXT.to_owned());
        }
        let ledger = Mutex::new(ledger);
        drain(port, &ledger);
        server.stop();
        Server::start(data_dir).stop_when_ready();
        ledger.into_inner().unwrap().check_the_end(data_dir);
        found
    })
    .concat();
    let known = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/crash/places.txt");
    if std::env::var_os("DECLAIM_BLESS").is_some() {
        std::fs::write(&known, &found).unwrap();
    }
    // What a death leaves at each place; DECLAIM_BLESS=1 writes it anew.
    assert_eq!(found, std::fs::read_to_string(&known).unwrap());
}

#[test]
fn a_text_that_kills_the_server_three_times_is_set_aside_with_its_chunks() {
    let folder = tempfile::tempdir().unwrap();
    let data_dir = folder.path();
    witness::prepare(data_dir);
    let mut id = None;
    // Each time at its second chunk: the first one is there from the first start on.
    for wish in ["die before chunk 2", "die before chunk 1", "die before chunk 1"] {
        let mut server = Server::start_with(data_dir, &[("DECLAIM_BREAK", wish)]);
        if id.is_none() {
            id = enqueue(server.port());
        }
        server.wait_for_death();
    }
    let id = id.unwrap();
    let mut server = Server::start(data_dir);
    let port = server.port();
    let status = client::request(port, "GET", &format!("/tts/{id}/status"), None).unwrap().json();
    assert_eq!(status["status"], "failed");
    let error = status["error"].as_str().unwrap();
    assert!(error.contains("3 times in a row"), "{error}");
    let retry = client::request(port, "POST", &format!("/api/jobs/{id}/retry"), Some(&json!({}))).unwrap();
    assert_eq!(retry.status, 200, "{}", retry.json());
    let ledger = Mutex::new(Ledger::default());
    ledger.lock().unwrap().accepted.insert(id, TEXT.to_owned());
    drain(port, &ledger);
    server.stop();
    Server::start(data_dir).stop_when_ready();
    ledger.into_inner().unwrap().check_the_end(data_dir);
}

/// Where something is written.
const WRITING: [&str; 8] = [
    "before adding",
    "before claim",
    "before sync",
    "after sync",
    "after rename",
    "after folder sync",
    "before checkpoint",
    "before finish",
];

#[test]
fn a_disk_that_fails_at_any_place_is_tried_again_or_told() {
    side_by_side(&WRITING, |&place| {
        let folder = tempfile::tempdir().unwrap();
        let data_dir = folder.path();
        witness::prepare(data_dir);
        std::fs::write(data_dir.join("webhook-secret"), "secret").unwrap();
        let wish = format!("fail {place} 1");
        let environment = [("DECLAIM_BREAK", wish.as_str()), ("DECLAIM_JOB_QUEUE__MAX_RETRIES", "2")];
        let mut server = Server::start_with(data_dir, &environment);
        let port = server.port();
        let mut ledger = Ledger::default();
        if let Some(id) = enqueue(port) {
            ledger.accepted.insert(id, TEXT.to_owned());
        } else {
            // It was told so, and asks again.
            assert_eq!(place, "before adding");
            ledger.accepted.insert(enqueue(port).unwrap(), TEXT.to_owned());
        }
        let deadline = Instant::now() + DRAIN_BOUND;
        while !witness::jobs(data_dir).values().all(|job| job.status == "completed") {
            assert!(Instant::now() < deadline, "{place}: {}", snapshot(data_dir));
            std::thread::sleep(Duration::from_millis(50));
        }
        let ledger = Mutex::new(ledger);
        drain(port, &ledger);
        server.stop();
        Server::start(data_dir).stop_when_ready();
        ledger.into_inner().unwrap().check_the_end(data_dir);
    });
}
