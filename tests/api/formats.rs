//! Formats, what happens to the sound, and captions, from outside.

use serde_json::json;

use super::server::Server;
use super::{LONG, UNKNOWN};

#[test]
fn every_format_arrives_with_its_media_type_and_its_first_bytes() {
    let server = Server::start();
    for (format, media_type, magic) in [
        ("wav", "audio/wav", &b"RIFF"[..]),
        ("flac", "audio/flac", b"fLaC"),
        ("mp3", "audio/mpeg", b"ID3"),
        ("opus", "audio/ogg; codecs=opus", b"OggS"),
        ("aac", "audio/aac", b"ID3"),
        ("m4a", "audio/mp4", b"\0\0\0\x1cftypM4A "),
        ("pcm", "audio/pcm; rate=24000; channels=1", b""),
    ] {
        let answer = server.post("/tts", &json!({ "text": "Hello.", "output_format": format }));
        assert_eq!((answer.status, answer.header("content-type")), (200, media_type), "{format}");
        assert!(answer.body.starts_with(magic), "{format}");
        assert!(answer.header("content-disposition").ends_with(&format!(".{format}\"")), "{format}");
    }
    let refused =
        server.post("/tts", &json!({ "text": "Hello.", "output_format": "opus", "sample_rate": 44100 }));
    assert_eq!(refused.status, 422);
    assert!(refused.text().contains("sample_rate must be one of 8000, 12000, 16000, 24000, 48000 for opus"));
}

#[test]
fn captions_tell_when_each_sentence_is_heard() {
    let server = Server::start();
    let text = "The first sentence is here to be heard. [pause:500ms] The second one follows.";
    let id = server.enqueue(&json!({ "text": text, "seed": 7 }));
    let status = server.wait_for(&id, &["completed"]);
    let captions = server.get(&format!("/tts/{id}/captions?format=json")).json();
    let chunks = captions["chunks"].as_array().unwrap();
    assert_eq!(chunks.len(), 2);
    assert_eq!(chunks[1]["start_ms"].as_u64().unwrap() - chunks[0]["end_ms"].as_u64().unwrap(), 500);
    assert_eq!((&chunks[0]["seed"], &chunks[0]["takes"]), (&json!(7), &json!(1)));
    let end = chunks[1]["end_ms"].as_f64().unwrap() / 1000.0;
    assert!((status["duration_sec"].as_f64().unwrap() - end).abs() < 0.002);
    let srt = server.get(&format!("/tts/{id}/captions"));
    assert!(srt.text().starts_with("1\n00:00:00,000 --> "), "{}", srt.text());
    assert!(server.get(&format!("/tts/{id}/captions?format=vtt")).text().starts_with("WEBVTT\n\n"));
    assert_eq!(server.get(&format!("/tts/{id}/captions?format=ass")).status, 422);
    assert_eq!(server.get(&format!("/tts/{UNKNOWN}/captions")).status, 404);
}

#[test]
fn a_finished_job_is_given_in_every_other_format_too() {
    let server = Server::start();
    let id = server.enqueue(&json!({ "text": "Hello there.", "output_format": "flac" }));
    server.wait_for(&id, &["completed"]);
    for (format, media_type, magic) in [
        ("flac", "audio/flac", &b"fLaC"[..]),
        ("wav", "audio/wav", b"RIFF"),
        ("mp3", "audio/mpeg", b"ID3"),
        ("opus", "audio/ogg; codecs=opus", b"OggS"),
        ("m4a", "audio/mp4", b"\0\0\0\x1cftypM4A "),
    ] {
        let answer = server.get(&format!("/tts/{id}/result?format={format}"));
        assert_eq!((answer.status, answer.header("content-type")), (200, media_type), "{format}");
        assert!(answer.body.starts_with(magic), "{format}");
        assert!(answer.header("content-disposition").ends_with(&format!(".{format}\"")), "{format}");
        assert_eq!(answer.header("content-length"), answer.body.len().to_string(), "{format}");
    }
    let (own, wav) =
        (server.get(&format!("/tts/{id}/result")), server.get(&format!("/tts/{id}/result?format=wav")));
    assert_ne!(own.header("etag"), wav.header("etag"));
    let wrong = server.get(&format!("/tts/{id}/result?format=au"));
    assert_eq!(wrong.status, 422);
    assert!(wrong.text().contains("format must be"), "{}", wrong.text());
    assert_eq!(server.get(&format!("/tts/{UNKNOWN}/result?format=wav")).status, 404);
}

#[test]
fn a_job_that_has_not_ended_has_no_captions_yet() {
    let server = Server::slow();
    let id = server.enqueue(&json!({ "text": LONG }));
    assert_eq!(server.get(&format!("/tts/{id}/captions")).status, 425);
    server.delete(&format!("/tts/{id}"));
}

#[test]
fn a_preview_shows_pauses_and_pronunciations() {
    let change = |settings: &mut declaim::config::Settings| {
        settings.pronunciations = vec![declaim::config::OwnPronunciation {
            text: "SQL".to_owned(),
            say: "sequel".to_owned(),
            ..Default::default()
        }];
    };
    let server = Server::with(change, super::humming(std::time::Duration::ZERO));
    let text = "It costs $5. [pause:1.5s] Learn SQL.";
    let preview = server.post("/api/preview", &json!({ "text": text })).json();
    let chunk = |index: usize| &preview["chunks"][index];
    assert_eq!(
        (&chunk(0)["text"], &chunk(1)["text"]),
        (&json!("It costs five dollars."), &json!("Learn sequel."))
    );
    assert_eq!((&chunk(0)["pause"], &chunk(0)["pause_ms"]), (&json!("pause"), &json!(1500)));
    let refused = server.post("/api/preview", &json!({ "text": "One [pause:99s] two." }));
    assert_eq!(refused.status, 422);
    assert!(refused.text().contains("[pause:99s]"), "{}", refused.text());
}
