//! The voices there are, in our shape and in the one that clients of file-based servers know.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use serde_json::{Value, json};

use super::Context;
use super::error::ApiError;
use crate::speech::model::VoiceInfo;
use crate::speech::request::default_voice;
use crate::voices;

/// A list is worth waiting for: pages ask for it once, at their start, which may be the server's too.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Debug, Serialize)]
pub(super) struct Voice {
    #[serde(flatten)]
    info: VoiceInfo,
    /// Whether requests without a voice get this one.
    default: bool,
}

/// `[{id, name, gender, language, origin, default}]`
pub(super) async fn list(State(context): State<Context>) -> Result<Json<Vec<Voice>>, ApiError> {
    let model = context.model_within(PATIENCE).await?.ok_or(ApiError::ModelLoading)?;
    let default = default_voice(&context.settings, &model);
    let voice = |info: &VoiceInfo| Voice { info: info.clone(), default: info.id == default };
    Ok(Json(model.voices.iter().map(voice).collect()))
}

/// `[{display_name, filename}]`, sorted by name: upstream's shape. The file names are accepted as voices.
pub(super) async fn list_as_files(State(context): State<Context>) -> Result<Json<Vec<Value>>, ApiError> {
    let model = context.model_within(PATIENCE).await?.ok_or(ApiError::ModelLoading)?;
    let mut listed: Vec<&VoiceInfo> = model.voices.iter().collect();
    listed.sort_by_key(|voice| voice.name.to_lowercase());
    let entry =
        |voice: &VoiceInfo| json!({ "display_name": voice.name, "filename": voices::file_name(&voice.id) });
    Ok(Json(listed.into_iter().map(entry).collect()))
}
