//! What a clip is, told by its content: whether it is sound at all, how long, and how well a voice can be learned from it.

use std::io::Cursor;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use waveform::decode::{self, DecodeError};
use waveform::quality::{self, Report};
pub use waveform::quality::{Advice, Needs};

use super::Limits;

/// Anything shorter says nothing about a voice.
const LEAST: Duration = Duration::from_secs(1);
/// Where no model is asked: this serves all of the family.
pub const NEEDS: Needs = Needs { least: Duration::from_secs(5), best: Duration::from_secs(10) };

/// What was found in a clip.
#[derive(Clone, Debug, PartialEq)]
pub struct ClipInfo {
    pub seconds: f64,
    /// Hz.
    pub sample_rate: u32,
    /// That of a file with this content.
    pub extension: &'static str,
    pub quality: Quality,
}

/// What was measured of a clip, as `waveform::quality` defines it. Decibels are relative to full scale.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Quality {
    pub peak_db: f32,
    /// LUFS; `None` where nothing is loud enough to count.
    pub loudness_lufs: Option<f32>,
    pub noise_floor_db: f32,
    /// `None` where there is no pause to measure noise in.
    pub signal_to_noise_db: Option<f32>,
    /// Share of the samples that are overdriven, 0–1.
    pub clipped: f32,
    /// Share of the time without speech, 0–1.
    pub silence: f32,
    /// Highest frequency that is there.
    pub bandwidth_hz: f32,
}

impl Quality {
    /// What would make a better voice of a clip of this length, for a model with these needs; most important first.
    pub fn advice(&self, seconds: f64, needs: &Needs) -> Vec<Advice> {
        let report = Report {
            duration: Duration::from_secs_f64(seconds),
            peak: self.peak_db,
            clipped: self.clipped,
            silence: self.silence,
            noise_floor: self.noise_floor_db,
            signal_to_noise: self.signal_to_noise_db,
            loudness: self.loudness_lufs.map_or(f64::NEG_INFINITY, f64::from),
            bandwidth: self.bandwidth_hz,
        };
        report.advice(needs)
    }
}

impl From<Report> for Quality {
    fn from(report: Report) -> Self {
        Self {
            peak_db: report.peak,
            loudness_lufs: report.loudness.is_finite().then_some(report.loudness as f32),
            noise_floor_db: report.noise_floor,
            signal_to_noise_db: report.signal_to_noise,
            clipped: report.clipped,
            silence: report.silence,
            bandwidth_hz: report.bandwidth,
        }
    }
}

/// Why a clip cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ClipError {
    #[error("it is larger than {} MB, which is the limit (voices.max_clip_mb)", most >> 20)]
    TooLarge { most: u64 },
    #[error("it is longer than {most} seconds, which is the limit (voices.max_clip_sec)")]
    TooLong { most: f64 },
    #[error("it is {seconds:.1} seconds long, and at least {} are needed", LEAST.as_secs())]
    TooShort { seconds: f64 },
    #[error("nothing is to be heard in it")]
    Silent,
    #[error(transparent)]
    Decode(DecodeError),
}

/// Decodes a clip and looks at it. Its name plays no part. Blocks; bounded by `limits`.
pub fn inspect(bytes: &[u8], limits: &Limits) -> Result<ClipInfo, ClipError> {
    let most = limits.max_clip_bytes;
    if bytes.len() as u64 > most {
        return Err(ClipError::TooLarge { most });
    }
    let bounds = decode::Limits {
        bytes: most,
        duration: Duration::from_secs_f64(limits.max_clip_sec),
        ..decode::Limits::default()
    };
    let recording = decode::read_from(Cursor::new(bytes), &bounds).map_err(|error| match error {
        DecodeError::TooLarge { .. } => ClipError::TooLarge { most },
        DecodeError::TooLong { .. } => ClipError::TooLong { most: limits.max_clip_sec },
        DecodeError::Silent => ClipError::Silent,
        other => ClipError::Decode(other),
    })?;
    let seconds = recording.duration().as_secs_f64();
    if recording.duration() < LEAST {
        return Err(ClipError::TooShort { seconds });
    }
    let quality = Quality::from(quality::examine(&recording));
    if quality.advice(seconds, &NEEDS).contains(&Advice::Silent) {
        return Err(ClipError::Silent);
    }
    Ok(ClipInfo { seconds, sample_rate: recording.sample_rate, extension: extension(bytes), quality })
}

/// The extension that a sound file's first bytes call for.
fn extension(bytes: &[u8]) -> &'static str {
    let at = |offset: usize, mark: &[u8]| bytes.get(offset..).is_some_and(|rest| rest.starts_with(mark));
    match () {
        () if at(0, b"RIFF") || at(0, b"RF64") => "wav",
        () if at(0, b"fLaC") => "flac",
        () if at(0, b"OggS") => "ogg",
        () if at(4, b"ftyp") => "m4a",
        () if at(0, b"\x1a\x45\xdf\xa3") => "webm",
        () if at(0, b"FORM") => "aiff",
        () if at(0, b"caff") => "caf",
        // The one format that may begin anywhere.
        () => "mp3",
    }
}

/// The media type of a clip's file.
pub fn media_type(file_name: &str) -> &'static str {
    match file_name.rsplit('.').next().unwrap_or_default() {
        "wav" => "audio/wav",
        "flac" => "audio/flac",
        "ogg" => "audio/ogg",
        "m4a" => "audio/mp4",
        "webm" => "audio/webm",
        "aiff" => "audio/aiff",
        "caf" => "audio/x-caf",
        "mp3" => "audio/mpeg",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::voices::testing::wav;

    #[test]
    fn a_clip_is_measured_and_named_after_its_content() {
        let info = inspect(&wav(2.5, 220.0), &Limits::default()).unwrap();
        assert_eq!((info.seconds, info.sample_rate, info.extension), (2.5, 24_000, "wav"));
        assert!((-13.0..-11.0).contains(&info.quality.peak_db), "{:?}", info.quality);
        let advice = info.quality.advice(2.5, &NEEDS);
        assert!(matches!(advice[0], Advice::TooShort { .. }) && advice[0].forbids(), "{advice:?}");
        assert!(!info.quality.advice(12.0, &NEEDS).iter().any(Advice::forbids));
    }

    #[test]
    fn silence_is_no_clip() {
        let mut silent = wav(2.0, 220.0);
        silent[44..].fill(0);
        let refused = inspect(&silent, &Limits::default());
        assert!(matches!(refused, Err(ClipError::Silent)), "{refused:?}");
    }

    #[test]
    fn what_was_measured_survives_its_record() {
        let quality = inspect(&wav(2.0, 220.0), &Limits::default()).unwrap().quality;
        let quality = Quality { loudness_lufs: None, ..quality };
        let json = serde_json::to_string(&quality).unwrap();
        assert_eq!(serde_json::from_str::<Quality>(&json).unwrap(), quality);
    }

    #[test]
    fn first_bytes_name_the_format() {
        for (bytes, expected) in [
            (&b"RIFF\x00\x00\x00\x00WAVE"[..], "wav"),
            (b"fLaC", "flac"),
            (b"OggS", "ogg"),
            (b"\x00\x00\x00\x20ftypM4A ", "m4a"),
            (b"\x1a\x45\xdf\xa3", "webm"),
            (b"FORM", "aiff"),
            (b"caff", "caf"),
            (b"ID3", "mp3"),
            (b"\xff\xfb", "mp3"),
            (b"", "mp3"),
        ] {
            assert_eq!(extension(bytes), expected, "{bytes:?}");
            assert_ne!(media_type(&format!("x.{expected}")), "application/octet-stream");
        }
    }
}
