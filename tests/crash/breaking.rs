//! The real server dies, or its disk fails, at each named place in turn; and nothing that was promised is lost.

use std::fmt::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use declaim::breakpoints::PLACES;
use serde_json::json;

use crate::server::Server;
use crate::{DRAIN_BOUND, Promises, check_the_end, client, drain, witness};

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

/// The table as a text: one line for a job, with its chunks.
fn snapshot(data_dir: &Path) -> String {
    let mut text = String::new();
    for job in witness::jobs(data_dir).values() {
        let (status, chunks) = (&job.status, job.chunk_texts.len());
        let _ = write!(
            text,
            "{status}, {chunks} chunks, {} redone, {} completions",
            job.chunks_redone, job.completions
        );
    }
    text
}

/// Where a death leaves the table.
fn expected(place: &str) -> &'static str {
    match place {
        "before adding" => "",
        "after adding" | "before claim" => "queued, 0 chunks, 0 redone, 0 completions",
        // The first chunk, in every place but the last ones.
        "after claim" | "before chunk" | "before sync" | "after sync" | "after rename"
        | "after folder sync" | "before checkpoint" => "running, 0 chunks, 0 redone, 0 completions",
        "after checkpoint" => "running, 1 chunks, 0 redone, 0 completions",
        "before joining" | "before finish" => "running, 3 chunks, 0 redone, 0 completions",
        "after finish" => "completed, 3 chunks, 0 redone, 1 completions",
        other => panic!("what is expected at {other:?}?"),
    }
}

#[test]
fn a_death_at_any_place_loses_nothing_and_redoes_at_most_the_chunk_in_hand() {
    for place in PLACES {
        let folder = tempfile::tempdir().unwrap();
        let data_dir = folder.path();
        witness::prepare(data_dir);
        // What the start itself writes is behind it, since the secret of a data directory is there already.
        std::fs::write(data_dir.join("webhook-secret"), "secret").unwrap();
        let wish = format!("die {place} 1");
        let mut server = Server::start_with(data_dir, &[("DECLAIM_BREAK", &wish)]);
        let accepted = enqueue(server.port());
        server.wait_for_death();
        assert_eq!(snapshot(data_dir), expected(place), "{place}");

        let mut promises = Promises::default();
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
            promises.accepted.insert(id.to_owned(), TEXT.to_owned());
        }
        drain(port, &promises);
        server.stop();
        Server::start(data_dir).stop_when_ready();
        check_the_end(data_dir, &promises);
    }
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
    for place in WRITING {
        let folder = tempfile::tempdir().unwrap();
        let data_dir = folder.path();
        witness::prepare(data_dir);
        std::fs::write(data_dir.join("webhook-secret"), "secret").unwrap();
        let wish = format!("fail {place} 1");
        let environment = [("DECLAIM_BREAK", wish.as_str()), ("DECLAIM_JOB_QUEUE__MAX_RETRIES", "2")];
        let mut server = Server::start_with(data_dir, &environment);
        let port = server.port();
        let mut promises = Promises::default();
        if let Some(id) = enqueue(port) {
            promises.accepted.insert(id, TEXT.to_owned());
        } else {
            // It was told so, and asks again.
            assert_eq!(place, "before adding");
            promises.accepted.insert(enqueue(port).unwrap(), TEXT.to_owned());
        }
        let deadline = Instant::now() + DRAIN_BOUND;
        while !witness::jobs(data_dir).values().all(|job| job.status == "completed") {
            assert!(Instant::now() < deadline, "{place}: {}", snapshot(data_dir));
            std::thread::sleep(Duration::from_millis(50));
        }
        drain(port, &promises);
        server.stop();
        Server::start(data_dir).stop_when_ready();
        check_the_end(data_dir, &promises);
    }
}
