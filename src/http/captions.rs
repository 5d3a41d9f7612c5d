//! When each sentence of a result is heard, in the forms that players and programs read.

use std::collections::HashMap;

use axum::Json;
use axum::extract::{Query, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};

use super::Context;
use super::caller::Caller;
use super::error::ApiError;
use super::extract::Id;
use super::tts::{find, output};
use crate::speech::request::DraftError;

/// `?format=` srt (the default), vtt, or json, which also tells of the takes. JSON is also given while a job is spoken to
/// somebody: what was sent to him, and the text of what comes `next`.
pub(super) async fn captions(
    State(context): State<Context>,
    caller: Caller,
    Id(id): Id,
    Query(asked): Query<HashMap<String, String>>,
) -> Result<Response, ApiError> {
    let job = find(&context, &caller, id).await?;
    if !job.status.is_final()
        && asked.get("format").is_some_and(|format| format == "json")
        && let Some(heard) = context.jobs.heard_when(&job)
    {
        return Ok(Json(heard).into_response());
    }
    output(&job)?;
    let timeline = context.jobs.spoken_when(&job).await.ok_or(ApiError::AudioGone(id))?;
    let (media_type, text) = match asked.get("format").map_or("srt", String::as_str) {
        "srt" => ("application/x-subrip; charset=utf-8", timeline.to_srt()),
        "vtt" => ("text/vtt; charset=utf-8", timeline.to_vtt()),
        "json" => return Ok(Json(timeline).into_response()),
        other => return Err(DraftError::field("format", "srt, vtt or json", format!("{other:?}")).into()),
    };
    Ok(([(header::CONTENT_TYPE, media_type)], text).into_response())
}
