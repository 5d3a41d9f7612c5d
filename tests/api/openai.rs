//! `/v1` as OpenAI's clients know it: fields, lists, and errors in its shape with its types and codes.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::server::{Answer, PATIENCE, Server, humming};
use crate::stream::{self, Heard};

fn speech(server: &Server, body: &Value) -> Answer {
    server.post("/v1/audio/speech", body)
}

/// Status, type, parameter and code of an error that has OpenAI's shape, and its sentence.
fn refused(answer: &Answer) -> (u16, String, Value, Value, String) {
    let body = answer.json();
    let fields: Vec<&String> = body.as_object().unwrap().keys().collect();
    assert_eq!(fields, ["error"], "{body}");
    let error = &body["error"];
    let text = |key: &str| error[key].as_str().unwrap().to_owned();
    (answer.status, text("type"), error["param"].clone(), error["code"].clone(), text("message"))
}

#[test]
fn speech_needs_no_more_than_its_input() {
    let server = Server::start();
    let answer = speech(&server, &json!({ "input": "Hello world" }));
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(answer.header("x-declaim-seed").parse::<u64>().unwrap() > 0);
    assert!(answer.header("content-type").starts_with("audio/") && answer.body.len() > 1000);
}

#[test]
fn every_field_of_openai_means_what_it_means_there() {
    let server = Server::start();
    let spoken = |more: Value| {
        let mut body = json!({
            "model": "tts-1-hd", "input": "Hello world, how are you today?", "voice": "nova",
            "instructions": "Whisper.", "response_format": "wav", "stream_format": "audio", "seed": 7
        });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let answer = speech(&server, &body);
        assert_eq!((answer.status, answer.header("content-type")), (200, "audio/wav"), "{}", answer.text());
        assert_eq!(answer.header("x-declaim-seed"), "7", "fields of POST /tts are taken beside OpenAI's");
        (answer.body.len() - 44) as f64 / 48_000.0
    };
    let plain = spoken(json!({}));
    for (speed, factor) in [(0.25, 4.0), (2.0, 0.5), (4.0, 0.25)] {
        let seconds = spoken(json!({ "speed": speed }));
        assert!((seconds / plain - factor).abs() < 0.15 * factor, "{speed}: {plain} became {seconds}");
    }
    let voice = server.get("/v1/audio/voices").json()["voices"][0]["id"].clone();
    assert!(spoken(json!({ "voice": { "id": voice } })) > 0.5);
    assert!(spoken(json!({ "voice": voice })) > 0.5);
}

/// Three sentences on the slow server.
fn long(more: &[(&str, Value)]) -> Value {
    let mut body = json!({ "input": stream::text(), "chunk_size": 70, "model": "tone", "seed": 3, "response_format": "wav" });
    for (name, value) in more {
        body[*name] = value.clone();
    }
    body
}

#[test]
fn sound_is_sent_long_before_it_is_finished_and_is_the_files() {
    let server = Server::slow();
    let started = Instant::now();
    let mut live = Heard::post_to(&server, "/v1/audio/speech", &long(&[]));
    assert_eq!(
        (live.status, live.header("content-type"), live.header("content-length")),
        (200, "audio/wav", "")
    );
    assert!(live.header("server-timing").contains("first-audio;dur="));
    let mut wav = live.first(44 + 9_600);
    let (first, id) = (started.elapsed(), live.id());
    wav.extend(live.rest());
    let all = started.elapsed();
    assert!(first * 4 < all, "first sound after {first:?} of {all:?}");
    assert!(stream::samples(&wav) == stream::filed(&server, &id), "the samples of stream and file");
}

#[test]
fn every_format_that_can_stream_does_so_and_the_others_come_whole() {
    let server = Server::slow();
    for format in ["wav", "pcm", "mp3", "opus", "flac", "aac"] {
        let body =
            json!({ "input": stream::text(), "chunk_size": 70, "model": "tone", "response_format": format });
        let mut live = Heard::post_to(&server, "/v1/audio/speech", &body);
        assert_eq!((live.status, live.header("content-length")), (200, ""), "{format}");
        live.first(1_000);
        assert_eq!(server.status(&live.id())["status"], "running", "{format}");
        assert!(!live.rest().is_empty());
    }
    let whole = |body: Value| {
        let answer = speech(&server, &body);
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.header("content-length"), answer.body.len().to_string());
    };
    whole(json!({ "input": "Hi.", "response_format": "m4a" }));
    whole(json!({ "input": "Hi.", "loudness_lufs": -20 }));
    whole(json!({ "input": "Hi.", "stream": false }));
    let told =
        refused(&speech(&server, &json!({ "input": "Hi.", "response_format": "m4a", "stream": true })));
    assert_eq!((told.0, &told.3), (400, &json!("format_not_streamable")));
}

/// The events of a stream of server-sent events.
fn events(body: &[u8]) -> Vec<Value> {
    let text = std::str::from_utf8(body).unwrap();
    let events = text.strip_suffix("\n\n").unwrap().split("\n\n");
    events.map(|event| serde_json::from_str(event.strip_prefix("data: ").unwrap()).unwrap()).collect()
}

#[test]
fn sound_comes_as_events_with_what_it_took() {
    let server = Server::slow();
    let started = Instant::now();
    let mut live = Heard::post_to(&server, "/v1/audio/speech", &long(&[("stream_format", json!("sse"))]));
    assert_eq!((live.status, live.header("content-type")), (200, "text/event-stream"));
    assert!(live.header("server-timing").contains("first-audio;dur="));
    let mut body = live.first(1_000);
    let (first, id) = (started.elapsed(), live.id());
    body.extend(live.rest());
    assert!(first * 4 < started.elapsed());
    let events = events(&body);
    let (done, deltas) = events.split_last().unwrap();
    assert!(deltas.len() > 10 && deltas.iter().all(|event| event["type"] == "speech.audio.delta"));
    let wav: Vec<u8> = deltas.iter().flat_map(|event| decoded(event["audio"].as_str().unwrap())).collect();
    let filed = stream::filed(&server, &id);
    assert!(stream::samples(&wav) == filed);
    assert_eq!(done["type"], "speech.audio.done");
    let usage = |name: &str| done["usage"][name].as_u64().unwrap();
    assert_eq!(usage("input_tokens"), stream::text().chars().count() as u64);
    let tokens = filed.len() as f64 / 48_000.0 * 25.0;
    assert!((usage("output_tokens") as f64 - tokens).abs() < 2.0, "{done} for {tokens}");
    assert_eq!(usage("total_tokens"), usage("input_tokens") + usage("output_tokens"));
}

pub(crate) fn decoded(base64: &str) -> Vec<u8> {
    let value = |letter: u8| match letter {
        b'A'..=b'Z' => letter - b'A',
        b'a'..=b'z' => letter - b'a' + 26,
        b'0'..=b'9' => letter - b'0' + 52,
        b'+' => 62,
        _ => 63,
    };
    let letters = base64.trim_end_matches('=').as_bytes();
    assert_eq!(base64.len() % 4, 0);
    letters
        .chunks(4)
        .flat_map(|four| {
            let bits = four.iter().fold(0_u32, |bits, &letter| bits << 6 | u32::from(value(letter)));
            let bytes = (bits << (6 * (4 - four.len()))).to_be_bytes();
            bytes[1..four.len()].to_vec()
        })
        .collect()
}

#[test]
fn what_goes_wrong_later_is_an_event_or_breaks_the_connection() {
    let server = Server::slow();
    let input = json!(format!("{} And then it must [fail] in the middle.", stream::text()));
    let fails = |more: (&str, Value)| long(&[("input", input.clone()), ("normalize", json!(false)), more]);
    let mut live = Heard::post_to(&server, "/v1/audio/speech", &fails(("stream_format", json!("sse"))));
    let mut body = live.first(1_000);
    body.extend(live.rest());
    let last = events(&body).pop().unwrap();
    assert_eq!((&last["type"], &last["error"]["code"]), (&json!("error"), &json!("speech_failed")), "{last}");
    let mut live = Heard::post_to(&server, "/v1/audio/speech", &fails(("stream_format", json!("audio"))));
    live.first(5_000);
    assert!(live.breaks());
}

#[test]
fn a_client_that_leaves_stops_the_work() {
    let server = Server::slow();
    for format in ["audio", "sse"] {
        let mut live =
            Heard::post_to(&server, "/v1/audio/speech", &long(&[("stream_format", json!(format))]));
        live.first(5_000);
        let id = live.id();
        drop(live);
        assert_eq!(server.wait_for(&id, &["cancelled", "completed"])["status"], "cancelled", "{format}");
    }
}

#[test]
fn names_of_other_services_mean_what_the_settings_say() {
    let server = Server::with(
        |settings| {
            settings.aliases.voices.insert("nova".to_owned(), "drone".to_owned());
            settings.aliases.models.insert("tts-1".to_owned(), "tone-low".to_owned());
        },
        humming(Duration::ZERO),
    );
    let answer = speech(
        &server,
        &json!({ "model": "TTS-1", "input": "Hi.", "voice": "Nova", "response_format": "wav" }),
    );
    let status = server.status(answer.header("x-declaim-job-id"));
    assert_eq!((&status["model"], &status["voice"]), (&json!("tone-low"), &json!("drone")), "{status}");
}

#[test]
fn mistakes_are_told_in_openais_shape_with_its_names_of_fields() {
    let server = Server::start();
    let invalid = "invalid_request_error";
    for (body, status, param, code, words) in [
        (json!({}), 400, "input", "missing_required_parameter", "input is empty"),
        (json!({ "input": " " }), 400, "input", "missing_required_parameter", "input is empty"),
        (json!({ "input": 3 }), 400, "input", "invalid_value", "input must be a text, found 3"),
        (
            json!({ "input": "a", "speed": 5 }),
            400,
            "speed",
            "invalid_value",
            "speed must be a number from 0.25 to 4",
        ),
        (
            json!({ "input": "a", "voice": 3 }),
            400,
            "voice",
            "invalid_value",
            "voice must be a text, or an object",
        ),
        (
            json!({ "input": "a", "voice": "nobody" }),
            404,
            "voice",
            "voice_not_found",
            "there is no voice \"nobody\"",
        ),
        (
            json!({ "input": "a", "model": "nope" }),
            404,
            "model",
            "model_not_found",
            "there is no model \"nope\"",
        ),
        (
            json!({ "input": "a", "instructions": 3 }),
            400,
            "instructions",
            "invalid_value",
            "instructions must be",
        ),
        (
            json!({ "input": "a", "response_format": "vinyl" }),
            400,
            "response_format",
            "invalid_value",
            "response_format must be",
        ),
        (
            json!({ "input": "a", "stream_format": "tape" }),
            400,
            "stream_format",
            "invalid_value",
            "stream_format must be audio or sse",
        ),
        (json!({ "input": "a", "seed": "x" }), 400, "seed", "invalid_value", "seed must be a whole number"),
    ] {
        let told = refused(&speech(&server, &body));
        assert_eq!(
            (told.0, told.1.as_str(), &told.2, &told.3),
            (status, invalid, &json!(param), &json!(code)),
            "{body}"
        );
        assert!(told.4.contains(words), "{}", told.4);
    }
    let long = "a".repeat(500_001);
    let told = refused(&speech(&server, &json!({ "input": long })));
    assert_eq!((told.0, &told.3), (400, &json!("string_above_max_length")));
}

#[test]
fn what_goes_wrong_before_or_behind_a_handler_has_openais_shape_too() {
    let server = Server::start();
    let told = refused(&server.post_raw("/v1/audio/speech", Some("application/json"), b"{"));
    assert_eq!((told.0, &told.3), (400, &json!("invalid_json")));
    let told = refused(&server.post_raw("/v1/audio/speech", Some("text/plain"), b"x"));
    assert_eq!((told.0, &told.3), (400, &json!("invalid_json")));
    let told = refused(&server.get("/v1/nowhere"));
    assert_eq!((told.0, &told.3), (404, &json!("unknown_url")));
    let not_allowed = server.get("/v1/audio/speech");
    assert_eq!((refused(&not_allowed).0, not_allowed.header("allow")), (405, "POST"));
    let told = refused(&server.get_with("/v1/models", &[("Host", "evil.example")]));
    assert_eq!((told.0, &told.3), (421, &json!("origin_not_allowed")));
    let told = refused(&speech(
        &server,
        &json!({ "input": "Please [fail] now", "normalize": false, "stream": false }),
    ));
    assert_eq!((told.0, told.1.as_str(), &told.3), (500, "server_error", &json!("speech_failed")));
    let native = server.get("/nowhere");
    assert_eq!(native.detail(), "There is nothing at /nowhere.");
}

#[test]
fn too_much_at_once_is_a_rate_limit_that_says_when_to_come_back() {
    let slow = humming(Duration::from_millis(20));
    let server = Server::with(|settings| settings.limits.max_waiting_requests = 1, slow);
    let long = json!({ "stream": false, "input": "This sentence is long enough to be caught while it is being spoken by the slow model." });
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| speech(&server, &long));
        let started = Instant::now();
        let id = loop {
            if let Some(job) = server.jobs().get(0) {
                break job["job_id"].as_str().unwrap().to_owned();
            }
            assert!(started.elapsed() < PATIENCE, "the first was never accepted");
        };
        let second = speech(&server, &json!({ "input": "Hi." }));
        let told = refused(&second);
        assert_eq!(
            (told.0, told.1.as_str(), &told.3),
            (429, "rate_limit_error", &json!("rate_limit_exceeded"))
        );
        assert_eq!(second.header("retry-after"), "10");
        server.delete(&format!("/tts/{id}"));
        assert_eq!(refused(&waiting.join().unwrap()).0, 410);
    });
}

#[test]
fn models_are_listed_with_the_names_that_stand_for_them() {
    let server = Server::start();
    let list = server.get("/v1/models").json();
    assert_eq!(list["object"], "list");
    let ids: Vec<&str> =
        list["data"].as_array().unwrap().iter().map(|model| model["id"].as_str().unwrap()).collect();
    assert!(ids.starts_with(&["tone", "tone-low"]) && ids.contains(&"tts-1"), "{ids:?}");
    for id in ids {
        let model = server.get(&format!("/v1/models/{id}")).json();
        assert_eq!(
            (&model["id"], &model["object"], &model["owned_by"]),
            (&json!(id), &json!("model"), &json!("declaim"))
        );
        assert!(model["created"].is_u64());
    }
    assert_eq!(refused(&server.get("/v1/models/nope")).3, "model_not_found");
}
