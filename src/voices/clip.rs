//! What a clip is, told by its content: whether it is sound at all, how long, and how well a voice can be learned from it.

use std::io::Cursor;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use waveform::decode::{self, DecodeError};

use super::Limits;

/// Seconds below which a clip says nothing about a voice.
const MIN_SECONDS: f64 = 1.0;

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

/// How well a voice can be learned from a clip.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Quality {
    /// What could be better, each in a sentence; none for a good clip.
    pub remarks: Vec<String>,
}

/// Why a clip cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ClipError {
    #[error("it is larger than {} MB, which is the limit (voices.max_clip_mb)", most >> 20)]
    TooLarge { most: u64 },
    #[error("it is longer than {most} seconds, which is the limit (voices.max_clip_sec)")]
    TooLong { most: f64 },
    #[error("it is {seconds:.1} seconds long, and at least {MIN_SECONDS} are needed")]
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
    if seconds < MIN_SECONDS {
        return Err(ClipError::TooShort { seconds });
    }
    Ok(ClipInfo {
        seconds,
        sample_rate: recording.sample_rate,
        extension: extension(bytes),
        quality: Quality { remarks: Vec::new() },
    })
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
