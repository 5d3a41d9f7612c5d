//! Which voice a request means. Clients name voices by id, by display name, or by the file name that other servers
//! showed them; all of these lead to one id, and a name that leads nowhere is answered with the names that exist.

/// Words that mean "the default voice". `voice.wav` is what the job-queue guide's examples send.
const DEFAULT_ALIASES: [&str; 4] = ["", "default", "voice", "voice.wav"];

/// A voice that somebody asked for and the model does not have.
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

/// The id of the voice that `wanted` means: an id or a name, in any case, with or without an audio file's extension.
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
    let matching = |name: &str| {
        let name = name.to_lowercase();
        voices.clone().find(|(id, label)| id.to_lowercase() == name || label.to_lowercase() == name)
    };
    let wanted = wanted.trim();
    if let Some((id, _)) = matching(wanted).or_else(|| matching(stem(wanted))) {
        return Ok(id);
    }
    if is_default(wanted) {
        return Ok(default);
    }
    Err(UnknownVoice { wanted: wanted.to_owned(), available: voices.map(|(id, _)| id.to_owned()).collect() })
}

/// The file name under which clients of file-based servers know a voice.
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

fn is_audio_extension(extension: &str) -> bool {
    ["wav", "mp3", "flac", "opus", "ogg", "m4a"].iter().any(|known| known.eq_ignore_ascii_case(extension))
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
    fn paths_are_names_like_any_other_and_lead_nowhere() {
        assert!(find_in("../slt.wav").is_err());
        assert!(find_in("/etc/passwd").is_err());
    }
}
