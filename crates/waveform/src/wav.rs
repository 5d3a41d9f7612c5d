//! Wav files of the inside: any PCM or float file in, 32-bit float out.
//!
//! Chunk checkpoints are float, because a checkpoint that rounds would make a resumed job differ from an undisturbed one.
//! What a listener gets is written by [`crate::encode`].

use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Seek, Write};
use std::path::Path;

use hound::{SampleFormat, WavReader, WavSpec, WavWriter};

use crate::Recording;

/// Why a wav file was not read or written.
#[derive(Debug, thiserror::Error)]
pub enum WavError {
    #[error("the wav file cannot be opened")]
    Open(#[source] std::io::Error),
    #[error("the wav file cannot be read")]
    Read(#[source] hound::Error),
    #[error("the wav file cannot be written")]
    Write(#[source] hound::Error),
}

impl WavError {
    /// What the file system said, with its kind; else all of it.
    pub fn into_io(self) -> std::io::Error {
        match self {
            Self::Open(error)
            | Self::Read(hound::Error::IoError(error))
            | Self::Write(hound::Error::IoError(error)) => error,
            other => std::io::Error::other(other),
        }
    }
}

/// Reads a wav file of 8 to 32 bits or 32-bit float; several channels are averaged to one.
pub fn read(path: impl AsRef<Path>) -> Result<Recording, WavError> {
    read_from(BufReader::new(File::open(path).map_err(WavError::Open)?))
}

/// [`read`] from anything.
pub fn read_from(source: impl Read) -> Result<Recording, WavError> {
    let mut reader = WavReader::new(source).map_err(WavError::Read)?;
    let spec = reader.spec();
    let interleaved: Vec<f32> = match spec.sample_format {
        SampleFormat::Float => reader.samples::<f32>().collect::<Result<_, _>>(),
        SampleFormat::Int => {
            // 32-bit samples do not fit f32's mantissa; the division is done in f64.
            let full_scale = f64::from(1u32 << (spec.bits_per_sample - 1));
            reader.samples::<i32>().map(|s| s.map(|s| (f64::from(s) / full_scale) as f32)).collect()
        }
    }
    .map_err(WavError::Read)?;
    let channels = usize::from(spec.channels.max(1));
    let samples = if channels == 1 {
        interleaved
    } else {
        interleaved.chunks_exact(channels).map(|frame| frame.iter().sum::<f32>() / channels as f32).collect()
    };
    Ok(Recording { samples, sample_rate: spec.sample_rate })
}

/// How many samples of each channel a file holds, by its head.
pub fn frames(path: impl AsRef<Path>) -> Result<u64, WavError> {
    let file = BufReader::new(File::open(path).map_err(WavError::Open)?);
    Ok(u64::from(WavReader::new(file).map_err(WavError::Read)?.duration()))
}

/// Writes 32-bit float mono, bit for bit what [`read_from`] gives back. The caller keeps `out`, to sync it.
pub fn write_f32(out: &mut (impl Write + Seek), samples: &[f32], sample_rate: u32) -> Result<(), WavError> {
    let spec = WavSpec { channels: 1, sample_rate, bits_per_sample: 32, sample_format: SampleFormat::Float };
    let mut writer = WavWriter::new(BufWriter::new(out), spec).map_err(WavError::Write)?;
    for &sample in samples {
        writer.write_sample(sample).map_err(WavError::Write)?;
    }
    writer.finalize().map_err(WavError::Write)
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn int_file(bits: u16, channels: u16, samples: &[i32]) -> Vec<u8> {
        let spec = WavSpec {
            channels,
            sample_rate: 16_000,
            bits_per_sample: bits,
            sample_format: SampleFormat::Int,
        };
        let mut bytes = Cursor::new(Vec::new());
        let mut writer = WavWriter::new(&mut bytes, spec).unwrap();
        for &sample in samples {
            writer.write_sample(sample).unwrap();
        }
        writer.finalize().unwrap();
        bytes.into_inner()
    }

    #[test]
    fn float_samples_come_back_bit_for_bit() {
        let samples = [0.0, -1.0, 1.0, 0.1, 1.5, f32::MIN_POSITIVE, -1e-7];
        let mut file = Cursor::new(Vec::new());
        write_f32(&mut file, &samples, 24_000).unwrap();
        let back = read_from(Cursor::new(file.into_inner())).unwrap();
        assert_eq!(back, Recording { samples: samples.to_vec(), sample_rate: 24_000 });
    }

    #[test]
    fn every_integer_width_reads_to_the_same_scale() {
        for bits in [8u16, 16, 24, 32] {
            let half = (1i64 << (bits - 2)) as i32;
            let lowest = (-(1i64 << (bits - 1))) as i32;
            let back = read_from(Cursor::new(int_file(bits, 1, &[0, half, lowest]))).unwrap();
            assert_eq!(back.samples, [0.0, 0.5, -1.0], "{bits} bits");
        }
    }

    #[test]
    fn channels_are_averaged() {
        let back = read_from(Cursor::new(int_file(16, 2, &[16384, 0, -16384, -16384]))).unwrap();
        assert_eq!(back.samples, [0.25, -0.5]);
    }

    #[test]
    fn garbage_and_missing_files_are_errors() {
        assert!(matches!(read_from(Cursor::new(b"RIFFnope".to_vec())), Err(WavError::Read(_))));
        assert!(matches!(read("/nonexistent/a.wav"), Err(WavError::Open(_))));
    }
}
