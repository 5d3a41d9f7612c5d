//! Finished files as one, in order, with a pause between: the results of a batch as something to listen to.
//!
//! One file at a time is in memory. Each is decoded and brought to one rate; nothing is trimmed, they were finished once.

use std::fs::File;
use std::path::PathBuf;
use std::time::Duration;

use waveform::decode::{self, DecodeError, Limits};
use waveform::encode::{Encoding, FileEncoder};

use super::chunk::Boundary;
use super::stitch::{StitchError, Stitching, stitch};

/// Longest single file: an hour takes 350 MB while it is joined.
const LONGEST: Duration = Duration::from_hours(4);

/// Writes the sound of `files` to `out`, encoded so. Blocks.
///
/// # Errors
/// A file that cannot be read, or an encoder or disk that fails; then `out` holds nothing of use.
pub fn join(files: &[PathBuf], encoding: &Encoding, out: File) -> Result<(), StitchError<DecodeError>> {
    let limits = Limits { bytes: u64::MAX, duration: LONGEST, ..Limits::default() };
    let sample_rate = encoding.sample_rate;
    let mut encoder = FileEncoder::new(out, encoding)?;
    let last = files.len().saturating_sub(1);
    let read = files.iter().enumerate().map(|(index, path)| {
        let pause = if index == last { Boundary::End } else { Boundary::Paragraph };
        Ok((decode::read(path, &limits)?.resampled(sample_rate).samples, pause))
    });
    let stitching = Stitching { trim: None, ..Stitching::new(sample_rate, sample_rate) };
    stitch(read, &stitching, &mut |samples| encoder.write(samples))?;
    encoder.finish()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use waveform::encode::Format;
    use waveform::wav;

    #[test]
    fn files_of_two_rates_become_one_with_a_pause_between() {
        let folder = tempfile::tempdir().unwrap();
        let mut files = Vec::new();
        for (name, rate) in [("a.wav", 24_000), ("b.wav", 48_000)] {
            let path = folder.path().join(name);
            let samples = vec![0.5; rate as usize / 2];
            wav::write_f32(&mut File::create(&path).unwrap(), &samples, rate).unwrap();
            files.push(path);
        }
        let path = folder.path().join("joined.wav");
        let out = File::options().read(true).write(true).create_new(true).open(&path).unwrap();
        join(&files, &Encoding::new(Format::Wav, 24_000), out).unwrap();
        let joined = wav::read(path).unwrap();
        // Half a second, a paragraph's pause, half a second.
        assert_eq!((joined.sample_rate, joined.samples.len()), (24_000, 12_000 + 14_400 + 12_000));
        assert!(joined.samples[12_000..26_400].iter().all(|&sample| sample == 0.0));
    }
}
