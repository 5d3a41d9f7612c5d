//! The spoken chunks of a job into one sound: tempo, trimming, pauses, level, sample rate.
//!
//! Chunks are asked for one at a time, since a job may be hours long; no more than one of them is in memory. Each is
//! trimmed of the excess silence that models leave at their ends, so that the pause between two chunks is the one written
//! in [`Pauses`] and not that plus an accident. Edges are faded: a chunk may begin anywhere in a wave.

use std::ops::Range;
use std::time::Duration;

use waveform::encode::EncodeError;
use waveform::fade;
use waveform::levels::{from_decibels, peak, sounding_span};
use waveform::loudness::{Meter, TruePeak, gain_between};
use waveform::resample::Resampler;
use waveform::silence;
use waveform::stretch::stretch;

use super::chunk::Boundary;
use super::timeline::Span;
use super::{Processing, SpeechRequest};

/// Silence between chunks. At another tempo it shrinks or grows with the speech.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pauses {
    pub clause: Duration,
    pub sentence: Duration,
    pub paragraph: Duration,
}

/// A cut inside of a sentence is about as long as a comma.
const CLAUSE_PAUSE: Duration = Duration::from_millis(80);

impl Default for Pauses {
    /// A sentence as long as upstream's gap, which its users are used to; a paragraph three times that, a breath that
    /// readers take.
    fn default() -> Self {
        Self::of(&Processing::default())
    }
}

impl Pauses {
    /// Those that a request asks for.
    pub fn of(processing: &Processing) -> Self {
        let ms = |ms: u32| Duration::from_millis(ms.into());
        let sentence = ms(processing.sentence_pause_ms);
        // Whoever wants sentences to follow at once wants no longer pauses inside of them.
        let clause = CLAUSE_PAUSE.min(sentence);
        Self { clause, sentence, paragraph: ms(processing.paragraph_pause_ms) }
    }

    /// At the model's own tempo.
    pub fn after(&self, boundary: Boundary) -> Duration {
        match boundary {
            Boundary::Clause => self.clause,
            Boundary::Sentence => self.sentence,
            Boundary::Paragraph => self.paragraph,
            Boundary::Pause(ms) => Duration::from_millis(ms.into()),
            Boundary::End => Duration::ZERO,
        }
    }
}

/// What of a chunk's silent ends goes. Conservative: breaths, soft consonants and the ring of a room stay.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trim {
    /// How much silence stays at the beginning.
    pub keep_before: Duration,
    /// How much silence stays at the end, where speech dies away.
    pub keep_after: Duration,
}

impl Trim {
    /// Keeps nothing behind the last sound.
    pub(super) fn without_tail(self) -> Self {
        Self { keep_after: Duration::ZERO, ..self }
    }
}

impl Default for Trim {
    fn default() -> Self {
        let ms = Duration::from_millis;
        Self { keep_before: ms(40), keep_after: ms(80) }
    }
}

/// How chunks become one sound.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stitching {
    /// Hz of the chunks.
    pub model_rate: u32,
    /// Hz of the result; what the encoder was opened with.
    pub output_rate: u32,
    /// Tempo, 1 for the model's own.
    pub speed: f32,
    pub pauses: Pauses,
    /// `None` keeps the silence at the ends of chunks.
    pub trim: Option<Trim>,
    /// The longest silence inside of a chunk; `None` keeps every one.
    pub longest_silence: Option<Duration>,
}

impl Stitching {
    /// The defaults, at the model's own tempo.
    pub fn new(model_rate: u32, output_rate: u32) -> Self {
        Self {
            model_rate,
            output_rate,
            speed: 1.0,
            pauses: Pauses::default(),
            trim: Some(Trim::default()),
            longest_silence: None,
        }
    }

    /// What a request asks for.
    pub fn of(request: &SpeechRequest, model_rate: u32) -> Self {
        let processing = &request.processing;
        Self {
            speed: request.speed,
            pauses: Pauses::of(processing),
            trim: processing.trim_silence.then(Trim::default),
            longest_silence: processing.max_silence_ms.map(|ms| Duration::from_millis(ms.into())),
            ..Self::new(model_rate, request.sample_rate)
        }
    }

    /// For a chunk that has a tempo of its own beside that of the whole.
    pub(super) fn at_rate(self, rate: f32) -> Self {
        Self { speed: (self.speed * rate).clamp(SLOWEST, QUICKEST), ..self }
    }

    /// Samples of silence behind a chunk, at the model's rate.
    pub(super) fn pause(&self, boundary: Boundary) -> usize {
        let pause = self.pauses.after(boundary);
        // A length that was asked for is that length; the others are part of the tempo.
        let pause = if matches!(boundary, Boundary::Pause(_)) { pause } else { pause.div_f32(self.speed) };
        length(pause, self.model_rate)
    }

    /// What of a chunk, or of its beginning, is kept; all of it where all is silence: what a model made of a row of dots is
    /// at least its length.
    pub(super) fn kept(&self, samples: &[f32]) -> Range<usize> {
        let Some(trim) = self.trim else { return 0..samples.len() };
        let threshold = peak(samples) * from_decibels(SILENT_END);
        let span = sounding_span(samples, self.model_rate, threshold);
        if span.is_empty() {
            return 0..samples.len();
        }
        let start = span.start.saturating_sub(length(trim.keep_before, self.model_rate));
        start..samples.len().min(span.end + length(trim.keep_after, self.model_rate))
    }

    /// Where in the result a chunk lies that is heard as `samples` from sample `at` on, both at the model's rate.
    pub(super) fn span(&self, at: u64, samples: &[f32]) -> Span {
        let (from, to) = (u64::from(self.model_rate.max(1)), u64::from(self.output_rate));
        // The resampler has no delay, so places only scale.
        let placed = |range: Range<u64>| range.start * to / from..range.end * to / from;
        let threshold = peak(samples) * from_decibels(SILENT_INSIDE);
        let shortest = length(SENTENCE_SILENCE, self.model_rate);
        let silences = silence::inner_silences(samples, self.model_rate, threshold, shortest);
        let silences =
            silences.into_iter().map(|found| placed(at + found.start as u64..at + found.end as u64));
        Span { place: placed(at..at + samples.len() as u64), silences: silences.collect() }
    }

    /// Samples over which a chunk's edges are faded, at the model's rate.
    pub(super) fn edge(&self) -> usize {
        length(EDGE_FADE, self.model_rate)
    }
}

/// Quieter than this, relative to the chunk's peak, is silence at its ends …
const SILENT_END: f32 = -50.0;
/// … and this inside, where the room rings between two words; upstream's measure.
const SILENT_INSIDE: f32 = -40.0;
/// Long enough not to click, too short to eat a consonant.
const EDGE_FADE: Duration = Duration::from_millis(5);
/// A chunk louder than this would clip once it is resampled or rounded …
const PEAK_LIMIT: f32 = 0.99;
/// … and is brought down to this, as upstream does with the whole file.
const PEAK_TARGET: f32 = 0.95;

/// Tempos beyond these are not speech any more.
const SLOWEST: f32 = 0.25;
const QUICKEST: f32 = 4.0;

/// How a chunk stands among the others.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Joint {
    /// What follows it.
    pub pause: Boundary,
    /// Its tempo beside that of the whole.
    pub rate: f32,
}

impl From<Boundary> for Joint {
    /// At the tempo of the whole.
    fn from(pause: Boundary) -> Self {
        Self { pause, rate: 1.0 }
    }
}

/// Why there is no result.
#[derive(Debug, thiserror::Error)]
pub enum StitchError<E: std::error::Error + 'static> {
    #[error("a spoken chunk cannot be read")]
    Chunk(#[source] E),
    #[error(transparent)]
    Encode(#[from] EncodeError),
}

/// What was joined, in samples at the output rate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Joined {
    pub length: u64,
    /// Where each chunk lies.
    pub spans: Vec<Span>,
}

/// Silences inside of a chunk that may end a sentence are at least this long.
const SENTENCE_SILENCE: Duration = Duration::from_millis(60);

/// Reads the chunks (mono at the model's rate, and how each stands among the others) one by one and gives their joined sound to `take`, piece
/// by piece.
pub fn stitch<E: std::error::Error + 'static, J: Into<Joint>>(
    chunks: impl IntoIterator<Item = Result<(Vec<f32>, J), E>>,
    stitching: &Stitching,
    take: &mut dyn FnMut(&[f32]) -> Result<(), EncodeError>,
) -> Result<Joined, StitchError<E>> {
    let mut joined = Joined::default();
    let mut at = 0;
    let mut length_so_far = 0;
    let mut give = |resampled: &mut Vec<f32>| {
        length_so_far += resampled.len() as u64;
        take(resampled)?;
        resampled.clear();
        Ok::<_, EncodeError>(())
    };
    let mut resampler = Resampler::new(stitching.model_rate, stitching.output_rate);
    let mut resampled = Vec::new();
    for chunk in chunks {
        let (samples, joint) = chunk.map_err(StitchError::Chunk)?;
        let Joint { pause, rate } = joint.into();
        let mut samples = finished(&samples, &stitching.at_rate(rate));
        joined.spans.push(stitching.span(at, &samples));
        samples.resize(samples.len() + stitching.pause(pause), 0.0);
        at += samples.len() as u64;
        resampler.process(&samples, &mut resampled);
        give(&mut resampled)?;
    }
    resampler.finish(&mut resampled);
    give(&mut resampled)?;
    joined.length = length_so_far;
    Ok(joined)
}

/// How loud a joined sound is, measured piece by piece before it is written: a whole one would not fit into memory.
#[derive(Debug)]
pub struct Measured {
    loudness: Meter,
    peak: TruePeak,
}

impl Measured {
    /// For a sound of this many Hz.
    pub fn new(sample_rate: u32) -> Self {
        Self { loudness: Meter::new(sample_rate), peak: TruePeak::new(sample_rate) }
    }

    pub fn add(&mut self, samples: &[f32]) {
        self.loudness.add(samples);
        self.peak.add(samples);
    }

    /// What to multiply the sound with to bring it to `target` LUFS without a true peak above `limit` dBTP; 1 for silence.
    pub fn gain(self, target: f32, limit: f32) -> f32 {
        let highest = from_decibels(limit) / self.peak.finish();
        gain_between(self.loudness.integrated(), target.into()).map_or(1.0, |gain| gain.min(highest))
    }
}

/// One chunk at its tempo, without excess silence, with soft edges and no more than full scale.
pub(super) fn finished(samples: &[f32], stitching: &Stitching) -> Vec<f32> {
    let rate = stitching.model_rate;
    let kept = &samples[stitching.kept(samples)];
    let threshold = peak(samples) * from_decibels(SILENT_INSIDE);
    let shortened = stitching
        .longest_silence
        .map(|longest| silence::shorten(kept, rate, threshold, length(longest, rate)));
    let mut samples = stretch(shortened.as_deref().unwrap_or(kept), rate, stitching.speed);
    let loudest = peak(&samples);
    if loudest > PEAK_LIMIT {
        let gain = PEAK_TARGET / loudest;
        for sample in &mut samples {
            *sample *= gain;
        }
    }
    fade::fade_in(&mut samples, stitching.edge());
    fade::fade_out(&mut samples, stitching.edge());
    samples
}

fn length(duration: Duration, rate: u32) -> usize {
    (duration.as_secs_f64() * f64::from(rate)).round() as usize
}

#[cfg(test)]
mod tests;
