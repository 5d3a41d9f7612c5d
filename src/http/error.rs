//! Everything that can go wrong with a request, the status of each, and the one shape in which it is told.
//!
//! `Display` is the sentence for the client: what is wrong and what to do. Causes that the client cannot act on are the
//! error's source; they go to the log, once, by [`log`], which runs inside the request's span.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::config::ConfigError;
use crate::files::FileError;
use crate::jobs::{
    DeleteError, EnqueueError, JobId, JobStatus, KeyError, Overdrawn, Scope, Scopes, StoreError,
};
use crate::models::ModelsError;
use crate::speech::AudioFormat;
use crate::speech::catalog::UnknownModel;
use crate::speech::conversion::ConversionError;
use crate::speech::model::ModelError;
use crate::speech::request::DraftError;
use crate::voices::LibraryError;
use crate::voices::clip::ClipError;

#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    #[error("Job not found: there is no job {0:?}. It was never accepted here, or its time to live is over.")]
    UnknownJob(String),
    #[error("Job {id} is still {status}; fetch the result once {status_url} says completed.", status_url = format_args!("/tts/{id}/status"))]
    NotYet { id: JobId, status: JobStatus },
    #[error("Job {0} was cancelled, so it has no audio.")]
    Cancelled(JobId),
    #[error("Job {id} failed: {cause}")]
    Failed { id: JobId, cause: String },
    #[error("The audio of job {0} is no longer on disk; send the request again.")]
    AudioGone(JobId),
    #[error("Job {id} has already ended as {status} and cannot be cancelled.")]
    AlreadyFinished { id: JobId, status: JobStatus },
    #[error("Job {id} is {status}; only failed jobs can be retried.")]
    NotFailed { id: JobId, status: JobStatus },
    #[error("Job {id} is {status}; cancel it first, then delete it.")]
    NotEnded { id: JobId, status: JobStatus },
    #[error("Job {id} is {status}; a chunk can be spoken again once the whole is completed.")]
    NotCompleted { id: JobId, status: JobStatus },
    #[error("Job {id} has no chunk {number}; it has {total}, counted from 1.")]
    NoChunk { id: JobId, number: usize, total: usize },
    #[error(
        "The chunks of job {0} are no longer kept, so none can be spoken by itself; POST /api/jobs/{0}/rerun speaks the whole again."
    )]
    ChunksGone(JobId),
    #[error("Batch not found: there is no batch {0:?}.")]
    UnknownBatch(String),
    #[error("Batch {id} has not ended; ask /api/batches/{id}, or fetch what there is with ?partial=true.")]
    BatchNotYet { id: String },
    #[error(
        "{completed} of the {total} jobs of batch {id} have audio; /api/batches/{id} says why. Fetch what there is with ?partial=true."
    )]
    BatchIncomplete { id: String, completed: u64, total: u32 },
    #[error("Item {number}: {error}")]
    Item { number: usize, error: Box<ApiError> },
    #[error(
        "A batch is JSON (application/json), JSON lines (application/jsonl) or a text (text/plain); the header Content-Type says {found:?}."
    )]
    NotABatch { found: String },
    #[error("None of these jobs has audio to export.")]
    NothingToExport,
    #[error("The files of a job cannot be removed; the server's log says why.")]
    Delete(#[from] DeleteError),

    #[error(transparent)]
    Draft(#[from] DraftError),
    #[error("The body is not valid JSON: line {line}, column {column}: {problem}")]
    Json { line: usize, column: usize, problem: String },
    #[error("The body must be a JSON object such as {{\"text\": \"Hello\"}}, found {0}.")]
    NotAnObject(&'static str),
    #[error("The body must be JSON; send the header Content-Type: application/json{}.", found.as_ref().map(|found| format!(" instead of {found}")).unwrap_or_default())]
    NotJson { found: Option<String> },
    #[error("The body is larger than {limit} bytes; split the text, or raise limits.max_body_bytes.")]
    BodyTooLarge { limit: usize },
    #[error("The body could not be read.")]
    BodyUnreadable(#[source] axum::Error),
    #[error("The request was not received completely in time; send it again.")]
    TooSlow,
    #[error(transparent)]
    Model(#[from] UnknownModel),
    #[error("{0} cannot be sent while it is made; choose another output_format, or leave stream out.")]
    NoStream(AudioFormat),
    #[error("The range lies outside the file of {size} bytes.")]
    Range { size: u64 },

    #[error("The queue is full: {limit} jobs are waiting. Try again later.")]
    QueueFull {
        limit: u32,
        /// Until there is room, as this machine spoke lately.
        retry_in: Option<Duration>,
    },
    #[error("The disk is nearly full: {} MB are left, and {} are kept free. Delete jobs, or try again when some have expired.", free >> 20, least >> 20)]
    DiskFull { free: u64, least: u64 },
    #[error("The disk cannot be asked how much it has left; the server's log says why.")]
    Disk(#[source] FileError),
    #[error("{limit} of your jobs are waiting already. Try again later.")]
    ClientFull { limit: u32, retry_in: Option<Duration> },
    #[error(
        "The queue is paused: nothing is spoken until it is resumed (POST /api/queue/resume). POST /tts/enqueue keeps a text until then."
    )]
    Paused,
    #[error("The server takes no jobs: it finishes those that it has, to be upgraded. Try again later.")]
    Draining,
    #[error("This key may send {limit} characters a minute; what it sent is made up for in {} seconds.", seconds_of(*retry_in))]
    CharactersSpent { limit: u32, retry_in: Duration },
    #[error("This key may make {limit} seconds of audio a day, and those of today are used or waiting; the next day begins in {} seconds (00:00 UTC).", seconds_of(*retry_in))]
    AudioSpent { limit: u32, retry_in: Duration },
    #[error(
        "This is about {seconds} seconds of audio, and this key may make {limit} a day. Split it, or ask for a key with a larger audio_seconds_per_day."
    )]
    BeyondQuota { limit: u32, seconds: u64 },
    #[error("This Idempotency-Key came with another body before. Send a new key with a new wish.")]
    KeyReused,
    #[error(
        "{limit} clients are listening to jobs already. Try again later, or ask for the status now and then."
    )]
    TooManyFollowers { limit: usize },
    #[error(
        "{limit} clients are waiting for sound already. Try again later; POST /tts/enqueue does not wait."
    )]
    TooManyWaiting { limit: usize },
    #[error("The speech is not finished yet. Job {0} goes on: fetch /tts/{0}/result later.")]
    WaitedTooLong(JobId),
    #[error("The server is stopping. Job {0} goes on after its restart: fetch /tts/{0}/result then.")]
    Stopping(JobId),
    #[error("The model is still loading. Try again in a moment.")]
    ModelLoading,
    #[error("The model {model} could not be loaded: {reason}")]
    ModelFailed {
        model: String,
        reason: String,
        /// Until it is tried again.
        retry_in: Duration,
    },

    #[error(transparent)]
    Settings(#[from] ConfigError),
    #[error("The settings cannot be kept; the server's log says why.")]
    Saving(#[from] FileError),

    #[error(transparent)]
    Library(#[from] LibraryError),
    #[error("The voice {voice:?} is needed by {jobs} unfinished jobs; cancel them, or wait for their end.")]
    VoiceInUse { voice: String, jobs: u64 },
    #[error(
        "The body has no clip; send the file as multipart/form-data in a field called file, or as the body itself."
    )]
    NoClip,
    #[error("The body is no readable multipart/form-data: {0}")]
    Multipart(String),
    #[error("Pages of other sites may not do this; {0:?} is not this server.")]
    OtherOrigin(String),

    #[error(transparent)]
    Convert(#[from] ConversionError),
    #[error("The recording was not converted: {0}")]
    Conversion(ModelError),

    #[error(transparent)]
    Models(#[from] ModelsError),
    #[error(
        "No pull of {0} runs, and none has ended since this server began; POST /api/models/{0}/pull begins one."
    )]
    NoPull(String),

    #[error(
        "This server asks for a key: send one as `Authorization: Bearer dcl_…` or `xi-api-key: dcl_…`. On its machine, `declaim keys create` makes one."
    )]
    NoKey,
    #[error(
        "This key is not known here, or it was revoked. On the server's machine, `declaim keys list` shows which there are."
    )]
    UnknownKey,
    #[error("The key {name:?} is for {scopes}; this needs the scope {needed}.")]
    Scope { name: String, needed: Scope, scopes: Scopes },
    #[error("There is no key {0:?}; GET /api/keys says which there are.")]
    NoSuchKey(String),
    #[error("The key was not made: {0}")]
    Key(#[from] KeyError),

    #[error(
        "This server answers to localhost only, not to {0:?}. To allow that name, add it to server.allowed_hosts."
    )]
    ForeignHost(String),
    #[error("There is nothing at {0}.")]
    NoRoute(String),
    #[error("{0} is not possible here; the header Allow says what is.")]
    Method(String),

    #[error("{}", table_trouble(.0))]
    Store(#[from] StoreError),
    #[error("The audio file cannot be read; the server's log says why.")]
    File(#[source] std::io::Error),
    #[error("The server made a mistake; its log says which.")]
    Bug,
}

impl ApiError {
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Convert(ConversionError::Draft(error)) => Self::Draft(error.clone()).status(),
            Self::Json { .. }
            | Self::Convert(ConversionError::Unable { .. })
            | Self::BodyUnreadable(_)
            | Self::Multipart(_)
            | Self::Draft(
                DraftError::NoReference | DraftError::NoCloning { .. } | DraftError::VoiceForOthers { .. },
            ) => StatusCode::BAD_REQUEST,
            Self::NoKey | Self::UnknownKey => StatusCode::UNAUTHORIZED,
            Self::Scope { .. } | Self::OtherOrigin(_) | Self::Library(LibraryError::Predefined(_)) => {
                StatusCode::FORBIDDEN
            }
            Self::UnknownJob(_)
            | Self::AudioGone(_)
            | Self::NoChunk { .. }
            | Self::NothingToExport
            | Self::NoSuchKey(_)
            | Self::UnknownBatch(_)
            | Self::NoRoute(_)
            | Self::NoPull(_)
            | Self::Model(_)
            | Self::Models(ModelsError::Unknown { .. } | ModelsError::NotInstalled(_))
            | Self::Draft(DraftError::Voice { .. } | DraftError::Model(_))
            | Self::Library(LibraryError::Unknown(_)) => StatusCode::NOT_FOUND,
            Self::Method(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::AlreadyFinished { .. }
            | Self::NotFailed { .. }
            | Self::NotEnded { .. }
            | Self::NotCompleted { .. }
            | Self::ChunksGone(_)
            | Self::BatchIncomplete { .. }
            | Self::VoiceInUse { .. }
            | Self::Key(KeyError::NameTaken(_) | KeyError::TooMany)
            | Self::Library(LibraryError::NameTaken(_) | LibraryError::Full { .. })
            | Self::Models(
                ModelsError::Damaged { .. }
                | ModelsError::OwnFolder { .. }
                | ModelsError::Lacks { .. }
                | ModelsError::Busy { .. }
                | ModelsError::Foreign { .. }
                | ModelsError::Cancelled,
            ) => StatusCode::CONFLICT,
            Self::Cancelled(_) => StatusCode::GONE,
            Self::BodyTooLarge { .. } | Self::Library(LibraryError::Clip(ClipError::TooLarge { .. })) => {
                StatusCode::PAYLOAD_TOO_LARGE
            }
            Self::Item { error, .. } => error.status(),
            Self::NotJson { .. } | Self::NotABatch { .. } => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Range { .. } => StatusCode::RANGE_NOT_SATISFIABLE,
            Self::ForeignHost(_) => StatusCode::MISDIRECTED_REQUEST,
            Self::Draft(
                DraftError::EmptyText { .. }
                | DraftError::Script { .. }
                | DraftError::TextTooLong { .. }
                | DraftError::Field { .. },
            )
            | Self::Library(
                LibraryError::Name
                | LibraryError::Language(_)
                | LibraryError::Note
                | LibraryError::Clip(
                    ClipError::TooLong { .. }
                    | ClipError::TooShort { .. }
                    | ClipError::Silent
                    | ClipError::Decode(_),
                ),
            )
            | Self::NoClip
            | Self::Key(KeyError::Name)
            | Self::BeyondQuota { .. }
            | Self::NoStream(_)
            | Self::Settings(_)
            | Self::Convert(ConversionError::Recording(_))
            | Self::Conversion(
                ModelError::UnknownVoice(_)
                | ModelError::Clip { .. }
                | ModelError::NothingToSpeak
                | ModelError::Refused(_),
            )
            | Self::KeyReused
            | Self::NotAnObject(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::NotYet { .. } | Self::BatchNotYet { .. } => StatusCode::TOO_EARLY,
            Self::QueueFull { .. }
            | Self::ClientFull { .. }
            | Self::TooManyFollowers { .. }
            | Self::CharactersSpent { .. }
            | Self::AudioSpent { .. }
            | Self::TooManyWaiting { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::Store(error) if error.is_busy() => StatusCode::SERVICE_UNAVAILABLE,
            Self::Store(error) if error.is_full() => StatusCode::INSUFFICIENT_STORAGE,
            Self::Store(_)
            | Self::Failed { .. }
            | Self::Conversion(ModelError::Device(_) | ModelError::Panicked(_))
            | Self::File(_)
            | Self::Saving(_)
            | Self::Delete(_)
            | Self::Disk(_)
            | Self::Models(
                ModelsError::Entry { .. }
                | ModelsError::File { .. }
                | ModelsError::Thread(_)
                | ModelsError::Crashed,
            )
            | Self::Key(KeyError::Random(_) | KeyError::Store(_))
            | Self::Library(LibraryError::File(_) | LibraryError::Record(_))
            | Self::Bug => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Models(ModelsError::Hub(_)) => StatusCode::BAD_GATEWAY,
            Self::DiskFull { .. } | Self::Models(ModelsError::DiskFull { .. }) => {
                StatusCode::INSUFFICIENT_STORAGE
            }
            Self::ModelLoading
            | Self::Conversion(ModelError::Cancelled | ModelError::NotLoaded(_))
            | Self::ModelFailed { .. }
            | Self::Draft(DraftError::NoModel(_))
            | Self::Paused
            | Self::Draining
            | Self::Stopping(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::WaitedTooLong(_) => StatusCode::GATEWAY_TIMEOUT,
        }
    }

    /// Seconds after which trying again can help.
    fn retry_after(&self) -> Option<u64> {
        match self {
            Self::NotYet { .. } | Self::BatchNotYet { .. } | Self::ModelLoading => Some(1),
            // A client that comes back within the second finds nothing, and one that comes back tomorrow has given up.
            Self::QueueFull { retry_in: Some(pause), .. }
            | Self::ClientFull { retry_in: Some(pause), .. } => Some((pause.as_secs() + 1).min(3600)),
            Self::CharactersSpent { retry_in, .. } | Self::AudioSpent { retry_in, .. } => {
                Some(seconds_of(*retry_in))
            }
            Self::ModelFailed { retry_in, .. } => Some(retry_in.as_secs() + 1),
            Self::Store(error) if error.is_busy() => Some(10),
            Self::QueueFull { .. }
            | Self::ClientFull { .. }
            | Self::TooManyFollowers { .. }
            | Self::TooManyWaiting { .. }
            | Self::Stopping(_) => Some(10),
            // Whoever pauses or upgrades takes a while.
            Self::Paused | Self::Draining => Some(30),
            _ => None,
        }
    }
}

fn table_trouble(error: &StoreError) -> &'static str {
    if error.is_busy() {
        "Another process is writing to the job table; try again in a moment."
    } else if error.is_full() {
        "The disk is full, so the job table cannot be written; make room, then try again."
    } else {
        "The job table cannot be used; the server's log says why."
    }
}

impl From<EnqueueError> for ApiError {
    fn from(error: EnqueueError) -> Self {
        match error {
            EnqueueError::QueueFull { limit, retry_in } => Self::QueueFull { limit, retry_in },
            EnqueueError::ClientFull { limit, retry_in } => Self::ClientFull { limit, retry_in },
            EnqueueError::DiskFull { free, least } => Self::DiskFull { free, least },
            EnqueueError::Disk(error) => Self::Disk(error),
            EnqueueError::Draining => Self::Draining,
            EnqueueError::Overdrawn(overdrawn) => overdrawn.into(),
            EnqueueError::KeyReused => Self::KeyReused,
            EnqueueError::Store(error) => Self::Store(error),
        }
    }
}

impl From<Overdrawn> for ApiError {
    fn from(overdrawn: Overdrawn) -> Self {
        match overdrawn {
            Overdrawn::Characters { limit, retry_in } => Self::CharactersSpent { limit, retry_in },
            Overdrawn::Audio { limit, retry_in } => Self::AudioSpent { limit, retry_in },
            Overdrawn::TooLong { limit, seconds } => Self::BeyondQuota { limit, seconds },
        }
    }
}

/// Rounded up: a client that comes back within the second is too early.
fn seconds_of(pause: Duration) -> u64 {
    pause.as_secs() + 1
}

/// Carries the error from where it became a response to where it is told in other words and logged.
#[derive(Clone)]
pub(super) struct Cause(pub(super) Arc<ApiError>);

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = (self.status(), Json(json!({ "detail": self.to_string() }))).into_response();
        if let Some(seconds) = self.retry_after() {
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
        if matches!(self, Self::NoKey | Self::UnknownKey) {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Self::Range { size } = self
            && let Ok(range) = HeaderValue::try_from(format!("bytes */{size}"))
        {
            response.headers_mut().insert(header::CONTENT_RANGE, range);
        }
        response.extensions_mut().insert(Cause(Arc::new(self)));
        response
    }
}

/// Logs what went wrong on our side with its causes, and refusals in debug.
pub(super) async fn log(request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    if let Some(Cause(error)) = response.extensions().get() {
        let cause = error.source().map(crate::jobs::with_causes);
        if response.status().is_server_error() {
            tracing::error!(%error, cause, "request failed");
        } else {
            tracing::debug!(%error, cause, "request refused");
        }
    }
    response
}
