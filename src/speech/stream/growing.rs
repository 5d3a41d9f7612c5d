//! A text that comes in pieces, as a language model writes it: whole sentences are taken out as soon as they are known to be
//! whole.

use crate::speech::chunk::sentences::sentences;

/// What was written and not taken yet.
#[derive(Clone, Debug, Default)]
pub struct Growing {
    text: String,
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
        let paragraph = self.text.rfind("\n\n").map_or(0, |at| at + 2);
        let unread = &self.text[paragraph..];
        let mut sentences = sentences(unread).into_iter();
        // Blanks at the end are no sentence.
        let last = sentences.rfind(|range| !unread[range.clone()].trim().is_empty());
        let last = last.map_or(0, |range| range.start);
        let rest = self.text.split_off(paragraph + last);
        self.take_from(rest)
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
        Some(taken.trim().to_owned())
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
