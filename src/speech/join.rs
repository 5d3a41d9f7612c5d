//! Finished files as one, in order, with a pause between: the results of a batch as something to listen to.
//!
//! Read, brought to one rate and encoded piece by piece, so that a book of ten hours takes no more memory than a sentence.
//! Nothing is trimmed or levelled, they were finished once.

use std::fs::File;
use std::path::PathBuf;
use std::time::Duration;

use waveform::decode::{self, DecodeError, Limits};
use waveform::encode::{EncodeError, Encoding, FileEncoder};
use waveform::resample::Resampler;

use super::stitch::Pauses;

/// Longest single file.
const LONGEST: Duration = Duration::from_hours(100);

/// A finished file, which is a chapter of the whole where the format has chapters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chapter {
    pub path: PathBuf,
    pub title: String,
}

/// Why files were not joined. Then what was written is of no use.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    #[error("a finished file cannot be read")]
    Read(#[from] DecodeError),
    #[error(transparent)]
    Encode(#[from] EncodeError),
}

/// Writes the sound of `chapters` to `out`, encoded so. Blocks.
///
/// # Errors
/// A file that cannot be read, or an encoder or disk that fails.
pub fn join(chapters: &[Chapter], encoding: &Encoding, out: File) -> Result<(), JoinError> {
    let sample_rate = encoding.sample_rate;
    let mut encoder = FileEncoder::new(out, encoding)?;
    let pause = Pauses::default().paragraph.as_secs_f64() * f64::from(sample_rate);
    let pause = vec![0.0; pause.round() as usize];
    for (index, Chapter { path, title }) in chapters.iter().enumerate() {
        if index > 0 {
            encoder.write(&pause)?;
        }
        encoder.begin_chapter(title);
        append(path, sample_rate, &mut encoder)?;
    }
    encoder.finish()?;
    Ok(())
}

fn append(path: &PathBuf, sample_rate: u32, encoder: &mut FileEncoder<File>) -> Result<(), JoinError> {
    let limits = Limits { bytes: u64::MAX, duration: LONGEST, ..Limits::default() };
    let file = File::open(path).map_err(DecodeError::Open)?;
    let mut resampler = None;
    let mut resampled = Vec::new();
    decode::read_pieces(file, &limits, &mut |samples, rate| {
        if rate == sample_rate {
            return encoder.write(samples).map_err(JoinError::from);
        }
        resampler.get_or_insert_with(|| Resampler::new(rate, sample_rate)).process(samples, &mut resampled);
        encoder.write(&resampled)?;
        resampled.clear();
        Ok(())
    })?;
    if let Some(mut resampler) = resampler {
        resampler.finish(&mut resampled);
        encoder.write(&resampled)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use waveform::encode::Format;
    use waveform::wav;

    fn chapter(folder: &std::path::Path, name: &str, rate: u32, samples: usize) -> Chapter {
        let path = folder.join(name);
        wav::write_f32(&mut File::create(&path).unwrap(), &vec![0.5; samples], rate).unwrap();
        Chapter { path, title: name.to_owned() }
    }

    #[test]
    fn files_of_two_rates_become_one_with_a_pause_between() {
        let folder = tempfile::tempdir().unwrap();
        let files = [("a.wav", 24_000), ("b.wav", 48_000)]
            .map(|(name, rate)| chapter(folder.path(), name, rate, rate as usize / 2));
        let path = folder.path().join("joined.wav");
        let out = File::options().read(true).write(true).create_new(true).open(&path).unwrap();
        join(&files, &Encoding::new(Format::Wav, 24_000), out).unwrap();
        let joined = wav::read(path).unwrap();
        // Half a second, a paragraph's pause, half a second.
        assert_eq!((joined.sample_rate, joined.samples.len()), (24_000, 12_000 + 14_400 + 12_000));
        assert!(joined.samples[12_000..26_400].iter().all(|&sample| sample == 0.0));
    }

    #[test]
    fn a_chapter_that_is_gone_is_an_error_and_not_a_gap() {
        let folder = tempfile::tempdir().unwrap();
        let there = chapter(folder.path(), "a.wav", 24_000, 100);
        let gone = Chapter { path: folder.path().join("b.wav"), title: String::new() };
        let joined = join(&[there, gone], &Encoding::new(Format::Wav, 24_000), tempfile::tempfile().unwrap());
        assert!(matches!(joined, Err(JoinError::Read(DecodeError::Open(_)))), "{joined:?}");
    }
}
