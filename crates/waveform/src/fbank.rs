//! Kaldi's filterbank features, which the speaker network CAMPPlus hears: `torchaudio.compliance.kaldi.fbank` with 80 bins
//! and its defaults, without dither.
//!
//! Frames of 25 ms every 10 ms that lie wholly inside the sound, each freed of its mean, pre-emphasised and weighted by
//! Povey's window. The waveform stays in −1..1, unlike Kaldi's own ±32768. Filters are computed in f32 in torch's order.

use std::f64::consts::PI;

use realfft::RealFftPlanner;

use crate::mel::Mel;

const FRAME: usize = 400;
const HOP: usize = 160;
const FFT: usize = 512;
const BINS: usize = 80;
/// Hz; the highest is the Nyquist frequency.
const LOWEST: f64 = 20.0;
const HIGHEST: f64 = 8_000.0;
const PRE_EMPHASIS: f32 = 0.97;

/// 16 kHz sound to `1 + (samples − 400) / 160` frames of 80 log energies; none for less than 25 ms.
pub fn kaldi(samples: &[f32]) -> Mel {
    let frames = samples.len().checked_sub(FRAME).map_or(0, |rest| rest / HOP + 1);
    let (window, filters) = (povey_window(), filters());
    let forward = RealFftPlanner::<f32>::new().plan_fft_forward(FFT);
    let mut scratch = forward.make_scratch_vec();
    let (mut frame, mut spectrum) = (forward.make_input_vec(), forward.make_output_vec());
    let mut values = Vec::with_capacity(frames * BINS);
    for index in 0..frames {
        weighted(&samples[index * HOP..index * HOP + FRAME], &window, &mut frame);
        let done = forward.process_with_scratch(&mut frame, &mut spectrum, &mut scratch);
        debug_assert!(done.is_ok(), "the buffers have the lengths of the plan");
        let power: Vec<f64> = spectrum.iter().map(|value| f64::from(value.norm_sqr())).collect();
        values.extend(filters.chunks_exact(FFT / 2).map(|filter| {
            let energy: f64 =
                filter.iter().zip(&power).map(|(&weight, power)| f64::from(weight) * power).sum();
            (energy as f32).max(f32::EPSILON).ln()
        }));
    }
    Mel { frames, bins: BINS, values }
}

/// One frame without its mean, pre-emphasised (the first sample against itself), windowed, and zeros up to the FFT's length.
fn weighted(samples: &[f32], window: &[f32], frame: &mut [f32]) {
    let mean = (samples.iter().map(|&sample| f64::from(sample)).sum::<f64>() / FRAME as f64) as f32;
    let mut previous = samples[0] - mean;
    for ((value, sample), weight) in frame.iter_mut().zip(samples).zip(window) {
        let sample = sample - mean;
        *value = (sample - PRE_EMPHASIS * previous) * weight;
        previous = sample;
    }
    frame[FRAME..].fill(0.0);
}

/// A symmetric Hann window to the power of 0.85.
fn povey_window() -> Vec<f32> {
    let hann = |n: usize| (0.5 - 0.5 * (2.0 * PI * n as f64 / (FRAME - 1) as f64).cos()) as f32;
    (0..FRAME).map(|n| hann(n).powf(0.85)).collect()
}

/// Triangles of equal width on the mel scale over the bins 0..256, row-major `[80, 256]`; the Nyquist bin has no weight.
fn filters() -> Vec<f32> {
    let (lowest, highest) = (1_127.0 * (1.0 + LOWEST / 700.0).ln(), 1_127.0 * (1.0 + HIGHEST / 700.0).ln());
    let step = (highest - lowest) / (BINS + 1) as f64;
    let corner = |band: usize| lowest as f32 + band as f32 * step as f32;
    let bin_width = 16_000.0 / FFT as f32;
    let mels = (0..FFT / 2).map(|bin| 1_127.0 * (1.0 + bin_width * bin as f32 / 700.0).ln());
    let mels: Vec<f32> = mels.collect();
    let height = |band: usize, mel: f32| {
        let (left, centre, right) = (corner(band), corner(band + 1), corner(band + 2));
        ((mel - left) / (centre - left)).min((right - mel) / (right - centre)).max(0.0)
    };
    (0..BINS).flat_map(|band| mels.iter().map(move |&mel| height(band, mel))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_fixtures::{Fixture, max_abs_error};

    #[test]
    fn the_features_are_torchaudios() {
        for (file, wav, tensor, centred) in [
            ("dsp", "wav16_torchaudio", "kaldi_fbank", false),
            ("dsp", "wav16_torchaudio", "kaldi_fbank_centered", true),
            ("campplus_tiny", "wav16", "features", true),
            ("full_campplus", "wav16", "features", true),
        ] {
            let fixture = Fixture::open(file);
            let mut found = kaldi(&fixture.floats(wav));
            if centred {
                found = found.centred();
            }
            let shape = fixture.shape(tensor);
            assert_eq!([found.frames, found.bins], shape[shape.len() - 2..]);
            let error = max_abs_error(&found.values, &fixture.floats(tensor));
            println!("{file} {tensor}: {error:e}");
            assert!(error < 5e-3, "{file} {tensor}: {error}");
        }
    }

    #[test]
    fn only_whole_frames_count_and_silence_has_a_floor() {
        assert_eq!(kaldi(&[0.1; 399]).frames, 0);
        let silence = kaldi(&[0.0; 720]);
        assert_eq!(silence.frames, 3);
        assert!(silence.values.iter().all(|&value| (value + 15.942_385).abs() < 1e-5));
    }
}
