//! Voice conversion: what somebody said, said by another voice. The tokenizer hears the words, S3Gen speaks them; T3 has no
//! part in it.

use std::ops::ControlFlow;

use waveform::mel::s3_log_mel;

use crate::noise::Noise;
use crate::pipeline::Step;
use crate::s3gen::{Reference, S3Gen};
use crate::s3tokenizer::S3Tokenizer;

/// Why nothing was converted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConversionError {
    #[error("the recording is too short to hold speech")]
    NothingToConvert,
    #[error("cancelled")]
    Cancelled,
    #[error("the device did not return the result: {0}")]
    Device(String),
}

/// Says `source` (mono, 16 kHz) again in the voice of `target`: 24 kHz, 960 samples for every 40 ms begun.
///
/// The recording is converted as a whole, so memory grows with the square of its length; the caller bounds it. Unlike in
/// synthesis no token is dropped and no silence appended: the tokens are somebody's timing. `observe` is called before each
/// stage; breaking gives [`ConversionError::Cancelled`].
pub fn convert(
    source: &[f32],
    tokenizer: &S3Tokenizer,
    s3gen: &S3Gen,
    target: &Reference,
    noise: &mut dyn Noise,
    observe: &mut dyn FnMut(Step) -> ControlFlow<()>,
) -> Result<Vec<f32>, ConversionError> {
    let mut ask = |step| if observe(step).is_break() { Err(ConversionError::Cancelled) } else { Ok(()) };
    let tokens = tokenizer.tokens(&s3_log_mel(source).values).map_err(ConversionError::Device)?;
    if tokens.is_empty() {
        return Err(ConversionError::NothingToConvert);
    }
    ask(Step::Mel)?;
    let mel = s3gen.mel(&tokens, target, noise);
    ask(Step::Samples)?;
    s3gen.wave(mel, noise).map_err(ConversionError::Device)
}
