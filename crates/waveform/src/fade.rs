//! Raised-cosine fades: the shortest edges that do not click.
//!
//! The curve has no corner at either end, so a fade of 5 ms is inaudible where a straight line of 5 ms still ticks.

use std::f32::consts::PI;

/// The gain at step `index` of a fade-in over `length` steps: rises from just above 0 to just below 1, and the gain of a
/// mirrored fade-out adds up to exactly 1 with it.
pub fn raised_cosine(index: usize, length: usize) -> f32 {
    0.5 - 0.5 * (PI * (index as f32 + 0.5) / length as f32).cos()
}

/// Fades the first `length` samples in; all of them where there are fewer.
pub fn fade_in(samples: &mut [f32], length: usize) {
    let length = length.min(samples.len());
    for (index, sample) in samples[..length].iter_mut().enumerate() {
        *sample *= raised_cosine(index, length);
    }
}

/// Fades the last `length` samples out; all of them where there are fewer.
pub fn fade_out(samples: &mut [f32], length: usize) {
    let length = length.min(samples.len());
    for (index, sample) in samples.iter_mut().rev().take(length).enumerate() {
        *sample *= raised_cosine(index, length);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fade_starts_and_ends_near_silence_and_leaves_the_middle() {
        let mut samples = vec![1.0; 1_000];
        fade_in(&mut samples, 100);
        fade_out(&mut samples, 100);
        assert!(samples[0] < 1e-3 && samples[999] < 1e-3);
        assert!(samples[100..900].iter().all(|&s| (s - 1.0).abs() < f32::EPSILON));
        let steepest = samples.windows(2).map(|pair| (pair[1] - pair[0]).abs()).fold(0.0, f32::max);
        assert!(steepest < PI / 2.0 / 100.0 + 1e-4, "{steepest}");
    }

    #[test]
    fn a_crossfade_of_equal_sounds_changes_nothing() {
        for index in 0..64 {
            let sum = raised_cosine(index, 64) + raised_cosine(63 - index, 64);
            assert!((sum - 1.0).abs() < 1e-6);
        }
    }

    #[test]
    fn a_fade_longer_than_the_sound_covers_all_of_it() {
        let mut samples = vec![1.0; 3];
        fade_in(&mut samples, 100);
        fade_out(&mut [], 100);
        assert!(samples[0] < 0.1 && samples[2] > 0.9);
    }
}
