//! Triangular filters on the mel scale, as `librosa.filters.mel` makes them with its defaults ("slaney").
//!
//! The scale is linear up to 1 kHz and logarithmic above; every triangle has the same area. Rounding follows librosa too:
//! all in f64, but the triangles are rounded to f32 before and after they are normalised.

use super::Mel;

/// Filters from bins of a spectrum to mel bands. Each touches few bins, so only those are kept.
#[derive(Clone, Debug)]
pub(super) struct Filterbank {
    bins: usize,
    filters: Vec<Filter>,
}

#[derive(Clone, Debug)]
struct Filter {
    first_bin: usize,
    weights: Vec<f32>,
}

impl Filterbank {
    /// `bands` filters between 0 Hz and `highest` Hz over the `fft_length / 2 + 1` bins of a spectrum.
    pub(super) fn slaney(sample_rate: u32, fft_length: usize, bands: usize, highest: f64) -> Self {
        let bins = fft_length / 2 + 1;
        let step = to_mel(highest) / (bands + 1) as f64;
        let corners: Vec<f64> = (0..bands + 2).map(|band| to_hertz(band as f64 * step)).collect();
        let bin_width = f64::from(sample_rate) / fft_length as f64;
        let triangle = |corners: &[f64]| {
            let (low, middle, high) = (corners[0], corners[1], corners[2]);
            let area = 2.0 / (high - low);
            let weights = (0..bins).map(|bin| {
                let hertz = bin as f64 * bin_width;
                let height = ((hertz - low) / (middle - low)).min((high - hertz) / (high - middle)).max(0.0);
                (f64::from(height as f32) * area) as f32
            });
            Filter::without_zeros(&weights.collect::<Vec<f32>>())
        };
        Self { bins, filters: corners.windows(3).map(triangle).collect() }
    }

    /// `spectra` row-major `[frames, fft_length / 2 + 1]` to `[frames, bands]`.
    pub(super) fn apply(&self, spectra: &[f32]) -> Mel {
        let values: Vec<f32> = spectra
            .chunks_exact(self.bins)
            .flat_map(|row| self.filters.iter().map(|filter| filter.apply(row)))
            .collect();
        let bins = self.filters.len();
        Mel { frames: values.len() / bins, bins, values }
    }
}

impl Filter {
    fn without_zeros(weights: &[f32]) -> Self {
        let first_bin = weights.iter().take_while(|weight| **weight == 0.0).count();
        let width = weights[first_bin..].iter().take_while(|weight| **weight != 0.0).count();
        Self { first_bin, weights: weights[first_bin..first_bin + width].to_vec() }
    }

    /// Summed in f64: the reference's order of summation is its BLAS's own, and this is nearest to all of them.
    fn apply(&self, row: &[f32]) -> f32 {
        let touched = &row[self.first_bin..];
        self.weights.iter().zip(touched).map(|(&w, &x)| f64::from(w) * f64::from(x)).sum::<f64>() as f32
    }
}

/// Mels per hertz below 1 kHz are 3 / 200; above, 27 steps are a factor of 6.4.
const HERTZ_PER_MEL: f64 = 200.0 / 3.0;
const KNEE_HERTZ: f64 = 1_000.0;
const KNEE_MEL: f64 = KNEE_HERTZ / HERTZ_PER_MEL;

fn log_step() -> f64 {
    6.4f64.ln() / 27.0
}

fn to_mel(hertz: f64) -> f64 {
    if hertz >= KNEE_HERTZ {
        KNEE_MEL + (hertz / KNEE_HERTZ).ln() / log_step()
    } else {
        hertz / HERTZ_PER_MEL
    }
}

fn to_hertz(mel: f64) -> f64 {
    if mel >= KNEE_MEL { KNEE_HERTZ * (log_step() * (mel - KNEE_MEL)).exp() } else { mel * HERTZ_PER_MEL }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_fixtures::{Fixture, max_abs_error};

    #[test]
    fn the_filters_are_librosas() {
        let dsp = Fixture::open("dsp");
        for (tensor, sample_rate, fft_length) in [
            ("mel24_filters", 24_000, 1_920),
            ("s3_mel_filters", 16_000, 400),
            ("ve_mel_filters", 16_000, 400),
        ] {
            let shape = dsp.shape(tensor);
            let filterbank = Filterbank::slaney(sample_rate, fft_length, shape[0], 8_000.0);
            let dense: Vec<f32> =
                filterbank.filters.iter().flat_map(|filter| dense(filter, shape[1])).collect();
            let error = max_abs_error(&dense, &dsp.floats(tensor));
            println!("{tensor}: {error:e}");
            // The largest weight is 0.04: this is its last bit or two.
            assert!(error < 5e-9, "{tensor}: {error}");
        }
    }

    fn dense(filter: &Filter, bins: usize) -> Vec<f32> {
        let mut row = vec![0.0; bins];
        row[filter.first_bin..][..filter.weights.len()].copy_from_slice(&filter.weights);
        row
    }

    #[test]
    fn the_scale_turns_back() {
        for hertz in [0.0, 440.0, 999.0, 1_000.0, 1_001.0, 8_000.0] {
            assert!((to_hertz(to_mel(hertz)) - hertz).abs() < 1e-9, "{hertz}");
        }
        assert!((to_mel(6_400.0) - 42.0).abs() < 1e-9);
    }
}
