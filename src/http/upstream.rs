//! What remains of Chatterbox-TTS-Server's routes for those who move from it: its settings, its page's first request, its
//! folder of outputs. The answers have its keys; what it leaked or let anybody change stays behind.

use std::path::Path;

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use serde_json::{Value, json};
use tokio::task::spawn_blocking;

use super::Context;
use super::caller::Caller;
use super::error::ApiError;
use super::extract::{Fields, Named};
use super::system::model_info;
use super::tts::{download, find};
use super::voices::{predefined_files, uploaded_files};
use crate::config::saved;
use crate::files;
use crate::jobs::JobId;

/// Keeps the defaults of requests that are in the body, for the next start. What a browser remembers (`ui_state`) and what is
/// the machine owner's business is not taken, and named in the answer.
pub(super) async fn save_settings(
    State(context): State<Context>,
    fields: Fields,
) -> Result<Json<Value>, ApiError> {
    let sent = fields.into_value();
    let path = context.saved_settings.clone();
    let kept = spawn_blocking(move || keep(&path, &sent)).await;
    let change = kept.map_err(|_panicked| ApiError::Bug)??;
    let message = if change.saved.is_empty() {
        "Nothing of this is kept here."
    } else {
        "Settings saved; they hold from the next start of declaim on."
    };
    Ok(Json(json!({
        "message": message,
        "restart_needed": !change.saved.is_empty(),
        "saved": change.saved,
        "ignored": change.ignored,
    })))
}

fn keep(path: &Path, sent: &Value) -> Result<saved::Change, ApiError> {
    let before = std::fs::read_to_string(path).ok();
    let change = saved::change(before.as_deref(), sent)?;
    if !change.saved.is_empty() {
        let folder = path.parent().unwrap_or(Path::new("."));
        files::write_bytes(folder, saved::SAVED, change.layer.to_string().as_bytes())?;
    }
    Ok(change)
}

/// What may be saved: as it holds now, and as it was saved for the next start. No secrets: none of them may be saved.
pub(super) async fn settings(State(context): State<Context>) -> Result<Json<Value>, ApiError> {
    let path = context.saved_settings.clone();
    let read = spawn_blocking(move || std::fs::read_to_string(path).ok()).await;
    let text = read.map_err(|_panicked| ApiError::Bug)?;
    // A file that cannot be read counts as empty, as it does when it is added to.
    let saved =
        text.and_then(|text| serde_json::from_str(&text).ok()).filter(Value::is_object).unwrap_or(json!({}));
    let now = saved::shown(&context.settings);
    Ok(Json(json!({ "restart_needed": saved::is_waiting(&saved, &now), "now": now, "saved": saved })))
}

/// Forgets what was saved; the user's own file is not touched.
pub(super) async fn reset_settings(State(context): State<Context>) -> Result<Json<Value>, ApiError> {
    let path = context.saved_settings.clone();
    let removed = spawn_blocking(move || files::remove_file(&path)).await;
    removed.map_err(|_panicked| ApiError::Bug)??;
    Ok(Json(json!({
        "message": "What was saved is forgotten; config.yaml holds from the next start on.",
        "restart_needed": true,
    })))
}

/// What upstream calls a restart: the models leave memory, and the default one is loaded again in the background. A job in
/// flight is finished first.
pub(super) async fn restart(State(context): State<Context>) -> Result<Json<Value>, ApiError> {
    for info in context.catalog().all() {
        context.engine.unload(&info.name).await;
    }
    context.engine.load(&context.catalog().default_model()?.name)?;
    Ok(Json(json!({ "message": "The model is being loaded anew.", "restart_needed": false })))
}

/// Everything that upstream's page asks for when it opens. No secrets: there are none in the settings.
pub(super) async fn initial_data(State(context): State<Context>) -> Result<Json<Value>, ApiError> {
    let settings = &context.settings;
    let defaults = &settings.generation_defaults;
    let info = model_info(State(context.clone())).await.0;
    Ok(Json(json!({
        "config": {
            "server": { "host": settings.server.host, "port": settings.server.port },
            "model": { "repo_id": info["type"] },
            "tts_engine": {
                "device": settings.tts_engine.device,
                "default_voice_id": settings.tts_engine.default_voice_id,
            },
            "generation_defaults": {
                "temperature": defaults.temperature,
                "exaggeration": defaults.exaggeration,
                "cfg_weight": defaults.cfg_weight,
                "seed": defaults.seed,
                "speed_factor": defaults.speed_factor,
                "language": defaults.language,
            },
            "audio_output": {
                "format": settings.audio_output.format,
                "sample_rate": settings.audio_output.sample_rate,
                "max_reference_duration_sec": settings.voices.max_clip_sec,
            },
            "ui_state": {},
            "ui": { "title": "declaim", "show_language_select": true },
        },
        "reference_files": uploaded_files(&context),
        "predefined_voices": predefined_files(&context)?,
        "presets": [],
        "initial_gen_result": {
            "outputUrl": null,
            "filename": null,
            "genTime": null,
            "submittedVoiceMode": null,
            "submittedPredefinedVoice": null,
            "submittedCloneFile": null,
        },
        "model_info": info,
    })))
}

/// A result by the name that its file has at first: an address that was given away keeps its meaning when a chunk is spoken again,
/// which makes a file of another name.
pub(super) async fn output(
    State(context): State<Context>,
    caller: Caller,
    Named(file): Named,
    asked: HeaderMap,
) -> Result<Response, ApiError> {
    let stem = file.split('.').next().unwrap_or_default();
    let missing = || ApiError::NoRoute(format!("/outputs/{file}"));
    let id: JobId = stem.parse().map_err(|_no_id| missing())?;
    let job = find(&context, &caller, id).await.map_err(|error| match error {
        ApiError::UnknownJob(_) => missing(),
        other => other,
    })?;
    if job.output.as_ref().is_none_or(|output| file != format!("{id}.{}", output.format)) {
        return Err(missing());
    }
    download(&context, &job, stem).await?.respond(&asked).await
}
