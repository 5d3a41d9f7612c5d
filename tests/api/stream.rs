//! Speech that is heard while it is made, over HTTP.

use std::io::Read;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::server::{PATIENCE, Server, humming};

/// Three sentences, each a chunk of its own.
pub(crate) fn text() -> String {
    ["first", "second", "third"]
        .map(|name| format!("This is the {name} sentence of a text that is spoken in blocks."))
        .join(" ")
}

fn request(more: &[(&str, Value)]) -> Value {
    let mut request = json!({ "text": text(), "chunk_size": 70, "model": "tone", "seed": 3 });
    for (name, value) in more {
        request[*name] = value.clone();
    }
    request
}

/// A body that is read as it comes.
pub(crate) struct Heard {
    pub(crate) status: u16,
    headers: ureq::http::HeaderMap,
    body: ureq::BodyReader<'static>,
}

impl Heard {
    fn of(answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> Self {
        let (head, body) = answer.unwrap().into_parts();
        Self { status: head.status.as_u16(), headers: head.headers, body: body.into_reader() }
    }

    fn post(server: &Server, body: &Value) -> Self {
        Self::post_to(server, "/tts", body)
    }

    pub(crate) fn post_to(server: &Server, path: &str, body: &Value) -> Self {
        let request = ureq::post(format!("{}{path}", server.url)).header("Content-Type", "application/json");
        Self::of(request.config().http_status_as_error(false).build().send(body.to_string().as_bytes()))
    }

    fn get(server: &Server, path: &str) -> Self {
        let request = ureq::get(format!("{}{path}", server.url));
        Self::of(request.config().http_status_as_error(false).build().call())
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn id(&self) -> String {
        self.header("x-declaim-job-id").to_owned()
    }

    pub(crate) fn first(&mut self, bytes: usize) -> Vec<u8> {
        let mut first = vec![0; bytes];
        self.body.read_exact(&mut first).unwrap();
        first
    }

    /// Whether the rest does not come to its end.
    pub(crate) fn breaks(mut self) -> bool {
        self.body.read_to_end(&mut Vec::new()).is_err()
    }

    pub(crate) fn rest(mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        self.body.read_to_end(&mut rest).unwrap();
        rest
    }
}

pub(crate) fn samples(wav: &[u8]) -> &[u8] {
    assert_eq!((&wav[..4], &wav[8..16], &wav[36..40]), (&b"RIFF"[..], &b"WAVEfmt "[..], &b"data"[..]));
    // Tags follow in files; streams do not know their length.
    let length = u32::from_le_bytes(wav[40..44].try_into().unwrap()) as usize;
    &wav[44..wav.len().min(44 + length)]
}

/// The samples of a finished job's file.
pub(crate) fn filed(server: &Server, id: &str) -> Vec<u8> {
    server.wait_for(id, &["completed"]);
    samples(&server.get(&format!("/tts/{id}/result")).body).to_vec()
}

/// A server that keeps no chunks of completed jobs.
fn forgetful(token_pause: Duration) -> Server {
    Server::with(|settings| settings.job_queue.max_chunk_bytes = 0, humming(token_pause))
}

fn chunks_are_gone(server: &Server, id: &str) {
    let (folder, started) = (server.data.path().join("chunks").join(id), Instant::now());
    while folder.exists() {
        assert!(started.elapsed() < PATIENCE, "the chunks were never removed");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn speech_is_heard_long_before_it_is_finished_and_is_the_files() {
    let server = forgetful(Duration::from_millis(20));
    let started = Instant::now();
    let mut heard = Heard::post(&server, &request(&[("stream", json!(true))]));
    assert_eq!(heard.status, 200);
    assert_eq!(heard.header("content-type"), "audio/wav");
    assert_eq!(heard.header("x-declaim-seed"), "3");
    assert!(heard.header("server-timing").contains("first-audio;dur="), "{}", heard.header("server-timing"));
    let mut wav = heard.first(44 + 9_600);
    let first = started.elapsed();
    let id = heard.id();
    assert_eq!(server.status(&id)["status"], "running");
    wav.extend(heard.rest());
    let all = started.elapsed();
    assert!(first * 4 < all, "first sound after {first:?} of {all:?}");
    assert!(samples(&wav) == filed(&server, &id), "the samples of stream and file");
    chunks_are_gone(&server, &id);
}

#[test]
fn whoever_joins_late_hears_everything_from_the_start_or_only_what_is_spoken_now() {
    let server = forgetful(Duration::from_millis(20));
    let id = server.enqueue(&request(&[]));
    let started = Instant::now();
    while server.status(&id)["current_chunk"] != 2 {
        assert!(started.elapsed() < PATIENCE);
    }
    let whole = Heard::get(&server, &format!("/tts/{id}/stream"));
    let live = Heard::get(&server, &format!("/tts/{id}/stream?from=live"));
    let (whole, live) = (whole.rest(), live.rest());
    let filed = filed(&server, &id);
    assert!(samples(&whole) == filed);
    assert!(samples(&live).len() < filed.len() && filed.ends_with(samples(&live)), "{}", live.len());
    chunks_are_gone(&server, &id);
    // Once it is finished, its stream is its file.
    let finished = server.get(&format!("/tts/{id}/stream"));
    assert_eq!(
        (finished.status, finished.header("content-length")),
        (200, &*finished.body.len().to_string())
    );
    assert!(samples(&finished.body) == filed);
}

#[test]
fn a_job_is_heard_in_another_format_than_its_own_before_and_after_its_end() {
    let server = Server::slow();
    // One that cannot be streamed itself.
    let id = server.enqueue(&request(&[("output_format", json!("m4a"))]));
    assert_eq!(server.get(&format!("/tts/{id}/stream")).status, 422);
    let heard = Heard::get(&server, &format!("/tts/{id}/stream?format=wav"));
    assert_eq!((heard.status, heard.header("content-type")), (200, "audio/wav"));
    let wav = heard.rest();
    let status = server.wait_for(&id, &["completed"]);
    let seconds = samples(&wav).len() as f64 / 2.0 / 24_000.0;
    assert!((status["duration_sec"].as_f64().unwrap() - seconds).abs() < 0.01, "{seconds}");
    let later = server.get(&format!("/tts/{id}/stream?format=wav"));
    assert_eq!((later.status, later.header("content-type")), (200, "audio/wav"));
    assert!(samples(&later.body).len().abs_diff(samples(&wav).len()) < 2 * 2_048, "{}", later.body.len());
    let wrong = server.get(&format!("/tts/{id}/stream?format=au"));
    assert_eq!(wrong.status, 422);
    assert!(wrong.text().contains("format must be"), "{}", wrong.text());
}

#[test]
fn what_somebody_was_sent_can_be_read_along_and_is_placed_as_in_the_captions() {
    let server = Server::slow();
    let id = server.enqueue(&request(&[]));
    let captions = || server.get(&format!("/tts/{id}/captions?format=json"));
    let mut heard = Heard::get(&server, &format!("/tts/{id}/stream"));
    heard.first(44 + 960);
    let early = captions();
    assert_eq!(early.status, 200);
    let early = early.json();
    assert_eq!(early["next"]["text"], "This is the first sentence of a text that is spoken in blocks.");
    assert_eq!((early["chunks"].as_array().unwrap().len(), &early["next"]["start_ms"]), (0, &json!(0)));
    let reader = std::thread::spawn(move || heard.rest());
    let started = Instant::now();
    let told = loop {
        let told = captions().json();
        if told["chunks"].as_array().unwrap().len() == 2 {
            break told;
        }
        assert!(started.elapsed() < PATIENCE);
        std::thread::sleep(Duration::from_millis(5));
    };
    reader.join().unwrap();
    server.wait_for(&id, &["completed"]);
    let whole = captions().json();
    assert!(whole.get("next").is_none());
    for chunk in 0..2 {
        for name in ["start_ms", "end_ms"] {
            let (told, whole) = (&told["chunks"][chunk][name], &whole["chunks"][chunk][name]);
            assert!(told.as_u64().unwrap().abs_diff(whole.as_u64().unwrap()) <= 1, "{name}: {told} {whole}");
        }
    }
    if told.get("next").is_some() {
        assert!(told["next"]["start_ms"].as_u64() > told["chunks"][1]["end_ms"].as_u64());
    }
}

#[test]
fn at_another_tempo_and_rate_the_stream_is_the_file_too() {
    let server = Server::with(|settings| settings.audio_output.sample_rate = 16_000, humming(Duration::ZERO));
    for speed in [0.8, 1.5] {
        let fields = [("stream", json!(true)), ("speed_factor", json!(speed))];
        let heard = Heard::post(&server, &request(&fields));
        let id = heard.id();
        assert!(samples(&heard.rest()) == filed(&server, &id), "× {speed}");
    }
}

#[test]
fn a_reader_that_stands_still_never_holds_the_model_up_and_misses_nothing() {
    let server = forgetful(Duration::ZERO);
    // More than sockets and queues hold: five minutes of sound.
    let long = "Some words that are spoken without end. ".repeat(90);
    let mut heard = Heard::post(&server, &request(&[("stream", json!(true)), ("text", json!(long))]));
    let (id, mut wav) = (heard.id(), heard.first(1_000));
    server.wait_for(&id, &["completed"]);
    assert!(server.data.path().join("chunks").join(&id).exists(), "kept for the reader");
    wav.extend(heard.rest());
    assert!(samples(&wav) == filed(&server, &id));
    chunks_are_gone(&server, &id);
}

#[test]
fn a_client_that_leaves_stops_the_work_unless_somebody_else_listens() {
    let server = Server::slow();
    let mut heard = Heard::post(&server, &request(&[("stream", json!(true))]));
    heard.first(5_000);
    let id = heard.id();
    drop(heard);
    let status = server.wait_for(&id, &["cancelled", "completed"]);
    assert_eq!(status["status"], "cancelled");

    let mut heard = Heard::post(&server, &request(&[("stream", json!(true))]));
    let mut other = Heard::get(&server, &format!("/tts/{}/stream", heard.id()));
    heard.first(5_000);
    let (id, mut wav) = (heard.id(), other.first(5_000));
    drop(heard);
    wav.extend(other.rest());
    assert!(samples(&wav) == filed(&server, &id));
}

#[test]
fn what_goes_wrong_before_the_first_sound_has_its_own_status() {
    let server = Server::start_ready();
    let post = |more: &[(&str, Value)]| {
        let mut all = vec![("stream", json!(true))];
        all.extend_from_slice(more);
        server.post("/tts", &request(&all))
    };
    let m4a = post(&[("output_format", json!("m4a"))]);
    assert_eq!(m4a.status, 422);
    assert!(m4a.detail().contains("m4a"), "{}", m4a.detail());
    // At another tempo nothing is let go before the chunk is whole.
    assert_eq!(post(&[("text", json!("[fail] no")), ("speed_factor", json!(1.5))]).status, 500);
    assert_eq!(post(&[("text", json!(" "))]).status, 422);
    assert_eq!(post(&[("stream", json!("perhaps"))]).status, 422);
    assert_eq!(server.get("/tts/01890a5d-ac96-774b-bcce-b302099a8057/stream").status, 404);
    let id = server.enqueue(&request(&[("text", json!("[fail]"))]));
    server.wait_for(&id, &["failed"]);
    assert_eq!(server.get(&format!("/tts/{id}/stream")).status, 500);
    let slow = Server::slow();
    let (first, waiting) = (slow.enqueue(&request(&[])), slow.enqueue(&request(&[])));
    assert_eq!(slow.get(&format!("/tts/{first}/stream?from=then")).status, 422);
    let url = format!("{}/tts/{waiting}/stream", slow.url);
    let listener = std::thread::spawn(move || {
        let request = ureq::get(url).config().http_status_as_error(false).build();
        request.call().unwrap().status().as_u16()
    });
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(slow.delete(&format!("/tts/{waiting}")).status, 200);
    assert_eq!(listener.join().unwrap(), 410);
}

/// Half a speech must not pass for a whole one.
#[test]
fn what_goes_wrong_later_breaks_the_connection() {
    let server = Server::slow();
    let fails_late = format!("{} And then it must [fail] in the middle.", text());
    let mut heard = Heard::post(&server, &request(&[("stream", json!(true)), ("text", json!(fails_late))]));
    heard.first(5_000);
    let mut rest = Vec::new();
    assert!(heard.body.read_to_end(&mut rest).is_err(), "{} bytes as if all were well", rest.len());
}
