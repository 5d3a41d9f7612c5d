//! 16-bit mono FLAC, written block by block; STREAMINFO gets its MD5 and sample count at the end.

use std::io::{Seek, Write};

use flac_codec::encode::{FlacSampleWriter, Options};

use super::sink::Sink;
use super::{EncodeError, to_pcm16};

/// Samples converted at a time: bounds the integer copy, and the encoder's own buffer with it.
const PIECE: usize = 4_096;

pub(super) struct FlacEncoder<W: Write + Seek> {
    writer: FlacSampleWriter<Sink<W>>,
    integers: Vec<i32>,
}

impl<W: Write + Seek> FlacEncoder<W> {
    pub(super) fn new(sink: Sink<W>, sample_rate: u32) -> Result<Self, EncodeError> {
        // The 4 KB of padding that the options bring by default make room for a seek table of some 200 points.
        let writer =
            FlacSampleWriter::new(sink, Options::default(), sample_rate, 16, 1, None).map_err(from_flac)?;
        Ok(Self { writer, integers: Vec::with_capacity(PIECE) })
    }

    pub(super) fn write(&mut self, samples: &[f32]) -> Result<(), EncodeError> {
        for piece in samples.chunks(PIECE) {
            self.integers.clear();
            self.integers.extend(piece.iter().map(|&sample| i32::from(to_pcm16(sample))));
            self.writer.write(&self.integers).map_err(from_flac)?;
        }
        Ok(())
    }

    pub(super) fn finish(self) -> Result<(), EncodeError> {
        self.writer.finalize().map_err(from_flac)
    }
}

fn from_flac(error: flac_codec::Error) -> EncodeError {
    match error {
        flac_codec::Error::Io(error) => EncodeError::Io(error),
        other => EncodeError::Flac(other),
    }
}

impl<W: Write + Seek> std::fmt::Debug for FlacEncoder<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FlacEncoder").finish_non_exhaustive()
    }
}
