//! Which part of a text as it was sent is said by each piece of it as it is spoken: `costs $5.` by `costs five dollars.`
//!
//! Both are followed word by word (`alignment`). Where they agree, a piece ends where its words do; where the end of one was read
//! out otherwise, with the mark that the piece ends with, or else at its share of what is left.

use std::ops::Range;

use super::alignment::{Word, meeting, words};

/// Words passed over in both texts where nothing agrees for long.
const LEAP: usize = 16;

/// Marks that belong to the word behind them.
const OPENING: [char; 11] = ['(', '[', '{', '"', '“', '‘', '«', '„', '¿', '¡', '「'];

/// For each of `said`, which together say all of `sent`, its part in it: one behind the other, without the whitespace between.
pub fn parts<'s>(sent: &'s str, said: &[&str]) -> Vec<&'s str> {
    let ends = ends(sent, said);
    let starts = std::iter::once(0).chain(ends.iter().copied());
    starts.zip(&ends).map(|(start, &end)| sent[start..end].trim()).collect()
}

/// In bytes of `sent`, rising; the last one is all of it.
fn ends(sent: &str, said: &[&str]) -> Vec<usize> {
    let there = words(sent, usize::MAX);
    let mut spoken = Vec::new();
    let pieces: Vec<Range<usize>> = said
        .iter()
        .map(|piece| {
            let first = spoken.len();
            spoken.extend(words(piece, usize::MAX));
            first..spoken.len()
        })
        .collect();
    let met = meetings(&spoken, &there);
    let mut ends: Vec<usize> = Vec::with_capacity(said.len());
    for (piece, words) in said.iter().zip(&pieces) {
        let from = ends.last().copied().unwrap_or_default();
        let behind = met.partition_point(|&(word, _)| word < words.end);
        let before = behind.checked_sub(1).map(|index| met[index]);
        let gap = Gap {
            start: before.map_or(from, |(_, place)| there[place].end).max(from),
            end: met.get(behind).map_or(sent.len(), |&(_, place)| there[place].start).max(from),
            left: words.end - before.map_or(0, |(word, _)| word + 1),
            right: met.get(behind).map_or(spoken.len(), |&(word, _)| word) - words.end,
        };
        ends.push(gap.cut(sent, piece));
    }
    if let Some(last) = ends.last_mut() {
        *last = sent.len();
    }
    ends
}

/// The words that both have, in order.
fn meetings(spoken: &[Word], there: &[Word]) -> Vec<(usize, usize)> {
    let (mut i, mut j) = (0, 0);
    let mut met = Vec::new();
    while i < spoken.len() && j < there.len() {
        if let Some((more, further)) = meeting(&spoken[i..], &there[j..]) {
            met.push((i + more, j + further));
            (i, j) = (i + more + 1, j + further + 1);
        } else {
            (i, j) = (i + LEAP, j + LEAP);
        }
    }
    met
}

/// What lies in the sent text between the last word that a piece says as it stands and the first such word behind it.
struct Gap {
    /// In bytes.
    start: usize,
    end: usize,
    /// Words that the piece says otherwise at its end.
    left: usize,
    /// And what comes behind it at its beginning.
    right: usize,
}

impl Gap {
    /// Where the piece ends.
    fn cut(&self, sent: &str, piece: &str) -> usize {
        let gap = &sent[self.start..self.end.max(self.start)];
        let blanks = || gap.char_indices().filter(|(_, character)| character.is_whitespace());
        if self.right == 0 {
            // With the marks in front of the next word.
            let opened = gap.trim_end_matches(OPENING).len();
            return self.start + blanks().next_back().map_or(opened, |(at, blank)| at + blank.len_utf8());
        }
        if self.left == 0 {
            return self.start + blanks().next().map_or(gap.len(), |(at, _)| at);
        }
        // A word alone between others that were read out is met by nobody: it is known by the mark behind it.
        let tail = &piece[piece.rfind(char::is_whitespace).map_or(0, |at| at + 1)..];
        let mark = piece.chars().next_back().filter(|mark| !mark.is_alphanumeric());
        let with_tail = || blanks().find(|&(at, _)| gap[..at].ends_with(tail));
        let with_mark = || blanks().find(|&(at, _)| mark.is_some() && gap[..at].chars().next_back() == mark);
        if let Some((at, _)) = with_tail().or_else(with_mark) {
            return self.start + at;
        }
        let share = gap.len() * self.left / (self.left + self.right);
        self.start + blanks().map(|(at, _)| at).min_by_key(|at| at.abs_diff(share)).unwrap_or(gap.len())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::speech::chunk::sentences::sentences;
    use crate::speech::normalize::normalize;

    /// What each sentence of the normalised text says.
    fn read_out(sent: &str) -> Vec<(String, String)> {
        let said = normalize(sent);
        let said: Vec<&str> = sentences(&said).into_iter().map(|range| said[range].trim()).collect();
        parts(sent, &said)
            .into_iter()
            .zip(said)
            .map(|(part, said)| (part.to_owned(), said.to_owned()))
            .collect()
    }

    #[test]
    fn each_sentence_gets_its_own_words_whatever_was_read_out_of_them() {
        for sentences in [
            &["It rained.", "Nobody came!", "Why?"][..],
            &["It costs $5.", "He has dollars.", "And 5 km."],
            &[
                "See www.example.com.",
                "Then call +1 (555) 010-9999.",
                "On 3/14/2026, Dr. Lee paid $1,299.50 for 2.5 kg.",
            ],
            &["In 1999 he left.", "In 2001 he came.", "42% of 7 is 2.94."],
            &["He paid $5 to Mr. Fox.", "9% was for No. 7."],
            &["\"Stop!\"", "“It's 8:45,” he said.", "(It was 9:10.)"],
        ] {
            let read = read_out(&sentences.join(" "));
            let found: Vec<&str> = read.iter().map(|(part, _)| part.as_str()).collect();
            assert_eq!(found, sentences, "{read:?}");
        }
    }

    #[test]
    fn pieces_that_end_within_a_sentence_and_in_scripts_without_spaces_are_found_too() {
        assert_eq!(
            parts("世界你好。「再见」他说", &["世界你", "好。", "「再见」他说"]),
            ["世界你", "好。", "「再见」他说"]
        );
        assert_eq!(
            parts("From 1 to 3, and on to 17 then", &["From one to three,", "and on to seventeen then"]),
            ["From 1 to 3,", "and on to 17 then"]
        );
        assert_eq!(parts("1\n\n2\n\n3", &["one", "two", "three"]), ["1", "2", "3"]);
        assert_eq!(parts("", &[]), [""; 0]);
        assert_eq!(parts("* * *", &["none of it"]), ["* * *"]);
    }

    #[test]
    fn long_stretches_without_a_common_word_do_not_lose_the_rest() {
        let numbers = "7 ".repeat(90);
        let sent = format!("These follow. {numbers}. At last it ends here.");
        let said = format!("{}.", "seven ".repeat(90).trim_end());
        let found = parts(&sent, &["These follow.", &said, "At last it ends here."]);
        assert_eq!((found[0], found[2]), ("These follow.", "At last it ends here."));
    }

    proptest! {
        #[test]
        fn nothing_is_lost_or_said_twice(text in "[a-c0-9 .,$\\n“”世]{0,80}", said in prop::collection::vec("[a-c .]{1,12}", 1..6)) {
            let said: Vec<&str> = said.iter().map(String::as_str).collect();
            let found = parts(&text, &said);
            prop_assert_eq!(found.len(), said.len());
            let letters = |text: &str| text.split_whitespace().collect::<String>();
            prop_assert_eq!(letters(&found.concat()), letters(&text));
        }
    }
}
