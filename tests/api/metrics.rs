//! `/metrics`: that it counts what happens, reads as its format says, and begins anew with the process.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::server::{PATIENCE, Server};

/// Every sample by its name and labels. Panics where the text is not as the format says; tests/clients reads it with
/// Prometheus' own parser too.
fn samples(server: &Server) -> BTreeMap<String, f64> {
    let answer = server.get("/metrics");
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), "text/plain; version=0.0.4; charset=utf-8");
    let text = answer.text();
    assert!(text.ends_with('\n'));
    let (mut found, mut typed) = (BTreeMap::new(), BTreeMap::new());
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert!(typed.insert(name.to_owned(), kind.to_owned()).is_none(), "{name} is told twice");
        } else if !line.starts_with("# HELP ") {
            let (series, value) = line.rsplit_once(' ').unwrap();
            let name = series.split('{').next().unwrap();
            let family = ["_bucket", "_sum", "_count"]
                .iter()
                .find_map(|end| name.strip_suffix(end).filter(|name| typed.contains_key(*name)))
                .unwrap_or(name);
            assert!(typed.contains_key(family), "{line} has no type");
            assert_eq!(name.ends_with("_total"), typed[family] == "counter", "{line}");
            assert!(
                found.insert(series.to_owned(), value.parse().unwrap()).is_none(),
                "{series} is told twice"
            );
        }
    }
    found
}

fn wait_until(server: &Server, is_so: impl Fn(&BTreeMap<String, f64>) -> bool) -> BTreeMap<String, f64> {
    let begun = Instant::now();
    loop {
        let now = samples(server);
        if is_so(&now) {
            return now;
        }
        assert!(begun.elapsed() < PATIENCE, "{now:#?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn what_happens_is_counted_and_a_restart_begins_anew() {
    let server = Server::start_ready();
    let before = samples(&server);
    assert_eq!(
        before["declaim_jobs_ended_total{status=\"completed\"}"], 0.0,
        "series are there before anything happens"
    );
    for text in ["One.", "Two."] {
        let id = server.enqueue(&json!({ "text": text }));
        server.wait_for(&id, &["completed"]);
    }
    assert_eq!(server.post("/tts", &json!({ "text": "Three." })).status, 200);
    let failed = server.enqueue(&json!({ "text": "This [fail] fails." }));
    server.wait_for(&failed, &["failed"]);
    server.post("/api/queue/pause", &json!({}));
    let cancelled = server.enqueue(&json!({ "text": "x", "priority": "low" }));
    let waits = samples(&server);
    assert_eq!(waits["declaim_queue_jobs{state=\"queued\",priority=\"low\"}"], 1.0);
    assert_eq!(waits["declaim_queue_state{state=\"paused\"}"], 1.0);
    assert_eq!(waits["declaim_queue_state{state=\"running\"}"], 0.0);
    server.delete(&format!("/tts/{cancelled}"));

    // Events are counted when they are read.
    let now = wait_until(&server, |now| now["declaim_jobs_ended_total{status=\"cancelled\"}"] == 1.0);
    for (series, value) in [
        ("declaim_jobs_ended_total{status=\"completed\"}", 3.0),
        ("declaim_jobs_ended_total{status=\"failed\"}", 1.0),
        ("declaim_jobs_accepted_total{priority=\"high\"}", 1.0),
        ("declaim_jobs_accepted_total{priority=\"normal\"}", 3.0),
        ("declaim_jobs_accepted_total{priority=\"low\"}", 1.0),
        ("declaim_chunks_total{outcome=\"failed\"}", 1.0),
        ("declaim_job_wait_seconds_count{priority=\"normal\"}", 3.0),
        ("declaim_job_wait_seconds_count{priority=\"low\"}", 0.0),
        ("declaim_job_first_audio_seconds_count{priority=\"normal\"}", 2.0),
        ("declaim_job_first_audio_seconds_count{priority=\"high\"}", 1.0),
        ("declaim_job_run_seconds_count", 3.0),
        ("declaim_chunk_realtime_factor_count", 3.0),
        ("declaim_model_loads_total{outcome=\"loaded\"}", 1.0),
        ("declaim_model_loads_total{outcome=\"failed\"}", 0.0),
        ("declaim_queue_jobs{state=\"running\",priority=\"normal\"}", 0.0),
        ("declaim_followers", 0.0),
        ("declaim_webhooks_due", 0.0),
    ] {
        assert_eq!(now[series], value, "{series}");
    }
    let chunks =
        now["declaim_chunks_total{outcome=\"clean\"}"] + now["declaim_chunks_total{outcome=\"faulty\"}"];
    assert_eq!(chunks, 3.0);
    assert!(now["declaim_speech_seconds_total"] > 0.5 && now["declaim_speaking_seconds_total"] >= 0.0);
    assert!(now["process_resident_memory_bytes"] > 1e6);
    assert!(now["declaim_model_memory_bytes{model=\"tone\"}"] > 0.0);
    assert!(now.iter().all(|(series, value)| !series.contains("_total")
        || *value >= before.get(series).copied().unwrap_or_default()));

    let data = server.stop();
    let server = Server::start_on(data);
    let anew = samples(&server);
    assert_eq!(
        anew["declaim_jobs_ended_total{status=\"completed\"}"], 0.0,
        "what an earlier process counted is its own"
    );
    assert_eq!(anew["declaim_queue_state{state=\"paused\"}"], 1.0);
}

#[test]
fn whatever_is_asked_makes_no_new_series() {
    let server = Server::start_ready();
    let names = |server: &Server| -> BTreeSet<String> { samples(server).into_keys().collect() };
    let before = names(&server);
    for number in 0..20 {
        let voice = ["hum", "whistle"][number % 2];
        let id = server.enqueue(
            &json!({ "text": format!("{number}."), "predefined_voice_id": voice, "seed": number + 1 }),
        );
        server.wait_for(&id, &["completed"]);
        server.get(&format!("/nothing/{number}"));
    }
    assert_eq!(names(&server), before);
}
