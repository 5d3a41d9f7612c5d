//! 16-bit samples: alone, or behind the head of a wav file.
//!
//! A wav file's head counts bytes in 32 bits, so it ends before 4 GB: 24.8 hours at 24 kHz. One that streams does not know
//! its length; it says the largest possible, as ffmpeg and sox do, which readers understand as "until it ends". Its tags
//! follow the samples, where programs that take the first 44 bytes for the head do not meet them.

use super::{Codec, EncodeError, Encoding, Patch, Tags, Target};

const HEAD: usize = 44;
const UNKNOWN_LENGTH: u32 = u32::MAX;

#[derive(Debug)]
pub(super) struct Pcm;

impl Codec for Pcm {
    fn write(&mut self, samples: &[f32], out: &mut Vec<u8>) -> Result<(), EncodeError> {
        append(samples, out);
        Ok(())
    }

    fn finish(self: Box<Self>, _out: &mut Vec<u8>) -> Result<Vec<Patch>, EncodeError> {
        Ok(Vec::new())
    }
}

#[derive(Debug)]
pub(super) struct Wav {
    target: Target,
    tags: Vec<u8>,
    data_bytes: u64,
}

impl Wav {
    pub(super) fn new(encoding: &Encoding, target: Target, out: &mut Vec<u8>) -> Self {
        out.extend(head(encoding.sample_rate, UNKNOWN_LENGTH, UNKNOWN_LENGTH));
        Self { target, tags: list(&encoding.tags), data_bytes: 0 }
    }

    /// The RIFF length field counts the file without its own first 8 bytes.
    fn riff_bytes(&self) -> u64 {
        (HEAD - 8) as u64 + self.data_bytes + self.tags.len() as u64
    }
}

impl Codec for Wav {
    fn write(&mut self, samples: &[f32], out: &mut Vec<u8>) -> Result<(), EncodeError> {
        self.data_bytes += 2 * samples.len() as u64;
        if self.target == Target::File && self.riff_bytes() >= u64::from(UNKNOWN_LENGTH) {
            return Err(EncodeError::TooLong);
        }
        append(samples, out);
        Ok(())
    }

    fn finish(self: Box<Self>, out: &mut Vec<u8>) -> Result<Vec<Patch>, EncodeError> {
        if self.target == Target::Stream {
            return Ok(Vec::new());
        }
        out.extend(&self.tags);
        let lengths = [(4, self.riff_bytes()), (40, self.data_bytes)];
        Ok(lengths.map(|(at, length)| Patch { at, bytes: (length as u32).to_le_bytes().to_vec() }).into())
    }
}

fn append(samples: &[f32], out: &mut Vec<u8>) {
    out.reserve(2 * samples.len());
    for &sample in samples {
        out.extend(super::to_pcm16(sample).to_le_bytes());
    }
}

fn head(sample_rate: u32, riff_bytes: u32, data_bytes: u32) -> Vec<u8> {
    let mut head = Vec::with_capacity(HEAD);
    head.extend(b"RIFF");
    head.extend(riff_bytes.to_le_bytes());
    head.extend(b"WAVEfmt ");
    head.extend(16u32.to_le_bytes());
    // PCM, one channel.
    head.extend([1, 0, 1, 0]);
    head.extend(sample_rate.to_le_bytes());
    head.extend((2 * sample_rate).to_le_bytes());
    // Bytes per sample, bits per sample.
    head.extend([2, 0, 16, 0]);
    head.extend(b"data");
    head.extend(data_bytes.to_le_bytes());
    head
}

/// `LIST INFO`: the few fields that the format has names for; everything else is a comment.
fn list(tags: &Tags) -> Vec<u8> {
    let comment: Vec<String> = tags.details.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    let comment = comment.join(", ");
    let fields =
        [(b"INAM", &tags.title), (b"IART", &tags.artist), (b"ICMT", &comment), (b"ISFT", &tags.software)];
    let mut info = b"INFO".to_vec();
    for (id, text) in fields.into_iter().filter(|(_, text)| !text.is_empty()) {
        info.extend(id);
        info.extend((text.len() as u32 + 1).to_le_bytes());
        info.extend(text.as_bytes());
        // A zero ends the text; chunks begin at even places.
        info.extend(std::iter::repeat_n(0, 2 - text.len() % 2));
    }
    if info.len() == 4 {
        return Vec::new();
    }
    [&b"LIST"[..], &(info.len() as u32).to_le_bytes(), &info].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encode::Format;

    #[test]
    fn a_file_ends_before_its_head_can_no_longer_count_it_and_a_stream_goes_on() {
        let encoding = Encoding::new(Format::Wav, 24_000);
        for (target, fits) in [(Target::File, false), (Target::Stream, true)] {
            let mut wav = Wav::new(&encoding, target, &mut Vec::new());
            wav.data_bytes = u64::from(UNKNOWN_LENGTH) - 36 - 2;
            assert_eq!(wav.write(&[0.5], &mut Vec::new()).is_ok(), fits, "{target:?}");
        }
        let mut wav = Wav::new(&encoding, Target::File, &mut Vec::new());
        wav.data_bytes = u64::from(UNKNOWN_LENGTH) - 36 - 3;
        assert!(wav.write(&[0.5], &mut Vec::new()).is_ok());
    }
}
