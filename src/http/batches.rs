//! `/api/batches`: many texts sent as one, and their audio fetched as one.
//!
//! A batch comes as JSON (a list, with fields that all of them share), as JSON lines, or as a text to be cut. It is checked
//! whole before any of it is kept; a wrong item is named by its number.

use std::collections::HashMap;

use axum::Json;
use axum::extract::{Path, Query, Request, State};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tokio::task::spawn_blocking;
use waveform::encode::{Book, Encoding, Format, Tags};

use super::Context;
use super::archive::{archive, archive_name};
use super::caller::{Caller, idempotency};
use super::error::ApiError;
use super::extract::{Fields, is_json, media_type, parse, read_body};
use super::files::Download;
use super::recode::joined;
use super::tts::{callback, checked, priority};
use crate::jobs::{Batch, Job, JobStatus, NewBatch, NewJob, Priority};
use crate::speech::assemble::SOFTWARE;
use crate::speech::request::{self, DraftError};

/// What the joined file of an audiobook is called: m4a with chapters and a cover.
pub(super) const BOOK: &str = "m4b";
/// Of audiobooks, whose shelves show one.
const COVER: &[u8] = include_bytes!("cover.png");

/// Failures that the state of a batch tells in full.
const MOST_FAILURES: usize = 100;

pub(super) async fn add(
    State(context): State<Context>,
    Caller { client, .. }: Caller,
    Query(asked): Query<HashMap<String, String>>,
    request: Request,
) -> Result<Response, ApiError> {
    let headers = request.headers().clone();
    let bytes = read_body(request, &context).await?;
    let body = match media_type(&headers).as_str() {
        "application/jsonl" | "application/x-ndjson" | "application/x-jsonlines" => lines(&bytes, &asked)?,
        "text/plain" => text(&bytes, &asked)?,
        _ if is_json(&headers) => parse(&bytes)?,
        other => return Err(ApiError::NotABatch { found: other.to_owned() }),
    };
    let limit = context.settings.limits.max_batch_items;
    let items = items(&body, limit)?;
    let title = request::title(&body.text("title")?.unwrap_or_default())?;
    // Read out and checked off the threads that answer: a thousand texts take a moment.
    let (checking, for_client) = (context.clone(), client.clone());
    let jobs = spawn_blocking(move || {
        items
            .iter()
            .enumerate()
            .map(|(index, item)| {
                new_job(item, &checking, &for_client)
                    .map_err(|error| ApiError::Item { number: index + 1, error: Box::new(error) })
            })
            .collect::<Result<Vec<_>, _>>()
    });
    let jobs = jobs.await.map_err(|_panicked| ApiError::Bug)??;
    let new = NewBatch { title, client, idempotency: idempotency(&headers, &body)?, jobs };
    let accepted = context.jobs.accept_batch(new).await?;
    let mut answer = shown(&accepted.batch);
    if let Some(fields) = answer.as_object_mut() {
        let id = &accepted.batch.id;
        fields.insert("status_url".to_owned(), json!(format!("/api/batches/{id}")));
        fields.insert("result_url".to_owned(), json!(format!("/api/batches/{id}/result")));
    }
    let mut response = (StatusCode::ACCEPTED, Json(answer)).into_response();
    if accepted.is_known {
        response.headers_mut().insert("idempotency-replayed", HeaderValue::from_static("true"));
    }
    Ok(response)
}

/// One item as a job: low priority, unless it says otherwise, so that a library does not hold up a sentence.
fn new_job(item: &Fields, context: &Context, client: &crate::jobs::Client) -> Result<NewJob, ApiError> {
    let priority = match item.value("priority") {
        None | Some(Value::Null) => Priority::Low,
        Some(_said) => priority(item)?,
    };
    Ok(NewJob {
        client: client.clone(),
        callback_url: callback(item, context)?,
        ..NewJob::new(checked(item, context)?, priority)
    })
}

/// `{"items": [{"text": …}, "or only a text", …], …}`: each item with the fields that stand beside the list, unless it has
/// its own.
fn items(body: &Fields, limit: usize) -> Result<Vec<Fields>, DraftError> {
    let wrong = |found: String| {
        DraftError::field("items", format!("a list of 1 to {limit} texts or objects with a text"), found)
    };
    let list =
        body.value("items").and_then(Value::as_array).ok_or_else(|| wrong("something else".to_owned()))?;
    if !(1..=limit).contains(&list.len()) {
        return Err(wrong(format!("{} items", list.len())));
    }
    let shared = body.without(&["items", "title"]);
    list.iter()
        .enumerate()
        .map(|(index, item)| match item {
            Value::String(text) => Ok(shared.with("text", json!(text))),
            Value::Object(own) => Ok(shared.with_all(own)),
            _ => Err(wrong(format!("something else as number {}", index + 1))),
        })
        .collect()
}

/// One object in each line; what the address says beside is shared.
fn lines(bytes: &[u8], asked: &HashMap<String, String>) -> Result<Fields, ApiError> {
    let mut items = Vec::new();
    for (index, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
        if line.trim_ascii().is_empty() {
            continue;
        }
        let item = serde_json::from_slice(line).map_err(|error| ApiError::Json {
            line: index + 1,
            column: error.column(),
            problem: error.to_string().split(" at line ").next().unwrap_or_default().to_owned(),
        })?;
        items.push(item);
    }
    Ok(shared(asked).with("items", Value::Array(items)))
}

/// A text cut into items: at empty lines (`?split=paragraphs`, also when nothing is said), or at every line (`?split=lines`).
fn text(bytes: &[u8], asked: &HashMap<String, String>) -> Result<Fields, ApiError> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        DraftError::field("The body", "a text in UTF-8", format!("other bytes after {}", error.valid_up_to()))
    })?;
    let text = text.trim_start_matches('\u{feff}').replace("\r\n", "\n");
    let pieces: Vec<String> = match asked.get("split").map(String::as_str) {
        None | Some("paragraphs") => {
            let mut pieces = vec![String::new()];
            for line in text.lines() {
                match pieces.last_mut() {
                    Some(piece) if !line.trim().is_empty() => {
                        piece.push_str(line);
                        piece.push('\n');
                    }
                    _ => pieces.push(String::new()),
                }
            }
            pieces
        }
        Some("lines") => text.lines().map(str::to_owned).collect(),
        Some(other) => {
            return Err(DraftError::field("split", "paragraphs or lines", format!("{other:?}")).into());
        }
    };
    let items: Vec<Value> = pieces
        .iter()
        .map(|piece| piece.trim())
        .filter(|piece| !piece.is_empty())
        .map(|piece| json!(piece))
        .collect();
    Ok(shared(asked).with("items", Value::Array(items)))
}

/// The fields that stand in an address: numbers and truths as such, everything else as a text.
fn shared(asked: &HashMap<String, String>) -> Fields {
    let typed = |text: &String| match serde_json::from_str(text) {
        Ok(value @ (Value::Bool(_) | Value::Number(_))) => value,
        _ => json!(text),
    };
    let fields =
        asked.iter().filter(|(name, _)| *name != "split").map(|(name, text)| (name.clone(), typed(text)));
    Fields::default().with_all(&fields.collect())
}

pub(super) async fn list(
    State(context): State<Context>,
    caller: Caller,
) -> Result<Json<Vec<Value>>, ApiError> {
    let batches = context.jobs.batches(caller.sees(), 100).await?;
    Ok(Json(batches.iter().map(shown).collect()))
}

/// How it is doing, with the reason of each failure.
pub(super) async fn show(
    State(context): State<Context>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<Value>, ApiError> {
    let batch = find(&context, &caller, &id).await?;
    let mut answer = shown(&batch);
    let jobs = context.jobs.jobs_of_batch(&id).await?;
    if let Some(fields) = answer.as_object_mut() {
        let place = |job: &Job| job.batch.as_ref().map(|(_, position)| position + 1);
        let failures: Vec<Value> = jobs
            .iter()
            .filter(|job| job.status == JobStatus::Failed)
            .take(MOST_FAILURES)
            .map(|job| json!({ "job_id": job.id.to_string(), "item": place(job), "error": job.error }))
            .collect();
        let ids: Vec<String> = jobs.iter().map(|job| job.id.to_string()).collect();
        fields.insert("failures".to_owned(), json!(failures));
        fields.insert("job_ids".to_owned(), json!(ids));
    }
    Ok(Json(answer))
}

/// The audio: `?as=zip` (also when nothing is said) or `?as=joined`, one file in the order of the items (`&format=` wav, flac …,
/// or m4b, an audiobook with a chapter for each item). A batch that has not ended, or of which not all completed, is only given with `?partial=true`.
pub(super) async fn result(
    State(context): State<Context>,
    caller: Caller,
    Path(id): Path<String>,
    Query(asked): Query<HashMap<String, String>>,
) -> Result<Response, ApiError> {
    let batch = find(&context, &caller, &id).await?;
    let is_partial_fine = asked.get("partial").is_some_and(|text| text == "true");
    if !is_partial_fine && !batch.has_ended() {
        return Err(ApiError::BatchNotYet { id });
    }
    if !is_partial_fine && batch.counts.completed < u64::from(batch.total) {
        return Err(ApiError::BatchIncomplete { id, completed: batch.counts.completed, total: batch.total });
    }
    let jobs = context.jobs.jobs_of_batch(&id).await?;
    if jobs.iter().all(|job| job.output.is_none()) {
        return Err(ApiError::NothingToExport);
    }
    let name = archive_name("declaim_batch");
    match asked.get("as").map(String::as_str) {
        None | Some("zip") => archive(&context, &jobs, &name),
        Some("joined") => {
            let wanted = asked.get("format").map_or(Format::Wav.name(), String::as_str);
            let encoding = whole(&batch, &jobs, wanted)?;
            let file_name = format!("{name}.{wanted}");
            let media_type = encoding.format.media_type(encoding.sample_rate);
            let file = joined(&context, &jobs, encoding).await?;
            let size = file.metadata().await.map_err(ApiError::File)?.len();
            let entity_tag = format!("\"{id}-{}\"", batch.counts.completed);
            let download = Download { file, size, media_type, entity_tag, file_name };
            download.respond(&axum::http::HeaderMap::new()).await
        }
        Some(other) => Err(DraftError::field("as", "zip or joined", format!("{other:?}")).into()),
    }
}

/// How one file of these jobs is written, by the name of its format.
fn whole(batch: &Batch, jobs: &[Job], wanted: &str) -> Result<Encoding, DraftError> {
    let is_book = wanted == BOOK;
    let format = if is_book { Format::M4a } else { wanted.parse().map_err(|_unknown| not_joined(wanted))? };
    let request = jobs.first().map(|job| &job.request);
    let sample_rate = format.sample_rate_for(request.map_or(24_000, |request| request.sample_rate));
    let reader = request.map(|request| &request.voice);
    let reader = reader.filter(|voice| jobs.iter().all(|job| job.request.voice == **voice));
    Ok(Encoding {
        book: is_book.then(|| Book { cover: COVER.to_vec() }),
        tags: Tags {
            title: batch.title.clone(),
            artist: reader.cloned().unwrap_or_default(),
            software: SOFTWARE.to_owned(),
            details: Vec::new(),
        },
        ..Encoding::new(format, sample_rate)
    })
}

fn not_joined(wanted: &str) -> DraftError {
    DraftError::field("format", format!("{BOOK}, {}", Format::names()), format!("{wanted:?}"))
}

/// Cancels what has not ended of it.
pub(super) async fn cancel(
    State(context): State<Context>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<Value>, ApiError> {
    find(&context, &caller, &id).await?;
    let cancelled = context.jobs.cancel_batch(&id).await?;
    Ok(Json(
        json!({ "message": format!("{cancelled} jobs of batch {id} cancelled"), "cancelled": cancelled }),
    ))
}

async fn find(context: &Context, caller: &Caller, id: &str) -> Result<Batch, ApiError> {
    let batch = context.jobs.batch(id).await?.filter(|batch| caller.may_see_of(&batch.owner));
    batch.ok_or_else(|| ApiError::UnknownBatch(id.to_owned()))
}

fn shown(batch: &Batch) -> Value {
    json!({
        "batch_id": batch.id,
        "title": batch.title,
        "status": batch.status(),
        "created_at": batch.created_at as f64 / 1000.0,
        "progress": batch.progress,
        "total": batch.total,
        "counts": batch.counts,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(body: &str, split: &str) -> Vec<String> {
        let asked = HashMap::from([("split".to_owned(), split.to_owned())]);
        let fields = text(body.as_bytes(), &asked).unwrap();
        let items = items(&fields, 100).unwrap();
        items.iter().map(|item| item.text("text").unwrap().unwrap()).collect()
    }

    #[test]
    fn a_text_is_cut_at_empty_lines_or_at_every_line() {
        let body = "\u{feff}One,\r\nstill one.\r\n\r\n \r\nTwo.\n";
        assert_eq!(cut(body, "paragraphs"), ["One,\nstill one.", "Two."]);
        assert_eq!(cut(body, "lines"), ["One,", "still one.", "Two."]);
    }

    #[test]
    fn items_have_the_shared_fields_unless_they_have_their_own() {
        let body = parse(br#"{"voice": "a", "seed": 1, "items": ["x", {"text": "y", "seed": 2}]}"#).unwrap();
        let items = items(&body, 2).unwrap();
        assert_eq!(items[0].whole("seed"), Ok(Some(1)));
        assert_eq!(items[1].whole("seed"), Ok(Some(2)));
        assert_eq!(items[1].text("voice"), Ok(Some("a".to_owned())));
        assert!(super::items(&body, 1).unwrap_err().to_string().contains("a list of 1 to 1 texts"));
    }

    #[test]
    fn a_broken_line_is_named_by_its_number() {
        let error = lines(b"{\"text\": \"a\"}\n\n{oops}\n", &HashMap::new()).unwrap_err();
        assert!(error.to_string().contains("line 3, column 2"), "{error}");
    }

    #[test]
    fn fields_in_an_address_are_numbers_where_they_look_like_it() {
        let asked =
            HashMap::from([("seed".to_owned(), "7".to_owned()), ("title".to_owned(), "A b".to_owned())]);
        let fields = shared(&asked);
        assert_eq!(fields.whole("seed"), Ok(Some(7)));
        assert_eq!(fields.text("title"), Ok(Some("A b".to_owned())));
    }
}
