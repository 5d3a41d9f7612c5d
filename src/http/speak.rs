//! `POST /tts`: speech in the answer, and what every door like it needs. It walks the same path as a job, only the client holds the line.
//!
//! So the model never runs twice at once, and a client that gives up frees it: dropping the request cancels its job.
//! The status line is sent when the outcome is known, so errors have their own status.

use std::time::Instant;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderName};
use axum::response::Response;
use tracing::Instrument;

use super::caller::Caller;
use super::error::ApiError;
use super::extract::Fields;
use super::files::insert;
use super::tts::{checked, download, timestamp};
use super::{Context, failure_after, stream};
use crate::jobs::{Client, Job, JobId, Jobs, NewJob, Priority, log_span};
use crate::speech::SpeechRequest;

pub(super) const SEED: HeaderName = HeaderName::from_static("x-declaim-seed");
const JOB_ID: HeaderName = HeaderName::from_static("x-declaim-job-id");
/// Of the audio, in seconds.
pub(super) const DURATION: HeaderName = HeaderName::from_static("x-declaim-duration");

pub(super) async fn speak(
    State(context): State<Context>,
    Caller { client, .. }: Caller,
    fields: Fields,
) -> Result<Response, ApiError> {
    if fields.flag("stream")?.unwrap_or_default() {
        return stream::spoken(&context, client, checked(&fields, &context)?).await;
    }
    let request = checked(&fields, &context)?;
    let job = context.spoken(client, request).await?;
    sound(&context, &job, &file_name(&job)).await
}

/// The audio of an ended job with what is known of it, or why it has none. `name` goes without extension.
pub(super) async fn sound(context: &Context, job: &Job, name: &str) -> Result<Response, ApiError> {
    let mut response = download(context, job, name).await?.respond(&HeaderMap::new()).await?;
    let duration = job.output.as_ref().map_or(0.0, |output| output.duration_ms as f64 / 1000.0);
    name_job(response.headers_mut(), job);
    insert(response.headers_mut(), DURATION, duration.to_string());
    Ok(response)
}

/// Which job it was, and with which seed it can be repeated.
pub(super) fn name_job(headers: &mut HeaderMap, job: &Job) {
    insert(headers, SEED, job.request.seed.to_string());
    insert(headers, JOB_ID, job.id.to_string());
}

impl Context {
    /// Speaks a request for somebody who holds the line, and returns its job once that has ended in any way. Whoever drops
    /// this future cancels the job.
    ///
    /// # Errors
    /// When the job is not accepted, its model cannot be loaded, or it takes longer than anybody may wait; in the last case
    /// it goes on.
    pub async fn spoken(&self, client: Client, request: SpeechRequest) -> Result<Job, ApiError> {
        self.speaks_now()?;
        let _permit = self.wait()?;
        let model = request.model.clone().unwrap_or_default();
        let accepted = Instant::now();
        let job = NewJob { client, ..NewJob::new(request, Priority::Interactive) };
        let job = self.jobs.accept(job).await?.job;
        let id = job.id;
        let hold = Hold::on(&self.jobs, id);
        let job = tokio::select! {
            ended = self.jobs.wait(id) => ended?.ok_or_else(|| ApiError::UnknownJob(id.to_string()))?,
            // Whoever holds the line is told now, rather than when the load has worked after all; dropping `hold` cancels.
            failure = load_failure(self, &model, accepted) => return Err(failure),
            () = self.jobs.held_up(&job) => return Err(ApiError::Paused),
            () = tokio::time::sleep(self.settings.limits.max_wait) => {
                hold.release();
                return Err(ApiError::WaitedTooLong(id));
            }
            () = self.stopping.cancelled() => {
                hold.release();
                return Err(ApiError::Stopping(id));
            }
        };
        hold.release();
        Ok(job)
    }
}

/// Resolves when a load of this model fails after `since`.
pub(super) async fn load_failure(context: &Context, model: &str, since: Instant) -> ApiError {
    let mut states = context.engine.states();
    loop {
        let failure = failure_after(&states.borrow_and_update(), model, since);
        if let Some(failure) = failure {
            return failure;
        }
        if states.changed().await.is_err() {
            // The engine has stopped; the server's own stop decides what this client is told.
            std::future::pending::<()>().await;
        }
    }
}

/// Upstream's pattern: `tts_output_T08_E05_W05_20260402_101530`, where the tags are temperature, exaggeration and CFG
/// weight to one decimal without the dot. What was left to the model is shown as the family's usual values.
fn file_name(job: &Job) -> String {
    let tag = |value: Option<f32>, usual: f32| format!("{:.1}", value.unwrap_or(usual)).replace('.', "");
    let sampling = &job.request.sampling;
    format!(
        "tts_output_T{}_E{}_W{}_{}",
        tag(sampling.temperature, 0.8),
        tag(sampling.exaggeration, 0.5),
        tag(sampling.cfg_weight, 0.5),
        timestamp(job.finished_at.unwrap_or(job.created_at)),
    )
}

/// Cancels its job when dropped before it is released: then the client has left. Not if somebody else listens to it.
pub(super) struct Hold {
    job: Option<(Jobs, JobId)>,
    /// Its client is one of the job's listeners.
    is_listening: bool,
}

impl Hold {
    fn on(jobs: &Jobs, id: JobId) -> Self {
        Self { job: Some((jobs.clone(), id)), is_listening: false }
    }

    pub(super) fn while_listening(jobs: &Jobs, id: JobId) -> Self {
        Self { job: Some((jobs.clone(), id)), is_listening: true }
    }

    pub(super) fn release(mut self) {
        self.job = None;
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let Some((jobs, id)) = self.job.take() else { return };
        if jobs.listeners(id) > usize::from(self.is_listening) {
            return;
        }
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let cancel = async move {
            tracing::info!("the client left; its job is cancelled");
            if let Err(error) = jobs.cancel(id).await {
                tracing::warn!(error = crate::jobs::with_causes(&error), "cannot cancel the job");
            }
        };
        runtime.spawn(cancel.instrument(log_span(id)));
    }
}
