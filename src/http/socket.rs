//! `GET /tts/ws`: jobs over a WebSocket. One line carries wishes one way and events the other.
//!
//! A client sends JSON texts: `subscribe` (to one job, or to all of its own), `enqueue`, `cancel`; each may carry a `ref`,
//! which its answer repeats. A client that does not read, or is no longer there, loses its line and nothing else: events
//! are kept in rows, and it can subscribe again with `after`.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::response::Response;
use futures_util::stream::{self, BoxStream, SelectAll, StreamExt};
use serde_json::{Value, json};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

use super::Context;
use super::caller::{Caller, known_by};
use super::error::ApiError;
use super::events::payload;
use super::extract::{Fields, parse};
use super::tts::{callback, checked, find, priority};
use crate::jobs::{CancelOutcome, Event, Following, JobId, NewJob, StoreError};
use crate::speech::request::DraftError;

/// Between two questions whether the client is still there.
const HEARTBEAT: Duration = Duration::from_secs(20);

/// Without a sign of life for so long, the client is gone.
const SILENCE: Duration = Duration::from_secs(50);

/// A client that does not take a message for so long is gone.
const PATIENCE: Duration = Duration::from_secs(10);

/// Subscriptions on one line.
const MAX_SUBSCRIPTIONS: usize = 64;

pub(super) async fn socket(
    State(context): State<Context>,
    caller: Caller,
    upgrade: WebSocketUpgrade,
) -> Result<Response, ApiError> {
    let permit = context.follow()?;
    let limit = context.settings.limits.max_body_bytes;
    let line = upgrade.max_message_size(limit).max_frame_size(limit);
    Ok(line.on_upgrade(move |socket| Line::new(context, caller, permit).run(socket)))
}

type Events = BoxStream<'static, Result<Arc<Event>, StoreError>>;

struct Line {
    context: Context,
    caller: Caller,
    subscriptions: SelectAll<Events>,
    _permit: OwnedSemaphorePermit,
}

impl Line {
    fn new(context: Context, caller: Caller, permit: OwnedSemaphorePermit) -> Self {
        Self { context, caller, subscriptions: SelectAll::new(), _permit: permit }
    }

    async fn run(mut self, mut socket: WebSocket) {
        let closing = self.context.closing.clone();
        let mut heartbeat = tokio::time::interval(HEARTBEAT);
        let mut heard = Instant::now();
        let (caller, context) = (self.caller.clone(), self.context.clone());
        let mut revoked = std::pin::pin!(caller.revoked(&context));
        loop {
            let message = tokio::select! {
                () = closing.cancelled() => break,
                () = &mut revoked => break,
                _ = heartbeat.tick() => {
                    if heard.elapsed() > SILENCE {
                        break;
                    }
                    Message::Ping(axum::body::Bytes::new())
                }
                Some(event) = self.subscriptions.next(), if !self.subscriptions.is_empty() => match event {
                    Ok(event) => {
                        let mut told = payload(&event);
                        told.insert("type".to_owned(), json!("event"));
                        told.insert("id".to_owned(), json!(event.seq));
                        Message::Text(Value::Object(told).to_string().into())
                    }
                    Err(error) => {
                        tracing::warn!(%error, "cannot tell what happens to jobs");
                        break;
                    }
                },
                received = socket.recv() => {
                    heard = Instant::now();
                    match received {
                        Some(Ok(Message::Text(text))) => {
                            Message::Text(self.answer(text.as_bytes()).await.to_string().into())
                        }
                        Some(Ok(Message::Binary(bytes))) => {
                            Message::Text(self.answer(&bytes).await.to_string().into())
                        }
                        // The library answers pings.
                        Some(Ok(Message::Ping(_) | Message::Pong(_))) => continue,
                        Some(Ok(Message::Close(_)) | Err(_)) | None => return,
                    }
                }
            };
            match tokio::time::timeout(PATIENCE, socket.send(message)).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) | Err(_) => return,
            }
        }
        // Politely, if the client listens.
        let _ = tokio::time::timeout(PATIENCE, socket.send(Message::Close(None))).await;
    }

    async fn answer(&mut self, message: &[u8]) -> Value {
        let (reference, answered) = match parse(message) {
            Ok(wish) => (wish.value("ref").cloned(), self.fulfil(&wish).await),
            Err(error) => (None, Err(error)),
        };
        let mut answer = answered.unwrap_or_else(|error| {
            json!({ "type": "error", "status": error.status().as_u16(), "detail": error.to_string() })
        });
        if let (Some(reference), Some(fields)) = (reference, answer.as_object_mut()) {
            fields.insert("ref".to_owned(), reference);
        }
        answer
    }

    async fn fulfil(&mut self, wish: &Fields) -> Result<Value, ApiError> {
        match wish.text("type")?.as_deref() {
            Some("subscribe") => self.subscribe(wish).await,
            Some("enqueue") => enqueue(&self.context, &self.caller, wish).await,
            Some("cancel") => cancel(&self.context, &self.caller, wish).await,
            other => {
                let found = format!("{:?}", other.unwrap_or_default());
                Err(DraftError::field("type", "subscribe, enqueue or cancel", found).into())
            }
        }
    }

    /// Of one job from `after` on (from its beginning when that is not said), or of all jobs of this client, from now on
    /// when it is not said.
    async fn subscribe(&mut self, wish: &Fields) -> Result<Value, ApiError> {
        if self.subscriptions.len() >= MAX_SUBSCRIPTIONS {
            return Err(ApiError::TooManyFollowers { limit: MAX_SUBSCRIPTIONS });
        }
        let after = wish.whole("after")?;
        let (following, after, name) = if let Some(id) = wish.text("job_id")? {
            let id = job(&self.context, &self.caller, &id).await?;
            (Following::Job(id), after.unwrap_or_default(), json!(id.to_string()))
        } else {
            let after = match after {
                Some(after) => after,
                None => self.context.jobs.last_event().await?,
            };
            let following = match self.caller.sees() {
                Some(owner) => Following::Owner(owner.to_owned()),
                None => Following::All,
            };
            (following, after, Value::Null)
        };
        let follower = self.context.jobs.follow(following, after.max(0));
        let events = stream::unfold(follower, |mut follower| async move {
            follower.next().await.transpose().map(|event| (event, follower))
        });
        self.subscriptions.push(events.boxed());
        Ok(json!({ "type": "subscribed", "job_id": name }))
    }
}

/// The fields of `POST /tts/enqueue` beside `type`; `idempotency_key` is what the header is there.
async fn enqueue(context: &Context, caller: &Caller, wish: &Fields) -> Result<Value, ApiError> {
    let key = wish.text("idempotency_key")?;
    let idempotency = key.map(|key| known_by("idempotency_key", &key, wish)).transpose()?;
    let job = NewJob {
        client: caller.client.clone(),
        idempotency,
        callback_url: callback(wish, context)?,
        ..NewJob::new(checked(wish, context)?, priority(wish)?)
    };
    let accepted = context.jobs.accept(job).await?;
    let id = accepted.job.id;
    Ok(json!({
        "type": "accepted",
        "job_id": id.to_string(),
        "status": accepted.job.status,
        "status_url": format!("/tts/{id}/status"),
        "result_url": format!("/tts/{id}/result"),
    }))
}

async fn cancel(context: &Context, caller: &Caller, wish: &Fields) -> Result<Value, ApiError> {
    let id = job(context, caller, &wish.text("job_id")?.unwrap_or_default()).await?;
    match context.jobs.cancel(id).await? {
        CancelOutcome::Cancelled => Ok(json!({ "type": "cancelled", "job_id": id.to_string() })),
        CancelOutcome::AlreadyFinished(status) => Err(ApiError::AlreadyFinished { id, status }),
        CancelOutcome::Unknown => Err(ApiError::UnknownJob(id.to_string())),
    }
}

async fn job(context: &Context, caller: &Caller, id: &str) -> Result<JobId, ApiError> {
    let id = id.parse().map_err(|_no_uuid| ApiError::UnknownJob(id.to_owned()))?;
    Ok(find(context, caller, id).await?.id)
}
