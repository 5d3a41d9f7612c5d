//! The history of jobs: what was said, how it went, and what to do with it now.

use std::collections::HashMap;
use std::str::FromStr;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::Context;
use super::archive::{archive, archive_name};
use super::caller::Caller;
use super::error::ApiError;
use super::events::payload;
use super::extract::{Fields, Id};
use super::redo;
use super::tts::{Status, find, priority};
use crate::config::ranges::MAX_SEED;
use crate::jobs::{DeleteOutcome, Filter, JobId, JobStatus, NewJob, RetryOutcome};
use crate::speech::request::{DraftError, draw_seed, voice_id};

/// Jobs that one wish may delete.
const MOST_AT_ONCE: usize = 1000;

/// What stands behind the question mark.
type Asked = Query<HashMap<String, String>>;

/// The newest jobs, newest first, each with its status and text, and where the next page begins (`next_cursor`, given back
/// as `?cursor=`; null on the last page). `?limit=` up to 1000, 50 when it is not said; `?status=` (several with commas
/// between), `?search=` (words of the text), `?voice=`, `?batch=`, `?favourite=true`, `?since=` and `?until=` (seconds or
/// ISO 8601) leave others out.
pub(super) async fn list(
    State(context): State<Context>,
    caller: Caller,
    Query(asked): Asked,
) -> Result<Json<Value>, ApiError> {
    let filter = filter(&asked, &caller)?;
    let jobs = context.jobs.list(&filter).await?;
    let next = jobs.last().filter(|_| jobs.len() == filter.limit as usize).map(|job| job.seq);
    let listed: Vec<Status> = jobs.iter().map(Status::listed).collect();
    Ok(Json(json!({ "jobs": listed, "next_cursor": next.map(|seq| seq.to_string()) })))
}

pub(super) fn filter(asked: &HashMap<String, String>, caller: &Caller) -> Result<Filter, DraftError> {
    let text = |name: &str| asked.get(name).filter(|value| !value.is_empty()).cloned();
    let wrong = |name: &'static str, expected: &str| {
        let found = asked.get(name).cloned().unwrap_or_default();
        DraftError::field(name, expected, format!("{found:?}"))
    };
    let statuses = text("status").unwrap_or_default();
    let statuses = statuses
        .split(',')
        .map(str::trim)
        .filter(|word| !word.is_empty())
        .map(|word| {
            let expected = "queued, running, completed, failed or cancelled";
            word.parse::<JobStatus>().map_err(|_unknown| wrong("status", expected))
        })
        .collect::<Result<Vec<_>, _>>()?;
    let favourite = match text("favourite").as_deref() {
        None | Some("false") => false,
        Some("true") => true,
        Some(_) => return Err(wrong("favourite", "true or false")),
    };
    let moment = |name: &'static str| match text(name) {
        None => Ok(None),
        Some(value) => moment(&value)
            .map(Some)
            .ok_or_else(|| wrong(name, "seconds since 1970 or a time such as 2026-04-02T10:15:30Z")),
    };
    Ok(Filter {
        owner: caller.sees().map(str::to_owned),
        statuses,
        search: text("search"),
        voice: text("voice"),
        batch: text("batch"),
        favourite,
        since: moment("since")?,
        until: moment("until")?,
        before: whole(&text, "cursor").map_err(|()| wrong("cursor", "the next_cursor of a page"))?,
        limit: match whole::<u32>(&text, "limit") {
            Ok(None) => 50,
            Ok(Some(limit)) if (1..=1000).contains(&limit) => limit,
            Ok(Some(_)) | Err(()) => return Err(wrong("limit", "a whole number from 1 to 1000")),
        },
    })
}

fn whole<T: FromStr>(text: &impl Fn(&str) -> Option<String>, name: &str) -> Result<Option<T>, ()> {
    text(name).map(|value| value.parse().map_err(|_no_number| ())).transpose()
}

/// Milliseconds since the Unix epoch.
fn moment(text: &str) -> Option<i64> {
    if let Ok(seconds) = text.parse::<f64>() {
        return (0.0..1e12).contains(&seconds).then_some((seconds * 1000.0) as i64);
    }
    text.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_millisecond)
}

/// Everything about one job: its status, what it was made from, what has happened to it, and the chunks of its result with
/// their times.
pub(super) async fn show(
    State(context): State<Context>,
    caller: Caller,
    Id(id): Id,
) -> Result<Json<Value>, ApiError> {
    let job = find(&context, &caller, id).await?;
    let events = context.jobs.timeline(id).await?;
    let webhooks = context.jobs.webhooks_of(id).await?;
    let (chunks, can_regenerate) = redo::listed(&context, &job).await;
    let mut shown = Status::listed(&job).to_json();
    if let Some(fields) = shown.as_object_mut() {
        // Plain fields always have a JSON form.
        fields.insert("request".to_owned(), serde_json::to_value(&job.request).unwrap_or_default());
        let told = events.into_iter().map(|event| {
            let seq = event.seq;
            let mut told = payload(&Arc::new(event));
            told.insert("id".to_owned(), json!(seq));
            told.remove("job_id");
            Value::Object(told)
        });
        fields.insert("timeline".to_owned(), told.collect());
        if job.output.is_some() {
            fields.insert("chunks".to_owned(), json!(chunks));
            fields.insert("can_regenerate".to_owned(), json!(can_regenerate));
        }
        if !webhooks.is_empty() {
            fields.insert("callbacks".to_owned(), json!(webhooks));
        }
    }
    Ok(Json(shown))
}

/// Tries a failed job again, as the newest of its client; chunks that were finished are kept.
pub(super) async fn retry(
    State(context): State<Context>,
    caller: Caller,
    Id(id): Id,
    _empty: Fields,
) -> Result<Json<Status>, ApiError> {
    find(&context, &caller, id).await?;
    match context.jobs.retry(id).await? {
        RetryOutcome::Queued => Ok(Json(Status::of(&find(&context, &caller, id).await?))),
        RetryOutcome::NotFailed(status) => Err(ApiError::NotFailed { id, status }),
        RetryOutcome::Unknown => Err(ApiError::UnknownJob(id.to_string())),
    }
}

/// Says it again: as a new job, with the same seed (`"seed": "same"`, which repeats the take), a new one (`"new"`, which is
/// also meant when nothing is said), or that number.
pub(super) async fn rerun(
    State(context): State<Context>,
    caller: Caller,
    Id(id): Id,
    fields: Fields,
) -> Result<Response, ApiError> {
    let job = find(&context, &caller, id).await?;
    let seed = match fields.value("seed") {
        None | Some(Value::Null) => draw_seed(),
        Some(Value::String(word)) if word == "new" => draw_seed(),
        Some(Value::String(word)) if word == "same" => job.request.seed,
        Some(value) => value.as_u64().filter(|seed| (1..=MAX_SEED).contains(seed)).ok_or_else(|| {
            DraftError::field(
                "seed",
                "same, new or a whole number from 1 to 9007199254740991",
                value.to_string(),
            )
        })?,
    };
    // The model or the voice may be gone since.
    let info = match &job.request.model {
        Some(name) => context.catalog().find(name)?,
        None => context.catalog().default_model()?,
    };
    voice_id(&job.request.voice, &info).map_err(|unknown| DraftError::Voice { field: "voice", unknown })?;
    let mut request = job.request;
    request.seed = seed;
    let new = NewJob {
        client: caller.client,
        rerun_of: Some(id),
        callback_url: job.callback_url,
        ..NewJob::new(request, priority(&fields)?)
    };
    let accepted = context.jobs.accept(new).await?;
    Ok((StatusCode::ACCEPTED, Json(Status::of(&accepted.job))).into_response())
}

/// Favourites never expire.
pub(super) async fn set_favourite(
    State(context): State<Context>,
    caller: Caller,
    Id(id): Id,
) -> Result<Json<Value>, ApiError> {
    favour(&context, &caller, id, true).await
}

pub(super) async fn clear_favourite(
    State(context): State<Context>,
    caller: Caller,
    Id(id): Id,
) -> Result<Json<Value>, ApiError> {
    favour(&context, &caller, id, false).await
}

async fn favour(
    context: &Context,
    caller: &Caller,
    id: JobId,
    favourite: bool,
) -> Result<Json<Value>, ApiError> {
    find(context, caller, id).await?;
    if context.jobs.set_favourite(id, favourite).await? {
        Ok(Json(json!({ "job_id": id.to_string(), "favourite": favourite })))
    } else {
        Err(ApiError::UnknownJob(id.to_string()))
    }
}

/// Forgets an ended job and its audio.
pub(super) async fn delete(
    State(context): State<Context>,
    caller: Caller,
    Id(id): Id,
) -> Result<Json<Value>, ApiError> {
    find(&context, &caller, id).await?;
    match context.jobs.delete(id).await? {
        DeleteOutcome::Deleted => Ok(Json(json!({ "message": format!("Job {id} deleted") }))),
        DeleteOutcome::NotEnded(status) => Err(ApiError::NotEnded { id, status }),
        DeleteOutcome::Unknown => Err(ApiError::UnknownJob(id.to_string())),
    }
}

/// Forgets many: `{"ids": […]}`. Those that cannot be deleted are told with the reason, and do not keep the others.
pub(super) async fn delete_many(
    State(context): State<Context>,
    caller: Caller,
    fields: Fields,
) -> Result<Json<Value>, ApiError> {
    let ids =
        fields.texts("ids")?.filter(|ids| (1..=MOST_AT_ONCE).contains(&ids.len())).ok_or_else(|| {
            DraftError::field("ids", "a list of 1 to 1000 job ids", "something else".to_owned())
        })?;
    let (mut deleted, mut kept) = (Vec::new(), Vec::new());
    for text in ids {
        let outcome = match text.parse::<JobId>() {
            Ok(id) => match find(&context, &caller, id).await {
                Ok(_job) => context.jobs.delete(id).await?,
                Err(ApiError::UnknownJob(_)) => DeleteOutcome::Unknown,
                Err(error) => return Err(error),
            },
            Err(_no_uuid) => DeleteOutcome::Unknown,
        };
        match outcome {
            DeleteOutcome::Deleted => deleted.push(text),
            DeleteOutcome::NotEnded(status) => {
                kept.push(json!({ "job_id": text, "reason": format!("it is {status}; cancel it first") }));
            }
            DeleteOutcome::Unknown => kept.push(json!({ "job_id": text, "reason": "there is no such job" })),
        }
    }
    Ok(Json(json!({ "deleted": deleted, "kept": kept })))
}

/// The audio of `?ids=` (with commas between), or of the completed ones of a page, as a zip archive.
pub(super) async fn export(
    State(context): State<Context>,
    caller: Caller,
    Query(asked): Asked,
) -> Result<Response, ApiError> {
    let jobs = match asked.get("ids") {
        Some(ids) => {
            let mut jobs = Vec::new();
            for id in ids.split(',').map(str::trim).filter(|id| !id.is_empty()).take(MOST_AT_ONCE) {
                let id = id.parse().map_err(|_no_uuid| ApiError::UnknownJob(id.to_owned()))?;
                jobs.push(find(&context, &caller, id).await?);
            }
            jobs
        }
        None => {
            context
                .jobs
                .list(&Filter { statuses: vec![JobStatus::Completed], ..filter(&asked, &caller)? })
                .await?
        }
    };
    if jobs.iter().all(|job| job.output.is_none()) {
        return Err(ApiError::NothingToExport);
    }
    archive(&context, &jobs, &archive_name("declaim_jobs"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(pairs: &[(&str, &str)]) -> Result<Filter, String> {
        let asked = pairs.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
        filter(&asked, &Caller::everybody()).map_err(|error| error.to_string())
    }

    #[test]
    fn times_are_seconds_or_iso_8601() {
        let filter = asked(&[("since", "1.5"), ("until", "2026-04-02T10:15:30Z")]).unwrap();
        assert_eq!((filter.since, filter.until), (Some(1500), Some(1_775_124_930_000)));
    }

    #[test]
    fn every_wrong_filter_is_named_with_what_it_must_be() {
        for (name, wrong, sentence) in [
            ("limit", "0", "limit must be a whole number from 1 to 1000, found \"0\""),
            ("limit", "1001", "limit must be a whole number from 1 to 1000, found \"1001\""),
            (
                "status",
                "done",
                "status must be queued, running, completed, failed or cancelled, found \"done\"",
            ),
            ("since", "yesterday", "since must be seconds since 1970 or a time such as"),
            ("cursor", "x", "cursor must be the next_cursor of a page, found \"x\""),
            ("favourite", "1", "favourite must be true or false, found \"1\""),
        ] {
            let error = asked(&[(name, wrong)]).unwrap_err();
            assert!(error.starts_with(sentence), "{error}");
        }
        assert_eq!(
            asked(&[("limit", ""), ("search", "")]).unwrap(),
            Filter { limit: 50, ..Filter::default() }
        );
    }
}
