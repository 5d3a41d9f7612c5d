//! The reference's `punc_norm` for Turbo and Nano: what the model expects of punctuation, capitals and blanks.

/// Replacements in this order. `...`, ` - ` and `;` stay, unlike in the original model's variant.
const REPLACEMENTS: [(&str, &str); 9] = [
    ("…", ", "),
    (":", ","),
    ("—", "-"),
    ("–", "-"),
    (" ,", ","),
    ("“", "\""),
    ("”", "\""),
    ("‘", "'"),
    ("’", "'"),
];

const SENTENCE_ENDERS: [char; 5] = ['.', '!', '?', '-', ','];

/// Capitalises the first letter, joins blanks, replaces rare punctuation and makes sure that the text ends.
///
/// The first character is looked at before trimming, so `" hello"` stays lower-case, as in the reference.
pub fn normalize_punctuation(text: &str) -> String {
    if text.is_empty() {
        return "You need to add some text for me to talk.".to_owned();
    }
    let mut text = capitalised(text).split_whitespace().collect::<Vec<_>>().join(" ");
    for (from, to) in REPLACEMENTS {
        text = text.replace(from, to);
    }
    text.truncate(text.trim_end_matches(' ').len());
    if !text.ends_with(SENTENCE_ENDERS) {
        text.push('.');
    }
    text
}

fn capitalised(text: &str) -> String {
    let mut characters = text.chars();
    match characters.next() {
        Some(first) if first.is_lowercase() => first.to_uppercase().chain(characters).collect(),
        _ => text.to_owned(),
    }
}
