//! A clip in any format that people upload becomes a voice, once.

use std::fs;
use std::path::Path;
use std::time::{Instant, SystemTime};

use chatterbox::voice::Voice;
use serde_json::{Value, json};

use crate::house::{ORIGINAL, Server};
use crate::hub::sha256;

/// One sentence of the embedded voice in every dress, 2.4 seconds each.
const CLIPS: [&str; 6] =
    ["mono_16k.wav", "stereo_44k.mp3", "mono_22k.flac", "stereo_32k.ogg", "mono_48k.opus", "stereo_48k.m4a"];

/// The file of a computed voice and when it was written.
fn computed(data: &Path, hash: &str) -> (Vec<u8>, SystemTime) {
    let path = data.join(format!("voices/computed/{hash}-original-mine.safetensors"));
    (fs::read(&path).unwrap(), path.metadata().unwrap().modified().unwrap())
}

#[test]
fn a_clip_of_each_format_becomes_a_voice_which_is_computed_once() {
    let data = tempfile::tempdir().unwrap();
    let settings = json!({
        "model": { "name": "mine" },
        "models": [ORIGINAL.lay_out(&data.path().join("files"), "mine")],
    });
    let server = Server::start(data.path(), &settings);
    let speak = |server: &Server, voice: &Value| {
        let started = Instant::now();
        let body = json!({ "text": "Hello.", "predefined_voice_id": voice, "seed": 1 });
        let (status, samples) = server.post("/tts", &body);
        assert_eq!(status, 200, "{voice}: {}", String::from_utf8_lossy(&samples));
        (samples, started.elapsed())
    };
    let mut said = Vec::new();
    for (count, file) in (1..).zip(CLIPS) {
        let clip = fs::read(Path::new("tests/installed/clips").join(file)).unwrap();
        let hash = sha256(&clip);
        let path = format!("/api/voices?name={}", file.replace('.', "-"));
        let (status, answer) = server.post_as(&path, "application/octet-stream", &clip);
        assert_eq!(status, 201, "{file}: {}", String::from_utf8_lossy(&answer));
        let voice: Value = serde_json::from_slice(&answer).unwrap();
        let seconds = voice["clip"]["duration_sec"].as_f64().unwrap();
        assert!((seconds - 2.4).abs() < 0.1, "{file} lasts {seconds} s");

        let (first, first_took) = speak(&server, &voice["id"]);
        let (bytes, written) = computed(data.path(), &hash);
        let (second, second_took) = speak(&server, &voice["id"]);
        println!("{file}: {first_took:.2?} with a new voice, {second_took:.2?} with a known one");
        assert!(first == second, "{file}: a known voice speaks otherwise");
        assert_eq!(computed(data.path(), &hash).1, written);
        assert_eq!(server.logged("voice computed"), count, "{file}");

        let (made, origin) = Voice::from_bytes(file, &bytes, 256, 192).unwrap();
        assert_eq!(origin.family, "original-mine");
        // 25 tokens of a second, two frames of 80 bands to a token; a codec may add a little at the end.
        let tokens = made.speaker.prompt.len();
        assert!((59..=63).contains(&tokens), "{file}: {tokens} tokens");
        assert_eq!(made.reference.prompt_mel.len() / 80 / 2, made.reference.prompt_tokens.len());
        let length: f32 = made.speaker.embedding.iter().map(|value| value * value).sum();
        assert!((length - 1.0).abs() < 1e-4, "{file}: the speaker's vector has the length {length}");
        said.push((voice["id"].clone(), first));
    }
    drop(server);

    // Nothing is in memory now; the kept files must do.
    let server = Server::start(data.path(), &settings);
    for (voice, expected) in said {
        let (samples, took) = speak(&server, &voice);
        println!("{voice}: {took:.2?} after a restart");
        assert!(samples == expected, "{voice}: a kept voice speaks otherwise");
    }
    assert_eq!(server.logged("voice computed"), 0);
}
