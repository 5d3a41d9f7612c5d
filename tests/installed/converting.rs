//! A recording said again in another voice, through the server and on the command line.

use std::fs;
use std::io::Cursor;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::house::{ORIGINAL, Server, TURBO};

/// 2.4 seconds at 48 kHz in stereo.
const CLIP: &str = "tests/installed/clips/stereo_48k.m4a";

fn form(server: &Server, parts: &[(&str, &[u8])]) -> (u16, Vec<u8>) {
    let mut body = Vec::new();
    for (field, content) in parts {
        let file = if *field == "file" { "; filename=\"x\"" } else { "" };
        let head = format!("--wall\r\nContent-Disposition: form-data; name=\"{field}\"{file}\r\n\r\n");
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(content);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"--wall--\r\n");
    server.post_as("/api/convert", "multipart/form-data; boundary=wall", &body)
}

fn samples(wav: &[u8]) -> Vec<i16> {
    let mut wav = hound::WavReader::new(Cursor::new(wav)).unwrap();
    assert_eq!(wav.spec().sample_rate, 24_000);
    wav.samples().map(Result::unwrap).collect()
}

fn settings(data: &Path) -> Value {
    json!({
        "model": { "name": "mine" },
        "models": [
            ORIGINAL.lay_out(&data.join("original"), "mine"),
            TURBO.lay_out(&data.join("turbo"), "other"),
        ],
    })
}

#[test]
fn a_recording_of_any_format_is_said_again_in_its_own_time_by_voices_of_models_and_of_clips() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path(), &settings(data.path()));
    let clip = fs::read(CLIP).unwrap();
    let convert = |fields: &[(&str, &[u8])]| {
        let (status, body) = form(&server, &[&[("file", &clip[..])], fields].concat());
        assert_eq!(status, 200, "{}", String::from_utf8_lossy(&body));
        body
    };
    let own = convert(&[("seed", b"7")]);
    let length = samples(&own).len();
    // 40 ms for every 40 ms begun; the codec adds a little silence.
    assert!(length.is_multiple_of(960) && (57_600..60_480).contains(&length), "{length} samples");
    assert!(samples(&own).iter().any(|sample| sample.unsigned_abs() > 100), "it is silent");
    assert!(convert(&[("seed", b"7"), ("voice", b"builtin")]) == own, "a take repeats");
    assert!(convert(&[("seed", b"8")]) != own);
    assert!(convert(&[("seed", b"7"), ("model", b"other")]) != own);
    assert!(convert(&[("seed", b"7"), ("output_format", b"flac")]).starts_with(b"fLaC"));

    let clip = fs::read("tests/installed/clips/mono_16k.wav").unwrap();
    assert_eq!(server.post_as("/api/voices?name=Max", "application/octet-stream", &clip).0, 201);
    let cloned = convert(&[("seed", b"7"), ("voice", b"Max")]);
    assert!(samples(&cloned).len() == length && cloned != own);
    drop(server);

    let out = data.path().join("out.wav");
    let done = Command::new(env!("CARGO_BIN_EXE_declaim"))
        .arg("--data")
        .arg(data.path())
        .args(["convert", CLIP, "--voice", "max", "--seed", "7", "--device", "cpu", "-o"])
        .arg(&out)
        .output()
        .unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    assert!(fs::read(out).unwrap() == cloned, "the command line converts otherwise");
}

#[test]
fn what_cannot_be_converted_is_refused_with_the_reason() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path(), &settings(data.path()));
    let clip = fs::read(CLIP).unwrap();
    let file = ("file", &clip[..]);
    for (parts, status, expected) in [
        (
            &[file, ("model", b"pico")][..],
            400,
            "pico cannot convert recordings; the models that can are other, mine",
        ),
        (&[file, ("model", b"choir")], 404, "there is no model \\\"choir\\\""),
        (&[file, ("voice", b"nobody")], 404, "there is no voice \\\"nobody\\\""),
        (&[file, ("seed", b"x")], 422, "seed must be a whole number, found \\\"x\\\""),
        (&[file, ("output_format", b"tape")], 422, "output_format must be"),
        (&[("voice", b"builtin")], 422, "a field called file"),
        (&[("file", b"no sound at all")], 422, "the recording cannot be read"),
    ] {
        let (found, body) = form(&server, parts);
        let said = String::from_utf8_lossy(&body);
        assert_eq!(found, status, "{expected}: {said}");
        assert!(said.contains(expected), "{said}");
    }
    drop(server);
    let refused = Command::new(env!("CARGO_BIN_EXE_declaim"))
        .arg("--data")
        .arg(data.path())
        .args(["convert", CLIP, "--model", "pico"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(2), "{said}");
    assert!(said.contains("the models that can are other, mine"), "{said}");
}
