//! `POST /api/convert`: a recording in, the same words in another voice out.
//!
//! The client holds the line, as with `POST /tts`; one that leaves cancels the work. A form has the recording in `file`,
//! beside `voice`, `model`, `output_format` and `seed`, which mean what they mean for speech.

use std::io::Cursor;
use std::sync::Arc;

use axum::extract::{FromRequest, Multipart, Request, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use tokio::task::spawn_blocking;

use super::Context;
use super::caller::Caller;
use super::error::ApiError;
use super::files::insert;
use super::speak::{DURATION, SEED};
use super::upload::{clip_limit, field_bytes, field_text, unreadable};
use crate::speech::conversion::{Wish, heard, write};
use crate::speech::engine::LeaseError;
use crate::speech::model::{ConversionRequest, ModelError};
use crate::speech::request::DraftError;
use crate::speech::{Cancel, SpeechRequest};

pub(super) async fn convert(
    State(context): State<Context>,
    caller: Caller,
    form: Request,
) -> Result<Response, ApiError> {
    let _permit = context.wait()?;
    let (request, recording) = {
        // Receiving and decoding take memory and a processor; speaking has its own queue.
        let _permit = context.uploading.acquire().await.map_err(|_closed| ApiError::Bug)?;
        let (wish, file) =
            tokio::time::timeout(context.settings.limits.request_timeout, read(&context, form))
                .await
                .map_err(|_elapsed| ApiError::TooSlow)??;
        let request = wish.check(&context.settings, context.catalog())?;
        context.admit(request.model.as_deref().unwrap_or_default())?;
        let asked = request.clone();
        let recording = spawn_blocking(move || heard(file, &asked)).await;
        (request, recording.map_err(|_panicked| ApiError::Bug)??)
    };
    let length_ms = recording.samples.len() as u64 * 1000 / u64::from(ConversionRequest::SAMPLE_RATE);
    if let Some(overdrawn) = context.jobs.beyond_audio(&caller.client.owner, length_ms).await? {
        return Err(overdrawn.into());
    }
    let cancel = Cancel::default();
    let _cancel_on_leaving = CancelOnDrop(cancel.clone());
    let converting = async {
        let model = request.model.as_deref().unwrap_or_default();
        let lease = context.engine.lease(model).await?;
        let samples = lease.convert(recording, cancel, Arc::new(|_share| {})).await;
        Ok::<_, ApiError>((samples.map_err(ApiError::Conversion)?, lease.info().sample_rate))
    };
    let (samples, rate) = tokio::select! {
        converted = converting => converted?,
        () = tokio::time::sleep(context.settings.limits.max_wait) => return Err(ApiError::TooSlow),
        () = context.stopping.cancelled() => return Err(ApiError::Conversion(ModelError::Cancelled)),
    };
    let asked = request.clone();
    let written = spawn_blocking(move || {
        let mut file = Cursor::new(Vec::new());
        let duration_ms = write(&samples, rate, &asked, &mut file)?;
        Ok((file.into_inner(), duration_ms))
    });
    let (file, duration_ms) = written.await.map_err(|_panicked| ApiError::Bug)?.map_err(ApiError::File)?;
    context.jobs.count_audio(&caller.client.owner, duration_ms).await?;
    Ok(respond(&request, file, duration_ms))
}

fn respond(request: &SpeechRequest, file: Vec<u8>, duration_ms: u64) -> Response {
    let mut response = file.into_response();
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_TYPE, request.format.media_type(request.sample_rate)),
        (SEED, request.seed.to_string()),
        (DURATION, (duration_ms as f64 / 1000.0).to_string()),
        (header::CONTENT_DISPOSITION, format!("inline; filename=\"converted.{}\"", request.format)),
    ] {
        insert(headers, name, value);
    }
    response
}

async fn read(context: &Context, request: Request) -> Result<(Wish, Vec<u8>), ApiError> {
    let form = Multipart::from_request(request, context).await;
    let mut form = form.map_err(|rejection| ApiError::Multipart(rejection.body_text()))?;
    let (mut wish, mut file) = (Wish::default(), None);
    while let Some(mut field) = form.next_field().await.map_err(|error| unreadable(&error))? {
        match field.name().unwrap_or_default() {
            "file" => file = Some(field_bytes(&mut field, clip_limit(context)).await?),
            "voice" | "predefined_voice_id" => wish.voice = field_text(&mut field).await?,
            "model" => wish.model = field_text(&mut field).await?,
            "output_format" => wish.format = field_text(&mut field).await?,
            "seed" => {
                let text = field_text(&mut field).await?;
                let wrong = |text: &str| DraftError::field("seed", "a whole number", format!("{text:?}"));
                wish.seed =
                    text.map(|text| text.trim().parse().map_err(|_no_number| wrong(&text))).transpose()?;
            }
            _ => {}
        }
    }
    Ok((wish, file.ok_or(ApiError::NoClip)?))
}

impl From<LeaseError> for ApiError {
    fn from(error: LeaseError) -> Self {
        match error {
            LeaseError::Unknown(unknown) => Self::Model(unknown),
            LeaseError::NotNow { model, reason, retry_in } => Self::ModelFailed { model, reason, retry_in },
            LeaseError::Stopped => Self::Conversion(ModelError::Cancelled),
        }
    }
}

/// A client that leaves does not keep the model busy.
struct CancelOnDrop(Cancel);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}
