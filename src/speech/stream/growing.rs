//! A text that comes in pieces, as a language model writes it: whole sentences are taken out as soon as they are known to be
//! whole. SSML is taken whole, since a part of it means nothing; a voice that `[voice:…]` has called goes on in what is taken
//! next.

use crate::speech::chunk::sentences::sentences;
use crate::speech::script;

/// What was written and not taken yet.
#[derive(Clone, Debug, Default)]
pub struct Growing {
    text: String,
    /// The tag of the voice that is speaking, where one was called.
    voice: Option<String>,
}

/// How far SSML has come.
enum Ssml {
    /// It is none.
    No,
    /// There may be more of it.
    Open,
    /// Up to here, in bytes.
    Whole(usize),
}

impl Growing {
    pub fn push(&mut self, piece: &str) {
        self.text.push_str(piece);
    }

    /// In characters.
    pub fn len(&self) -> usize {
        self.text.chars().count()
    }

    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// All sentences that something follows, or that a blank line ends; `None` where there are none yet. A mark at the very
    /// end may be the point of a number or of an abbreviation.
    pub fn take_whole(&mut self) -> Option<String> {
        match self.ssml() {
            Ssml::No => {}
            Ssml::Open => return None,
            Ssml::Whole(end) => {
                let rest = self.text.split_off(end);
                return self.take_from(rest);
            }
        }
        let paragraph = self.text.rfind("\n\n").map_or(0, |at| at + 2);
        let unread = &self.text[paragraph..];
        let mut sentences = sentences(unread).into_iter();
        // Blanks at the end are no sentence.
        let last = sentences.rfind(|range| !unread[range.clone()].trim().is_empty());
        let last = last.map_or(0, |range| range.start);
        let rest = self.text.split_off(paragraph + last);
        self.take_from(rest)
    }

    /// The first of these sentences alone.
    pub fn take_sentence(&mut self) -> Option<String> {
        if !matches!(self.ssml(), Ssml::No) {
            return self.take_whole();
        }
        let blank = self.text.len() - self.text.trim_start().len();
        self.text.drain(..blank);
        let paragraph = self.text.find("\n\n").map(|at| at + 2);
        let unread = &self.text[..paragraph.unwrap_or(self.text.len())];
        let sentences = sentences(unread).into_iter();
        let mut sentences = sentences.filter(|range| !unread[range.clone()].trim().is_empty());
        sentences.next()?;
        let end = sentences.next().map(|next| next.start).or(paragraph)?;
        let rest = self.text.split_off(end);
        self.take_from(rest)
    }

    fn ssml(&self) -> Ssml {
        const ROOT: &str = "<speak";
        const END: &str = "</speak>";

        let begun = self.text.trim_start();
        if !begun.is_empty()
            && (ROOT.starts_with(begun) || begun.starts_with("<?xml") && !begun.contains("?>"))
        {
            return Ssml::Open;
        }
        if !script::is_ssml(&self.text) {
            return Ssml::No;
        }
        self.text.find(END).map_or(Ssml::Open, |at| Ssml::Whole(at + END.len()))
    }

    /// All that is left.
    pub fn take_all(&mut self) -> Option<String> {
        self.take_from(String::new())
    }

    fn take_from(&mut self, rest: String) -> Option<String> {
        let taken = std::mem::replace(&mut self.text, rest);
        if taken.trim().is_empty() {
            // Whitespace in front of a sentence says nothing.
            self.text.insert_str(0, &taken);
            return None;
        }
        let taken = taken.trim();
        let said = match &self.voice {
            Some(voice) if !script::is_ssml(taken) => format!("{voice} {taken}"),
            _ => taken.to_owned(),
        };
        if let Some(voice) = script::last_voice(taken) {
            self.voice = Some(voice.to_owned());
        }
        Some(said)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_are_taken_once_something_follows_and_nothing_is_lost() {
        let text = "It costs 3.50 at Dr. Smith's. Is that much? I wonder.\n\nA new paragraph without an end\n\nAnd more";
        for size in 1..9 {
            let (mut growing, mut taken) = (Growing::default(), Vec::new());
            let characters: Vec<char> = text.chars().collect();
            for piece in characters.chunks(size) {
                growing.push(&piece.iter().collect::<String>());
                taken.extend(growing.take_whole());
            }
            taken.extend(growing.take_all());
            assert!(growing.is_empty());
            let spoken = taken.join(" ").split_whitespace().collect::<Vec<_>>().join(" ");
            assert_eq!(spoken, text.split_whitespace().collect::<Vec<_>>().join(" "), "in pieces of {size}");
            assert_eq!(taken[0], "It costs 3.50 at Dr. Smith's.", "in pieces of {size}");
            assert!(taken.len() >= 4, "{taken:?}");
        }
    }

    #[test]
    fn sentences_are_taken_one_by_one_where_that_is_wished() {
        for (text, whole, rest) in [
            ("", &[][..], ""),
            ("Hello the", &[], "Hello the"),
            ("Hello there. ", &[], "Hello there."),
            ("Hello there. I am", &["Hello there."], "I am"),
            ("It costs 3.", &[], "It costs 3."),
            ("Dr. Smith is in? Yes! No", &["Dr. Smith is in?", "Yes!"], "No"),
            ("No. No. No", &["No.", "No."], "No"),
            ("\n\nA title\n\nA text", &["A title"], "A text"),
        ] {
            let mut growing = Growing::default();
            growing.push(text);
            let taken: Vec<String> = std::iter::from_fn(|| growing.take_sentence()).collect();
            assert_eq!(taken, whole, "{text:?}");
            assert_eq!(growing.take_all().unwrap_or_default(), rest, "{text:?}");
        }
    }

    #[test]
    fn a_voice_goes_on_and_ssml_stays_whole() {
        let mut growing = Growing::default();
        growing.push("One. [voice:Ada] Two. Three. [voice:]Four. Five");
        let taken: Vec<String> = std::iter::from_fn(|| growing.take_sentence()).collect();
        assert_eq!(taken.join("|"), "One.|[voice:Ada] Two.|[voice:Ada] Three.|[voice:Ada] [voice:]Four.");
        assert_eq!(growing.take_all().unwrap(), "[voice:] Five");

        for size in 1..12 {
            let (mut growing, mut taken) = (Growing::default(), Vec::new());
            let text: Vec<char> = "<speak>One. Two. <break/>Three.</speak> Four. Five".chars().collect();
            for piece in text.chunks(size) {
                growing.push(&piece.iter().collect::<String>());
                taken.extend(growing.take_sentence());
            }
            taken.extend(std::iter::from_fn(|| growing.take_sentence()));
            taken.extend(growing.take_all());
            assert_eq!(
                taken,
                ["<speak>One. Two. <break/>Three.</speak>", "Four.", "Five"],
                "in pieces of {size}"
            );
        }
    }

    #[test]
    fn blanks_are_nothing_to_say() {
        let mut growing = Growing::default();
        growing.push(" \n\n ");
        assert_eq!(growing.take_whole(), None);
        assert_eq!(growing.take_all(), None);
        growing.push("Yes. ");
        assert_eq!(growing.take_whole(), None);
        growing.push("No");
        assert_eq!(growing.take_whole(), Some("Yes.".to_owned()));
        assert_eq!(growing.take_all(), Some("No".to_owned()));
    }
}
