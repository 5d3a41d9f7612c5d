//! A text in pieces that a model can speak in one go.
//!
//! Models lose words beyond some length and stop hearing themselves below some other, so sentences are packed greedily up
//! to a target, and nothing ever exceeds the model's hard cap. Every chunk is a slice of the text between whitespace, which
//! is why no character can be lost, repeated or moved. Lengths are counted in Unicode code points, as upstream does.

mod cut;
pub(crate) mod lines;
pub(crate) mod sentences;

use std::ops::Range;

use super::stitch::Joint;

/// One piece of text, not empty, without whitespace around it.
#[derive(Clone, Debug, PartialEq)]
pub struct Chunk {
    pub text: String,
    /// What it says, as it was sent.
    pub written: String,
    /// What lies between this chunk and the next: decides how long the pause is.
    pub pause: Boundary,
    /// The id of its own voice, where the text changes it.
    pub voice: Option<String>,
    /// Its tempo beside that of the whole.
    pub rate: f32,
}

impl Chunk {
    /// In the voice and at the tempo of the whole, written as it is said.
    pub fn new(text: &str, pause: Boundary) -> Self {
        Self { text: text.to_owned(), written: text.to_owned(), pause, voice: None, rate: 1.0 }
    }

    pub fn joint(&self) -> Joint {
        Joint { pause: self.pause, rate: self.rate }
    }
}

/// Where a chunk ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Boundary {
    /// Inside a sentence that was too long.
    Clause,
    Sentence,
    Paragraph,
    /// Silence that the text asks for, in milliseconds.
    Pause(u32),
    /// Nothing follows.
    End,
}

impl Boundary {
    /// With a pause that the text asks for: it replaces what was there and is added to another one.
    #[must_use]
    pub fn then(self, pause: std::time::Duration) -> Self {
        let before = match self {
            Self::Pause(before) => before,
            Self::Clause | Self::Sentence | Self::Paragraph | Self::End => 0,
        };
        Self::Pause(before.saturating_add(pause.as_millis() as u32))
    }
}

/// How long chunks may be, in Unicode code points.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Sentences are packed up to here; a longer single sentence still stays whole.
    pub target: usize,
    /// Never exceeded.
    pub cap: usize,
    /// `false`: keep the text together as far as `cap` allows.
    pub split: bool,
}

/// Texts up to this many times the target stay in one chunk, as upstream keeps them.
const GATE: f64 = 1.5;

/// A part of the text that is not divided again, and what follows it.
struct Segment {
    range: Range<usize>,
    boundary: Boundary,
}

/// Cuts `text` into chunks; none for a text of whitespace only.
pub fn split(text: &str, limits: Limits) -> Vec<Chunk> {
    let text = text.trim();
    if text.is_empty() {
        return Vec::new();
    }
    let cap = limits.cap.max(1);
    let length = count(text);
    let together = !limits.split || length as f64 <= GATE * limits.target as f64;
    let (target, across_paragraphs) = if together { (cap, true) } else { (limits.target.min(cap), false) };
    let segments = if together && length <= cap {
        vec![Segment { range: 0..text.len(), boundary: Boundary::End }]
    } else {
        segments(text).into_iter().flat_map(|segment| capped(text, segment, cap)).collect()
    };
    let mut chunks = pack(text, segments, target, cap, across_paragraphs);
    if let Some(last) = chunks.last_mut() {
        last.pause = Boundary::End;
    }
    chunks
}

/// Sentences and list items, in order, trimmed and not empty.
fn segments(text: &str) -> Vec<Segment> {
    let mut segments = Vec::new();
    for paragraph in lines::paragraphs(text) {
        let first = segments.len();
        for block in lines::blocks(&text[paragraph.clone()]) {
            let block = paragraph.start + block.start..paragraph.start + block.end;
            // What stands behind a bullet is said in one breath.
            let parts = if lines::unmarked(&text[block.clone()]).len() < block.len() {
                std::iter::once(0..block.len()).collect()
            } else {
                sentences::sentences(&text[block.clone()])
            };
            for part in parts {
                let range = trimmed(text, block.start + part.start..block.start + part.end);
                if !range.is_empty() {
                    segments.push(Segment { range, boundary: Boundary::Sentence });
                }
            }
        }
        if segments.len() > first {
            let last = segments.len() - 1;
            segments[last].boundary = Boundary::Paragraph;
        }
    }
    segments
}

/// The segment, or its pieces where it is longer than `cap`: sentences of a list item first, then clauses, words, letters.
fn capped(text: &str, segment: Segment, cap: usize) -> Vec<Segment> {
    if count(&text[segment.range.clone()]) <= cap {
        return vec![segment];
    }
    let mut pieces = Vec::new();
    let start = segment.range.start;
    for sentence in sentences::sentences(&text[segment.range.clone()]) {
        let sentence = trimmed(text, start + sentence.start..start + sentence.end);
        for piece in cut::cut(&text[sentence.clone()], cap) {
            let range = trimmed(text, sentence.start + piece.start..sentence.start + piece.end);
            if !range.is_empty() {
                pieces.push(Segment { range, boundary: Boundary::Clause });
            }
        }
        if let Some(last) = pieces.last_mut() {
            last.boundary = Boundary::Sentence;
        }
    }
    if let Some(last) = pieces.last_mut() {
        last.boundary = segment.boundary;
    }
    pieces
}

fn pack(
    text: &str,
    segments: Vec<Segment>,
    target: usize,
    cap: usize,
    across_paragraphs: bool,
) -> Vec<Chunk> {
    let mut packed: Vec<Segment> = Vec::new();
    for segment in segments {
        if let Some(current) = packed.last_mut() {
            let joined = current.range.start..segment.range.end;
            let length = count(&text[joined.clone()]);
            let open = across_paragraphs || current.boundary != Boundary::Paragraph;
            // A row of stars or a lone full stop is nothing to say on its own.
            let mute = !speaks(&text[segment.range.clone()]) || !speaks(&text[current.range.clone()]);
            if (open && length <= target) || (mute && length <= cap) {
                *current = Segment { range: joined, boundary: segment.boundary };
                continue;
            }
        }
        packed.push(segment);
    }
    packed.into_iter().map(|part| Chunk::new(&text[part.range], part.boundary)).collect()
}

fn speaks(text: &str) -> bool {
    text.chars().any(char::is_alphanumeric)
}

fn count(text: &str) -> usize {
    text.chars().count()
}

fn trimmed(text: &str, range: Range<usize>) -> Range<usize> {
    let part = &text[range.clone()];
    let start = range.start + (part.len() - part.trim_start().len());
    start..start.max(range.end - (part.len() - part.trim_end().len()))
}

#[cfg(test)]
mod tests;
