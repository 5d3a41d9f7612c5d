//! How loud: peak, RMS, and where sound begins and ends.

use std::ops::Range;

/// The largest magnitude; 0 for no samples.
pub fn peak(samples: &[f32]) -> f32 {
    samples.iter().fold(0.0, |peak, sample| peak.max(sample.abs()))
}

/// Root mean square; 0 for no samples. Summed in f64: an hour of f32 squares loses bits in f32.
pub fn rms(samples: &[f32]) -> f32 {
    if samples.is_empty() {
        return 0.0;
    }
    let sum: f64 = samples.iter().map(|&sample| f64::from(sample).powi(2)).sum();
    (sum / samples.len() as f64).sqrt() as f32
}

/// Amplitude to decibels relative to full scale; −∞ for 0.
pub fn to_decibels(amplitude: f32) -> f32 {
    20.0 * amplitude.log10()
}

/// Decibels relative to full scale to amplitude.
pub fn from_decibels(decibels: f32) -> f32 {
    10f32.powf(decibels / 20.0)
}

/// The span from the first to the last stretch of 5 ms whose RMS exceeds `threshold` (an amplitude); empty at 0 when
/// all is quieter. RMS over 5 ms, not single samples, so that one stray click does not count as speech.
pub fn sounding_span(samples: &[f32], sample_rate: u32, threshold: f32) -> Range<usize> {
    let frame = (sample_rate as usize / 200).max(1);
    let loud = |part: &&[f32]| rms(part) > threshold;
    let Some(first) = samples.chunks(frame).position(|part| loud(&part)) else {
        return 0..0;
    };
    let count = samples.chunks(frame).len();
    let last =
        samples.chunks(frame).rev().position(|part| loud(&part)).map_or(first, |back| count - 1 - back);
    first * frame..samples.len().min((last + 1) * frame)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_signals::sine;

    #[test]
    fn a_full_scale_sine_has_peak_one_and_rms_minus_three_decibels() {
        let tone = sine(100.0, 24_000, 24_000, 1.0);
        assert!((peak(&tone) - 1.0).abs() < 1e-4);
        assert!((to_decibels(rms(&tone)) + 3.0103).abs() < 1e-3);
        assert!((from_decibels(-6.0206) - 0.5).abs() < 1e-5);
    }

    #[test]
    fn nothing_has_no_level() {
        assert_eq!((peak(&[]), rms(&[])), (0.0, 0.0));
        assert_eq!(sounding_span(&[], 24_000, 0.1), 0..0);
        assert_eq!(sounding_span(&vec![0.01; 5_000], 24_000, 0.1), 0..0);
    }

    #[test]
    fn the_sounding_span_is_found_within_one_frame() {
        let mut samples = vec![0.0; 10_000];
        samples[3_000..7_000].copy_from_slice(&sine(440.0, 24_000, 4_000, 0.5));
        let span = sounding_span(&samples, 24_000, 0.01);
        assert!((2_880..=3_000).contains(&span.start), "{span:?}");
        assert!((7_000..=7_120).contains(&span.end), "{span:?}");
    }

    #[test]
    fn a_sound_in_the_last_incomplete_frame_counts() {
        let mut samples = vec![0.0; 1_250];
        samples[1_240..].fill(0.5);
        assert_eq!(sounding_span(&samples, 24_000, 0.1), 1_200..1_250);
    }
}
