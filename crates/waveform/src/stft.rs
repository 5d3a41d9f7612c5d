//! The short-time Fourier transform and its inverse, as torch and librosa define them.
//!
//! Frames of `length` samples under a periodic Hann window, one every `hop` samples; the sound is first reflected by
//! `padding` at both ends, so that frame `i` is centred on sample `i · hop` where the padding is half a frame. The inverse
//! overlaps and adds, divides by the summed squares of the window and takes the padding away again.

use std::f64::consts::PI;
use std::sync::Arc;

pub use realfft::num_complex::Complex32;
use realfft::{ComplexToReal, RealFftPlanner, RealToComplex};

/// Below this the summed squares of the window are nothing to divide by; torch's own bound.
const LEAST_ENVELOPE: f32 = 1e-11;

/// One transform, planned once and used for many sounds, by several threads at a time if need be.
#[derive(Clone)]
pub struct Stft {
    hop: usize,
    padding: usize,
    window: Vec<f32>,
    forward: Arc<dyn RealToComplex<f32>>,
    inverse: Arc<dyn ComplexToReal<f32>>,
}

/// Complex spectra, one row a frame.
#[derive(Clone, Debug, PartialEq)]
pub struct Spectrogram {
    pub frames: usize,
    /// `length / 2 + 1`: from 0 Hz to the Nyquist frequency.
    pub bins: usize,
    /// Row-major `[frames, bins]`.
    pub values: Vec<Complex32>,
}

impl Stft {
    /// `length` is the frame's, the window's and the FFT's alike (`n_fft` = `win_length`); `padding` samples are reflected
    /// at each end.
    ///
    /// # Panics
    /// If `length` or `hop` is 0.
    pub fn new(length: usize, hop: usize, padding: usize) -> Self {
        assert!(length > 0 && hop > 0, "an empty frame or no step");
        let mut planner = RealFftPlanner::new();
        let (forward, inverse) = (planner.plan_fft_forward(length), planner.plan_fft_inverse(length));
        Self { hop, padding, window: periodic_hann(length), forward, inverse }
    }

    /// `center=True`: frames are centred on multiples of `hop`.
    pub fn centred(length: usize, hop: usize) -> Self {
        Self::new(length, hop, length / 2)
    }

    /// How many frames a sound of that many samples has.
    pub fn frames(&self, samples: usize) -> usize {
        if samples == 0 {
            return 0;
        }
        (samples + 2 * self.padding).checked_sub(self.window.len()).map_or(0, |rest| rest / self.hop + 1)
    }

    /// Sound to spectra. A sound shorter than the padding is reflected back and forth, as numpy does.
    pub fn forward(&self, samples: &[f32]) -> Spectrogram {
        let (frames, bins) = (self.frames(samples.len()), self.window.len() / 2 + 1);
        let padded = reflected(samples, self.padding);
        let mut values = vec![Complex32::ZERO; frames * bins];
        let (mut frame, mut scratch) = (self.forward.make_input_vec(), self.forward.make_scratch_vec());
        for (index, row) in values.chunks_exact_mut(bins).enumerate() {
            let part = &padded[index * self.hop..];
            for ((value, sample), weight) in frame.iter_mut().zip(part).zip(&self.window) {
                *value = sample * weight;
            }
            let done = self.forward.process_with_scratch(&mut frame, row, &mut scratch);
            debug_assert!(done.is_ok(), "the buffers have the lengths of the plan");
        }
        Spectrogram { frames, bins, values }
    }

    /// Spectra to sound: `hop · (frames − 1) + length − 2 · padding` samples. The imaginary parts at 0 Hz and at the Nyquist
    /// frequency are ignored.
    ///
    /// # Panics
    /// If the spectra have another number of bins than this transform.
    pub fn inverse(&self, spectrogram: &Spectrogram) -> Vec<f32> {
        let length = self.window.len();
        assert_eq!(spectrogram.bins, length / 2 + 1, "spectra of another frame length");
        let whole = spectrogram.frames.checked_sub(1).map_or(0, |steps| steps * self.hop + length);
        let (mut sound, mut envelope) = (vec![0.0; whole], vec![0.0; whole]);
        let (mut row, mut scratch) = (self.inverse.make_input_vec(), self.inverse.make_scratch_vec());
        let mut frame = self.inverse.make_output_vec();
        for (index, bins) in spectrogram.values.chunks_exact(spectrogram.bins).enumerate() {
            row.copy_from_slice(bins);
            row[0].im = 0.0;
            if length.is_multiple_of(2) {
                row[length / 2].im = 0.0;
            }
            let done = self.inverse.process_with_scratch(&mut row, &mut frame, &mut scratch);
            debug_assert!(done.is_ok(), "the buffers have the lengths of the plan");
            let start = index * self.hop;
            for (offset, (sample, weight)) in frame.iter().zip(&self.window).enumerate() {
                // The FFT is not normalised: forth and back multiplies by the length.
                sound[start + offset] += sample / length as f32 * weight;
                envelope[start + offset] += weight * weight;
            }
        }
        for (sample, weight) in sound.iter_mut().zip(&envelope) {
            *sample = if *weight > LEAST_ENVELOPE { *sample / weight } else { 0.0 };
        }
        let end = whole.saturating_sub(self.padding);
        sound[self.padding.min(end)..end].to_vec()
    }
}

impl std::fmt::Debug for Stft {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (length, hop, padding) = (self.window.len(), self.hop, self.padding);
        write!(f, "Stft {{ length: {length}, hop: {hop}, padding: {padding} }}")
    }
}

impl Spectrogram {
    /// Frame by frame, each of `bins` values.
    pub fn rows(&self) -> impl Iterator<Item = &[Complex32]> {
        self.values.chunks_exact(self.bins)
    }
}

/// `scipy.signal.get_window("hann", length)`, `torch.hann_window(length)`.
fn periodic_hann(length: usize) -> Vec<f32> {
    (0..length).map(|n| (0.5 - 0.5 * (2.0 * PI * n as f64 / length as f64).cos()) as f32).collect()
}

/// The sound with `padding` samples mirrored at each end; the sample at the mirror stands once.
fn reflected(samples: &[f32], padding: usize) -> Vec<f32> {
    if samples.is_empty() {
        return Vec::new();
    }
    let last = samples.len() - 1;
    let period = (2 * last).max(1);
    // Where padding sample 0 falls in the endlessly reflected sound, brought to a non-negative place.
    let start = (period - padding % period) % period;
    (0..samples.len() + 2 * padding)
        .map(|n| {
            let place = (start + n) % period;
            samples[place.min(period - place).min(last)]
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_fixtures::{Fixture, max_abs_error};
    use crate::test_signals::noise;

    #[test]
    fn the_vocoders_transform_is_torchs() {
        let dsp = Fixture::open("dsp");
        let found = Stft::centred(16, 4).forward(&dsp.floats("hift_stft_in"));
        assert_eq!((found.frames, found.bins), (241, 9));
        assert!(max_abs_error(&periodic_hann(16), &dsp.floats("hift_window")) < 1e-7);
        // The fixture is [bins, frames].
        for (part, expected) in
            [(transposed(&found, |v| v.re), "hift_stft_re"), (transposed(&found, |v| v.im), "hift_stft_im")]
        {
            let error = max_abs_error(&part, &dsp.floats(expected));
            assert!(error < 2e-6, "{expected}: {error}");
        }
    }

    fn transposed(spectra: &Spectrogram, part: impl Fn(&Complex32) -> f32) -> Vec<f32> {
        let column = |bin| spectra.values.iter().skip(bin).step_by(spectra.bins);
        (0..spectra.bins).flat_map(|bin| column(bin).map(&part).collect::<Vec<_>>()).collect()
    }

    #[test]
    fn the_vocoders_inverse_is_torchs() {
        let dsp = Fixture::open("dsp");
        let (magnitudes, phases) = (dsp.floats("hift_istft_mag"), dsp.floats("hift_istft_phase"));
        let (frames, bins) = (241, 9);
        let at = |frame: usize, bin: usize| {
            let index = bin * frames + frame;
            Complex32::from_polar(magnitudes[index].min(100.0), phases[index])
        };
        let values = (0..frames).flat_map(|frame| (0..bins).map(move |bin| at(frame, bin))).collect();
        let found = Stft::centred(16, 4).inverse(&Spectrogram { frames, bins, values });
        let error = max_abs_error(&found, &dsp.floats("hift_istft_out"));
        assert!(error < 1e-5, "{error}");
    }

    #[test]
    fn there_and_back_is_the_same_sound() {
        for (length, hop, samples) in [(2_048, 320, 32_000), (400, 160, 4_800), (16, 4, 400), (15, 5, 300)] {
            let (transform, sound) = (Stft::centred(length, hop), noise(samples, 1.0));
            let back = transform.inverse(&transform.forward(&sound));
            let common = back.len().min(samples);
            assert!(samples - common <= hop, "{length}/{hop}: {} of {samples}", back.len());
            let error = max_abs_error(&back[..common], &sound[..common]);
            assert!(error < 3e-6, "{length}/{hop}: {error}");
        }
    }

    #[test]
    fn reflection_is_numpys_even_for_a_sound_shorter_than_the_padding() {
        assert_eq!(reflected(&[1.0, 2.0, 3.0], 2), [3.0, 2.0, 1.0, 2.0, 3.0, 2.0, 1.0]);
        assert_eq!(reflected(&[1.0, 2.0], 3), [2.0, 1.0, 2.0, 1.0, 2.0, 1.0, 2.0, 1.0]);
        assert_eq!(reflected(&[7.0], 2), [7.0; 5]);
        assert!(reflected(&[], 2).is_empty());
    }

    #[test]
    fn too_little_sound_has_no_frames() {
        let transform = Stft::new(1_920, 480, 720);
        assert_eq!(transform.forward(&[]), Spectrogram { frames: 0, bins: 961, values: vec![] });
        assert_eq!(transform.frames(479), 0);
        assert_eq!((transform.frames(480), transform.frames(72_000)), (1, 150));
        assert!(transform.inverse(&transform.forward(&[])).is_empty());
    }
}
