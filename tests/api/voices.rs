//! The voice library over HTTP: adding, listing, hearing, renaming, removing, and speaking with what was added.

use std::time::Duration;

use crate::server::{Answer, Server, humming};
use serde_json::{Value, json};

/// 16-bit mono at 24 kHz: a tone that swells and fades like speech.
pub(crate) fn wav(seconds: f64, pitch: f64) -> Vec<u8> {
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: 24_000,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut bytes = std::io::Cursor::new(Vec::new());
    let mut writer = hound::WavWriter::new(&mut bytes, spec).unwrap();
    for index in 0..(seconds * 24_000.0) as u32 {
        let time = f64::from(index) / 24_000.0;
        let swell = 0.5 - 0.5 * (std::f64::consts::TAU * 2.0 * time).cos();
        writer.write_sample((8000.0 * swell * (std::f64::consts::TAU * pitch * time).sin()) as i16).unwrap();
    }
    writer.finalize().unwrap();
    bytes.into_inner()
}

/// A form of texts and files: `(field, file name, content)`.
pub(crate) fn form(server: &Server, path: &str, parts: &[(&str, Option<&str>, &[u8])]) -> Answer {
    let mut body = Vec::new();
    for (field, file_name, content) in parts {
        let file = file_name.map(|name| format!("; filename=\"{name}\"")).unwrap_or_default();
        let head = format!("--wall\r\nContent-Disposition: form-data; name=\"{field}\"{file}\r\n\r\n");
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(content);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"--wall--\r\n");
    server.post_raw(path, Some("multipart/form-data; boundary=wall"), &body)
}

pub(crate) fn add(server: &Server, name: &str, bytes: &[u8]) -> Value {
    let answer =
        form(server, "/api/voices", &[("name", None, name.as_bytes()), ("file", Some("x.wav"), bytes)]);
    assert_eq!(answer.status, 201, "{}", answer.text());
    answer.json()
}

fn voice(server: &Server, id: &str) -> Option<Value> {
    let voices = server.get("/api/voices").json();
    voices.as_array().unwrap().iter().find(|voice| voice["id"] == id).cloned()
}

#[test]
fn a_clip_that_is_added_can_be_spoken_with_by_the_models_that_clone() {
    let server = Server::start();
    let added = add(&server, "Émilie", &wav(2.5, 220.0));
    assert_eq!((&added["id"], &added["name"]), (&json!("émilie"), &json!("Émilie")));
    assert_eq!((&added["kind"], &added["language"]), (&json!("uploaded"), &json!("en")));
    assert_eq!(
        (&added["clip"]["duration_sec"], &added["clip"]["sample_rate"]),
        (&json!(2.5), &json!(24_000))
    );
    assert_eq!(
        added["models"],
        json!([
            { "name": "tone", "usable": false, "why_not": "the model tone has fixed voices only" },
            { "name": "tone-low", "usable": true, "advice": [
                "The clip is 2.5 s long; 10 s would carry more of the voice.",
                "The clip ends at 0.4 kHz like a telephone; use a better recording.",
            ] },
        ])
    );
    add(&server, "Max", &wav(2.5, 330.0));

    let speak = |fields: Value| {
        let mut body = json!({ "text": "Hello", "model": "tone-low", "seed": 1 });
        body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        let answer = server.post("/tts", &body);
        assert_eq!(answer.status, 200, "{}", answer.text());
        (server.status(answer.header("x-declaim-job-id"))["voice"].as_str().unwrap().to_owned(), answer.body)
    };
    let clone = |file: &str| speak(json!({ "voice_mode": "clone", "reference_audio_filename": file }));
    let (id, emilie) = clone("Émilie.wav");
    assert_eq!(id, "émilie");
    assert_eq!(speak(json!({ "predefined_voice_id": "E\u{301}MILIE.mp3" })).1, emilie);
    assert_ne!(clone("max").1, emilie);
    assert_ne!(speak(json!({})).1, emilie);
}

#[test]
fn a_model_that_cannot_use_a_voice_says_so_and_which_can() {
    let server = Server::start();
    add(&server, "Emily", &wav(2.5, 220.0));
    add(&server, "Short", &wav(1.2, 220.0));
    for (fields, status, expected) in [
        (
            json!({ "predefined_voice_id": "emily.wav" }),
            400,
            "the model tone has fixed voices only; for this voice, send model tone-low.",
        ),
        (
            json!({ "voice_mode": "clone", "reference_audio_filename": "emily.wav" }),
            400,
            "the model tone has fixed voices only. Send voice_mode \"predefined\"; for this voice, send model tone-low.",
        ),
        (
            json!({ "model": "tone-low", "predefined_voice_id": "short" }),
            400,
            "needs a clip of more than 2 seconds, this one has 1.2.",
        ),
        (json!({ "model": "tone-low", "voice_mode": "clone" }), 400, "needs reference_audio_filename"),
        (
            json!({ "model": "tone-low", "voice_mode": "clone", "reference_audio_filename": "../emily.wav" }),
            404,
            "there is no voice \"../emily.wav\"; the available voices are emily, short",
        ),
    ] {
        let mut body = json!({ "text": "Hello" });
        body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        let answer = server.post("/tts/enqueue", &body);
        assert_eq!(answer.status, status, "{body}");
        assert!(answer.detail().contains(expected), "{body}: {}", answer.detail());
    }
}

#[test]
fn a_clip_may_be_the_body_itself_and_the_same_clip_is_added_once() {
    let server = Server::start();
    let bytes = wav(2.5, 220.0);
    let path = "/api/voices?name=My%20Voice&language=de&consent=my%20own";
    let added = server.post_raw(path, Some("audio/wav"), &bytes);
    assert_eq!(added.status, 201, "{}", added.text());
    let added = added.json();
    assert_eq!((&added["id"], &added["language"]), (&json!("my-voice"), &json!("de")));
    assert_eq!(added["clip"]["consent"], "my own");
    let again = server.post_raw("/api/voices?file_name=Other.wav", None, &bytes);
    assert_eq!((again.status, &again.json()["id"]), (200, &json!("my-voice")));
    let from_file = server.post_raw("/api/voices?file_name=..%2FMy_Other.MP3", None, &wav(2.5, 330.0)).json();
    assert_eq!((&from_file["id"], &from_file["name"]), (&json!("my-other"), &json!("My Other")));
    assert_eq!(from_file["clip"]["file_name"], "my-other.wav");
}

#[test]
fn what_is_no_usable_clip_is_refused_with_the_reason_and_leaves_nothing() {
    let server = Server::with(
        |settings| {
            settings.voices.max_clip_bytes = 1 << 20;
            settings.voices.max_clip_sec = 3.0;
            settings.voices.max_voices = 1;
        },
        humming(Duration::ZERO),
    );
    let post = |bytes: &[u8]| server.post_raw("/api/voices?name=Emily", None, bytes);
    for (bytes, status, expected) in [
        (
            b"a text that calls itself a wav".to_vec(),
            422,
            "the clip cannot be used: this is not a sound file",
        ),
        (wav(0.5, 220.0), 422, "it is 0.5 seconds long, and at least 1 are needed"),
        (wav(4.0, 220.0), 422, "it is longer than 3 seconds, which is the limit (voices.max_clip_sec)"),
        (vec![0; (1 << 20) + 1], 413, "it is larger than 1 MB, which is the limit (voices.max_clip_mb)"),
        (Vec::new(), 422, "The body has no clip"),
    ] {
        let answer = post(&bytes);
        assert_eq!(answer.status, status, "{}", answer.text());
        assert!(answer.detail().contains(expected), "{}", answer.detail());
    }
    let nothing = form(&server, "/api/voices", &[("name", None, b"Emily")]);
    assert_eq!(nothing.status, 422);
    let large = form(&server, "/api/voices", &[("file", Some("x.wav"), &vec![0; (1 << 20) + 1])]);
    assert_eq!(large.status, 413);
    let cut = server.post_raw("/api/voices", Some("multipart/form-data; boundary=wall"), b"--wall\r\nno");
    assert_eq!(cut.status, 400, "{}", cut.text());
    assert!(!server.data.path().join("voices").exists());

    assert_eq!(post(&wav(2.5, 220.0)).status, 201);
    let full = server.post_raw("/api/voices?name=Max", None, &wav(2.5, 330.0));
    assert_eq!(full.status, 409);
    assert!(full.detail().contains("1 voices were added, which is the limit"), "{}", full.detail());
    let name = server.post_raw("/api/voices?name=%20", None, &wav(2.5, 330.0));
    assert_eq!(name.status, 422);
}

#[test]
fn a_clip_can_be_heard_whole_and_in_parts() {
    let server = Server::start();
    let bytes = wav(2.5, 220.0);
    let added = add(&server, "Émilie", &bytes);
    let path = added["clip"]["audio_url"].as_str().unwrap().replace('é', "%C3%A9");
    let whole = server.get(&path);
    assert_eq!((whole.status, whole.header("content-type"), &whole.body), (200, "audio/wav", &bytes));
    let part = server.get_with(&path, &[("Range", "bytes=4-7")]);
    assert_eq!((part.status, part.body.as_slice()), (206, &bytes[4..8]));
    let known = server.get_with(&path, &[("If-None-Match", whole.header("etag"))]);
    assert_eq!(known.status, 304);
    assert_eq!(server.get("/api/voices/nobody/audio").status, 404);
    assert_eq!(server.get("/api/voices/hum/audio").status, 404, "a model's own voice has no clip");
}

#[test]
fn a_voice_is_renamed_and_removed_but_not_under_a_job_that_needs_it() {
    let server = Server::slow();
    add(&server, "Emily", &wav(2.5, 220.0));
    let renamed = server.patch("/api/voices/emily", &json!({ "name": "Émilie" }));
    assert_eq!((renamed.status, &renamed.json()["name"]), (200, &json!("Émilie")));
    assert_eq!(server.patch("/api/voices/emily", &json!({ "name": " " })).status, 422);
    assert_eq!(server.patch("/api/voices/nobody", &json!({ "name": "x" })).status, 404);

    let text = "This sentence is long enough to be caught while it is being spoken.";
    let id = server.enqueue(&json!({ "text": text, "model": "tone-low", "predefined_voice_id": "Émilie" }));
    let refused = server.delete("/api/voices/emily");
    assert_eq!(refused.status, 409);
    assert_eq!(
        refused.detail(),
        "The voice \"emily\" is needed by 1 unfinished jobs; cancel them, or wait for their end."
    );
    server.wait_for(&id, &["completed"]);
    let removed = server.delete("/api/voices/emily");
    assert_eq!((removed.status, removed.json()), (200, json!({ "message": "Voice emily removed" })));
    assert_eq!(voice(&server, "emily"), None);
    assert_eq!(server.delete("/api/voices/emily").status, 404);
    assert_eq!(server.get(&format!("/tts/{id}/result")).status, 200, "what was spoken stays");
}

#[test]
fn clients_of_file_based_servers_upload_and_list_as_they_are_used_to() {
    let server = Server::start();
    let (emily, max) = (wav(2.5, 220.0), wav(2.5, 330.0));
    let answer = form(
        &server,
        "/upload_reference",
        &[
            ("files", Some("../../Emily_1.wav"), &emily),
            ("files", Some("日本語.mp3"), &max),
            ("files", Some("notes.wav"), b"no sound at all"),
        ],
    );
    assert_eq!(answer.status, 200, "{}", answer.text());
    let answer = answer.json();
    assert_eq!(answer["message"], "Processed 3 file(s).");
    assert_eq!(answer["uploaded_files"], json!(["emily-1.wav", "日本語.wav"]));
    assert_eq!(answer["all_reference_files"], json!(["emily-1.wav", "日本語.wav"]));
    assert_eq!(answer["errors"][0]["filename"], "notes.wav");
    assert!(answer["errors"][0]["error"].as_str().unwrap().contains("this is not a sound file"));
    assert_eq!(server.get("/get_reference_files").json(), json!(["emily-1.wav", "日本語.wav"]));
    for file in ["Emily_1.wav", "emily-1.wav", "日本語.mp3"] {
        let body = json!({ "text": "Hi", "model": "tone-low", "voice_mode": "clone", "reference_audio_filename": file });
        server.enqueue(&body);
    }
    let refused = form(&server, "/upload_reference", &[("files", Some("notes.wav"), b"no sound")]);
    assert_eq!(refused.status, 400);
    assert_eq!(server.post_raw("/upload_reference", Some("text/plain"), b"x").status, 400);
}

#[test]
fn pages_of_other_sites_cannot_add_voices() {
    let server = Server::start();
    for path in ["/api/voices", "/upload_reference"] {
        let request = ureq::post(format!("{}{path}", server.url)).header("Origin", "https://evil.example");
        let request = request.config().http_status_as_error(false).build();
        let answer = request.send(&wav(2.5, 220.0)[..]).unwrap();
        assert_eq!(answer.status(), 403, "{path}");
    }
    assert_eq!(server.get("/get_reference_files").json(), json!([]));
}

#[test]
fn clips_in_the_folder_of_voices_are_taken_up_at_the_start() {
    let server = Server::start();
    let voices = server.data.path().join("voices");
    std::fs::create_dir(&voices).unwrap();
    std::fs::write(voices.join("Gianna.wav"), wav(2.5, 220.0)).unwrap();
    let data = server.stop();
    let server = Server::start_on(data);
    let started = std::time::Instant::now();
    while server.get("/get_reference_files").json() != json!(["gianna.wav"]) {
        assert!(started.elapsed() < crate::server::PATIENCE, "it was never taken up");
        std::thread::sleep(Duration::from_millis(10));
    }
}
