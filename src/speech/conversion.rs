//! A recording said again in another voice: checked like a request for speech, computed on the models' thread, written like
//! a result. Nothing is trimmed or stretched: the timing is somebody's.

use std::io::{Cursor, Seek, Write};

use waveform::decode::{self, DecodeError};
use waveform::encode::FileEncoder;
use waveform::resample::resample;

use super::SpeechRequest;
use super::assemble::encoding;
use super::catalog::Catalog;
use super::model::ConversionRequest;
use super::request::{self, Draft, DraftError};
use crate::config::Settings;

/// Why a recording is not converted.
#[derive(Debug, thiserror::Error)]
pub enum ConversionError {
    #[error(transparent)]
    Draft(#[from] DraftError),
    #[error("model: {model} cannot convert recordings{}", match able.as_slice() {
        [] => "; install one that can, such as nano: `declaim models pull nano`".to_owned(),
        able => format!("; the models that can are {}", able.join(", ")),
    })]
    Unable { model: String, able: Vec<String> },
    #[error("the recording cannot be read: {0}")]
    Recording(#[from] DecodeError),
}

/// What the caller says beside the recording; what is left out is the default.
#[derive(Clone, Debug, Default)]
pub struct Wish {
    pub model: Option<String>,
    pub voice: Option<String>,
    pub format: Option<String>,
    pub seed: Option<i64>,
}

impl Wish {
    /// The request that this is: model, voice, seed and format are those that speech would have. Its text is empty, since
    /// the recording says it.
    ///
    /// # Errors
    /// The first field that is wrong, or that the model has fixed voices.
    pub fn check(self, settings: &Settings, catalog: &Catalog) -> Result<SpeechRequest, ConversionError> {
        let model = request::model(self.model.as_deref(), catalog)?;
        if !model.converts {
            let able = catalog.all().into_iter().filter(|other| other.converts).map(|other| other.name);
            return Err(ConversionError::Unable { model: model.name, able: able.collect() });
        }
        let draft = Draft {
            text: "-".to_owned(),
            model: Some(model.name),
            voice: self.voice,
            format: self.format,
            seed: self.seed,
            ..Draft::default()
        };
        Ok(SpeechRequest { text: String::new(), ..draft.check(settings, catalog)? })
    }
}

/// What the model gets of a recording in any format that clips may have. Blocks.
///
/// # Errors
/// A file that is no sound, or longer or larger than clips may be.
pub fn heard(file: Vec<u8>, request: &SpeechRequest) -> Result<ConversionRequest, ConversionError> {
    let recording = decode::read_from(Cursor::new(file), &decode::Limits::default())?;
    Ok(ConversionRequest {
        samples: recording.resampled(ConversionRequest::SAMPLE_RATE).samples,
        voice: request.voice.clone(),
        seed: request.seed,
    })
}

/// Writes what came of it as the request asks and returns the milliseconds of audio. Blocks.
pub fn write(
    samples: &[f32],
    model_rate: u32,
    request: &SpeechRequest,
    out: impl Write + Seek,
) -> std::io::Result<u64> {
    let samples = resample(samples, model_rate, request.sample_rate);
    let mut encoder = FileEncoder::new(out, &encoding(request))?;
    encoder.write(&samples)?;
    encoder.finish()?;
    Ok(samples.len() as u64 * 1000 / u64::from(request.sample_rate.max(1)))
}
