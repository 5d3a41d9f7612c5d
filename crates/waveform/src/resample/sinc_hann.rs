//! torchaudio's `Resample(24000, 16000)`, tap for tap.
//!
//! Shorter than the resampler of this crate and with an audible edge to trained ears, but the speaker network and the
//! flow's prompt tokens were made from what it lets through. (`sinc_interp_hann`: 6 zero crossings, roll-off 0.99.)

use std::f64::consts::PI;

use crate::dot::dot;

/// 24 kHz to 16 kHz in lowest terms.
const DOWN: usize = 3;
const UP: usize = 2;
/// Twice the cut-off in cycles per sample of the lower rate, times that rate in lowest terms.
const BANDWIDTH: f64 = 0.99 * UP as f64;
const ZERO_CROSSINGS: f64 = 6.0;
/// Samples before the output's place: `ceil(6 · 3 / 1.98)`.
const BEFORE: usize = 10;
const TAPS: usize = 2 * BEFORE + DOWN;

/// 24 kHz sound to `ceil(samples · 2 / 3)` samples at 16 kHz.
pub fn sinc_hann_24k_to_16k(samples: &[f32]) -> Vec<f32> {
    let kernels = [kernel(0), kernel(1)];
    let mut padded = vec![0.0; BEFORE];
    padded.extend_from_slice(samples);
    padded.resize(BEFORE + samples.len() + BEFORE + DOWN, 0.0);
    let windows = padded.windows(TAPS).step_by(DOWN);
    let outputs = windows.flat_map(|window| kernels.iter().map(|kernel| dot(window, kernel)));
    outputs.take((samples.len() * UP).div_ceil(DOWN)).collect()
}

/// The filter for one of the two phases.
fn kernel(phase: usize) -> [f32; TAPS] {
    std::array::from_fn(|tap| {
        let place = (tap as f64 - BEFORE as f64) / DOWN as f64 - phase as f64 / UP as f64;
        let t = (place * BANDWIDTH).clamp(-ZERO_CROSSINGS, ZERO_CROSSINGS);
        let window = (t * PI / ZERO_CROSSINGS / 2.0).cos().powi(2);
        (super::sinc(t) * window * BANDWIDTH / DOWN as f64) as f32
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_fixtures::{Fixture, max_abs_error};

    #[test]
    fn kernel_and_sound_are_torchaudios() {
        let dsp = Fixture::open("dsp");
        let kernels = [kernel(0), kernel(1)].concat();
        let error = max_abs_error(&kernels, &dsp.floats("torchaudio_kernel_24_16"));
        assert!(error < 1e-7, "{error}");
        let error =
            max_abs_error(&sinc_hann_24k_to_16k(&dsp.floats("wav24")), &dsp.floats("wav16_torchaudio"));
        println!("sound: {error:e}");
        assert!(error < 1e-6, "{error}");
    }

    #[test]
    fn the_length_is_two_thirds_rounded_up() {
        for samples in [0, 1, 2, 3, 100, 24_000] {
            assert_eq!(sinc_hann_24k_to_16k(&vec![0.1; samples]).len(), (2 * samples).div_ceil(3));
        }
    }
}
