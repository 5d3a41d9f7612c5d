//! The voices there are, with which models can speak with each and why the others cannot, in our shape and in those that
//! clients of file-based servers know; renaming, removing and hearing the clips among them.

use std::collections::HashMap;
use std::io::Cursor;

use axum::Json;
use axum::extract::{Query, State};
use axum::http::HeaderMap;
use axum::response::Response;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::task::spawn_blocking;

use super::Context;
use super::error::ApiError;
use super::extract::{Fields, Named};
use super::files::Download;
use crate::speech::model::{ModelInfo, VoiceInfo, VoiceKind};
use crate::speech::request::{self, default_voice};
use crate::voices::clip::{Quality, media_type};
use crate::voices::{self, Clip, LibraryError};

/// A voice as the page and other clients see it.
#[derive(Debug, Serialize)]
pub(super) struct Voice {
    #[serde(flatten)]
    info: VoiceInfo,
    /// Whether requests without a voice get this one.
    default: bool,
    /// Whether the model that was asked about, else the default one, can speak with it.
    usable: bool,
    models: Vec<ForModel>,
    #[serde(skip_serializing_if = "Option::is_none")]
    clip: Option<ClipFacts>,
}

/// Whether one model can speak with a voice.
#[derive(Debug, Serialize)]
struct ForModel {
    name: String,
    usable: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    why_not: Option<String>,
    /// What would make a better voice of the clip, for this model; each in a sentence.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    advice: Vec<String>,
}

/// What is known of a clip beside its voice.
#[derive(Debug, Serialize)]
struct ClipFacts {
    file_name: String,
    audio_url: String,
    bytes: u64,
    duration_sec: f64,
    sample_rate: u32,
    quality: Quality,
    consent: Option<String>,
    /// Seconds since the Unix epoch.
    added_at: f64,
}

impl Voice {
    /// A clip, seen from `model`.
    pub(super) fn of_clip(context: &Context, clip: &Clip, model: &ModelInfo) -> Self {
        let models = context.catalog().all();
        let usable = |other: &ModelInfo| {
            let why_not = other.why_not(clip);
            let advice = if why_not.is_none() { other.advice(clip) } else { Vec::new() };
            ForModel { name: other.name.clone(), usable: why_not.is_none(), why_not, advice }
        };
        Self {
            info: clip.into(),
            default: default_voice(&context.settings, model) == clip.id,
            usable: model.why_not(clip).is_none(),
            models: models.iter().map(usable).collect(),
            clip: Some(ClipFacts {
                file_name: clip.file_name.clone(),
                audio_url: format!("/api/voices/{}/audio", clip.id),
                bytes: clip.bytes,
                duration_sec: clip.seconds,
                sample_rate: clip.sample_rate,
                quality: clip.quality.clone(),
                consent: clip.consent.clone(),
                added_at: clip.added as f64 / 1000.0,
            }),
        }
    }

    /// A model's own voice, seen from `model`.
    fn of_model(context: &Context, info: &VoiceInfo, models: &[ModelInfo], model: &ModelInfo) -> Self {
        let has = |other: &ModelInfo| own_voices(other).any(|own| own.id == info.id);
        let owners: Vec<&str> =
            models.iter().filter(|other| has(other)).map(|other| other.name.as_str()).collect();
        let usable = |other: &ModelInfo| ForModel {
            name: other.name.clone(),
            usable: has(other),
            why_not: (!has(other)).then(|| format!("it is built into {}", owners.join(" and "))),
            advice: Vec::new(),
        };
        Self {
            info: info.clone(),
            default: has(model) && default_voice(&context.settings, model) == info.id,
            usable: has(model),
            models: models.iter().map(usable).collect(),
            clip: None,
        }
    }
}

fn own_voices(model: &ModelInfo) -> impl Iterator<Item = &VoiceInfo> {
    model.voices.iter().filter(|voice| voice.kind == VoiceKind::BuiltIn)
}

/// Every voice of every model and every clip; those that `?model=`, else the default model, can speak with come first.
pub(super) async fn list(
    State(context): State<Context>,
    Query(asked): Query<HashMap<String, String>>,
) -> Result<Json<Vec<Voice>>, ApiError> {
    let model = request::model(asked.get("model").map(String::as_str), context.catalog())?;
    let models = context.catalog().all();
    let mut listed: Vec<Voice> = Vec::new();
    for info in models.iter().flat_map(own_voices) {
        if !listed.iter().any(|known| known.info.id == info.id) {
            listed.push(Voice::of_model(&context, info, &models, &model));
        }
    }
    for clip in context.catalog().library().clips().iter() {
        listed.push(Voice::of_clip(&context, clip, &model));
    }
    listed.sort_by_key(|voice| !voice.usable);
    Ok(Json(listed))
}

/// `[{display_name, filename}]`, sorted by name: upstream's shape, for the default model. The file names are accepted as
/// voices.
pub(super) async fn list_as_files(State(context): State<Context>) -> Result<Json<Vec<Value>>, ApiError> {
    predefined_files(&context).map(Json)
}

pub(super) fn predefined_files(context: &Context) -> Result<Vec<Value>, ApiError> {
    let model = request::model(None, context.catalog())?;
    let mut listed: Vec<&VoiceInfo> =
        model.voices.iter().filter(|voice| voice.kind != VoiceKind::Uploaded).collect();
    listed.sort_by_key(|voice| voice.name.to_lowercase());
    let entry =
        |voice: &VoiceInfo| json!({ "display_name": voice.name, "filename": file_name(context, voice) });
    Ok(listed.into_iter().map(entry).collect())
}

/// The file name under which clients of file-based servers know a voice.
pub(super) fn file_name(context: &Context, voice: &VoiceInfo) -> String {
    let is_clip = voice.kind != VoiceKind::BuiltIn;
    let clip = is_clip.then(|| context.catalog().library().clip(&voice.id)).flatten();
    clip.map_or_else(|| voices::file_name(&voice.id), |clip| clip.file_name)
}

/// `[filename]`, sorted: upstream's list of what was uploaded.
pub(super) async fn list_clips(State(context): State<Context>) -> Json<Vec<String>> {
    Json(uploaded_files(&context))
}

pub(super) fn uploaded_files(context: &Context) -> Vec<String> {
    let clips = context.catalog().library().clips();
    let uploaded = clips.iter().filter(|clip| !clip.is_predefined());
    let mut names: Vec<String> = uploaded.map(|clip| clip.file_name.clone()).collect();
    names.sort();
    names
}

/// `{"name": …}`; the id stays.
pub(super) async fn rename(
    State(context): State<Context>,
    Named(id): Named,
    fields: Fields,
) -> Result<Json<Voice>, ApiError> {
    let name = fields.text("name")?.unwrap_or_default();
    let library = context.catalog().library().clone();
    let renamed =
        spawn_blocking(move || library.rename(&id, &name)).await.map_err(|_panicked| ApiError::Bug)??;
    Ok(Json(Voice::of_clip(&context, &renamed, &request::model(None, context.catalog())?)))
}

/// Refused while a job that has not ended needs it.
pub(super) async fn remove(
    State(context): State<Context>,
    Named(id): Named,
) -> Result<Json<Value>, ApiError> {
    let library = context.catalog().library().clone();
    let voice = library.find(&id).map_err(LibraryError::from)?.id;
    let jobs = context.jobs.needing_voice(&voice).await?;
    if jobs > 0 {
        return Err(ApiError::VoiceInUse { voice, jobs });
    }
    let removed =
        spawn_blocking(move || library.remove(&voice)).await.map_err(|_panicked| ApiError::Bug)??;
    Ok(Json(json!({ "message": format!("Voice {} removed", removed.id) })))
}

/// The clip as it was given, also in parts.
pub(super) async fn audio(
    State(context): State<Context>,
    Named(id): Named,
    asked: HeaderMap,
) -> Result<Response, ApiError> {
    let clip = context.catalog().library().find(&id).map_err(LibraryError::from)?;
    let read = clip.clone();
    let bytes = spawn_blocking(move || read.read()).await.map_err(|_panicked| ApiError::Bug)?;
    let bytes = bytes.map_err(LibraryError::from)?;
    let extension = clip.file_name.rsplit('.').next().unwrap_or_default();
    // Headers are ASCII, ids need not be.
    let stem = if clip.id.is_ascii() { clip.id.as_str() } else { "voice" };
    let download = Download {
        size: bytes.len() as u64,
        file: Cursor::new(bytes),
        media_type: media_type(&clip.file_name).to_owned(),
        entity_tag: format!("\"{}\"", clip.hash),
        file_name: format!("{stem}.{extension}"),
    };
    download.respond(&asked).await
}
