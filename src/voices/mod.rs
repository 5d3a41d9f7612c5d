//! Which voice a name means, and the library of clips whose voices models can speak with.
//!
//! Clients name voices by id, by display name, or by the file name that other servers showed them; all of these lead to one
//! id, and a name that leads nowhere is answered with the names that exist.

pub mod clip;
mod library;
pub mod name;
mod predefined;
#[cfg(test)]
pub(crate) mod testing;

pub use library::{Added, Clip, Library, LibraryError, Limits, Upload};

use name::{is_audio_extension, key};

/// Words that mean "the default voice". `voice.wav` is what the job-queue guide's examples send.
const DEFAULT_ALIASES: [&str; 4] = ["", "default", "voice", "voice.wav"];

/// A voice that somebody asked for and that is not there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no voice {wanted:?}; the available voices are {}", available.join(", "))]
pub struct UnknownVoice {
    pub wanted: String,
    /// Ids.
    pub available: Vec<String>,
}

/// Whether `wanted` asks for the default voice.
pub fn is_default(wanted: &str) -> bool {
    DEFAULT_ALIASES.iter().any(|alias| wanted.trim().eq_ignore_ascii_case(alias))
}

/// The id of the voice that `wanted` means: an id or a name, in any case, however its accents are encoded, with spaces,
/// `_` or `-` between words, with or without an audio file's extension. Ids go before names.
///
/// `voices` are `(id, name)`. An alias of the default voice gives `default`, unless a voice goes by that very name.
///
/// # Errors
/// [`UnknownVoice`], which lists the ids that exist.
pub fn find<'a>(
    wanted: &str,
    voices: impl Iterator<Item = (&'a str, &'a str)> + Clone,
    default: &'a str,
) -> Result<&'a str, UnknownVoice> {
    let wanted = wanted.trim();
    if let Some(id) = named(wanted, &voices) {
        return Ok(id);
    }
    if is_default(wanted) {
        return Ok(default);
    }
    Err(UnknownVoice { wanted: wanted.to_owned(), available: voices.map(|(id, _)| id.to_owned()).collect() })
}

/// [`find`] without a default.
fn named<'a>(wanted: &str, voices: &(impl Iterator<Item = (&'a str, &'a str)> + Clone)) -> Option<&'a str> {
    [wanted, stem(wanted)].into_iter().find_map(|spelling| {
        let wanted = key(spelling);
        let by_id = voices.clone().find(|(id, _)| key(id) == wanted);
        by_id.or_else(|| voices.clone().find(|(_, name)| key(name) == wanted)).map(|(id, _)| id)
    })
}

/// The file name under which clients of file-based servers know a model's own voice.
pub fn file_name(id: &str) -> String {
    format!("{id}.wav")
}

/// `Emily.wav` → `Emily`; names that merely contain a dot stay whole.
fn stem(name: &str) -> &str {
    match name.rsplit_once('.') {
        Some((stem, extension)) if is_audio_extension(extension) => stem,
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VOICES: [(&str, &str); 3] = [("slt", "Ada"), ("rms", "Max"), ("v1.5", "Mr. Dot")];

    fn find_in(wanted: &str) -> Result<&'static str, UnknownVoice> {
        find(wanted, VOICES.into_iter(), "rms")
    }

    #[test]
    fn a_voice_is_found_by_id_name_and_file_name_in_any_case() {
        for wanted in ["slt", "SLT", "Ada", "ada", "slt.wav", "Ada.WAV", " ada.mp3 "] {
            assert_eq!(find_in(wanted), Ok("slt"), "{wanted:?}");
        }
        for wanted in ["v1.5", "V1.5.wav", "mr. dot"] {
            assert_eq!(find_in(wanted), Ok("v1.5"), "{wanted:?}");
        }
    }

    #[test]
    fn the_aliases_of_the_default_voice_lead_to_it() {
        for wanted in ["", "  ", "default", "Default", "voice", "voice.wav"] {
            assert_eq!(find_in(wanted), Ok("rms"), "{wanted:?}");
        }
    }

    #[test]
    fn a_voice_that_is_called_like_an_alias_is_found_before_the_default() {
        let voices = [("voice", "Voice"), ("rms", "Max")];
        assert_eq!(find("voice.wav", voices.into_iter(), "rms"), Ok("voice"));
    }

    #[test]
    fn an_unknown_voice_is_answered_with_the_voices_there_are() {
        let error = find_in("Emily.wav").unwrap_err();
        assert_eq!(
            error.to_string(),
            "there is no voice \"Emily.wav\"; the available voices are slt, rms, v1.5"
        );
    }

    #[test]
    fn ids_go_before_names_and_spellings_of_a_name_are_one() {
        let voices = [("a", "B"), ("b", "Grand-père Noël")];
        assert_eq!(find("b", voices.into_iter(), "a"), Ok("b"));
        for wanted in ["Grand-pe\u{300}re Noe\u{308}l.mp3", "grand père noël", "GRAND_PÈRE_NOËL.wav"] {
            assert_eq!(find(wanted, voices.into_iter(), "a"), Ok("b"), "{wanted:?}");
        }
    }

    #[test]
    fn paths_are_names_like_any_other_and_lead_nowhere() {
        assert!(find_in("../slt.wav").is_err());
        assert!(find_in("/etc/passwd").is_err());
    }
}
