//! MP3 at a constant bit rate, frame by frame.
//!
//! Frames borrow no bits from each other (no reservoir): each leaves as soon as its samples are there, and any of them can be
//! the first that a listener hears. A file begins with LAME's tag, patched at the end, by which players cut the encoder's
//! delay and padding off exactly. A stream has none: its counts would be lies.

use rusty_mp3::Mp3Encode;
use rusty_mp3::encode::lametag::{self, ENCODER_DELAY, TagInfo, TagStats};
use rusty_mp3::header::FrameHeader;

use super::{Codec, EncodeError, Encoding, Format, Patch, Target, clipped, id3};

pub(super) struct Mp3 {
    encoder: Mp3Encode,
    header: FrameHeader,
    /// Samples that do not fill a frame yet.
    pending: Vec<f32>,
    samples: u64,
    /// Of a file.
    tag: Option<LameTag>,
}

#[derive(Debug)]
struct LameTag {
    header: FrameHeader,
    stats: TagStats,
    at: u64,
}

impl LameTag {
    fn bytes(&self, delay: usize, padding: usize) -> Vec<u8> {
        lametag::tag_frame(&self.header, &self.stats, &TagInfo { vbr: false, delay, padding })
    }
}

impl Mp3 {
    pub(super) fn new(encoding: &Encoding, target: Target, out: &mut Vec<u8>) -> Result<Self, EncodeError> {
        let header =
            rusty_mp3::encoder_header(encoding.sample_rate, 1, encoding.bit_rate_kbps()).map_err(failed)?;
        out.extend(id3::tag(&encoding.tags));
        let tag = (target == Target::File).then(|| {
            let header = lametag::tag_header(&header);
            LameTag { stats: TagStats::new(header.frame_size()), header, at: out.len() as u64 }
        });
        if let Some(tag) = &tag {
            out.extend(tag.bytes(ENCODER_DELAY, 0));
        }
        Ok(Self { encoder: Mp3Encode::new(), header, pending: Vec::new(), samples: 0, tag })
    }

    fn frame_length(&self) -> usize {
        self.header.version.samples_per_frame()
    }

    fn encode_pending(&mut self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let length = self.frame_length();
        let whole = self.pending.len() / length * length;
        for block in self.pending[..whole].chunks_exact(length) {
            let frame = self.encoder.encode_frame(&self.header, &[block], None).map_err(failed)?;
            if let Some(tag) = &mut self.tag {
                tag.stats.add_frame(&frame);
            }
            out.extend(frame);
        }
        self.pending.drain(..whole);
        Ok(())
    }
}

impl Codec for Mp3 {
    fn write(&mut self, samples: &[f32], out: &mut Vec<u8>) -> Result<(), EncodeError> {
        self.samples += samples.len() as u64;
        self.pending.extend(samples.iter().map(|&sample| clipped(sample)));
        self.encode_pending(out)
    }

    fn finish(mut self: Box<Self>, out: &mut Vec<u8>) -> Result<Vec<Patch>, EncodeError> {
        let length = self.frame_length();
        // ffmpeg trims a sound of less than a frame correctly only behind some silence more.
        let priming =
            if self.samples < length as u64 { lametag::extra_priming(self.samples, length) } else { 0 };
        self.pending.splice(..0, std::iter::repeat_n(0.0, priming));
        let delay = ENCODER_DELAY + priming;
        let padding = lametag::padding_for(self.samples, delay, length) as usize;
        // The delay is the encoder's own: so much less has to be pushed behind the sound.
        let flushed = self.pending.len() + padding + ENCODER_DELAY;
        self.pending.resize(flushed, 0.0);
        self.encode_pending(out)?;
        let patch = |tag: &LameTag| Patch { at: tag.at, bytes: tag.bytes(delay, padding) };
        Ok(self.tag.iter().map(patch).collect())
    }
}

fn failed(error: rusty_mp3::Error) -> EncodeError {
    EncodeError::Codec { format: Format::Mp3, source: error.into() }
}

impl std::fmt::Debug for Mp3 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mp3").field("header", &self.header).field("tag", &self.tag).finish_non_exhaustive()
    }
}
