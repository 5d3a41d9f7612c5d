//! Regular expressions with a say: a rule sees what stands around its match and may decline it.
//!
//! The `regex` crate has no look-around, on purpose: it never takes exponential time, whatever the text. Looking around is
//! done here in plain code instead.

use regex::{Captures, Regex};

/// What stands before and after a match.
#[derive(Clone, Copy, Debug)]
pub(super) struct Around<'t> {
    pub(super) before: &'t str,
    pub(super) after: &'t str,
}

/// A compiled pattern, made once.
macro_rules! pattern {
    ($source:expr) => {{
        static PATTERN: std::sync::LazyLock<regex::Regex> = std::sync::LazyLock::new(|| {
            regex::Regex::new($source).expect("a pattern in the source is well-formed")
        });
        &*PATTERN
    }};
}

/// A number without its sign: thousands separators and a decimal part are allowed.
macro_rules! number {
    () => {
        r"(?:(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?|\.\d+)"
    };
}

pub(super) use {number, pattern};

/// Replaces every match that `replace` answers with words; where it declines, the search goes on one character later.
pub(super) fn rewrite(
    text: &str,
    pattern: &Regex,
    mut replace: impl FnMut(&Captures<'_>, Around<'_>) -> Option<String>,
) -> String {
    let mut output = String::with_capacity(text.len());
    let (mut copied, mut from) = (0, 0);
    while let Some(captures) = pattern.captures_at(text, from) {
        let found = captures.get_match();
        let around = Around { before: &text[..found.start()], after: &text[found.end()..] };
        if let Some(words) = replace(&captures, around) {
            output.push_str(&text[copied..found.start()]);
            output.push_str(&words);
            copied = found.end();
            from = found.end().max(found.start() + 1);
        } else {
            from = found.start() + text[found.start()..].chars().next().map_or(1, char::len_utf8);
        }
        if from > text.len() || !text.is_char_boundary(from) {
            break;
        }
    }
    output.push_str(&text[copied..]);
    output
}

impl Around<'_> {
    pub(super) fn previous(self) -> Option<char> {
        self.before.chars().next_back()
    }

    pub(super) fn next(self) -> Option<char> {
        self.after.chars().next()
    }

    /// Neither a letter nor a digit touches the match.
    pub(super) fn stands_alone(self) -> bool {
        !self.previous().is_some_and(char::is_alphanumeric) && !self.next().is_some_and(char::is_alphanumeric)
    }

    /// No letter, digit or period touches the beginning of the match.
    pub(super) fn stands_alone_before(self) -> bool {
        !self.previous().is_some_and(|c| c.is_alphanumeric() || c == '.')
    }

    /// The match is not the tail or the head of a longer number such as `1.234.567` or `3,5`.
    pub(super) fn is_whole_number(self) -> bool {
        let mut back = self.before.chars().rev();
        let glued_before = match back.next() {
            Some(c) if c.is_ascii_digit() => true,
            Some('.' | ',') => back.next().is_some_and(|c| c.is_ascii_digit()),
            _ => false,
        };
        let mut forward = self.after.chars();
        let glued_after = match forward.next() {
            Some(c) if c.is_ascii_digit() => true,
            Some('.' | ',') => forward.next().is_some_and(|c| c.is_ascii_digit()),
            _ => false,
        };
        !glued_before && !glued_after
    }

    /// A sign may stand here: at the beginning, after a space or an opening bracket or quote.
    pub(super) fn allows_sign(self) -> bool {
        self.previous().is_none_or(|c| c.is_whitespace() || "([\"'=<>~".contains(c))
    }

    /// A period at the end of the match ends a sentence too: nothing follows in the line, or a capital does.
    pub(super) fn sentence_ends(self) -> bool {
        let rest = self.after.trim_start_matches(['"', '\'', ')', ']']);
        let line_rest = rest.trim_start_matches(' ');
        if line_rest.is_empty() || line_rest.starts_with('\n') {
            return true;
        }
        let opening = line_rest.trim_start_matches(['"', '\'', '(']);
        rest.starts_with(' ')
            && opening.chars().next().is_some_and(|c| c.is_uppercase() || c.is_ascii_digit())
    }
}

/// How far rules that look for company look, in bytes. Without a bound a long line of matches would take quadratic time.
const NEAR: usize = 200;

impl<'t> Around<'t> {
    /// The end of what stands before, in the same line.
    pub(super) fn just_before(self) -> &'t str {
        let start = self.before.floor_char_boundary(self.before.len().saturating_sub(NEAR));
        self.before[start..].rsplit('\n').next().unwrap_or_default()
    }

    /// The beginning of what stands behind, in the same line.
    pub(super) fn soon_after(self) -> &'t str {
        let end = self.after.ceil_char_boundary(NEAR.min(self.after.len()));
        self.after[..end].split('\n').next().unwrap_or_default()
    }

    /// The word before the match, if nothing but spaces lies between; without punctuation in front of it.
    pub(super) fn previous_word(self) -> &'t str {
        let word = self.just_before().trim_end_matches(' ').rsplit(' ').next().unwrap_or_default();
        word.trim_start_matches(|c: char| !c.is_alphanumeric())
    }

    /// The word after the match, if it stands one space away in the same line; without punctuation around it.
    pub(super) fn next_word(self) -> &'t str {
        let Some(rest) = self.soon_after().strip_prefix(' ') else { return "" };
        let word = rest.split([' ', '\n']).next().unwrap_or_default();
        word.trim_matches(|c: char| !c.is_alphanumeric())
    }
}
