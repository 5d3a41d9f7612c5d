//! Speech that is heard while it is made: the live view of a job's run, and readers that follow it.
//!
//! The run is the one that makes the file: chunks are written whole and synced as ever. [`Live`] says which of them are
//! there, and holds the samples so far of the one being spoken. A [`Reader`] takes finished chunks from the disk and the
//! rest from there, at its own pace: what it missed it reads back, so it never holds the model up, and nothing is kept for
//! it but that one chunk. It joins chunks as the file does (`joining`) and encodes them as they come.

mod growing;
mod joining;

use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Serialize;
use waveform::encode::{EncodeError, Encoder, Target};
use waveform::wav::{self, WavError};

use super::SpeechRequest;
use super::assemble::encoding;
use super::chunk::Chunk;
use super::stitch::Stitching;
use super::timeline::{Span, SpokenText};
pub use growing::Growing;
use joining::Joining;

/// How long a reader sleeps at most before it looks whether anybody still wants its bytes.
const PATIENCE: Duration = Duration::from_millis(250);

/// How a run ended for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// All chunks are on the disk.
    Completed,
    /// Failed or cancelled: there will be no more.
    Broken,
}

/// The live view of one job.
#[derive(Debug, Default)]
pub struct Live {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    run: Option<Run>,
    ending: Option<Ending>,
    /// Where the first chunks lie in the result, as the first reader found them. A run that begins again changes nothing there.
    places: Vec<Span>,
    /// Where the chunk behind them begins.
    next_place: u64,
}

#[derive(Debug)]
struct Run {
    /// Hz of the chunks.
    model_rate: u32,
    chunks: Arc<[Chunk]>,
    /// Chunks on the disk, from the first on.
    whole: usize,
    /// The chunk behind them, as far as it is spoken and handed out.
    samples: Vec<f32>,
}

impl Live {
    /// A run of these chunks begins, or begins again.
    pub fn begin(&self, model_rate: u32, chunks: &[Chunk]) {
        self.change(|state| {
            state.run = Some(Run { model_rate, chunks: chunks.into(), whole: 0, samples: Vec::new() });
            // A failed job that is tried again has not ended.
            state.ending = None;
        });
    }

    /// When each chunk that somebody has been sent is heard, at this rate of the result, and which comes next; `None` before
    /// a run. Where sentences end inside of a chunk is known when the file is made, and estimated until then.
    pub fn heard(&self, sample_rate: u32) -> Option<Heard> {
        let state = self.lock();
        let run = state.run.as_ref()?;
        let spoken = |(chunk, span): (&Chunk, &Span)| {
            let spoken = SpokenText::new(&chunk.text, span, sample_rate, None);
            SpokenText { voice: chunk.voice.clone(), ..spoken.written_as(&chunk.written) }
        };
        let chunks = run.chunks.iter().zip(&state.places).map(spoken).collect();
        let next = run.chunks.get(state.places.len()).map(|chunk| Next {
            text: chunk.text.clone(),
            written: (chunk.written != chunk.text).then(|| chunk.written.clone()),
            start_ms: state.next_place * 1_000 / u64::from(sample_rate.max(1)),
        });
        Some(Heard { chunks, next })
    }

    /// A reader from the first word on has let go of this chunk.
    fn place(&self, chunk: usize, span: Span, next: u64) {
        let mut state = self.lock();
        if state.places.len() == chunk {
            state.places.push(span);
            state.next_place = next;
        }
    }

    /// More samples of the chunk that is being spoken.
    pub fn hear(&self, block: &[f32]) {
        self.change(|state| {
            if let Some(run) = &mut state.run {
                run.samples.extend_from_slice(block);
            }
        });
    }

    /// The next chunk is on the disk.
    pub fn keep(&self) {
        self.change(|state| {
            if let Some(run) = &mut state.run {
                run.whole += 1;
                run.samples = Vec::new();
            }
        });
    }

    pub fn end(&self, ending: Ending) {
        self.change(|state| state.ending = Some(ending));
    }

    #[cfg(test)]
    pub(crate) fn is_broken(&self) -> bool {
        self.lock().ending == Some(Ending::Broken)
    }

    fn change(&self, how: impl FnOnce(&mut State)) {
        how(&mut self.lock());
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Every change is a whole one, so a panic elsewhere leaves nothing half-made.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What there is for whoever has heard `chunk` chunks and `offset` samples of the next; waits for it a moment.
    fn next(&self, chunk: usize, offset: usize) -> News {
        let news = |state: &State| -> Option<News> {
            if state.ending == Some(Ending::Broken) {
                return Some(News::Broken);
            }
            let run = state.run.as_ref()?;
            if chunk >= run.chunks.len() {
                return Some(News::End);
            }
            if run.whole > chunk {
                return Some(News::OnDisk(run.chunks[chunk].clone()));
            }
            let new = run.samples.get(offset..).filter(|new| run.whole == chunk && !new.is_empty());
            new.map(|new| News::Samples(new.to_vec(), run.chunks[chunk].rate))
        };
        let state = self.lock();
        if let Some(news) = news(&state) {
            return news;
        }
        let (state, _elapsed) =
            self.changed.wait_timeout(state, PATIENCE).unwrap_or_else(PoisonError::into_inner);
        news(&state).unwrap_or(News::Nothing)
    }

    /// Hz of the chunks and how many are whole, once a run has begun.
    fn run(&self) -> Option<(u32, usize)> {
        self.lock().run.as_ref().map(|run| (run.model_rate, run.whole))
    }
}

/// What is known of a result while it is made.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Heard {
    pub chunks: Vec<SpokenText>,
    /// The chunk behind them; none behind the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<Next>,
}

/// A chunk of which only the beginning is known, in milliseconds from that of the result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Next {
    pub text: String,
    /// As it was sent, where that is something else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub written: Option<String>,
    pub start_ms: u64,
}

#[derive(Debug)]
enum News {
    Nothing,
    /// More of the chunk, which has this tempo.
    Samples(Vec<f32>, f32),
    /// The chunk is a file.
    OnDisk(Chunk),
    /// That was the last one.
    End,
    Broken,
}

/// Where a reader begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// With the first word.
    Start,
    /// With the chunk that is being spoken when it first looks.
    Now,
}

/// Why a stream broke off.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    #[error("the job did not get to its end")]
    Broken,
    #[error("a spoken chunk cannot be read")]
    Chunk(#[from] WavError),
    #[error(transparent)]
    Encode(#[from] EncodeError),
}

/// One listener's way through a job. It blocks, so it belongs on a thread of its own.
pub struct Reader {
    live: Arc<Live>,
    request: SpeechRequest,
    /// Where a chunk's file is.
    path: Box<dyn Fn(usize) -> PathBuf + Send>,
    place: Place,
    chunk: usize,
    sound: Option<(Joining, Encoder)>,
    /// A head waits for the sound behind it.
    unsent: Vec<u8>,
    is_over: bool,
    /// Chunks whose ends were given and not told yet.
    spoken: Vec<SpokenText>,
}

impl Reader {
    /// Follows `live`, the run of `request`.
    pub fn new(
        live: Arc<Live>,
        request: SpeechRequest,
        place: Place,
        path: impl Fn(usize) -> PathBuf + Send + 'static,
    ) -> Self {
        Self {
            live,
            request,
            path: Box::new(path),
            place,
            chunk: 0,
            sound: None,
            unsent: Vec::new(),
            is_over: false,
            spoken: Vec::new(),
        }
    }

    /// The next bytes, as soon as there are any. `None` at the end, or when `is_wanted` says no.
    ///
    /// # Errors
    /// When the job ends otherwise; what was given is then not the whole.
    pub fn next(&mut self, is_wanted: impl Fn() -> bool) -> Result<Option<Vec<u8>>, StreamError> {
        let mut bytes = Vec::new();
        while bytes.is_empty() && !self.is_over && is_wanted() {
            self.step(&mut bytes)?;
        }
        Ok((!bytes.is_empty()).then_some(bytes))
    }

    /// The chunks that ended in what [`Reader::next`] gave since the last call, and when they are heard in this sound.
    pub fn take_spoken(&mut self) -> Vec<SpokenText> {
        std::mem::take(&mut self.spoken)
    }

    /// Whether everything was given.
    pub fn is_over(&self) -> bool {
        self.is_over
    }

    fn step(&mut self, bytes: &mut Vec<u8>) -> Result<(), StreamError> {
        let offset = self.sound.as_ref().map_or(0, |(joining, _)| joining.heard());
        let news = self.live.next(self.chunk, offset);
        if self.sound.is_none()
            && let Some((model_rate, whole)) = self.live.run()
        {
            let encoder = Encoder::new(&encoding(&self.request), Target::Stream, &mut self.unsent)?;
            self.sound = Some((Joining::new(Stitching::of(&self.request, model_rate)), encoder));
            if self.place == Place::Now {
                self.chunk = whole;
                return Ok(());
            }
        }
        let Some((joining, encoder)) = &mut self.sound else {
            return if matches!(news, News::Broken) { Err(StreamError::Broken) } else { Ok(()) };
        };
        let mut joined = Vec::new();
        match news {
            News::Nothing => {}
            News::Samples(samples, rate) => {
                joining.set_rate(rate);
                joining.push(&samples, &mut joined);
            }
            News::OnDisk(chunk) => {
                let file = wav::read((self.path)(self.chunk));
                let samples = file.map_err(|error| match self.live.next(self.chunk, offset) {
                    // The files of a cancelled job are removed.
                    News::Broken => StreamError::Broken,
                    _ => error.into(),
                })?;
                joining.set_rate(chunk.rate);
                joining.push(samples.samples.get(offset..).unwrap_or_default(), &mut joined);
                let span = joining.end_chunk(chunk.pause, &mut joined);
                let spoken = SpokenText::new(&chunk.text, &span, self.request.sample_rate, None);
                if self.place == Place::Start {
                    self.live.place(self.chunk, span, joining.next_place());
                }
                self.spoken.push(SpokenText { voice: chunk.voice, ..spoken });
                self.chunk += 1;
            }
            News::End => {
                joining.finish(&mut joined);
                self.is_over = true;
            }
            News::Broken => return Err(StreamError::Broken),
        }
        encoder.write(&joined, &mut self.unsent)?;
        if self.is_over
            && let Some((_, encoder)) = self.sound.take()
        {
            encoder.finish(&mut self.unsent)?;
        }
        if self.is_over || !joined.is_empty() {
            bytes.append(&mut self.unsent);
        }
        Ok(())
    }
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader").field("chunk", &self.chunk).finish_non_exhaustive()
    }
}
