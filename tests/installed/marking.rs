//! The watermark in what the server's models speak, with the fixtures' tiny networks of it: whose speech carries it, that
//! nothing else of the speech changes, and how it is found.

use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use chatterbox::device::{Request, choose};
use chatterbox::watermark::Watermark;
use chatterbox::weights::Weights;
use serde_json::{Value, json};

use crate::house::{Server, TURBO, fixtures};

fn tiny() -> PathBuf {
    fixtures().join("weights/perth_tiny.safetensors")
}

fn network() -> Watermark {
    let weights = Weights::open(&tiny(), &choose(Request::Cpu).unwrap().device).unwrap();
    Watermark::load(&weights.root()).unwrap()
}

/// As a pull leaves it, but for the size and the hash of the real one.
fn install(data: &Path) {
    let folder = data.join("models/watermark");
    fs::create_dir_all(&folder).unwrap();
    let bytes = fs::copy(tiny(), folder.join("tiny.safetensors")).unwrap();
    let file = json!({
        "role": "watermark", "file": "tiny.safetensors", "size": bytes, "sha256": "", "origin": "here", "revision": null,
    });
    let manifest =
        json!({ "name": "watermark", "architecture": "watermark", "languages": [], "files": [file] });
    fs::write(folder.join("manifest.json"), manifest.to_string()).unwrap();
}

fn settings(data: &Path, watermark: &Value) -> Value {
    json!({
        "model": { "name": "mine", "watermark": watermark },
        "models": [TURBO.lay_out(&data.join("files"), "mine")],
    })
}

fn speak(server: &Server, model: &str) -> Vec<f32> {
    let (status, body) = server.post("/tts", &json!({ "text": "Hello.", "model": model, "seed": 1 }));
    assert_eq!(status, 200, "{}", String::from_utf8_lossy(&body));
    let mut wav = hound::WavReader::new(Cursor::new(body)).unwrap();
    wav.samples::<i16>().map(|sample| f32::from(sample.unwrap()) / 32_768.0).collect()
}

fn largest_difference(one: &[f32], other: &[f32]) -> f32 {
    assert_eq!(one.len(), other.len());
    one.iter().zip(other).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

#[test]
fn speech_is_marked_where_the_setting_and_the_models_maker_want_it() {
    let data = tempfile::tempdir().unwrap();
    let start = |watermark: Value| Server::start(data.path(), &settings(data.path(), &watermark));
    let marked = |server: &Server, model| server.model(model).unwrap()["watermarked"].as_bool().unwrap();

    let server = start(json!("auto"));
    assert!(!marked(&server, "mine"), "it is not installed");
    let (plain, plain_pico) = (speak(&server, "mine"), speak(&server, "pico"));
    drop(server);
    install(data.path());

    let server = start(json!("auto"));
    assert!(marked(&server, "mine") && !marked(&server, "pico"), "pico's maker does not mark it");
    let spoken = speak(&server, "mine");
    assert!(marked(&server, "mine"));
    let expected = network().mark(&plain, 24_000).unwrap();
    // A file's ends are faded after they were marked, and the networks hear 150 ms around each moment.
    let middle = |samples: &[f32]| samples[4800..samples.len() - 4800].to_vec();
    let differs = |other: &[f32]| largest_difference(&middle(&spoken), &middle(other));
    let (error, mark) = (differs(&expected), differs(&plain));
    println!("the mark changes samples by up to {mark:.4}; what was expected is met within {error:.5}");
    // Both have passed through 16 bits, once before and once behind the network.
    assert!(mark > 1e-3 && error < 1e-3, "{mark} {error}");
    assert_eq!(speak(&server, "pico"), plain_pico);
    drop(server);

    let server = start(json!("off"));
    assert!(!marked(&server, "mine"));
    assert_eq!(speak(&server, "mine"), plain);
    drop(server);

    let server = start(json!(true));
    assert_eq!(server.get("/api/model-info")["watermark"], "on");
    assert!(marked(&server, "pico"));
    assert_ne!(speak(&server, "pico"), plain_pico);
}

#[test]
fn where_the_watermark_is_demanded_and_missing_nothing_is_spoken() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path(), &settings(data.path(), &json!("on")));
    let (status, body) = server.post("/tts", &json!({ "text": "Hello.", "model": "pico" }));
    let said = String::from_utf8_lossy(&body);
    assert_eq!(status, 503, "{said}");
    assert!(said.contains("declaim models pull watermark"), "{said}");
}

fn declaim(data: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_declaim")).arg("--data").arg(data).args(arguments).output().unwrap()
}

#[test]
fn the_command_says_in_words_and_in_json_what_the_networks_hear_in_a_file_of_any_format() {
    let data = tempfile::tempdir().unwrap();
    let clip = "tests/installed/clips/stereo_44k.mp3";
    let refused = declaim(data.path(), &["watermark", "detect", clip]);
    let said = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(1), "{said}");
    assert!(said.contains("declaim models pull watermark"), "{said}");

    install(data.path());
    for clip in [clip, "tests/installed/clips/mono_16k.wav"] {
        let found = declaim(data.path(), &["watermark", "detect", clip, "--json"]);
        let json: Value = serde_json::from_slice(&found.stdout).unwrap();
        let recording =
            waveform::decode::read(Path::new(clip), &waveform::decode::Limits::default()).unwrap();
        let expected = network().detect(&recording.samples, recording.sample_rate).unwrap();
        let confidence = json["confidence"].as_f64().unwrap() as f32;
        assert!((confidence - expected).abs() < 1e-6, "{clip}: {confidence}, {expected} expected");
        let is_marked = expected >= 0.5;
        assert_eq!(json["marked"], is_marked);
        assert_eq!(found.status.code(), Some(if is_marked { 0 } else { 3 }), "{clip}");
        let words = declaim(data.path(), &["watermark", "detect", clip]);
        let words = String::from_utf8_lossy(&words.stdout).into_owned();
        assert!(words.contains("watermark") && words.contains(&format!("{expected:.3}")), "{words}");
    }
    let broken = declaim(data.path(), &["watermark", "detect", "Cargo.toml"]);
    assert_eq!(broken.status.code(), Some(1));
    assert_eq!(declaim(data.path(), &["watermark", "detect", "no-such-file.wav"]).status.code(), Some(1));
}
