//! Speech by voice and the list of voices as ElevenLabs' clients know them, errors in its shape.

use std::time::Instant;

use serde_json::{Value, json};

use crate::heard;
use crate::openai::decoded;
use crate::server::{Answer, Server};
use crate::stream::{self, Heard};

fn refused(answer: &Answer) -> (u16, String, String) {
    let body = answer.json();
    let text = |key: &str| body["detail"][key].as_str().unwrap_or_else(|| panic!("{body}")).to_owned();
    (answer.status, text("status"), text("message"))
}

#[test]
fn a_voice_speaks_at_the_rate_that_was_asked_for() {
    let server = Server::start();
    let voices = server.get("/v1/voices").json();
    let voice = &voices["voices"][0];
    let id = voice["voice_id"].as_str().unwrap();
    assert!(
        voice["name"].is_string() && voice["category"] == "premade" && voice["labels"]["language"] == "en"
    );
    let page = server.get("/v2/voices?page_size=10").json();
    assert_eq!((&page["voices"], &page["has_more"]), (&voices["voices"], &json!(false)));
    assert_eq!(server.get(&format!("/v1/voices/{id}")).json(), *voice);

    let body = json!({
        "text": "Hello world", "model_id": "eleven_multilingual_v2", "language_code": "en", "seed": 7,
        "voice_settings": { "stability": 0.5, "similarity_boost": 0.75, "style": 0, "use_speaker_boost": true }
    });
    let answer = server.post(&format!("/v1/text-to-speech/{id}?output_format=wav_16000"), &body);
    assert_eq!((answer.status, answer.header("x-declaim-seed")), (200, "7"), "{}", answer.text());
    assert_eq!(heard(&answer.body).0, 16_000);
    let plain = server.post(&format!("/v1/text-to-speech/{id}"), &body);
    assert_eq!(plain.status, 200, "{}", plain.text());
    assert!(plain.header("content-type").starts_with("audio/"));
}

#[test]
fn tempo_comes_from_the_voice_settings() {
    let server = Server::start();
    let seconds = |settings: Value| {
        let body = json!({ "text": "Hello world, how are you today?", "voice_settings": settings });
        let answer = server.post("/v1/text-to-speech/default?output_format=wav_24000", &body);
        heard(&answer.body).1
    };
    let (plain, fast) = (seconds(json!({})), seconds(json!({ "speed": 2 })));
    assert!((fast / plain - 0.5).abs() < 0.1, "{plain} became {fast}");
}

#[test]
fn mistakes_are_told_in_elevenlabs_shape_with_its_names_of_fields() {
    let server = Server::start();
    let speech =
        |path: &str, body: Value| refused(&server.post(&format!("/v1/text-to-speech/{path}"), &body));
    let told = speech("nobody", json!({ "text": "a" }));
    assert_eq!((told.0, told.1.as_str()), (404, "voice_not_found"));
    assert!(told.2.starts_with("voice_id: there is no voice \"nobody\""), "{}", told.2);
    let told = speech("default", json!({ "text": "" }));
    assert_eq!((told.0, told.1.as_str()), (422, "missing_required_parameter"));
    let told = speech("default", json!({ "text": "a", "voice_settings": { "speed": 9 } }));
    assert!(
        told.2.starts_with("voice_settings.speed must be a number from 0.25 to 4, found 9"),
        "{}",
        told.2
    );
    let told = speech("default?output_format=wav_96000", json!({ "text": "a" }));
    assert!(told.2.starts_with("output_format must be a whole number from 8000 to 48000"), "{}", told.2);
    let told = speech("default", json!({ "text": "a", "model_id": "nope" }));
    assert_eq!((told.0, told.1.as_str()), (404, "model_not_found"));
    assert_eq!(refused(&server.get("/v1/voices/nobody")).0, 404);
}

/// Three sentences on the slow server.
fn long() -> Value {
    json!({ "text": stream::text(), "seed": 3 })
}

#[test]
fn a_stream_is_heard_while_it_is_made() {
    let server = Server::slow();
    let started = Instant::now();
    let path = "/v1/text-to-speech/hum/stream?output_format=wav_24000";
    let mut live = Heard::post_to(&server, path, &long());
    assert_eq!((live.status, live.header("content-length")), (200, ""));
    assert!(live.header("server-timing").contains("first-audio;dur="));
    let mut wav = live.first(44 + 9_600);
    let (first, id) = (started.elapsed(), live.id());
    wav.extend(live.rest());
    assert!(first * 4 < started.elapsed());
    assert!(stream::samples(&wav) == stream::filed(&server, &id));
    let mut live = Heard::post_to(&server, path, &long());
    live.first(5_000);
    let id = live.id();
    drop(live);
    assert_eq!(server.wait_for(&id, &["cancelled", "completed"])["status"], "cancelled");
    let m4a = server.post("/v1/text-to-speech/hum/stream?output_format=m4a_24000", &long());
    assert_eq!(refused(&m4a).1, "format_not_streamable");
}

/// The text of an alignment, and where it begins and ends.
fn aligned(alignment: &Value) -> (String, f64, f64) {
    let list = |key: &str| alignment[key].as_array().unwrap().clone();
    let characters: String = list("characters").iter().map(|character| character.as_str().unwrap()).collect();
    let times = |key: &str| -> Vec<f64> { list(key).iter().map(|time| time.as_f64().unwrap()).collect() };
    let (starts, ends) = (times("character_start_times_seconds"), times("character_end_times_seconds"));
    assert!(starts.len() == ends.len() && ends.len() == characters.chars().count());
    assert!(starts.is_sorted() && ends.is_sorted());
    (characters, starts[0], *ends.last().unwrap())
}

#[test]
fn characters_have_times_as_they_were_sent_and_as_they_were_spoken() {
    let server = Server::start();
    let body = json!({ "text": "It costs $5. Take it.", "seed": 7 });
    let path = "/v1/text-to-speech/hum/with-timestamps?output_format=wav_24000";
    let answer = server.post(path, &body);
    assert_eq!(
        (answer.status, answer.header("content-type")),
        (200, "application/json"),
        "{}",
        answer.text()
    );
    let (id, timed) = (answer.header("x-declaim-job-id").to_owned(), answer.json());
    let wav = decoded(timed["audio_base64"].as_str().unwrap());
    assert!(wav == server.get(&format!("/tts/{id}/result")).body);
    let seconds = heard(&wav).1;
    for (key, text) in
        [("alignment", "It costs $5. Take it."), ("normalized_alignment", "It costs five dollars. Take it.")]
    {
        let (characters, start, end) = aligned(&timed[key]);
        assert_eq!((characters.as_str(), start), (text, 0.0));
        assert!((end - seconds).abs() < 0.01, "{key} ends at {end} of {seconds}");
    }
    assert_eq!(refused(&server.post(path, &json!({ "text": "" }))).1, "missing_required_parameter");
}

#[test]
fn a_stream_with_times_has_the_files_sound_and_its_times() {
    let server = Server::slow();
    let started = Instant::now();
    let path = "/v1/text-to-speech/hum/stream/with-timestamps?output_format=wav_24000";
    let mut live = Heard::post_to(&server, path, &long());
    assert_eq!((live.status, live.header("content-type")), (200, "application/x-ndjson"));
    let mut body = live.first(1_000);
    let (first, id) = (started.elapsed(), live.id());
    body.extend(live.rest());
    assert!(first * 4 < started.elapsed());
    let lines: Vec<Value> =
        std::str::from_utf8(&body).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let wav: Vec<u8> =
        lines.iter().flat_map(|line| decoded(line["audio_base64"].as_str().unwrap())).collect();
    let filed = stream::filed(&server, &id);
    assert!(stream::samples(&wav) == filed);
    let timed: Vec<&Value> =
        lines.iter().map(|line| &line["alignment"]).filter(|times| !times.is_null()).collect();
    let parts: Vec<(String, f64, f64)> = timed.into_iter().map(aligned).collect();
    assert_eq!(parts.iter().map(|(text, ..)| text.as_str()).collect::<String>(), stream::text());
    let captions = server.get(&format!("/tts/{id}/captions?format=json")).json();
    for (chunk, (text, start, end)) in captions["chunks"].as_array().unwrap().iter().zip(&parts) {
        let seconds = |key: &str| chunk[key].as_f64().unwrap() / 1_000.0;
        assert!(
            (seconds("start_ms") - start).abs() < 0.03 && (seconds("end_ms") - end).abs() < 0.03,
            "{text}"
        );
    }
    let seconds = filed.len() as f64 / 48_000.0;
    assert!((parts.last().unwrap().2 - seconds).abs() < 0.05);
}
