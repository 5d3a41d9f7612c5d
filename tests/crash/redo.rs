//! One chunk of a completed job is spoken again, and the server dies at each named place on the way. The old result is there
//! whole or the new one is, never neither; and after the next start the new one, with nothing left over.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use declaim::breakpoints::PLACES;
use serde_json::json;

use crate::server::Server;
use crate::{DRAIN_BOUND, client, side_by_side, witness};

/// Three chunks, which are kept.
const TEXT: &str = "The wind told the stone about the river behind the old house. \
    The lantern told the harbour about the winter behind the old house. \
    The garden told the thunder about the wind behind the old house.";
const KEPT: (&str, &str) = ("DECLAIM_JOB_QUEUE__MAX_CHUNK_MB", "100");

/// The second one, with another seed, which hums at another pitch. `None` when the server died before its answer.
fn redo(port: u16, id: &str) -> Option<String> {
    let path = format!("/api/jobs/{id}/chunks/2/regenerate");
    let answer = client::request(port, "POST", &path, Some(&json!({ "seed": 9 })))?;
    assert_eq!(answer.status, 202, "{}", answer.json());
    Some(answer.json()["job_id"].as_str().unwrap().to_owned())
}

/// Waits for its end; false when the server died before.
fn ends(port: u16, id: &str) -> bool {
    let deadline = Instant::now() + DRAIN_BOUND;
    loop {
        let Some(answer) = client::request(port, "GET", &format!("/tts/{id}/status"), None) else {
            return false;
        };
        match answer.json()["status"].as_str().unwrap() {
            "completed" => return true,
            "queued" | "running" => {}
            other => panic!("{id} is {other}: {}", answer.json()),
        }
        assert!(Instant::now() < deadline, "{}", answer.json());
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn result(port: u16, id: &str) -> Vec<u8> {
    let answer = client::request(port, "GET", &format!("/tts/{id}/result"), None).unwrap();
    assert_eq!(answer.status, 200, "{}", answer.json());
    answer.body
}

/// The names of all files, with the ids of the two jobs told apart.
fn files(data_dir: &Path, parent: &str) -> BTreeSet<String> {
    let facts = witness::facts(data_dir).unwrap();
    let child = facts.jobs.keys().find(|id| *id != parent).unwrap();
    let name = |path: &PathBuf| {
        let path = path.strip_prefix(data_dir).unwrap().to_str().unwrap();
        path.replace(parent, "PARENT").replace(child.as_str(), "CHILD")
    };
    witness::files(data_dir).keys().map(name).collect()
}

/// Where to die, and at which passage. Files are put in place eight times: the new chunk and the result of the job that speaks
/// it, as of any job; then that chunk and the new result of the other job, each with what is told of it. The second half is
/// what is new here.
fn passages() -> Vec<(&'static str, u32)> {
    let is_of_files = |place: &str| place.ends_with("sync") || place == "after rename";
    let passages = |place| if is_of_files(place) { 5..=8 } else { 1..=1 };
    PLACES.iter().flat_map(|place| passages(place).map(|passage| (*place, passage))).collect()
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[test]
fn a_death_while_a_chunk_is_spoken_again_leaves_the_old_result_or_the_new_one() {
    let spoken = tempfile::tempdir().unwrap();
    witness::prepare(spoken.path());
    std::fs::write(spoken.path().join("webhook-secret"), "secret").unwrap();
    let mut server = Server::start_with(spoken.path(), &[KEPT]);
    let port = server.port();
    let body = json!({ "text": TEXT, "split_text": true, "chunk_size": 80, "seed": 7 });
    let answer = client::request(port, "POST", "/tts/enqueue", Some(&body)).unwrap();
    let id = answer.json()["job_id"].as_str().unwrap().to_owned();
    assert!(ends(port, &id));
    let old = result(port, &id);
    server.stop();

    // What it is without a death.
    let calm = tempfile::tempdir().unwrap();
    copy(spoken.path(), calm.path());
    let mut server = Server::start_with(calm.path(), &[KEPT]);
    let port = server.port();
    let child = redo(port, &id).unwrap();
    assert!(ends(port, &child));
    let new = result(port, &id);
    server.stop();
    Server::start_with(calm.path(), &[KEPT]).stop_when_ready();
    let expected = files(calm.path(), &id);
    assert!(new != old && new.len() == old.len());

    side_by_side(&passages(), |(place, passage)| {
        let folder = tempfile::tempdir().unwrap();
        let data_dir = folder.path();
        copy(spoken.path(), data_dir);
        let wish = format!("die {place} {passage}");
        let mut server = Server::start_with(data_dir, &[KEPT, ("DECLAIM_BREAK", &wish)]);
        let port = server.port();
        let has_ended = redo(port, &id).is_some_and(|child| ends(port, &child));
        assert!(!has_ended, "{wish}: nobody came there");
        server.wait_for_death();

        let facts = witness::facts(data_dir).unwrap();
        let served = facts.jobs[&id].output_file.clone().unwrap();
        let left = std::fs::read(data_dir.join("outputs").join(served)).unwrap();
        assert!(left == old || left == new, "{wish}: neither the old result nor the new one");
        let mut server = Server::start_with(data_dir, &[KEPT]);
        let port = server.port();
        let found = result(port, &id);
        assert!(found == old || found == new, "{wish}: neither is served");
        // Whoever got no answer looks whether there is a job.
        let child = match facts.jobs.keys().find(|known| **known != id) {
            Some(child) => child.clone(),
            None => redo(port, &id).unwrap(),
        };
        assert!(ends(port, &child), "{wish}");
        assert!(result(port, &id) == new, "{wish}: the new chunk is not in it");
        server.stop();
        Server::start_with(data_dir, &[KEPT]).stop_when_ready();
        let facts = witness::facts(data_dir).unwrap();
        assert_eq!((facts.jobs.len(), facts.jobs[&child].completions), (2, 1), "{wish}");
        assert_eq!(files(data_dir, &id), expected, "{wish}");
    });
}
