//! From what somebody asked for to a [`SpeechRequest`].
//!
//! Every door (HTTP, the command line) fills a [`Draft`] and checks it here, so a field has one range, one default and
//! one sentence that says what is wrong with it. What leaves this file is valid; nothing behind it checks again.

use std::fmt::Display;
use std::ops::RangeInclusive;

use super::model::ModelInfo;
use super::{AudioFormat, Sampling, SpeechRequest};
use crate::config::{Format, Settings, ranges};
use crate::voices::{self, UnknownVoice};

/// A request as it came in: `None` is "not said", which means the setting or the model's own default.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Draft {
    pub text: String,
    pub voice: Option<String>,
    pub normalize: Option<bool>,
    pub split_text: Option<bool>,
    pub chunk_size: Option<i64>,
    pub temperature: Option<f64>,
    pub exaggeration: Option<f64>,
    pub cfg_weight: Option<f64>,
    pub top_k: Option<i64>,
    pub top_p: Option<f64>,
    pub min_p: Option<f64>,
    pub repetition_penalty: Option<f64>,
    /// 0 and −1 draw one.
    pub seed: Option<i64>,
    pub speed: Option<f64>,
    pub language: Option<String>,
    /// `wav` or `flac`.
    pub format: Option<String>,
}

/// Why a draft is no request. Each message names the field, what is allowed and what was found.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum DraftError {
    #[error("text is empty; send at least one character to speak")]
    EmptyText,
    #[error(
        "text has {found} characters, and at most {limit} are accepted; split it, or raise limits.max_text_chars"
    )]
    TextTooLong { found: usize, limit: usize },
    #[error("{field} must be {expected}, found {found}; leave it out for the default")]
    Field { field: &'static str, expected: String, found: String },
    #[error("predefined_voice_id: {0}")]
    Voice(#[from] UnknownVoice),
}

impl DraftError {
    /// The wording for every field that is not what it must be.
    pub fn field(field: &'static str, expected: impl Into<String>, found: impl Display) -> Self {
        Self::Field { field, expected: expected.into(), found: found.to_string() }
    }
}

impl Draft {
    /// Checks every field and fills in the defaults. The seed is drawn here, so that the request repeats its take.
    ///
    /// `model` is `None` while it is loading; the voice is then kept as it was asked for and found by [`voice_id`] when
    /// it is spoken.
    ///
    /// # Errors
    /// The first field that is wrong.
    pub fn check(self, settings: &Settings, model: Option<&ModelInfo>) -> Result<SpeechRequest, DraftError> {
        if self.text.trim().is_empty() {
            return Err(DraftError::EmptyText);
        }
        let (found, limit) = (self.text.chars().count(), settings.limits.max_text_chars);
        if found > limit {
            return Err(DraftError::TextTooLong { found, limit });
        }
        let defaults = &settings.generation_defaults;
        let seed = whole("seed", self.seed, -1..=ranges::MAX_SEED as i64)?;
        let language = self.language.or_else(|| defaults.language.clone());
        Ok(SpeechRequest {
            voice: wanted_voice(self.voice.as_deref(), settings, model)?,
            normalize: self.normalize.unwrap_or(settings.text.normalize),
            split_text: self.split_text.unwrap_or(defaults.split_text),
            chunk_size: size("chunk_size", self.chunk_size, ranges::CHUNK_SIZES)?
                .unwrap_or(defaults.chunk_size),
            sampling: Sampling {
                temperature: number("temperature", self.temperature, ranges::TEMPERATURES)?
                    .or(defaults.temperature),
                exaggeration: number("exaggeration", self.exaggeration, ranges::EXAGGERATIONS)?
                    .or(defaults.exaggeration),
                cfg_weight: number("cfg_weight", self.cfg_weight, ranges::CFG_WEIGHTS)?
                    .or(defaults.cfg_weight),
                top_k: size("top_k", self.top_k, 1..=100_000)?,
                top_p: number("top_p", self.top_p, 0.01..=1.0)?,
                min_p: number("min_p", self.min_p, 0.0..=1.0)?,
                repetition_penalty: number("repetition_penalty", self.repetition_penalty, 1.0..=5.0)?,
            },
            seed: match seed.unwrap_or(defaults.seed as i64) {
                random if random <= 0 => draw_seed(),
                fixed => fixed as u64,
            },
            speed: number("speed_factor", self.speed, ranges::SPEEDS)?.unwrap_or(defaults.speed_factor),
            language: checked_language(language, model)?,
            format: match self.format {
                None => settings.audio_output.format.into(),
                Some(name) => name.parse()?,
            },
            sample_rate: settings.audio_output.sample_rate,
            text: self.text,
        })
    }
}

/// The id of the voice that a request's `voice` means for the model that is to speak it.
///
/// A request that was accepted while the model was loading carries the voice as it was asked for.
///
/// # Errors
/// [`UnknownVoice`], which lists the voices that the model has.
pub fn voice_id<'a>(wanted: &str, model: &'a ModelInfo) -> Result<&'a str, UnknownVoice> {
    let voices = model.voices.iter().map(|voice| (voice.id.as_str(), voice.name.as_str()));
    voices::find(wanted, voices, &model.default_voice)
}

/// The id of the voice that requests without one get: the configured one if this model has it, else the model's own.
pub fn default_voice<'a>(settings: &Settings, model: &'a ModelInfo) -> &'a str {
    let configured = settings.tts_engine.default_voice_id.as_deref().unwrap_or_default();
    voice_id(configured, model).unwrap_or(&model.default_voice)
}

fn wanted_voice(
    wanted: Option<&str>,
    settings: &Settings,
    model: Option<&ModelInfo>,
) -> Result<String, UnknownVoice> {
    let wanted = wanted.unwrap_or_default();
    let Some(model) = model else {
        let configured = settings.tts_engine.default_voice_id.as_deref().unwrap_or("default");
        return Ok(if voices::is_default(wanted) { configured } else { wanted }.to_owned());
    };
    let voice = voice_id(wanted, model)?;
    // An alias of the default voice led to the model's own; the configured one goes before it.
    let is_alias = voices::is_default(wanted) && voice == model.default_voice;
    Ok(if is_alias { default_voice(settings, model) } else { voice }.to_owned())
}

/// Models of one language ignore the field, as upstream does; the others refuse what they cannot speak.
fn checked_language(
    language: Option<String>,
    model: Option<&ModelInfo>,
) -> Result<Option<String>, DraftError> {
    match (&language, model) {
        (Some(code), Some(model)) if model.languages.len() > 1 && !model.languages.contains(code) => {
            Err(DraftError::field("language", format!("one of {}", model.languages.join(", ")), quoted(code)))
        }
        _ => Ok(language),
    }
}

fn number(
    field: &'static str,
    value: Option<f64>,
    range: RangeInclusive<f64>,
) -> Result<Option<f32>, DraftError> {
    match value {
        Some(value) if !range.contains(&value) => Err(DraftError::field(
            field,
            format!("a number from {} to {}", range.start(), range.end()),
            value,
        )),
        value => Ok(value.map(|value| value as f32)),
    }
}

fn whole(
    field: &'static str,
    value: Option<i64>,
    range: RangeInclusive<i64>,
) -> Result<Option<i64>, DraftError> {
    match value {
        Some(value) if !range.contains(&value) => {
            let mut expected = format!("a whole number from {} to {}", range.start(), range.end());
            if field == "seed" {
                expected.push_str(" (0 and -1 draw one at random)");
            }
            Err(DraftError::field(field, expected, value))
        }
        value => Ok(value),
    }
}

fn size(
    field: &'static str,
    value: Option<i64>,
    range: RangeInclusive<usize>,
) -> Result<Option<usize>, DraftError> {
    let range = *range.start() as i64..=*range.end() as i64;
    Ok(whole(field, value, range)?.map(|value| value as usize))
}

/// A seed that people can read out and type again: 1 to 2^32 − 1.
fn draw_seed() -> u64 {
    // A system without randomness is broken beyond what a speech server can mend; the clock still varies.
    let drawn = getrandom::u32().unwrap_or_else(|_| {
        std::time::SystemTime::UNIX_EPOCH.elapsed().map_or(1, |since| since.subsec_nanos())
    });
    u64::from(drawn.max(1))
}

fn quoted(text: &str) -> String {
    format!("{text:?}")
}

impl From<Format> for AudioFormat {
    fn from(format: Format) -> Self {
        match format {
            Format::Wav => Self::Wav,
            Format::Flac => Self::Flac,
        }
    }
}

impl std::str::FromStr for AudioFormat {
    type Err = DraftError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        match name.to_ascii_lowercase().as_str() {
            "wav" => Ok(Self::Wav),
            "flac" => Ok(Self::Flac),
            _ => Err(DraftError::field("output_format", "wav or flac", quoted(name))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::speech::model::VoiceInfo;

    fn model() -> ModelInfo {
        let voice = |id: &str, name: &str| VoiceInfo {
            id: id.to_owned(),
            name: name.to_owned(),
            gender: None,
            language: "en".to_owned(),
            origin: String::new(),
        };
        ModelInfo {
            name: "test".to_owned(),
            class_name: "Test".to_owned(),
            device: "CPU".to_owned(),
            device_reason: String::new(),
            sample_rate: 24_000,
            max_chunk_chars: 300,
            voices: vec![voice("slt", "Ada"), voice("rms", "Max")],
            default_voice: "rms".to_owned(),
            languages: vec!["en".to_owned()],
            paralinguistic_tags: Vec::new(),
        }
    }

    fn draft() -> Draft {
        Draft { text: "Hello.".to_owned(), ..Draft::default() }
    }

    fn check(draft: Draft) -> Result<SpeechRequest, DraftError> {
        draft.check(&Settings::default(), Some(&model()))
    }

    #[test]
    fn what_is_left_out_comes_from_the_settings_and_the_model() {
        let request = check(draft()).unwrap();
        assert_eq!((request.voice.as_str(), request.speed, request.chunk_size), ("rms", 1.0, 120));
        assert_eq!((request.format, request.sample_rate), (AudioFormat::Wav, 24_000));
        assert_eq!(request.sampling, Sampling::default());
        assert!(request.normalize && request.split_text);
    }

    #[test]
    fn a_random_seed_is_drawn_where_none_is_fixed_and_never_zero() {
        for random in [None, Some(0), Some(-1)] {
            let seeds: Vec<u64> =
                (0..8).map(|_| check(Draft { seed: random, ..draft() }).unwrap().seed).collect();
            assert!(seeds.iter().all(|seed| *seed > 0 && u32::try_from(*seed).is_ok()), "{seeds:?}");
            assert!(seeds.windows(2).any(|pair| pair[0] != pair[1]), "{seeds:?}");
        }
        assert_eq!(check(Draft { seed: Some(7), ..draft() }).unwrap().seed, 7);
        let mut settings = Settings::default();
        settings.generation_defaults.seed = 9;
        assert_eq!(draft().check(&settings, Some(&model())).unwrap().seed, 9);
    }

    #[test]
    fn the_configured_default_voice_goes_before_the_models_own_if_the_model_has_it() {
        let mut settings = Settings::default();
        settings.tts_engine.default_voice_id = Some("Ada".to_owned());
        let voice = |wanted: Option<&str>, settings: &Settings| {
            let draft = Draft { voice: wanted.map(str::to_owned), ..draft() };
            draft.check(settings, Some(&model())).unwrap().voice
        };
        assert_eq!(voice(None, &settings), "slt");
        assert_eq!(voice(Some("voice.wav"), &settings), "slt");
        assert_eq!(voice(Some("rms.wav"), &settings), "rms");
        settings.tts_engine.default_voice_id = Some("Emily".to_owned());
        assert_eq!(voice(None, &settings), "rms", "a voice of another model is no reason to refuse");
    }

    #[test]
    fn while_the_model_loads_the_voice_is_kept_as_it_was_asked_for() {
        let voice = |wanted: Option<&str>| {
            let draft = Draft { voice: wanted.map(str::to_owned), ..draft() };
            draft.check(&Settings::default(), None).unwrap().voice
        };
        assert_eq!(voice(Some("Ada.wav")), "Ada.wav");
        assert_eq!(voice_id(&voice(Some("Ada.wav")), &model()), Ok("slt"));
        assert_eq!(voice_id(&voice(None), &model()), Ok("rms"));
        assert!(voice_id("Emily", &model()).is_err());
    }

    #[test]
    fn every_wrong_field_is_named_with_what_is_allowed() {
        let cases: [(Draft, &str); 12] = [
            (Draft { text: " \n".to_owned(), ..draft() }, "text is empty"),
            (
                Draft { temperature: Some(2.1), ..draft() },
                "temperature must be a number from 0 to 2, found 2.1",
            ),
            (
                Draft { temperature: Some(f64::NAN), ..draft() },
                "temperature must be a number from 0 to 2, found NaN",
            ),
            (Draft { exaggeration: Some(-0.1), ..draft() }, "exaggeration must be a number from 0 to 2"),
            (Draft { cfg_weight: Some(3.0), ..draft() }, "cfg_weight must be a number from 0 to 1, found 3"),
            (Draft { speed: Some(0.0), ..draft() }, "speed_factor must be a number from 0.25 to 4, found 0"),
            (Draft { chunk_size: Some(49), ..draft() }, "chunk_size must be a whole number from 50 to 500"),
            (
                Draft { seed: Some(-2), ..draft() },
                "seed must be a whole number from -1 to 9007199254740991 (0 and -1",
            ),
            (Draft { top_p: Some(0.0), ..draft() }, "top_p must be a number from 0.01 to 1"),
            (Draft { top_k: Some(0), ..draft() }, "top_k must be a whole number from 1"),
            (
                Draft { format: Some("mp3".to_owned()), ..draft() },
                "output_format must be wav or flac, found \"mp3\"",
            ),
            (
                Draft { voice: Some("Emily".to_owned()), ..draft() },
                "predefined_voice_id: there is no voice \"Emily\"; the available voices are slt, rms",
            ),
        ];
        for (draft, expected) in cases {
            let error = check(draft).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{error}");
        }
    }

    #[test]
    fn a_text_at_the_bound_passes_and_one_character_more_does_not() {
        let mut settings = Settings::default();
        settings.limits.max_text_chars = 3;
        let check = |text: &str| Draft { text: text.to_owned(), ..draft() }.check(&settings, None);
        assert!(check("äöü").is_ok(), "characters, not bytes");
        assert_eq!(check("äöüx").unwrap_err(), DraftError::TextTooLong { found: 4, limit: 3 });
    }

    #[test]
    fn a_language_matters_only_to_models_that_speak_several() {
        let mut several = model();
        several.languages = vec!["en".to_owned(), "de".to_owned()];
        let check = |language: &str, model: &ModelInfo| {
            Draft { language: Some(language.to_owned()), ..draft() }.check(&Settings::default(), Some(model))
        };
        assert!(check("xx", &model()).is_ok());
        assert!(check("de", &several).is_ok());
        assert_eq!(
            check("xx", &several).unwrap_err().to_string(),
            "language must be one of en, de, found \"xx\"; leave it out for the default"
        );
    }
}
