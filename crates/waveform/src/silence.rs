//! Silences inside of speech that are longer than anybody pauses: found, and shortened without a click.
//!
//! What is silent is judged as at the ends ([`crate::levels::sounding_span`]): stretches of 5 ms whose RMS lies below a
//! threshold. The middle of a silence goes, so that the ring of the word before and the breath before the next one stay.

use std::ops::Range;

use crate::fade::raised_cosine;
use crate::levels::rms;

/// Over how many seconds the two sides of a cut are blended; they are silent, but silence has a sound of its own.
const BLEND: f64 = 0.01;

/// The silences between sounds, not those at the ends, of at least `shortest` samples. `threshold` is an amplitude.
pub fn inner_silences(
    samples: &[f32],
    sample_rate: u32,
    threshold: f32,
    shortest: usize,
) -> Vec<Range<usize>> {
    let frame = (sample_rate as usize / 200).max(1);
    let mut silences = Vec::new();
    let mut since: Option<usize> = None;
    let mut heard = false;
    for (index, part) in samples.chunks(frame).enumerate() {
        if rms(part) > threshold {
            let silence = since.take().map(|start| start..index * frame);
            silences.extend(silence.filter(|silence| heard && silence.len() >= shortest));
            heard = true;
        } else {
            since = since.or(Some(index * frame));
        }
    }
    silences
}

/// Cuts every inner silence longer than `longest` samples down to that.
pub fn shorten(samples: &[f32], sample_rate: u32, threshold: f32, longest: usize) -> Vec<f32> {
    let mut output = Vec::with_capacity(samples.len());
    let mut from = 0;
    for silence in inner_silences(samples, sample_rate, threshold, longest + 1) {
        let blend = ((BLEND * f64::from(sample_rate)) as usize).min(longest).min(silence.len() - longest);
        let left = silence.start + longest.div_ceil(2);
        let right = silence.end - longest / 2;
        // The last samples before the cut go over into those that would have come before the other side.
        output.extend_from_slice(&samples[from..left - blend.min(left - from)]);
        let blend = blend.min(left - from);
        for index in 0..blend {
            let gain = raised_cosine(index, blend);
            output.push(samples[left - blend + index] * (1.0 - gain) + samples[right - blend + index] * gain);
        }
        from = right;
    }
    output.extend_from_slice(&samples[from..]);
    output
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_signals::{noise, sine};

    const RATE: u32 = 24_000;

    fn sound_and_silences(silences: &[usize]) -> Vec<f32> {
        let mut sound = sine(440.0, RATE, 6_000, 0.5);
        for &length in silences {
            sound.extend(noise(length, 0.001));
            sound.extend(sine(440.0, RATE, 6_000, 0.5));
        }
        sound
    }

    #[test]
    fn long_silences_become_exactly_as_long_as_allowed_and_short_ones_stay() {
        let sound = sound_and_silences(&[24_000, 4_800, 48_000]);
        let shortened = shorten(&sound, RATE, 0.005, 7_200);
        let expected = sound_and_silences(&[7_200, 4_800, 7_200]).len();
        // Found to a frame of 5 ms at either end.
        assert!(shortened.len().abs_diff(expected) <= 4 * 120, "{} {expected}", shortened.len());
        assert!(inner_silences(&shortened, RATE, 0.005, 7_200 + 240).is_empty());
        assert_eq!(inner_silences(&shortened, RATE, 0.005, 4_000).len(), 3);
        let steepest = |sound: &[f32]| sound.windows(2).map(|w| (w[1] - w[0]).abs()).fold(0.0, f32::max);
        assert!(steepest(&shortened) <= steepest(&sound), "no click");
    }

    #[test]
    fn silences_at_the_ends_are_not_inside() {
        let mut sound = vec![0.0; 30_000];
        sound.extend(sine(440.0, RATE, 6_000, 0.5));
        sound.extend(vec![0.0; 30_000]);
        assert!(inner_silences(&sound, RATE, 0.005, 100).is_empty());
        assert_eq!(shorten(&sound, RATE, 0.005, 100), sound);
        assert_eq!(shorten(&[], RATE, 0.005, 100), Vec::<f32>::new());
        assert_eq!(shorten(&vec![0.0; 9_000], RATE, 0.0, 0).len(), 9_000);
    }
}
