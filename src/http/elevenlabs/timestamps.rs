//! Speech with the times of its characters: `/with-timestamps` when all is spoken, `/stream/with-timestamps` while it is made.
//!
//! Sound stands in JSON as base64. A stream is a line of JSON for each part of the sound; the characters of a chunk of text
//! come with the part in which it ends, since before nobody knows how long it is.

use std::io;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use base64::prelude::{BASE64_STANDARD, Engine as _};
use futures_util::stream::{self, StreamExt};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt};

use super::Asked;
use crate::http::Context;
use crate::http::error::ApiError;
use crate::http::speak::name_job;
use crate::http::stream::{Form, Piece, spoken_as};
use crate::http::tts::download;
use crate::speech::alignment::{Alignment, Sent};

/// Bytes of sound in one piece of the answer; a multiple of three, so that the pieces' base64 can be put together.
const PIECE: u64 = 48 * 1024;

/// `{audio_base64, alignment, normalized_alignment}`: characters of the text as it was sent, and as it was spoken.
pub(in crate::http) async fn whole(
    State(context): State<Context>,
    asked: Asked,
) -> Result<Response, ApiError> {
    let job = context.spoken(asked.client, asked.request).await?;
    let file = download(&context, &job, "").await?.file;
    let timeline = context.jobs.spoken_when(&job).await.ok_or(ApiError::AudioGone(job.id))?;
    let text = job.request.text.clone();
    let aligned = tokio::task::spawn_blocking(move || {
        let (written, said) = Sent::new(&text).align(&timeline.chunks, true);
        format!(r#"","alignment":{},"normalized_alignment":{}}}"#, json!(written), json!(said))
    });
    let tail = aligned.await.map_err(|_panicked| ApiError::Bug)?;
    // A file may be larger than memory.
    let begin = stream::iter([Ok(Bytes::from_static(br#"{"audio_base64":""#))]);
    let end = stream::iter([Ok(Bytes::from(tail))]);
    let sound = stream::unfold(Some(file), |file| async { encoded(file?).await });
    let mut response = Body::from_stream(begin.chain(sound).chain(end)).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    name_job(headers, &job);
    Ok(response)
}

/// The next piece of a file as base64, and the file if there may be more.
async fn encoded<F: AsyncRead + Unpin>(mut file: F) -> Option<(io::Result<Bytes>, Option<F>)> {
    let mut piece = Vec::new();
    match (&mut file).take(PIECE).read_to_end(&mut piece).await {
        Ok(0) => None,
        Ok(_) => Some((Ok(BASE64_STANDARD.encode(&piece).into()), Some(file))),
        Err(error) => Some((Err(error), None)),
    }
}

/// The same while it is made, in lines.
pub(in crate::http) async fn live(
    State(context): State<Context>,
    asked: Asked,
) -> Result<Response, ApiError> {
    let form = Lines { sent: Sent::new(&asked.request.text) };
    spoken_as(&context, asked.client, asked.request, "application/x-ndjson", form).await
}

struct Lines {
    sent: Sent,
}

impl Form for Lines {
    fn piece(&mut self, piece: Piece) -> Bytes {
        let tells_times = !piece.spoken.is_empty();
        if piece.bytes.is_empty() && !tells_times {
            return Bytes::new();
        }
        let (written, said) = self.sent.align(&piece.spoken, piece.is_last);
        let times = |alignment: Alignment| if tells_times { json!(alignment) } else { Value::Null };
        let line = json!({
            "audio_base64": BASE64_STANDARD.encode(&piece.bytes),
            "alignment": times(written),
            "normalized_alignment": times(said),
        });
        format!("{line}\n").into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_base64_of_a_file_in_pieces_is_that_of_the_whole() {
        let bytes: Vec<u8> = (0..=PIECE as usize * 2).map(|byte| (byte % 251) as u8).collect();
        let (mut text, mut file) = (String::new(), Some(bytes.as_slice()));
        while let Some((piece, rest)) = match file {
            Some(file) => encoded(file).await,
            None => None,
        } {
            text.push_str(std::str::from_utf8(&piece.unwrap()).unwrap());
            file = rest;
        }
        assert_eq!(text, BASE64_STANDARD.encode(&bytes));
    }
}
