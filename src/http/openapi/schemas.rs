//! The named schemas. Ranges are those that requests are checked against; `null` is "not said" everywhere.

use std::ops::RangeInclusive;

use serde_json::{Map, Value, json};

use super::keys;
use crate::config::ranges;
use crate::speech::AudioFormat;
use crate::speech::request;

/// `type`, or null.
fn optional(kind: &str) -> Value {
    json!({ "type": [kind, "null"] })
}

fn number(range: &RangeInclusive<f64>) -> Value {
    json!({ "type": ["number", "null"], "minimum": range.start(), "maximum": range.end() })
}

fn whole(least: i64, most: i64) -> Value {
    json!({ "type": ["integer", "null"], "minimum": least, "maximum": most })
}

/// A text that is not blank.
fn spoken() -> Value {
    json!({ "type": "string", "minLength": 1, "pattern": "\\S" })
}

pub(super) fn formats() -> Value {
    let mut names: Vec<Value> = AudioFormat::ALL.iter().map(|format| json!(format)).collect();
    names.push(Value::Null);
    json!({ "enum": names })
}

/// What steers a model, under the names of `POST /tts`; the other surfaces take it too.
fn sampling() -> Map<String, Value> {
    let fields = [
        ("normalize", optional("boolean")),
        ("split_text", optional("boolean")),
        ("chunk_size", whole(*ranges::CHUNK_SIZES.start() as i64, *ranges::CHUNK_SIZES.end() as i64)),
        ("temperature", number(&ranges::TEMPERATURES)),
        ("exaggeration", number(&ranges::EXAGGERATIONS)),
        ("cfg_weight", number(&ranges::CFG_WEIGHTS)),
        ("top_k", whole(1, 100_000)),
        ("top_p", number(&(0.01..=1.0))),
        ("min_p", number(&(0.0..=1.0))),
        ("repetition_penalty", number(&(1.0..=5.0))),
        ("seed", whole(-1, ranges::MAX_SEED as i64)),
        ("language", optional("string")),
    ];
    fields.into_iter().map(|(name, schema)| (name.to_owned(), schema)).collect()
}

fn object(required: &[&str], properties: Value) -> Value {
    let mut schema = json!({ "type": "object", "required": required });
    schema["properties"] = properties;
    schema
}

/// [`object`] with the fields of [`sampling`] beside its own.
fn speech(required: &[&str], properties: Value) -> Value {
    let mut schema = object(required, properties);
    if let Some(own) = schema["properties"].as_object_mut() {
        own.extend(sampling());
    }
    schema
}

/// The fields of `POST /tts` beside [`sampling`].
fn own_speech() -> Value {
    json!({
        "text": spoken(),
        "title": { "type": ["string", "null"], "maxLength": request::LONGEST_TITLE },
        "model": optional("string"),
        "voice_mode": { "enum": ["predefined", "clone", null] },
        "predefined_voice_id": optional("string"),
        "reference_audio_filename": optional("string"),
        "output_format": formats(),
        "speed_factor": number(&ranges::SPEEDS),
        // Those that every format has; docs/API.md has the others of each.
        "sample_rate": { "enum": [8_000, 12_000, 16_000, 24_000, 48_000, null] },
        "bitrate_kbps": { "enum": [32, 40, 48, null] },
        "trim_silence": optional("boolean"),
        "max_silence_ms": whole((*ranges::MAX_SILENCES.start()).into(), (*ranges::MAX_SILENCES.end()).into()),
        "sentence_pause_ms": whole((*ranges::PAUSES.start()).into(), (*ranges::PAUSES.end()).into()),
        "paragraph_pause_ms": whole((*ranges::PAUSES.start()).into(), (*ranges::PAUSES.end()).into()),
        "loudness_lufs": number(&ranges::LOUDNESSES),
        "retakes": whole(0, ranges::MAX_RETAKES.into()),
    })
}

/// The same, and whether it is heard while it is made.
fn heard_speech() -> Value {
    let mut schema = speech(&["text"], own_speech());
    schema["properties"]["stream"] = optional("boolean");
    schema
}

/// The same, and how urgent it is.
fn queued_speech() -> Value {
    let mut schema = speech(&["text"], own_speech());
    schema["properties"]["priority"] = json!({ "enum": ["high", "normal", "low", null] });
    schema["properties"]["callback_url"] =
        json!({ "type": ["string", "null"], "format": "uri", "pattern": "^https?://" });
    schema
}

/// What may be said of a chunk that is spoken again.
fn redo() -> Value {
    const NOT_OF_A_CHUNK: [&str; 4] = ["normalize", "split_text", "chunk_size", "language"];

    let mut schema = speech(
        &[],
        json!({
            "text": { "type": ["string", "null"], "pattern": "\\S" },
            "predefined_voice_id": optional("string"),
            "retakes": whole(0, ranges::MAX_RETAKES.into()),
            "priority": { "enum": ["high", "normal", "low", null] },
        }),
    );
    if let Some(fields) = schema["properties"].as_object_mut() {
        fields.retain(|name, _| !NOT_OF_A_CHUNK.contains(&name.as_str()));
    }
    schema
}

pub(super) fn schemas() -> Value {
    let text = || json!({ "type": "string" });
    let seconds = || json!({ "type": "number" });
    let count = || json!({ "type": "integer", "minimum": 0 });
    let flag = || json!({ "type": "boolean" });
    let percent = json!({ "type": "integer", "minimum": 0, "maximum": 100 });
    let states = json!({ "enum": ["queued", "running", "completed", "failed", "cancelled"] });
    let mut all = json!({
        "Speech": heard_speech(),
        "QueuedSpeech": queued_speech(),
        "OpenAiSpeech": speech(&["input"], json!({
            "input": spoken(),
            "model": optional("string"),
            "voice": { "anyOf": [optional("string"), object(&["id"], json!({ "id": text() }))] },
            "response_format": formats(),
            "speed": number(&ranges::SPEEDS),
            "instructions": optional("string"),
            "stream_format": { "enum": ["audio", "sse", null] },
            "stream": optional("boolean"),
        })),
        "ElevenLabsSpeech": object(&["text"], json!({
            "text": spoken(),
            "model_id": optional("string"),
            "language_code": optional("string"),
            "seed": whole(-1, ranges::MAX_SEED as i64),
            "voice_settings": {
                "type": ["object", "null"],
                "properties": { "speed": number(&ranges::SPEEDS) }
            },
        })),
        "Redo": redo(),
        "Alignment": object(&["characters", "character_start_times_seconds", "character_end_times_seconds"], json!({
            "characters": { "type": "array", "items": text() },
            "character_start_times_seconds": { "type": "array", "items": seconds() },
            "character_end_times_seconds": { "type": "array", "items": seconds() },
        })),
        "Preview": object(&["text"], json!({
            "text": spoken(),
            "model": optional("string"),
            "normalize": optional("boolean"),
            "split_text": optional("boolean"),
            "chunk_size": sampling()["chunk_size"],
        })),
        "Previewed": object(&["normalized", "total_chunks", "chunks"], json!({
            "normalized": text(),
            "total_chunks": count(),
            "chunks": { "type": "array", "items": object(&["text", "characters", "pause"], json!({
                "text": text(),
                "characters": count(),
                "pause": { "enum": ["clause", "sentence", "paragraph", "pause", "end"] },
                "pause_ms": count(),
                "voice": text(),
                "rate": { "type": "number" },
            })) },
        })),
        "Accepted": object(&["job_id", "status", "message", "status_url", "result_url"], json!({
            "job_id": text(), "status": states, "message": text(), "status_url": text(), "result_url": text(),
        })),
        "Job": object(&["job_id", "status", "progress", "created_at", "seed", "voice", "output_available"], json!({
            "job_id": text(),
            "status": states,
            "progress": percent,
            "created_at": seconds(),
            "started_at": seconds(),
            "first_audio_at": seconds(),
            "completed_at": seconds(),
            "elapsed_sec": seconds(),
            "seed": count(),
            "model": text(),
            "voice": text(),
            "queue_position": count(),
            "waiting_for": text(),
            "current_chunk": count(),
            "total_chunks": count(),
            "error": text(),
            "redo_of": text(),
            "redo_chunk": count(),
            "output_available": flag(),
            "output_format": text(),
            "file_size_bytes": count(),
            "duration_sec": seconds(),
            "text": text(),
        })),
        "Queue": object(&["state", "since", "queued", "running", "by_priority", "longest_wait_sec"], json!({
            "state": { "enum": ["running", "paused", "draining"] },
            "since": seconds(),
            "queued": count(),
            "running": count(),
            "by_priority": { "type": "object", "additionalProperties": object(&["queued", "running"], json!({
                "queued": count(), "running": count(),
            })) },
            "longest_wait_sec": { "type": ["number", "null"], "minimum": 0 },
        })),
        "Voice": object(&["id", "name", "kind", "language", "origin", "default", "usable", "models"], json!({
            "id": text(),
            "name": text(),
            "kind": { "enum": ["built-in", "predefined", "uploaded"] },
            "gender": optional("string"),
            "language": text(),
            "origin": text(),
            "default": flag(),
            "usable": flag(),
            "models": { "type": "array", "items": object(&["name", "usable"], json!({ "name": text(), "usable": flag() })) },
            "clip": { "type": "object" },
        })),
        "ModelInfo": object(&["loaded", "type", "state", "models", "output_formats", "version"], json!({
            "loaded": flag(),
            "type": optional("string"),
            "class_name": optional("string"),
            "device": optional("string"),
            "sample_rate": { "type": ["integer", "null"] },
            "supports_paralinguistic_tags": flag(),
            "available_paralinguistic_tags": { "type": "array", "items": text() },
            "supports_multilingual": flag(),
            "supported_languages": { "type": "object" },
            "state": text(),
            "queue": { "enum": ["running", "paused", "draining"] },
            "models": { "type": "array", "items": { "type": "object" } },
            "output_formats": { "type": "array", "items": text() },
            "version": text(),
        })),
        "Uploaded": object(&["message", "uploaded_files", "errors"], json!({
            "message": text(),
            "uploaded_files": { "type": "array", "items": text() },
            "all_reference_files": { "type": "array", "items": text() },
            "all_predefined_voices": { "type": "array", "items": { "type": "object" } },
            "errors": { "type": "array", "items": object(&["filename", "error"], json!({ "filename": text(), "error": text() })) },
        })),
        // Sections of config.yaml; what is not taken is named in the answer.
        "SavedSettings": { "type": "object" },
        "Message": object(&["message"], json!({ "message": text() })),
        "Error": object(&["detail"], json!({ "detail": text() })),
        "OpenAiError": object(&["error"], json!({
            "error": object(&["message", "type", "param", "code"], json!({
                "message": text(), "type": text(), "param": optional("string"), "code": optional("string"),
            })),
        })),
        "ElevenLabsError": object(&["detail"], json!({
            "detail": object(&["status", "message"], json!({ "status": text(), "message": text() })),
        })),
    });
    if let Some(all) = all.as_object_mut() {
        all.extend(keys::schemas().map(|(name, schema)| (name.to_owned(), schema)));
    }
    all
}
