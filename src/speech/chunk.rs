//! Cuts a text into chunks that a model can speak in one go.
//!
//! The simplest splitter that keeps the promises of its signature: sentences end at `.`, `!`, `?` or a line break, and no
//! chunk is longer than the cap.

/// A piece of text and what follows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    pub text: String,
    pub pause: Boundary,
}

/// What stands between a chunk and the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Boundary {
    Sentence,
    Paragraph,
    /// Inside a sentence.
    Clause,
    End,
}

/// In characters.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// What a chunk should be about.
    pub target: usize,
    /// What no chunk exceeds.
    pub cap: usize,
    /// Whether to cut where the cap does not force it.
    pub split: bool,
}

pub fn split(text: &str, limits: Limits) -> Vec<Chunk> {
    let target = if limits.split { limits.target.min(limits.cap) } else { limits.cap }.max(1);
    let mut chunks: Vec<Chunk> = Vec::new();
    for sentence in text.split_inclusive(['.', '!', '?', '\n']).map(str::trim).filter(|text| !text.is_empty())
    {
        let characters: Vec<char> = sentence.chars().collect();
        for piece in characters.chunks(limits.cap.max(1)) {
            let piece: String = piece.iter().collect();
            match chunks.last_mut() {
                Some(last) if last.text.chars().count() + 1 + piece.chars().count() <= target => {
                    last.text.push(' ');
                    last.text.push_str(&piece);
                }
                _ => chunks.push(Chunk { text: piece, pause: Boundary::Sentence }),
            }
        }
    }
    if let Some(last) = chunks.last_mut() {
        last.pause = Boundary::End;
    }
    chunks
}
