//! Every route, every status code and every validation rule, from outside, against a real server.

#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

#[path = "api/batches.rs"]
mod batches;
#[path = "api/callbacks.rs"]
mod callbacks;
#[path = "api/described.rs"]
mod described;
#[path = "api/documented.rs"]
mod documented;
#[path = "api/elevenlabs.rs"]
mod elevenlabs;
#[path = "api/events.rs"]
mod events;
#[path = "api/formats.rs"]
mod formats;
#[path = "api/history.rs"]
mod history;
#[path = "api/keys.rs"]
mod keys;
#[path = "api/limits.rs"]
mod limits;
#[path = "api/load.rs"]
mod load;
#[path = "api/mcp.rs"]
mod mcp;
#[path = "api/metrics.rs"]
mod metrics;
#[path = "api/models.rs"]
mod models;
#[path = "api/openai.rs"]
mod openai;
#[path = "api/pages.rs"]
mod pages;
#[path = "api/queue.rs"]
mod queue;
#[path = "api/recorded.rs"]
mod recorded;
#[path = "api/redo.rs"]
mod redo;
#[path = "api/script.rs"]
mod script;
mod server;
#[path = "api/socket.rs"]
mod socket;
#[path = "api/stream.rs"]
mod stream;
#[path = "api/stream_socket.rs"]
mod stream_socket;
#[path = "api/upstream.rs"]
mod upstream;
#[path = "api/voices.rs"]
mod voices;
#[path = "api/wyoming.rs"]
mod wyoming;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::{Mutex, mpsc};
use std::time::Duration;

use declaim::speech::catalog::Offer;
use declaim::speech::model::ModelError;
use declaim::speech::tone::{self, Tone, ToneSettings};
use serde_json::{Value, json};
use server::{PATIENCE, Server, humming};

/// A job of some seconds on the slow server, so that it is caught while it runs.
const LONG: &str =
    "This sentence is long enough to be caught while it is being spoken by the slow model of this test.";

const UNKNOWN: &str = "01900000-0000-7000-8000-000000000000";

/// What the job-queue guide's examples send.
fn hello() -> Value {
    json!({ "text": "Hello world", "voice_mode": "predefined", "predefined_voice_id": "voice.wav" })
}

#[test]
fn the_journey_of_the_guide_from_enqueue_to_result() {
    let server = Server::start();
    let accepted = server.post("/tts/enqueue", &hello());
    assert_eq!(accepted.status, 202);
    let accepted = accepted.json();
    let id = accepted["job_id"].as_str().unwrap();
    assert_eq!(
        accepted,
        json!({
            "job_id": id,
            "status": "queued",
            "message": "Job queued for processing",
            "status_url": format!("/tts/{id}/status"),
            "result_url": format!("/tts/{id}/result"),
        })
    );

    let status = server.wait_for(id, &["completed"]);
    assert_eq!(status["job_id"], id);
    assert_eq!(status["progress"], 100);
    assert_eq!((&status["current_chunk"], &status["total_chunks"]), (&json!(1), &json!(1)));
    let time = |key: &str| status[key].as_f64().unwrap();
    assert!(time("created_at") > 1.7e9, "seconds, not milliseconds: {status}");
    assert!(time("created_at") <= time("started_at") && time("started_at") <= time("completed_at"));
    assert!((time("elapsed_sec") - (time("completed_at") - time("started_at"))).abs() < 0.002);
    assert!(time("duration_sec") > 0.5 && status["seed"].as_u64().unwrap() > 0);
    assert_eq!((&status["output_available"], &status["output_format"]), (&json!(true), &json!("wav")));
    assert!(status.get("error").is_none() && status.get("queue_position").is_none());

    let result = server.get(&format!("/tts/{id}/result"));
    assert_eq!((result.status, result.header("content-type")), (200, "audio/wav"));
    assert_eq!(&result.body[..4], b"RIFF");
    assert_eq!(status["file_size_bytes"], result.body.len());
    let name = result.header("content-disposition");
    let stamp = name
        .strip_prefix(&format!("attachment; filename=\"tts_job_{id}_"))
        .and_then(|rest| rest.strip_suffix(".wav\""))
        .unwrap_or_else(|| panic!("{name}"));
    assert_timestamp(stamp);
    assert_eq!(server.get(&format!("/tts/{id}/result")).body, result.body, "a result can be fetched again");
}

/// Sample rate and seconds of a WAV file.
fn heard(wav: &[u8]) -> (u32, f64) {
    let reader = hound::WavReader::new(std::io::Cursor::new(wav)).unwrap();
    let rate = reader.spec().sample_rate;
    (rate, f64::from(reader.duration()) / f64::from(rate))
}

fn assert_timestamp(stamp: &str) {
    let digits =
        |text: &str, count: usize| text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit());
    let (day, time) = stamp.split_once('_').unwrap_or_default();
    assert!(digits(day, 8) && digits(time, 6), "{stamp}");
}

#[test]
fn a_running_job_tells_its_progress_within_the_chunk_and_has_no_result_yet() {
    let server = Server::slow();
    let id = server.enqueue(&json!({ "text": LONG }));
    let running = server.wait_for(&id, &["running"]);
    assert!(
        running["started_at"].is_f64()
            && running["elapsed_sec"].is_f64()
            && running.get("completed_at").is_none()
    );
    let early = server.get(&format!("/tts/{id}/result"));
    assert_eq!((early.status, early.header("retry-after")), (425, "1"));
    assert_eq!(
        early.detail(),
        format!("Job {id} is still running; fetch the result once /tts/{id}/status says completed.")
    );
    let mut seen = vec![0];
    while seen.len() < 4 {
        let status = server.status(&id);
        assert_eq!(status["status"], "running", "it ended before it was seen to move: {seen:?}");
        let progress = status["progress"].as_u64().unwrap();
        assert!(progress >= *seen.last().unwrap() && progress < 100, "{seen:?} then {progress}");
        if progress > *seen.last().unwrap() {
            seen.push(progress);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn jobs_that_wait_know_their_place() {
    let server = Server::slow();
    let first = server.enqueue(&json!({ "text": LONG }));
    server.wait_for(&first, &["running"]);
    let waiting: Vec<String> = (0..2).map(|_| server.enqueue(&json!({ "text": LONG }))).collect();
    for (index, id) in waiting.iter().enumerate() {
        let status = server.status(id);
        assert_eq!((&status["status"], &status["queue_position"]), (&json!("queued"), &json!(index + 1)));
        assert!(status.get("started_at").is_none() && status.get("total_chunks").is_none(), "{status}");
        assert_eq!(server.get(&format!("/tts/{id}/result")).status, 425);
    }
}

#[test]
fn cancelling_works_once_whether_the_job_waits_or_runs() {
    let server = Server::slow();
    let running = server.enqueue(&json!({ "text": LONG }));
    server.wait_for(&running, &["running"]);
    let waiting = server.enqueue(&json!({ "text": LONG }));
    for id in [&waiting, &running] {
        let answer = server.delete(&format!("/tts/{id}"));
        assert_eq!(answer.status, 200);
        assert_eq!(answer.json(), json!({ "message": format!("Job {id} cancelled successfully") }));
        let status = server.status(id);
        assert_eq!((&status["status"], status.get("error")), (&json!("cancelled"), None));
        let gone = server.get(&format!("/tts/{id}/result"));
        assert_eq!(gone.status, 410);
        assert_eq!(gone.detail(), format!("Job {id} was cancelled, so it has no audio."));
        let again = server.delete(&format!("/tts/{id}"));
        assert_eq!(again.status, 409);
        assert_eq!(
            again.detail(),
            format!("Job {id} has already ended as cancelled and cannot be cancelled.")
        );
    }
    // The model must be free again well before the text would have ended.
    let next = server.enqueue(&json!({ "text": "Next." }));
    server.wait_for(&next, &["completed"]);
    assert_eq!(server.status(&running)["status"], "cancelled");
    let files = std::fs::read_dir(server.data.path().join("outputs")).unwrap();
    let mut names: Vec<String> =
        files.map(|file| file.unwrap().file_name().to_string_lossy().into()).collect();
    names.sort();
    assert_eq!(names, [format!("{next}.json"), format!("{next}.wav")], "its captions and its sound");
}

#[test]
fn a_finished_job_cannot_be_cancelled() {
    let server = Server::start();
    let id = server.enqueue(&hello());
    server.wait_for(&id, &["completed"]);
    let answer = server.delete(&format!("/tts/{id}"));
    assert_eq!(answer.status, 409);
    assert!(answer.detail().contains("completed"));
    assert_eq!(server.get(&format!("/tts/{id}/result")).status, 200);
}

#[test]
fn jobs_that_never_were_are_not_found() {
    let server = Server::start();
    for id in [UNKNOWN, "abc-123", "%ff", "a%2Fb"] {
        for answer in [
            server.get(&format!("/tts/{id}/status")),
            server.get(&format!("/tts/{id}/result")),
            server.delete(&format!("/tts/{id}")),
        ] {
            assert_eq!(answer.status, 404, "{id}");
            assert!(answer.detail().starts_with("Job not found"), "{}", answer.detail());
        }
    }
}

#[test]
fn a_failed_job_says_why_in_its_status_and_its_result() {
    let server = Server::start();
    for tag in ["[fail]", "[panic]"] {
        let id = server.enqueue(&json!({ "text": format!("Please {tag} now"), "normalize": false }));
        let status = server.wait_for(&id, &["failed"]);
        let cause = status["error"].as_str().unwrap();
        assert!(cause.contains("the text asked the test model to"), "{cause}");
        assert_eq!(status["output_available"], false);
        assert!(status["completed_at"].is_f64());
        let result = server.get(&format!("/tts/{id}/result"));
        assert_eq!((result.status, result.detail()), (500, format!("Job {id} failed: {cause}")));
        let direct = server.post("/tts", &json!({ "text": format!("Please {tag} now"), "normalize": false }));
        assert_eq!(direct.status, 500);
        assert!(direct.detail().contains(cause), "{}", direct.detail());
    }
}

#[test]
fn a_result_whose_file_is_gone_is_not_found() {
    let server = Server::start();
    let id = server.enqueue(&hello());
    server.wait_for(&id, &["completed"]);
    std::fs::remove_file(server.data.path().join(format!("outputs/{id}.wav"))).unwrap();
    let result = server.get(&format!("/tts/{id}/result"));
    assert_eq!(result.status, 404);
    assert!(result.detail().contains("no longer on disk"));
}

#[test]
fn results_can_be_fetched_in_parts_and_only_when_they_are_new() {
    let server = Server::start();
    let id = server.enqueue(&hello());
    server.wait_for(&id, &["completed"]);
    let path = format!("/tts/{id}/result");
    let whole = server.get(&path);
    let size = whole.body.len();
    let tag = whole.header("etag").to_owned();
    assert_eq!(
        (whole.header("accept-ranges"), whole.header("content-length")),
        ("bytes", size.to_string().as_str())
    );

    let part = server.get_with(&path, &[("Range", "bytes=10-19")]);
    assert_eq!((part.status, part.body.as_slice()), (206, &whole.body[10..20]));
    assert_eq!(part.header("content-range"), format!("bytes 10-19/{size}"));
    assert_eq!(part.header("content-length"), "10");
    let end = server.get_with(&path, &[("Range", "bytes=-7")]);
    assert_eq!((end.status, end.body.as_slice()), (206, &whole.body[size - 7..]));
    let rest = server.get_with(&path, &[("Range", "bytes=44-"), ("If-Range", &tag)]);
    assert_eq!((rest.status, rest.body.as_slice()), (206, &whole.body[44..]));
    let other = server.get_with(&path, &[("Range", "bytes=44-"), ("If-Range", "\"other\"")]);
    assert_eq!((other.status, other.body.len()), (200, size));
    let outside = server.get_with(&path, &[("Range", &format!("bytes={size}-"))]);
    assert_eq!((outside.status, outside.header("content-range")), (416, format!("bytes */{size}").as_str()));
    assert_eq!(outside.detail(), format!("The range lies outside the file of {size} bytes."));

    let known = server.get_with(&path, &[("If-None-Match", &tag)]);
    assert_eq!((known.status, known.body.len(), known.header("etag")), (304, 0, tag.as_str()));
    assert_eq!(server.get_with(&path, &[("If-None-Match", "\"other\"")]).status, 200);
    let head = server.head(&path);
    assert_eq!((head.status, head.header("content-length")), (200, size.to_string().as_str()));
    assert!(head.body.is_empty());
}

#[test]
fn speech_in_the_answer_says_how_it_was_made() {
    let server = Server::start();
    let request = json!({ "text": "Hello world", "temperature": 0.8, "exaggeration": 1.25, "cfg_weight": 0.5, "seed": 7 });
    let answer = server.post("/tts", &request);
    assert_eq!((answer.status, answer.header("content-type")), (200, "audio/wav"));
    assert_eq!(&answer.body[..4], b"RIFF");
    assert_eq!(answer.header("x-declaim-seed"), "7");
    let name = answer.header("content-disposition");
    let stamp = name
        .strip_prefix("attachment; filename=\"tts_output_T08_E12_W05_")
        .and_then(|rest| rest.strip_suffix(".wav\""))
        .unwrap_or_else(|| panic!("{name}"));
    assert_timestamp(stamp);
    let id = answer.header("x-declaim-job-id");
    let status = server.status(id);
    assert_eq!((&status["status"], &status["seed"]), (&json!("completed"), &json!(7)));
    assert_eq!(status["duration_sec"].as_f64().unwrap().to_string(), answer.header("x-declaim-duration"));
    assert_eq!(server.get(&format!("/tts/{id}/result")).body, answer.body);
    assert_eq!(server.post("/tts", &request).body, answer.body, "a seed repeats its take");
}

#[test]
fn a_seed_that_was_drawn_is_told_and_repeats_the_take() {
    let server = Server::start();
    let mut drawn = Vec::new();
    for seed in [json!(null), json!(0), json!(-1)] {
        let answer = server.post("/tts", &json!({ "text": "Hello", "seed": seed }));
        let told: u64 = answer.header("x-declaim-seed").parse().unwrap();
        assert!(told > 0);
        assert_eq!(server.post("/tts", &json!({ "text": "Hello", "seed": told })).body, answer.body);
        drawn.push(told);
    }
    assert!(drawn[0] != drawn[1] || drawn[1] != drawn[2], "{drawn:?}");
}

#[test]
fn every_spelling_of_a_voice_leads_to_it() {
    let server = Server::start();
    for (wanted, expected) in [
        (json!(null), "hum"),
        (json!(""), "hum"),
        (json!("default"), "hum"),
        (json!("voice"), "hum"),
        (json!("voice.wav"), "hum"),
        (json!("whistle"), "whistle"),
        (json!("Whistle.WAV"), "whistle"),
        (json!("WHISTLE"), "whistle"),
    ] {
        let id = server.enqueue(&json!({ "text": "Hi", "predefined_voice_id": wanted }));
        assert_eq!(server.status(&id)["voice"], expected, "{wanted}");
    }
}

#[test]
fn the_default_voice_is_a_setting() {
    let server = Server::with(
        |settings| settings.tts_engine.default_voice_id = Some("Whistle".to_owned()),
        humming(Duration::ZERO),
    );
    let id = server.enqueue(&hello());
    assert_eq!(server.status(&id)["voice"], "whistle");
    assert_eq!(server.get("/api/model-info").json()["default_voice"], "whistle");
}

#[test]
fn every_invalid_field_is_refused_by_name_on_both_doors() {
    let server = Server::with(|settings| settings.limits.max_text_chars = 20, humming(Duration::ZERO));
    for (fields, status, expected) in [
        (json!({ "text": null }), 422, "text is empty"),
        (json!({ "text": "" }), 422, "text is empty"),
        (json!({ "text": " \n\t " }), 422, "text is empty"),
        (json!({ "text": 5 }), 422, "text must be a text, found 5"),
        (json!({ "text": "x".repeat(21) }), 422, "text has 21 characters, and at most 20 are accepted"),
        (json!({ "voice_mode": "choir" }), 422, "voice_mode must be predefined or clone, found \"choir\""),
        (
            json!({ "voice_mode": "clone", "reference_audio_filename": "me.wav" }),
            400,
            "the model tone has fixed voices",
        ),
        (
            json!({ "predefined_voice_id": "Emily.wav" }),
            404,
            "there is no voice \"Emily.wav\"; the available voices are hum, whistle",
        ),
        (json!({ "predefined_voice_id": "../../etc/passwd" }), 404, "there is no voice"),
        (json!({ "predefined_voice_id": 3 }), 422, "predefined_voice_id must be a text, found 3"),
        (
            json!({ "output_format": "ogg" }),
            422,
            "output_format must be wav, flac, mp3, opus, aac, m4a or pcm, found \"ogg\"",
        ),
        (json!({ "split_text": "yes" }), 422, "split_text must be true or false, found \"yes\""),
        (json!({ "normalize": 1 }), 422, "normalize must be true or false, found 1"),
        (json!({ "chunk_size": 49 }), 422, "chunk_size must be a whole number from 50 to 500, found 49"),
        (json!({ "chunk_size": 501 }), 422, "chunk_size must be a whole number from 50 to 500, found 501"),
        (json!({ "chunk_size": 99.5 }), 422, "chunk_size must be a whole number, found 99.5"),
        (json!({ "temperature": -0.1 }), 422, "temperature must be a number from 0 to 2, found -0.1"),
        (json!({ "temperature": "hot" }), 422, "temperature must be a number, found \"hot\""),
        (json!({ "exaggeration": 2.1 }), 422, "exaggeration must be a number from 0 to 2, found 2.1"),
        (json!({ "cfg_weight": 3.0 }), 422, "cfg_weight must be a number from 0 to 1, found 3"),
        (json!({ "speed_factor": 0 }), 422, "speed_factor must be a number from 0.25 to 4, found 0"),
        (json!({ "speed_factor": 4.5 }), 422, "speed_factor must be a number from 0.25 to 4, found 4.5"),
        (
            json!({ "seed": -2 }),
            422,
            "seed must be a whole number from -1 to 9007199254740991 (0 and -1 draw one at random), found -2",
        ),
        (json!({ "seed": 9_007_199_254_740_992_u64 }), 422, "seed must be a whole number from -1"),
        (json!({ "seed": "7" }), 422, "seed must be a whole number, found \"7\""),
        (json!({ "language": 1 }), 422, "language must be a text, found 1"),
        (json!({ "top_p": 1.5 }), 422, "top_p must be a number from 0.01 to 1, found 1.5"),
    ] {
        let mut body = json!({ "text": "Hello" });
        body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        for door in ["/tts/enqueue", "/tts"] {
            let answer = server.post(door, &body);
            assert_eq!(answer.status, status, "{door} {body}: {}", answer.text());
            assert!(answer.detail().contains(expected), "{door} {body}: {}", answer.detail());
        }
    }
    assert_eq!(server.jobs(), json!([]), "what is refused leaves no job");
}

#[test]
fn every_valid_edge_is_accepted() {
    let server = Server::start();
    for fields in [
        json!({ "split_text": null, "chunk_size": null, "output_format": null, "language": null, "seed": null }),
        json!({ "chunk_size": 50, "temperature": 0, "cfg_weight": 0, "exaggeration": 0.25, "speed_factor": 0.25 }),
        json!({ "chunk_size": 500, "temperature": 2.0, "cfg_weight": 1, "exaggeration": 2, "speed_factor": 4 }),
        json!({ "seed": 9_007_199_254_740_991_u64, "output_format": "flac", "language": "de", "top_k": 5, "min_p": 0.1 }),
        json!({ "stream": true, "invented_by_a_client": { "deep": [1, 2] } }),
        json!({ "text": "日本語 🎉 naïve" }),
    ] {
        let mut body = json!({ "text": "Hello" });
        body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        server.enqueue(&body);
    }
}

#[test]
fn bodies_that_are_no_json_object_are_refused() {
    let server = Server::with(|settings| settings.limits.max_body_bytes = 2000, humming(Duration::ZERO));
    let post = |content_type: Option<&str>, body: &[u8]| server.post_raw("/tts/enqueue", content_type, body);
    let json = Some("application/json");

    let broken = post(json, b"{\"text\":\n  oops}");
    assert_eq!(broken.status, 400);
    assert_eq!(broken.detail(), "The body is not valid JSON: line 2, column 3: expected value");
    assert_eq!(post(json, b"").status, 400);
    assert_eq!(post(json, b"{\"text\": \"\xff\"}").status, 400);
    let list = post(json, b"[1]");
    assert_eq!((list.status, list.detail().contains("found a list")), (422, true));

    let form = post(Some("application/x-www-form-urlencoded"), b"text=hi");
    assert_eq!(form.status, 415);
    assert!(
        form.detail().contains("Content-Type: application/json instead of application/x-www-form-urlencoded")
    );
    assert_eq!(post(Some("text/plain"), b"{\"text\": \"hi\"}").status, 415);
    assert_eq!(post(Some("application/json; charset=utf-8"), b"{\"text\": \"hi\"}").status, 202);

    let large = post(json, format!("{{\"text\": \"{}\"}}", "x".repeat(3000)).as_bytes());
    assert_eq!(large.status, 413);
    assert_eq!(
        large.detail(),
        "The body is larger than 2000 bytes; split the text, or raise limits.max_body_bytes."
    );
}

#[test]
fn a_body_without_announced_length_is_bounded_too() {
    let server = Server::with(|settings| settings.limits.max_body_bytes = 2000, humming(Duration::ZERO));
    let chunk = format!("{:x}\r\n{}\r\n", 3000, "x".repeat(3000));
    let request = format!(
        "POST /tts/enqueue HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
         Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n{chunk}0\r\n\r\n"
    );
    assert!(raw(&server, &request).starts_with("HTTP/1.1 413 "));
}

/// Sends bytes as they are and reads until the server closes.
fn raw(server: &Server, request: &str) -> String {
    let mut stream = TcpStream::connect(server.address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn a_full_queue_refuses_with_a_time_to_come_back() {
    let server =
        Server::with(|settings| settings.limits.max_queued_jobs = 1, humming(Duration::from_millis(20)));
    let running = server.enqueue(&json!({ "text": LONG }));
    server.wait_for(&running, &["running"]);
    server.enqueue(&json!({ "text": LONG }));
    for door in ["/tts/enqueue", "/tts"] {
        let refused = server.post(door, &json!({ "text": LONG }));
        assert_eq!((refused.status, refused.header("retry-after")), (429, "10"), "{door}");
        assert_eq!(refused.detail(), "The queue is full: 1 jobs are waiting. Try again later.");
    }
}

#[test]
fn only_so_many_clients_may_hold_the_line() {
    let server =
        Server::with(|settings| settings.limits.max_waiting_requests = 1, humming(Duration::from_millis(20)));
    assert_eq!(server.post("/tts", &json!({ "text": "Hi" })).status, 200);
    std::thread::scope(|scope| {
        let first = scope.spawn(|| server.post("/tts", &json!({ "text": "This takes a second or so." })));
        let started = std::time::Instant::now();
        while server.jobs().as_array().unwrap().len() < 2 {
            assert!(started.elapsed() < PATIENCE);
        }
        assert_eq!(
            server.get("/api/jobs/export?status=completed").status,
            429,
            "an archive holds a thread too"
        );
        let second = server.post("/tts", &json!({ "text": "Hi" }));
        assert_eq!((second.status, second.header("retry-after")), (429, "10"));
        assert!(second.detail().starts_with("1 clients are waiting"), "{}", second.detail());
        assert_eq!(first.join().unwrap().status, 200);
        assert_eq!(server.post("/tts", &json!({ "text": "Hi" })).status, 200, "the line is free again");
        assert_eq!(server.get("/api/jobs/export?status=completed").status, 200);
    });
}

#[test]
fn a_client_that_leaves_cancels_its_job() {
    let server = Server::slow();
    let body = json!({ "text": LONG }).to_string();
    let mut stream = TcpStream::connect(server.address).unwrap();
    let head = format!(
        "POST /tts HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
    let started = std::time::Instant::now();
    let id = loop {
        if let Some(job) = server.jobs().as_array().unwrap().first() {
            break job["job_id"].as_str().unwrap().to_owned();
        }
        assert!(started.elapsed() < PATIENCE);
    };
    server.wait_for(&id, &["running"]);
    drop(stream);
    server.wait_for(&id, &["cancelled"]);
}

#[test]
fn interactive_requests_are_served_before_jobs_that_wait() {
    let server = Server::slow();
    let running = server.enqueue(&json!({ "text": "This one is being spoken." }));
    server.wait_for(&running, &["running"]);
    let waiting = server.enqueue(&json!({ "text": LONG }));
    let answer = server.post("/tts", &json!({ "text": "Me first." }));
    assert_eq!(answer.status, 200);
    assert_ne!(server.status(&waiting)["status"], "completed");
}

#[test]
fn waiting_too_long_ends_with_the_way_to_the_result() {
    let server = Server::with(
        |settings| settings.limits.max_wait = Duration::from_millis(200),
        humming(Duration::from_millis(20)),
    );
    let answer = server.post("/tts", &json!({ "text": "This takes a second or so." }));
    assert_eq!(answer.status, 504);
    let detail = answer.detail();
    let id = detail.split("Job ").nth(1).and_then(|rest| rest.split(' ').next()).unwrap();
    assert!(detail.contains(&format!("/tts/{id}/result")), "{detail}");
    server.wait_for(id, &["completed"]);
}

#[test]
fn while_the_model_loads_requests_are_checked_at_once_and_jobs_spoken_later() {
    let (let_go, hold) = mpsc::channel::<()>();
    let hold = Mutex::new(hold);
    let offer = Offer::new(tone::info(), move || {
        // Also when the test has failed and the sender is gone.
        let _ = hold.lock().unwrap().recv_timeout(PATIENCE);
        Ok(Box::new(Tone::new(ToneSettings::default())))
    });
    let server = Server::with(|_settings| {}, Box::new(move |_library| vec![offer]));
    let not_ready = server.get("/readyz");
    assert_eq!((not_ready.status, not_ready.header("retry-after")), (503, "1"));
    assert_eq!(not_ready.detail(), "The model is still loading. Try again in a moment.");
    assert_eq!(server.get("/healthz").status, 200);
    let info = server.get("/api/model-info").json();
    assert_eq!(
        (&info["loaded"], &info["state"], &info["class_name"], &info["device"]),
        (&json!(false), &json!("loading"), &json!("Tone"), &json!(null))
    );
    assert_eq!(server.get("/api/voices").json()[1]["id"], "whistle");

    let known = server.enqueue(&json!({ "text": "Hi", "predefined_voice_id": "Whistle.wav" }));
    let default = server.enqueue(&hello());
    for (field, value) in [("predefined_voice_id", "Emily.wav"), ("model", "choir")] {
        let refused = server.post("/tts/enqueue", &json!({ "text": "Hi", field: value }));
        assert_eq!(refused.status, 404, "{field}");
        assert!(refused.detail().contains(&format!("{value:?}")), "{}", refused.detail());
    }
    let waiting = server.status(&known);
    assert_eq!((&waiting["status"], &waiting["voice"]), (&json!("queued"), &json!("whistle")));
    assert_eq!(waiting["waiting_for"], "the model tone is being loaded");
    let_go.send(()).unwrap();
    let completed = server.wait_for(&known, &["completed"]);
    assert!(completed.get("waiting_for").is_none() && completed["model"] == "tone", "{completed}");
    server.wait_for(&default, &["completed"]);
    assert_eq!(server.get("/readyz").status, 200);
}

#[test]
fn a_model_that_could_not_be_loaded_is_told_with_its_cause() {
    let broken =
        Offer::new(tone::info(), || Err(ModelError::NotLoaded("the weights are missing".to_owned())));
    let server = Server::with(|_settings| {}, Box::new(move |_library| vec![broken]));
    let started = std::time::Instant::now();
    while server.get("/api/model-info").json()["state"] != "failed" {
        assert!(started.elapsed() < PATIENCE);
    }
    for answer in
        [server.post("/tts/enqueue", &hello()), server.post("/tts", &hello()), server.get("/readyz")]
    {
        assert_eq!(answer.status, 503);
        assert_eq!(answer.detail(), "The model tone could not be loaded: the weights are missing");
        assert!(answer.header("retry-after").parse::<u64>().unwrap() >= 1);
    }
    let info = server.get("/api/model-info").json();
    assert_eq!(info["error"], "the weights are missing");
    for answer in [server.get("/healthz"), server.get("/api/voices"), server.post("/api/preview", &hello())] {
        assert_eq!(answer.status, 200, "what needs no loaded model works");
    }
}

#[test]
fn a_client_that_holds_the_line_is_told_when_the_model_cannot_be_loaded_after_all() {
    let (let_go, hold) = mpsc::channel::<()>();
    let hold = Mutex::new(hold);
    let offer = Offer::new(tone::info(), move || {
        let _ = hold.lock().unwrap().recv_timeout(PATIENCE);
        Err(ModelError::NotLoaded("the weights are missing".to_owned()))
    });
    let server = Server::with(|_settings| {}, Box::new(move |_library| vec![offer]));
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| server.post("/tts", &hello()));
        let started = std::time::Instant::now();
        while server.jobs().as_array().unwrap().is_empty() {
            assert!(started.elapsed() < PATIENCE);
        }
        let_go.send(()).unwrap();
        let answer = waiting.join().unwrap();
        assert_eq!(answer.status, 503);
        assert!(answer.detail().contains("the weights are missing"), "{}", answer.detail());
    });
    let id = server.jobs()[0]["job_id"].as_str().unwrap().to_owned();
    server.wait_for(&id, &["cancelled"]);
}

#[test]
fn the_model_is_described_with_upstreams_keys_and_ours() {
    let info = Server::start_ready().get("/api/model-info").json();
    for (key, expected) in [
        ("loaded", json!(true)),
        ("type", json!("tone")),
        ("class_name", json!("Tone")),
        ("device", json!("CPU (one sine)")),
        ("sample_rate", json!(24_000)),
        ("supports_paralinguistic_tags", json!(true)),
        ("supports_multilingual", json!(false)),
        ("supported_languages", json!({ "en": "English" })),
        ("state", json!("ready")),
        ("error", json!(null)),
        ("device_reason", json!("the test model needs no device")),
        ("default_voice", json!("hum")),
        ("supports_cloning", json!(false)),
        ("memory_budget_mb", json!(null)),
        ("unload_after_min", json!(null)),
        ("max_text_chars", json!(500_000)),
        ("version", json!(env!("CARGO_PKG_VERSION"))),
    ] {
        assert_eq!(info[key], expected, "{key}");
    }
    for key in ["turbo_available_in_package", "multilingual_available_in_package"] {
        assert!(info[key].is_boolean(), "{key}");
    }
    assert!(info["available_paralinguistic_tags"].is_array());
}

#[test]
fn voices_are_listed_in_both_shapes() {
    let server = Server::start();
    let voices = server.get("/api/voices").json();
    let fields = ["default", "gender", "id", "kind", "language", "models", "name", "origin", "usable"];
    for voice in voices.as_array().unwrap() {
        assert_eq!(voice.as_object().unwrap().keys().collect::<Vec<_>>(), fields);
    }
    let listed: Vec<&str> =
        voices.as_array().unwrap().iter().map(|voice| voice["id"].as_str().unwrap()).collect();
    assert_eq!(listed, ["hum", "whistle", "drone"]);
    assert_eq!(
        (&voices[0]["default"], &voices[1]["default"], &voices[0]["usable"], &voices[2]["usable"]),
        (&json!(true), &json!(false), &json!(true), &json!(false))
    );
    assert_eq!(
        voices[2]["models"],
        json!([
            { "name": "tone", "usable": false, "why_not": "it is built into tone-low" },
            { "name": "tone-low", "usable": true },
        ])
    );
    let for_low = server.get("/api/voices?model=tone-low").json();
    assert_eq!((&for_low[0]["id"], &for_low[0]["default"]), (&json!("drone"), &json!(true)));
    assert_eq!(
        server.get("/get_predefined_voices").json(),
        json!([
            { "display_name": "Hum", "filename": "hum.wav" },
            { "display_name": "Whistle", "filename": "whistle.wav" },
        ])
    );
}

#[test]
fn a_preview_shows_the_chunks_without_making_a_job() {
    let server = Server::start();
    let text = "One sentence that is a little longer. Another sentence that is a little longer.";
    let preview = server.post("/api/preview", &json!({ "text": text, "chunk_size": 50 })).json();
    assert_eq!(preview["total_chunks"], 2);
    assert_eq!(preview["chunks"][0]["text"], "One sentence that is a little longer.");
    assert_eq!(
        (&preview["chunks"][0]["pause"], &preview["chunks"][1]["pause"]),
        (&json!("sentence"), &json!("end"))
    );
    assert_eq!(preview["normalized"], text);
    assert_eq!(server.post("/api/preview", &json!({ "text": "" })).status, 422);
    assert_eq!(server.jobs(), json!([]));
}

#[test]
fn jobs_are_listed_newest_first_with_their_texts() {
    let server = Server::start();
    let ids: Vec<String> =
        ["one", "two", "three"].map(|text| server.enqueue(&json!({ "text": text }))).into();
    let list = server.get("/api/jobs?limit=2").json()["jobs"].clone();
    let listed: Vec<&str> =
        list.as_array().unwrap().iter().map(|job| job["job_id"].as_str().unwrap()).collect();
    assert_eq!(listed, [ids[2].as_str(), ids[1].as_str()]);
    assert_eq!(list[0]["text"], "three");
    assert!(server.status(&ids[0]).get("text").is_none(), "a poll must not carry the text");
    let refused = server.get("/api/jobs?limit=all");
    assert_eq!(refused.status, 422);
    assert!(refused.detail().starts_with("limit must be a whole number"), "{}", refused.detail());
}

#[test]
fn health_is_liveness_and_ready_is_readiness() {
    let server = Server::start_ready();
    let health = server.get("/healthz").json();
    assert_eq!(health, json!({ "status": "ok", "version": env!("CARGO_PKG_VERSION") }));
    let ready = server.get("/readyz").json();
    assert_eq!((&ready["status"], &ready["model"]), (&json!("ready"), &json!("tone")));
    assert_eq!(
        ready["jobs"],
        json!({ "queued": 0, "running": 0, "completed": 0, "failed": 0, "cancelled": 0 })
    );
}

#[test]
fn names_that_are_not_this_machine_are_refused_unless_allowed() {
    let server = Server::with(
        |settings| settings.server.allowed_hosts = vec!["speech.lan".to_owned()],
        humming(Duration::ZERO),
    );
    for (host, expected) in [
        ("localhost:8004", "200"),
        ("127.0.0.1", "200"),
        ("[::1]:1", "200"),
        ("Speech.LAN:80", "200"),
        ("evil.example", "421"),
        ("localhost.evil.example:8004", "421"),
    ] {
        let answer =
            raw(&server, &format!("GET /healthz HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"));
        assert!(answer.starts_with(&format!("HTTP/1.1 {expected} ")), "{host}: {answer}");
    }
    let open = Server::with(|settings| settings.server.host = "0.0.0.0".to_owned(), humming(Duration::ZERO));
    let answer = raw(&open, "GET /healthz HTTP/1.1\r\nHost: speech.example\r\nConnection: close\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}

#[test]
fn other_origins_get_no_permission() {
    let server = Server::start();
    let answer = server.get_with("/healthz", &[("Origin", "https://evil.example")]);
    assert_eq!(answer.header("access-control-allow-origin"), "");
    let request = "OPTIONS /tts/enqueue HTTP/1.1\r\nHost: localhost\r\nOrigin: https://evil.example\r\n\
                   Access-Control-Request-Method: POST\r\nConnection: close\r\n\r\n";
    let preflight = raw(&server, request);
    assert!(preflight.starts_with("HTTP/1.1 405 "), "{preflight}");
    assert!(!preflight.to_lowercase().contains("access-control-allow"));
}

#[test]
fn unknown_paths_and_methods_are_told_in_the_same_shape() {
    let server = Server::start();
    let nothing = server.get("/no/such/thing");
    assert_eq!((nothing.status, nothing.detail()), (404, "There is nothing at /no/such/thing.".to_owned()));
    let method = server.get("/tts/enqueue");
    assert_eq!(method.status, 405);
    assert!(method.detail().starts_with("GET is not possible here"));
    let method = server.get("/tts");
    assert_eq!((method.status, method.header("allow")), (405, "POST"));
}

#[test]
fn the_page_is_served_under_a_strict_policy_with_assets_that_may_be_kept() {
    let server = Server::start();
    let page = server.get("/");
    assert_eq!((page.status, page.header("content-type")), (200, "text/html; charset=utf-8"));
    assert_eq!(
        (page.header("cache-control"), page.header("x-content-type-options")),
        ("no-cache", "nosniff")
    );
    let policy = page.header("content-security-policy");
    assert!(policy.contains("default-src 'none'") && policy.contains("script-src 'self'"), "{policy}");
    assert!(!policy.contains("unsafe-"), "{policy}");
    let html = page.text();
    let script =
        html.split("src=\"").find_map(|rest| rest.split('"').next().filter(|path| path.ends_with("app.js")));
    let script = script.expect("the page has a script");
    let asset = server.get(script);
    assert_eq!((asset.status, asset.header("content-type")), (200, "text/javascript; charset=utf-8"));
    assert!(asset.header("cache-control").contains("immutable"));
    let known = server.get_with("/", &[("If-None-Match", page.header("etag"))]);
    assert_eq!((known.status, known.body.len()), (304, 0));
    let prefix = script.split('/').take(3).collect::<Vec<_>>().join("/");
    for path in [
        script.replace(&prefix, "/assets/000000000000"),
        format!("{prefix}/index.html"),
        format!("{prefix}/no.js"),
        format!("{prefix}/../Cargo.toml"),
        format!("{prefix}/..%2f..%2fCargo.toml"),
    ] {
        assert_eq!(server.get(&path).status, 404, "{path}");
    }
}

#[test]
fn stopping_sends_waiting_clients_away_with_the_way_to_their_result() {
    let server = Server::with(
        |settings| settings.server.shutdown = Duration::ZERO,
        humming(Duration::from_millis(20)),
    );
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| server.post("/tts", &json!({ "text": LONG })));
        let started = std::time::Instant::now();
        while server.jobs().as_array().unwrap().is_empty() {
            assert!(started.elapsed() < PATIENCE);
        }
        server.ask_to_stop();
        let answer = waiting.join().unwrap();
        assert_eq!(answer.status, 503);
        assert!(answer.detail().contains("goes on after its restart"), "{}", answer.detail());
    });
}

#[test]
fn flac_is_written_and_named_as_flac() {
    let server = Server::start();
    let answer = server.post("/tts", &json!({ "text": "Hello", "output_format": "flac" }));
    assert_eq!((answer.status, answer.header("content-type")), (200, "audio/flac"));
    assert_eq!(&answer.body[..4], b"fLaC");
    assert!(answer.header("content-disposition").ends_with(".flac\""));
}

#[test]
fn a_wish_sent_again_with_its_key_is_the_same_job_and_another_wish_is_refused() {
    let server = Server::slow();
    let wish = |key: &str, body: &Value| server.post_with("/tts/enqueue", &[("Idempotency-Key", key)], body);
    let first = wish("once", &hello());
    assert_eq!((first.status, first.header("idempotency-replayed")), (202, ""));
    let again = wish("once", &hello());
    assert_eq!((again.status, again.header("idempotency-replayed")), (202, "true"));
    assert_eq!(first.json()["job_id"], again.json()["job_id"]);
    assert_eq!(server.jobs().as_array().unwrap().len(), 1);
    let other = wish("once", &json!({ "text": "Another wish." }));
    assert_eq!(other.status, 422);
    assert!(other.detail().contains("Send a new key"), "{}", other.detail());
    let long = wish(&"k".repeat(256), &hello());
    assert_eq!(long.status, 422);
    assert!(long.detail().contains("1 to 255 characters"), "{}", long.detail());
}

#[test]
fn priorities_are_words_and_urgent_jobs_pass() {
    let server = Server::slow();
    let running = server.enqueue(&json!({ "text": LONG }));
    server.wait_for(&running, &["running"]);
    let low = server.enqueue(&json!({ "text": LONG, "priority": "low" }));
    let normal = server.enqueue(&json!({ "text": LONG }));
    let high = server.enqueue(&json!({ "text": LONG, "priority": "high" }));
    for (place, (id, word)) in [(&high, "high"), (&normal, "normal"), (&low, "low")].into_iter().enumerate() {
        let status = server.status(id);
        assert_eq!((&status["priority"], &status["queue_position"]), (&json!(word), &json!(place + 1)));
    }
    let wrong = server.post("/tts/enqueue", &json!({ "text": "x", "priority": "urgent" }));
    assert_eq!(wrong.status, 422);
    assert!(wrong.detail().starts_with("priority must be high, normal or low, found \"urgent\""));
}

#[test]
fn only_failed_jobs_are_retried() {
    let server = Server::slow();
    let id = server.enqueue(&json!({ "text": LONG }));
    let refused = server.post(&format!("/api/jobs/{id}/retry"), &json!({}));
    assert_eq!(refused.status, 409);
    assert!(refused.detail().ends_with("only failed jobs can be retried."), "{}", refused.detail());
    assert_eq!(server.post(&format!("/api/jobs/{UNKNOWN}/retry"), &json!({})).status, 404);
}
