//! One chunk of a completed job spoken again: `POST /api/jobs/{id}/chunks/{n}/regenerate`, and which chunks there are.
//!
//! What comes of it is a job of its own, which waits for its turn as others do; when it has ended, the result of the first one
//! has the new chunk in it. Until then the old result is served.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::Context;
use super::caller::{Caller, idempotency};
use super::error::ApiError;
use super::extract::{Fields, Place};
use super::tts::{Status, find, priority};
use crate::jobs::{Accepted, Job, JobStatus, NewJob, Redo};
use crate::speech::model::ModelInfo;
use crate::speech::request::{Draft, DraftError, model};
use crate::speech::timeline::SpokenText;
use crate::speech::{self, Sampling, SpeechRequest};

/// Takes `text`, `predefined_voice_id`, `seed` (a new one is drawn where none is said), what steers the model, `retakes` and
/// `priority`; whatever is not said is as in the job.
pub(super) async fn regenerate(
    State(context): State<Context>,
    caller: Caller,
    Place { id, number }: Place,
    headers: HeaderMap,
    fields: Fields,
) -> Result<Response, ApiError> {
    let job = find(&context, &caller, id).await?;
    if job.status != JobStatus::Completed {
        return Err(ApiError::NotCompleted { id, status: job.status });
    }
    let timeline = context.jobs.spoken_when(&job).await.ok_or(ApiError::AudioGone(id))?;
    let total = timeline.chunks.len();
    let chunk = number.checked_sub(1).and_then(|index| timeline.chunks.get(index));
    let chunk = chunk.ok_or(ApiError::NoChunk { id, number, total })?;
    if !context.jobs.has_chunks(id).await {
        return Err(ApiError::ChunksGone(id));
    }
    // The same wish for another chunk is another wish.
    let wish = fields.with("redo", json!([id.to_string(), number]));
    let new = NewJob {
        client: caller.client,
        idempotency: idempotency(&headers, &wish)?,
        redo: Some(Redo { job: id, chunk: (number - 1) as u32 }),
        ..NewJob::new(wanted(&context, &job, chunk, &fields).await?, priority(&fields)?)
    };
    let Accepted { job, is_known } = context.jobs.accept(new).await?;
    let mut response = (StatusCode::ACCEPTED, Json(Status::of(&job))).into_response();
    if is_known {
        response.headers_mut().insert("idempotency-replayed", HeaderValue::from_static("true"));
    }
    Ok(response)
}

/// What is to be spoken: as the job, with what the fields say.
async fn wanted(
    context: &Context,
    job: &Job,
    chunk: &SpokenText,
    fields: &Fields,
) -> Result<SpeechRequest, ApiError> {
    let before = &job.request;
    let voice = chunk.voice.as_ref().unwrap_or(&before.voice);
    let own_text = fields.text("text")?;
    let draft = Draft {
        text: own_text.clone().unwrap_or_else(|| chunk.text.clone()),
        model: before.model.clone(),
        voice: Some(fields.text("predefined_voice_id")?.unwrap_or_else(|| voice.clone())),
        language: before.language.clone(),
        temperature: fields.number("temperature")?,
        exaggeration: fields.number("exaggeration")?,
        cfg_weight: fields.number("cfg_weight")?,
        top_k: fields.whole("top_k")?,
        top_p: fields.number("top_p")?,
        min_p: fields.number("min_p")?,
        repetition_penalty: fields.number("repetition_penalty")?,
        seed: Some(fields.whole("seed")?.unwrap_or_default()),
        retakes: fields.whole("retakes")?,
        ..Draft::default()
    };
    let said = draft.clone();
    let checked = context.admitted(draft)?;
    let sampling = Sampling {
        temperature: said.temperature.and(checked.sampling.temperature).or(before.sampling.temperature),
        exaggeration: said.exaggeration.and(checked.sampling.exaggeration).or(before.sampling.exaggeration),
        cfg_weight: said.cfg_weight.and(checked.sampling.cfg_weight).or(before.sampling.cfg_weight),
        top_k: checked.sampling.top_k.or(before.sampling.top_k),
        top_p: checked.sampling.top_p.or(before.sampling.top_p),
        min_p: checked.sampling.min_p.or(before.sampling.min_p),
        repetition_penalty: checked.sampling.repetition_penalty.or(before.sampling.repetition_penalty),
    };
    let request = SpeechRequest {
        text: checked.text,
        voice: checked.voice,
        seed: checked.seed,
        sampling,
        retakes: said.retakes.map_or(before.retakes, |_said| checked.retakes),
        // What the model was given is not read out once more.
        verbatim: own_text.is_none(),
        split_text: false,
        pronunciations: checked.pronunciations,
        script_voices: checked.script_voices,
        ..before.clone()
    };
    if own_text.is_some() {
        let info = model(before.model.as_deref(), context.catalog())?;
        one_piece(request.clone(), info).await?;
    }
    Ok(request)
}

/// A chunk takes the place of a chunk.
async fn one_piece(request: SpeechRequest, info: ModelInfo) -> Result<(), ApiError> {
    let cap = info.max_chunk_chars;
    let planned = tokio::task::spawn_blocking(move || speech::plan(&request, &info));
    match planned.await.map_err(|_panicked| ApiError::Bug)?.len() {
        1 => Ok(()),
        pieces => {
            let expected =
                format!("what is spoken in one piece, of at most {cap} characters and without pauses");
            Err(DraftError::field("text", expected, format!("what makes {pieces}")).into())
        }
    }
}

/// The chunks of a completed job as the page lists them, and whether one of them can be spoken again.
pub(super) async fn listed(context: &Context, job: &Job) -> (Vec<Value>, bool) {
    let Some(timeline) = context.jobs.spoken_when(job).await else { return (Vec::new(), false) };
    let chunk = |(number, chunk): (usize, &SpokenText)| {
        let seconds = |ms: u64| ms as f64 / 1_000.0;
        let mut told = json!({
            "chunk": number,
            "text": chunk.text,
            "start_sec": seconds(chunk.start_ms),
            "end_sec": seconds(chunk.end_ms),
            "voice": chunk.voice.as_ref().unwrap_or(&job.request.voice),
        });
        if let Some(report) = &chunk.report {
            told["seed"] = json!(report.seed);
            told["takes"] = json!(report.takes);
            told["faults"] = json!(report.faults);
        }
        told
    };
    ((1..).zip(&timeline.chunks).map(chunk).collect(), context.jobs.has_chunks(job.id).await)
}
