//! The audio of many jobs as one zip archive, made while it is sent: nothing is gathered in memory or on the disk.
//!
//! The files are stored as they are, since audio does not compress. Last comes `jobs.json`, which says what each of them is.

use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tokio_util::io::{ReaderStream, SyncIoBridge};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use super::Context;
use super::error::ApiError;
use super::tts::{Status, timestamp};
use crate::jobs::Job;

/// Bytes between the one who makes the archive and the one who sends it.
const BUFFER: usize = 256 * 1024;

/// Longest piece of a text in a file's name, in characters.
const MOST_OF_TEXT: usize = 40;

struct Entry {
    name: String,
    path: PathBuf,
    about: Value,
}

/// The completed ones of these jobs, in this order. `name` goes without extension.
///
/// # Errors
/// [`ApiError::TooManyWaiting`]: an archive holds a thread until its client has taken it, like other sound that is waited for.
pub(super) fn archive(context: &Context, jobs: &[Job], name: &str) -> Result<Response, ApiError> {
    let permit = context.wait()?;
    let entries: Vec<Entry> = jobs
        .iter()
        .filter_map(|job| Some((job, context.jobs.result_path(job)?)))
        .enumerate()
        .map(|(index, (job, path))| Entry {
            name: entry_name(index + 1, job, &path),
            path,
            about: Status::listed(job).to_json(),
        })
        .collect();
    let (sent, made) = tokio::io::duplex(BUFFER);
    // Ends by itself when the client leaves: then nobody takes what is written.
    tokio::task::spawn_blocking(move || {
        if let Err(error) = write(entries, SyncIoBridge::new(made)) {
            tracing::debug!(%error, "an archive was not sent to its end");
        }
        drop(permit);
    });
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/zip"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
    if let Ok(value) = HeaderValue::try_from(format!("attachment; filename=\"{name}.zip\"")) {
        headers.insert(header::CONTENT_DISPOSITION, value);
    }
    Ok((headers, Body::from_stream(ReaderStream::with_capacity(sent, BUFFER))).into_response())
}

fn write(entries: Vec<Entry>, out: impl Write) -> io::Result<()> {
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored).large_file(true);
    let mut archive = ZipWriter::new_stream(out);
    let mut about = Vec::new();
    for Entry { name, path, about: mut job } in entries {
        // A job may be deleted, or expire, while the archive is made; then the list says so.
        let file = File::open(&path).ok();
        job["file"] = file.as_ref().map_or(Value::Null, |_there| json!(name));
        about.push(job);
        if let Some(mut file) = file {
            archive.start_file(name, options)?;
            io::copy(&mut file, &mut archive)?;
        }
    }
    archive.start_file("jobs.json", options)?;
    archive.write_all(serde_json::to_string_pretty(&about).unwrap_or_default().as_bytes())?;
    archive.finish()?.flush()
}

/// `001_Once_upon_a_time.wav`: sorts in order, and is a name on every system.
fn entry_name(number: usize, job: &Job, path: &std::path::Path) -> String {
    let extension = path.extension().unwrap_or_default().to_string_lossy();
    let words: Vec<&str> = job
        .request
        .text
        .split(|character: char| !character.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .take(MOST_OF_TEXT)
        .collect();
    let text: String = words.join("_").chars().take(MOST_OF_TEXT).collect();
    format!("{number:03}_{text}.{extension}")
}

/// A name for an archive that is made now.
pub(super) fn archive_name(what: &str) -> String {
    format!("{what}_{}", timestamp(jiff::Timestamp::now().as_millisecond()))
}
