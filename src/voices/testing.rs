//! For tests: a library of its own, and clips made of a tone.

use super::{Library, Limits, Upload};

/// An empty library, and the data directory that goes away with it.
pub(crate) fn library() -> (tempfile::TempDir, Library) {
    let folder = tempfile::tempdir().unwrap();
    let library = Library::open(folder.path(), Limits::default());
    (folder, library)
}

/// 16-bit mono at 24 kHz: a tone of `pitch` Hz that swells and fades like speech.
pub(crate) fn wav(seconds: f64, pitch: f64) -> Vec<u8> {
    const RATE: u32 = 24_000;
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: RATE,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut bytes = std::io::Cursor::new(Vec::new());
    let mut writer = hound::WavWriter::new(&mut bytes, spec).unwrap();
    for index in 0..(seconds * f64::from(RATE)) as u32 {
        let time = f64::from(index) / f64::from(RATE);
        let swell = 0.5 - 0.5 * (std::f64::consts::TAU * 2.0 * time).cos();
        writer.write_sample((8000.0 * swell * (std::f64::consts::TAU * pitch * time).sin()) as i16).unwrap();
    }
    writer.finalize().unwrap();
    bytes.into_inner()
}

pub(crate) fn upload(name: &str, bytes: Vec<u8>) -> Upload {
    Upload { name: Some(name.to_owned()), bytes, ..Upload::default() }
}
