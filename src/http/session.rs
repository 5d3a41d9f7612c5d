//! `/api/session`: a browser brings a key once and is known by a cookie from then on; and anybody may ask who they are here.

use std::convert::Infallible;

use axum::Json;
use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::Context;
use super::auth::{COOKIE, Holder, session_word};
use super::error::ApiError;
use super::extract::Fields;
use super::guard::other_origin;
use super::keys::described;
use crate::jobs::{Key, SESSION_LASTS, Scopes};
use crate::speech::request::DraftError;

/// The key that the request came with, if it did.
pub(super) struct MaybeHolder(pub(super) Option<Key>);

impl FromRequestParts<Context> for MaybeHolder {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _context: &Context) -> Result<Self, Infallible> {
        Ok(Self(parts.extensions.get::<Holder>().map(|Holder(key)| key.clone())))
    }
}

/// Who asks, what they may, and what they have used.
pub(super) async fn show(
    State(context): State<Context>,
    MaybeHolder(key): MaybeHolder,
) -> Result<Json<Value>, ApiError> {
    Ok(Json(told(&context, key.as_ref()).await?))
}

/// `{"key": …}` in, a cookie out.
pub(super) async fn begin(
    State(context): State<Context>,
    headers: HeaderMap,
    fields: Fields,
) -> Result<Response, ApiError> {
    let secret =
        fields.text("key")?.ok_or_else(|| DraftError::field("key", "a key such as dcl_…", "nothing"))?;
    if let Some(origin) = other_origin(&headers, &context.settings.server.allowed_hosts) {
        return Err(ApiError::OtherOrigin(origin));
    }
    if !context.requires_keys {
        return Ok(Json(told(&context, None).await?).into_response());
    }
    let key = context.jobs.key_of(secret.trim()).await?.ok_or(ApiError::UnknownKey)?;
    let word = context.jobs.begin_session(&key).await?;
    let mut response = Json(told(&context, Some(&key)).await?).into_response();
    set_cookie(&mut response, &headers, &word.0, SESSION_LASTS.as_secs());
    Ok(response)
}

/// Forgets the session of this browser.
pub(super) async fn end(State(context): State<Context>, headers: HeaderMap) -> Result<Response, ApiError> {
    if let Some(origin) = other_origin(&headers, &context.settings.server.allowed_hosts) {
        return Err(ApiError::OtherOrigin(origin));
    }
    if let Some(word) = session_word(&headers) {
        context.jobs.end_session(word).await?;
    }
    let mut response = Json(json!({ "message": "Signed out" })).into_response();
    set_cookie(&mut response, &headers, "", 0);
    Ok(response)
}

/// Closed to scripts, never sent by pages of other sites, and not without TLS where the page came with it.
fn set_cookie(response: &mut Response, asked: &HeaderMap, word: &str, seconds: u64) {
    let is_encrypted = asked
        .get(header::ORIGIN)
        .is_some_and(|origin| origin.as_bytes().to_ascii_lowercase().starts_with(b"https://"));
    let secure = if is_encrypted { "; Secure" } else { "" };
    let cookie = format!("{COOKIE}={word}; Path=/; HttpOnly; SameSite=Strict; Max-Age={seconds}{secure}");
    if let Ok(value) = HeaderValue::try_from(cookie) {
        response.headers_mut().insert(header::SET_COOKIE, value);
    }
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
}

async fn told(context: &Context, key: Option<&Key>) -> Result<Value, ApiError> {
    let scopes = key.map_or_else(Scopes::all, |key| key.scopes.clone());
    let key = match key {
        Some(key) => Some(described(key, context.jobs.usage(key).await?)),
        None => None,
    };
    Ok(json!({ "keys_required": context.requires_keys, "scopes": scopes, "key": key }))
}
