//! What OpenAI's clients speak: `/v1/audio/speech` and the lists of models and voices. Speech walks the same path as `POST /tts`.
//!
//! Their names of fields are kept; every field of `POST /tts` is taken beside them, so that a client's "extra body" reaches
//! what OpenAI has no name for. `instructions` is accepted and changes nothing: no model of the family can be told how to speak.
//!
//! Sound is sent while it is made, as its clients expect it; `"stream": false` waits for the file, which then has its length.

use std::collections::HashMap;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Query, State};
use axum::response::Response;
use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde_json::{Value, json};

use super::Context;
use super::aliases;
use super::caller::Caller;
use super::dialect;
use super::error::ApiError;
use super::extract::{Fields, Named};
use super::speak::sound;
use super::stream::{self, Form, Piece};
use super::tts::{draft, timestamp};
use super::voices::file_name;
use crate::speech::SpeechRequest;
use crate::speech::request::{self, Draft, DraftError};

/// OpenAI's own.
const DEFAULT_FORMAT: &str = "mp3";

pub(super) async fn speech(
    State(context): State<Context>,
    Caller { client, .. }: Caller,
    fields: Fields,
) -> Result<Response, ApiError> {
    let wanted = speech_draft(&fields, &context).map_err(|error| error.renamed(field_name))?;
    let request = context.admitted(wanted).map_err(|error| match error {
        ApiError::Draft(error) => ApiError::Draft(error.renamed(field_name)),
        other => other,
    })?;
    let wants_events = match fields.text("stream_format")?.as_deref() {
        None | Some("audio") => false,
        Some("sse") => true,
        Some(other) => {
            return Err(DraftError::field("stream_format", "audio or sse", format!("{other:?}")).into());
        }
    };
    if wants_events {
        let form = SpeechEvents::new(&request);
        return stream::spoken_as(&context, client, request, "text/event-stream", form).await;
    }
    if fields.flag("stream")?.unwrap_or_else(|| stream::loses_nothing(&request)) {
        return stream::spoken(&context, client, request).await;
    }
    let job = context.spoken(client, request).await?;
    sound(&context, &job, &format!("speech_{}", timestamp(job.created_at))).await
}

/// OpenAI's events: `speech.audio.delta` with a part of the file, `speech.audio.done` behind the last, or `error`.
struct SpeechEvents {
    characters: usize,
    /// Of the sound so far, milliseconds.
    length: u64,
}

impl SpeechEvents {
    fn new(request: &SpeechRequest) -> Self {
        Self { characters: request.text.chars().count(), length: 0 }
    }

    fn event(data: &Value) -> Bytes {
        format!("data: {data}\n\n").into()
    }
}

impl Form for SpeechEvents {
    const TELLS_FAILURES: bool = true;

    fn piece(&mut self, piece: Piece) -> Bytes {
        self.length = piece.spoken.last().map_or(self.length, |chunk| chunk.end_ms);
        if piece.bytes.is_empty() {
            return Bytes::new();
        }
        Self::event(&json!({ "type": "speech.audio.delta", "audio": BASE64_STANDARD.encode(&piece.bytes) }))
    }

    /// Tokens are characters on the way in, and the models' speech tokens of 40 ms on the way out.
    fn end(&mut self) -> Bytes {
        let (sent, spoken) = (self.characters as u64, self.length.div_ceil(40));
        let usage = json!({ "input_tokens": sent, "output_tokens": spoken, "total_tokens": sent + spoken });
        Self::event(&json!({ "type": "speech.audio.done", "usage": usage }))
    }

    fn failure(&mut self, error: &ApiError) -> Bytes {
        let (_status, body) = dialect::openai(error);
        Self::event(&json!({ "type": "error", "error": body["error"] }))
    }
}

fn speech_draft(fields: &Fields, context: &Context) -> Result<Draft, DraftError> {
    fields.text("instructions")?;
    let model = fields.text("model")?.map(|name| aliases::model(name, context));
    let voice = match fields.text_or_id("voice")? {
        Some(name) => Some(aliases::voice(name, model.as_deref(), context)?),
        None => None,
    };
    let format = fields.text("response_format")?.unwrap_or_else(|| DEFAULT_FORMAT.to_owned());
    Ok(Draft {
        text: fields.text("input")?.unwrap_or_default(),
        model,
        voice,
        reference: None,
        speed: fields.number("speed")?,
        format: Some(format),
        ..draft(fields)?
    })
}

/// What the fields of `POST /tts` are called here.
fn field_name(ours: &'static str) -> &'static str {
    match ours {
        "text" => "input",
        "predefined_voice_id" => "voice",
        "speed_factor" => "speed",
        "output_format" => "response_format",
        same => same,
    }
}

/// The models, and the names of other services that stand for them.
pub(super) async fn models(State(context): State<Context>) -> Json<Value> {
    let names = model_names(&context);
    let data: Vec<Value> = names.iter().map(|name| model_entry(name)).collect();
    Json(json!({ "object": "list", "data": data }))
}

pub(super) async fn model(
    State(context): State<Context>,
    Named(name): Named,
) -> Result<Json<Value>, ApiError> {
    let meant = aliases::model(name.clone(), &context);
    request::model(Some(&meant), context.catalog())?;
    Ok(Json(model_entry(&name)))
}

/// `{"models": [{id}]}`, where Open WebUI looks for them.
pub(super) async fn audio_models(State(context): State<Context>) -> Json<Value> {
    let models: Vec<Value> =
        model_names(&context).iter().map(|name| json!({ "id": name, "name": name })).collect();
    Json(json!({ "models": models }))
}

/// The voices that a model can speak with, as `{id, name}`, which Open WebUI reads. Clients that say `?model=` get file
/// names, as from upstream, which was asked for them by llama-swap and koboldcpp; the model may be an alias here too.
pub(super) async fn voices(
    State(context): State<Context>,
    Query(asked): Query<HashMap<String, String>>,
) -> Result<Json<Value>, ApiError> {
    let named = asked.get("model").map(|name| aliases::model(name.clone(), &context));
    let model = request::model(named.as_deref(), context.catalog())?;
    let voices: Vec<Value> = model
        .voices
        .iter()
        .map(|voice| match named {
            Some(_) => json!(file_name(&context, voice)),
            None => json!({ "id": voice.id, "object": "voice", "name": voice.name }),
        })
        .collect();
    Ok(Json(json!({ "status": "ok", "voices": voices })))
}

fn model_names(context: &Context) -> Vec<String> {
    let mut names: Vec<String> = context.catalog().all().into_iter().map(|model| model.name).collect();
    for alias in context.settings.aliases.models.keys() {
        if !names.contains(alias) {
            names.push(alias.clone());
        }
    }
    names
}

fn model_entry(name: &str) -> Value {
    // Clients want a time; nobody knows when a model was made.
    json!({ "id": name, "object": "model", "created": 0, "owned_by": "declaim" })
}
