//! What the server is and how it is doing: the models, liveness, readiness, and a look at how a text would be cut.

use std::time::Instant;

use axum::Json;
use axum::extract::State;
use serde_json::{Map, Value, json};

use super::Context;
use super::error::ApiError;
use super::extract::Fields;
use super::session::MaybeHolder;
use crate::jobs::QueueState;
use crate::speech::AudioFormat;
use crate::speech::chatterbox::language_name;
use crate::speech::chunk::Boundary;
use crate::speech::engine::{ModelState, ModelStatus};
use crate::speech::model::ModelInfo;
use crate::speech::request::{self, Draft, default_voice};
use crate::speech::stitch::Pauses;
use crate::speech::{self};

/// Upstream's keys for the default model, then ours, then every model. Always 200: a model that is not there is an answer
/// too.
pub(super) async fn model_info(State(context): State<Context>) -> Json<Value> {
    let catalog = context.catalog();
    let states = context.engine.states().borrow().clone();
    let default = catalog.default_model();
    let info = default.as_ref().ok();
    let state = match &default {
        Ok(info) => states.of(&info.name).state,
        // Whoever configured it learns what there is instead.
        Err(unknown) => ModelState::Failed { reason: unknown.to_string(), retry_at: Instant::now() },
    };
    let loaded = match &state {
        ModelState::Ready { loaded, .. } => Some(loaded),
        ModelState::Unloaded { .. } | ModelState::Loading | ModelState::Failed { .. } => None,
    };
    let tags = info.map_or(&[][..], |info| &info.paralinguistic_tags);
    let all = catalog.all();
    let spoken = context.jobs.real_time_factors();
    let models: Vec<Value> = all
        .iter()
        .map(|model| {
            let mut one = described(model, &states.of(&model.name), info.map(|info| &info.name));
            one["real_time_factor"] = json!(spoken.get(&model.name));
            one
        })
        .collect();
    let engine = context.engine.settings();
    Json(json!({
        "loaded": loaded.is_some(),
        "type": info.map(|info| &info.name),
        "class_name": info.map(|info| &info.class_name),
        "device": loaded.map(|loaded| &loaded.device),
        "sample_rate": info.map(|info| info.sample_rate),
        "supports_paralinguistic_tags": !tags.is_empty(),
        "available_paralinguistic_tags": tags,
        "turbo_available_in_package": true,
        "multilingual_available_in_package": all.iter().any(is_multilingual),
        "supports_multilingual": info.is_some_and(is_multilingual),
        "supported_languages": info.map_or_else(english, languages),

        "state": state.as_str(),
        "queue": context.jobs.queue_state(),
        "error": reason(&state),
        "name": info.map(|info| &info.name),
        "device_reason": loaded.map(|loaded| &loaded.device_reason),
        "max_chunk_chars": info.map(|info| info.max_chunk_chars),
        "default_voice": info.map(|info| default_voice(&context.settings, info)),
        "supports_cloning": info.is_some_and(|info| info.cloning.is_some()),
        "models": models,
        "memory_budget_mb": engine.memory_bytes.map(megabytes),
        "unload_after_min": engine.unload_after.map(|after| after.as_secs_f64() / 60.0),
        "watermark": context.settings.model.watermark,
        "output_formats": AudioFormat::ALL,
        "output_sample_rate": context.settings.audio_output.sample_rate,
        "max_text_chars": context.settings.limits.max_text_chars,
        "version": env!("CARGO_PKG_VERSION"),
    }))
}

/// One model: what it is, and how it is doing.
fn described(info: &ModelInfo, status: &ModelStatus, default: Option<&String>) -> Value {
    let (loaded, load_time) = match &status.state {
        ModelState::Ready { loaded, load_time } => (Some(loaded), Some(load_time.as_secs_f64())),
        ModelState::Unloaded { .. } | ModelState::Loading | ModelState::Failed { .. } => (None, None),
    };
    let why = match &status.state {
        ModelState::Unloaded { why } => why.as_ref(),
        ModelState::Loading | ModelState::Ready { .. } | ModelState::Failed { .. } => None,
    };
    json!({
        "name": info.name,
        "class_name": info.class_name,
        "default": default == Some(&info.name),
        "languages": info.languages,
        "supports_cloning": info.cloning.is_some(),
        "supports_paralinguistic_tags": !info.paralinguistic_tags.is_empty(),
        "watermarked": loaded.map_or(info.watermarked, |loaded| loaded.watermarked),
        "available_paralinguistic_tags": info.paralinguistic_tags,
        "parameters": info.parameters,
        "max_chunk_chars": info.max_chunk_chars,
        "state": status.state.as_str(),
        "error": reason(&status.state),
        "why_unloaded": why,
        "device": loaded.map(|loaded| &loaded.device),
        "device_reason": loaded.map(|loaded| &loaded.device_reason),
        "precision": loaded.map(|loaded| &loaded.precision),
        "self_test": loaded.map(|loaded| &loaded.self_test),
        "memory_mb": megabytes(loaded.map_or(info.memory_bytes, |loaded| loaded.resident_bytes)),
        "load_sec": load_time,
        "in_use": status.in_use,
        "idle_sec": status.idle().map(|idle| idle.as_secs_f64()),
    })
}

fn reason(state: &ModelState) -> Option<&String> {
    match state {
        ModelState::Failed { reason, .. } => Some(reason),
        ModelState::Unloaded { .. } | ModelState::Loading | ModelState::Ready { .. } => None,
    }
}

fn is_multilingual(info: &ModelInfo) -> bool {
    info.languages.len() > 1
}

/// Rounded up: what takes memory never shows as none.
fn megabytes(bytes: u64) -> u64 {
    bytes.div_ceil(1 << 20)
}

/// The process answers. Restarting it helps only when this does not come.
pub(super) async fn healthz() -> Json<Value> {
    Json(json!({ "status": "ok", "version": env!("CARGO_PKG_VERSION") }))
}

/// 200 when a job sent now would be spoken: the default model is loaded, or would be at once, the table can be read, and the
/// queue is neither paused nor drained. How many jobs there are is told to those who may see them.
pub(super) async fn readyz(
    State(context): State<Context>,
    MaybeHolder(key): MaybeHolder,
) -> Result<Json<Value>, ApiError> {
    let jobs = context.jobs.counts().await?;
    match context.jobs.queue().await?.state {
        QueueState::Running => {}
        QueueState::Paused => return Err(ApiError::Paused),
        QueueState::Draining => return Err(ApiError::Draining),
    }
    let info = request::model(None, context.catalog())?;
    match context.engine.status_of(&info.name).state {
        ModelState::Ready { .. } | ModelState::Unloaded { .. } => {
            let mut told = json!({ "status": "ready", "model": info.name });
            if key.is_some() || !context.requires_keys {
                told["jobs"] = json!(jobs);
            }
            Ok(Json(told))
        }
        ModelState::Loading => Err(ApiError::ModelLoading),
        ModelState::Failed { reason, retry_at } => {
            let retry_in = retry_at.saturating_duration_since(Instant::now());
            Err(ApiError::ModelFailed { model: info.name, reason, retry_in })
        }
    }
}

/// How a text would be spoken: read out in words, cut into chunks. Costs no model time.
pub(super) async fn preview(State(context): State<Context>, fields: Fields) -> Result<Json<Value>, ApiError> {
    let draft = Draft {
        text: fields.text("text")?.unwrap_or_default(),
        model: fields.text("model")?,
        normalize: fields.flag("normalize")?,
        split_text: fields.flag("split_text")?,
        chunk_size: fields.whole("chunk_size")?,
        voice: fields.text("predefined_voice_id")?,
        language: fields.text("language")?,
        sentence_pause_ms: fields.whole("sentence_pause_ms")?,
        paragraph_pause_ms: fields.whole("paragraph_pause_ms")?,
        ..Draft::default()
    };
    let model = request::model(draft.model.as_deref(), context.catalog())?;
    let request = draft.check(&context.settings, context.catalog())?;
    let (pauses, voice) = (Pauses::of(&request.processing), request.voice.clone());
    let planned = tokio::task::spawn_blocking(move || speech::plan(&request, &model));
    let chunks = planned.await.map_err(|_panicked| ApiError::Bug)?;
    let normalized = chunks.iter().map(|chunk| chunk.text.as_str()).collect::<Vec<_>>().join(" ");
    let chunk = |chunk: &speech::chunk::Chunk| {
        let pause = match chunk.pause {
            Boundary::Clause => "clause",
            Boundary::Sentence => "sentence",
            Boundary::Paragraph => "paragraph",
            Boundary::Pause(_) => "pause",
            Boundary::End => "end",
        };
        let pause_ms = pauses.after(chunk.pause).as_millis() as u64;
        json!({
            "text": chunk.text,
            "characters": chunk.text.chars().count(),
            "pause": pause,
            "pause_ms": pause_ms,
            "voice": chunk.voice.as_ref().unwrap_or(&voice),
            "rate": chunk.rate,
        })
    };
    let chunks: Vec<Value> = chunks.iter().map(chunk).collect();
    Ok(Json(json!({ "normalized": normalized, "total_chunks": chunks.len(), "chunks": chunks })))
}

fn languages(info: &ModelInfo) -> Value {
    let entry = |code: &String| (code.clone(), Value::from(language_name(code).unwrap_or(code)));
    Value::Object(info.languages.iter().map(entry).collect::<Map<_, _>>())
}

/// What upstream answers while it has no model.
fn english() -> Value {
    json!({ "en": "English" })
}
