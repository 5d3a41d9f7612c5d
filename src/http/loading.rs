//! Models in and out of memory by hand. Nobody needs these: models are loaded when a request names them. They are for
//! whoever wants the first request to be quick, or the memory back now.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::Context;
use super::error::ApiError;
use super::extract::Named;
use crate::speech::engine::{ModelState, Unloading};

/// 200 when the model is there already, else 202: it is loaded in the background, and `/api/model-info` tells how it goes.
pub(super) async fn load(State(context): State<Context>, Named(model): Named) -> Result<Response, ApiError> {
    let info = context.catalog().find(&model)?;
    if matches!(context.engine.status_of(&info.name).state, ModelState::Ready { .. }) {
        return Ok(Json(json!({ "model": info.name, "status": "ready" })).into_response());
    }
    context.engine.load(&info.name)?;
    Ok((StatusCode::ACCEPTED, Json(json!({ "model": info.name, "status": "loading" }))).into_response())
}

/// `unloaded`, or `unloading` while a job is spoken with it: that one is finished first.
pub(super) async fn unload(
    State(context): State<Context>,
    Named(model): Named,
) -> Result<Json<Value>, ApiError> {
    let info = context.catalog().find(&model)?;
    let unloading = context.engine.unload(&info.name).await;
    Ok(Json(json!({ "model": info.name, "status": word(unloading) })))
}

/// Upstream's way to free the memory. What is needed again is loaded again.
pub(super) async fn unload_all(State(context): State<Context>) -> Json<Value> {
    let mut all = Unloading::Done;
    for info in context.catalog().all() {
        if context.engine.unload(&info.name).await == Unloading::Later {
            all = Unloading::Later;
        }
    }
    Json(json!({ "status": word(all) }))
}

fn word(unloading: Unloading) -> &'static str {
    match unloading {
        Unloading::Done => "unloaded",
        Unloading::Later => "unloading",
    }
}
