//! 16-bit mono wav. Its head counts bytes in 32 bits, so it ends before 4 GB: 24.8 hours at 24 kHz.

use std::io::{Seek, Write};

use hound::{SampleFormat, WavSpec, WavWriter};

use super::sink::Sink;
use super::{EncodeError, to_pcm16};

/// The RIFF length field counts the file without its own first 8 bytes; 36 of the rest are not samples.
const MAX_FRAMES: u64 = (u32::MAX as u64 - 36) / 2;

pub(super) struct WavEncoder<W: Write + Seek> {
    writer: WavWriter<Sink<W>>,
    frames: u64,
}

impl<W: Write + Seek> WavEncoder<W> {
    pub(super) fn new(sink: Sink<W>, sample_rate: u32) -> Result<Self, EncodeError> {
        let spec =
            WavSpec { channels: 1, sample_rate, bits_per_sample: 16, sample_format: SampleFormat::Int };
        Ok(Self { writer: WavWriter::new(sink, spec).map_err(from_hound)?, frames: 0 })
    }

    pub(super) fn write(&mut self, samples: &[f32]) -> Result<(), EncodeError> {
        self.frames = room_for(self.frames, samples.len())?;
        for piece in samples.chunks(8_192) {
            let mut writer = self.writer.get_i16_writer(piece.len() as u32);
            for &sample in piece {
                writer.write_sample(to_pcm16(sample));
            }
            writer.flush().map_err(from_hound)?;
        }
        Ok(())
    }

    pub(super) fn finish(self) -> Result<(), EncodeError> {
        self.writer.finalize().map_err(from_hound)
    }
}

fn room_for(frames: u64, more: usize) -> Result<u64, EncodeError> {
    let total = frames + more as u64;
    if total > MAX_FRAMES { Err(EncodeError::TooLong) } else { Ok(total) }
}

fn from_hound(error: hound::Error) -> EncodeError {
    match error {
        hound::Error::IoError(error) => EncodeError::Io(error),
        other => EncodeError::Wav(other),
    }
}

impl<W: Write + Seek> std::fmt::Debug for WavEncoder<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WavEncoder").field("frames", &self.frames).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_sample_that_fits_is_taken_and_the_next_refused() {
        assert_eq!(room_for(MAX_FRAMES - 10, 10).unwrap(), MAX_FRAMES);
        assert_eq!(u32::try_from(36 + 2 * MAX_FRAMES), Ok(u32::MAX - 1));
        assert!(matches!(room_for(MAX_FRAMES - 10, 11), Err(EncodeError::TooLong)));
    }
}
