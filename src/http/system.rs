//! What the server is and how it is doing: the model, liveness, readiness, and a look at how a text would be cut.

use axum::Json;
use axum::extract::State;
use serde_json::{Map, Value, json};

use super::Context;
use super::error::ApiError;
use super::extract::Fields;
use super::voices::PATIENCE;
use crate::speech::chunk::Boundary;
use crate::speech::engine::EngineState;
use crate::speech::model::ModelInfo;
use crate::speech::request::{Draft, default_voice};
use crate::speech::{self};

/// Upstream's keys, then ours. Always 200: a model that is not there is an answer too.
pub(super) async fn model_info(State(context): State<Context>) -> Json<Value> {
    let state = context.engine.state().borrow().clone();
    let (word, info, error) = match &state {
        EngineState::Loading => ("loading", None, None),
        EngineState::Ready(info) => ("ready", Some(info.as_ref()), None),
        EngineState::Failed(cause) => ("failed", None, Some(cause)),
    };
    let tags = info.map_or(&[][..], |info| &info.paralinguistic_tags);
    Json(json!({
        "loaded": info.is_some(),
        "type": info.map(|info| &info.name),
        "class_name": info.map(|info| &info.class_name),
        "device": info.map(|info| &info.device),
        "sample_rate": info.map(|info| info.sample_rate),
        "supports_paralinguistic_tags": !tags.is_empty(),
        "available_paralinguistic_tags": tags,
        "turbo_available_in_package": true,
        "multilingual_available_in_package": false,
        "supports_multilingual": info.is_some_and(|info| info.languages.len() > 1),
        "supported_languages": info.map_or_else(english, languages),

        "state": word,
        "error": error,
        "name": info.map(|info| &info.name),
        "device_reason": info.map(|info| &info.device_reason),
        "max_chunk_chars": info.map(|info| info.max_chunk_chars),
        "default_voice": info.map(|info| default_voice(&context.settings, info)),
        "supports_cloning": false,
        "output_formats": ["wav", "flac"],
        "output_sample_rate": context.settings.audio_output.sample_rate,
        "max_text_chars": context.settings.limits.max_text_chars,
        "version": env!("CARGO_PKG_VERSION"),
    }))
}

/// The process answers. Restarting it helps only when this does not come.
pub(super) async fn healthz() -> Json<Value> {
    Json(json!({ "status": "ok", "version": env!("CARGO_PKG_VERSION") }))
}

/// 200 when a job sent now would be spoken: the model is loaded and the table can be read.
pub(super) async fn readyz(State(context): State<Context>) -> Result<Json<Value>, ApiError> {
    let jobs = context.jobs.counts().await?;
    match context.engine.state().borrow().clone() {
        EngineState::Ready(info) => Ok(Json(json!({ "status": "ready", "model": info.name, "jobs": jobs }))),
        EngineState::Loading => Err(ApiError::ModelLoading),
        EngineState::Failed(cause) => Err(ApiError::ModelFailed(cause)),
    }
}

/// How a text would be spoken: read out in words, cut into chunks. Costs no model time.
pub(super) async fn preview(State(context): State<Context>, fields: Fields) -> Result<Json<Value>, ApiError> {
    let model = context.model_within(PATIENCE).await?.ok_or(ApiError::ModelLoading)?;
    let draft = Draft {
        text: fields.text("text")?.unwrap_or_default(),
        normalize: fields.flag("normalize")?,
        split_text: fields.flag("split_text")?,
        chunk_size: fields.whole("chunk_size")?,
        ..Draft::default()
    };
    let request = draft.check(&context.settings, Some(&model))?;
    let planned = tokio::task::spawn_blocking(move || speech::plan(&request, &model));
    let chunks = planned.await.map_err(|_panicked| ApiError::Bug)?;
    let normalized = chunks.iter().map(|chunk| chunk.text.as_str()).collect::<Vec<_>>().join(" ");
    let chunk = |chunk: &speech::chunk::Chunk| {
        let pause = match chunk.pause {
            Boundary::Clause => "clause",
            Boundary::Sentence => "sentence",
            Boundary::Paragraph => "paragraph",
            Boundary::End => "end",
        };
        json!({ "text": chunk.text, "characters": chunk.text.chars().count(), "pause": pause })
    };
    let chunks: Vec<Value> = chunks.iter().map(chunk).collect();
    Ok(Json(json!({ "normalized": normalized, "total_chunks": chunks.len(), "chunks": chunks })))
}

fn languages(info: &ModelInfo) -> Value {
    let entry = |code: &String| (code.clone(), Value::from(language_name(code)));
    Value::Object(info.languages.iter().map(entry).collect::<Map<_, _>>())
}

/// What upstream answers while it has no model.
fn english() -> Value {
    json!({ "en": "English" })
}

/// The languages of the Chatterbox family; other codes stand for themselves.
fn language_name(code: &str) -> &str {
    match code {
        "ar" => "Arabic",
        "da" => "Danish",
        "de" => "German",
        "el" => "Greek",
        "en" => "English",
        "es" => "Spanish",
        "fi" => "Finnish",
        "fr" => "French",
        "he" => "Hebrew",
        "hi" => "Hindi",
        "it" => "Italian",
        "ja" => "Japanese",
        "ko" => "Korean",
        "ms" => "Malay",
        "nl" => "Dutch",
        "no" => "Norwegian",
        "pl" => "Polish",
        "pt" => "Portuguese",
        "ru" => "Russian",
        "sv" => "Swedish",
        "sw" => "Swahili",
        "tr" => "Turkish",
        "zh" => "Chinese",
        other => other,
    }
}
