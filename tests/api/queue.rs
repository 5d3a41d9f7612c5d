//! Pausing, resuming and draining, from outside.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::server::{PATIENCE, Server};
use crate::{LONG, hello};

#[test]
fn a_paused_queue_takes_jobs_and_says_so_everywhere() {
    let server = Server::start_ready();
    let queue = server.get("/api/queue").json();
    assert_eq!(
        (&queue["state"], &queue["queued"], &queue["longest_wait_sec"]),
        (&json!("running"), &json!(0), &json!(null))
    );
    let paused = server.post("/api/queue/pause", &json!({}));
    assert_eq!((paused.status, &paused.json()["state"]), (200, &json!("paused")));

    let id = server.enqueue(&hello());
    let status = server.status(&id);
    assert_eq!(
        (&status["status"], &status["waiting_for"]),
        (&json!("queued"), &json!("the queue is paused"))
    );
    assert!(status.get("eta_sec").is_none(), "nobody knows until when: {status}");
    for (path, body) in [
        ("/tts", json!({ "text": "x" })),
        ("/tts", json!({ "text": "x", "stream": true })),
        ("/v1/audio/speech", json!({ "input": "x", "model": "tts-1", "voice": "alloy" })),
    ] {
        let refused = server.post(path, &body);
        assert_eq!(refused.status, 503, "{path}");
        assert!(refused.text().contains("The queue is paused"), "{}", refused.text());
        assert_eq!(refused.header("retry-after"), "30");
    }
    let not_ready = server.get("/readyz");
    assert_eq!(not_ready.status, 503);
    assert!(not_ready.detail().starts_with("The queue is paused"));
    assert_eq!(server.get("/api/model-info").json()["queue"], "paused");
    let queue = server.get("/api/queue").json();
    assert_eq!(queue["by_priority"]["normal"], json!({ "queued": 1, "running": 0 }));
    assert_eq!(server.jobs().as_array().unwrap().len(), 1, "what was refused left no job");

    let resumed = server.post("/api/queue/resume", &json!({}));
    assert_eq!((resumed.status, &resumed.json()["state"]), (200, &json!("running")));
    let done = server.wait_for(&id, &["completed"]);
    let time = |key: &str| done[key].as_f64().unwrap();
    assert!(
        time("started_at") <= time("first_audio_at") && time("first_audio_at") <= time("completed_at"),
        "{done}"
    );
    assert_eq!(server.get(&format!("/api/jobs/{id}")).json()["first_audio_at"], done["first_audio_at"]);
    assert_eq!(server.get("/readyz").status, 200);
}

#[test]
fn whoever_holds_the_line_is_told_of_a_pause_and_the_job_goes_with_the_client() {
    let server = Server::slow();
    let first = server.enqueue(&json!({ "text": LONG, "priority": "high" }));
    server.wait_for(&first, &["running"]);
    let url = server.url.clone();
    let waiting = std::thread::spawn(move || {
        let request = ureq::post(format!("{url}/tts")).header("Content-Type", "application/json");
        let request = request.config().http_status_as_error(false).build();
        request.send(json!({ "text": "x" }).to_string().as_bytes()).unwrap().status().as_u16()
    });
    let begun = Instant::now();
    while server.get("/api/queue").json()["queued"] != 1 {
        assert!(begun.elapsed() < PATIENCE);
        std::thread::sleep(Duration::from_millis(5));
    }
    server.post("/api/queue/pause", &json!({}));
    assert_eq!(waiting.join().unwrap(), 503);
    // The one that was being spoken is of high priority, and is finished.
    server.wait_for(&first, &["completed"]);
    let begun = Instant::now();
    while server.get("/api/queue").json()["queued"] != 0 {
        assert!(begun.elapsed() < PATIENCE, "the job of the client that was sent away stays");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_draining_queue_refuses_new_jobs_and_knows_old_wishes() {
    let server = Server::start();
    let failed = server.enqueue(&json!({ "text": "This must [fail] here." }));
    server.wait_for(&failed, &["failed"]);
    let retry = format!("/api/jobs/{failed}/retry");
    let key = [("Idempotency-Key", "one")];
    let known = server.post_with("/tts/enqueue", &key, &hello()).json()["job_id"].clone();
    let drained = server.post("/api/queue/drain", &json!({}));
    assert_eq!((drained.status, &drained.json()["state"]), (200, &json!("draining")));
    for (path, body) in [
        ("/tts/enqueue", hello()),
        ("/tts", json!({ "text": "x" })),
        ("/api/batches", json!({ "items": ["x"] })),
        (&retry, json!({})),
    ] {
        let refused = server.post(path, &body);
        assert_eq!((refused.status, refused.header("retry-after")), (503, "30"), "{path}");
        assert!(refused.detail().starts_with("The server takes no jobs"), "{}", refused.detail());
    }
    // The answer to a wish that was lost is no new job.
    let again = server.post_with("/tts/enqueue", &key, &hello());
    assert_eq!((again.status, &again.json()["job_id"]), (202, &known));
    assert_eq!(server.get("/readyz").status, 503);
    server.wait_for(known.as_str().unwrap(), &["completed"]);
    server.post("/api/queue/resume", &json!({}));
    assert_eq!(server.post("/tts/enqueue", &hello()).status, 202);
    assert_eq!(server.post(&retry, &json!({})).status, 200);
}
