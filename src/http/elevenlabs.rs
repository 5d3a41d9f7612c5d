//! What ElevenLabs' clients speak: speech by voice, and the list of voices. Speech walks the same path as `POST /tts`.
//!
//! Of `voice_settings` only `speed` has a meaning for this family of models; the
//! others are accepted and change nothing.

pub(super) mod timestamps;

use std::collections::HashMap;

use axum::Json;
use axum::extract::{FromRequest, FromRequestParts, Query, Request, State};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::Context;
use super::aliases;
use super::caller::Caller;
use super::error::ApiError;
use super::extract::{Fields, Named};
use super::speak::sound;
use super::stream;
use super::tts::timestamp;
use crate::jobs::Client;
use crate::speech::SpeechRequest;
use crate::speech::model::{VoiceInfo, VoiceKind};
use crate::speech::request::{self, Draft, DraftError};

/// ElevenLabs' own.
const DEFAULT_OUTPUT: &str = "mp3_44100_128";

pub(super) async fn speech(State(context): State<Context>, asked: Asked) -> Result<Response, ApiError> {
    let job = context.spoken(asked.client, asked.request).await?;
    sound(&context, &job, &format!("speech_{}", timestamp(job.created_at))).await
}

/// `/stream`: the same while it is made.
pub(super) async fn live(State(context): State<Context>, asked: Asked) -> Result<Response, ApiError> {
    stream::spoken(&context, asked.client, asked.request).await
}

/// What a client asks for, told in its own names of fields where it is wrong.
pub(super) struct Asked {
    client: Client,
    request: SpeechRequest,
}

impl FromRequest<Context> for Asked {
    type Rejection = Response;

    async fn from_request(request: Request, context: &Context) -> Result<Self, Response> {
        let (mut parts, body) = request.into_parts();
        let of_parts =
            <(Named, Query<HashMap<String, String>>, Caller)>::from_request_parts(&mut parts, context);
        let (Named(voice), Query(asked), Caller { client, .. }) = of_parts.await?;
        let fields = Fields::from_request(Request::from_parts(parts, body), context).await;
        let request = fields.and_then(|fields| checked(voice, &asked, &fields, context));
        let request = request.map_err(|error| match error {
            ApiError::Draft(error) => ApiError::Draft(error.renamed(field_name)).into_response(),
            other => other.into_response(),
        })?;
        Ok(Self { client, request })
    }
}

fn checked(
    voice: String,
    asked: &HashMap<String, String>,
    fields: &Fields,
    context: &Context,
) -> Result<SpeechRequest, ApiError> {
    let output = Output::parse(asked.get("output_format").map_or(DEFAULT_OUTPUT, String::as_str))?;
    let settings = fields.object("voice_settings")?;
    let model = fields.text("model_id")?.map(|name| aliases::model(name, context));
    let draft = Draft {
        text: fields.text("text")?.unwrap_or_default(),
        voice: Some(aliases::voice(voice, model.as_deref(), context)?),
        model,
        language: fields.text("language_code")?,
        seed: fields.whole("seed")?,
        speed: settings.map(|settings| settings.number("speed")).transpose()?.flatten(),
        format: Some(output.codec),
        sample_rate: Some(output.sample_rate),
        bitrate_kbps: output.bit_rate_kbps,
        ..Draft::default()
    };
    context.admitted(draft)
}

/// What the fields of `POST /tts` are called here.
fn field_name(ours: &'static str) -> &'static str {
    match ours {
        "predefined_voice_id" => "voice_id",
        "speed_factor" => "voice_settings.speed",
        "language" => "language_code",
        "sample_rate" | "bitrate_kbps" => "output_format",
        same => same,
    }
}

/// `codec_rate_bitrate`, such as `mp3_44100_128`, or without a bit rate, such as `pcm_16000`.
#[derive(Debug, PartialEq, Eq)]
struct Output {
    codec: String,
    /// Hz.
    sample_rate: i64,
    bit_rate_kbps: Option<i64>,
}

impl Output {
    fn parse(text: &str) -> Result<Self, DraftError> {
        let wrong = |_error| {
            let expected = "a codec, a sample rate and a bit rate, such as mp3_44100_128";
            DraftError::field("output_format", expected, format!("{text:?}"))
        };
        let mut parts = text.split('_');
        let codec = parts.next().unwrap_or_default().to_owned();
        request::format(&codec)?;
        let sample_rate = parts.next().unwrap_or_default().parse().map_err(|_no_number| wrong(()))?;
        let bit_rate_kbps = parts.next().map(str::parse).transpose().map_err(|_no_number| wrong(()))?;
        Ok(Self { codec, sample_rate, bit_rate_kbps })
    }
}

/// The voices of the default model.
pub(super) async fn voices(State(context): State<Context>) -> Result<Json<Value>, ApiError> {
    let voices = entries(&context)?;
    Ok(Json(json!({ "voices": voices })))
}

/// The same, all on one page; `?search=` and the like are not looked at.
pub(super) async fn voices_page(State(context): State<Context>) -> Result<Json<Value>, ApiError> {
    let voices = entries(&context)?;
    let count = voices.len();
    Ok(Json(json!({ "voices": voices, "has_more": false, "total_count": count, "next_page_token": null })))
}

pub(super) async fn voice(State(context): State<Context>, Named(id): Named) -> Result<Json<Value>, ApiError> {
    let model = request::model(None, context.catalog())?;
    let id = request::voice_id(&id, &model)
        .map_err(|unknown| DraftError::Voice { field: "voice_id", unknown })?
        .to_owned();
    let voice = model.voices.into_iter().find(|voice| voice.id == id).ok_or(ApiError::Bug)?;
    Ok(Json(entry(&voice)))
}

fn entries(context: &Context) -> Result<Vec<Value>, ApiError> {
    Ok(request::model(None, context.catalog())?.voices.iter().map(entry).collect())
}

fn entry(voice: &VoiceInfo) -> Value {
    let category = match voice.kind {
        VoiceKind::BuiltIn | VoiceKind::Predefined => "premade",
        VoiceKind::Uploaded => "cloned",
    };
    let mut labels = json!({ "language": voice.language });
    if let Some(gender) = &voice.gender {
        labels["gender"] = json!(gender);
    }
    json!({
        "voice_id": voice.id,
        "name": voice.name,
        "category": category,
        "description": voice.origin,
        "labels": labels,
        "preview_url": null,
        "available_for_tiers": [],
        "high_quality_base_model_ids": [],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_output_format_is_a_codec_and_a_rate_with_or_without_a_bit_rate() {
        let output = |codec: &str, sample_rate, bit_rate_kbps| {
            Ok(Output { codec: codec.to_owned(), sample_rate, bit_rate_kbps })
        };
        assert_eq!(Output::parse("wav_16000"), output("wav", 16_000, None));
        assert_eq!(Output::parse("mp3_44100_128"), output("mp3", 44_100, Some(128)));
        for wrong in ["wav", "wav_", "mp3_44100_x", "wav_x", "_44100", "vinyl_33000", ""] {
            let error = Output::parse(wrong).unwrap_err();
            assert_eq!(error.field_name(), Some("output_format"), "{wrong:?}");
        }
    }
}
