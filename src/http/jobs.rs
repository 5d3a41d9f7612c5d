//! The history of jobs: what was said, how it went, and what to do with it now.

use std::collections::HashMap;

use axum::Json;
use axum::extract::{Query, State};

use super::Context;
use super::caller::Caller;
use super::error::ApiError;
use super::extract::{Fields, Id};
use super::tts::{Status, find};
use crate::jobs::RetryOutcome;
use crate::speech::request::DraftError;

/// The newest jobs, newest first, each with its status and text. `?limit=` up to 1000; 50 when it is not said.
pub(super) async fn list(
    State(context): State<Context>,
    Query(asked): Query<HashMap<String, String>>,
) -> Result<Json<Vec<Status>>, ApiError> {
    let limit = match asked.get("limit") {
        None => 50,
        Some(text) => text.parse().ok().filter(|limit| (1..=1000).contains(limit)).ok_or_else(|| {
            DraftError::field("limit", "a whole number from 1 to 1000", format!("{text:?}"))
        })?,
    };
    let jobs = context.jobs.list(limit).await?;
    Ok(Json(jobs.iter().map(Status::listed).collect()))
}

/// Tries a failed job again, as the newest of its client; chunks that were finished are kept.
pub(super) async fn retry(
    State(context): State<Context>,
    caller: Caller,
    Id(id): Id,
    _empty: Fields,
) -> Result<Json<Status>, ApiError> {
    find(&context, &caller, id).await?;
    match context.jobs.retry(id).await? {
        RetryOutcome::Queued => Ok(Json(Status::of(&find(&context, &caller, id).await?))),
        RetryOutcome::NotFailed(status) => Err(ApiError::NotFailed { id, status }),
        RetryOutcome::Unknown => Err(ApiError::UnknownJob(id.to_string())),
    }
}
