//! From a job's chunk files to its one audio file: reads the chunks one by one through [`stitch`] into the encoder that the
//! request asks for. The worker and the command line both end here.

use std::fs::File;
use std::path::PathBuf;

use waveform::encode::{EncodeError, Encoding, FileEncoder, Tags};
use waveform::wav::{self, WavError};

use super::stitch::{Joint, Measured, StitchError, Stitching, stitch};
use super::takes::Report;
use super::timeline::{Span, SpokenText, Timeline};
use super::{Cancel, SpeechRequest, script};

/// A finished chunk on disk and what follows it.
#[derive(Clone, Debug)]
pub struct SpokenChunk {
    /// 32-bit float wav, mono, at the model's rate.
    pub path: PathBuf,
    pub text: String,
    /// What it says, as it was sent.
    pub written: String,
    pub joint: Joint,
    /// The id of its own voice, where the text changed it.
    pub voice: Option<String>,
    /// How it was spoken, where that is known.
    pub report: Option<Report>,
}

/// A finished file.
#[derive(Clone, Debug, PartialEq)]
pub struct Assembled {
    pub duration_ms: u64,
    pub timeline: Timeline,
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

/// Joins `chunks` into `out` as the request wants it. Blocks; asks `cancel` between
/// chunks. On an error `out` holds nothing of use.
pub fn assemble(
    chunks: &[SpokenChunk],
    model_rate: u32,
    request: &SpeechRequest,
    cancel: &Cancel,
    out: File,
) -> Result<Assembled, AssembleError> {
    let mut encoder = FileEncoder::new(out, &encoding(request)).map_err(StitchError::Encode)?;
    let stitching = Stitching::of(request, model_rate);
    let join = |take: &mut dyn FnMut(&[f32]) -> Result<(), EncodeError>| {
        let read = chunks.iter().map(|chunk| {
            if cancel.is_cancelled() {
                return Err(ChunkError::Cancelled);
            }
            Ok((wav::read(&chunk.path)?.samples, chunk.joint))
        });
        match stitch(read, &stitching, take) {
            Err(StitchError::Chunk(ChunkError::Cancelled)) => Err(AssembleError::Cancelled),
            stitched => Ok(stitched?),
        }
    };
    let mut gain = 1.0;
    if let Some(target) = request.processing.loudness_lufs {
        // Joined twice, since how loud the whole is shows at its end.
        let mut measured = Measured::new(request.sample_rate);
        join(&mut |samples| {
            measured.add(samples);
            Ok(())
        })?;
        gain = measured.gain(target, request.processing.true_peak_db);
    }
    let mut scaled = Vec::new();
    let joined = join(&mut |samples| {
        if gain == 1.0 {
            return encoder.write(samples);
        }
        scaled.clear();
        scaled.extend(samples.iter().map(|sample| sample * gain));
        encoder.write(&scaled)
    })?;
    encoder.finish().map_err(StitchError::Encode)?;
    let rate = request.sample_rate;
    let spoken = |(chunk, span): (&SpokenChunk, &Span)| {
        let text = SpokenText::new(&chunk.text, span, rate, chunk.report.clone());
        SpokenText { voice: chunk.voice.clone(), ..text.written_as(&chunk.written) }
    };
    let timeline = Timeline { chunks: chunks.iter().zip(&joined.spans).map(spoken).collect() };
    Ok(Assembled { duration_ms: joined.length * 1000 / u64::from(rate.max(1)), timeline })
}

/// How the result of a request is written, and what players will say of it.
pub fn encoding(request: &SpeechRequest) -> Encoding {
    let model = request.model.iter().map(|model| ("model".to_owned(), model.clone()));
    let seed = ("seed".to_owned(), request.seed.to_string());
    Encoding {
        format: request.format,
        sample_rate: request.sample_rate,
        bit_rate_kbps: request.bitrate_kbps,
        book: None,
        tags: Tags {
            title: title(request),
            artist: request.voice.clone(),
            software: SOFTWARE.to_owned(),
            details: model.chain([seed]).collect(),
        },
    }
}

/// What made the file.
pub const SOFTWARE: &str = concat!("declaim ", env!("CARGO_PKG_VERSION"));

/// Characters of a title that nobody gave.
const TITLE: usize = 60;

/// What players call the sound of a request: its title, else the beginning of its text.
pub fn title(request: &SpeechRequest) -> String {
    request.title.clone().unwrap_or_else(|| beginning(&script::words(&request.text)))
}

/// The first words in one line, cut between words where it can be.
fn beginning(text: &str) -> String {
    let mut title = String::new();
    // No control character gets into a tag.
    let words = text.split(|character: char| character.is_whitespace() || character.is_control());
    for word in words.filter(|word| !word.is_empty()) {
        let space = usize::from(!title.is_empty());
        if title.chars().count() + space + word.chars().count() > TITLE {
            if title.is_empty() {
                title.extend(word.chars().take(TITLE));
            }
            title.push('…');
            break;
        }
        if space == 1 {
            title.push(' ');
        }
        title.push_str(word);
    }
    title
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_is_the_first_words_in_one_line() {
        assert_eq!(beginning("  Hello,\n\tworld.\u{0} "), "Hello, world.");
        let long = beginning(&"many words ".repeat(20));
        assert!(long.ends_with("words…") || long.ends_with("many…"), "{long}");
        assert!(long.chars().count() <= TITLE + 1);
        assert_eq!(beginning(&"x".repeat(100)).chars().count(), TITLE + 1);
    }
}
