//! Paralinguistic tags such as `[laugh]`, `[clear throat]` and `[pause:500ms]`: not text, so no rule may read them.
//!
//! While the rules run, each tag is one private-use character, which [`super::characters`] has removed from the text
//! before. Rules neither make, drop nor reorder it, so the tags go back in the order in which they were lifted.

use super::rewrite::{pattern, rewrite};

pub(super) const PLACE: char = '\u{e000}';

/// The text with every tag replaced by a placeholder, and the tags.
pub(super) fn lift(text: &str) -> (String, Vec<String>) {
    let mut tags = Vec::new();
    let lifted = rewrite(
        text,
        pattern!(r"\[[A-Za-z][A-Za-z_-]{0,23}(?: [A-Za-z_-]{1,23})?(?::[^\[\]\s]{1,16})?\]"),
        |found, _| {
            tags.push(found[0].to_owned());
            Some(PLACE.to_string())
        },
    );
    (lifted, tags)
}

/// Puts the tags back, first into first place.
pub(super) fn put_back(text: &str, tags: &[String]) -> String {
    let mut tags = tags.iter();
    let mut output = String::with_capacity(text.len());
    for character in text.chars() {
        if character == PLACE {
            output.extend(tags.next().map(String::as_str));
        } else {
            output.push(character);
        }
    }
    output
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_come_back_in_order_and_other_brackets_are_not_tags() {
        let text = "[laugh] a [clear throat] b [pause:1.5s] c [1] d [see page four] e [] f [laugh";
        let (lifted, tags) = lift(text);
        assert_eq!(tags, ["[laugh]", "[clear throat]", "[pause:1.5s]"]);
        assert_eq!(put_back(&lifted, &tags), text);
    }
}
