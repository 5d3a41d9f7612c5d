//! Clips coming in, as `multipart/form-data` or as the body itself. Their content is checked, never their name; each is
//! held in memory once and counted while it arrives.

use std::collections::HashMap;

use axum::Json;
use axum::body::Body;
use axum::extract::multipart::{Field, MultipartError, MultipartRejection};
use axum::extract::{FromRequest, Multipart, Query, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tokio::task::spawn_blocking;

use super::Context;
use super::error::ApiError;
use super::extract::media_type;
use super::voices::{Voice, predefined_files, uploaded_files};
use crate::speech::request;
use crate::voices::clip::ClipError;
use crate::voices::{Added, LibraryError, Upload};

/// Bytes of a text field of a form.
const MAX_TEXT: u64 = 4096;

/// Adds one voice. A form has the clip in `file` beside `name`, `language` and `consent`; a bare body has these in the query,
/// and `file_name` for a name that was not said. 201, or 200 when this very clip is there already.
pub(super) async fn add(
    State(context): State<Context>,
    Query(asked): Query<HashMap<String, String>>,
    request: Request,
) -> Result<Response, ApiError> {
    let _permit = context.uploading.acquire().await.map_err(|_closed| ApiError::Bug)?;
    let upload = if media_type(request.headers()) == "multipart/form-data" {
        from_form(&context, request).await?
    } else {
        let said = |key: &str| asked.get(key).cloned();
        Upload {
            bytes: whole(&context, request.into_body()).await?,
            name: said("name"),
            file_name: said("file_name"),
            language: said("language"),
            consent: said("consent"),
        }
    };
    let Added { clip, is_new } = take_up(&context, upload).await?;
    let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
    let voice = Voice::of_clip(&context, &clip, &request::model(None, context.catalog())?);
    Ok((status, Json(voice)).into_response())
}

/// Upstream's upload of clips to clone.
pub(super) async fn add_references(
    State(context): State<Context>,
    form: Result<Multipart, MultipartRejection>,
) -> Result<Response, ApiError> {
    let (status, mut answer) = add_several(&context, form).await?;
    answer["all_reference_files"] = json!(uploaded_files(&context));
    Ok((status, Json(answer)).into_response())
}

/// Upstream's upload of voices to choose from. Here both are one library, so what is added is in both lists.
pub(super) async fn add_predefined(
    State(context): State<Context>,
    form: Result<Multipart, MultipartRejection>,
) -> Result<Response, ApiError> {
    let (status, mut answer) = add_several(&context, form).await?;
    answer["all_predefined_voices"] = json!(predefined_files(&context)?);
    Ok((status, Json(answer)).into_response())
}

/// Any number of clips in fields called `files`, each taken or refused by itself.
async fn add_several(
    context: &Context,
    form: Result<Multipart, MultipartRejection>,
) -> Result<(StatusCode, Value), ApiError> {
    let _permit = context.uploading.acquire().await.map_err(|_closed| ApiError::Bug)?;
    let mut form = form.map_err(|rejection| ApiError::Multipart(rejection.body_text()))?;
    let (mut uploaded, mut errors) = (Vec::new(), Vec::new());
    while let Some(mut field) = form.next_field().await.map_err(|error| unreadable(&error))? {
        let Some(file_name) = field.file_name().map(str::to_owned) else { continue };
        let added = match field_bytes(&mut field, clip_limit(context)).await {
            Ok(bytes) => {
                let upload = Upload { bytes, file_name: Some(file_name.clone()), ..Upload::default() };
                take_up(context, upload).await
            }
            Err(error) => Err(error),
        };
        match added {
            Ok(added) => uploaded.push(added.clip.file_name),
            // One that broke off leaves nothing behind it to read.
            Err(error @ ApiError::Multipart(_)) => return Err(error),
            Err(error) => errors.push(json!({ "filename": file_name, "error": error.to_string() })),
        }
    }
    let status = if uploaded.is_empty() { StatusCode::BAD_REQUEST } else { StatusCode::OK };
    let answer = json!({
        "message": format!("Processed {} file(s).", uploaded.len() + errors.len()),
        "uploaded_files": uploaded,
        "errors": errors,
    });
    Ok((status, answer))
}

async fn take_up(context: &Context, upload: Upload) -> Result<Added, ApiError> {
    let catalog = context.catalog().clone();
    let added = spawn_blocking(move || catalog.library().add(upload, &catalog.own_voice_ids()));
    Ok(added.await.map_err(|_panicked| ApiError::Bug)??)
}

async fn from_form(context: &Context, request: Request) -> Result<Upload, ApiError> {
    let form = Multipart::from_request(request, context).await;
    let mut form = form.map_err(|rejection| ApiError::Multipart(rejection.body_text()))?;
    let mut upload = Upload::default();
    let mut has_clip = false;
    while let Some(mut field) = form.next_field().await.map_err(|error| unreadable(&error))? {
        let name = field.name().unwrap_or_default().to_owned();
        match name.as_str() {
            "file" => {
                upload.file_name = field.file_name().map(str::to_owned);
                upload.bytes = field_bytes(&mut field, clip_limit(context)).await?;
                has_clip = true;
            }
            "name" => upload.name = field_text(&mut field).await?,
            "language" => upload.language = field_text(&mut field).await?,
            "consent" => upload.consent = field_text(&mut field).await?,
            _ => {}
        }
    }
    if has_clip { Ok(upload) } else { Err(ApiError::NoClip) }
}

pub(super) fn clip_limit(context: &Context) -> u64 {
    context.catalog().library().limits().max_clip_bytes
}

/// The body, as long as it may be a clip.
async fn whole(context: &Context, mut body: Body) -> Result<Vec<u8>, ApiError> {
    let most = clip_limit(context);
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(ApiError::BodyUnreadable)?;
        if let Some(data) = frame.data_ref() {
            append(&mut bytes, data, most)?;
        }
    }
    if bytes.is_empty() { Err(ApiError::NoClip) } else { Ok(bytes) }
}

pub(super) async fn field_bytes(field: &mut Field<'_>, most: u64) -> Result<Vec<u8>, ApiError> {
    let mut bytes = Vec::new();
    while let Some(chunk) = field.chunk().await.map_err(|error| unreadable(&error))? {
        append(&mut bytes, &chunk, most)?;
    }
    Ok(bytes)
}

/// `None` for an empty field, which is what a form sends that was not filled in.
pub(super) async fn field_text(field: &mut Field<'_>) -> Result<Option<String>, ApiError> {
    let bytes = field_bytes(field, MAX_TEXT).await?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    Ok((!text.trim().is_empty()).then_some(text))
}

fn append(bytes: &mut Vec<u8>, more: &[u8], most: u64) -> Result<(), ApiError> {
    if (bytes.len() + more.len()) as u64 > most {
        return Err(LibraryError::Clip(ClipError::TooLarge { most }).into());
    }
    bytes.extend_from_slice(more);
    Ok(())
}

pub(super) fn unreadable(error: &MultipartError) -> ApiError {
    ApiError::Multipart(error.body_text())
}
