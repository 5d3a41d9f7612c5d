//! The excitation: harmonics of the pitch with a little noise where the voice sounds, noise where it does not.

use std::f32::consts::PI;

use crate::noise::{Noise, Placed};
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

    pub fn harmonics(&self) -> usize {
        self.mix.len()
    }

    /// Hz for each frame → 480 samples a frame. Noise is drawn for the first `frames` frames; behind them is padding.
    pub fn forward(&self, pitch: &[f32], noise: &mut dyn Noise, frames: usize) -> Vec<f32> {
        let harmonics = self.mix.len();
        let samples = pitch.len() * MEL_HOP;
        let drawn = frames * MEL_HOP;
        let phases = noise.phases("sine_phase_offsets", harmonics);
        let noise = noise.normal("sine_noise", harmonics * drawn);
        let mut source = vec![self.bias; samples];
        for (harmonic, phase) in phases.iter().enumerate() {
            let noise = &noise[harmonic * drawn..(harmonic + 1) * drawn];
            self.add(&mut source, pitch, harmonic, (&mut 0.0, *phase), noise);
        }
        finish(&mut source);
        source
    }

    /// The source of frames behind others: `turns` are what each harmonic has gone round by, and are brought forward by the
    /// first `kept` frames.
    pub(super) fn forward_behind(
        &self,
        pitch: &[f32],
        turns: &mut Vec<f64>,
        (first, kept): (usize, usize),
        noise: &Placed,
    ) -> Vec<f32> {
        turns.resize(self.mix.len(), 0.0);
        let mut source = vec![self.bias; pitch.len() * MEL_HOP];
        for (harmonic, (turns, phase)) in turns.iter_mut().zip(noise.sine_phases()).enumerate() {
            let noise = noise.sine(harmonic, first..first + pitch.len());
            let (old, new) = pitch.split_at(kept);
            let (old_source, new_source) = source.split_at_mut(kept * MEL_HOP);
            let (old_noise, new_noise) = noise.split_at(kept * MEL_HOP);
            self.add(old_source, old, harmonic, (turns, phase), old_noise);
            self.add(new_source, new, harmonic, (&mut turns.clone(), phase), new_noise);
        }
        finish(&mut source);
        source
    }

    /// Adds one harmonic to `source`, 480 samples for each frame of `pitch`.
    fn add(
        &self,
        source: &mut [f32],
        pitch: &[f32],
        harmonic: usize,
        (turns, phase): (&mut f64, f32),
        noise: &[f32],
    ) {
        // The fundamental starts at phase 0, whatever was drawn for it.
        let phase = if harmonic == 0 { 0.0 } else { phase };
        let sines = self.sines(pitch, harmonic + 1, phase, turns);
        for (i, (out, sine)) in source.iter_mut().zip(sines).enumerate() {
            let voiced = pitch[i / MEL_HOP] > self.voiced_threshold;
            let (sine, level) = if voiced { (sine, self.voiced_noise) } else { (0.0, self.amplitude / 3.0) };
            *out += self.mix[harmonic] * (sine + level * noise.get(i).copied().unwrap_or(0.0));
        }
    }

    /// A sine at `multiple` times the pitch. The phase adds up in f64 and is rounded to f32 before its whole turns are taken
    /// off, as the reference does: with f32 sums it would drift by a thirtieth of a turn in ten seconds. It goes on from
    /// `turns`, and is left there.
    pub fn sines(&self, pitch: &[f32], multiple: usize, phase: f32, turns: &mut f64) -> Vec<f32> {
        let mut sines = Vec::with_capacity(pitch.len() * MEL_HOP);
        for hertz in pitch {
            let step = f64::from(hertz * multiple as f32 / self.sample_rate);
            for _ in 0..MEL_HOP {
                *turns += step;
                sines.push(self.amplitude * (2.0 * PI * (*turns as f32 % 1.0) + phase).sin());
            }
        }
        sines
    }
}

/// What the network that mixes the harmonics does at its end.
fn finish(source: &mut [f32]) {
    for value in source {
        *value = value.tanh();
    }
}
