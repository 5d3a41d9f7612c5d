//! `[pause:500ms]` in a text: silence of a stated length between two parts that are spoken on their own.
//!
//! The tag ends a chunk, as a paragraph does, so the pause is as exact as a sample. One before the first word is left out:
//! what would be heard first is waiting.

use std::sync::LazyLock;
use std::time::Duration;

use regex::Regex;

/// The longest pause of one tag.
pub const LONGEST: Duration = Duration::from_secs(30);

/// Units are milliseconds or seconds; upper case is what text in capitals makes of it.
#[expect(clippy::expect_used, reason = "a pattern in the source is well-formed")]
static TAG: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?i)\[pause:\s*([0-9]{0,9}(?:\.[0-9]{1,9})?)\s*([a-z]*)\s*\]")
        .expect("a well-formed pattern")
});

/// A stretch of text and the silence that follows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part<'t> {
    pub text: &'t str,
    /// `None` at the end of the text.
    pub pause: Option<Duration>,
}

/// The text between the tags, in order. A tag that [`check`] would refuse is no pause.
pub fn parts(text: &str) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    let mut from = 0;
    for found in TAG.captures_iter(text) {
        let whole = found.get_match();
        if let Some(pause) = length(&found[1], &found[2]) {
            parts.push(Part { text: &text[from..whole.start()], pause: Some(pause) });
            from = whole.end();
        }
    }
    parts.push(Part { text: &text[from..], pause: None });
    parts
}

/// # Errors
/// The first tag whose length cannot be read or exceeds [`LONGEST`].
pub fn check(text: &str) -> Result<(), &str> {
    let wrong = TAG.captures_iter(text).find(|found| length(&found[1], &found[2]).is_none());
    wrong.map_or(Ok(()), |found| Err(&text[found.get_match().range()]))
}

pub(super) fn length(number: &str, unit: &str) -> Option<Duration> {
    let number: f64 = number.parse().ok()?;
    let seconds = match unit.to_ascii_lowercase().as_str() {
        "ms" => number / 1_000.0,
        "s" => number,
        _ => return None,
    };
    Duration::try_from_secs_f64(seconds).ok().filter(|pause| *pause <= LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<(&str, Option<u128>)> {
        parts(text).iter().map(|part| (part.text, part.pause.map(|pause| pause.as_millis()))).collect()
    }

    #[test]
    fn a_text_falls_into_the_parts_between_its_pauses() {
        assert_eq!(
            found("Hello. [pause:500ms] There [pause: 1.5 s]you[PAUSE:0ms] are."),
            [("Hello. ", Some(500)), (" There ", Some(1_500)), ("you", Some(0)), (" are.", None)]
        );
        assert_eq!(found("No [laugh] pause [pause] here."), [("No [laugh] pause [pause] here.", None)]);
    }

    #[test]
    fn a_length_that_is_none_is_named() {
        for wrong in ["[pause:5]", "[pause:31s]", "[pause:ms]", "[pause:2min]"] {
            assert_eq!(check(&format!("One [pause:1s] two {wrong} three")), Err(wrong));
        }
        assert_eq!(check("One [pause:30s] two"), Ok(()));
    }
}
