//! Which voice of which model a request means: one of the model's own, a clip of the library, and those that a script names.

use std::collections::BTreeMap;

use super::DraftError;
use crate::config::Settings;
use crate::speech::catalog::Catalog;
use crate::speech::model::ModelInfo;
use crate::speech::script::{self, ScriptError};
use crate::voices::{self, Clip, UnknownVoice};

/// Voices that one text may name.
const MOST_VOICES: usize = 64;

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

pub(super) fn wanted_voice(
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
pub(super) fn script_voices(
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

pub(super) fn wanted_clip(wanted: &str, model: &ModelInfo, catalog: &Catalog) -> Result<String, DraftError> {
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
