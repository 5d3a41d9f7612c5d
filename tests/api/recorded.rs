//! The requests of programs that people have already, as their sources make them, and what those sources read of the answers.

use serde_json::{Value, json};

use crate::server::{Answer, Server, humming};

/// Posts JSON with the headers that a client adds.
fn post(server: &Server, path: &str, headers: &[(&str, &str)], body: &Value) -> Answer {
    let mut request = ureq::post(format!("{}{path}", server.url)).header("Content-Type", "application/json");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    Answer::read(request.config().http_status_as_error(false).build().send(body.to_string().as_bytes()))
}

/// open-webui, backend/open_webui/routers/audio.py: `get_available_models`, `get_available_voices`, `speech`.
#[test]
fn open_webui_finds_models_and_voices_and_reads_messages_aloud() {
    let server = Server::start();
    let models = server.get_with("/v1/audio/models", &[("Authorization", "Bearer none")]).json();
    let model = models["models"][0]["id"].as_str().unwrap().to_owned();
    let voices = server.get("/v1/audio/voices").json();
    // `{voice["id"]: voice["name"] for voice in data["voices"]}`; anything else makes it fall back to OpenAI's names.
    let voices = voices["voices"].as_array().unwrap();
    assert!(
        !voices.is_empty() && voices.iter().all(|voice| voice["id"].is_string() && voice["name"].is_string())
    );
    let user = [
        ("Authorization", "Bearer none"),
        ("X-OpenWebUI-User-Name", "Ada"),
        ("X-OpenWebUI-User-Id", "1"),
        ("X-OpenWebUI-User-Email", "ada@example.org"),
        ("X-OpenWebUI-User-Role", "admin"),
    ];
    for (model, voice) in [(model.as_str(), voices[0]["id"].as_str().unwrap()), ("tts-1", "alloy")] {
        let body = json!({ "input": "Here is what I found.", "voice": voice, "model": model });
        let spoken = post(&server, "/v1/audio/speech", &user, &body);
        assert_eq!(spoken.status, 200, "{}", spoken.text());
        assert!(spoken.header("content-type").starts_with("audio/"));
    }
    // `res["error"]["message"]` is what the user is shown.
    let refused =
        post(&server, "/v1/audio/speech", &user, &json!({ "input": "", "voice": "alloy", "model": "tts-1" }));
    assert!(refused.json()["error"]["message"].as_str().unwrap().contains("input is empty"));
}

/// SillyTavern, public/scripts/extensions/tts/chatterbox.js, which calls from the browser.
#[test]
fn sillytaverns_chatterbox_provider_lists_voices_and_speaks_from_its_page() {
    const PAGE: &str = "http://127.0.0.1:8000";
    let server = Server::with(
        |settings| settings.server.cors_origins = vec![PAGE.to_owned()],
        humming(std::time::Duration::ZERO),
    );
    let origin = [("Origin", PAGE)];
    let ready = server.get_with("/", &origin);
    assert_eq!((ready.status, ready.header("access-control-allow-origin")), (200, PAGE));
    let voices = server.get_with("/get_predefined_voices", &origin).json();
    let voice = &voices[0];
    assert!(voice["display_name"].is_string());
    let id = voice["filename"].as_str().unwrap();
    assert!(server.get_with("/get_reference_files", &origin).json().is_array());
    let request = |voice: &str, language: &str| {
        json!({
            "text": "Hello! This is a preview of the selected voice.", "voice_mode": "predefined", "temperature": 0.8,
            "exaggeration": 0.5, "cfg_weight": 0.5, "seed": 1_073_741_824, "speed_factor": 1.0, "language": language,
            "split_text": true, "chunk_size": 120, "output_format": "wav", "predefined_voice_id": voice
        })
    };
    let headers = [("Origin", PAGE), ("Cache-Control", "no-cache")];
    for language in ["en", "zh-cn"] {
        let spoken = post(&server, "/tts", &headers, &request(id, language));
        assert_eq!(
            (spoken.status, spoken.header("access-control-allow-origin")),
            (200, PAGE),
            "{}",
            spoken.text()
        );
        assert_eq!(&spoken.body[..4], b"RIFF");
    }
}

/// SillyTavern, public/scripts/extensions/tts/openai-compatible.js, by way of its own server.
#[test]
fn sillytaverns_openai_compatible_provider_speaks() {
    let server = Server::start();
    let body = json!({ "model": "tts-1", "input": "A preview . Of a voice.", "voice": "shimmer", "response_format": "wav", "speed": 1 });
    let spoken = post(&server, "/v1/audio/speech", &[("Authorization", "Bearer ")], &body);
    assert_eq!(spoken.status, 200, "{}", spoken.text());
}

/// sfortis/openai_tts for Home Assistant: openaitts_engine.py and voice_discovery.py.
#[test]
fn home_assistants_openai_tts_discovers_voices_and_speaks() {
    let server = Server::start();
    let found = server.get("/v1/audio/voices").json();
    let voices = found["voices"].as_array().unwrap();
    let voice = voices[0]["id"].as_str().unwrap();
    let body = json!({
        "model": "tts-1", "input": "The washing machine is done.", "voice": voice, "response_format": "wav", "speed": 1.0,
        "instructions": "Speak calmly."
    });
    let spoken = post(&server, "/v1/audio/speech", &[("Authorization", "Bearer x")], &body);
    assert_eq!((spoken.status, spoken.header("content-type")), (200, "audio/wav"), "{}", spoken.text());
}

/// llama-swap, ui-svelte/src/components/playground/SpeechInterface.svelte, and koboldcpp: voices are texts, taken as they are.
#[test]
fn llama_swap_and_koboldcpp_list_the_voices_of_a_model_as_texts_and_speak_with_them() {
    let server = Server::start();
    for model in ["tone", "chatterbox"] {
        let listed = server.get(&format!("/v1/audio/voices?model={model}")).json();
        assert_eq!(listed["status"], "ok");
        let voices = listed["voices"].as_array().unwrap();
        assert!(!voices.is_empty());
        for voice in voices {
            assert!(voice.as_str().is_some_and(|name| name.strip_suffix(".wav").is_some()), "{voice}");
            let body = json!({ "model": model, "input": "Hello.", "voice": voice });
            let spoken = post(&server, "/v1/audio/speech", &[], &body);
            assert_eq!(spoken.status, 200, "{}", spoken.text());
        }
    }
}
