//! Chatterbox-TTS-Server's interface, endpoint by endpoint: its paths, fields, codes and response keys, without its mistakes.

use serde_json::{Value, json};

use crate::heard;
use crate::server::Server;
use crate::voices::{form, wav};

/// The keys of an object, sorted.
fn keys(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

#[test]
fn speech_takes_every_field_and_names_its_file_as_there() {
    let server = Server::start();
    let answer = server.post(
        "/tts",
        &json!({
            "text": "Hello world", "voice_mode": "predefined", "predefined_voice_id": "hum.wav",
            "reference_audio_filename": null, "output_format": "wav", "split_text": true, "chunk_size": 120,
            "temperature": 0.8, "exaggeration": 1.3, "cfg_weight": 0.5, "seed": 3000, "speed_factor": 1.0, "language": "en",
            "unknown": 1
        }),
    );
    assert_eq!((answer.status, answer.header("content-type")), (200, "audio/wav"), "{}", answer.text());
    assert!(
        answer.header("content-disposition").starts_with("attachment; filename=\"tts_output_T08_E13_W05_")
    );
    assert_eq!(heard(&answer.body).0, 24_000);
}

#[test]
fn voices_are_found_with_and_without_extension_and_by_name() {
    let server = Server::start();
    for voice in ["hum", "hum.wav", "HUM.WAV", "hum.mp3"] {
        let answer = server.post("/tts", &json!({ "text": "Hi", "predefined_voice_id": voice }));
        assert_eq!(answer.status, 200, "{voice}: {}", answer.text());
    }
}

#[test]
fn codes_are_those_of_the_original() {
    let server = Server::start();
    for (body, status) in [
        (json!({ "text": "" }), 422),
        (json!({ "text": "a", "voice_mode": "sing" }), 422),
        (json!({ "text": "a", "chunk_size": 49 }), 422),
        (json!({ "text": "a", "chunk_size": 501 }), 422),
        (json!({ "text": "a", "output_format": "vinyl" }), 422),
        (json!({ "text": "a", "voice_mode": "clone" }), 400),
        (json!({ "text": "a", "predefined_voice_id": "nobody.wav" }), 404),
        // Never outside the library, and no way to tell which files this machine has.
        (json!({ "text": "a", "predefined_voice_id": "../../etc/passwd" }), 404),
        // What was documented and not enforced, or advertised and not possible.
        (json!({ "text": "a", "temperature": 9 }), 422),
        (json!({ "text": "a", "speed_factor": 0 }), 422),
        (json!({ "text": "a", "seed": -1 }), 200),
        (json!({ "text": "a", "temperature": 0 }), 200),
        (json!({ "text": "a", "output_format": null, "chunk_size": null }), 200),
    ] {
        let answer = server.post("/tts", &body);
        assert_eq!(answer.status, status, "{body}: {:.200}", answer.text());
        if status != 200 {
            assert!(!answer.detail().is_empty());
        }
    }
}

#[test]
fn model_info_has_every_key() {
    let info = Server::start_ready().get("/api/model-info").json();
    for key in [
        "loaded",
        "type",
        "class_name",
        "device",
        "sample_rate",
        "supports_paralinguistic_tags",
        "available_paralinguistic_tags",
        "turbo_available_in_package",
        "multilingual_available_in_package",
        "supports_multilingual",
        "supported_languages",
    ] {
        assert!(info.get(key).is_some(), "{key}: {info}");
    }
    assert_eq!((&info["loaded"], &info["sample_rate"]), (&json!(true), &json!(24_000)));
}

#[test]
fn the_pages_first_request_has_every_key_and_no_secret() {
    let data = Server::start().get("/api/ui/initial-data").json();
    let expected =
        ["config", "initial_gen_result", "model_info", "predefined_voices", "presets", "reference_files"];
    assert_eq!(keys(&data), expected);
    let result = [
        "filename",
        "genTime",
        "outputUrl",
        "submittedCloneFile",
        "submittedPredefinedVoice",
        "submittedVoiceMode",
    ];
    assert_eq!(keys(&data["initial_gen_result"]), result);
    for section in ["server", "model", "tts_engine", "generation_defaults", "audio_output", "ui_state", "ui"]
    {
        assert!(data["config"][section].is_object(), "{section}");
    }
    assert_eq!(keys(&data["predefined_voices"][0]), ["display_name", "filename"]);
    assert!(!data.to_string().contains("password"));
}

#[test]
fn uploads_answer_with_the_keys_of_their_kind_and_judge_by_content() {
    let server = Server::start();
    let sound = wav(2.5, 220.0);
    for (path, list) in
        [("/upload_reference", "all_reference_files"), ("/upload_predefined_voice", "all_predefined_voices")]
    {
        let answer = form(
            &server,
            path,
            &[("files", Some("My Voice.wav"), &sound), ("files", Some("x.wav"), b"text")],
        );
        assert_eq!(answer.status, 200, "{}", answer.text());
        let answer = answer.json();
        let mut expected = vec![list, "errors", "message", "uploaded_files"];
        expected.sort_unstable();
        assert_eq!(keys(&answer), expected);
        assert_eq!(answer["message"], "Processed 2 file(s).");
        assert_eq!(answer["uploaded_files"], json!(["my-voice.wav"]));
        assert_eq!(answer["errors"][0]["filename"], "x.wav");
    }
    assert_eq!(server.get("/get_reference_files").json(), json!(["my-voice.wav"]));
    let nothing = form(&server, "/upload_reference", &[("files", Some("x.wav"), b"text")]);
    assert_eq!(nothing.status, 400);
}

#[test]
fn settings_are_saved_beside_the_users_file_and_only_those_that_requests_mean_by_default() {
    let server = Server::start();
    let file = server.data.path().join("saved-settings.json");
    let answer = server.post(
        "/save_settings",
        &json!({ "generation_defaults": { "temperature": 0.7 }, "ui_state": { "last_text": "private" }, "server": { "port": 1 } }),
    );
    assert_eq!(answer.status, 200, "{}", answer.text());
    let answer = answer.json();
    assert_eq!(answer["restart_needed"], true);
    assert!(answer["message"].is_string());
    assert_eq!(answer["saved"], json!(["generation_defaults.temperature"]));
    assert_eq!(answer["ignored"], json!(["server.port", "ui_state.last_text"]));
    let kept = std::fs::read_to_string(&file).unwrap();
    assert_eq!(kept, r#"{"generation_defaults":{"temperature":0.7}}"#);

    let shown = server.get("/api/settings").json();
    assert_eq!(shown["saved"], json!({ "generation_defaults": { "temperature": 0.7 } }));
    assert_eq!(
        (&shown["now"]["generation_defaults"]["temperature"], &shown["restart_needed"]),
        (&json!(null), &json!(true))
    );
    assert!(shown["now"].get("webhooks").is_none() && shown["now"].get("hub").is_none());

    let nothing = server.post("/save_settings", &json!({ "ui_state": { "theme": "dark" } })).json();
    assert_eq!(nothing["restart_needed"], false);
    let wrong = server.post("/save_settings", &json!({ "generation_defaults": { "temperature": 9 } }));
    assert_eq!(wrong.status, 422);
    assert!(wrong.detail().contains("generation_defaults.temperature"), "{}", wrong.detail());
    assert_eq!(server.post_raw("/save_settings", Some("application/json"), b"{").status, 400);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), kept, "a refusal changes nothing");

    let reset = server.post_raw("/reset_settings", None, b"");
    assert_eq!((reset.status, &reset.json()["restart_needed"]), (200, &json!(true)));
    assert!(!file.exists());
    let shown = server.get("/api/settings").json();
    assert_eq!((&shown["saved"], &shown["restart_needed"]), (&json!({}), &json!(false)));
    assert_eq!(server.post_raw("/reset_settings", None, b"").status, 200, "twice is once");
}

#[test]
fn unloading_and_restarting_answer_as_there_and_speech_goes_on() {
    let server = Server::start_ready();
    let unloaded = server.post_raw("/api/unload", None, b"");
    assert_eq!((unloaded.status, unloaded.json()), (200, json!({ "status": "unloaded" })));
    // There, every request would now be 503 until somebody restarts it.
    assert_eq!(server.post("/tts", &json!({ "text": "Hi" })).status, 200);
    let restarted = server.post_raw("/restart_server", None, b"");
    assert_eq!((restarted.status, &restarted.json()["restart_needed"]), (200, &json!(false)));
    assert!(restarted.json()["message"].is_string());
    assert_eq!(server.post("/tts", &json!({ "text": "Hi" })).status, 200);
}

#[test]
fn results_are_in_the_folder_of_outputs_under_their_names_only() {
    let server = Server::start();
    let id = server.enqueue(&json!({ "text": "Hi" }));
    server.wait_for(&id, &["completed"]);
    let result = server.get(&format!("/tts/{id}/result"));
    let output = server.get(&format!("/outputs/{id}.wav"));
    assert_eq!((output.status, output.body), (200, result.body));
    for name in
        [format!("{id}.flac"), id, "declaim.db".to_owned(), "..%2Fdeclaim.db".to_owned(), "lock".to_owned()]
    {
        assert_eq!(server.get(&format!("/outputs/{name}")).status, 404, "{name}");
    }
}

#[test]
fn openais_speech_finds_voices_by_file_name_and_needs_no_model() {
    let server = Server::start();
    let listed = server.get("/v1/audio/voices?model=anything-else");
    assert_eq!(listed.status, 404);
    let answer = server.post(
        "/v1/audio/speech",
        &json!({ "input": "Hi", "voice": "hum.wav", "response_format": "wav", "seed": 5 }),
    );
    assert_eq!((answer.status, answer.header("content-type")), (200, "audio/wav"));
    // There, an empty input was a mistake of the server.
    assert_eq!(server.post("/v1/audio/speech", &json!({ "input": "", "voice": "hum.wav" })).status, 400);
}
