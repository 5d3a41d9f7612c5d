//! Speech that is heard while it is made: `GET /tts/{id}/stream`, and `POST /tts` with `stream`.
//!
//! Readers block, so each has a thread; what it makes waits in a short queue until the client takes it. The status line is
//! sent with the first sound, so whatever goes wrong before has its own status. What goes wrong later breaks the connection:
//! a client can tell half a speech from a whole one.

use std::collections::HashMap;
use std::io;
use std::time::Instant;

use axum::body::{Body, Bytes};
use axum::extract::{Query, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use super::Context;
use super::caller::Caller;
use super::error::ApiError;
use super::extract::Id;
use super::files::insert;
use super::recode::in_format;
use super::speak::{Hold, load_failure, name_job};
use super::tts::{download, find, finished, format_asked};
use crate::jobs::{Client, Job, Listening, NewJob, Priority};
use crate::speech::stream::Place;
use crate::speech::timeline::SpokenText;
use crate::speech::{AudioFormat, SpeechRequest};

const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");
/// Tells nginx to pass on what it gets at once.
const ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// Pieces that wait for a client; each is at most some seconds of sound.
const WAITING_PIECES: usize = 4;

/// `GET /tts/{id}/stream`: a job from its first word on, or `?from=live`, from the chunk that is being spoken; `?format=` in
/// another format than its result's.
pub(super) async fn stream(
    State(context): State<Context>,
    Id(id): Id,
    caller: Caller,
    Query(asked): Query<HashMap<String, String>>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let place = match asked.get("from").map(String::as_str) {
        None | Some("start") => Place::Start,
        Some("live") => Place::Now,
        Some(other) => {
            return Err(crate::speech::request::DraftError::field(
                "from",
                "start or live",
                format!("{other:?}"),
            )
            .into());
        }
    };
    let format = format_asked(&asked)?;
    let permit = context.wait()?;
    let listening = context.jobs.listen(id);
    let job = find(&context, &caller, id).await?;
    if job.status.is_final() {
        tokio::task::spawn_blocking(move || drop(listening));
        // The whole is there, with its length.
        return finished(&context, &job, format).await?.respond(&headers).await;
    }
    let job = match format {
        Some(format) => Job { request: in_format(&job.request, format), ..job },
        None => job,
    };
    streamable(job.request.format)?;
    let sound = Sound { _permit: Some(permit), ..Sound::begin(listening, &job.request, place) };
    let media_type = job.request.format.media_type(job.request.sample_rate);
    sound.respond(&context, &job, Instant::now(), &media_type, Plain).await
}

/// Speaks a request for somebody who hears it as it comes. Leaving cancels the job, unless somebody else listens.
pub(super) async fn spoken(
    context: &Context,
    client: Client,
    request: SpeechRequest,
) -> Result<Response, ApiError> {
    let media_type = request.format.media_type(request.sample_rate);
    spoken_as(context, client, request, &media_type, Plain).await
}

/// [`spoken`] in a form of its own, which has this media type.
pub(super) async fn spoken_as(
    context: &Context,
    client: Client,
    request: SpeechRequest,
    media_type: &str,
    form: impl Form,
) -> Result<Response, ApiError> {
    streamable(request.format)?;
    let permit = context.wait()?;
    let accepted = Instant::now();
    let job = NewJob { client, ..NewJob::new(request, Priority::Interactive) };
    let (job, sound) = Sound::of(context, job).await?;
    let sound = Sound { _permit: Some(permit), ..sound };
    sound.respond(context, &job, accepted, media_type, form).await
}

/// Whether a request loses nothing by being heard as it comes, for surfaces whose clients do not say. A loudness is known at
/// the end, and some formats exist only whole.
pub(super) fn loses_nothing(request: &SpeechRequest) -> bool {
    request.format.can_stream() && request.processing.loudness_lufs.is_none()
}

/// A part of what a client hears.
#[derive(Debug)]
pub(super) struct Piece {
    /// May be none at the very end.
    pub(super) bytes: Bytes,
    /// The chunks that end in it.
    pub(super) spoken: Vec<SpokenText>,
    pub(super) is_last: bool,
}

/// How pieces are told to a client: as they are, or wrapped.
pub(super) trait Form: Send + 'static {
    /// Whether a failure is told in the body. Otherwise it breaks the connection, so that half a speech is none.
    const TELLS_FAILURES: bool = false;

    fn piece(&mut self, piece: Piece) -> Bytes;

    /// What is said behind the last piece.
    fn end(&mut self) -> Bytes {
        Bytes::new()
    }

    fn failure(&mut self, _error: &ApiError) -> Bytes {
        Bytes::new()
    }
}

/// The bytes as they are.
struct Plain;

impl Form for Plain {
    fn piece(&mut self, piece: Piece) -> Bytes {
        piece.bytes
    }
}

pub(super) fn streamable(format: AudioFormat) -> Result<(), ApiError> {
    if format.can_stream() { Ok(()) } else { Err(ApiError::NoStream(format)) }
}

/// What a client is sent.
pub(super) struct Sound {
    pieces: mpsc::Receiver<io::Result<Piece>>,
    /// Cancels the job of a client that leaves.
    hold: Option<Hold>,
    /// To wait, among a bounded number of clients.
    _permit: Option<OwnedSemaphorePermit>,
}

impl Sound {
    /// Accepts a job and listens to it. Dropping the sound cancels it, unless somebody else listens.
    pub(super) async fn of(context: &Context, job: NewJob) -> Result<(Job, Self), ApiError> {
        context.speaks_now()?;
        let (job, listening) = context.jobs.accept_heard(job).await?;
        let hold = Some(Hold::while_listening(&context.jobs, job.id));
        let sound = Self { hold, ..Self::begin(listening, &job.request, Place::Start) };
        Ok((job, sound))
    }

    fn begin(listening: Listening, request: &SpeechRequest, place: Place) -> Self {
        let (send, pieces) = mpsc::channel(WAITING_PIECES);
        let mut reader = listening.reader(request.clone(), place);
        // Ends soon after its receiver is gone.
        tokio::task::spawn_blocking(move || {
            loop {
                let next = reader.next(|| !send.is_closed());
                let (spoken, is_last) = (reader.take_spoken(), reader.is_over());
                let piece = match next {
                    Ok(None) if spoken.is_empty() => break,
                    Ok(bytes) => Ok(Piece { bytes: bytes.unwrap_or_default().into(), spoken, is_last }),
                    Err(error) => Err(io::Error::other(error)),
                };
                let is_last = is_last || piece.is_err();
                if send.blocking_send(piece).is_err() || is_last {
                    break;
                }
            }
            drop(listening);
        });
        Self { pieces, hold: None, _permit: None }
    }

    /// Waits for the first sound.
    async fn respond(
        mut self,
        context: &Context,
        job: &Job,
        accepted: Instant,
        media_type: &str,
        form: impl Form,
    ) -> Result<Response, ApiError> {
        let first = self.first(context, job, accepted).await?;
        let mut headers = HeaderMap::new();
        insert(&mut headers, header::CONTENT_TYPE, media_type.to_owned());
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(ACCEL_BUFFERING, HeaderValue::from_static("no"));
        let waited = context.jobs.get(job.id).await?.and_then(|job| Some(job.started_at? - job.created_at));
        let timing = format!(
            "queue;dur={}, first-audio;dur={:.0}",
            waited.unwrap_or(0).max(0),
            accepted.elapsed().as_secs_f64() * 1000.0
        );
        name_job(&mut headers, job);
        insert(&mut headers, SERVER_TIMING, timing);
        let told = Telling { sound: self, form, context: context.clone(), job: job.clone() };
        Ok((headers, told.body(first)).into_response())
    }

    /// The first piece, or what became of the job instead.
    pub(super) async fn first(
        &mut self,
        context: &Context,
        job: &Job,
        accepted: Instant,
    ) -> Result<Piece, ApiError> {
        let model = job.request.model.clone().unwrap_or_default();
        let first = tokio::select! {
            first = self.pieces.recv() => first,
            failure = load_failure(context, &model, accepted) => return Err(failure),
            () = context.jobs.held_up(job) => return Err(ApiError::Paused),
            () = tokio::time::sleep(context.settings.limits.max_wait) => {
                self.release();
                return Err(ApiError::WaitedTooLong(job.id));
            }
            () = context.stopping.cancelled() => {
                self.release();
                return Err(ApiError::Stopping(job.id));
            }
            // Cancelled in the queue, or failed before a word.
            ended = context.jobs.wait(job.id) => {
                let ended = ended?.ok_or_else(|| ApiError::UnknownJob(job.id.to_string()))?;
                if ended.output.is_none() {
                    return Err(self.why_not(context, &ended).await);
                }
                self.pieces.recv().await
            }
        };
        if let Some(Ok(first)) = first {
            return Ok(first);
        }
        let ended =
            context.jobs.wait(job.id).await?.ok_or_else(|| ApiError::UnknownJob(job.id.to_string()))?;
        Err(self.why_not(context, &ended).await)
    }

    /// The next piece; an error where the job did not get to its end.
    pub(super) async fn piece(&mut self) -> Option<io::Result<Piece>> {
        self.pieces.recv().await
    }

    /// Why a job gives no sound, or no more.
    pub(super) async fn why_not(&mut self, context: &Context, job: &Job) -> ApiError {
        self.release();
        let ended = match context.jobs.wait(job.id).await {
            Ok(Some(ended)) => ended,
            Ok(None) => return ApiError::UnknownJob(job.id.to_string()),
            Err(error) => return error.into(),
        };
        match download(context, &ended, "").await {
            Err(error) => error,
            Ok(_file) => ApiError::AudioGone(ended.id),
        }
    }

    pub(super) fn release(&mut self) {
        if let Some(hold) = self.hold.take() {
            hold.release();
        }
    }
}

/// A body in the making.
struct Telling<F> {
    sound: Sound,
    form: F,
    context: Context,
    job: Job,
}

impl<F: Form> Telling<F> {
    fn body(mut self, first: Piece) -> Body {
        let first = self.form.piece(first);
        let rest = stream::unfold(Some(self), |telling| async { telling?.next().await });
        let all = stream::StreamExt::chain(stream::iter([Ok(first)]), rest);
        // An empty piece would be the end of a chunked body.
        Body::from_stream(stream::StreamExt::filter(all, |piece| {
            std::future::ready(!piece.as_ref().is_ok_and(Bytes::is_empty))
        }))
    }

    async fn next(mut self) -> Option<(io::Result<Bytes>, Option<Self>)> {
        let stopping = self.context.stopping.clone();
        let piece = tokio::select! {
            piece = self.sound.piece() => piece,
            () = stopping.cancelled() => {
                self.sound.release();
                let error = ApiError::Stopping(self.job.id);
                return Some((self.failed(error), None));
            }
        };
        match piece {
            Some(Ok(piece)) => Some((Ok(self.form.piece(piece)), Some(self))),
            Some(Err(_)) if F::TELLS_FAILURES => {
                let error = self.sound.why_not(&self.context, &self.job).await;
                Some((self.failed(error), None))
            }
            Some(Err(broken)) => {
                self.sound.release();
                Some((Err(broken), None))
            }
            None => {
                self.sound.release();
                Some((Ok(self.form.end()), None))
            }
        }
    }

    fn failed(&mut self, error: ApiError) -> io::Result<Bytes> {
        if F::TELLS_FAILURES { Ok(self.form.failure(&error)) } else { Err(io::Error::other(error)) }
    }
}
