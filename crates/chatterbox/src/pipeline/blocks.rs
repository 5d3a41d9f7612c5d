//! The chain in blocks: S3Gen makes sound of the first tokens while T3 speaks the next ones.
//!
//! The tokens are those of the whole chain with the same seed. The sound is not quite: see [`crate::s3gen::Blocks`].

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use super::{
    Chatterbox, SpeakError, Step, Times, Utterance, expected_tokens, speakable, token_bound, token_step,
};
use crate::noise::Seeded;
use crate::s3gen::{Blocks, Cut, Prepared};
use crate::text::Language;
use crate::variant::SamplingConfig;
use crate::voice::Voice;

impl Chatterbox {
    /// What [`Self::speak_in_blocks`] needs of a voice, worth keeping: it reads the voice's prompt. `None` where this model
    /// speaks only whole on this device.
    pub fn prepare(&self, voice: &Voice) -> Result<Option<Prepared>, SpeakError> {
        self.s3gen.prepare(&voice.reference).map_err(SpeakError::Device)
    }

    /// Says one chunk of text as [`Self::speak`] does, and hands out its samples block by block: `emit` gets each as soon as
    /// it is there, in order, and the utterance has them all. `seed` is that of the noise.
    pub fn speak_in_blocks(
        &self,
        text: &str,
        language: Option<Language>,
        (voice, prepared): (&Voice, &Prepared),
        sampling: &SamplingConfig,
        seed: u64,
        observe: &mut dyn FnMut(Step) -> ControlFlow<()>,
        emit: &mut dyn FnMut(&[f32]),
    ) -> Result<Utterance, SpeakError> {
        let started = Instant::now();
        let ids = self.tokenizer.encode(text, language)?;
        let characters = text.chars().count();
        let encoded = Instant::now();

        let expected = expected_tokens(characters);
        let mut sound = Sound {
            blocks: self.s3gen.blocks(prepared, Cut::default(), seed),
            emit,
            samples: Vec::new(),
            spent: Duration::ZERO,
        };
        let mut broken = None;
        let decoded = self.t3.decode(
            &ids,
            &voice.speaker,
            sampling,
            token_bound(sampling, characters),
            &mut Seeded::new(seed),
            &mut |tokens| {
                let speakable = |token: &u32| (*token as usize) < self.config.s3gen.vocab;
                let pushed = tokens.last().copied().filter(speakable).map(|token| sound.push(token));
                if let Some(Err(error)) = pushed {
                    broken = Some(error);
                    return ControlFlow::Break(());
                }
                observe(token_step(tokens.len(), expected))
            },
        );
        if let Some(error) = broken {
            return Err(SpeakError::Device(error));
        }
        let decoded = decoded?;
        if !decoded.stopped {
            tracing::warn!(characters, tokens = decoded.tokens.len(), "the model did not stop by itself");
        }
        let tokens = speakable(&self.config, &decoded.tokens);
        let silence = tokens.len() - self.config.s3gen.trailing_silence_tokens.min(tokens.len());
        if silence == 0 {
            return Err(SpeakError::NothingSaid);
        }
        for token in &tokens[silence..] {
            sound.push(*token).map_err(SpeakError::Device)?;
        }
        if observe(Step::Samples).is_break() {
            return Err(SpeakError::Cancelled);
        }
        let (samples, spent) = sound.finish().map_err(SpeakError::Device)?;
        Ok(Utterance {
            samples,
            tokens,
            stopped: decoded.stopped,
            times: Times {
                text: encoded - started,
                t3: encoded.elapsed().saturating_sub(spent),
                mel: Duration::ZERO,
                samples: spent,
            },
        })
    }
}

/// What has been made of the tokens so far.
struct Sound<'a> {
    blocks: Blocks<'a>,
    emit: &'a mut dyn FnMut(&[f32]),
    samples: Vec<f32>,
    /// Time in S3Gen.
    spent: Duration,
}

impl Sound<'_> {
    fn push(&mut self, token: u32) -> Result<(), String> {
        let started = Instant::now();
        let made = self.blocks.push(token)?;
        self.spent += started.elapsed();
        if let Some(made) = made {
            (self.emit)(&made);
            self.samples.extend(made);
        }
        Ok(())
    }

    fn finish(mut self) -> Result<(Vec<f32>, Duration), String> {
        let started = Instant::now();
        let made = self.blocks.finish()?;
        self.spent += started.elapsed();
        (self.emit)(&made);
        self.samples.extend(made);
        Ok((self.samples, self.spent))
    }
}
