//! Names of voices: what people see, and what files are called.
//!
//! A display name is kept as it was given, in one Unicode form. An id is made from it: small letters and digits of any
//! script with hyphens between, so it is a safe file name on every system, never a path, and never equal to another only by
//! case or by how an accent is encoded.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// Characters of a display name.
pub const MAX_NAME: usize = 80;
/// Characters of an id; four bytes each are still a valid file name with an ending.
const MAX_ID: usize = 48;

/// The id of a voice whose name has no letters or digits.
const NAMELESS: &str = "clip";

/// Names that Windows keeps for devices, with any extension.
const RESERVED: [&str; 22] = [
    "con", "prn", "aux", "nul", "com1", "com2", "com3", "com4", "com5", "com6", "com7", "com8", "com9",
    "lpt1", "lpt2", "lpt3", "lpt4", "lpt5", "lpt6", "lpt7", "lpt8", "lpt9",
];

/// A name for people: composed (NFC), blanks made one, what is invisible or turns the writing round left out. `None` when
/// nothing is left, or more than [`MAX_NAME`] characters are.
pub fn display(text: &str) -> Option<String> {
    let turns =
        |c: char| matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let visible: String = text
        .nfc()
        .map(|c| if c.is_whitespace() { ' ' } else { c })
        .filter(|c| !c.is_control() && !turns(*c) && *c != '\u{feff}')
        .collect();
    let name = visible.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
    (!name.is_empty() && name.chars().count() <= MAX_NAME).then_some(name)
}

/// The name that a file's name suggests: without folders and extension, `_` as blanks, shortened where it is too long.
pub fn from_file(file_name: &str) -> Option<String> {
    let last = file_name.rsplit(['/', '\\']).next().unwrap_or_default();
    let stem = match last.rsplit_once('.') {
        Some((stem, extension)) if is_audio_extension(extension) => stem,
        _ => last,
    };
    let composed: String = stem.replace('_', " ").nfc().take(MAX_NAME).collect();
    display(&composed)
}

/// The id that a name gives, before it is known whether it is taken.
pub fn id(name: &str) -> String {
    let mut id = String::new();
    // Small letters may come decomposed.
    for c in name.nfc().flat_map(char::to_lowercase).nfc() {
        let is_part = c.is_alphanumeric() || is_combining_mark(c) && !id.is_empty() && !id.ends_with('-');
        if is_part {
            id.push(c);
        } else if !id.is_empty() && !id.ends_with('-') {
            id.push('-');
        }
    }
    let shortened: String = id.chars().take(MAX_ID).collect();
    let id = shortened.trim_end_matches('-');
    match id {
        "" => NAMELESS.to_owned(),
        reserved if RESERVED.contains(&reserved) => format!("{reserved}-voice"),
        id => id.to_owned(),
    }
}

/// The id itself, or with the first number that makes it a new one.
pub fn unique(id: &str, is_taken: impl Fn(&str) -> bool) -> String {
    if !is_taken(id) {
        return id.to_owned();
    }
    let numbered = |number: u32| format!("{id}-{number}");
    (2..=u32::MAX).map(numbered).find(|candidate| !is_taken(candidate)).unwrap_or_else(|| numbered(0))
}

/// What two spellings of one name have in common.
pub(super) fn key(name: &str) -> String {
    let letters = name.nfc().flat_map(char::to_lowercase).nfc();
    let key: String =
        letters.map(|c| if matches!(c, '_' | '-') || c.is_whitespace() { ' ' } else { c }).collect();
    key.trim().to_owned()
}

pub(super) fn is_audio_extension(extension: &str) -> bool {
    const KNOWN: [&str; 14] = [
        "wav", "mp3", "flac", "opus", "ogg", "oga", "m4a", "mp4", "aac", "webm", "mka", "aiff", "aif", "caf",
    ];
    KNOWN.iter().any(|known| known.eq_ignore_ascii_case(extension))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_keep_their_letters_and_lose_what_cannot_be_seen() {
        for (given, kept) in [
            ("Emily", "Emily"),
            ("  My \t Voice\n(1) ", "My Voice (1)"),
            ("Noe\u{308}l", "Noël"),
            ("日本語", "日本語"),
            ("a\u{202e}b\u{0}c", "abc"),
            ("🎉", "🎉"),
        ] {
            assert_eq!(display(given).as_deref(), Some(kept), "{given:?}");
        }
        for nothing in ["", " \n", "\u{200e}", &"x".repeat(MAX_NAME + 1)] {
            assert_eq!(display(nothing), None, "{nothing:?}");
        }
    }

    #[test]
    fn the_name_of_a_file_is_its_stem_without_folders() {
        for (file, name) in [
            ("../../etc/passwd", "passwd"),
            ("C:\\Users\\me\\My_Voice (1).WAV", "My Voice (1)"),
            ("éà.wav", "éà"),
            ("v1.5.mp3", "v1.5"),
            ("README", "README"),
        ] {
            assert_eq!(from_file(file).as_deref(), Some(name), "{file:?}");
        }
        assert_eq!(from_file(&format!("{}.wav", "a".repeat(120))).unwrap().len(), MAX_NAME);
        assert_eq!(from_file(".wav"), None);
    }

    #[test]
    fn ids_are_safe_file_names_in_any_script() {
        for (name, expected) in [
            ("Emily", "emily"),
            ("My Voice (1)", "my-voice-1"),
            ("Noël", "noël"),
            ("NOE\u{308}L", "noël"),
            ("日本語", "日本語"),
            ("हिन्दी", "हिन्दी"),
            ("İstanbul", "i\u{307}stanbul"),
            ("../../etc/passwd", "etc-passwd"),
            ("..", "clip"),
            ("🎉", "clip"),
            ("-rf", "rf"),
            ("CON", "con-voice"),
            ("nul.wav", "nul-wav"),
        ] {
            assert_eq!(id(name), expected, "{name:?}");
        }
        assert_eq!(id(&"ä".repeat(200)).chars().count(), MAX_ID);
        assert_eq!(id(&id("İstanbul")), id("İstanbul"), "an id of an id is itself");
    }

    #[test]
    fn a_taken_id_gets_the_first_free_number() {
        let taken = ["emily", "emily-2"];
        assert_eq!(unique("emily", |id| taken.contains(&id)), "emily-3");
        assert_eq!(unique("max", |id| taken.contains(&id)), "max");
    }
}
