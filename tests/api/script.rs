//! Texts that steer: several voices, SSML, what is wrong with them; on every surface.

use std::time::Duration;

use serde_json::{Value, json};

use crate::heard;
use crate::server::{Server, humming};
use crate::voices::{add, wav};

const SCRIPT: &str = "Who is there? [voice:Whistle] It is I. [pause:500ms] [voice:hum] Come in.";

/// Text, voice and rate of each chunk.
fn previewed(server: &Server, text: &str) -> Vec<(String, String, f64)> {
    let preview = server.post("/api/preview", &json!({ "text": text, "model": "tone" })).json();
    let chunks = preview["chunks"].as_array().unwrap_or_else(|| panic!("{preview}"));
    let told = |chunk: &Value| {
        let text = |key: &str| chunk[key].as_str().unwrap().to_owned();
        (text("text"), text("voice"), chunk["rate"].as_f64().unwrap())
    };
    chunks.iter().map(told).collect()
}

#[test]
fn several_voices_speak_one_text() {
    let server = Server::start();
    let chunk = |text: &str, voice: &str| (text.to_owned(), voice.to_owned(), 1.0);
    assert_eq!(
        previewed(&server, SCRIPT),
        [chunk("Who is there?", "hum"), chunk("It is I.", "whistle"), chunk("Come in.", "hum")]
    );
    let spoken = |text: &str| {
        let id = server.enqueue(&json!({ "text": text, "model": "tone", "seed": 3, "speed_factor": 1.0 }));
        server.wait_for(&id, &["completed"]);
        (server.get(&format!("/api/jobs/{id}")).json(), server.get(&format!("/tts/{id}/result")).body)
    };
    let (job, wav) = spoken(SCRIPT);
    let voices: Vec<&Value> = job["chunks"].as_array().unwrap().iter().map(|chunk| &chunk["voice"]).collect();
    assert_eq!(voices, ["hum", "whistle", "hum"]);
    // The whistle is ten times as high as the hum.
    let crossings = |index: usize| {
        let chunk = &job["chunks"][index];
        let at = |key: &str| (chunk[key].as_f64().unwrap() * 24_000.0) as usize;
        let samples: Vec<i16> =
            hound::WavReader::new(wav.as_slice()).unwrap().samples::<i16>().map(Result::unwrap).collect();
        let part = &samples[at("start_sec")..at("end_sec")];
        part.windows(2).filter(|pair| (pair[0] < 0) != (pair[1] < 0)).count() as f64 / part.len() as f64
    };
    assert!(crossings(1) > 5.0 * crossings(0) && crossings(1) > 5.0 * crossings(2));
    let pause =
        job["chunks"][2]["start_sec"].as_f64().unwrap() - job["chunks"][1]["end_sec"].as_f64().unwrap();
    assert!((pause - 0.5).abs() < 0.002, "{pause}");
    assert!(
        !server.get(&format!("/tts/{}/captions", job["job_id"].as_str().unwrap())).text().contains("voice:")
    );
}

#[test]
fn clips_of_the_library_speak_beside_the_models_own_voices() {
    let server = Server::with(|_settings| {}, humming(Duration::ZERO));
    add(&server, "Emily", &wav(2.5, 220.0));
    let text = "[voice:Emily] One. [voice:drone] Two. [voice:emily] Three.";
    let id = server.enqueue(&json!({ "text": text, "model": "tone-low" }));
    server.wait_for(&id, &["completed"]);
    let job = server.get(&format!("/api/jobs/{id}")).json();
    let voices: Vec<&Value> = job["chunks"].as_array().unwrap().iter().map(|chunk| &chunk["voice"]).collect();
    assert_eq!(voices, ["emily", "drone", "emily"]);
    let refused =
        server.post("/tts/enqueue", &json!({ "text": "One.\n [voice:Emily] Two.", "model": "tone" }));
    assert_eq!(refused.status, 422);
    let detail = refused.detail();
    assert!(detail.starts_with("text, line 2, column 2: ") && detail.contains("tone-low"), "{detail}");
}

#[test]
fn ssml_is_spoken_as_it_says() {
    let server = Server::start();
    let text = "<speak>It costs <sub alias='five dollars'>$5</sub>.<break time='700ms'/>\
                <prosody rate='50%'>Take it.</prosody> <voice name='whistle'>No &amp; no.</voice></speak>";
    assert_eq!(
        previewed(&server, text),
        [
            ("It costs five dollars.".to_owned(), "hum".to_owned(), 1.0),
            ("Take it.".to_owned(), "hum".to_owned(), 0.5),
            ("No and no.".to_owned(), "whistle".to_owned(), 1.0),
        ]
    );
    let seconds = |text: &str| heard(&server.post("/tts", &json!({ "text": text, "model": "tone" })).body).1;
    let (plain, slow) =
        (seconds("Take it."), seconds("<speak><prosody rate='50%'>Take it.</prosody></speak>"));
    assert!((slow / plain - 2.0).abs() < 0.2, "{plain} became {slow}");
    // Heard while it is made, it is the same.
    let streamed = server.post("/tts", &json!({ "text": text, "model": "tone", "seed": 3, "stream": true }));
    let whole = server.post("/tts", &json!({ "text": text, "model": "tone", "seed": 3 }));
    assert!(crate::stream::samples(&streamed.body) == crate::stream::samples(&whole.body));
}

#[test]
fn mistakes_are_told_with_their_place_on_every_surface() {
    let server = Server::start();
    let bomb = "<!DOCTYPE speak [<!ENTITY a \"&b;&b;\"><!ENTITY b \"x\">]><speak>&a;</speak>";
    for (text, place, words) in [
        ("<speak>Hello <b>you</b></speak>", "line 1, column 14", "<b> has no meaning here"),
        ("<speak>Hello", "line 1, column 1", "<speak> is never closed"),
        ("<speak>&ouml;</speak>", "line 1, column 8", "stands for nothing known"),
        ("Hi.\n[voice:Nobody] Ho.", "line 2, column 1", "there is no voice \"Nobody\""),
        (
            "<speak>\n<voice name='Nobody'>Hi</voice></speak>",
            "line 2, column 1",
            "there is no voice \"Nobody\"",
        ),
    ] {
        for (path, field) in [
            ("/tts", "text"),
            ("/tts/enqueue", "text"),
            ("/api/preview", "text"),
            ("/v1/text-to-speech/hum", "text"),
        ] {
            let answer = server.post(path, &json!({ "text": text }));
            assert_eq!(answer.status, 422, "{path} {text}");
            let told = answer.text();
            let words = words.replace('"', "\\\"");
            assert!(told.contains(&format!("{field}, {place}: ")) && told.contains(&words), "{told}");
        }
        let answer = server.post("/v1/audio/speech", &json!({ "input": text }));
        let error = &answer.json()["error"];
        assert_eq!(
            (answer.status, &error["param"], &error["code"]),
            (400, &json!("input"), &json!("invalid_value"))
        );
        assert!(error["message"].as_str().unwrap().starts_with(&format!("input, {place}: ")), "{error}");
    }
    // Behind anything else than <speak> it is no SSML, and a document type is never read.
    let preview = server.post("/api/preview", &json!({ "text": bomb })).json();
    assert!(!preview["normalized"].as_str().unwrap().contains("xx"), "{preview}");
}
