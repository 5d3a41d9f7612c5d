//! The spoken chunks of a job into one audio file: tempo, trimming, pauses, level, sample rate, encoder.
//!
//! Chunks are asked for one at a time, since a job may be hours long; no more than one of them is in memory. Each is
//! trimmed of the excess silence that models leave at their ends, so that the pause between two chunks is the one written
//! in [`Pauses`] and not that plus an accident. Edges are faded: a chunk may begin anywhere in a wave.

use std::io::{Seek, Write};
use std::ops::Range;
use std::time::Duration;

use waveform::encode::{EncodeError, Encoder};
use waveform::fade;
use waveform::levels::{from_decibels, peak, sounding_span};
use waveform::resample::Resampler;
use waveform::stretch::stretch;

use super::chunk::Boundary;

/// Silence between chunks. At another tempo it shrinks or grows with the speech.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pauses {
    pub clause: Duration,
    pub sentence: Duration,
    pub paragraph: Duration,
}

impl Default for Pauses {
    /// A sentence as long as upstream's gap, which its users are used to; a paragraph three times that, a breath that
    /// readers take; a cut inside a sentence about as long as a comma.
    fn default() -> Self {
        let ms = Duration::from_millis;
        Self { clause: ms(80), sentence: ms(200), paragraph: ms(600) }
    }
}

impl Pauses {
    fn after(&self, boundary: Boundary) -> Duration {
        match boundary {
            Boundary::Clause => self.clause,
            Boundary::Sentence => self.sentence,
            Boundary::Paragraph => self.paragraph,
            Boundary::End => Duration::ZERO,
        }
    }
}

/// What of a chunk's silent ends goes. Conservative: breaths, soft consonants and the ring of a room stay.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trim {
    /// Quieter than this, relative to the chunk's peak, is silence.
    pub below_peak_decibels: f32,
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
        Self { below_peak_decibels: 50.0, keep_before: ms(40), keep_after: ms(80) }
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
    /// `None` keeps every sample that the model made.
    pub trim: Option<Trim>,
}

impl Stitching {
    /// The defaults, at the model's own tempo.
    pub fn new(model_rate: u32, output_rate: u32) -> Self {
        Self { model_rate, output_rate, speed: 1.0, pauses: Pauses::default(), trim: Some(Trim::default()) }
    }

    /// Samples of silence behind a chunk, at the model's rate.
    pub(super) fn pause(&self, boundary: Boundary) -> usize {
        length(self.pauses.after(boundary).div_f32(self.speed), self.model_rate)
    }

    /// What of a chunk, or of its beginning, is kept; all of it where all is silence: what a model made of a row of dots is
    /// at least its length.
    pub(super) fn kept(&self, samples: &[f32]) -> Range<usize> {
        let Some(trim) = self.trim else { return 0..samples.len() };
        let threshold = peak(samples) * from_decibels(-trim.below_peak_decibels);
        let span = sounding_span(samples, self.model_rate, threshold);
        if span.is_empty() {
            return 0..samples.len();
        }
        let start = span.start.saturating_sub(length(trim.keep_before, self.model_rate));
        start..samples.len().min(span.end + length(trim.keep_after, self.model_rate))
    }

    /// Samples over which a chunk's edges are faded, at the model's rate.
    pub(super) fn edge(&self) -> usize {
        length(EDGE_FADE, self.model_rate)
    }
}

/// Long enough not to click, too short to eat a consonant.
const EDGE_FADE: Duration = Duration::from_millis(5);
/// A chunk louder than this would clip once it is resampled or rounded …
const PEAK_LIMIT: f32 = 0.99;
/// … and is brought down to this, as upstream does with the whole file.
const PEAK_TARGET: f32 = 0.95;

/// Why there is no result.
#[derive(Debug, thiserror::Error)]
pub enum StitchError<E: std::error::Error + 'static> {
    #[error("a spoken chunk cannot be read")]
    Chunk(#[source] E),
    #[error(transparent)]
    Encode(#[from] EncodeError),
}

/// Reads the chunks (mono at the model's rate, and what follows each) one by one and writes them to `encoder`, which the
/// caller finishes. Returns the length of the result in samples at the output rate.
pub fn stitch<W: Write + Seek, E: std::error::Error + 'static>(
    chunks: impl IntoIterator<Item = Result<(Vec<f32>, Boundary), E>>,
    encoder: &mut Encoder<W>,
    stitching: &Stitching,
) -> Result<u64, StitchError<E>> {
    let before = encoder.frames();
    let mut resampler = Resampler::new(stitching.model_rate, stitching.output_rate);
    let mut resampled = Vec::new();
    for chunk in chunks {
        let (samples, boundary) = chunk.map_err(StitchError::Chunk)?;
        let mut samples = finished(&samples, stitching);
        samples.resize(samples.len() + stitching.pause(boundary), 0.0);
        resampler.process(&samples, &mut resampled);
        encoder.write(&resampled)?;
        resampled.clear();
    }
    resampler.finish(&mut resampled);
    encoder.write(&resampled)?;
    Ok(encoder.frames() - before)
}

/// One chunk at its tempo, without excess silence, with soft edges and no more than full scale.
pub(super) fn finished(samples: &[f32], stitching: &Stitching) -> Vec<f32> {
    let mut samples = stretch(&samples[stitching.kept(samples)], stitching.model_rate, stitching.speed);
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
mod tests {
    use std::convert::Infallible;
    use std::io::Cursor;

    use waveform::encode::Format;
    use waveform::levels::{rms, to_decibels};
    use waveform::wav;

    use super::*;

    const RATE: u32 = 24_000;

    fn tone(length: usize, amplitude: f32) -> Vec<f32> {
        // Begins and ends at the crest, where an unfaded edge clicks loudest.
        (0..length)
            .map(|n| amplitude * (n as f32 * 440.0 * std::f32::consts::TAU / RATE as f32).cos())
            .collect()
    }

    fn stitched(chunks: &[(Vec<f32>, Boundary)], stitching: &Stitching) -> Vec<f32> {
        let mut encoder = Encoder::new(Cursor::new(Vec::new()), Format::Wav, stitching.output_rate).unwrap();
        let frames =
            stitch(chunks.iter().cloned().map(Ok::<_, Infallible>), &mut encoder, stitching).unwrap();
        let file = encoder.finish().unwrap().into_inner();
        let samples = wav::read_from(Cursor::new(file)).unwrap().samples;
        assert_eq!(samples.len() as u64, frames);
        samples
    }

    fn steepest(samples: &[f32]) -> f32 {
        samples.windows(2).map(|pair| (pair[1] - pair[0]).abs()).fold(0.0, f32::max)
    }

    #[test]
    fn a_single_chunk_passes_through_but_for_its_edges() {
        let chunk = tone(24_000, 0.5);
        let result = stitched(&[(chunk.clone(), Boundary::End)], &Stitching::new(RATE, RATE));
        assert_eq!(result.len(), chunk.len());
        let edge = 120;
        for (a, b) in result[edge..24_000 - edge].iter().zip(&chunk[edge..24_000 - edge]) {
            assert!((a - b).abs() < 1.0 / 32_000.0);
        }
    }

    #[test]
    fn durations_are_exact_and_pauses_follow_the_boundary() {
        let chunk = || tone(12_000, 0.5);
        let chunks = [
            (chunk(), Boundary::Clause),
            (chunk(), Boundary::Sentence),
            (chunk(), Boundary::Paragraph),
            (chunk(), Boundary::End),
        ];
        let result = stitched(&chunks, &Stitching::new(RATE, RATE));
        assert_eq!(result.len(), 4 * 12_000 + (1_920 + 4_800 + 14_400));
        let silent = |start: usize, length: usize| result[start..start + length].iter().all(|&s| s == 0.0);
        assert!(silent(12_000, 1_920) && silent(25_920, 4_800) && silent(42_720, 14_400));
        assert!(result[57_120 + 200..].iter().any(|s| s.abs() > 0.4));
    }

    #[test]
    fn no_seam_clicks() {
        let chunks = [
            (tone(12_005, 0.9), Boundary::Sentence),
            (tone(9_991, 0.9), Boundary::Paragraph),
            (tone(5_000, 0.9), Boundary::End),
        ];
        let natural = steepest(&tone(1_000, 0.9));
        for speed in [0.5, 1.0, 1.7] {
            let result = stitched(&chunks, &Stitching { speed, ..Stitching::new(RATE, RATE) });
            assert!(steepest(&result) < natural * 1.15, "× {speed}: {} of {natural}", steepest(&result));
            assert!(result[0].abs() < 0.01 && result[result.len() - 1].abs() < 0.01);
        }
    }

    #[test]
    fn tempo_scales_speech_and_pauses_alike() {
        let chunks = [(tone(24_000, 0.5), Boundary::Sentence), (tone(24_000, 0.5), Boundary::End)];
        let result = stitched(&chunks, &Stitching { speed: 2.0, ..Stitching::new(RATE, RATE) });
        assert_eq!(result.len(), 12_000 + 2_400 + 12_000);
    }

    #[test]
    fn resampling_runs_through_the_seams_with_exact_length() {
        let chunks = [(tone(10_001, 0.5), Boundary::Sentence), (tone(7_003, 0.5), Boundary::End)];
        for output_rate in [8_000, 16_000, 44_100, 48_000] {
            let result = stitched(&chunks, &Stitching::new(RATE, output_rate));
            let input = 10_001 + 4_800 + 7_003u64;
            assert_eq!(
                result.len() as u64,
                (input * u64::from(output_rate)).div_ceil(u64::from(RATE)),
                "{output_rate}"
            );
            let natural = steepest(&tone(1_000, 0.5)) * RATE as f32 / output_rate as f32;
            assert!(steepest(&result) < natural * 1.2, "{output_rate}");
        }
    }

    #[test]
    fn excess_silence_at_the_ends_goes_and_a_little_stays() {
        let mut chunk = vec![1e-5; 24_000];
        chunk.extend(tone(12_000, 0.5));
        chunk.extend(vec![1e-5; 48_000]);
        let result = stitched(&[(chunk.clone(), Boundary::End)], &Stitching::new(RATE, RATE));
        // 40 ms before, 80 ms behind, to a frame of 5 ms each.
        assert!((12_000 + 2_880..=12_000 + 2_880 + 240).contains(&result.len()), "{}", result.len());
        let kept = stitched(
            &[(chunk.clone(), Boundary::End)],
            &Stitching { trim: None, ..Stitching::new(RATE, RATE) },
        );
        assert_eq!(kept.len(), chunk.len());
        let silence = stitched(&[(vec![0.0; 5_000], Boundary::End)], &Stitching::new(RATE, RATE));
        assert_eq!(silence.len(), 5_000);
    }

    #[test]
    fn a_chunk_that_would_clip_is_turned_down_and_others_are_not() {
        let chunks = [(tone(12_000, 1.4), Boundary::Sentence), (tone(12_000, 0.5), Boundary::End)];
        let result = stitched(&chunks, &Stitching::new(RATE, RATE));
        assert!((peak(&result[..12_000]) - 0.95).abs() < 0.001);
        let quiet = to_decibels(rms(&result[17_000..28_000]) / (0.5 / 2f32.sqrt()));
        assert!(quiet.abs() < 0.05, "{quiet}");
    }

    #[test]
    fn a_chunk_that_cannot_be_read_stops_the_work() {
        let mut encoder = Encoder::new(Cursor::new(Vec::new()), Format::Flac, RATE).unwrap();
        let chunks = [Ok((tone(100, 0.5), Boundary::Sentence)), Err(std::io::Error::other("gone"))];
        let error = stitch(chunks, &mut encoder, &Stitching::new(RATE, RATE)).unwrap_err();
        assert!(matches!(error, StitchError::Chunk(_)));
    }
}
