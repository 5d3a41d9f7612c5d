//! Lists, headings and verses: where the line break is the punctuation, write it out.
//!
//! A model pauses at a full stop, not at a line break. Items and short lines that end without punctuation get one; the
//! marks in front of them, which nobody reads aloud, go. Lines that were only wrapped for width stay as they are.

use super::rewrite::{pattern, rewrite};
use crate::speech::chunk::lines::{is_break, unmarked};

pub(super) fn punctuate(text: &str) -> String {
    let lines: Vec<&str> = text.split('\n').collect();
    let mut output = String::with_capacity(text.len());
    for (index, line) in lines.iter().enumerate() {
        let bare = rewrite(unmarked(line), pattern!(r"^(?:#{1,6}|>+) "), |_, _| Some(String::new()));
        // "1. First" counts its item; the full stop would end a sentence.
        let bare = rewrite(&bare, pattern!(r"^(\d{1,3})[.)] "), |found, _| Some(format!("{}, ", &found[1])));
        output.push_str(&bare);
        let Some(next) = lines.get(index + 1) else { break };
        let unfinished =
            bare.trim_end_matches(['"', '\'', ')']).chars().next_back().is_some_and(char::is_alphanumeric);
        if unfinished && !next.is_empty() && is_break(line, next) {
            output.push('.');
        }
        output.push('\n');
    }
    output
}

#[cfg(test)]
mod tests {
    use super::super::tests::assert_spoken;

    #[test]
    fn list_items_end_like_sentences_and_lose_their_marks() {
        assert_spoken(&[
            ("Buy:\n- milk\n- two eggs\n- bread", "Buy:\nmilk.\ntwo eggs.\nbread"),
            ("• one\n• two", "one.\ntwo"),
            ("* starred\n* again", "starred.\nagain"),
            ("1. First\n2. Second", "one, First.\ntwo, Second"),
            ("1) First thing.\n2) Second thing.", "one, First thing.\ntwo, Second thing."),
            ("# Title\nText follows.", "Title.\nText follows."),
            ("> quoted", "quoted"),
        ]);
    }

    #[test]
    fn short_lines_end_and_wrapped_lines_do_not() {
        assert_spoken(&[
            ("Roses are red\nViolets are blue", "Roses are red.\nViolets are blue"),
            (
                "This line was wrapped by a mail program at some width and\ngoes on here.",
                "This line was wrapped by a mail program at some width and\ngoes on here.",
            ),
            ("Heading\n\nText.", "Heading\n\nText."),
        ]);
    }
}
