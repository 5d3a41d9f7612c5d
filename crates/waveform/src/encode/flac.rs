//! 16-bit mono FLAC, block by block. In a file STREAMINFO gets its MD5 and sample count at the end; a stream leaves both open,
//! which the format allows.

use flac_codec::encode::{FlacSampleWriter, Options};

use super::spool::Spool;
use super::{Codec, EncodeError, Encoding, Format, Patch, Target, to_pcm16};

/// Samples converted at a time: bounds the integer copy, and the encoder's own buffer with it.
const PIECE: usize = 4_096;

pub(super) struct Flac {
    writer: FlacSampleWriter<Spool>,
    spool: Spool,
    integers: Vec<i32>,
}

impl Flac {
    pub(super) fn new(encoding: &Encoding, target: Target, out: &mut Vec<u8>) -> Result<Self, EncodeError> {
        // The 4 KB of padding that the options bring by default make room for a seek table of some 200 points, which a
        // stream could not fill in.
        let options = match target {
            Target::File => Options::default(),
            Target::Stream => Options::default().no_padding().no_seektable(),
        };
        let options =
            encoding.tags.fields().fold(options, |options, (name, value)| options.tag(&name, value));
        let spool = Spool::default();
        let writer = FlacSampleWriter::new(spool.clone(), options, encoding.sample_rate, 16, 1, None)
            .map_err(failed)?;
        spool.drain(out);
        Ok(Self { writer, spool, integers: Vec::with_capacity(PIECE) })
    }
}

impl Codec for Flac {
    fn write(&mut self, samples: &[f32], out: &mut Vec<u8>) -> Result<(), EncodeError> {
        for piece in samples.chunks(PIECE) {
            self.integers.clear();
            self.integers.extend(piece.iter().map(|&sample| i32::from(to_pcm16(sample))));
            self.writer.write(&self.integers).map_err(failed)?;
        }
        self.spool.drain(out);
        Ok(())
    }

    fn finish(self: Box<Self>, out: &mut Vec<u8>) -> Result<Vec<Patch>, EncodeError> {
        self.writer.finalize().map_err(failed)?;
        self.spool.drain(out);
        Ok(self.spool.patches())
    }
}

fn failed(error: flac_codec::Error) -> EncodeError {
    EncodeError::Codec { format: Format::Flac, source: error.into() }
}

impl std::fmt::Debug for Flac {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Flac").field("spool", &self.spool).finish_non_exhaustive()
    }
}
