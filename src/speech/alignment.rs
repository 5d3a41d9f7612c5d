//! When each character of a text is heard.
//!
//! The times of chunks are exact, and those of sentences where a silence ends them (`timeline`). Within a sentence the models
//! do not tell: its time is shared out by what its characters usually take ([`weight`]), which is an estimate. Against the phones
//! of the embedded voice, which are known to 40 ms, words begin 110 ms off on average; docs/API.md has the figures.
//!
//! The text as it was sent is followed word by word through the text as it was spoken: words that are the same in both have the
//! same times, and what was read out otherwise (`$5`, "five dollars") has the time that lies between its neighbours.

use serde::Serialize;

use super::timeline::SpokenText;

/// Characters and their times, in seconds from the beginning of the sound. The lists are of one length.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Alignment {
    pub characters: Vec<char>,
    #[serde(rename = "character_start_times_seconds")]
    pub starts: Vec<f64>,
    #[serde(rename = "character_end_times_seconds")]
    pub ends: Vec<f64>,
}

impl Alignment {
    /// Of a chunk as it was spoken.
    pub fn of(chunk: &SpokenText) -> Self {
        let mut alignment = Self::default();
        let seconds = |ms: u64| ms as f64 / 1_000.0;
        let (mut rest, mut at) = (chunk.text.as_str(), seconds(chunk.start_ms));
        for sentence in &chunk.sentences {
            let Some(place) = rest.find(&sentence.text) else { continue };
            let (start, end) = (seconds(sentence.start_ms), seconds(sentence.end_ms));
            alignment.share(&rest[..place], at, start);
            alignment.share(&sentence.text, start, end);
            (rest, at) = (&rest[place + sentence.text.len()..], end);
        }
        alignment.share(rest, at, seconds(chunk.end_ms));
        alignment
    }

    /// Adds what follows in the same sound.
    pub fn append(&mut self, mut next: Self) {
        self.characters.append(&mut next.characters);
        self.starts.append(&mut next.starts);
        self.ends.append(&mut next.ends);
    }

    /// Adds a text that takes the time from `start` to `end`.
    fn share(&mut self, text: &str, start: f64, end: f64) {
        // A text of blanks alone takes its time too.
        let weight = |character| weight(character) + 1e-6;
        let all: f64 = text.chars().map(weight).sum();
        let length = (end - start).max(0.0);
        // Half a tenth of a millisecond is nothing to anybody, and three more digits are.
        let rounded = |seconds: f64| (seconds * 10_000.0).round() / 10_000.0;
        let mut said = 0.0;
        for character in text.chars() {
            self.characters.push(character);
            self.starts.push(rounded(start + length * said / all));
            said += weight(character);
            self.ends.push(rounded(start + length * said / all));
        }
    }
}

/// What a character takes beside others, as the embedded voice speaks: a letter of a word is about a phone, marks are silences.
fn weight(character: char) -> f64 {
    match character {
        ',' | ';' | ':' | '.' | '!' | '?' | '…' | '—' | '–' => 2.5,
        _ if character.is_whitespace() => 0.1,
        _ if character.is_numeric() => 4.0,
        _ if is_ideograph(character) || ('\u{ac00}'..='\u{d7af}').contains(&character) => 3.0,
        _ if character.is_alphabetic() => 1.0,
        _ => 0.1,
    }
}

/// Of Chinese and Japanese, which put no spaces between words.
fn is_ideograph(character: char) -> bool {
    matches!(character, '\u{2e80}'..='\u{9fff}' | '\u{f900}'..='\u{faff}')
}

/// Words that two texts may be apart before they are looked at as having nothing in common.
const REACH: usize = 32;

/// A text as it was sent, chunk after chunk.
#[derive(Clone, Debug)]
pub struct Sent {
    text: String,
    /// What was aligned so far, in bytes.
    at: usize,
}

/// A word's place, and what it is known by.
pub(super) struct Word {
    /// In bytes of the sent text, in characters of the spoken one.
    pub(super) start: usize,
    pub(super) end: usize,
    key: String,
}

impl Sent {
    pub fn new(text: &str) -> Self {
        Self { text: text.to_owned(), at: 0 }
    }

    /// The parts of the text that these chunks say, and what they say; `is_last` where the text ends with them.
    pub fn align(&mut self, chunks: &[SpokenText], is_last: bool) -> (Alignment, Alignment) {
        let (mut written, mut said) = (Alignment::default(), Alignment::default());
        for (index, chunk) in chunks.iter().enumerate() {
            let chunk = Alignment::of(chunk);
            written.append(self.next(&chunk, is_last && index + 1 == chunks.len()));
            said.append(chunk);
        }
        (written, said)
    }

    /// The part of the text that the next chunk says. The last chunk says all that is left.
    pub fn next(&mut self, spoken: &Alignment, is_last: bool) -> Alignment {
        let rest = self.text[self.at..].to_owned();
        let said = words_of_characters(&spoken.characters);
        let sent = words(&rest, said.len() * 2 + REACH);
        let (mut i, mut j) = (0, 0);
        let mut aligned = Alignment::default();
        let (mut place, mut time) = (0, spoken.starts.first().copied().unwrap_or_default());
        let ends = spoken.ends.last().copied().unwrap_or(time);
        while let Some((more_said, more_sent)) = meeting(&said[i..], &sent[j..]) {
            (i, j) = (i + more_said, j + more_sent);
            let (start, end) = (spoken.starts[said[i].start], spoken.ends[said[i].end - 1]);
            aligned.share(&rest[place..sent[j].start], time, start);
            aligned.share(&rest[sent[j].start..sent[j].end], start, end);
            (place, time) = (sent[j].end, end);
            (i, j) = (i + 1, j + 1);
        }
        let until =
            if is_last { rest.len() } else { unmet(&rest, &sent[j..], i < said.len(), spoken, place) };
        aligned.share(&rest[place..until], time, ends);
        self.at += until;
        aligned
    }
}

/// How many words on the two texts have a word in common, if they do within [`REACH`] words.
pub(super) fn meeting(said: &[Word], sent: &[Word]) -> Option<(usize, usize)> {
    let same = |i: usize, j: usize| said.get(i).zip(sent.get(j)).is_some_and(|(a, b)| a.key == b.key);
    // A small word may be met by chance; then the next ones differ.
    let holds = |i: usize, j: usize| {
        same(i, j) && (i + j == 0 || i + 1 >= said.len() || j + 1 >= sent.len() || same(i + 1, j + 1))
    };
    (0..2 * REACH).find_map(|apart| {
        (0..=apart.min(REACH))
            .map(|i| (i, apart - i))
            .filter(|(_, j)| *j <= REACH)
            .find(|&(i, j)| holds(i, j))
    })
}

/// Where the part of `rest` ends that a chunk said otherwise at its end: with the mark that the chunk ends with.
fn unmet(rest: &str, behind: &[Word], is_open: bool, spoken: &Alignment, place: usize) -> usize {
    let word_end = |at: usize| rest[at..].find(char::is_whitespace).map_or(rest.len(), |blank| at + blank);
    if !is_open {
        return word_end(place);
    }
    let mark = spoken.characters.last().copied().filter(|mark| !mark.is_alphanumeric());
    let ends = behind.iter().take(REACH).map(|word| word_end(word.start));
    let mut ends = ends.map(|end| (end, rest[..end].chars().next_back()));
    ends.find(|(_, last)| mark.is_some() && *last == mark).map_or(place, |(end, _)| end)
}

/// The first words of a text; of scripts without spaces, each character is one.
pub(super) fn words(text: &str, most: usize) -> Vec<Word> {
    let mut words = Vec::new();
    let mut places = text.char_indices().peekable();
    while let Some((start, first)) = places.next() {
        if !first.is_alphanumeric() {
            continue;
        }
        if words.len() == most {
            break;
        }
        let mut end = start + first.len_utf8();
        let goes_on = |next: char| (next.is_alphanumeric() && !is_ideograph(next)) || next == '\'';
        if !is_ideograph(first) {
            while let Some((at, next)) = places.next_if(|&(_, next)| goes_on(next)) {
                end = at + next.len_utf8();
            }
        }
        words.push(Word { start, end, key: text[start..end].to_lowercase() });
    }
    words
}

fn words_of_characters(characters: &[char]) -> Vec<Word> {
    let text: String = characters.iter().collect();
    let mut counted = (0, 0);
    let mut count = |byte: usize| {
        counted = (counted.0 + text[counted.1..byte].chars().count(), byte);
        counted.0
    };
    let found = words(&text, usize::MAX);
    found.into_iter().map(|word| Word { start: count(word.start), end: count(word.end), ..word }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::speech::timeline::Span;

    fn spoken(text: &str, start: u64, end: u64) -> Alignment {
        Alignment::of(&SpokenText::new(text, &Span { place: start..end, silences: Vec::new() }, 1_000, None))
    }

    fn text(alignment: &Alignment) -> String {
        alignment.characters.iter().collect()
    }

    /// When the word at this place of the alignment begins and ends.
    fn time(alignment: &Alignment, word: &str) -> (f64, f64) {
        let at = text(alignment).find(word).unwrap();
        let at = text(alignment)[..at].chars().count();
        (alignment.starts[at], alignment.ends[at + word.chars().count() - 1])
    }

    fn is_whole(alignment: &Alignment, start: f64, end: f64) {
        assert_eq!(alignment.starts.len(), alignment.characters.len());
        assert_eq!(alignment.ends.len(), alignment.characters.len());
        assert!(alignment.starts.is_sorted() && alignment.ends.is_sorted(), "{alignment:?}");
        assert!(alignment.starts.iter().zip(&alignment.ends).all(|(start, end)| start <= end));
        assert!(alignment.starts[0] >= start && *alignment.ends.last().unwrap() <= end + 1e-6);
    }

    #[test]
    fn a_chunks_characters_share_its_time_and_none_is_missed() {
        let alignment = spoken("It is. He was.", 1_000, 3_000);
        assert_eq!(text(&alignment), "It is. He was.");
        is_whole(&alignment, 1.0, 3.0);
        assert_eq!((alignment.starts[0], *alignment.ends.last().unwrap()), (1.0, 3.0));
        let (first, second) = (time(&alignment, "It is."), time(&alignment, "He was."));
        assert!(first.1 <= second.0 && (first.1 - 1.0 - (3.0 - second.0)).abs() < 0.5);
        assert_eq!(spoken("…", 0, 10).characters, ['…']);
    }

    #[test]
    fn the_sent_text_has_the_times_of_what_was_said_for_it() {
        let said = spoken("It costs five dollars, Doctor Smith. Take it.", 0, 4_000);
        let sent = Sent::new("It costs $5, Dr. Smith. Take it.").next(&said, true);
        assert_eq!(text(&sent), "It costs $5, Dr. Smith. Take it.");
        is_whole(&sent, 0.0, 4.0);
        for word in ["costs", "Smith", "Take"] {
            assert_eq!(time(&sent, word), time(&said, word), "{word}");
        }
        let (five, dollars) = (time(&said, "five"), time(&said, "dollars"));
        let price = time(&sent, "$5");
        assert!(price.0 < five.0 + 0.1 && price.1 > five.0 && price.1 < dollars.1 + 0.5, "{price:?}");
    }

    #[test]
    fn chunks_take_their_parts_of_the_sent_text_one_after_the_other() {
        let written = "He lifts 5 kg. It is 20% off!\n\nWho came in 1999? [pause:1s] Nobody.";
        let chunks = [
            "He lifts five kilograms.",
            "It is twenty percent off!",
            "Who came in nineteen ninety-nine?",
            "Nobody.",
        ];
        let mut sent = Sent::new(written);
        let mut all = Alignment::default();
        let mut parts = Vec::new();
        for (index, chunk) in chunks.iter().enumerate() {
            let start = index as u64 * 2_000;
            let part = sent.next(&spoken(chunk, start, start + 1_800), index == 3);
            parts.push(text(&part).trim().to_owned());
            all.append(part);
        }
        assert_eq!(text(&all), written);
        is_whole(&all, 0.0, 7.8);
        assert_eq!(parts[0], "He lifts 5 kg.");
        assert_eq!(parts[1], "It is 20% off!");
        assert_eq!(parts[2], "Who came in 1999?");
    }

    #[test]
    fn texts_that_have_nothing_in_common_are_still_whole_and_cost_little() {
        let written = "一二三 ".repeat(20_000);
        let started = std::time::Instant::now();
        let mut sent = Sent::new(&written);
        let first = sent.next(&spoken("Something else. ", 0, 1_000), false);
        let rest = sent.next(&spoken(&"word ".repeat(2_000), 1_000, 9_000), true);
        assert_eq!(text(&first) + &text(&rest), written);
        assert!(started.elapsed().as_secs() < 5);
    }
}
