//! Randomness as an argument: every draw of the networks comes through [`Noise`], under the name that the parity
//! fixtures give it. Seeded in production; replayed from a recorded run of the reference in tests.

use std::collections::HashMap;
use std::f32::consts::PI;
use std::ops::Range;

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha12Rng;
use rayon::prelude::*;

use crate::variant::{MEL_BINS, MEL_HOP};

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
#[derive(Clone, Debug)]
pub struct Seeded(ChaCha12Rng);

impl Seeded {
    pub fn new(seed: u64) -> Self {
        Self(ChaCha12Rng::seed_from_u64(seed))
    }
}

impl Noise for Seeded {
    fn normal(&mut self, _: &'static str, count: usize) -> Vec<f32> {
        normals(&mut self.0, count)
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

/// The next normals of a stream. A pair takes two of its words, so every thread knows where its share begins: a second of
/// speech needs two hundred thousand.
fn normals(generator: &mut ChaCha12Rng, count: usize) -> Vec<f32> {
    const SHARE: usize = 1 << 14;
    let first = generator.get_word_pos();
    let words = generator.clone();
    let mut values = vec![0.0; count];
    values.par_chunks_mut(SHARE).enumerate().for_each(|(index, share)| {
        let mut words = words.clone();
        words.set_word_pos(first + (index * SHARE) as u128);
        for pair in share.chunks_mut(2) {
            // Box–Muller: two independent normals from two uniforms. 1 − u keeps the logarithm finite.
            let radius = (-2.0 * (1.0 - words.random::<f32>()).ln()).sqrt();
            let angle = 2.0 * PI * words.random::<f32>();
            for (value, of_angle) in pair.iter_mut().zip([angle.cos(), angle.sin()]) {
                *value = radius * of_angle;
            }
        }
    });
    generator.set_word_pos(first + count.next_multiple_of(2) as u128);
    values
}

/// Noise by place: whoever asks for a frame again gets the same numbers, so speech may be made in blocks that look at the
/// same frames twice. As a [`Noise`] it serves a whole utterance with the numbers of its blocks.
#[derive(Clone, Debug)]
pub struct Placed {
    seed: u64,
    harmonics: usize,
    picks: Seeded,
}

impl Placed {
    /// `harmonics`: of the vocoder's source, the fundamental included.
    pub fn new(seed: u64, harmonics: usize) -> Self {
        Self { seed, harmonics, picks: Seeded::new(seed) }
    }

    /// The mel noise of frames of the prompt (`[frames, 80]`, row-major), counted from its first.
    pub fn prompt_mel(&self, frames: Range<usize>) -> Vec<f32> {
        self.at(Stream::PromptMel, frames.start * MEL_BINS, frames.len() * MEL_BINS)
    }

    /// The mel noise of frames of the new tokens, counted from their first.
    pub fn mel(&self, frames: Range<usize>) -> Vec<f32> {
        self.at(Stream::Mel, frames.start * MEL_BINS, frames.len() * MEL_BINS)
    }

    /// The source's noise for one harmonic: 480 numbers a frame.
    pub fn sine(&self, harmonic: usize, frames: Range<usize>) -> Vec<f32> {
        self.at(Stream::Sine(harmonic), frames.start * MEL_HOP, frames.len() * MEL_HOP)
    }

    /// The phase in −π..π at which each harmonic begins.
    pub fn sine_phases(&self) -> Vec<f32> {
        let mut generator = self.stream(Stream::Phases);
        (0..self.harmonics).map(|_| (generator.random::<f32>() * 2.0 - 1.0) * PI).collect()
    }

    /// An even number of normals from an even place on: a pair takes two words.
    fn at(&self, stream: Stream, start: usize, count: usize) -> Vec<f32> {
        let mut generator = self.stream(stream);
        generator.set_word_pos(start as u128);
        normals(&mut generator, count)
    }

    fn stream(&self, stream: Stream) -> ChaCha12Rng {
        let mut generator = ChaCha12Rng::seed_from_u64(self.seed);
        // 0 is what tokens are drawn from.
        generator.set_stream(match stream {
            Stream::PromptMel => 1,
            Stream::Mel => 2,
            Stream::Phases => 3,
            Stream::Sine(harmonic) => 4 + harmonic as u64,
        });
        generator
    }
}

/// What a number is for.
#[derive(Clone, Copy, Debug)]
enum Stream {
    PromptMel,
    Mel,
    Phases,
    Sine(usize),
}

impl Noise for Placed {
    fn normal(&mut self, name: &'static str, count: usize) -> Vec<f32> {
        match name {
            "sine_noise" => {
                let frames = count / (self.harmonics * MEL_HOP);
                (0..self.harmonics).flat_map(|harmonic| self.sine(harmonic, 0..frames)).collect()
            }
            name => {
                let frames = count / MEL_BINS;
                let rows = if name == "z" { self.prompt_mel(0..frames) } else { self.mel(0..frames) };
                (0..count).map(|i| rows[i % frames * MEL_BINS + i / frames]).collect()
            }
        }
    }

    fn phases(&mut self, _: &'static str, _: usize) -> Vec<f32> {
        self.sine_phases()
    }

    fn pick(&mut self, probabilities: &[f32]) -> usize {
        self.picks.pick(probabilities)
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
    fn a_stream_goes_on_where_it_ended_however_many_threads_draw() {
        let mut noise = Seeded::new(2);
        let pieces = [noise.normal("z", 30_000), noise.normal("z", 7), noise.normal("z", 20_000)];
        let mut whole = Seeded::new(2).normal("z", 50_008);
        whole.remove(30_007); // half a pair is drawn and dropped
        assert_eq!(pieces.concat(), whole);
    }

    #[test]
    fn placed_noise_is_the_same_however_it_is_cut() {
        let noise = Placed::new(5, 9);
        let cut = [noise.mel(3..4), noise.mel(4..9)].concat();
        assert_eq!(noise.mel(3..9), cut);
        assert_ne!(noise.mel(3..9), noise.prompt_mel(3..9));
        assert_eq!(noise.sine(8, 2..5)[480..], noise.sine(8, 3..5));
        let whole = Placed::new(5, 9).normal("noised", 80 * 10);
        assert_eq!(whole[7 * 10 + 3], noise.mel(3..4)[7], "bin 7 of frame 3");
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
