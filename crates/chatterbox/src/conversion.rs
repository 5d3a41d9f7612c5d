//! Voice conversion: what somebody said, said by another voice. The tokenizer hears the words, S3Gen speaks them; T3 has no
//! part in it.

use std::ops::ControlFlow;

use waveform::mel::s3_log_mel;

use crate::noise::Noise;
use crate::pipeline::Step;
use crate::reference_clip::NETWORK_RATE;
use crate::s3gen::{Reference, S3Gen};
use crate::s3tokenizer::S3Tokenizer;

/// Samples at 16 kHz that are converted as a whole: a minute.
const WHOLE: usize = 60 * RATE;
/// A longer recording is cut at its quietest place in the last third of a minute, at a multiple of what a token lasts.
const SEARCHED: usize = 20 * RATE;
const RATE: usize = NETWORK_RATE as usize;
const TOKEN: usize = RATE / 25;

/// The parts of a recording (mono, 16 kHz) that are converted one by one, so that memory stays bounded: all of it, if it is
/// no longer than a minute. Each but the last is a whole number of tokens, so joining what becomes of them keeps the time.
pub fn pieces(source: &[f32]) -> Vec<&[f32]> {
    let (mut pieces, mut rest) = (Vec::new(), source);
    while rest.len() > WHOLE {
        let loudness = |token: &[f32]| token.iter().map(|sample| sample * sample).sum::<f32>();
        let searched = rest[WHOLE - SEARCHED..WHOLE].chunks_exact(TOKEN).map(loudness);
        let quietest = searched.enumerate().min_by(|(_, a), (_, b)| a.total_cmp(b));
        let cut = WHOLE - SEARCHED + quietest.map_or(0, |(token, _)| token * TOKEN);
        let (piece, after) = rest.split_at(cut);
        pieces.push(piece);
        rest = after;
    }
    pieces.push(rest);
    pieces
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_recording_is_cut_where_it_is_quiet_and_nothing_is_lost() {
        let mut long = vec![0.5; 130 * RATE];
        // A pause at 50 s; after it the next place to cut is anywhere.
        long[50 * RATE..][..2 * TOKEN].fill(0.0);
        let pieces = pieces(&long);
        assert_eq!(pieces.iter().map(|piece| piece.len()).sum::<usize>(), long.len());
        assert_eq!(pieces[0].len(), 50 * RATE);
        assert!(pieces.iter().all(|piece| piece.len() <= WHOLE));
        let (_, whole) = pieces.split_last().unwrap();
        assert!(whole.iter().all(|piece| piece.len().is_multiple_of(TOKEN)));
    }

    #[test]
    fn up_to_a_minute_a_recording_stays_whole() {
        for length in [0, 1, WHOLE] {
            let recording = vec![0.1; length];
            assert_eq!(pieces(&recording), [&recording[..]]);
        }
        assert_eq!(pieces(&vec![0.1; WHOLE + 1]).len(), 2);
    }
}
