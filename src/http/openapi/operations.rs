//! Every operation: what it is for, what it takes, what it gives. What an operation refuses is told in one shape.

use serde_json::{Value, json};

use super::keys::keys;
use super::queue::{batches, jobs};
use super::{Operation, reference};
use crate::speech::AudioFormat;

pub(super) const TAGS: [(&str, &str); 11] = [
    ("Speech", "Text in, sound in the answer"),
    ("Jobs", "Text in, sound later; a job survives the server"),
    ("Batches", "Many texts as one"),
    ("Voices", "Which voices there are, and adding your own"),
    ("Models", "Which models there are, bringing them here, and their place in memory"),
    ("Server", "What it is and how it is doing"),
    ("Keys", "Who may ask, for what, and how much"),
    ("OpenAI", "For OpenAI's clients"),
    ("ElevenLabs", "For ElevenLabs' clients"),
    ("Chatterbox-TTS-Server", "For those who move from it"),
    ("Assistants", "The Model Context Protocol"),
];

pub(super) fn operations() -> Vec<Operation> {
    [
        speech(),
        jobs(),
        batches(),
        voices(),
        models(),
        server(),
        keys(),
        openai(),
        elevenlabs(),
        upstream(),
        assistants(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

pub(super) fn text() -> Value {
    json!({ "type": "string" })
}

/// The usual of ElevenLabs' names; any rate in between is taken too.
fn output_formats(is_wanted: impl Fn(AudioFormat) -> bool) -> Value {
    const RATES: [u32; 6] = [8_000, 16_000, 22_050, 24_000, 44_100, 48_000];

    let names = AudioFormat::ALL.into_iter().filter(|&format| is_wanted(format)).flat_map(|format| {
        let rates = RATES.into_iter().filter(move |&rate| format.has_sample_rate(rate));
        rates.map(move |rate| format!("{format}_{rate}"))
    });
    json!({ "enum": names.collect::<Vec<_>>() })
}

pub(super) fn list_of(schema: &str) -> Value {
    json!({ "type": "array", "items": reference(schema) })
}

/// An object with at least these texts.
fn texts(keys: &[&str]) -> Value {
    let properties: serde_json::Map<String, Value> =
        keys.iter().map(|key| ((*key).to_owned(), text())).collect();
    json!({ "type": "object", "properties": properties, "required": keys })
}

fn speech() -> Vec<Operation> {
    let recording = json!({
        "type": "object",
        "properties": {
            "file": { "type": "string", "format": "binary" }, "voice": text(), "model": text(),
            "output_format": text(), "seed": { "type": "integer" }
        },
        "required": ["file"]
    });
    vec![
        Operation::new("post", "/tts", "Speech", "Speak a text; the answer is the audio")
            .json_body("Speech")
            .sound("The audio. X-Declaim-Seed, X-Declaim-Job-Id and X-Declaim-Duration say how it was made"),
        Operation::new(
            "post",
            "/api/preview",
            "Speech",
            "How a text would be read out and cut, without speaking it",
        )
        .json_body("Preview")
        .json("The text in words, and its chunks", "Previewed"),
        Operation::new("post", "/api/convert", "Speech", "Say a recording again in another voice")
            .takes("multipart/form-data", recording)
            .sound("The audio"),
    ]
}

fn voices() -> Vec<Operation> {
    let clip = json!({
        "type": "object",
        "properties": {
            "file": { "type": "string", "format": "binary" }, "name": text(), "language": text(), "consent": text()
        },
        "required": ["file"]
    });
    vec![
        Operation::new("get", "/api/voices", "Voices", "Every voice, with the models that can speak with it")
            .query("model", &text(), "Voices that this model can speak with come first")
            .object("The voices", list_of("Voice")),
        Operation::new("post", "/api/voices", "Voices", "Add a clip to speak with")
            .query("name", &text(), "What to call the voice, where the body is the clip itself")
            .query("file_name", &text(), "The clip's name, likewise")
            .query("language", &text(), "What is spoken in it, likewise")
            .query("consent", &text(), "A note that the speaker agrees, likewise")
            .takes("multipart/form-data", clip)
            .takes("application/octet-stream", json!({ "type": "string", "format": "binary" }))
            .json("This very clip was there already", "Voice")
            .gives(201, "The voice", Some(("application/json", reference("Voice")))),
        Operation::new("patch", "/api/voices/{id}", "Voices", "Give a voice that was added another name")
            .takes(
                "application/json",
                json!({
                    "type": "object",
                    "properties": { "name": { "type": "string", "minLength": 1, "maxLength": 80, "pattern": "^[A-Za-z0-9 ]*[A-Za-z0-9][A-Za-z0-9 ]*$" } },
                    "required": ["name"]
                }),
            )
            .json("The voice", "Voice"),
        Operation::new("delete", "/api/voices/{id}", "Voices", "Remove a voice that was added")
            .json("It is removed", "Message"),
        Operation::new("get", "/api/voices/{id}/audio", "Voices", "The clip as it was given, also in parts")
            .sound("The clip")
            .gives(206, "The part that was asked for", Some(("audio/*", json!({ "type": "string", "format": "binary" }))))
            .gives(304, "It is the one that the client has", None),
    ]
}

fn models() -> Vec<Operation> {
    let object = || json!({ "type": "object" });
    let told = || texts(&["model", "status"]);
    vec![
        Operation::new("get", "/api/models", "Models", "Every model, installed or to be had")
            .object("The models", json!({ "type": ["object", "array"] })),
        Operation::new("delete", "/api/models/{name}", "Models", "Remove an installed model from the disk")
            .object("It is removed", object()),
        Operation::new("post", "/api/models/{name}/pull", "Models", "Bring a model here")
            .takes(
                "application/json",
                json!({ "type": "object", "properties": { "refresh": { "type": ["boolean", "null"] } } }),
            )
            .object("It is there already, or being brought", object())
            .gives(202, "It is being brought", Some(("application/json", object()))),
        Operation::new(
            "delete",
            "/api/models/{name}/pull",
            "Models",
            "Stop bringing a model; what came is kept",
        )
        .object("It stops", object()),
        Operation::new(
            "get",
            "/api/models/{name}/events",
            "Models",
            "The progress of a pull, as server-sent events",
        )
        .gives(
            200,
            "Events until it has ended",
            Some(("text/event-stream", json!({ "description": "Server-sent events" }))),
        ),
        Operation::new(
            "post",
            "/api/models/{name}/verify",
            "Models",
            "Read every file of a model and compare",
        )
        .takes("application/json", object())
        .object("What was found", object()),
        Operation::new("post", "/api/models/{name}/load", "Models", "Load a model into memory now")
            .object("It is loaded", told())
            .gives(202, "It is being loaded", Some(("application/json", told()))),
        Operation::new("post", "/api/models/{name}/unload", "Models", "Give a model's memory back")
            .object("It is unloaded, or will be after the job that uses it", told()),
    ]
}

fn server() -> Vec<Operation> {
    vec![
        Operation::new("get", "/healthz", "Server", "The process answers").object("It does", texts(&["status", "version"])),
        Operation::new("get", "/readyz", "Server", "A text sent now would be spoken").object(
            "It would",
            json!({ "type": "object", "properties": { "status": text(), "model": text(), "jobs": { "type": "object" } } }),
        ),
        Operation::new("get", "/metrics", "Server", "What it counts, for Prometheus").gives(
            200,
            "Prometheus' text format, version 0.0.4",
            Some(("text/plain; version=0.0.4; charset=utf-8", text())),
        ),
        Operation::new("get", "/api/settings", "Server", "What may be saved by /save_settings: as it holds, and as it was saved").object(
            "The settings",
            json!({
                "type": "object",
                "properties": { "now": { "type": "object" }, "saved": { "type": "object" }, "restart_needed": { "type": "boolean" } },
                "required": ["now", "saved", "restart_needed"]
            }),
        ),
        Operation::new("get", "/api/model-info", "Server", "The default model, and every other").json("The models", "ModelInfo"),
    ]
}

fn openai() -> Vec<Operation> {
    let model = json!({
        "type": "object",
        "properties": { "id": text(), "object": { "const": "model" }, "created": { "type": "integer" }, "owned_by": text() },
        "required": ["id", "object", "created", "owned_by"]
    });
    let list = json!({
        "type": "object",
        "properties": { "object": { "const": "list" }, "data": { "type": "array", "items": model } },
        "required": ["object", "data"]
    });
    vec![
        Operation::new("post", "/v1/audio/speech", "OpenAI", "Speak a text; the answer is the audio")
            .json_body("OpenAiSpeech")
            .sound("The audio as it is made; with stream_format sse as events, with stream false as a file")
            .gives(200, "The same as events", Some(("text/event-stream", json!({ "description": "Server-sent events" })))),
        Operation::new("get", "/v1/models", "OpenAI", "The models, and the names that stand for them").object("The list", list),
        Operation::new("get", "/v1/models/{name}", "OpenAI", "One model").object("The model", model),
        Operation::new("get", "/v1/audio/models", "OpenAI", "The models, where Open WebUI looks for them").object(
            "The models",
            json!({ "type": "object", "properties": { "models": { "type": "array", "items": texts(&["id", "name"]) } } }),
        ),
        Operation::new("get", "/v1/audio/voices", "OpenAI", "The voices of a model")
            .query("model", &text(), "When it is said, voices are listed as file names")
            .object(
                "The voices, as {id, name} or as file names",
                json!({
                    "type": "object",
                    "properties": {
                        "status": { "const": "ok" },
                        "voices": { "type": "array", "items": { "anyOf": [text(), texts(&["id", "name"])] } }
                    },
                    "required": ["status", "voices"]
                }),
            ),
    ]
}

fn elevenlabs() -> Vec<Operation> {
    let voices = json!({ "type": "array", "items": texts(&["voice_id", "name", "category", "description"]) });
    let speech = |path: &'static str, summary| {
        let is_live = path.contains("/stream");
        Operation::new("post", path, "ElevenLabs", summary)
            .query(
                "output_format",
                &output_formats(|format| !is_live || format.can_stream()),
                "A codec, a sample rate and perhaps a bit rate, such as wav_44100",
            )
            .json_body("ElevenLabsSpeech")
    };
    let timed = json!({
        "type": "object",
        "properties": {
            "audio_base64": text(),
            "alignment": reference("Alignment"),
            "normalized_alignment": reference("Alignment")
        },
        "required": ["audio_base64", "alignment", "normalized_alignment"]
    });
    vec![
        speech("/v1/text-to-speech/{voice}", "Speak a text in a voice; the answer is the audio")
            .sound("The audio"),
        speech("/v1/text-to-speech/{voice}/stream", "The same, heard while it is made").sound("The audio as it comes"),
        speech("/v1/text-to-speech/{voice}/with-timestamps", "The audio, and when each character is heard")
            .object("The audio as base64, and the times of the text as it was sent and as it was spoken", timed),
        speech("/v1/text-to-speech/{voice}/stream/with-timestamps", "The same in lines, while it is made").gives(
            200,
            "A line of JSON for each part of the audio; the characters' times come at the end of each chunk",
            Some(("application/x-ndjson", text())),
        ),
        Operation::new("get", "/v1/voices", "ElevenLabs", "The voices of the default model").object(
            "The voices",
            json!({ "type": "object", "properties": { "voices": voices }, "required": ["voices"] }),
        ),
        Operation::new("get", "/v1/voices/{id}", "ElevenLabs", "One voice")
            .object("The voice", texts(&["voice_id", "name", "category", "description"])),
        Operation::new("get", "/v2/voices", "ElevenLabs", "The voices of the default model, on one page").object(
            "The voices",
            json!({
                "type": "object",
                "properties": { "voices": voices, "has_more": { "const": false }, "total_count": { "type": "integer" } },
                "required": ["voices", "has_more", "total_count"]
            }),
        ),
    ]
}

fn upstream() -> Vec<Operation> {
    const TAG: &str = "Chatterbox-TTS-Server";

    let files = || json!({ "type": "array", "items": text() });
    let named = || json!({ "type": "array", "items": texts(&["display_name", "filename"]) });
    let clips = || {
        json!({
            "type": "object",
            "properties": { "files": { "type": "array", "items": { "type": "string", "format": "binary" } } },
            "required": ["files"]
        })
    };
    let restart = || {
        json!({
            "type": "object",
            "properties": {
                "message": text(),
                "restart_needed": { "type": "boolean" },
                "saved": files(),
                "ignored": files()
            },
            "required": ["message", "restart_needed"]
        })
    };
    vec![
        Operation::new("get", "/get_predefined_voices", TAG, "The voices as files").object("The voices", named()),
        Operation::new("get", "/get_reference_files", TAG, "The clips that were added, as files").object("The names", files()),
        Operation::new("post", "/upload_reference", TAG, "Add clips, each taken or refused by itself")
            .takes("multipart/form-data", clips())
            .json("At least one was taken", "Uploaded")
            .gives(400, "None was taken", Some(("application/json", json!({ "type": "object" })))),
        Operation::new("post", "/upload_predefined_voice", TAG, "Add clips, each taken or refused by itself")
            .takes("multipart/form-data", clips())
            .json("At least one was taken", "Uploaded")
            .gives(400, "None was taken", Some(("application/json", json!({ "type": "object" })))),
        Operation::new("post", "/save_settings", TAG, "Keep what requests mean by default, for the next start")
            .json_body("SavedSettings")
            .object("What was kept, and what was not", restart()),
        Operation::new("post", "/reset_settings", TAG, "Forget what was saved").object("It is forgotten", restart()),
        Operation::new("post", "/restart_server", TAG, "Load the model anew").object("It is being loaded", restart()),
        Operation::new("post", "/api/unload", TAG, "Give the memory of all models back").object("It is done, or will be", texts(&["status"])),
        Operation::new("get", "/api/ui/initial-data", TAG, "What its page asks for first").object(
            "Settings, voices, the model",
            json!({
                "type": "object",
                "required": ["config", "reference_files", "predefined_voices", "presets", "initial_gen_result", "model_info"]
            }),
        ),
    ]
}

fn assistants() -> Vec<Operation> {
    vec![
        Operation::new(
            "post",
            "/mcp",
            "Assistants",
            "One message of JSON-RPC: initialize, tools/list, tools/call",
        )
        .takes(
            "application/json",
            json!({
                "type": "object",
                "properties": {
                    "jsonrpc": { "const": "2.0" },
                    "id": { "type": ["string", "integer"] },
                    "method": text(),
                    "params": {}
                },
                "required": ["jsonrpc", "method"]
            }),
        )
        .object("The answer", json!({ "type": "object", "required": ["jsonrpc", "id"] }))
        .gives(202, "A notification was taken", None)
        .gives(400, "This is no message", Some(("application/json", json!({ "type": "object" })))),
    ]
}
