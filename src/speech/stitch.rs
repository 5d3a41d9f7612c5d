//! Joins the spoken chunks of a job into one file.
//!
//! Chunks are read one after the other, so memory stays that of one chunk however long the text is. The simplest joiner:
//! silence between chunks, 16-bit wav at the model's rate.

use std::fs::File;
use std::io::BufWriter;
use std::path::PathBuf;

use super::chunk::Boundary;
use super::{Cancel, SpeechRequest};

/// A finished chunk on disk and what follows it.
#[derive(Clone, Debug)]
pub struct SpokenChunk {
    /// 32-bit float wav, mono.
    pub path: PathBuf,
    pub pause: Boundary,
}

#[derive(Debug, thiserror::Error)]
pub enum StitchError {
    #[error("cancelled")]
    Cancelled,
    #[error("a chunk cannot be read or the result cannot be written")]
    Wav(#[from] hound::Error),
}

/// Joins `chunks` into `out` as the request wants it and returns the milliseconds of audio. Blocks; asks `cancel` between
/// chunks.
pub fn stitch(
    chunks: &[SpokenChunk],
    model_rate: u32,
    _request: &SpeechRequest,
    cancel: &Cancel,
    out: File,
) -> Result<u64, StitchError> {
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: model_rate,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut writer = hound::WavWriter::new(BufWriter::new(out), spec)?;
    for chunk in chunks {
        if cancel.is_cancelled() {
            return Err(StitchError::Cancelled);
        }
        for sample in hound::WavReader::open(&chunk.path)?.samples::<f32>() {
            writer.write_sample((sample?.clamp(-1.0, 1.0) * f32::from(i16::MAX)) as i16)?;
        }
        let pause_ms = match chunk.pause {
            Boundary::Paragraph => 600,
            Boundary::Sentence => 300,
            Boundary::Clause => 100,
            Boundary::End => 0,
        };
        for _ in 0..model_rate * pause_ms / 1000 {
            writer.write_sample(0_i16)?;
        }
    }
    let samples = u64::from(writer.duration());
    writer.finalize()?;
    Ok(samples * 1000 / u64::from(model_rate.max(1)))
}
