//! The reference's `punc_norm`: what the models expect of punctuation, capitals and blanks. Each family has its own.

/// Which family's clean-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Punctuation {
    /// Turbo, Nano, `pico`: `...`, ` - ` and `;` stay.
    Turbo,
    Original,
    /// Knows how Chinese and Japanese sentences end.
    Multilingual,
}

/// Replacements of every family, in this order.
const COMMON: [(&str, &str); 9] = [
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

/// The same with what the families before Turbo had.
const EARLIER: [(&str, &str); 12] = [
    ("...", ", "),
    ("…", ", "),
    (":", ","),
    (" - ", ", "),
    (";", ", "),
    ("—", "-"),
    ("–", "-"),
    (" ,", ","),
    ("“", "\""),
    ("”", "\""),
    ("‘", "'"),
    ("’", "'"),
];

/// All families', then multilingual's own.
const ENDERS: [char; 10] = ['.', '!', '?', '-', ',', '、', '，', '。', '？', '！'];
const COMMON_ENDERS: usize = 5;

impl Punctuation {
    /// Capitalises the first letter, joins blanks, replaces rare punctuation and makes sure that the text ends.
    ///
    /// The first character is looked at before trimming, so `" hello"` stays lower-case, as in the reference.
    pub fn normalize(self, text: &str) -> String {
        if text.is_empty() {
            return "You need to add some text for me to talk.".to_owned();
        }
        let mut text = joined(&capitalised(text));
        let (replacements, enders) = match self {
            Self::Turbo => (&COMMON[..], &ENDERS[..COMMON_ENDERS]),
            Self::Original => (&EARLIER[..], &ENDERS[..COMMON_ENDERS]),
            Self::Multilingual => (&EARLIER[..], &ENDERS[..]),
        };
        for (from, to) in replacements {
            text = text.replace(from, to);
        }
        text.truncate(text.trim_end_matches(' ').len());
        if !text.ends_with(enders) {
            text.push('.');
        }
        text
    }
}

fn capitalised(text: &str) -> String {
    let mut characters = text.chars();
    match characters.next() {
        Some(first) if first.is_lowercase() => first.to_uppercase().chain(characters).collect(),
        _ => text.to_owned(),
    }
}

/// Words with one blank between them. Python's idea of a blank has four control characters more than Unicode's.
fn joined(text: &str) -> String {
    let blank = |c: char| c.is_whitespace() || ('\x1c'..='\x1f').contains(&c);
    text.split(blank).filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}
