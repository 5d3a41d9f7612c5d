//! From what somebody asked for to a [`SpeechRequest`].
//!
//! Every door (HTTP, the command line) fills a [`Draft`] and checks it here, so a field has one range, one default and
//! one sentence that says what is wrong with it. What leaves this module is valid; nothing behind it checks again.

mod bounds;
mod sound;
mod voice;

use std::fmt::Display;

use bounds::{number, size, whole};
pub use sound::format;
use sound::{bit_rate, sample_rate};
pub use voice::{default_voice, voice_id};
use voice::{script_voices, wanted_clip, wanted_voice};

use super::catalog::{AUTO, Catalog, UnknownModel};
use super::model::ModelInfo;
use super::normalize::Pronunciation;
use super::script::pauses;
use super::{Sampling, SpeechRequest, normalize};
use crate::config::{OwnPronunciation, Settings, ranges};
use crate::voices::UnknownVoice;

/// The longest title, in characters.
pub const LONGEST_TITLE: usize = 200;

/// A request as it came in: `None` is "not said", which means the setting or the model's own default.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Draft {
    pub text: String,
    /// What players call the sound; empty is not said.
    pub title: Option<String>,
    /// By name; `None` and `auto` are the server's default.
    pub model: Option<String>,
    pub voice: Option<String>,
    /// A clip of the library whose voice to speak with; goes before `voice`.
    pub reference: Option<String>,
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
    /// By name: `wav`, `flac`, `mp3` …
    pub format: Option<String>,
    /// Hz; one that the format has.
    pub sample_rate: Option<i64>,
    pub bitrate_kbps: Option<i64>,
    pub trim_silence: Option<bool>,
    /// 0 leaves silences as they are.
    pub max_silence_ms: Option<i64>,
    pub sentence_pause_ms: Option<i64>,
    pub paragraph_pause_ms: Option<i64>,
    /// 0 leaves the loudness as it is.
    pub loudness_lufs: Option<f64>,
    /// 0 takes every chunk as it comes.
    pub retakes: Option<i64>,
}

/// Why a draft is no request. Each message names the field, what is allowed and what was found.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum DraftError {
    #[error("{field} is empty; send at least one character to speak")]
    EmptyText { field: &'static str },
    #[error(
        "{field} has {found} characters, and at most {limit} are accepted; split it, or raise limits.max_text_chars"
    )]
    TextTooLong { field: &'static str, found: usize, limit: usize },
    #[error("{field}, line {line}, column {column}: {problem}")]
    Script { field: &'static str, line: usize, column: usize, problem: String },
    #[error("{field} must be {expected}, found {found}; leave it out for the default")]
    Field { field: &'static str, expected: String, found: String },
    #[error("model: {0}")]
    Model(UnknownModel),
    #[error("{0}")]
    NoModel(UnknownModel),
    #[error("{field}: {unknown}")]
    Voice { field: &'static str, unknown: UnknownVoice },
    #[error("{field}: {reason}{}", also_named(models))]
    VoiceForOthers { field: &'static str, reason: String, models: Vec<String> },
    #[error("voice_mode \"clone\" needs reference_audio_filename, the file name of a voice that was added.")]
    NoReference,
    #[error(
        "voice_mode \"clone\" is not possible: the model {model} has fixed voices only. Send voice_mode \"predefined\"{}",
        also_named(models)
    )]
    NoCloning { model: String, models: Vec<String> },
}

/// The models that could, after a sentence that says what another cannot.
fn also_named(models: &[String]) -> String {
    if models.is_empty() {
        ".".to_owned()
    } else {
        format!("; for this voice, send model {}.", models.join(" or "))
    }
}

impl DraftError {
    /// The wording for every field that is not what it must be.
    pub fn field(field: &'static str, expected: impl Into<String>, found: impl Display) -> Self {
        Self::Field { field, expected: expected.into(), found: found.to_string() }
    }

    /// The same for a client that knows the fields by other names.
    #[must_use]
    pub fn renamed(mut self, rename: impl Fn(&'static str) -> &'static str) -> Self {
        match &mut self {
            Self::EmptyText { field }
            | Self::TextTooLong { field, .. }
            | Self::Script { field, .. }
            | Self::Field { field, .. }
            | Self::Voice { field, .. }
            | Self::VoiceForOthers { field, .. } => *field = rename(field),
            Self::Model(_) | Self::NoModel(_) | Self::NoReference | Self::NoCloning { .. } => {}
        }
        self
    }

    /// The field that is wrong, where it is one.
    pub fn field_name(&self) -> Option<&'static str> {
        match self {
            Self::EmptyText { field }
            | Self::TextTooLong { field, .. }
            | Self::Script { field, .. }
            | Self::Field { field, .. }
            | Self::Voice { field, .. }
            | Self::VoiceForOthers { field, .. } => Some(field),
            Self::Model(_) => Some("model"),
            Self::NoReference => Some("reference_audio_filename"),
            Self::NoCloning { .. } => Some("voice_mode"),
            Self::NoModel(_) => None,
        }
    }
}

impl Draft {
    /// Checks every field and fills in the defaults. The seed is drawn here, so that the request repeats its take. No
    /// model needs to be loaded for this.
    ///
    /// # Errors
    /// The first field that is wrong.
    pub fn check(self, settings: &Settings, catalog: &Catalog) -> Result<SpeechRequest, DraftError> {
        if normalize::is_blank(&self.text) {
            return Err(DraftError::EmptyText { field: "text" });
        }
        let (found, limit) = (self.text.chars().count(), settings.limits.max_text_chars);
        if found > limit {
            return Err(DraftError::TextTooLong { field: "text", found, limit });
        }
        pauses::check(&self.text).map_err(|found| {
            let expected = format!(
                "with pauses such as [pause:500ms] or [pause:2s], of {} s at most",
                pauses::LONGEST.as_secs()
            );
            DraftError::field("text", expected, found)
        })?;
        let defaults = &settings.generation_defaults;
        let seed = whole("seed", self.seed, -1..=ranges::MAX_SEED as i64)?;
        let model = &model(self.model.as_deref(), catalog)?;
        let processing = self.processing(&settings.audio_processing)?;
        let language = self.language.or_else(|| defaults.language.clone());
        let format = self.format.as_deref().map_or(Ok(settings.audio_output.format), format)?;
        let sample_rate = sample_rate(self.sample_rate, format, settings.audio_output.sample_rate)?;
        let voice = match &self.reference {
            Some(reference) => wanted_clip(reference, model, catalog)?,
            None => wanted_voice(self.voice.as_deref(), settings, model, catalog)?,
        };
        let script_voices = script_voices(&self.text, model, catalog)?;
        let spoken = model.language(language.as_deref());
        let needed = |own: &&OwnPronunciation| {
            own.language.as_deref().is_none_or(|code| code == spoken)
                && own.voice.as_deref().is_none_or(|name| {
                    let speaks = |id: &str| id == voice || script_voices.values().any(|known| known == id);
                    voice_id(name, model).is_ok_and(speaks)
                })
                && normalize::occurs(&self.text, &Pronunciation::from(*own))
        };
        let kept = |own: &OwnPronunciation| Pronunciation {
            voice: own.voice.as_deref().and_then(|name| voice_id(name, model).ok()).map(str::to_owned),
            ..own.into()
        };
        Ok(SpeechRequest {
            pronunciations: settings.pronunciations.iter().filter(needed).map(kept).collect(),
            script_voices,
            bitrate_kbps: bit_rate(
                self.bitrate_kbps,
                format,
                sample_rate,
                settings.audio_output.bitrate_kbps,
            )?,
            processing,
            retakes: size("retakes", self.retakes, 0..=ranges::MAX_RETAKES as usize)?
                .map_or(defaults.retakes, |retakes| retakes as u32),
            voice,
            model: Some(model.name.clone()),
            verbatim: false,
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
            format,
            sample_rate,
            title: self.title.map(|text| title(&text)).transpose()?.filter(|title| !title.is_empty()),
            text: self.text,
        })
    }
}

impl From<&OwnPronunciation> for Pronunciation {
    fn from(own: &OwnPronunciation) -> Self {
        Self { text: own.text.clone(), say: own.say.clone(), match_case: own.match_case, voice: None }
    }
}

/// A title in one line.
///
/// # Errors
/// One of more than [`LONGEST_TITLE`] characters.
pub fn title(text: &str) -> Result<String, DraftError> {
    let words = text.split(|letter: char| letter.is_whitespace() || letter.is_control());
    let title = words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
    let found = title.chars().count();
    if found > LONGEST_TITLE {
        return Err(DraftError::field("title", format!("at most {LONGEST_TITLE} characters"), found));
    }
    Ok(title)
}

/// The model that a request's `model` means.
///
/// # Errors
/// [`DraftError::Model`] for a name that leads nowhere, [`DraftError::NoModel`] when the server's own default does.
pub fn model(wanted: Option<&str>, catalog: &Catalog) -> Result<ModelInfo, DraftError> {
    match wanted.map(str::trim) {
        None | Some("" | AUTO) => catalog.default_model().map_err(DraftError::NoModel),
        Some(name) => catalog.find(name).map_err(DraftError::Model),
    }
}

/// Models of one language ignore the field, as upstream does; the others refuse what they cannot speak. A code in any case,
/// and with a region that the model does not tell apart, as `zh-CN`, means the language.
fn checked_language(language: Option<String>, model: &ModelInfo) -> Result<Option<String>, DraftError> {
    let Some(code) = language.as_ref().filter(|_| model.languages.len() > 1) else { return Ok(language) };
    let general = code.split(['-', '_']).next().unwrap_or_default();
    let spoken = [code, general]
        .into_iter()
        .find_map(|wanted| model.languages.iter().find(|known| known.eq_ignore_ascii_case(wanted)));
    spoken.cloned().map(Some).ok_or_else(|| {
        DraftError::field("language", format!("one of {}", model.languages.join(", ")), quoted(code))
    })
}

/// A seed that people can read out and type again: 1 to 2^32 − 1.
pub fn draw_seed() -> u64 {
    // A system without randomness is broken beyond what a speech server can mend; the clock still varies.
    let drawn = getrandom::u32().unwrap_or_else(|_| {
        std::time::SystemTime::UNIX_EPOCH.elapsed().map_or(1, |since| since.subsec_nanos())
    });
    u64::from(drawn.max(1))
}

fn quoted(text: &str) -> String {
    format!("{text:?}")
}

#[cfg(test)]
mod tests;
