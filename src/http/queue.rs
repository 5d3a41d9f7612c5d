//! `/api/queue`: how the queue is doing, and holding it: pause, resume, drain.
//!
//! A pause keeps jobs from being spoken and takes new ones; it outlives a restart. A drain takes none and speaks those that
//! there are, so that a server can be replaced with nothing left to do; a start ends it.

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use super::Context;
use super::error::ApiError;
use crate::jobs::{Priority, Queue, QueueState};

pub(super) async fn show(State(context): State<Context>) -> Result<Json<Value>, ApiError> {
    Ok(Json(shown(&context.jobs.queue().await?)))
}

pub(super) async fn pause(State(context): State<Context>) -> Result<Json<Value>, ApiError> {
    context.jobs.pause().await?;
    show(State(context)).await
}

pub(super) async fn resume(State(context): State<Context>) -> Result<Json<Value>, ApiError> {
    context.jobs.resume().await?;
    show(State(context)).await
}

pub(super) async fn drain(State(context): State<Context>) -> Result<Json<Value>, ApiError> {
    context.jobs.drain().await?;
    show(State(context)).await
}

impl Context {
    /// Whether somebody who holds the line would be served.
    ///
    /// # Errors
    /// [`ApiError::Paused`].
    pub(super) fn speaks_now(&self) -> Result<(), ApiError> {
        if self.jobs.queue_state() == QueueState::Paused { Err(ApiError::Paused) } else { Ok(()) }
    }
}

/// The queue as the server tells it.
pub fn shown(queue: &Queue) -> Value {
    let all = |count: fn(&Queue, Priority) -> u64| -> u64 {
        Priority::ALL.iter().map(|&priority| count(queue, priority)).sum()
    };
    let by_priority: serde_json::Map<String, Value> = Priority::ALL
        .iter()
        .rev()
        .map(|&priority| {
            let counts = json!({ "queued": queue.queued(priority), "running": queue.running(priority) });
            (priority.as_str().to_owned(), counts)
        })
        .collect();
    json!({
        "state": queue.state,
        "since": queue.since as f64 / 1000.0,
        "queued": all(Queue::queued),
        "running": all(Queue::running),
        "by_priority": by_priority,
        "longest_wait_sec": queue.longest_wait().map(|wait| wait.as_secs_f64()),
    })
}
