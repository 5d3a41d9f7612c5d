//! Who says what, how fast, and what is silence: a text as it was sent, cut into the parts that are spoken alike.
//!
//! A text that begins with `<speak` is SSML (`ssml`); in any other, `[voice:Ada]` changes the voice until the next such tag, and
//! `[pause:500ms]` is silence (`pauses`). Whatever steers is taken out here, so that no model reads it out.

pub mod pauses;
mod ssml;

use std::sync::LazyLock;
use std::time::Duration;

use regex::Regex;

use super::chunk::Boundary;
use crate::xml::line_and_column;

/// The longest name of a voice in a text, in characters.
const LONGEST_NAME: usize = 80;

#[expect(clippy::expect_used, reason = "a pattern in the source is well-formed")]
static VOICE: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"(?i)\[voice:([^\[\]\n]*)\]").expect("a well-formed pattern"));

/// A stretch of text that is spoken by one voice at one tempo, and what follows it.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    pub text: String,
    pub voice: Option<Name>,
    /// Beside the tempo of the whole.
    pub rate: f32,
    /// Silence that the text asks for.
    pub pause: Option<Duration>,
}

/// A voice as a text names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    pub name: String,
    /// In bytes of the whole text.
    pub at: usize,
}

/// What is wrong with a text that steers.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{problem}")]
pub struct ScriptError {
    /// In bytes.
    pub at: usize,
    pub problem: String,
}

impl ScriptError {
    fn new(at: usize, problem: impl Into<String>) -> Self {
        Self { at, problem: problem.into() }
    }

    /// Line and column of the place, counted from 1.
    pub fn place(&self, text: &str) -> (usize, usize) {
        line_and_column(text, self.at)
    }
}

/// Whether a text is SSML.
pub fn is_ssml(text: &str) -> bool {
    let text = text.trim_start_matches('\u{feff}').trim_start();
    let text = match text.strip_prefix("<?xml") {
        Some(rest) => rest.split_once("?>").map_or("", |(_, rest)| rest).trim_start(),
        None => text,
    };
    let root = text.strip_prefix("<speak");
    root.is_some_and(|rest| rest.starts_with(|next: char| next.is_whitespace() || matches!(next, '>' | '/')))
}

/// The parts of a text, in order.
///
/// # Errors
/// The first place that cannot be read.
pub fn parts(text: &str) -> Result<Vec<Part>, ScriptError> {
    if is_ssml(text) { ssml::parts(text) } else { tagged(text) }
}

/// The words of a text without what steers them; the text itself where it cannot be read.
pub fn words(text: &str) -> String {
    match parts(text) {
        Ok(parts) => parts.iter().map(|part| part.text.trim()).collect::<Vec<_>>().join(" "),
        Err(_) => text.to_owned(),
    }
}

/// The last tag that calls a voice.
pub fn last_voice(text: &str) -> Option<&str> {
    VOICE.find_iter(text).last().map(|found| &text[found.range()])
}

/// The marks that a text begins with, which belong to what stands before, and the rest.
pub fn closing_marks(text: &str) -> (&str, &str) {
    /// Of one place; more are an ornament.
    const MOST: usize = 3;

    let is_mark =
        |mark: char| matches!(mark, '.' | ',' | ';' | ':' | '!' | '?' | '…' | '。' | '，' | '！' | '？');
    let length = text.chars().take_while(|mark| is_mark(*mark)).map(char::len_utf8).sum();
    let (marks, rest) = text.split_at(length);
    if marks.chars().count() > MOST { ("", text) } else { (marks, rest) }
}

/// What follows a part that has no pause of its own, by how it ends.
pub fn boundary(part: &str, next: &str) -> Boundary {
    let tail = &part[part.trim_end().len()..];
    let head = &next[..next.len() - next.trim_start().len()];
    if tail.matches('\n').count() + head.matches('\n').count() > 1 {
        return Boundary::Paragraph;
    }
    let closing = |character: char| matches!(character, '"' | '\'' | '”' | '’' | '»' | ')' | ']' | ' ');
    let last = part.trim_end().trim_end_matches(closing).chars().next_back();
    if last.is_some_and(|mark| matches!(mark, '.' | '!' | '?' | '…' | '。' | '！' | '？')) {
        Boundary::Sentence
    } else {
        Boundary::Clause
    }
}

fn tagged(text: &str) -> Result<Vec<Part>, ScriptError> {
    let mut parts = Vec::new();
    let (mut from, mut voice) = (0, None);
    for found in VOICE.captures_iter(text) {
        let whole = found.get_match();
        add_pauses(&text[from..whole.start()], voice.as_ref(), 1.0, &mut parts);
        voice = name(&found[1], whole.start())?;
        from = whole.end();
    }
    add_pauses(&text[from..], voice.as_ref(), 1.0, &mut parts);
    Ok(parts)
}

/// A voice's name; none where the tag gives the word back to the voice of the whole.
fn name(name: &str, at: usize) -> Result<Option<Name>, ScriptError> {
    let name = name.trim();
    if name.chars().count() > LONGEST_NAME {
        return Err(ScriptError::new(
            at,
            format!("the name of a voice has at most {LONGEST_NAME} characters"),
        ));
    }
    Ok((!name.is_empty()).then(|| Name { name: name.to_owned(), at }))
}

fn add_pauses(text: &str, voice: Option<&Name>, rate: f32, parts: &mut Vec<Part>) {
    for part in pauses::parts(text) {
        if !part.text.is_empty() || part.pause.is_some() {
            parts.push(Part { text: part.text.to_owned(), voice: voice.cloned(), rate, pause: part.pause });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Said = (String, Option<String>, Option<u128>);

    fn said(text: &str) -> Vec<Said> {
        let told = |part: Part| {
            (part.text, part.voice.map(|voice| voice.name), part.pause.map(|pause| pause.as_millis()))
        };
        parts(text).unwrap().into_iter().map(told).collect()
    }

    #[test]
    fn a_voice_speaks_until_the_next_one_and_an_empty_name_gives_the_word_back() {
        let part =
            |text: &str, voice: Option<&str>, pause| (text.to_owned(), voice.map(str::to_owned), pause);
        assert_eq!(
            said("Once. [voice:Ada] I [pause:1s]am. [VOICE: Max Power ]So am I.[voice:] Then."),
            [
                part("Once. ", None, None),
                part(" I ", Some("Ada"), Some(1_000)),
                part("am. ", Some("Ada"), None),
                part("So am I.", Some("Max Power"), None),
                part(" Then.", None, None),
            ]
        );
        assert_eq!(said("No [voice] here."), [part("No [voice] here.", None, None)]);
        let error = parts(&format!("One\n [voice:{}]", "x".repeat(81))).unwrap_err();
        assert_eq!(error.place("One\n [voice"), (2, 2));
    }

    #[test]
    fn what_follows_a_part_is_told_by_how_it_ends() {
        for (part, next, expected) in [
            ("He said", " no", Boundary::Clause),
            ("He said: \"No.\" ", "Yes", Boundary::Sentence),
            ("No.\n", "\nYes", Boundary::Paragraph),
            ("No.\n", "Yes", Boundary::Sentence),
            ("世界。", "世", Boundary::Sentence),
        ] {
            assert_eq!(boundary(part, next), expected, "{part:?} {next:?}");
        }
    }

    #[test]
    fn ssml_is_told_by_its_first_element() {
        for ssml in
            ["<speak>", " \n<speak version='1.1'>", "<?xml version='1.0'?>\n<speak/>", "\u{feff}<speak>"]
        {
            assert!(is_ssml(ssml), "{ssml:?}");
        }
        for text in ["speak", "<speaker>", "< speak>", "He said <speak>", "<p>Hi</p>", "<?xml"] {
            assert!(!is_ssml(text), "{text:?}");
        }
    }
}
