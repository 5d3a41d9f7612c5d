//! Band-limited change of the sample rate: a polyphase windowed sinc, streaming, without delay.
//!
//! Rates are whole numbers, so the filter has finitely many phases and every output sample is one dot product with exact
//! coefficients; no FFT block size leaks into the interface. Only rates with more than 1,024 phases (44,101 Hz to 24 kHz)
//! interpolate between two of them. (J. O. Smith, "Digital Audio Resampling".)
//!
//! The filter's bands are those of soxr's "HQ", which the reference resamples with: flat to 91.4 % of the lower Nyquist
//! frequency, nothing from there on, 126 dB of attenuation (20 bits and one).

mod sinc_hann;

use std::f64::consts::PI;

use crate::dot::dot;

pub use sinc_hann::sinc_hann_24k_to_16k;

/// Stop band attenuation in decibels.
const ATTENUATION: f64 = 126.4;
/// Where the pass band ends and the stop band begins, as shares of the lower Nyquist frequency.
const PASS: f64 = 0.9136;
const STOP: f64 = 1.0;
/// More phases than this are interpolated linearly, which at this spacing is as exact as the stop band is deep.
const MOST_PHASES: u64 = 1_024;

/// A resampler that is fed piece by piece. After [`Resampler::finish`] exactly `ceil(n · to / from)` samples came out for
/// `n` that went in, and output sample 0 stands where input sample 0 stood.
#[derive(Debug)]
pub struct Resampler {
    /// `to / from` in lowest terms.
    up: u64,
    down: u64,
    /// Samples on each side of the output's place in the input.
    half: usize,
    /// The phases that there are coefficients for: `up` of them, or fewer to interpolate between.
    phases: u64,
    /// One row of `2 · half` coefficients per phase, and one more for the next sample's phase 0 where phases are
    /// interpolated: `[phases + 1, 2 · half]`.
    coefficients: Vec<f32>,
    /// Input still needed, beginning with input sample `next_start`, which may lie before the first (zeros).
    pending: Vec<f32>,
    taken_in: u64,
    given_out: u64,
    /// Index in the input, plus `half − 1`, of `pending[0]`: the zeros in front make it non-negative.
    pending_start: u64,
}

impl Resampler {
    /// # Panics
    /// If a rate is 0.
    pub fn new(from: u32, to: u32) -> Self {
        assert!(from > 0 && to > 0, "a sample rate of 0 Hz");
        let divisor = u64::from(greatest_common_divisor(from, to));
        let (up, down) = (u64::from(to) / divisor, u64::from(from) / divisor);
        let same = Self {
            up,
            down,
            half: 0,
            phases: 1,
            coefficients: Vec::new(),
            pending: Vec::new(),
            taken_in: 0,
            given_out: 0,
            pending_start: 0,
        };
        if up == down {
            return same;
        }
        let shrink = (up as f64 / down as f64).min(1.0);
        let cut_off = f64::midpoint(PASS, STOP) * shrink;
        let half = kaiser_half_length((STOP - PASS) * shrink).ceil() as usize;
        let phases = up.min(MOST_PHASES);
        let mut coefficients = Vec::with_capacity((phases as usize + 1) * 2 * half);
        for phase in 0..=phases {
            let offset = phase as f64 / phases as f64;
            let row: Vec<f64> = (0..2 * half)
                .map(|tap| {
                    // Distance in input samples between this tap and the output's place.
                    let distance = tap as f64 - (half as f64 - 1.0) - offset;
                    sinc(cut_off * distance) * kaiser(distance / half as f64)
                })
                .collect();
            // Every phase passes 0 Hz with gain 1; otherwise a constant would ripple at the phase rate.
            let sum: f64 = row.iter().sum();
            coefficients.extend(row.iter().map(|tap| (tap / sum) as f32));
        }
        Self { half, phases, coefficients, pending: vec![0.0; half - 1], ..same }
    }

    /// Takes `input` and appends to `output` all samples that can be computed by now.
    pub fn process(&mut self, input: &[f32], output: &mut Vec<f32>) {
        self.taken_in += input.len() as u64;
        if self.half == 0 {
            self.given_out += input.len() as u64;
            output.extend_from_slice(input);
            return;
        }
        self.pending.extend_from_slice(input);
        self.drain(u64::MAX, output);
    }

    /// Appends the rest and makes the resampler new again.
    pub fn finish(&mut self, output: &mut Vec<f32>) {
        let total = (self.taken_in * self.up).div_ceil(self.down);
        if self.half > 0 {
            self.pending.resize(self.pending.len() + self.half, 0.0);
            self.drain(total, output);
            self.pending.clear();
            self.pending.resize(self.half - 1, 0.0);
        }
        (self.taken_in, self.given_out, self.pending_start) = (0, 0, 0);
    }

    fn drain(&mut self, limit: u64, output: &mut Vec<f32>) {
        let width = 2 * self.half;
        while self.given_out < limit {
            let place = self.given_out * self.down;
            // The window begins `half − 1` before the place, where `pending_start` counts from.
            let start = (place / self.up - self.pending_start) as usize;
            let Some(window) = self.pending.get(start..start + width) else { break };
            output.push(self.filtered(window, place % self.up));
            self.given_out += 1;
        }
        let next = (self.given_out * self.down / self.up - self.pending_start) as usize;
        let used = next.min(self.pending.len());
        self.pending.drain(..used);
        self.pending_start += used as u64;
    }

    /// The output sample at `place / up` input samples behind the window's middle.
    fn filtered(&self, window: &[f32], place: u64) -> f32 {
        let row = |phase: u64| {
            let start = phase as usize * window.len();
            dot(window, &self.coefficients[start..start + window.len()])
        };
        let (phase, rest) = (place * self.phases / self.up, place * self.phases % self.up);
        let here = row(phase);
        if rest == 0 { here } else { here + (row(phase + 1) - here) * (rest as f32 / self.up as f32) }
    }
}

/// [`Resampler`] for a sound that is in memory as a whole: `ceil(samples · to / from)` samples.
///
/// # Panics
/// If a rate is 0.
pub fn resample(samples: &[f32], from: u32, to: u32) -> Vec<f32> {
    let mut resampler = Resampler::new(from, to);
    let mut output = Vec::with_capacity(samples.len() * to as usize / from as usize + 1);
    resampler.process(samples, &mut output);
    resampler.finish(&mut output);
    output
}

fn sinc(x: f64) -> f64 {
    if x.abs() < 1e-9 { 1.0 } else { (PI * x).sin() / (PI * x) }
}

/// Half the length, in samples, of a Kaiser-windowed filter whose transition is `width` of the Nyquist frequency wide.
fn kaiser_half_length(width: f64) -> f64 {
    (ATTENUATION - 7.95) / (2.285 * PI * width) / 2.0
}

/// The Kaiser window at `x` in −1..1; 0 outside.
fn kaiser(x: f64) -> f64 {
    let beta = 0.1102 * (ATTENUATION - 8.7);
    if x.abs() > 1.0 { 0.0 } else { bessel_i0(beta * (1.0 - x * x).sqrt()) / bessel_i0(beta) }
}

/// Modified Bessel function of the first kind and order 0, by its power series.
fn bessel_i0(x: f64) -> f64 {
    let (mut sum, mut term, mut k) = (1.0, 1.0, 1.0);
    while term > sum * 1e-17 {
        term *= (x / 2.0 / k).powi(2);
        sum += term;
        k += 1.0;
    }
    sum
}

fn greatest_common_divisor(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::test_fixtures::{Fixture, max_abs_error};
    use crate::test_signals::{noise, sine, tone_to_noise_decibels};

    const PAIRS: [(u32, u32); 9] = [
        (24_000, 48_000),
        (24_000, 44_100),
        (24_000, 16_000),
        (24_000, 8_000),
        (44_100, 24_000),
        (48_000, 16_000),
        (8_000, 48_000),
        (24_000, 22_050),
        (44_101, 24_000),
    ];

    #[test]
    fn tones_keep_frequency_phase_and_more_than_ninety_decibels_of_purity() {
        for (from, to) in PAIRS {
            let nyquist = f64::from(from.min(to)) / 2.0;
            for share in [0.05, 0.3, 0.6, 0.85] {
                let hertz = nyquist * share;
                let output = resample(&sine(hertz, from, from as usize / 2, 0.5), from, to);
                let expected = sine(hertz, to, output.len(), 0.5);
                // The sound begins and ends abruptly, so the filter's length is left out at each end.
                let edge = output.len() / 5;
                let middle = edge..output.len() - edge;
                let error: Vec<f32> = output[middle.clone()]
                    .iter()
                    .zip(&expected[middle.clone()])
                    .map(|(a, b)| a - b)
                    .collect();
                let against_truth =
                    20.0 * f64::from(0.5f32 / 2f32.sqrt() / crate::levels::rms(&error)).log10();
                let purity = tone_to_noise_decibels(&output[middle], hertz, to);
                assert!(purity > 90.0, "{from} → {to}, {hertz} Hz: {purity:.1} dB");
                assert!(
                    against_truth > 80.0,
                    "{from} → {to}, {hertz} Hz: {against_truth:.1} dB off in phase or level"
                );
            }
        }
    }

    #[test]
    fn what_the_new_rate_cannot_carry_is_removed() {
        for (from, to) in PAIRS.into_iter().filter(|(from, to)| to < from) {
            let (nyquist_in, nyquist_out) = (f64::from(from) / 2.0, f64::from(to) / 2.0);
            for share in [0.02, 0.3, 0.9] {
                let hertz = nyquist_out + (nyquist_in - nyquist_out) * share;
                let output = resample(&sine(hertz, from, from as usize, 1.0), from, to);
                let edge = output.len() / 5;
                let left = crate::levels::to_decibels(crate::levels::rms(&output[edge..output.len() - edge]));
                assert!(left < -90.0, "{from} → {to}: {hertz} Hz came through with {left:.1} dB");
            }
        }
    }

    #[test]
    fn the_sound_is_soxrs() {
        let dsp = Fixture::open("dsp");
        let sound = dsp.floats("wav24");
        for (from, to, tensor, samples) in [
            (24_000, 16_000, "wav16_soxr", 72_000),
            (48_000, 24_000, "soxr_48000_24000", 24_000),
            (44_100, 24_000, "soxr_44100_24000", 24_000),
            (22_050, 24_000, "soxr_22050_24000", 24_000),
            (24_000, 32_000, "soxr_24000_32000", 24_000),
            (32_000, 24_000, "soxr_32000_24000", 24_000),
        ] {
            let (mut found, mut expected) = (resample(&sound[..samples], from, to), dsp.floats(tensor));
            assert_eq!(found.len(), expected.len(), "{tensor}");
            // soxr rounds lengths to nearest; librosa rounds up and fills the place with a zero.
            if (samples as f64 * f64::from(to) / f64::from(from)).fract() < 0.5
                && expected.pop_if(|s| *s == 0.0).is_some()
            {
                found.pop();
            }
            let error = max_abs_error(&found, &expected);
            println!("{tensor}: {error:e}");
            assert!(error < 1e-4, "{tensor}: {error}");
        }
    }

    #[test]
    #[ignore = "prints a time"]
    fn how_long_a_minute_takes() {
        for (from, to) in [(44_100, 24_000), (24_000, 16_000), (24_000, 32_000), (44_101, 24_000)] {
            let sound = noise(60 * from as usize, 0.5);
            let start = std::time::Instant::now();
            let output = resample(&sound, from, to);
            println!("{from} → {to}: 60 s in {:.3} s, {}", start.elapsed().as_secs_f64(), output.len());
        }
    }

    #[test]
    fn a_constant_stays_constant() {
        let output = resample(&vec![0.5; 24_000], 24_000, 44_100);
        assert!(output[1_000..43_000].iter().all(|s| (s - 0.5).abs() < 1e-6));
    }

    #[test]
    fn there_is_no_delay() {
        let mut click = vec![0.0; 2_400];
        click[1_200] = 1.0;
        for to in [8_000, 16_000, 44_100, 48_000] {
            let output = resample(&click, 24_000, to);
            let loudest = output.iter().enumerate().max_by(|a, b| a.1.abs().total_cmp(&b.1.abs())).unwrap().0;
            assert_eq!(loudest, 1_200 * to as usize / 24_000, "{to}");
        }
    }

    #[test]
    fn the_same_rate_is_the_same_sound() {
        let samples = noise(1_000, 1.0);
        assert_eq!(resample(&samples, 24_000, 24_000), samples);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn the_length_is_exact_for_any_rates(length in 0usize..3_000, from in 80u32..=480, to in 80u32..=480) {
            let (from, to) = (from * 100, to * 100);
            let expected = (length as u64 * u64::from(to)).div_ceil(u64::from(from));
            prop_assert_eq!(resample(&noise(length, 1.0), from, to).len() as u64, expected);
        }

        #[test]
        fn feeding_piece_by_piece_changes_nothing(cuts in proptest::collection::vec(0usize..400, 0..12)) {
            let samples = noise(2_000, 1.0);
            let mut resampler = Resampler::new(24_000, 22_050);
            for _ in 0..2 {
                let (mut pieces, mut rest) = (Vec::new(), &samples[..]);
                for &cut in &cuts {
                    let (head, tail) = rest.split_at(cut.min(rest.len()));
                    resampler.process(head, &mut pieces);
                    rest = tail;
                }
                resampler.process(rest, &mut pieces);
                resampler.finish(&mut pieces);
                prop_assert!(pieces == resample(&samples, 24_000, 22_050));
            }
        }
    }
}
