//! The vocoder in blocks: each is vocoded with some of the frames before it, so that every convolution sees what it would see
//! in the whole, and the harmonics of the source go on at the phase where the last block left them.
//!
//! Behind a block's end there are frames too, but provisional ones: the flow has not heard what follows them. So a little more
//! sound than the block is made, and the next one fades from it into its own.

use burn::tensor::{Tensor, TensorData};

use super::{FADE, Hift, fade_gains};
use crate::noise::Placed;
use crate::variant::{MEL_BINS, MEL_HOP};

/// Frames before a block that its sound depends on: the convolutions' reach, 13.5 frames, rounded up.
const REACH: usize = 14;
/// Samples over which the sound of one block becomes that of the next: 10 ms.
const CROSSFADE: usize = MEL_HOP / 2;

/// What the vocoder has seen.
#[derive(Clone, Debug, Default)]
pub struct HiftMemory {
    /// The last frames before the block, `[≤ REACH, 80]`, and their source.
    mel: Vec<f32>,
    source: Vec<f32>,
    /// Whole turns and a fraction that each harmonic has gone round by.
    turns: Vec<f64>,
    /// Frames before the block.
    frames: usize,
    /// What the last block made of this one's first samples.
    overlap: Vec<f32>,
}

impl Hift {
    /// The samples of the frames behind those of `memory`: 480 for each, but for the last `ahead`, which will come again.
    ///
    /// # Errors
    /// The device's, in its words.
    pub fn extend(
        &self,
        memory: &mut HiftMemory,
        mel: &[f32],
        ahead: usize,
        noise: &Placed,
    ) -> Result<Vec<f32>, String> {
        let before = memory.mel.len() / MEL_BINS;
        let kept = mel.len() / MEL_BINS - ahead;
        if kept == 0 {
            return Ok(Vec::new());
        }
        memory.mel.extend_from_slice(mel);
        let frames = memory.mel.len() / MEL_BINS;
        let window = TensorData::new(memory.mel.clone(), [1, frames, MEL_BINS]);
        let window = Tensor::<3>::from_data(window, &self.device).swap_dims(1, 2);

        let pitch = self.pitch(window.clone())?;
        let new =
            self.source.forward_behind(&pitch[before..], &mut memory.turns, (memory.frames, kept), noise);
        memory.source.extend(new);
        let vocoded = self.vocode(window, &memory.source)?;

        let (start, end) = (before * MEL_HOP, (before + kept) * MEL_HOP);
        let mut samples = vocoded[start..end].to_vec();
        let length = memory.overlap.len().min(samples.len());
        for (i, (sample, old)) in samples.iter_mut().zip(&memory.overlap[..length]).enumerate() {
            *sample = old + (*sample - old) * (i as f32 + 0.5) / length as f32;
        }
        memory.overlap = vocoded[end..vocoded.len().min(end + CROSSFADE)].to_vec();
        let gains = fade_gains();
        let faded = gains.iter().skip(memory.frames * MEL_HOP).take(FADE);
        for (sample, gain) in samples.iter_mut().zip(faded) {
            *sample *= gain;
        }

        memory.frames += kept;
        let old = (before + kept).saturating_sub(REACH);
        memory.mel.truncate((before + kept) * MEL_BINS);
        memory.mel.drain(..old * MEL_BINS);
        memory.source.truncate(end);
        memory.source.drain(..old * MEL_HOP);
        Ok(samples)
    }
}
