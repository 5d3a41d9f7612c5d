//! Perth, the inaudible watermark that the reference adds to all it speaks, so that others can tell it from a recording.
//!
//! Speech at 32 kHz is taken apart into a spectrogram; a network changes the levels of its lower bins a little, phases stay.
//! The networks are small and their samples are on the host: read them to the CPU, whatever device speaks.

pub mod network;

use waveform::resample::resample;
use waveform::stft::{Spectrogram, Stft};

use crate::weights::{Scope, WeightError};
use network::{BINS, Levels, MARKED, Network};

/// The rate that the networks hear.
const RATE: u32 = 32_000;
const POINTS: usize = 2048;
const HOP: usize = 320;
/// Decibels: the least level, and the span that counts as 1.
const FLOOR: f32 = 180.0;
const SPAN: f32 = 195.0;

/// Tensors of a Perth file that are computed instead of read: the windows of both transforms, and the phases of a stretch
/// that nothing uses.
pub const UNUSED: [&str; 1] = ["ap."];

/// Marks speech and finds the mark again.
#[derive(Debug)]
pub struct Watermark {
    network: Network,
    transform: Stft,
}

impl Watermark {
    /// Reads the `model` of a Perth checkpoint.
    pub fn load(scope: &Scope) -> Result<Self, WeightError> {
        Ok(Self { network: Network::load(scope)?, transform: Stft::centred(POINTS, HOP) })
    }

    /// Mono speech with the mark in it. The transform knows only whole steps of 10 ms, and what is left over at the end falls
    /// away, as in the reference; what the vocoder makes ends on a step. An error is the device's, in its words.
    pub fn mark(&self, samples: &[f32], sample_rate: u32) -> Result<Vec<f32>, String> {
        let mut spectrogram = self.transform.forward(&resample(samples, sample_rate, RATE));
        if spectrogram.frames == 0 {
            return Ok(Vec::new());
        }
        let mark = self.network.mark(&levels(&spectrogram))?;
        for (frame, mark) in spectrogram.values.chunks_exact_mut(BINS).zip(mark.chunks_exact(MARKED)) {
            for (value, mark) in frame.iter_mut().zip(mark) {
                *value *= 10_f32.powf(SPAN * mark / 20.0);
            }
        }
        Ok(resample(&self.transform.inverse(&spectrogram), RATE, sample_rate))
    }

    /// How sure the mark is in mono speech: about 1 where it is, about 0 where it is not; 0.5 is the border.
    pub fn detect(&self, samples: &[f32], sample_rate: u32) -> Result<f32, String> {
        let spectrogram = self.transform.forward(&resample(samples, sample_rate, RATE));
        Ok(self.network.detect(&levels(&spectrogram))?.clamp(0.0, 1.0))
    }
}

fn levels(spectrogram: &Spectrogram) -> Levels {
    let level = |magnitude: f32| (20.0 * magnitude.max(1e-9).log10() + FLOOR) / SPAN;
    let values = spectrogram.values.iter().map(|value| level(value.norm())).collect();
    Levels { frames: spectrogram.frames, values }
}
