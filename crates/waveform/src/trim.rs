//! Where the speech of a clip begins and ends, as `librosa.effects.trim` finds it.
//!
//! Frames of 2,048 samples every 512, centred, with zeros beyond the ends; a frame counts while its RMS lies less than so
//! many decibels below the loudest frame's. [`crate::levels::sounding_span`] is finer (5 ms) and measures against a fixed
//! level; this one is here because the voice encoder was trained behind it.

use std::ops::Range;

const FRAME: usize = 2_048;
const HOP: usize = 512;
/// RMS below this counts as this: −100 dB.
const LEAST: f32 = 1e-5;

/// The span between the first and the last frame within `decibels` of the loudest. All of a sound that is nowhere louder
/// than −100 dB; empty for no samples.
pub fn loud_span(samples: &[f32], decibels: f32) -> Range<usize> {
    if samples.is_empty() {
        return 0..0;
    }
    let power: Vec<f32> = (0..=samples.len() / HOP).map(|frame| mean_square(samples, frame * HOP)).collect();
    let loudest = power.iter().copied().fold(LEAST * LEAST, f32::max);
    let loud = |power: &f32| 10.0 * (power.max(LEAST * LEAST).log10() - loudest.log10()) > -decibels;
    // The loudest frame is loud, so both searches end at a frame.
    let first = power.iter().take_while(|power| !loud(power)).count();
    let behind = power.iter().rev().take_while(|power| !loud(power)).count();
    (first * HOP).min(samples.len())..((power.len() - behind) * HOP).min(samples.len())
}

/// The mean square of the frame around `centre`; what lies beyond the sound's ends counts as silence.
fn mean_square(samples: &[f32], centre: usize) -> f32 {
    let inside = centre.saturating_sub(FRAME / 2)..(centre + FRAME / 2).min(samples.len());
    let sum: f64 = samples[inside].iter().map(|&sample| f64::from(sample).powi(2)).sum();
    (sum / FRAME as f64) as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_fixtures::Fixture;
    use crate::test_signals::sine;

    #[test]
    fn the_fixtures_clip_is_cut_where_librosa_cuts_it() {
        let dsp = Fixture::open("dsp");
        let expected = dsp.doubles("ve_trim_start_end");
        let span = loud_span(&dsp.floats("wav16_soxr"), 20.0);
        assert_eq!(span, expected[0] as usize..expected[1] as usize);
        assert!(span.start > 0 || span.end < 48_000, "this clip has silent ends");
    }

    #[test]
    fn silence_around_a_tone_goes_to_the_nearest_frame() {
        let mut samples = vec![0.0; 20_000];
        samples[8_192..12_288].copy_from_slice(&sine(440.0, 16_000, 4_096, 0.5));
        // A frame is loud once a hundredth of it sounds: 21 samples of 2,048. Its place is its centre's.
        assert_eq!(loud_span(&samples, 20.0), 7_680..13_312);
        assert_eq!(loud_span(&samples, 200.0), 0..20_000);
    }

    #[test]
    fn a_silent_sound_is_kept_whole_and_none_is_none() {
        assert_eq!(loud_span(&[0.0; 3_000], 20.0), 0..3_000);
        assert_eq!(loud_span(&[0.3; 100], 20.0), 0..100);
        assert_eq!(loud_span(&[], 20.0), 0..0);
    }
}
