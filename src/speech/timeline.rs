//! When each sentence of a result is heard, and how it came to be: captions for players, and the report of the takes.
//!
//! The times of chunks are exact, since stitching counts samples. Within a chunk, a sentence ends in the silence that lies
//! nearest to its share of the letters; where the voice makes none, at that share itself, which is said (`estimated`).

use std::fmt::Write as _;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::chunk::sentences::sentences;
use super::takes::Report;
use super::written;

/// Stored beside the result as JSON; fields are only ever added, with a default.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Timeline {
    pub chunks: Vec<SpokenText>,
}

/// A chunk. Times are milliseconds from the beginning of the result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SpokenText {
    /// As the model was given it.
    pub text: String,
    pub start_ms: u64,
    pub end_ms: u64,
    /// The id of its own voice, where the text changed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub voice: Option<String>,
    /// How it was spoken; not known for one that an older server spoke.
    #[serde(flatten, default, skip_serializing_if = "Option::is_none")]
    pub report: Option<Report>,
    pub sentences: Vec<Sentence>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sentence {
    /// As the model was given it.
    pub text: String,
    /// As it was sent, where that is something else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub written: Option<String>,
    pub start_ms: u64,
    pub end_ms: u64,
    /// Its end within the chunk was not heard.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub estimated: bool,
}

/// Where a chunk lies in the result, and the silences inside of it, in samples of the result.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Span {
    pub place: Range<u64>,
    pub silences: Vec<Range<u64>>,
}

/// A silence may lie this share of the chunk away from where its letters say.
const REACH: f64 = 0.2;

impl SpokenText {
    pub fn new(text: &str, span: &Span, sample_rate: u32, report: Option<Report>) -> Self {
        let ms = |sample: u64| sample * 1_000 / u64::from(sample_rate.max(1));
        let length = (span.place.end - span.place.start) as f64;
        let letters =
            |text: &str| text.chars().filter(|character| character.is_alphanumeric()).count().max(1);
        let parts: Vec<&str> = sentences(text).into_iter().map(|range| text[range].trim()).collect();
        let parts: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        let all: usize = parts.iter().map(|part| letters(part)).sum();
        let (mut start, mut said) = (span.place.start, 0);
        let mut silences = span.silences.as_slice();
        let mut found = Vec::with_capacity(parts.len());
        for (index, part) in parts.iter().enumerate() {
            said += letters(part);
            let share = span.place.start + (length * said as f64 / all as f64) as u64;
            let distance = |silence: &Range<u64>| u64::midpoint(silence.start, silence.end).abs_diff(share);
            let nearest = (0..silences.len()).min_by_key(|&silence| distance(&silences[silence]));
            let heard = nearest.filter(|&silence| (distance(&silences[silence]) as f64) < REACH * length);
            let is_last = index + 1 == parts.len();
            let (end, next) = match heard {
                _ if is_last => (span.place.end, span.place.end),
                None => (share, share),
                Some(silence) => {
                    let Range { start, end } = silences[silence].clone();
                    silences = &silences[silence + 1..];
                    (start, end)
                }
            };
            let estimated = !is_last && heard.is_none();
            found.push(Sentence {
                text: (*part).to_owned(),
                written: None,
                start_ms: ms(start),
                end_ms: ms(end),
                estimated,
            });
            start = next;
        }
        let (start_ms, end_ms) = (ms(span.place.start), ms(span.place.end));
        Self { text: text.to_owned(), start_ms, end_ms, voice: None, report, sentences: found }
    }

    /// The same with what was sent for it.
    #[must_use]
    pub fn written_as(mut self, written: &str) -> Self {
        let said: Vec<&str> = self.sentences.iter().map(|sentence| sentence.text.as_str()).collect();
        let parts: Vec<_> = written::parts(written, &said).into_iter().map(str::to_owned).collect();
        for (sentence, part) in self.sentences.iter_mut().zip(parts) {
            sentence.written = (part != sentence.text && !part.is_empty()).then_some(part);
        }
        self
    }
}

impl Sentence {
    /// What people read: the text as it was sent.
    fn caption(&self) -> String {
        one_line(self.written.as_ref().unwrap_or(&self.text))
    }
}

impl Timeline {
    fn sentences(&self) -> impl Iterator<Item = &Sentence> {
        self.chunks.iter().flat_map(|chunk| &chunk.sentences)
    }

    /// SubRip.
    pub fn to_srt(&self) -> String {
        let mut captions = String::new();
        for (number, line) in (1..).zip(self.sentences()) {
            let (start, end) = (clock(line.start_ms, ','), clock(line.end_ms, ','));
            // Writing into a String cannot fail.
            let _ = write!(captions, "{number}\n{start} --> {end}\n{}\n\n", line.caption());
        }
        captions
    }

    /// WebVTT, for a `<track>`.
    pub fn to_vtt(&self) -> String {
        let mut captions = "WEBVTT\n\n".to_owned();
        for line in self.sentences() {
            let (start, end) = (clock(line.start_ms, '.'), clock(line.end_ms, '.'));
            let text = line.caption().replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
            let _ = write!(captions, "{start} --> {end}\n{text}\n\n");
        }
        captions
    }
}

/// An empty line would end a caption.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn clock(ms: u64, point: char) -> String {
    let (hours, minutes, seconds, rest) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1_000 % 60, ms % 1_000);
    format!("{hours:02}:{minutes:02}:{seconds:02}{point}{rest:03}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spoken(text: &str, place: Range<u64>, silences: &[Range<u64>]) -> SpokenText {
        SpokenText::new(text, &Span { place, silences: silences.to_vec() }, 1_000, None)
    }

    fn times(chunk: &SpokenText) -> Vec<(u64, u64, bool)> {
        chunk.sentences.iter().map(|line| (line.start_ms, line.end_ms, line.estimated)).collect()
    }

    #[test]
    fn sentences_end_in_the_silences_that_were_heard() {
        let text = "Four letters here. Four letters here. Four letters here.";
        let chunk = spoken(text, 1_000..4_000, &[1_400..1_420, 1_900..2_100, 3_050..3_200]);
        assert_eq!(times(&chunk), [(1_000, 1_900, false), (2_100, 3_050, false), (3_200, 4_000, false)]);
        let chunk = spoken(text, 1_000..4_000, &[]);
        assert_eq!(times(&chunk), [(1_000, 2_000, true), (2_000, 3_000, true), (3_000, 4_000, false)]);
        assert_eq!(times(&spoken("One.", 5..9, &[6..7, 7..8])), [(5, 9, false)]);
    }

    #[test]
    fn captions_have_the_forms_that_players_read() {
        let timeline = Timeline {
            chunks: vec![
                spoken("Hello,\n\nyou & <i>.", 0..1_234, &[]),
                spoken("Two.", 3_723_004..3_724_000, &[]),
            ],
        };
        assert_eq!(
            timeline.to_srt(),
            "1\n00:00:00,000 --> 00:00:01,234\nHello, you & <i>.\n\n\
             2\n01:02:03,004 --> 01:02:04,000\nTwo.\n\n"
        );
        assert_eq!(
            timeline.to_vtt(),
            "WEBVTT\n\n00:00:00.000 --> 00:00:01.234\nHello, you &amp; &lt;i&gt;.\n\n\
             01:02:03.004 --> 01:02:04.000\nTwo.\n\n"
        );
    }

    #[test]
    fn captions_show_what_was_sent_and_not_what_was_made_of_it() {
        let said = "It costs five dollars. He paid.\nAnd left.";
        let chunk = spoken(said, 0..3_000, &[]).written_as("It costs $5.\nHe paid. And\nleft.");
        let written: Vec<_> = chunk.sentences.iter().map(|line| line.written.as_deref()).collect();
        assert_eq!(written, [Some("It costs $5."), None, Some("And\nleft.")]);
        let captions = Timeline { chunks: vec![chunk] }.to_srt();
        assert!(captions.contains("\nIt costs $5.\n") && captions.contains("\nAnd left.\n"), "{captions}");
    }

    #[test]
    fn a_timeline_is_stored_and_read_whole() {
        let report = Report { seed: 7, takes: 2, faults: Vec::new() };
        let mut chunk = spoken("One.", 0..10, &[]);
        chunk.report = Some(report);
        let timeline = Timeline { chunks: vec![chunk, spoken("Two.", 10..20, &[])] };
        let text = serde_json::to_string(&timeline).unwrap();
        assert_eq!(serde_json::from_str::<Timeline>(&text).unwrap(), timeline);
        assert!(text.contains(r#""seed":7,"takes":2"#), "{text}");
    }
}
