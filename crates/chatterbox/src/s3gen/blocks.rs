//! S3Gen in blocks: sound while tokens still come.
//!
//! The flow remembers what it made of earlier frames, as a token model does: keys and values of every attention, the ends of
//! causal convolutions, once for each step of the solver. A block then costs what its own frames and those shortly before it
//! cost, and the voice's prompt, which is most of the work for a short sentence, costs nothing: it is read once and shared by
//! every speech with that voice. The price is that a frame is fixed without having heard what comes more than a look-ahead
//! later, where in the whole every frame hears every other. `docs/PERFORMANCE.md` has the distances that come of it.

use std::sync::Arc;

use super::encoder::Tables;
use super::flow::FlowMemory;
use super::hift::HiftMemory;
use super::{Reference, S3Gen};
use crate::nn::read;
use crate::noise::Placed;
use crate::variant::{FRAMES_PER_TOKEN, MEL_BINS};

/// How speech is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// Tokens of the first block.
    pub first: usize,
    /// Each block has twice the tokens of the one before, up to this.
    pub most: usize,
    /// Tokens behind a block that it hears before it is fixed, besides those of the encoder's look-ahead.
    pub ahead: usize,
    /// Tokens before a block that are run through the flow again with it, and so hear it, before the flow remembers them.
    pub behind: usize,
}

impl Default for Cut {
    fn default() -> Self {
        Self { first: 8, most: 48, ahead: 3, behind: 16 }
    }
}

/// Tokens of speech that a voice's tables of distances have room for; longer ones make larger tables.
const ROOM: usize = 512;

/// What is computed once for a voice.
#[derive(Clone, Debug)]
pub struct Prepared {
    reference: Reference,
    memory: FlowMemory,
    tables: Arc<Tables>,
    /// Tokens that the tables serve, those of the prompt included.
    room: usize,
}

impl Prepared {
    /// Whether it was made for this voice.
    pub fn is_of(&self, reference: &Reference) -> bool {
        self.reference == *reference
    }

    /// What it keeps, about.
    pub fn bytes(&self) -> usize {
        self.memory.bytes()
    }
}

impl S3Gen {
    /// Reads the prompt of a voice, for [`Self::blocks`]. `None` where speech comes only whole: on GPUs, whose kernels are
    /// compiled for each new length, and for the ten guided steps of the larger models.
    ///
    /// # Errors
    /// The device's, in its words.
    pub fn prepare(&self, reference: &Reference) -> Result<Option<Prepared>, String> {
        if !self.flow.can_extend() {
            return Ok(None);
        }
        let tokens = &reference.prompt_tokens;
        let room = tokens.len() + ROOM;
        let mut memory = FlowMemory::default();
        // Its last tokens are left to the first block, which hears what follows them.
        let kept = tokens.len().saturating_sub(self.flow.ahead());
        let tables = Arc::new(self.flow.tables(room, tokens.len().max(ROOM))?);
        if kept > 0 {
            // Of no seed: every speech with the voice shares it.
            let noise = self.placed(0);
            self.flow.extend(&mut memory, tokens, (kept, false), reference, (&tables, &noise));
        }
        memory.share();
        Ok(Some(Prepared { reference: reference.clone(), memory, tables, room }))
    }

    /// The noise of a speech in blocks.
    pub fn placed(&self, seed: u64) -> Placed {
        Placed::new(seed, self.hift.harmonics())
    }

    /// Begins to speak with a voice.
    pub fn blocks<'a>(&'a self, prepared: &'a Prepared, cut: Cut, seed: u64) -> Blocks<'a> {
        let memory = prepared.memory.clone();
        let prompt = &prepared.reference.prompt_tokens;
        Blocks {
            s3gen: self,
            reference: &prepared.reference,
            tables: Arc::clone(&prepared.tables),
            room: prepared.room,
            waiting: prompt[memory.tokens..].to_vec(),
            said: prompt.len() - memory.tokens,
            memory,
            vocoder: HiftMemory::default(),
            noise: self.placed(seed),
            size: cut.first,
            cut,
        }
    }
}

/// A speech in the making.
#[derive(Debug)]
pub struct Blocks<'a> {
    s3gen: &'a S3Gen,
    reference: &'a Reference,
    tables: Arc<Tables>,
    room: usize,
    memory: FlowMemory,
    vocoder: HiftMemory,
    noise: Placed,
    cut: Cut,
    /// Tokens of the next block.
    size: usize,
    /// Tokens that the flow does not remember.
    waiting: Vec<u32>,
    /// How many of them have been said, or belong to the prompt.
    said: usize,
}

impl Blocks<'_> {
    /// Adds a token; gives the samples of a block when one is complete.
    ///
    /// # Errors
    /// The device's, in its words.
    pub fn push(&mut self, token: u32) -> Result<Option<Vec<f32>>, String> {
        self.waiting.push(token);
        let ahead = self.s3gen.flow.ahead() + self.cut.ahead;
        if self.waiting.len() < self.said + self.size + ahead {
            return Ok(None);
        }
        self.size = (2 * self.size).min(self.cut.most);
        self.speak(self.waiting.len() - ahead, false).map(Some)
    }

    /// Gives the samples of all that is left.
    ///
    /// # Errors
    /// The device's, in its words.
    pub fn finish(mut self) -> Result<Vec<f32>, String> {
        if self.waiting.len() == self.said {
            return Ok(Vec::new());
        }
        self.speak(self.waiting.len(), true)
    }

    /// Says the waiting tokens up to `end`.
    fn speak(&mut self, end: usize, is_last: bool) -> Result<Vec<f32>, String> {
        let all = self.memory.tokens + self.waiting.len();
        if all > self.room {
            self.room = 2 * all;
            self.tables = Arc::new(self.s3gen.flow.tables(self.room, ROOM)?);
        }
        let first = FRAMES_PER_TOKEN * self.memory.tokens;
        let remembered = end.saturating_sub(self.cut.behind);
        let (which, with) = ((remembered, is_last), (&*self.tables, &self.noise));
        let mel = self.s3gen.flow.extend(&mut self.memory, &self.waiting, which, self.reference, with);
        let frames = mel.dims()[1];
        // A prompt may have a frame more than its tokens.
        let prompt = (self.reference.prompt_mel.len() / MEL_BINS).saturating_sub(first);
        let start = (FRAMES_PER_TOKEN * self.said).max(prompt).min(frames);
        let ahead = (frames - FRAMES_PER_TOKEN * end).min(frames - start);
        self.waiting.drain(..remembered);
        self.said = end - remembered;
        let mel = read(mel.narrow(1, start, frames - start))?;
        self.s3gen.hift.extend(&mut self.vocoder, &mel, ahead, &self.noise)
    }
}
