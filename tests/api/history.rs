//! The history of jobs, from outside: pages, filters, search, one job whole, and what is done with jobs afterwards.

use std::io::{Cursor, Read};

use serde_json::{Value, json};

use crate::server::{Server, humming};
use crate::{LONG, UNKNOWN};

fn texts(page: &Value) -> Vec<&str> {
    page["jobs"].as_array().unwrap().iter().map(|job| job["text"].as_str().unwrap()).collect()
}

/// A server that has spoken these texts.
fn spoken(texts: &[&str]) -> (Server, Vec<String>) {
    let server = Server::start();
    let ids: Vec<String> = texts.iter().map(|text| server.enqueue(&json!({ "text": text }))).collect();
    for id in &ids {
        server.wait_for(id, &["completed"]);
    }
    (server, ids)
}

#[test]
fn pages_go_from_the_newest_to_the_oldest_and_stay_as_they_are() {
    let (server, _) = spoken(&["a", "b", "c", "d", "e"]);
    let first = server.get("/api/jobs?limit=2").json();
    assert_eq!(texts(&first), ["e", "d"]);
    server.enqueue(&json!({ "text": "f" }));
    let after = |page: &Value| {
        let cursor = page["next_cursor"].as_str().unwrap();
        server.get(&format!("/api/jobs?limit=2&cursor={cursor}")).json()
    };
    let second = after(&first);
    assert_eq!(texts(&second), ["c", "b"], "what arrives meanwhile moves nothing");
    let third = after(&second);
    assert_eq!((texts(&third), &third["next_cursor"]), (vec!["a"], &Value::Null));
    let wrong = server.get("/api/jobs?status=done");
    assert_eq!(wrong.status, 422);
}

#[test]
fn jobs_are_found_by_their_words_their_status_their_voice_and_their_time() {
    let (server, ids) = spoken(&[
        "The old lighthouse keeper spoke.",
        "A light breakfast in the Café.",
        "Nothing to be seen.",
    ]);
    let found = |query: &str| {
        let page = server.get(&format!("/api/jobs?{query}"));
        assert_eq!(page.status, 200, "{query}: {}", page.text());
        page.json()["jobs"].as_array().unwrap().iter().map(|job| job["job_id"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(found("search=light"), [ids[1].as_str(), ids[0].as_str()]);
    assert_eq!(found("search=keeper+OLD"), [ids[0].as_str()]);
    assert_eq!(found("search=cafe"), [ids[1].as_str()]);
    assert_eq!(found("search=%22keeper%22+AND+("), [""; 0], "the word AND is not in it");
    assert_eq!(found("search=light&limit=1"), [ids[1].as_str()]);
    assert_eq!(found("status=completed").len(), 3);
    assert_eq!(found("status=queued,running,failed").len(), 0);
    assert_eq!(found("status=failed,completed").len(), 3);
    let voice = server.status(&ids[0])["voice"].as_str().unwrap().to_owned();
    assert_eq!(found(&format!("voice={voice}")).len(), 3);
    assert_eq!(found("voice=nobody").len(), 0);
    let created = server.status(&ids[1])["created_at"].as_f64().unwrap();
    assert_eq!(found(&format!("until={created}")), [ids[0].as_str()]);
    assert_eq!(found(&format!("since={created}")), [ids[2].as_str(), ids[1].as_str()]);
    assert_eq!(found("since=2999-01-01T00:00:00Z").len(), 0);
    assert_eq!(found("until=1").len(), 0);
}

#[test]
fn one_job_is_shown_with_what_it_was_made_from_and_all_that_happened() {
    let (server, ids) = spoken(&["The whole story."]);
    let job = server.get(&format!("/api/jobs/{}", ids[0])).json();
    assert_eq!((&job["text"], &job["status"]), (&json!("The whole story."), &json!("completed")));
    assert_eq!(job["request"]["seed"], job["seed"]);
    let timeline = job["timeline"].as_array().unwrap();
    let kinds: Vec<&str> = timeline.iter().map(|event| event["event"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["queued", "started", "planned", "chunk", "completed"]);
    assert!(timeline[1]["model_wait_ms"].is_u64() && timeline[3]["took_ms"].is_u64(), "{timeline:?}");
    assert_eq!(timeline[4]["bytes"], job["file_size_bytes"]);
    assert_eq!(server.get(&format!("/api/jobs/{UNKNOWN}")).status, 404);
}

#[test]
fn a_job_is_said_again_with_its_seed_or_another() {
    let (server, ids) = spoken(&["Say it again."]);
    let first = server.status(&ids[0]);
    let again = |body: Value| server.post(&format!("/api/jobs/{}/rerun", ids[0]), &body);
    let same = again(json!({ "seed": "same" }));
    assert_eq!(same.status, 202);
    let same = same.json();
    assert_eq!((&same["seed"], &same["rerun_of"]), (&first["seed"], &json!(ids[0])));
    assert_ne!(again(json!({})).json()["seed"], first["seed"]);
    assert_eq!(again(json!({ "seed": 17 })).json()["seed"], 17);
    assert_eq!(again(json!({ "seed": -1 })).status, 422);
    let id = same["job_id"].as_str().unwrap();
    server.wait_for(id, &["completed"]);
    let audio = |id: &str| server.get(&format!("/tts/{id}/result")).body;
    assert_eq!(audio(id), audio(&ids[0]), "the same seed is the same take");
}

#[test]
fn ended_jobs_are_deleted_with_their_audio_and_others_are_not() {
    let (server, ids) = spoken(&["a", "b", "c"]);
    assert_eq!(server.delete(&format!("/api/jobs/{}", ids[0])).status, 200);
    assert_eq!(server.get(&format!("/tts/{}/result", ids[0])).status, 404);
    assert!(!server.data.path().join("outputs").join(format!("{}.wav", ids[0])).exists());
    assert_eq!(server.delete(&format!("/api/jobs/{}", ids[0])).status, 404);
    let body = json!({ "ids": [ids[0], ids[1], "x"] });
    let answer = server.post("/api/jobs/delete", &body).json();
    assert_eq!(answer["deleted"], json!([ids[1]]));
    assert_eq!(answer["kept"].as_array().unwrap().len(), 2, "{answer}");
    assert_eq!(server.jobs().as_array().unwrap().len(), 1);
    for wrong in [json!({}), json!({ "ids": [] }), json!({ "ids": [1] })] {
        assert_eq!(server.post("/api/jobs/delete", &wrong).status, 422, "{wrong}");
    }
    let slow = Server::slow();
    let running = slow.enqueue(&json!({ "text": LONG }));
    let refused = slow.delete(&format!("/api/jobs/{running}"));
    assert_eq!(refused.status, 409);
    assert!(refused.detail().ends_with("cancel it first, then delete it."), "{}", refused.detail());
}

#[test]
fn favourites_outlive_their_time() {
    let keep = |settings: &mut declaim::config::Settings| {
        settings.job_queue.job_ttl = std::time::Duration::from_millis(300);
        settings.job_queue.cleanup_interval = std::time::Duration::from_millis(100);
    };
    let server = Server::with(keep, humming(std::time::Duration::ZERO));
    let ids = ["a", "b"].map(|text| server.enqueue(&json!({ "text": text })));
    let favourite = format!("{}/api/jobs/{}/favourite", server.url, ids[0]);
    let set = ureq::put(&favourite).send_empty().unwrap();
    assert_eq!(set.status(), 200);
    let started = std::time::Instant::now();
    while server.get(&format!("/tts/{}/status", ids[1])).status != 404 {
        assert!(started.elapsed() < crate::PATIENCE, "it never expired");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    assert_eq!(server.status(&ids[0])["favourite"], true);
    assert_eq!(texts(&server.get("/api/jobs?favourite=true").json()), ["a"]);
    assert_eq!(server.get(&format!("/tts/{}/result", ids[0])).status, 200);
    assert_eq!(server.delete(&format!("/api/jobs/{}/favourite", ids[0])).json()["favourite"], false);
    while server.get(&format!("/tts/{}/status", ids[0])).status != 404 {
        assert!(started.elapsed() < crate::PATIENCE, "it never expired");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

#[test]
fn jobs_are_exported_as_an_archive_that_says_what_is_in_it() {
    let (server, ids) = spoken(&["Once upon a time.", "The end."]);
    let answer = server.get(&format!("/api/jobs/export?ids={},{}", ids[0], ids[1]));
    assert_eq!((answer.status, answer.header("content-type")), (200, "application/zip"));
    let mut archive = zip::ZipArchive::new(Cursor::new(answer.body)).unwrap();
    let names: Vec<String> = archive.file_names().map(|name| name.unwrap().into_owned()).collect();
    assert_eq!(names.len(), 3);
    let mut audio = Vec::new();
    archive.by_name("001_Once_upon_a_time.wav").unwrap().read_to_end(&mut audio).unwrap();
    assert_eq!(audio, server.get(&format!("/tts/{}/result", ids[0])).body);
    let mut about = String::new();
    archive.by_name("jobs.json").unwrap().read_to_string(&mut about).unwrap();
    let about: Value = serde_json::from_str(&about).unwrap();
    assert_eq!((&about[1]["job_id"], &about[1]["file"]), (&json!(ids[1]), &json!("002_The_end.wav")));
    assert_eq!(server.get("/api/jobs/export?status=completed&search=end").status, 200);
    assert_eq!(server.get("/api/jobs/export?search=nothing").status, 404);
    assert_eq!(server.get(&format!("/api/jobs/export?ids={UNKNOWN}")).status, 404);
}
