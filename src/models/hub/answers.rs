//! What the hub's answers say, read from their headers, and addresses as it writes them.

use std::time::Duration;

use ureq::http::{Response, header};

use crate::models::digest::Digest;

/// What the answers on the way have told so far; the first to say something is believed.
#[derive(Default)]
pub(super) struct Told {
    pub(super) size: Option<u64>,
    pub(super) digest: Option<Digest>,
    pub(super) entity_tag: Option<String>,
    pub(super) commit: Option<String>,
}

impl Told {
    pub(super) fn read<B>(&mut self, answer: &Response<B>) {
        let tag = text(answer, "x-linked-etag").and_then(Digest::from_entity_tag);
        self.digest = self.digest.take().or(tag);
        self.size = self.size.or_else(|| number(answer, "x-linked-size"));
        let commit = text(answer, "x-repo-commit").filter(|commit| is_commit(commit));
        self.commit = self.commit.take().or_else(|| commit.map(str::to_owned));
    }

    /// The last answer is the file itself: its own headers count where the hub's were silent.
    pub(super) fn read_plain<B>(&mut self, answer: &Response<B>) {
        let tag = text(answer, header::ETAG.as_str()).map(str::trim).filter(|tag| tag.starts_with('"'));
        self.size = self.size.or_else(|| number(answer, header::CONTENT_LENGTH.as_str()));
        // Elsewhere, forty digits may be anything.
        let digest = tag.filter(|_| self.commit.is_some()).and_then(Digest::from_entity_tag);
        self.digest = self.digest.take().or(digest);
        self.entity_tag = tag.map(str::to_owned);
    }

    pub(super) fn is_complete(&self) -> bool {
        self.size.is_some() && self.digest.is_some() && self.commit.is_some()
    }
}

pub(in crate::models) fn is_commit(revision: &str) -> bool {
    revision.len() == 40 && revision.bytes().all(|byte| byte.is_ascii_hexdigit())
}

pub(super) fn text<'a, B>(answer: &'a Response<B>, name: &str) -> Option<&'a str> {
    answer.headers().get(name).and_then(|value| value.to_str().ok())
}

pub(super) fn number<B>(answer: &Response<B>, name: &str) -> Option<u64> {
    text(answer, name)?.trim().parse().ok()
}

/// First byte and total size of `bytes 5-9/10`; the first is 0 in `bytes */10`.
pub(super) fn content_range<B>(answer: &Response<B>) -> Option<(u64, Option<u64>)> {
    let (range, total) =
        text(answer, header::CONTENT_RANGE.as_str())?.trim().strip_prefix("bytes ")?.split_once('/')?;
    let first = match range.split_once('-') {
        Some((first, _)) => first.trim().parse().ok()?,
        None => 0,
    };
    Some((first, total.trim().parse().ok()))
}

/// `Retry-After` as a wait: seconds, or a date.
pub(super) fn retry_after<B>(answer: &Response<B>) -> Option<Duration> {
    let value = text(answer, header::RETRY_AFTER.as_str())?.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let then = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(value).ok()?;
    Some(then.duration_since(jiff::Timestamp::now()).try_into().unwrap_or(Duration::ZERO))
}

fn hex_digit(value: u8) -> char {
    char::from_digit(value.into(), 16).unwrap_or_default().to_ascii_uppercase()
}

/// Percent-encodes what an address may not hold; a path keeps its slashes.
pub(super) fn encoded(text: &str, is_path: bool) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || (is_path && byte == b'/') {
            encoded.push(char::from(byte));
        } else {
            encoded.extend(['%', hex_digit(byte >> 4), hex_digit(byte & 15)]);
        }
    }
    encoded
}

/// The address that `place` means, seen from `url`.
pub(super) fn absolute(url: &str, place: &str) -> String {
    if place.contains("://") {
        return place.to_owned();
    }
    let after_scheme = url.find("://").map_or(0, |at| at + 3);
    let root = url[after_scheme..].find('/').map_or(url.len(), |at| after_scheme + at);
    match place.strip_prefix("//") {
        Some(elsewhere) => format!("{}{elsewhere}", &url[..after_scheme]),
        None if place.starts_with('/') => format!("{}{place}", &url[..root]),
        None => format!("{}/{place}", url.rsplit_once('/').map_or(url, |(folder, _)| folder)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_are_read_as_addresses_relative_to_where_they_were_met() {
        for (place, expected) in [
            ("https://cdn.example/x?y", "https://cdn.example/x?y"),
            ("/api/x", "https://hub.example:1/api/x"),
            ("//cdn.example/x", "https://cdn.example/x"),
            ("c", "https://hub.example:1/a/c"),
        ] {
            assert_eq!(absolute("https://hub.example:1/a/b", place), expected);
        }
    }

    #[test]
    fn addresses_hold_branches_with_slashes_and_names_with_blanks() {
        assert_eq!(encoded("refs/pr/1", false), "refs%2Fpr%2F1");
        assert_eq!(encoded("a b/ü.json", true), "a%20b/%C3%BC.json");
    }

    #[test]
    fn a_time_to_come_back_may_be_seconds_or_a_date() {
        let answer = |value: &str| Response::builder().header("retry-after", value).body(()).unwrap();
        assert_eq!(retry_after(&answer("7")), Some(Duration::from_secs(7)));
        assert_eq!(retry_after(&answer("Wed, 21 Oct 2015 07:28:00 GMT")), Some(Duration::ZERO));
        let wait = retry_after(&answer("Fri, 31 Dec 2100 23:59:59 GMT")).unwrap();
        assert!(wait > Duration::from_secs(1_000_000_000), "{wait:?}");
        assert_eq!(retry_after(&answer("soon")), None);
    }
}
