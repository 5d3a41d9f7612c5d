//! Speech by voice and the list of voices as ElevenLabs' clients know them, errors in its shape.

use serde_json::{Value, json};

use crate::heard;
use crate::server::{Answer, Server};

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
    for path in ["", "/stream"] {
        let answer = server.post(&format!("/v1/text-to-speech/{id}{path}?output_format=wav_16000"), &body);
        assert_eq!((answer.status, answer.header("x-declaim-seed")), (200, "7"), "{}", answer.text());
        assert_eq!(heard(&answer.body).0, 16_000);
    }
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
