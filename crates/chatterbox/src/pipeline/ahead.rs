//! Speaking a chunk while those behind it come along: they go through the same steps of T3, which read the weights once for
//! all. Each has its own noise, and gets the tokens that it would get alone.

use std::ops::ControlFlow;
use std::time::Instant;

use super::{Chatterbox, SpeakError, Step, Times, Utterance, expected_tokens, token_bound, token_step};
use crate::noise::Seeded;
use crate::t3::Decoding;
use crate::text::Language;
use crate::variant::SamplingConfig;
use crate::voice::Voice;

/// An utterance that has begun.
#[derive(Debug)]
pub struct Ahead {
    decoding: Decoding,
    noise: Seeded,
    expected: usize,
    times: Times,
}

impl Ahead {
    /// Whether it has all of its tokens and costs no more steps.
    pub fn is_decoded(&self) -> bool {
        self.decoding.has_ended()
    }
}

impl Chatterbox {
    /// Utterances that may be on their way at once.
    pub fn most_together(&self) -> usize {
        // Batches of each size would be compiled anew on a GPU, and none was there to see whether that pays.
        if self.on_gpu { 1 } else { self.t3.most_together(&self.config.sampling).max(1) }
    }

    /// Reads the text and what comes before it; no token is spoken yet.
    pub fn begin(
        &self,
        text: &str,
        language: Option<Language>,
        voice: &Voice,
        sampling: &SamplingConfig,
        seed: u64,
    ) -> Result<Ahead, SpeakError> {
        let started = Instant::now();
        let ids = self.tokenizer.encode(text, language)?;
        let encoded = Instant::now();
        let characters = text.chars().count();
        let decoding = self.t3.begin(&ids, &voice.speaker, sampling, token_bound(sampling, characters))?;
        let times = Times { text: encoded - started, t3: encoded.elapsed(), ..Times::default() };
        Ok(Ahead { decoding, noise: Seeded::new(seed), expected: expected_tokens(characters), times })
    }

    /// Speaks `wanted` to its end; the `others` come along for as long as its tokens take.
    ///
    /// `observe` is called as by [`Self::speak`], for `wanted` alone.
    pub fn speak_ahead(
        &self,
        mut wanted: Ahead,
        voice: &Voice,
        others: &mut [&mut Ahead],
        observe: &mut dyn FnMut(Step) -> ControlFlow<()>,
    ) -> Result<Utterance, SpeakError> {
        let started = Instant::now();
        while !wanted.decoding.has_ended() {
            if wanted.decoding.draw(&mut wanted.noise)? {
                let count = wanted.decoding.tokens().len();
                if observe(token_step(count, wanted.expected)).is_break() {
                    return Err(SpeakError::Cancelled);
                }
            }
            // Nothing is waited for once the wanted tokens are there.
            if wanted.decoding.has_ended() {
                break;
            }
            let mut together = vec![&mut wanted.decoding];
            for other in others.iter_mut() {
                other.decoding.draw(&mut other.noise)?;
                together.push(&mut other.decoding);
            }
            self.t3.advance(&mut together)?;
        }
        let mut times = wanted.times;
        times.t3 += started.elapsed();
        self.sound(&wanted.decoding.finish(), voice, times, &mut wanted.noise, observe)
    }
}
