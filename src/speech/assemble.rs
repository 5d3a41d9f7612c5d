//! From a job's chunk files to its one audio file: reads the chunks one by one through [`stitch`] into the encoder that the
//! request asks for. The worker and the command line both end here.

use std::fs::File;
use std::path::PathBuf;

use waveform::encode::{Encoder, Format};
use waveform::wav::{self, WavError};

use super::chunk::Boundary;
use super::stitch::{StitchError, Stitching, stitch};
use super::{AudioFormat, Cancel, SpeechRequest};

/// A finished chunk on disk and what follows it.
#[derive(Clone, Debug)]
pub struct SpokenChunk {
    /// 32-bit float wav, mono, at the model's rate.
    pub path: PathBuf,
    pub pause: Boundary,
}

/// Why there is no file.
#[derive(Debug, thiserror::Error)]
pub enum AssembleError {
    #[error("cancelled")]
    Cancelled,
    #[error(transparent)]
    Stitch(#[from] StitchError<ChunkError>),
}

/// Why a chunk was not read.
#[derive(Debug, thiserror::Error)]
pub enum ChunkError {
    #[error("cancelled")]
    Cancelled,
    #[error(transparent)]
    Wav(#[from] WavError),
}

/// How a request wants its chunks joined.
pub(super) fn stitching(request: &SpeechRequest, model_rate: u32) -> Stitching {
    Stitching { speed: request.speed, ..Stitching::new(model_rate, request.sample_rate) }
}

/// Joins `chunks` into `out` as the request wants it and returns the milliseconds of audio. Blocks; asks `cancel` between
/// chunks. On an error `out` holds nothing of use.
pub fn assemble(
    chunks: &[SpokenChunk],
    model_rate: u32,
    request: &SpeechRequest,
    cancel: &Cancel,
    out: File,
) -> Result<u64, AssembleError> {
    let format = match request.format {
        AudioFormat::Wav => Format::Wav,
        AudioFormat::Flac => Format::Flac,
    };
    let mut encoder = Encoder::new(out, format, request.sample_rate).map_err(StitchError::Encode)?;
    let stitching = stitching(request, model_rate);
    let read = chunks.iter().map(|chunk| {
        if cancel.is_cancelled() {
            return Err(ChunkError::Cancelled);
        }
        Ok((wav::read(&chunk.path)?.samples, chunk.pause))
    });
    let samples = match stitch(read, &mut encoder, &stitching) {
        Err(StitchError::Chunk(ChunkError::Cancelled)) => return Err(AssembleError::Cancelled),
        stitched => stitched?,
    };
    encoder.finish().map_err(StitchError::Encode)?;
    Ok(samples * 1000 / u64::from(request.sample_rate.max(1)))
}
