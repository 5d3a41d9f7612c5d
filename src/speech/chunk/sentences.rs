//! Where English sentences end, without a model: punctuation, what precedes it and what follows.
//!
//! A wrong break costs a wrong pause, a missed one costs little, so a period in doubt ends nothing. The rules keep what
//! upstream's splitter does well and mend what it does not: curly quotes, "no.", CJK marks.

use std::ops::Range;

/// Never the end of a sentence: a name or an example follows.
const ALWAYS_CONTINUED: &[&str] = &[
    "mr", "mrs", "ms", "prof", "rev", "hon", "gen", "gov", "sen", "rep", "capt", "col", "lt", "sgt", "maj",
    "mt", "ft", "fr", "messrs", "e.g", "i.e", "vs", "approx", "cf", "viz", "ca", "esp", "fl", "supp",
];

/// The end of a sentence only before a capital.
const ENDS_BEFORE_CAPITAL: &[&str] = &[
    "etc", "inc", "ltd", "corp", "co", "jr", "dept", "al", "ibid", "a.m", "p.m", "a.d", "b.c", "apt", "est",
    "op", "cit", "jan", "feb", "mar", "apr", "jun", "jul", "aug", "sept", "sep", "oct", "nov", "dec", "mon",
    "tue", "tues", "thu", "thur", "thurs", "fri", "min", "max", "hrs", "mins", "avg",
];

/// The end of a sentence only before a word that commonly opens one: streets and seniors have names behind them.
const ENDS_BEFORE_OPENER: &[&str] =
    &["st", "dr", "sr", "ave", "blvd", "u.s", "u.k", "e.u", "u.n", "ph.d", "m.d"];

/// An abbreviation only before a number.
const NUMBERED: &[&str] =
    &["no", "nos", "p", "pp", "vol", "fig", "figs", "ch", "sec", "art", "ed", "c", "v", "para", "eq"];

/// Words that open sentences far more often than they are a name's first word.
const OPENERS: &[&str] = &[
    "a",
    "about",
    "after",
    "again",
    "all",
    "although",
    "an",
    "and",
    "another",
    "any",
    "are",
    "as",
    "at",
    "because",
    "before",
    "both",
    "but",
    "by",
    "can",
    "come",
    "could",
    "did",
    "do",
    "does",
    "don't",
    "during",
    "each",
    "even",
    "every",
    "everybody",
    "everyone",
    "finally",
    "first",
    "for",
    "from",
    "had",
    "has",
    "have",
    "he",
    "he's",
    "her",
    "here",
    "his",
    "how",
    "however",
    "i",
    "i'm",
    "i've",
    "i'll",
    "if",
    "in",
    "instead",
    "is",
    "it",
    "it's",
    "its",
    "just",
    "last",
    "let",
    "let's",
    "like",
    "many",
    "maybe",
    "meanwhile",
    "more",
    "most",
    "my",
    "nearly",
    "never",
    "next",
    "no",
    "nobody",
    "not",
    "nothing",
    "now",
    "of",
    "often",
    "oh",
    "on",
    "once",
    "one",
    "only",
    "or",
    "our",
    "perhaps",
    "please",
    "she",
    "she's",
    "should",
    "since",
    "so",
    "some",
    "someone",
    "sometimes",
    "soon",
    "still",
    "such",
    "suddenly",
    "thank",
    "thanks",
    "that",
    "that's",
    "the",
    "their",
    "then",
    "there",
    "there's",
    "these",
    "they",
    "they're",
    "this",
    "those",
    "though",
    "through",
    "to",
    "today",
    "together",
    "tomorrow",
    "tonight",
    "too",
    "two",
    "under",
    "until",
    "very",
    "was",
    "we",
    "we're",
    "well",
    "were",
    "what",
    "what's",
    "when",
    "where",
    "whether",
    "which",
    "while",
    "who",
    "whose",
    "why",
    "will",
    "with",
    "without",
    "would",
    "yes",
    "yesterday",
    "yet",
    "you",
    "you're",
    "your",
];

/// Whether a capitalised word looks like the beginning of a sentence rather than a name.
pub(crate) fn opens_sentence(word: &str) -> bool {
    word.starts_with(char::is_uppercase) && OPENERS.contains(&word.to_lowercase().replace('’', "'").as_str())
}

/// Byte ranges of the sentences of a block, whitespace between them included in neither or either; together they hold
/// every other character.
pub(crate) fn sentences(block: &str) -> Vec<Range<usize>> {
    let mut sentences = Vec::new();
    let mut start = 0;
    let mut rest = block.char_indices().peekable();
    while let Some((at, character)) = rest.next() {
        let full_width = is_full_width_ender(character);
        if !full_width && !is_ender(character) {
            continue;
        }
        let (mut end, mut run) = (at + character.len_utf8(), 1);
        while let Some(&(next, ender)) = rest.peek().filter(|(_, c)| is_ender(*c) || is_full_width_ender(*c))
        {
            (end, run) = (next + ender.len_utf8(), run + 1);
            rest.next();
        }
        let marks = at..end;
        while let Some(&(next, closer)) = rest.peek().filter(|(_, c)| is_closer(*c)) {
            end = next + closer.len_utf8();
            rest.next();
        }
        let after = &block[end..];
        let separated = after.is_empty() || after.starts_with(char::is_whitespace);
        let ends = full_width || separated && ends_here(&block[start..at], &block[marks], run, after);
        if ends {
            sentences.push(start..end);
            start = end;
        }
    }
    if start < block.len() {
        sentences.push(start..block.len());
    }
    sentences
}

fn is_ender(character: char) -> bool {
    matches!(character, '.' | '!' | '?' | '…' | '‽' | '؟' | '۔' | '।' | '॥')
}

/// Chinese and Japanese put no space behind a sentence.
fn is_full_width_ender(character: char) -> bool {
    matches!(character, '。' | '！' | '？' | '｡')
}

fn is_closer(character: char) -> bool {
    matches!(character, '"' | '\'' | ')' | ']' | '}' | '”' | '’' | '»' | '›' | '」' | '』' | '）' | '】')
}

/// `sentence` is what stands before the marks, `after` what stands behind them and their quotes.
fn ends_here(sentence: &str, marks: &str, run: usize, after: &str) -> bool {
    let following = after.trim_start().trim_start_matches(['"', '\'', '(', '[', '“', '‘', '«', '¿', '¡']);
    let Some(next) = following.chars().next() else { return true };
    if marks.contains(['!', '?']) {
        // "Stop!" he cried.
        return !next.is_lowercase();
    }
    if run > 1 || marks == "…" {
        return !next.is_lowercase();
    }
    if marks != "." {
        return true;
    }
    let token = sentence.rsplit(char::is_whitespace).next().unwrap_or_default();
    let opens_sentence_here = token.len() == sentence.trim_start().len();
    let token = token.trim_start_matches(|c: char| !c.is_alphanumeric());
    // "1. First thing. 2. Second."
    if opens_sentence_here
        && !token.is_empty()
        && token.len() <= 3
        && token.bytes().all(|b| b.is_ascii_digit())
    {
        return false;
    }
    let next_word: String =
        following.chars().take_while(|c| c.is_alphanumeric() || matches!(c, '\'' | '’')).collect();
    let capital = next.is_uppercase() || !next.is_alphabetic();
    let lower = token.to_lowercase();
    let lower = lower.as_str();
    if ALWAYS_CONTINUED.contains(&lower) {
        return false;
    }
    if NUMBERED.contains(&lower) {
        return !next.is_numeric() && (lower.len() > 1 || capital);
    }
    if ENDS_BEFORE_CAPITAL.contains(&lower) {
        return capital;
    }
    let dotted_letters = token.len() > 2 && token.split('.').all(|part| part.chars().count() == 1);
    if ENDS_BEFORE_OPENER.contains(&lower) || dotted_letters {
        return opens_sentence(&next_word);
    }
    // An initial stands at the beginning or behind a name, and before a name.
    if token.chars().count() == 1 && token.starts_with(char::is_uppercase) && token != "I" {
        let mut words = sentence.split_whitespace().rev().skip(1);
        let behind_name = words.next().is_none_or(|word| word.starts_with(char::is_uppercase));
        return !(behind_name && next.is_uppercase() && !opens_sentence(&next_word));
    }
    true
}
