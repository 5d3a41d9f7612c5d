//! Finished sounds in another form: several as one, or one in another format. Made aside when they are asked for, and gone with
//! the answer.

use std::sync::Arc;

use tokio::fs::File;
use tokio::task::spawn_blocking;
use waveform::encode::Encoding;

use super::Context;
use super::error::ApiError;
use super::files::Download;
use super::tts::output;
use crate::jobs::Job;
use crate::speech::assemble::{encoding, title};
use crate::speech::join::{Chapter, join};
use crate::speech::{AudioFormat, SpeechRequest};

/// A request for the same speech in another format, at its default bit rate and the nearest sample rate it has.
pub(super) fn in_format(request: &SpeechRequest, format: AudioFormat) -> SpeechRequest {
    let sample_rate = format.sample_rate_for(request.sample_rate);
    SpeechRequest { format, sample_rate, bitrate_kbps: None, ..request.clone() }
}

/// The audio of an ended job in another format than its own, or why it has none. `name` goes without extension. What was
/// compressed is decoded first, so it becomes no better.
pub(super) async fn recoded(
    context: &Context,
    job: &Job,
    format: AudioFormat,
    name: &str,
) -> Result<Download<File>, ApiError> {
    output(job)?;
    let request = in_format(&job.request, format);
    let file = joined(context, std::slice::from_ref(job), encoding(&request)).await?;
    Ok(Download {
        size: file.metadata().await.map_err(ApiError::File)?.len(),
        file,
        media_type: format.media_type(request.sample_rate),
        entity_tag: format!("\"{}.{}-{format}\"", job.id, job.revision),
        file_name: format!("{name}.{format}"),
    })
}

/// One file of the audio of several jobs, a chapter each, removed from its folder at once.
pub(super) async fn joined(context: &Context, jobs: &[Job], encoding: Encoding) -> Result<File, ApiError> {
    // Decoding takes a processor.
    let _permit = Arc::clone(&context.uploading).acquire_owned().await.map_err(|_closed| ApiError::Bug)?;
    let chapter =
        |job: &Job| Some(Chapter { path: context.jobs.result_path(job)?, title: title(&job.request) });
    let chapters: Vec<Chapter> = jobs.iter().filter_map(chapter).collect();
    let scratch = context.jobs.scratch().map_err(|error| ApiError::File(std::io::Error::other(error)))?;
    let made = spawn_blocking(move || {
        let out = scratch.file.try_clone().map_err(ApiError::File)?;
        join(&chapters, &encoding, out).map_err(|error| ApiError::File(std::io::Error::other(error)))?;
        scratch.rewound().map_err(ApiError::File)
    });
    Ok(File::from_std(made.await.map_err(|_panicked| ApiError::Bug)??))
}
