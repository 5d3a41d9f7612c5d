//! Speech with the times of its characters: `/with-timestamps` when all is spoken, `/stream/with-timestamps` while it is made.
//!
//! Sound stands in JSON as base64. A stream is a line of JSON for each part of the sound; the characters of a chunk of text
//! come with the part in which it ends, since before nobody knows how long it is.

use std::collections::HashMap;
use std::io;

use axum::body::{Body, Bytes};
use axum::extract::{Query, State};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream::{self, StreamExt};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt};

use super::asked_for;
use crate::http::Context;
use crate::http::base64;
use crate::http::caller::Caller;
use crate::http::error::ApiError;
use crate::http::extract::{Fields, Named};
use crate::http::speak::{JOB_ID, SEED};
use crate::http::stream::{Form, Piece, spoken_as};
use crate::http::tts::download;
use crate::speech::alignment::{Alignment, Sent};

/// Bytes of sound in one piece of the answer; a multiple of three, so that the pieces' base64 can be put together.
const PIECE: u64 = 48 * 1024;

/// `{audio_base64, alignment, normalized_alignment}`: characters of the text as it was sent, and as it was spoken.
pub(in crate::http) async fn whole(
    State(context): State<Context>,
    Named(voice): Named,
    Query(asked): Query<HashMap<String, String>>,
    Caller { client, .. }: Caller,
    fields: Fields,
) -> Result<Response, ApiError> {
    let request = asked_for(voice, &asked, &fields, &context)?;
    let job = context.spoken(client, request).await?;
    let file = download(&context, &job, "").await?.file;
    let timeline = context.jobs.spoken_when(&job).await.ok_or(ApiError::AudioGone(job.id))?;
    let text = job.request.text.clone();
    let aligned = tokio::task::spawn_blocking(move || {
        let (mut sent, mut written, mut said) =
            (Sent::new(&text), Alignment::default(), Alignment::default());
        for (index, chunk) in timeline.chunks.iter().enumerate() {
            let chunk = Alignment::of(chunk);
            written.append(sent.next(&chunk, index + 1 == timeline.chunks.len()));
            said.append(chunk);
        }
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
    for (name, value) in [(SEED, job.request.seed.to_string()), (JOB_ID, job.id.to_string())] {
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.insert(name, value);
        }
    }
    Ok(response)
}

/// The next piece of a file as base64, and the file if there may be more.
async fn encoded<F: AsyncRead + Unpin>(mut file: F) -> Option<(io::Result<Bytes>, Option<F>)> {
    let mut piece = Vec::new();
    match (&mut file).take(PIECE).read_to_end(&mut piece).await {
        Ok(0) => None,
        Ok(_) => Some((Ok(base64::encode(&piece).into()), Some(file))),
        Err(error) => Some((Err(error), None)),
    }
}

/// The same while it is made, in lines.
pub(in crate::http) async fn live(
    State(context): State<Context>,
    Named(voice): Named,
    Query(asked): Query<HashMap<String, String>>,
    Caller { client, .. }: Caller,
    fields: Fields,
) -> Result<Response, ApiError> {
    let request = asked_for(voice, &asked, &fields, &context)?;
    let form = Lines { sent: Sent::new(&request.text) };
    spoken_as(&context, client, request, "application/x-ndjson", form).await
}

struct Lines {
    sent: Sent,
}

impl Form for Lines {
    fn piece(&mut self, piece: Piece) -> Bytes {
        let (mut written, mut said) = (Alignment::default(), Alignment::default());
        let chunks = piece.spoken.len();
        for (index, chunk) in piece.spoken.iter().enumerate() {
            let chunk = Alignment::of(chunk);
            written.append(self.sent.next(&chunk, piece.is_last && index + 1 == chunks));
            said.append(chunk);
        }
        if piece.bytes.is_empty() && chunks == 0 {
            return Bytes::new();
        }
        let times = |alignment: Alignment| if chunks == 0 { Value::Null } else { json!(alignment) };
        let line = json!({
            "audio_base64": base64::encode(&piece.bytes),
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
        assert_eq!(text, base64::encode(&bytes));
    }
}
