//! `GET /tts/stream/ws`: text in, audio out, over one WebSocket. Text may come in pieces, as a language model writes it: it
//! is spoken sentence by sentence, while the next ones are still being written.
//!
//! The client sends JSON texts: `begin` with the fields of `POST /tts` (once, before any text, or not at all), `text`, `flush`
//! to have said what there is, and `end`. It gets JSON texts and, as binary messages, bytes of audio: each `audio` is
//! followed by one whole stream in the format that was asked for, up to its `audio_end`; `done` comes last. What is spoken
//! together is a job like any other. A client that leaves cancels the one that is being spoken.

use std::time::{Duration, Instant};

use axum::extract::State;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::response::Response;
use serde_json::{Value, json};
use tokio::sync::OwnedSemaphorePermit;

use super::Context;
use super::caller::Caller;
use super::error::ApiError;
use super::extract::{Fields, parse};
use super::stream::{Sound, streamable};
use super::tts::checked;
use crate::jobs::{NewJob, Priority};
use crate::speech::request::DraftError;
use crate::speech::stream::Growing;

/// A client that does not take a message, or says nothing while nothing is spoken, for so long is gone.
const PATIENCE: Duration = Duration::from_mins(1);

pub(super) async fn socket(
    State(context): State<Context>,
    caller: Caller,
    upgrade: WebSocketUpgrade,
) -> Result<Response, ApiError> {
    let permit = context.wait()?;
    let limit = context.settings.limits.max_body_bytes;
    let line = Line {
        context,
        caller,
        fields: Fields::default(),
        text: Growing::default(),
        has_ended: false,
        has_begun: false,
        wants_all: false,
        _permit: permit,
    };
    Ok(upgrade.max_message_size(limit).max_frame_size(limit).on_upgrade(move |socket| line.run(socket)))
}

/// Why the line is closed.
enum Closed {
    /// The client is gone, or does not listen.
    Gone,
    Error(ApiError),
}

impl<E: Into<ApiError>> From<E> for Closed {
    fn from(error: E) -> Self {
        Self::Error(error.into())
    }
}

struct Line {
    context: Context,
    caller: Caller,
    /// What was said once for everything.
    fields: Fields,
    text: Growing,
    has_begun: bool,
    has_ended: bool,
    /// What there is is to be said, whole sentences or not.
    wants_all: bool,
    _permit: OwnedSemaphorePermit,
}

impl Line {
    async fn run(mut self, mut socket: WebSocket) {
        let last = match self.converse(&mut socket).await {
            Ok(()) => json!({ "type": "done" }),
            Err(Closed::Gone) => return,
            Err(Closed::Error(error)) => {
                json!({ "type": "error", "status": error.status().as_u16(), "detail": error.to_string() })
            }
        };
        // Whoever has left needs no good-bye.
        if tell(&mut socket, &last).await.is_ok() {
            let _ = tokio::time::timeout(PATIENCE, socket.send(Message::Close(None))).await;
        }
    }

    /// Hears and speaks by turns until the client says that this was all.
    async fn converse(&mut self, socket: &mut WebSocket) -> Result<(), Closed> {
        loop {
            let is_all = self.has_ended || std::mem::take(&mut self.wants_all);
            let wanted = if is_all { self.text.take_all() } else { self.text.take_whole() };
            match wanted {
                Some(text) => self.speak(socket, text).await?,
                None if self.has_ended => return Ok(()),
                None => {
                    let message = tokio::select! {
                        message = tokio::time::timeout(PATIENCE, socket.recv()) => message,
                        () = self.context.stopping.cancelled() => return Err(Closed::Gone),
                        () = self.caller.revoked(&self.context) => return Err(ApiError::UnknownKey.into()),
                    };
                    self.hear(message.map_err(|_elapsed| Closed::Gone)?)?;
                }
            }
        }
    }

    fn hear(&mut self, message: Option<Result<Message, axum::Error>>) -> Result<(), Closed> {
        let message = match message {
            Some(Ok(Message::Text(text))) => parse(text.as_bytes())?,
            Some(Ok(Message::Binary(bytes))) => parse(&bytes)?,
            // The library answers pings.
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => return Ok(()),
            Some(Ok(Message::Close(_)) | Err(_)) | None => return Err(Closed::Gone),
        };
        match message.text("type")?.as_deref() {
            Some("begin") if !self.has_begun => self.fields = message,
            Some("text") => self.text.push(&message.text("text")?.unwrap_or_default()),
            Some("flush") => self.wants_all = true,
            Some("end") => self.has_ended = true,
            other => {
                let expected = "begin (first and once), text, flush or end";
                return Err(
                    DraftError::field("type", expected, format!("{:?}", other.unwrap_or_default())).into()
                );
            }
        }
        self.has_begun = true;
        let (found, limit) = (self.text.len(), self.context.settings.limits.max_text_chars);
        if found > limit {
            Err(DraftError::TextTooLong { field: "text", found, limit }.into())
        } else {
            Ok(())
        }
    }

    /// Says a text, and hears meanwhile what comes.
    async fn speak(&mut self, socket: &mut WebSocket, text: String) -> Result<(), Closed> {
        let request = checked(&self.fields.with("text", Value::String(text)), &self.context)?;
        streamable(request.format)?;
        let accepted = Instant::now();
        let job =
            NewJob { client: self.caller.client.clone(), ..NewJob::new(request, Priority::Interactive) };
        let (job, mut sound) = Sound::of(&self.context, job).await?;
        let first = sound.first(&self.context, &job, accepted).await?;
        let id = job.id.to_string();
        let about = json!({
            "type": "audio",
            "job_id": id,
            "text": job.request.text,
            "format": job.request.format.to_string(),
            "sample_rate": job.request.sample_rate,
            "first_audio_ms": accepted.elapsed().as_millis() as u64,
        });
        tell(socket, &about).await?;
        give(socket, Message::Binary(first.bytes)).await?;
        loop {
            tokio::select! {
                biased;
                piece = sound.piece() => match piece {
                    Some(Ok(piece)) => give(socket, Message::Binary(piece.bytes)).await?,
                    None => break,
                    Some(Err(_broken)) => return Err(sound.why_not(&self.context, &job).await.into()),
                },
                message = socket.recv(), if !self.has_ended => self.hear(message)?,
                () = self.context.stopping.cancelled() => {
                    sound.release();
                    return Err(ApiError::Stopping(job.id).into());
                }
            }
        }
        sound.release();
        tell(socket, &json!({ "type": "audio_end", "job_id": id })).await
    }
}

async fn tell(socket: &mut WebSocket, message: &Value) -> Result<(), Closed> {
    give(socket, Message::Text(message.to_string().into())).await
}

async fn give(socket: &mut WebSocket, message: Message) -> Result<(), Closed> {
    match tokio::time::timeout(PATIENCE, socket.send(message)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) | Err(_) => Err(Closed::Gone),
    }
}
