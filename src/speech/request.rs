//! From what somebody asked for to a [`SpeechRequest`].
//!
//! Every door (HTTP, the command line) fills a [`Draft`] and checks it here, so a field has one range, one default and
//! one sentence that says what is wrong with it. What leaves this file is valid; nothing behind it checks again.

mod sound;

use std::collections::BTreeMap;
use std::fmt::Display;
use std::ops::RangeInclusive;

pub use sound::format;
use sound::{bit_rate, sample_rate};

use super::catalog::{AUTO, Catalog, UnknownModel};
use super::model::ModelInfo;
use super::normalize::Pronunciation;
use super::script::{self, ScriptError, pauses};
use super::{Sampling, SpeechRequest, normalize};
use crate::config::{OwnPronunciation, Settings, ranges};
use crate::voices::{self, Clip, UnknownVoice};

/// The longest title, in characters.
pub const LONGEST_TITLE: usize = 200;

/// Voices that one text may name.
const MOST_VOICES: usize = 64;

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

/// The id of the voice that a request's `voice` means for the model that is to speak it.
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
    model: &ModelInfo,
    catalog: &Catalog,
) -> Result<String, DraftError> {
    const FIELD: &str = "predefined_voice_id";
    let wanted = wanted.unwrap_or_default();
    let voice = voice_id(wanted, model).map_err(|unknown| match catalog.library().find(wanted) {
        Ok(clip) => other_models(FIELD, &clip, model, catalog),
        Err(_) => DraftError::Voice { field: FIELD, unknown },
    })?;
    // An alias of the default voice led to the model's own; the configured one goes before it.
    let is_alias = voices::is_default(wanted) && voice == model.default_voice;
    Ok(if is_alias { default_voice(settings, model) } else { voice }.to_owned())
}

/// The voices that a text names, and their ids.
fn script_voices(
    text: &str,
    model: &ModelInfo,
    catalog: &Catalog,
) -> Result<BTreeMap<String, String>, DraftError> {
    const FIELD: &str = "text";
    let wrong = |at: usize, problem: String| {
        let (line, column) = ScriptError { at, problem: String::new() }.place(text);
        DraftError::Script { field: FIELD, line, column, problem }
    };
    let parts = script::parts(text).map_err(|error| wrong(error.at, error.problem))?;
    let mut voices = BTreeMap::new();
    for named in parts.into_iter().filter_map(|part| part.voice) {
        if voices.contains_key(&named.name) {
            continue;
        }
        let id =
            voice_id(&named.name, model).map_err(|unknown| match catalog.library().find(&named.name) {
                Ok(clip) => wrong(named.at, other_models(FIELD, &clip, model, catalog).to_string()),
                Err(_) => wrong(named.at, unknown.to_string()),
            })?;
        voices.insert(named.name, id.to_owned());
        if voices.len() > MOST_VOICES {
            return Err(wrong(named.at, format!("a text has at most {MOST_VOICES} voices")));
        }
    }
    Ok(voices)
}

fn wanted_clip(wanted: &str, model: &ModelInfo, catalog: &Catalog) -> Result<String, DraftError> {
    const FIELD: &str = "reference_audio_filename";
    if wanted.trim().is_empty() {
        return Err(DraftError::NoReference);
    }
    if model.cloning.is_none() {
        let models = catalog.library().find(wanted).map(|clip| catalog.models_for(&clip));
        return Err(DraftError::NoCloning { model: model.name.clone(), models: models.unwrap_or_default() });
    }
    let clip =
        catalog.library().find(wanted).map_err(|unknown| DraftError::Voice { field: FIELD, unknown })?;
    match model.why_not(&clip) {
        None => Ok(clip.id.clone()),
        Some(_) => Err(other_models(FIELD, &clip, model, catalog)),
    }
}

/// The voice is there; only this model cannot use it.
fn other_models(field: &'static str, clip: &Clip, model: &ModelInfo, catalog: &Catalog) -> DraftError {
    let why = model.why_not(clip).unwrap_or_else(|| "another voice of that name goes before it".to_owned());
    DraftError::VoiceForOthers {
        field,
        reason: format!("the voice {:?} cannot be used, {why}", clip.id),
        models: catalog.models_for(clip),
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
mod tests {
    use super::*;
    use crate::speech::AudioFormat;
    use crate::speech::catalog::Offer;
    use crate::speech::model::{ModelError, VoiceInfo, VoiceKind};
    use crate::speech::tone;
    use crate::voices::Library;
    use crate::voices::testing::{library, upload, wav};

    fn model() -> ModelInfo {
        let voice = |id: &str, name: &str| VoiceInfo {
            id: id.to_owned(),
            name: name.to_owned(),
            kind: VoiceKind::BuiltIn,
            gender: None,
            language: "en".to_owned(),
            origin: String::new(),
        };
        ModelInfo {
            name: "test".to_owned(),
            voices: vec![voice("slt", "Ada"), voice("rms", "Max")],
            default_voice: "rms".to_owned(),
            ..tone::info()
        }
    }

    /// Models that are described and never loaded, the first one being the default.
    fn catalog_of(models: Vec<ModelInfo>, library: Library) -> Catalog {
        let unloadable = || Err(ModelError::NotLoaded("nobody loads it".to_owned()));
        Catalog::new(AUTO, library, models.into_iter().map(|info| Offer::new(info, unloadable)).collect())
    }

    pub(super) fn catalog() -> Catalog {
        let (_folder, library) = library();
        catalog_of(vec![model()], library)
    }

    pub(super) fn draft() -> Draft {
        Draft { text: "Hello.".to_owned(), ..Draft::default() }
    }

    pub(super) fn check(draft: Draft) -> Result<SpeechRequest, DraftError> {
        draft.check(&Settings::default(), &catalog())
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
        assert_eq!(draft().check(&settings, &catalog()).unwrap().seed, 9);
    }

    #[test]
    fn the_configured_default_voice_goes_before_the_models_own_if_the_model_has_it() {
        let mut settings = Settings::default();
        settings.tts_engine.default_voice_id = Some("Ada".to_owned());
        let voice = |wanted: Option<&str>, settings: &Settings| {
            let draft = Draft { voice: wanted.map(str::to_owned), ..draft() };
            draft.check(settings, &catalog()).unwrap().voice
        };
        assert_eq!(voice(None, &settings), "slt");
        assert_eq!(voice(Some("voice.wav"), &settings), "slt");
        assert_eq!(voice(Some("rms.wav"), &settings), "rms");
        settings.tts_engine.default_voice_id = Some("Emily".to_owned());
        assert_eq!(voice(None, &settings), "rms", "a voice of another model is no reason to refuse");
    }

    #[test]
    fn a_request_is_bound_to_the_model_it_was_checked_against() {
        let (_folder, library) = library();
        let other = ModelInfo { name: "other".to_owned(), voices: Vec::new(), ..model() };
        let catalog = catalog_of(vec![model(), other], library);
        let check = |name: Option<&str>| {
            let draft = Draft { model: name.map(str::to_owned), ..draft() };
            draft.check(&Settings::default(), &catalog)
        };
        for (wanted, expected) in
            [(None, "test"), (Some("auto"), "test"), (Some(""), "test"), (Some("Other"), "other")]
        {
            assert_eq!(check(wanted).unwrap().model.as_deref(), Some(expected), "{wanted:?}");
        }
        let refused = check(Some("choir")).unwrap_err();
        assert_eq!(refused.to_string(), "model: there is no model \"choir\"; the models are test, other");
        let (_folder, library) = self::library();
        let nothing = draft().check(&Settings::default(), &catalog_of(Vec::new(), library));
        assert!(matches!(nothing, Err(DraftError::NoModel(_))), "{nothing:?}");
    }

    #[test]
    fn a_clip_is_a_voice_for_the_models_that_can_use_it_and_the_others_say_who_can() {
        let (_folder, library) = library();
        let catalog = catalog_of(vec![model(), tone::low_info()], library);
        let add = |name: &str, seconds: f64| {
            let upload = upload(name, wav(seconds, 200.0 * seconds));
            catalog.library().add(upload, &catalog.own_voice_ids()).unwrap();
        };
        add("Emily", 2.5);
        add("Short", 1.2);
        let check = |model: &str, voice: Option<&str>, reference: Option<&str>| {
            let (voice, reference) = (voice.map(str::to_owned), reference.map(str::to_owned));
            Draft { model: Some(model.to_owned()), voice, reference, ..draft() }
                .check(&Settings::default(), &catalog)
                .map(|request| request.voice)
                .map_err(|error| error.to_string())
        };
        assert_eq!(check("tone-low", Some("emily.wav"), None).as_deref(), Ok("emily"));
        assert_eq!(check("tone-low", None, Some("Emily.mp3")).as_deref(), Ok("emily"));
        assert_eq!(check("tone-low", Some("drone"), Some("emily.wav")).as_deref(), Ok("emily"));
        assert_eq!(
            check("test", Some("Emily"), None).unwrap_err(),
            "predefined_voice_id: the voice \"emily\" cannot be used, the model test has fixed voices only; \
             for this voice, send model tone-low."
        );
        assert_eq!(
            check("test", None, Some("Emily")).unwrap_err(),
            "voice_mode \"clone\" is not possible: the model test has fixed voices only. Send voice_mode \
             \"predefined\"; for this voice, send model tone-low."
        );
        assert_eq!(
            check("tone-low", None, Some("short")).unwrap_err(),
            "reference_audio_filename: the voice \"short\" cannot be used, the model tone-low needs a clip of more \
             than 2 seconds, this one has 1.2."
        );
        assert_eq!(
            check("tone-low", None, Some("drone")).unwrap_err(),
            "reference_audio_filename: there is no voice \"drone\"; the available voices are emily, short"
        );
        assert!(check("tone-low", None, Some(" ")).unwrap_err().contains("needs reference_audio_filename"));
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
                Draft { format: Some("ogg".to_owned()), ..draft() },
                "output_format must be wav, flac, mp3, opus, aac, m4a or pcm, found \"ogg\"",
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
        let check = |text: &str| Draft { text: text.to_owned(), ..draft() }.check(&settings, &catalog());
        assert!(check("äöü").is_ok(), "characters, not bytes");
        assert_eq!(check("äöüx").unwrap_err(), DraftError::TextTooLong { field: "text", found: 4, limit: 3 });
    }

    #[test]
    fn a_language_matters_only_to_models_that_speak_several() {
        let mut several = model();
        several.languages = vec!["en".to_owned(), "de".to_owned()];
        let check = |language: &str, model: &ModelInfo| {
            let (_folder, library) = library();
            let catalog = catalog_of(vec![model.clone()], library);
            Draft { language: Some(language.to_owned()), ..draft() }.check(&Settings::default(), &catalog)
        };
        assert!(check("xx", &model()).is_ok());
        assert!(check("de", &several).is_ok());
        assert_eq!(
            check("xx", &several).unwrap_err().to_string(),
            "language must be one of en, de, found \"xx\"; leave it out for the default"
        );
    }
}
