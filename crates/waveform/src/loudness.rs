//! Loudness as people hear it: integrated LUFS by ITU-R BS.1770, computed as pyloudnorm does.
//!
//! Two filters (a shelf for the head, a high pass) weight the sound; the power of overlapping blocks of 0.4 s is averaged
//! over those above −70 LUFS and then over those within 10 LU of that average. The high pass has the numerator of the RBJ
//! cookbook where the standard has 1, −2, 1: that is pyloudnorm's, and the models were trained behind it.

use std::f64::consts::{FRAC_1_SQRT_2, PI};

use crate::levels::peak;
use crate::resample::Resampler;

/// Length of a block in seconds; one begins every quarter of it.
const BLOCK: f64 = 0.4;
const STEP: f64 = 0.25;
/// Blocks quieter than this (LUFS) never count.
const ABSOLUTE_GATE: f64 = -70.0;
/// Blocks this much (LU) below the average of the others do not count.
const RELATIVE_GATE: f64 = 10.0;

/// Integrated loudness in LUFS; −∞ for silence and for less than 0.4 s.
pub fn integrated(samples: &[f32], sample_rate: u32) -> f64 {
    let mut meter = Meter::new(sample_rate);
    meter.add(samples);
    meter.integrated()
}

/// What to multiply the sound with to bring it to `target` LUFS; `None` where it has no loudness.
pub fn gain_to(target: f64, samples: &[f32], sample_rate: u32) -> Option<f32> {
    gain_between(integrated(samples, sample_rate), target)
}

/// What brings a sound of `loudness` to `target`, both in LUFS; `None` for a sound without loudness.
pub fn gain_between(loudness: f64, target: f64) -> Option<f32> {
    let gain = 10f64.powf((target - loudness) / 20.0) as f32;
    (gain.is_finite() && gain > 0.0).then_some(gain)
}

/// Brings the sound to `target` LUFS; leaves one without loudness as it is.
pub fn normalise(samples: &mut [f32], sample_rate: u32, target: f64) {
    if let Some(gain) = gain_to(target, samples, sample_rate) {
        for sample in samples {
            *sample *= gain;
        }
    }
}

/// Measures a sound that comes piece by piece; keeps eight bytes for each tenth of a second.
#[derive(Debug)]
pub struct Meter {
    rate: f64,
    shelf: Filter,
    pass: Filter,
    taken: u64,
    /// Sums of squares of the weighted sound, one for each step.
    energies: Vec<f64>,
    /// Where the step that is being summed ends.
    step_end: u64,
    energy: f64,
}

impl Meter {
    /// For a sound of this many Hz.
    pub fn new(sample_rate: u32) -> Self {
        let rate = f64::from(sample_rate);
        let (shelf, pass) = (Filter::new(head_shelf(rate)), Filter::new(high_pass(rate)));
        let step_end = step_at(1, rate);
        Self { rate, shelf, pass, taken: 0, energies: Vec::new(), step_end, energy: 0.0 }
    }

    pub fn add(&mut self, samples: &[f32]) {
        for &sample in samples {
            // Between the filters the sound is rounded to f32: pyloudnorm writes back into the array that it was given.
            let weighted = self.pass.step(self.shelf.step(sample));
            self.energy += f64::from(weighted).powi(2);
            self.taken += 1;
            if self.taken == self.step_end {
                self.energies.push(std::mem::take(&mut self.energy));
                self.step_end = step_at(self.energies.len() as u64 + 1, self.rate);
            }
        }
    }

    /// Integrated loudness in LUFS of what was added; −∞ for silence and for less than 0.4 s.
    pub fn integrated(&self) -> f64 {
        let power = self.block_power();
        let average_above = |gate: f64| {
            let counted: Vec<f64> = power.iter().copied().filter(|&power| to_lufs(power) > gate).collect();
            to_lufs(counted.iter().sum::<f64>() / counted.len().max(1) as f64)
        };
        average_above((average_above(ABSOLUTE_GATE) - RELATIVE_GATE).max(ABSOLUTE_GATE))
    }

    /// Mean squares of the weighted blocks. The last may reach beyond the sound; it is divided by the whole length all the
    /// same.
    fn block_power(&self) -> Vec<f64> {
        let duration = self.taken as f64 / self.rate;
        if duration < BLOCK {
            return Vec::new();
        }
        let blocks = ((duration - BLOCK) / (BLOCK * STEP)).round_ties_even() as usize + 1;
        let steps = |block: usize| {
            let unfinished = (block + STEPS_PER_BLOCK > self.energies.len()).then_some(self.energy);
            self.energies.iter().skip(block).take(STEPS_PER_BLOCK).copied().chain(unfinished).sum::<f64>()
        };
        (0..blocks).map(|block| steps(block) / (BLOCK * self.rate)).collect()
    }
}

/// Blocks overlap by all steps but one.
const STEPS_PER_BLOCK: usize = (1.0 / STEP) as usize;

/// The sample at which the step of this number begins.
fn step_at(number: u64, rate: f64) -> u64 {
    (BLOCK * (number as f64 * STEP) * rate) as u64
}

fn to_lufs(power: f64) -> f64 {
    -0.691 + 10.0 * power.log10()
}

/// The largest magnitude between the samples as well as at them: four times the samples, as ITU-R BS.1770 asks for.
#[derive(Debug)]
pub struct TruePeak {
    finer: Resampler,
    block: Vec<f32>,
    peak: f32,
}

impl TruePeak {
    /// For a sound of this many Hz.
    pub fn new(sample_rate: u32) -> Self {
        Self { finer: Resampler::new(sample_rate, 4 * sample_rate), block: Vec::new(), peak: 0.0 }
    }

    pub fn add(&mut self, samples: &[f32]) {
        // Pieces bound the finer copy.
        for piece in samples.chunks(1 << 14) {
            self.finer.process(piece, &mut self.block);
            self.peak = self.peak.max(peak(&self.block));
            self.block.clear();
        }
    }

    /// As an amplitude.
    pub fn finish(mut self) -> f32 {
        self.finer.finish(&mut self.block);
        self.peak.max(peak(&self.block))
    }
}

/// A second-order filter, `a[0]` = 1.
#[derive(Clone, Copy, Debug)]
struct Biquad {
    b: [f64; 3],
    a: [f64; 3],
}

impl Biquad {
    fn normalised(b: [f64; 3], a: [f64; 3]) -> Self {
        Self { b: b.map(|value| value / a[0]), a: a.map(|value| value / a[0]) }
    }
}

/// A [`Biquad`] at work.
#[derive(Clone, Copy, Debug)]
struct Filter {
    biquad: Biquad,
    first: f64,
    second: f64,
}

impl Filter {
    fn new(biquad: Biquad) -> Self {
        Self { biquad, first: 0.0, second: 0.0 }
    }

    fn step(&mut self, sample: f32) -> f32 {
        let Biquad { b, a } = self.biquad;
        let x = f64::from(sample);
        let y = b[0] * x + self.first;
        self.first = b[1] * x - a[1] * y + self.second;
        self.second = b[2] * x - a[2] * y;
        y as f32
    }
}

/// +4 dB above 1.5 kHz: the head in the sound's way.
fn head_shelf(rate: f64) -> Biquad {
    let (gain, omega) = (10f64.powf(4.0 / 40.0), 2.0 * PI * 1_500.0 / rate);
    let (sin, cos) = omega.sin_cos();
    let slope = 2.0 * gain.sqrt() * sin / (2.0 * FRAC_1_SQRT_2);
    let (more, less) = (gain + 1.0, gain - 1.0);
    Biquad::normalised(
        [
            gain * (more + less * cos + slope),
            -2.0 * gain * (less + more * cos),
            gain * (more + less * cos - slope),
        ],
        [more - less * cos + slope, 2.0 * (less - more * cos), more - less * cos - slope],
    )
}

/// Nothing below 38 Hz.
fn high_pass(rate: f64) -> Biquad {
    let (sin, cos) = (2.0 * PI * 38.0 / rate).sin_cos();
    let alpha = sin / (2.0 * 0.5);
    Biquad::normalised(
        [f64::midpoint(1.0, cos), -(1.0 + cos), f64::midpoint(1.0, cos)],
        [1.0 + alpha, -2.0 * cos, 1.0 - alpha],
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_fixtures::{Fixture, max_abs_error};
    use crate::test_signals::sine;

    #[test]
    fn filters_blocks_loudness_and_gain_are_pyloudnorms() {
        let dsp = Fixture::open("dsp");
        let sound = dsp.floats("wav24");
        let filters = [head_shelf(24_000.0), high_pass(24_000.0)];
        let found: Vec<f64> = filters.iter().flat_map(|filter| [filter.b, filter.a].concat()).collect();
        for (found, expected) in found.iter().zip(dsp.doubles("kweight_ba")) {
            assert!((found - expected).abs() < 1e-12, "{found} {expected}");
        }
        let mut meter = Meter::new(24_000);
        for piece in sound.chunks(1_001) {
            meter.add(piece);
        }
        let blocks = meter.block_power().into_iter().map(to_lufs);
        let worst = blocks.zip(dsp.doubles("lufs_blocks")).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        println!("blocks: {worst:e}");
        assert!(worst < 1e-5, "{worst}");
        assert_eq!(meter.block_power().len(), dsp.shape("lufs_blocks")[0]);
        let loudness = integrated(&sound, 24_000);
        assert!((loudness - dsp.doubles("lufs")[0]).abs() < 1e-5, "{loudness}");
        let gain = gain_to(-27.0, &sound, 24_000).unwrap();
        assert!((f64::from(gain) - dsp.doubles("lufs_gain_to_-27")[0]).abs() < 1e-6, "{gain}");
        let mut normalised = sound;
        normalise(&mut normalised, 24_000, -27.0);
        assert!(max_abs_error(&normalised, &dsp.floats("wav24_normalised")) < 1e-6);
    }

    #[test]
    fn a_sine_of_one_kilohertz_at_full_scale_reads_about_minus_three() {
        for rate in [16_000, 24_000, 44_100, 48_000] {
            let loudness = integrated(&sine(997.0, rate, 3 * rate as usize, 1.0), rate);
            assert!((loudness + 3.01).abs() < 0.2, "{rate}: {loudness}");
        }
    }

    #[test]
    fn a_true_peak_lies_between_the_samples_where_the_wave_does() {
        // Sampled at 45° and 135° of each wave: the samples reach 0.707 of what the wave does.
        let quarter: Vec<f32> =
            (0..4_800).map(|n| 0.8 * (PI * (0.25 + 0.5 * f64::from(n % 4))).sin() as f32).collect();
        assert!((peak(&quarter) - 0.8 * 0.5f32.sqrt()).abs() < 1e-4);
        let mut meter = TruePeak::new(24_000);
        quarter.chunks(700).for_each(|piece| meter.add(piece));
        let found = meter.finish();
        assert!((0.79..0.83).contains(&found), "{found}");
    }

    #[test]
    fn pauses_do_not_make_speech_quieter() {
        let mut sound = sine(500.0, 24_000, 48_000, 0.2);
        let alone = integrated(&sound, 24_000);
        sound.extend(vec![0.0; 96_000]);
        let with_pause = integrated(&sound, 24_000);
        // Blocks on the edge count with a part of their power.
        assert!((alone - with_pause).abs() < 0.5, "{alone} {with_pause}");
    }

    #[test]
    fn silence_and_snippets_have_no_loudness_and_are_left_alone() {
        for sound in [vec![0.0; 48_000], vec![0.5; 9_599], vec![]] {
            assert!(integrated(&sound, 24_000).is_infinite());
            assert_eq!(gain_to(-27.0, &sound, 24_000), None);
            let mut same = sound.clone();
            normalise(&mut same, 24_000, -27.0);
            assert_eq!(same, sound);
        }
    }
}
