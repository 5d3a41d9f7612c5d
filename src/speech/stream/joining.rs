//! Chunks into one sound while they are spoken, as [`stitch`](crate::speech::stitch) joins them when they are whole.
//!
//! The same samples: what a chunk's file would keep is let go as it comes, faded at its edges, followed by its pause. Two
//! things are decided before the chunk is known. Where speech begins is judged against the loudest place so far instead of
//! the loudest of all, so some near-silence may precede a chunk that begins very softly; and silence is held back, since the
//! chunk may end in it. At another tempo than the model's own, and where silences inside are shortened, a chunk is let go when
//! it is whole.

use waveform::fade;
use waveform::levels::peak;
use waveform::resample::Resampler;

use crate::speech::chunk::Boundary;
use crate::speech::stitch::{Stitching, Trim, finished};
use crate::speech::timeline::Span;

/// Below this peak nothing is taken for speech yet: 46 dB below full scale.
const FAINTEST: f32 = 0.005;

#[derive(Debug)]
pub(super) struct Joining {
    stitching: Stitching,
    resampler: Resampler,
    /// The tempo of the chunk beside that of the whole.
    rate: f32,
    /// The chunk so far, at the model's rate.
    chunk: Vec<f32>,
    /// Where what was let go began and ended.
    sent: Option<(usize, usize)>,
    /// Samples let go in all, at the model's rate.
    passed: u64,
    /// Of them those before the chunk.
    before: u64,
}

impl Joining {
    pub(super) fn new(stitching: Stitching) -> Self {
        let resampler = Resampler::new(stitching.model_rate, stitching.output_rate);
        Self { stitching, resampler, rate: 1.0, chunk: Vec::new(), sent: None, passed: 0, before: 0 }
    }

    /// Samples of the chunk that were pushed.
    pub(super) fn heard(&self) -> usize {
        self.chunk.len()
    }

    /// The tempo of the chunk that comes, beside that of the whole; before anything of it is pushed.
    pub(super) fn set_rate(&mut self, rate: f32) {
        self.rate = rate;
    }

    /// More of the chunk; appends what can be let go to `out`.
    pub(super) fn push(&mut self, samples: &[f32], out: &mut Vec<f32>) {
        self.chunk.extend_from_slice(samples);
        if self.needs_the_whole() || peak(&self.chunk) < FAINTEST {
            return;
        }
        let kept = Stitching { trim: self.stitching.trim.map(Trim::without_tail), ..self.stitching }
            .kept(&self.chunk);
        // The last samples are faded out if the chunk ends here.
        self.send(kept.start, kept.end.saturating_sub(self.stitching.edge()), out);
    }

    /// Where a vowel may be shortened, and what is silence beside the loudest place, hang on all of a chunk.
    fn needs_the_whole(&self) -> bool {
        (self.stitching.at_rate(self.rate).speed - 1.0).abs() > 1e-6
            || self.stitching.longest_silence.is_some()
    }

    /// The chunk is whole: appends the rest of it and its pause. Returns where it lies in the sound.
    pub(super) fn end_chunk(&mut self, boundary: Boundary, out: &mut Vec<f32>) -> Span {
        let chunk = std::mem::take(&mut self.chunk);
        let (rest, heard) = match self.sent.take() {
            None => {
                let whole = finished(&chunk, &self.stitching.at_rate(self.rate));
                (whole.clone(), whole)
            }
            Some((start, sent)) => {
                let end = self.stitching.kept(&chunk).end.max(sent);
                let mut rest = chunk[sent..end].to_vec();
                fade::fade_out(&mut rest, self.stitching.edge());
                (rest, chunk[start..end].to_vec())
            }
        };
        self.pass(&rest, out);
        let span = self.stitching.span(self.before, &heard);
        self.pass(&vec![0.0; self.stitching.pause(boundary)], out);
        self.before = self.passed;
        span
    }

    /// Where the chunk that comes next will begin, in samples of the result.
    pub(super) fn next_place(&self) -> u64 {
        self.stitching.span(self.before, &[]).place.start
    }

    fn pass(&mut self, samples: &[f32], out: &mut Vec<f32>) {
        self.resampler.process(samples, out);
        self.passed += samples.len() as u64;
    }

    /// That was the last chunk.
    pub(super) fn finish(&mut self, out: &mut Vec<f32>) {
        self.resampler.finish(out);
    }

    /// Lets go of the chunk up to `end`; the first time from `start` on.
    fn send(&mut self, start: usize, end: usize, out: &mut Vec<f32>) {
        let edge = self.stitching.edge();
        let (start, sent) = match self.sent {
            Some(sent) => sent,
            // The whole edge at once, or the fade would have to be continued.
            None if end < start + edge => return,
            None => (start, start),
        };
        if end <= sent {
            return;
        }
        let mut new = self.chunk[sent..end].to_vec();
        if sent == start {
            fade::fade_in(&mut new, edge);
        }
        self.pass(&new, out);
        self.sent = Some((start, end));
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::f32::consts::TAU;

    use super::*;
    use crate::speech::stitch::stitch;

    const RATE: u32 = 24_000;

    /// Words of some tones with silences between and around.
    fn speech(words: &[(usize, f32)]) -> Vec<f32> {
        let mut samples = vec![1e-5; 6_000];
        for (length, level) in words {
            samples.extend((0..*length).map(|n| level * (n as f32 * 440.0 * TAU / RATE as f32).sin()));
            samples.extend(vec![1e-5; 3_000]);
        }
        samples
    }

    fn filed(chunks: &[(Vec<f32>, Boundary)], stitching: &Stitching) -> Vec<f32> {
        let mut filed = Vec::new();
        stitch(chunks.iter().cloned().map(Ok::<_, Infallible>), stitching, &mut |samples| {
            filed.extend_from_slice(samples);
            Ok(())
        })
        .unwrap();
        filed
    }

    fn streamed(chunks: &[(Vec<f32>, Boundary)], stitching: &Stitching, block: usize) -> (Vec<f32>, usize) {
        let (mut joining, mut out, mut before_the_end) = (Joining::new(*stitching), Vec::new(), 0);
        for (samples, boundary) in chunks {
            for block in samples.chunks(block) {
                joining.push(block, &mut out);
            }
            before_the_end += out.len();
            let _place = joining.end_chunk(*boundary, &mut out);
        }
        joining.finish(&mut out);
        (out, before_the_end)
    }

    #[test]
    fn what_is_streamed_is_what_is_filed_to_the_sample() {
        let chunks = [
            (speech(&[(9_000, 0.5), (12_000, 0.3)]), Boundary::Sentence),
            (speech(&[(5_000, 0.2), (7_000, 0.9)]), Boundary::Paragraph),
            (vec![0.0; 4_800], Boundary::Clause),
            (speech(&[(400, 0.5)]), Boundary::End),
        ];
        for (output_rate, speed) in [(24_000, 1.0), (44_100, 1.0), (16_000, 1.0), (24_000, 1.3), (8_000, 0.7)]
        {
            let stitching = Stitching { speed, ..Stitching::new(RATE, output_rate) };
            let filed = filed(&chunks, &stitching);
            for block in [480, 7_680, 1_000_000] {
                let (streamed, early) = streamed(&chunks, &stitching, block);
                assert_eq!(streamed.len(), filed.len(), "{output_rate} Hz × {speed} in {block}");
                // A resampler that is fed in other pieces adds in another order.
                let error = streamed.iter().zip(&filed).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
                assert!(error < 1e-5, "{output_rate} Hz × {speed} in {block}: {error}");
                assert!(speed != 1.0 || early > filed.len() / 2, "let go while it was spoken: {early}");
            }
        }
    }

    #[test]
    fn a_chunk_is_placed_where_the_file_has_it() {
        let chunks = [
            (speech(&[(9_000, 0.5), (12_000, 0.3)]), Boundary::Sentence),
            (speech(&[(5_000, 0.2), (7_000, 0.9)]), Boundary::Paragraph),
            (speech(&[(400, 0.5)]), Boundary::End),
        ];
        for (output_rate, speed) in [(24_000, 1.0), (44_100, 1.0), (24_000, 1.3)] {
            let stitching = Stitching { speed, ..Stitching::new(RATE, output_rate) };
            let read = chunks.iter().cloned().map(Ok::<_, Infallible>);
            let filed = stitch(read, &stitching, &mut |_samples| Ok(())).unwrap();
            let mut joining = Joining::new(stitching);
            let mut begins = 0;
            for ((samples, boundary), span) in chunks.iter().zip(&filed.spans) {
                joining.push(samples, &mut Vec::new());
                let place = joining.end_chunk(*boundary, &mut Vec::new()).place;
                assert!(place.start.abs_diff(span.place.start) <= 1, "{place:?} {:?}", span.place);
                assert!(place.end.abs_diff(span.place.end) <= 1, "{place:?} {:?}", span.place);
                assert_eq!(place.start, begins);
                begins = joining.next_place();
            }
        }
    }

    #[test]
    fn a_chunk_that_begins_softly_is_preceded_by_near_silence_at_most() {
        // 55 dB below what follows: silence for the file, and not yet for somebody who has only heard this.
        let mut chunk = vec![0.0; 2_400];
        chunk.extend((0..4_800).map(|n| 0.006 * (n as f32 * 0.1).sin()));
        chunk.extend(speech(&[(9_000, 0.9), (4_000, 0.9)]));
        chunk.iter_mut().take(7_200).for_each(|sample| *sample *= 0.3 * 2.8);
        let chunks = [(chunk, Boundary::End)];
        let stitching = Stitching::new(RATE, RATE);
        let (filed, (streamed, _)) = (filed(&chunks, &stitching), streamed(&chunks, &stitching, 960));
        let more = streamed.len() - filed.len();
        assert!(streamed[..more].iter().all(|sample| sample.abs() < 0.0063));
        let edge = 120;
        let error = streamed[more + edge..].iter().zip(&filed[edge..]).map(|(a, b)| (a - b).abs());
        assert!(error.fold(0.0, f32::max) < 2.0 / 32_768.0);
    }
}
