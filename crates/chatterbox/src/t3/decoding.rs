//! The decode loop, cut so that several utterances can go through it together: each draws its next token from its own
//! logits with its own noise, then one step of the network makes new logits for all that go on.

use std::ops::ControlFlow;

use super::alignment::AlignmentAnalyser;
use super::cache::Cache;
use super::{Speaker, T3, T3Error, read, sampling};
use crate::noise::Noise;
use crate::variant::{Analyser, Order, SamplingConfig};

/// How a decode ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decoded {
    /// Everything sampled, without the stop token.
    pub tokens: Vec<u32>,
    /// False when the bound on tokens ended it.
    pub stopped: bool,
}

/// An utterance that is being decoded.
#[derive(Debug)]
pub struct Decoding {
    cache: Cache,
    analyser: Option<AlignmentAnalyser>,
    sampling: SamplingConfig,
    /// The start token, then everything sampled.
    history: Vec<u32>,
    max_tokens: usize,
    /// For the next token; with guidance, those without the text behind them.
    logits: Vec<f32>,
    vocabulary: usize,
    stop_token: u32,
    stopped: bool,
    ended: bool,
}

impl T3 {
    /// Speaks `text` as tokens. `observe` is called with all of them after every one and may break the loop off, which gives
    /// [`T3Error::Cancelled`].
    pub fn decode(
        &self,
        text: &[u32],
        speaker: &Speaker,
        sampling: &SamplingConfig,
        max_tokens: usize,
        noise: &mut dyn Noise,
        observe: &mut dyn FnMut(&[u32]) -> ControlFlow<()>,
    ) -> Result<Decoded, T3Error> {
        let mut decoding = self.begin(text, speaker, sampling, max_tokens)?;
        while !decoding.has_ended() {
            if decoding.draw(noise)? && observe(decoding.tokens()).is_break() {
                return Err(T3Error::Cancelled);
            }
            self.advance(&mut [&mut decoding])?;
        }
        Ok(decoding.finish())
    }

    /// Reads everything that comes before the first speech token.
    pub fn begin(
        &self,
        text: &[u32],
        speaker: &Speaker,
        sampling: &SamplingConfig,
        max_tokens: usize,
    ) -> Result<Decoding, T3Error> {
        // The analyser watches the attention of one whole prefix.
        let (opening, prefix) = if self.on_host && sampling.analyser == Analyser::Off {
            self.check(text, speaker)?;
            (Some(self.opening(speaker, sampling.exaggeration)), self.behind(text, sampling))
        } else {
            (None, self.prefix(text, speaker, sampling)?)
        };
        let [rows, unread, _] = prefix.dims();
        let length = opening.as_ref().map_or(0, |opening| opening.len()) + unread;
        let max_tokens = max_tokens.min(self.room_for_speech(length));
        let mut cache = self.cache(rows, length + max_tokens);
        if let Some(opening) = opening {
            cache.begin_with(&opening);
        }
        let analyser = self.analyser(text, length, sampling, &mut cache);
        let logits = read(self.prefill(prefix, &mut cache))?;
        Ok(Decoding {
            cache,
            analyser,
            sampling: sampling.clone(),
            history: vec![self.config.start_speech_token],
            max_tokens,
            logits,
            vocabulary: self.config.speech_vocab,
            stop_token: self.config.stop_speech_token,
            stopped: false,
            ended: max_tokens == 0,
        })
    }

    /// Takes the last tokens of those that have not ended through the network, in one step.
    pub fn advance(&self, decodings: &mut [&mut Decoding]) -> Result<(), T3Error> {
        let mut open: Vec<&mut Decoding> =
            decodings.iter_mut().filter(|decoding| !decoding.ended).map(|decoding| &mut **decoding).collect();
        if open.is_empty() {
            return Ok(());
        }
        let tokens: Vec<u32> = open.iter().filter_map(|decoding| decoding.history.last().copied()).collect();
        let mut caches: Vec<&mut Cache> = open.iter_mut().map(|decoding| &mut decoding.cache).collect();
        let logits = read(self.step_together(&tokens, &mut caches))?;
        let mut left = logits.as_slice();
        for decoding in open {
            let (own, others) = left.split_at(decoding.cache.rows() * decoding.vocabulary);
            decoding.logits.clear();
            decoding.logits.extend_from_slice(own);
            left = others;
        }
        Ok(())
    }
}

impl Decoding {
    /// Whether it needs no more steps.
    pub fn has_ended(&self) -> bool {
        self.ended
    }

    /// What was spoken so far.
    pub fn tokens(&self) -> &[u32] {
        &self.history[1..]
    }

    /// Draws the next token from the logits of the last step; false when it ended instead.
    pub fn draw(&mut self, noise: &mut dyn Noise) -> Result<bool, T3Error> {
        if self.ended {
            return Ok(false);
        }
        sampling::guide(&mut self.logits, self.vocabulary, self.sampling.cfg_weight);
        if let (Some(analyser), Some(attention)) = (&mut self.analyser, self.cache.take_watched()) {
            analyser.step(&read(attention)?, &self.history, &mut self.logits);
        }
        let spoken = self.history.len() > 1;
        let (penalised, may_stop) = match self.sampling.order {
            Order::Turbo if spoken => (&self.history[1..], true),
            Order::Turbo => (&self.history[..], false),
            Order::Original => (&self.history[..], true),
        };
        let token = sampling::sample(&mut self.logits, penalised, &self.sampling, noise);
        self.stopped = may_stop && token == Some(self.stop_token);
        match token {
            Some(token) if !self.stopped => self.history.push(token),
            Some(_) | None => {
                self.ended = true;
                return Ok(false);
            }
        }
        self.ended = self.tokens().len() == self.max_tokens;
        Ok(true)
    }

    pub fn finish(mut self) -> Decoded {
        Decoded { tokens: self.history.split_off(1), stopped: self.stopped }
    }
}
