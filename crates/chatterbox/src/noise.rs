//! Randomness as an argument: every draw of the networks comes through [`Noise`], under the name that the parity
//! fixtures give it. Seeded in production; replayed from a recorded run of the reference in tests.

use std::collections::HashMap;
use std::f32::consts::PI;

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha12Rng;

/// The draws of one utterance, in any order: each has a name of its own, so a replay cannot mix them up.
pub trait Noise {
    /// `count` standard-normal numbers, row-major. Names: `noised` (mel noise of the new frames, `[80, 2·tokens]`), `z` (mel
    /// noise of all frames, `[80, frames]`), `sine_noise` (`[harmonics + 1, samples]`).
    fn normal(&mut self, name: &'static str, count: usize) -> Vec<f32>;

    /// `count` numbers in −π..π. Name: `sine_phase_offsets` (`[harmonics + 1]`).
    fn phases(&mut self, name: &'static str, count: usize) -> Vec<f32>;

    /// An index drawn with the given probabilities (non-negative, summing to about 1).
    fn pick(&mut self, probabilities: &[f32]) -> usize;
}

/// Draws from one seed: the same seed gives the same speech on every machine, up to rounding of the networks.
#[derive(Debug)]
pub struct Seeded(ChaCha12Rng);

impl Seeded {
    pub fn new(seed: u64) -> Self {
        Self(ChaCha12Rng::seed_from_u64(seed))
    }
}

impl Noise for Seeded {
    fn normal(&mut self, _: &'static str, count: usize) -> Vec<f32> {
        let mut values = Vec::with_capacity(count + 1);
        while values.len() < count {
            // Box–Muller: two independent normals from two uniforms. 1 − u keeps the logarithm finite.
            let radius = (-2.0 * (1.0 - self.0.random::<f32>()).ln()).sqrt();
            let angle = 2.0 * PI * self.0.random::<f32>();
            values.push(radius * angle.cos());
            values.push(radius * angle.sin());
        }
        values.truncate(count);
        values
    }

    fn phases(&mut self, _: &'static str, count: usize) -> Vec<f32> {
        (0..count).map(|_| (self.0.random::<f32>() * 2.0 - 1.0) * PI).collect()
    }

    fn pick(&mut self, probabilities: &[f32]) -> usize {
        let mut left = self.0.random::<f32>() * probabilities.iter().sum::<f32>();
        let mut last = 0;
        for (index, &probability) in probabilities.iter().enumerate() {
            if probability > 0.0 {
                last = index;
                left -= probability;
                if left < 0.0 {
                    break;
                }
            }
        }
        last
    }
}

/// Plays recorded draws back; sampling takes the most probable token, as the fixtures did.
#[derive(Debug, Default)]
pub struct Replay(HashMap<&'static str, Vec<f32>>);

impl Replay {
    pub fn new(draws: impl IntoIterator<Item = (&'static str, Vec<f32>)>) -> Self {
        Self(draws.into_iter().collect())
    }

    fn recorded(&self, name: &'static str, count: usize) -> Vec<f32> {
        let Some(values) = self.0.get(name) else { panic!("nothing recorded under {name:?}") };
        assert_eq!(values.len(), count, "recorded {name:?} has another length than was asked for");
        values.clone()
    }
}

impl Noise for Replay {
    fn normal(&mut self, name: &'static str, count: usize) -> Vec<f32> {
        self.recorded(name, count)
    }

    fn phases(&mut self, name: &'static str, count: usize) -> Vec<f32> {
        self.recorded(name, count)
    }

    fn pick(&mut self, probabilities: &[f32]) -> usize {
        let mut best = 0;
        for (index, &probability) in probabilities.iter().enumerate() {
            if probability > probabilities[best] {
                best = index;
            }
        }
        best
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_seed_draws_the_same_numbers_twice_and_another_seed_others() {
        let draw = |seed| Seeded::new(seed).normal("z", 5);
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
    }

    #[test]
    fn seeded_normals_have_zero_mean_and_unit_variance() {
        let values = Seeded::new(1).normal("z", 100_001);
        let mean = values.iter().sum::<f32>() / values.len() as f32;
        let variance = values.iter().map(|v| v * v).sum::<f32>() / values.len() as f32;
        assert!(mean.abs() < 0.02, "mean {mean}");
        assert!((variance - 1.0).abs() < 0.02, "variance {variance}");
    }

    #[test]
    fn picks_follow_the_probabilities_and_never_take_an_impossible_one() {
        let mut noise = Seeded::new(3);
        let mut counts = [0; 4];
        for _ in 0..10_000 {
            counts[noise.pick(&[0.0, 0.25, 0.75, 0.0])] += 1;
        }
        assert_eq!((counts[0], counts[3]), (0, 0));
        assert!((2300..2700).contains(&counts[1]), "{counts:?}");
    }
}
