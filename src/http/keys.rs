//! `/api/keys`, for administrators: which keys there are, making one, revoking one.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::Context;
use super::error::ApiError;
use super::extract::{Fields, Named};
use crate::jobs::{Key, NewKey, OwnQuota, Scope, Scopes, Usage};
use crate::speech::request::DraftError;

pub(super) async fn list(State(context): State<Context>) -> Result<Json<Value>, ApiError> {
    let keys = context.jobs.keys(false).await?;
    let keys: Vec<Value> = keys.iter().map(|(key, usage)| described(key, *usage)).collect();
    Ok(Json(json!({ "keys": keys })))
}

/// The answer has the key itself in `secret`, this once.
pub(super) async fn create(State(context): State<Context>, fields: Fields) -> Result<Response, ApiError> {
    let name = fields.text("name")?.unwrap_or_default();
    let expected = "a list of speak, voices or admin";
    let words = fields.texts("scopes")?.unwrap_or_default();
    let scopes = words.iter().map(|word| word.parse::<Scope>()).collect::<Result<Vec<_>, _>>();
    let scopes = scopes.ok().and_then(Scopes::new);
    let scopes = scopes.ok_or_else(|| DraftError::field("scopes", expected, format!("{words:?}")))?;
    let quota = OwnQuota {
        characters_per_minute: limit(&fields, "characters_per_minute")?,
        audio_seconds_per_day: limit(&fields, "audio_seconds_per_day")?,
    };
    let (key, secret) = context.jobs.create_key(NewKey { name, scopes, quota }).await?;
    let mut told = described(&key, Usage::default());
    told["secret"] = json!(secret.0);
    let mut response = (StatusCode::CREATED, Json(told)).into_response();
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// A limit of its own; 0 is none.
fn limit(fields: &Fields, name: &'static str) -> Result<Option<u32>, DraftError> {
    let Some(number) = fields.whole(name)? else { return Ok(None) };
    let limit = u32::try_from(number).map_err(|_out_of_range| {
        DraftError::field(name, "a whole number from 0 (no limit) to 4294967295", number.to_string())
    })?;
    Ok(Some(limit))
}

pub(super) async fn revoke(
    State(context): State<Context>,
    Named(id): Named,
) -> Result<Json<Value>, ApiError> {
    match context.jobs.revoke_key(&id).await? {
        Some(key) => Ok(Json(json!({ "message": format!("The key {} is revoked", key.name) }))),
        None => Err(ApiError::NoSuchKey(id)),
    }
}

/// A key as it is told to whoever may see it. Times are seconds since the Unix epoch.
pub fn described(key: &Key, usage: Usage) -> Value {
    json!({
        "id": key.id,
        "name": key.name,
        "hint": key.hint,
        "scopes": key.scopes,
        "characters_per_minute": key.quota.characters_per_minute,
        "audio_seconds_per_day": key.quota.audio_seconds_per_day,
        "created_at": key.created_at as f64 / 1000.0,
        "last_used_at": key.last_used_at.map(|at| at as f64 / 1000.0),
        "usage": {
            "characters_in_this_minute": usage.characters,
            "audio_seconds_today": usage.audio_ms as f64 / 1000.0,
        },
    })
}
