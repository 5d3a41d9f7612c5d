//! A finished file as a response: whole, a part of it, or "you have it already".
//!
//! Players seek with `Range`, downloads resume with it. A result changes only where a chunk of it is spoken again, so its id and
//! how often that happened make a strong entity tag.

use std::io::SeekFrom;
use std::ops::RangeInclusive;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncSeek, AsyncSeekExt};
use tokio_util::io::ReaderStream;

use super::error::ApiError;

/// Bytes read at once; larger than the default 4 KiB, as each read visits the blocking pool.
const READ_SIZE: usize = 64 * 1024;

/// A file and what its headers say.
#[derive(Debug)]
pub(super) struct Download<F> {
    /// At its beginning.
    pub(super) file: F,
    /// Bytes.
    pub(super) size: u64,
    pub(super) media_type: String,
    /// With its quotes.
    pub(super) entity_tag: String,
    /// Suggested to whoever saves it; file-name-safe ASCII.
    pub(super) file_name: String,
}

impl<F: AsyncRead + AsyncSeek + Send + Unpin + 'static> Download<F> {
    /// Answers a request with these headers: 200, 206, 304 or 416.
    pub(super) async fn respond(mut self, asked: &HeaderMap) -> Result<Response, ApiError> {
        let text = |name| asked.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
        if text(header::IF_NONE_MATCH).is_some_and(|tags| matches(tags, &self.entity_tag)) {
            return Ok((StatusCode::NOT_MODIFIED, self.headers(None)).into_response());
        }
        // A part of another version would be spliced into what the client has: then it gets the whole.
        let same = text(header::IF_RANGE).is_none_or(|tag| tag == self.entity_tag);
        match text(header::RANGE).filter(|_| same).map_or(Part::Whole, |range| part(range, self.size)) {
            Part::Outside => Err(ApiError::Range { size: self.size }),
            Part::Whole => {
                let headers = self.headers(Some(self.size));
                Ok((headers, Body::from_stream(ReaderStream::with_capacity(self.file, READ_SIZE)))
                    .into_response())
            }
            Part::Bytes(range) => {
                let (first, last) = (*range.start(), *range.end());
                let length = last - first + 1;
                self.file.seek(SeekFrom::Start(first)).await.map_err(ApiError::File)?;
                let mut headers = self.headers(Some(length));
                let place = format!("bytes {first}-{last}/{}", self.size);
                insert(&mut headers, header::CONTENT_RANGE, place);
                let stream = ReaderStream::with_capacity(self.file.take(length), READ_SIZE);
                Ok((StatusCode::PARTIAL_CONTENT, headers, Body::from_stream(stream)).into_response())
            }
        }
    }

    fn headers(&self, length: Option<u64>) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        // May be kept, must be asked about: the clean-up removes results, and they are nobody else's business.
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
        insert(&mut headers, header::ETAG, self.entity_tag.clone());
        if let Some(length) = length {
            insert(&mut headers, header::CONTENT_TYPE, self.media_type.clone());
            headers.insert(header::CONTENT_LENGTH, length.into());
            insert(
                &mut headers,
                header::CONTENT_DISPOSITION,
                format!("attachment; filename=\"{}\"", self.file_name),
            );
        }
        headers
    }
}

/// Says it where it can be said in a header.
pub(super) fn insert(headers: &mut HeaderMap, name: header::HeaderName, value: String) {
    if let Ok(value) = HeaderValue::try_from(value) {
        headers.insert(name, value);
    }
}

/// Whether an `If-None-Match` list names `tag`, comparing weakly as RFC 9110 wants it there.
pub(super) fn matches(tags: &str, tag: &str) -> bool {
    tags.split(',').map(str::trim).any(|known| known == "*" || known.trim_start_matches("W/") == tag)
}

#[derive(Debug, PartialEq, Eq)]
enum Part {
    Whole,
    Bytes(RangeInclusive<u64>),
    Outside,
}

/// What a `Range` header asks of a file of `size` bytes. Several ranges at once, and what cannot be read, may be
/// answered with the whole (RFC 9110, 14.2), and are.
fn part(header: &str, size: u64) -> Part {
    let Some((first, last)) = header.trim().strip_prefix("bytes=").and_then(|range| range.split_once('-'))
    else {
        return Part::Whole;
    };
    let number = |text: &str| text.trim().parse::<u64>().ok();
    let range = match (number(first), number(last)) {
        (Some(first), Some(last)) if first <= last => first..=last.min(size.saturating_sub(1)),
        (Some(first), None) if last.trim().is_empty() => first..=size.saturating_sub(1),
        (None, Some(count)) if first.trim().is_empty() => {
            if count == 0 {
                return Part::Outside;
            }
            size.saturating_sub(count)..=size.saturating_sub(1)
        }
        _ => return Part::Whole,
    };
    if *range.start() >= size { Part::Outside } else { Part::Bytes(range) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_the_standard_says() {
        for (header, expected) in [
            ("bytes=0-0", Part::Bytes(0..=0)),
            ("bytes=2-5", Part::Bytes(2..=5)),
            ("bytes=2-", Part::Bytes(2..=9)),
            ("bytes=2-99", Part::Bytes(2..=9)),
            ("bytes=-3", Part::Bytes(7..=9)),
            ("bytes=-99", Part::Bytes(0..=9)),
            ("bytes=10-", Part::Outside),
            ("bytes=-0", Part::Outside),
            ("bytes=5-2", Part::Whole),
            ("bytes=0-1,3-4", Part::Whole),
            ("chapters=1-2", Part::Whole),
            ("bytes=a-b", Part::Whole),
            ("bytes=-", Part::Whole),
        ] {
            assert_eq!(part(header, 10), expected, "{header}");
        }
        assert_eq!(part("bytes=0-", 0), Part::Outside);
    }

    #[test]
    fn entity_tags_match_in_lists_weakly_and_by_star() {
        for tags in ["\"a\"", "\"b\", \"a\"", "W/\"a\"", "*"] {
            assert!(matches(tags, "\"a\""), "{tags}");
        }
        assert!(!matches("\"b\"", "\"a\""));
    }
}
