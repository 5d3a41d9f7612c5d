//! The job endpoints: enqueue, status, result, cancel. Their shapes are those of the job-queue guide, field by field.
//!
//! A job's row decides every answer. 202 is sent only after the row is committed and synced, so whatever a client was
//! told to poll survives the death of the server.

use std::collections::HashMap;

use axum::Json;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use jiff::tz::TimeZone;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::fs::File;

use super::Context;
use super::caller::{Caller, idempotency};
use super::error::ApiError;
use super::extract::{Fields, Id};
use super::files::Download;
use super::recode::recoded;
use crate::jobs::webhooks::address;
use crate::jobs::{Accepted, CancelOutcome, Job, JobId, JobStatus, NewJob, Output, Priority, QueueState};
use crate::speech::engine::ModelState;
use crate::speech::request::{Draft, DraftError};
use crate::speech::{AudioFormat, SpeechRequest};

/// With the header `Idempotency-Key`, the same wish sent twice is one job: whoever did not get the answer asks again. The
/// answer to a known wish has `Idempotency-Replayed: true` and tells where its job stands now.
pub(super) async fn enqueue(
    State(context): State<Context>,
    Caller { client, .. }: Caller,
    headers: HeaderMap,
    fields: Fields,
) -> Result<Response, ApiError> {
    let job = NewJob {
        client,
        idempotency: idempotency(&headers, &fields)?,
        callback_url: callback(&fields, &context)?,
        ..NewJob::new(checked(&fields, &context)?, priority(&fields)?)
    };
    let Accepted { job, is_known } = context.jobs.accept(job).await?;
    let accepted = json!({
        "job_id": job.id.to_string(),
        "status": job.status,
        "message": "Job queued for processing",
        "status_url": format!("/tts/{}/status", job.id),
        "result_url": format!("/tts/{}/result", job.id),
    });
    let mut response = (StatusCode::ACCEPTED, Json(accepted)).into_response();
    if is_known {
        response.headers_mut().insert("idempotency-replayed", HeaderValue::from_static("true"));
    }
    Ok(response)
}

/// `priority` in a body: high, normal or low; normal when it is not said.
pub(super) fn priority(fields: &Fields) -> Result<Priority, DraftError> {
    match fields.text("priority")? {
        None => Ok(Priority::Normal),
        Some(word) => Priority::from_word(&word)
            .ok_or_else(|| DraftError::field("priority", "high, normal or low", format!("{word:?}"))),
    }
}

/// `callback_url` in a body.
pub(super) fn callback(fields: &Fields, context: &Context) -> Result<Option<String>, DraftError> {
    let url = fields.text("callback_url")?;
    if let Some(url) = &url {
        address::check(url, context.settings.webhooks.allow_private)
            .map_err(|error| DraftError::field("callback_url", error.to_string(), format!("{url:?}")))?;
    }
    Ok(url)
}

pub(super) async fn status(
    State(context): State<Context>,
    caller: Caller,
    Id(id): Id,
) -> Result<Json<Status>, ApiError> {
    let job = find(&context, &caller, id).await?;
    let mut status = Status::of(&job);
    if job.status == JobStatus::Queued && context.jobs.queue_state() == QueueState::Paused {
        status.waiting_for = Some("the queue is paused".to_owned());
    }
    if job.status == JobStatus::Queued && status.waiting_for.is_none() {
        status.waiting_for = is_loading(&context, job.request.model.as_deref());
    }
    let left = context.jobs.time_left(&job).await?;
    // Tenths are honest enough.
    status.eta_sec = left.map(|left| (left.as_secs_f64() * 10.0).round() / 10.0);
    Ok(Json(status))
}

/// The audio, or with `?format=` the same in another one.
pub(super) async fn result(
    State(context): State<Context>,
    caller: Caller,
    Id(id): Id,
    Query(wanted): Query<HashMap<String, String>>,
    asked: HeaderMap,
) -> Result<Response, ApiError> {
    let job = find(&context, &caller, id).await?;
    finished(&context, &job, format_asked(&wanted)?).await?.respond(&asked).await
}

/// `?format=` in an address.
pub(super) fn format_asked(wanted: &HashMap<String, String>) -> Result<Option<AudioFormat>, DraftError> {
    let parsed = |name: &String| {
        name.parse()
            .map_err(|_unknown| DraftError::field("format", AudioFormat::names(), format!("{name:?}")))
    };
    wanted.get("format").map(parsed).transpose()
}

/// The audio of an ended job in a format, its own where none is said; or why it has none.
pub(super) async fn finished(
    context: &Context,
    job: &Job,
    format: Option<AudioFormat>,
) -> Result<Download<File>, ApiError> {
    let name = format!("tts_job_{}_{}", job.id, timestamp(job.finished_at.unwrap_or(job.created_at)));
    match format {
        Some(format) if job.output.as_ref().is_some_and(|output| output.format != format) => {
            recoded(context, job, format, &name).await
        }
        _ => download(context, job, &name).await,
    }
}

pub(super) async fn cancel(
    State(context): State<Context>,
    caller: Caller,
    Id(id): Id,
) -> Result<Json<Value>, ApiError> {
    find(&context, &caller, id).await?;
    match context.jobs.cancel(id).await? {
        CancelOutcome::Cancelled => {
            Ok(Json(json!({ "message": format!("Job {id} cancelled successfully") })))
        }
        CancelOutcome::AlreadyFinished(status) => Err(ApiError::AlreadyFinished { id, status }),
        CancelOutcome::Unknown => Err(ApiError::UnknownJob(id.to_string())),
    }
}

/// A job that is the caller's business; another's is as unknown as none.
pub(super) async fn find(context: &Context, caller: &Caller, id: JobId) -> Result<Job, ApiError> {
    let job = context.jobs.get(id).await?.filter(|job| caller.may_see(job));
    job.ok_or_else(|| ApiError::UnknownJob(id.to_string()))
}

/// What a job has to show.
///
/// # Errors
/// Why it has nothing.
pub fn output(job: &Job) -> Result<&Output, ApiError> {
    let id = job.id;
    match (job.status, &job.output) {
        (JobStatus::Completed, Some(output)) => Ok(output),
        (JobStatus::Completed, None) => Err(ApiError::AudioGone(id)),
        (status @ (JobStatus::Queued | JobStatus::Running), _) => Err(ApiError::NotYet { id, status }),
        (JobStatus::Cancelled, _) => Err(ApiError::Cancelled(id)),
        (JobStatus::Failed, _) => {
            let cause = job.error.clone().unwrap_or_else(|| "the cause is unknown".to_owned());
            Err(ApiError::Failed { id, cause })
        }
    }
}

async fn open_result(context: &Context, job: &Job) -> Result<File, ApiError> {
    output(job)?;
    let path = context.jobs.result_path(job).ok_or(ApiError::AudioGone(job.id))?;
    File::open(path).await.map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => ApiError::AudioGone(job.id),
        _ => ApiError::File(error),
    })
}

/// The audio of an ended job, or why it has none. `name` goes without extension.
pub(super) async fn download(context: &Context, job: &Job, name: &str) -> Result<Download<File>, ApiError> {
    let id = job.id;
    let found = match open_result(context, job).await {
        // Replaced by another one between the look at the row and this.
        Err(ApiError::AudioGone(_)) => {
            let now = context.jobs.get(id).await?.ok_or_else(|| ApiError::UnknownJob(id.to_string()))?;
            (open_result(context, &now).await?, now)
        }
        file => (file?, job.clone()),
    };
    let (file, job) = (found.0, &found.1);
    let output = output(job)?;
    Ok(Download {
        file,
        size: output.bytes,
        media_type: output.format.media_type(job.request.sample_rate),
        entity_tag: match job.revision {
            0 => format!("\"{id}\""),
            revision => format!("\"{id}.{revision}\""),
        },
        file_name: format!("{name}.{}", output.format),
    })
}

/// The sentence for a queued job whose model is being loaded.
fn is_loading(context: &Context, model: Option<&str>) -> Option<String> {
    let model = match model {
        Some(name) => name.to_owned(),
        None => context.catalog().default_model().ok()?.name,
    };
    let is_loading = matches!(context.engine.status_of(&model).state, ModelState::Loading);
    is_loading.then(|| format!("the model {model} is being loaded"))
}

/// The body of a speech request as a valid request. Field names are upstream's.
///
/// # Errors
/// What is wrong with the request, or that its model cannot be loaded at the moment.
pub(super) fn checked(fields: &Fields, context: &Context) -> Result<SpeechRequest, ApiError> {
    context.admitted(draft(fields)?)
}

impl Context {
    /// A draft as a valid request.
    ///
    /// # Errors
    /// What is wrong with it, or that its model cannot be loaded at the moment.
    pub fn admitted(&self, draft: Draft) -> Result<SpeechRequest, ApiError> {
        let request = draft.check(&self.settings, self.catalog())?;
        self.admit(request.model.as_deref().unwrap_or_default())?;
        Ok(request)
    }
}

/// Every field that a request can have, under the names of `POST /tts`.
///
/// # Errors
/// The first field that has the wrong type.
pub(super) fn draft(fields: &Fields) -> Result<Draft, DraftError> {
    let reference = fields.text("reference_audio_filename")?;
    let reference = match fields.text("voice_mode")?.as_deref() {
        None | Some("predefined") => None,
        Some("clone") => Some(reference.unwrap_or_default()),
        Some(other) => {
            return Err(DraftError::field("voice_mode", "predefined or clone", format!("{other:?}")));
        }
    };
    Ok(Draft {
        text: fields.text("text")?.unwrap_or_default(),
        title: fields.text("title")?,
        model: fields.text("model")?,
        voice: fields.text("predefined_voice_id")?,
        reference,
        normalize: fields.flag("normalize")?,
        split_text: fields.flag("split_text")?,
        chunk_size: fields.whole("chunk_size")?,
        temperature: fields.number("temperature")?,
        exaggeration: fields.number("exaggeration")?,
        cfg_weight: fields.number("cfg_weight")?,
        top_k: fields.whole("top_k")?,
        top_p: fields.number("top_p")?,
        min_p: fields.number("min_p")?,
        repetition_penalty: fields.number("repetition_penalty")?,
        seed: fields.whole("seed")?,
        speed: fields.number("speed_factor")?,
        language: fields.text("language")?,
        format: fields.text("output_format")?,
        sample_rate: fields.whole("sample_rate")?,
        bitrate_kbps: fields.whole("bitrate_kbps")?,
        trim_silence: fields.flag("trim_silence")?,
        max_silence_ms: fields.whole("max_silence_ms")?,
        sentence_pause_ms: fields.whole("sentence_pause_ms")?,
        paragraph_pause_ms: fields.whole("paragraph_pause_ms")?,
        loudness_lufs: fields.number("loudness_lufs")?,
        retakes: fields.whole("retakes")?,
    })
}

/// Local time as `20260402_101530`.
pub(super) fn timestamp(unix_ms: i64) -> String {
    let moment = jiff::Timestamp::from_millisecond(unix_ms).unwrap_or_default();
    moment.to_zoned_datetime(TimeZone::system()).strftime("%Y%m%d_%H%M%S").to_string()
}

/// What `GET /tts/{id}/status` answers. Times are seconds since the Unix epoch, with fractions.
#[derive(Debug, Serialize)]
#[expect(clippy::struct_field_names, reason = "the field is called `status` in the job-queue guide")]
pub struct Status {
    job_id: String,
    status: JobStatus,
    /// `high`, `normal` or `low`.
    priority: &'static str,
    progress: u8,
    created_at: f64,
    /// The number that repeats this take.
    seed: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<String>,
    voice: String,
    output_available: bool,
    /// It never expires.
    favourite: bool,
    /// The job that this one repeats.
    #[serde(skip_serializing_if = "Option::is_none")]
    rerun_of: Option<String>,
    /// The job a chunk of which this one speaks again, and which chunk, counted from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    redo_of: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    redo_chunk: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    batch_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    queue_position: Option<u32>,
    /// Until it will have ended, as this machine spoke lately; only while it has not.
    #[serde(skip_serializing_if = "Option::is_none")]
    eta_sec: Option<f64>,
    /// Why a queued job waits for more than its turn, as a sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    waiting_for: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    started_at: Option<f64>,
    /// When its first sound was there.
    #[serde(skip_serializing_if = "Option::is_none")]
    first_audio_at: Option<f64>,
    /// Of work: to now, or to the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    elapsed_sec: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    current_chunk: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    total_chunks: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    completed_at: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_format: Option<AudioFormat>,
    #[serde(skip_serializing_if = "Option::is_none")]
    file_size_bytes: Option<u64>,
    /// Of the audio.
    #[serde(skip_serializing_if = "Option::is_none")]
    duration_sec: Option<f64>,
    /// Only in lists: a poll every second must not carry a book.
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
}

impl Status {
    /// With the text.
    pub fn listed(job: &Job) -> Self {
        Self { text: Some(job.request.text.clone()), ..Self::of(job) }
    }

    /// As the server would send it.
    pub fn to_json(&self) -> Value {
        // A structure of plain fields always has a JSON form.
        serde_json::to_value(self).unwrap_or_default()
    }

    pub(super) fn of(job: &Job) -> Self {
        let seconds = |ms: i64| ms as f64 / 1000.0;
        Self {
            job_id: job.id.to_string(),
            status: job.status,
            priority: job.priority.as_str(),
            progress: job.progress,
            created_at: seconds(job.created_at),
            seed: job.request.seed,
            model: job.request.model.clone(),
            voice: job.request.voice.clone(),
            output_available: job.output.is_some(),
            favourite: job.favourite,
            rerun_of: job.rerun_of.clone(),
            redo_of: job.redo.map(|redo| redo.job.to_string()),
            redo_chunk: job.redo.map(|redo| redo.chunk + 1),
            batch_id: job.batch.as_ref().map(|(id, _position)| id.clone()),
            queue_position: job.queue_position,
            eta_sec: None,
            waiting_for: job.waits_for.clone(),
            started_at: job.started_at.map(seconds),
            first_audio_at: job.first_audio_at.map(seconds),
            elapsed_sec: job.elapsed_ms().map(seconds),
            current_chunk: job.total_chunks.map(|_planned| job.current_chunk),
            total_chunks: job.total_chunks,
            completed_at: job.finished_at.map(seconds),
            error: job.error.clone(),
            output_format: job.output.as_ref().map(|output| output.format),
            file_size_bytes: job.output.as_ref().map(|output| output.bytes),
            duration_sec: job.output.as_ref().map(|output| output.duration_ms as f64 / 1000.0),
            text: None,
        }
    }
}
