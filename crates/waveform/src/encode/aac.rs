//! AAC-LC frames as a stream, alone with ADTS heads; [`super::m4a`] puts the same frames into MP4.
//!
//! The encoder takes a whole sound and gives all frames of it. A frame depends on its own block of samples and the one
//! before, and on whether attacks are near, so the sound is encoded in overlapping pieces instead, and the frames of one
//! piece go over into those of the next where the window of both has the same slope: memory is bounded by one piece, and no
//! seam exists in the sound. The first frame is the encoder's delay; ADTS has no place to say so.

use std::collections::VecDeque;

use rusty_aac::{AacEncoder, AacEncoderConfig, AdtsHeader, write_adts_header};

use super::{Codec, EncodeError, Encoding, Patch, clipped, id3};

/// Samples of a frame, and of the delay.
pub(super) const FRAME: usize = 1_024;
/// New frames of a piece; some seconds.
const PIECE: usize = 128;
/// Frames that two pieces have both, among which the passage is chosen.
const OVERLAP: usize = 8;
/// Blocks at either end of a piece whose frames are not used: what lies beyond could have changed their windows.
const MARGIN: usize = 4;

/// Samples in, raw access units out.
pub(super) struct Frames {
    config: AacEncoderConfig,
    sample_rate: u32,
    /// The sound from block `start` on.
    buffer: Vec<f32>,
    start: usize,
    /// The last frames of the piece before, the first of them for block `next`.
    held: VecDeque<Vec<u8>>,
    next: usize,
    /// The frame that left last.
    slope: Slope,
}

/// How a frame's window ends and how the next one's must begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Slope {
    Long,
    Short,
}

impl Frames {
    pub(super) fn new(encoding: &Encoding) -> Self {
        let config = AacEncoderConfig {
            bitrate_bps: encoding.bit_rate_kbps() * 1_000,
            // Voiced speech is tonal, and tones hide less noise than noise does: 2 dB less of it at the same rate, measured.
            tonality_smr: true,
            ..AacEncoderConfig::default()
        };
        Self {
            config,
            sample_rate: encoding.sample_rate,
            buffer: Vec::new(),
            start: 0,
            held: VecDeque::new(),
            next: 0,
            slope: Slope::Long,
        }
    }

    pub(super) fn write(
        &mut self,
        samples: &[f32],
        each: &mut dyn FnMut(Vec<u8>),
    ) -> Result<(), EncodeError> {
        // Taken up bit by bit, or a long write would be one long buffer.
        for part in samples.chunks(PIECE * FRAME) {
            self.buffer.extend(part.iter().map(|&sample| clipped(sample)));
            let enough = self.next - self.start + OVERLAP + PIECE + MARGIN;
            while self.buffer.len() >= enough * FRAME {
                self.encode_piece(enough, each)?;
            }
        }
        Ok(())
    }

    /// The rest; one frame more than there are blocks, since each is heard in two.
    pub(super) fn finish(mut self, each: &mut dyn FnMut(Vec<u8>)) -> Result<(), EncodeError> {
        let frames = self.encode(self.buffer.len())?;
        self.pass_over(frames, each);
        self.held.into_iter().for_each(each);
        Ok(())
    }

    fn encode_piece(&mut self, blocks: usize, each: &mut dyn FnMut(Vec<u8>)) -> Result<(), EncodeError> {
        let mut frames = self.encode(blocks * FRAME)?;
        frames.truncate(blocks - MARGIN);
        self.pass_over(frames, each);
        while self.held.len() > OVERLAP {
            if let Some(frame) = self.held.pop_front() {
                self.send(frame, each);
            }
        }
        // The frame before the next one's window may reach back `MARGIN` blocks.
        let start = self.next.saturating_sub(MARGIN);
        self.buffer.drain(..(start - self.start) * FRAME);
        self.start = start;
        Ok(())
    }

    /// Sends held frames up to the place where `frames`, which begin at block `start`, can go on, and holds those instead.
    fn pass_over(&mut self, frames: Vec<Vec<u8>>, each: &mut dyn FnMut(Vec<u8>)) {
        let mut frames: VecDeque<Vec<u8>> = frames.into_iter().skip(self.next - self.start).collect();
        while let Some(old) = self.held.pop_front() {
            if frames.front().is_some_and(|frame| opening(frame) == self.slope) {
                break;
            }
            self.send(old, each);
            frames.pop_front();
        }
        self.held = frames;
    }

    fn send(&mut self, frame: Vec<u8>, each: &mut dyn FnMut(Vec<u8>)) {
        self.slope = closing(&frame);
        self.next += 1;
        each(frame);
    }

    fn encode(&self, samples: usize) -> Result<Vec<Vec<u8>>, EncodeError> {
        let mut encoder = AacEncoder::new(self.config);
        encoder.push_pcm(&self.buffer[..samples], 1, self.sample_rate).map_err(failed)?;
        encoder.finish();
        Ok(std::iter::from_fn(|| encoder.next_packet().ok()).map(|packet| packet.data).collect())
    }
}

/// Of a single channel element: 3 bits of kind, 4 of tag, 8 of gain and one that is reserved go before it.
fn window_sequence(frame: &[u8]) -> u8 {
    frame.get(2).map_or(0, |byte| byte >> 6)
}

/// Sequences are only-long 0, long-start 1, eight-short 2, long-stop 3.
fn opening(frame: &[u8]) -> Slope {
    if window_sequence(frame) >= 2 { Slope::Short } else { Slope::Long }
}

fn closing(frame: &[u8]) -> Slope {
    if matches!(window_sequence(frame), 1 | 2) { Slope::Short } else { Slope::Long }
}

fn failed(error: rusty_aac::Error) -> EncodeError {
    EncodeError::Codec { format: super::Format::Aac, source: error.into() }
}

impl std::fmt::Debug for Frames {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Frames")
            .field("config", &self.config)
            .field("next", &self.next)
            .finish_non_exhaustive()
    }
}

/// Frames with a head each.
#[derive(Debug)]
pub(super) struct Adts {
    frames: Frames,
    sample_rate: u32,
}

impl Adts {
    pub(super) fn new(encoding: &Encoding, out: &mut Vec<u8>) -> Self {
        out.extend(id3::tag(&encoding.tags));
        Self { frames: Frames::new(encoding), sample_rate: encoding.sample_rate }
    }
}

fn append(frame: &[u8], sample_rate: u32, out: &mut Vec<u8>) {
    const HEAD: usize = 7;
    out.extend(write_adts_header(&AdtsHeader {
        object_type: 2,
        sample_rate,
        channels: 1,
        frame_length: HEAD + frame.len(),
        header_len: HEAD,
    }));
    out.extend(frame);
}

impl Codec for Adts {
    fn write(&mut self, samples: &[f32], out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let sample_rate = self.sample_rate;
        self.frames.write(samples, &mut |frame| append(&frame, sample_rate, out))
    }

    fn finish(self: Box<Self>, out: &mut Vec<u8>) -> Result<Vec<Patch>, EncodeError> {
        let sample_rate = self.sample_rate;
        self.frames.finish(&mut |frame| append(&frame, sample_rate, out))?;
        Ok(Vec::new())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encode::Format;
    use crate::test_signals::{noise, vowel};

    /// Syllables of 80 ms with hard attacks over some noise.
    fn syllables(seconds: usize) -> Vec<f32> {
        let mut sound = vowel(130.0, 24_000, 24_000 * seconds);
        for (n, sample) in sound.iter_mut().enumerate() {
            if n / 1_920 % 3 == 0 {
                *sample = 0.0;
            }
        }
        sound.iter().zip(noise(sound.len(), 0.002)).map(|(a, b)| a + b).collect()
    }

    fn frames(sound: &[f32], piece: usize) -> Vec<Vec<u8>> {
        let mut frames = Frames::new(&Encoding::new(Format::Aac, 24_000));
        let mut all = Vec::new();
        for part in sound.chunks(piece) {
            frames.write(part, &mut |frame| all.push(frame)).unwrap();
            assert!(frames.buffer.len() <= (2 * PIECE + OVERLAP + 2 * MARGIN) * FRAME);
        }
        frames.finish(&mut |frame| all.push(frame)).unwrap();
        all
    }

    #[test]
    fn pieces_give_as_many_frames_as_the_whole_and_windows_that_fit_together() {
        let sound = syllables(40);
        let all = frames(&sound, 5_000);
        assert_eq!(all.len(), sound.len().div_ceil(FRAME) + 1);
        assert!(all.iter().any(|frame| window_sequence(frame) == 2), "attacks take short windows");
        for (index, pair) in all.windows(2).enumerate() {
            assert_eq!(closing(&pair[0]), opening(&pair[1]), "frame {index}");
        }
    }

    #[test]
    fn how_samples_arrive_does_not_matter() {
        let sound = syllables(20);
        assert!(frames(&sound, 777) == frames(&sound, sound.len()));
    }
}
