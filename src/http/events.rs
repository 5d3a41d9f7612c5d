//! `GET /tts/{id}/events`: what happens to a job, as it happens, as server-sent events.
//!
//! Each event but `progress` has an id; a browser that lost the line sends the last one back (`Last-Event-ID`) and hears
//! what it has missed. The stream ends with the job. A comment now and then keeps proxies from cutting a silent line, and
//! tells the system about peers that are gone; how many may listen is bounded.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Query, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::sse::{self, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::sync::OwnedSemaphorePermit;

use super::Context;
use super::caller::Caller;
use super::error::ApiError;
use super::extract::Id;
use super::tts::find;
use crate::jobs::{Event, EventKind, Follower, Following, with_causes};
use crate::speech::request::DraftError;

/// Between two comments on a silent line; proxies cut after a minute.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// After which a browser that lost the line comes back.
const COME_BACK: Duration = Duration::from_secs(1);

#[derive(Debug, Deserialize)]
pub(super) struct Asked {
    /// For clients that cannot set the header `Last-Event-ID`.
    after: Option<String>,
}

pub(super) async fn events(
    State(context): State<Context>,
    caller: Caller,
    Id(id): Id,
    Query(asked): Query<Asked>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    find(&context, &caller, id).await?;
    let permit = context.follow()?;
    let resumed =
        headers.get("last-event-id").map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    let after = resume_from(resumed.or(asked.after).as_deref())?;
    let follower = context.jobs.follow(Following::Job(id), after);
    let first = sse::Event::default().retry(COME_BACK).comment("follow the job to its end");
    let listening = Listening { context, caller, follower, first: Some(first), _permit: permit };
    let mut response = Sse::new(stream::unfold(listening, Listening::next))
        .keep_alive(KeepAlive::new().interval(HEARTBEAT))
        .into_response();
    // nginx would otherwise gather events until they fill a page.
    response.headers_mut().insert("x-accel-buffering", HeaderValue::from_static("no"));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// The id of the last event that a client has, 0 for none.
pub(super) fn resume_from(id: Option<&str>) -> Result<i64, DraftError> {
    let Some(id) = id.map(str::trim).filter(|id| !id.is_empty()) else { return Ok(0) };
    id.parse()
        .ok()
        .filter(|seq| *seq >= 0)
        .ok_or_else(|| DraftError::field("Last-Event-ID", "the id of an event", format!("{id:?}")))
}

struct Listening {
    context: Context,
    caller: Caller,
    follower: Follower,
    first: Option<sse::Event>,
    _permit: OwnedSemaphorePermit,
}

impl Listening {
    async fn next(mut self) -> Option<(Result<sse::Event, Infallible>, Self)> {
        if let Some(first) = self.first.take() {
            return Some((Ok(first), self));
        }
        let closing = self.context.closing.clone();
        let next = tokio::select! {
            next = closing.run_until_cancelled(self.follower.next()) => next?,
            () = self.caller.revoked(&self.context) => return None,
        };
        let event = match next {
            Ok(event) => event?,
            Err(error) => {
                // The client comes back by itself, with the id of what it has.
                tracing::warn!(error = with_causes(&error), "cannot tell what happens to a job");
                return None;
            }
        };
        let mut told = sse::Event::default().event(event.kind.as_str());
        if let Some(seq) = event.seq {
            told = told.id(seq.to_string());
        }
        // Plain fields always have a JSON form.
        Some((Ok(told.json_data(payload(&event)).unwrap_or_default()), self))
    }
}

/// An event as clients read it: its job, its kind, its time in seconds, and what belongs to its kind.
pub(super) fn payload(event: &Arc<Event>) -> Map<String, Value> {
    let mut payload = event.data.clone();
    payload.insert("job_id".to_owned(), json!(event.job.to_string()));
    payload.insert("event".to_owned(), json!(event.kind.as_str()));
    payload.insert("at".to_owned(), json!(event.at as f64 / 1000.0));
    if event.kind == EventKind::Completed {
        payload.insert("result_url".to_owned(), json!(format!("/tts/{}/result", event.job)));
    }
    payload
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_event_id_is_refused_and_nothing_is_the_beginning() {
        assert_eq!(resume_from(None), Ok(0));
        assert_eq!(resume_from(Some(" ")), Ok(0));
        assert_eq!(resume_from(Some("17")), Ok(17));
        for wrong in ["-1", "x", "1.5", "99999999999999999999"] {
            let error = resume_from(Some(wrong)).unwrap_err().to_string();
            assert!(error.starts_with("Last-Event-ID must be the id of an event"), "{error}");
        }
    }
}
