//! The excitation: harmonics of the pitch with a little noise where the voice sounds, noise where it does not.

use std::f32::consts::PI;

use crate::noise::Noise;
use crate::variant::{HiftConfig, MEL_HOP};
use crate::weights::{Scope, WeightError};

/// Pitch to source signal.
#[derive(Debug)]
pub struct Source {
    /// How much of each harmonic goes into the one signal.
    mix: Vec<f32>,
    bias: f32,
    sample_rate: f32,
    amplitude: f32,
    voiced_noise: f32,
    voiced_threshold: f32,
}

impl Source {
    pub fn load(scope: &Scope, config: &HiftConfig) -> Result<Self, WeightError> {
        let harmonics = config.harmonics + 1;
        let scope = scope.at("l_linear");
        Ok(Self {
            mix: scope.values("weight", &[1, harmonics])?,
            bias: scope.values("bias", &[1])?.first().copied().unwrap_or(0.0),
            sample_rate: config.sample_rate as f32,
            amplitude: config.sine_amplitude,
            voiced_noise: config.voiced_noise,
            voiced_threshold: config.voiced_threshold,
        })
    }

    /// Hz for each frame → 480 samples a frame. Noise is drawn for the first `frames` frames; behind them is padding.
    pub fn forward(&self, pitch: &[f32], noise: &mut dyn Noise, frames: usize) -> Vec<f32> {
        let harmonics = self.mix.len();
        let samples = pitch.len() * MEL_HOP;
        let drawn = frames * MEL_HOP;
        let phases = noise.phases("sine_phase_offsets", harmonics);
        let noise = noise.normal("sine_noise", harmonics * drawn);
        let mut source = vec![self.bias; samples];
        for (harmonic, mix) in self.mix.iter().enumerate() {
            // The fundamental starts at phase 0, whatever was drawn for it.
            let phase = if harmonic == 0 { 0.0 } else { phases[harmonic] };
            let sines = self.sines(pitch, harmonic + 1, phase);
            let noise = &noise[harmonic * drawn..(harmonic + 1) * drawn];
            for (i, (out, sine)) in source.iter_mut().zip(sines).enumerate() {
                let voiced = pitch[i / MEL_HOP] > self.voiced_threshold;
                let (sine, level) =
                    if voiced { (sine, self.voiced_noise) } else { (0.0, self.amplitude / 3.0) };
                *out += mix * (sine + level * noise.get(i).copied().unwrap_or(0.0));
            }
        }
        for value in &mut source {
            *value = value.tanh();
        }
        source
    }

    /// A sine at `multiple` times the pitch. The phase adds up in f64 and is rounded to f32 before its whole turns are taken
    /// off, as the reference does: with f32 sums it would drift by a thirtieth of a turn in ten seconds.
    pub fn sines(&self, pitch: &[f32], multiple: usize, phase: f32) -> Vec<f32> {
        let mut turns = 0.0_f64;
        let mut sines = Vec::with_capacity(pitch.len() * MEL_HOP);
        for hertz in pitch {
            let step = f64::from(hertz * multiple as f32 / self.sample_rate);
            for _ in 0..MEL_HOP {
                turns += step;
                sines.push(self.amplitude * (2.0 * PI * (turns as f32 % 1.0) + phase).sin());
            }
        }
        sines
    }
}
