//! `pico`, the model inside the program.

use std::sync::Arc;

use chatterbox::device::Choice;
use chatterbox::pico;
use chatterbox::pipeline::{Chatterbox, LoadError};
use chatterbox::watermark::Watermark;

use super::marking::Marking;
use super::spoken::Spoken;
use super::wishes::parameters;
use super::{Offer, Placement, in_one_line, not_loaded, start};
use crate::speech::model::{ModelError, ModelInfo, SpeechModel, VoiceInfo, VoiceKind};

/// Its voices are synthesisers', which nobody could take for a person.
const MARKED_BY_MAKER: bool = false;

/// `None` only if the program was built from broken files, which the log then says.
pub(super) fn offer(device: &Placement, marking: &Marking) -> Option<Offer> {
    let (device, marking) = (device.clone(), marking.clone());
    match pico_info(&marking) {
        Ok(info) => {
            let fallback = device.fallback();
            let load_on = move |device: &Placement| -> Result<Box<dyn SpeechModel>, ModelError> {
                let spoken = load(&start(device)?, marking.load(MARKED_BY_MAKER)?)?;
                Ok(Box::new(spoken.with_chunks_together(device.chunks_together)))
            };
            let again = load_on.clone();
            let offer = Offer::new(info, move || load_on(&device));
            Some(match fallback {
                Some(cpu) => offer.with_fallback(move || again(&cpu)),
                None => offer,
            })
        }
        Err(error) => {
            tracing::error!(error = in_one_line(&error), "the embedded model cannot be described");
            None
        }
    }
}

/// Describes the embedded model from its configuration alone.
fn pico_info(marking: &Marking) -> Result<ModelInfo, LoadError> {
    let named = pico::voices()?;
    let sampling = pico::config()?.sampling;
    Ok(ModelInfo {
        name: "pico".to_owned(),
        class_name: "ChatterboxPico".to_owned(),
        sample_rate: chatterbox::variant::SAMPLE_RATE,
        max_chunk_chars: sampling.max_prompt_chars,
        default_voice: named.first().map(|voice| voice.id.to_owned()).unwrap_or_default(),
        voices: named
            .into_iter()
            .map(|voice| VoiceInfo {
                id: voice.id.to_owned(),
                name: voice.about.name,
                kind: VoiceKind::BuiltIn,
                gender: Some(voice.about.gender),
                language: "en".to_owned(),
                origin: format!("embedded; taught by CMU Flite's {}", voice.about.teacher),
            })
            .collect(),
        languages: vec!["en".to_owned()],
        paralinguistic_tags: Vec::new(),
        parameters: parameters(&sampling),
        cloning: None,
        converts: false,
        watermarked: marking.applies(MARKED_BY_MAKER),
        memory_bytes: pico::LOADED_BYTES,
    })
}

pub(super) fn load(choice: &Choice, watermark: Option<Arc<Watermark>>) -> Result<Spoken, ModelError> {
    let checkpoint = pico::checkpoint(&choice.device).map_err(not_loaded)?;
    let model = Chatterbox::load(checkpoint, choice).map_err(not_loaded)?;
    let named = pico::voices().map_err(not_loaded)?;
    let voices = named.into_iter().map(|voice| (voice.id.to_owned(), voice.voice)).collect();
    Spoken::new(model, voices, None, watermark, pico::LOADED_BYTES, choice)
}
