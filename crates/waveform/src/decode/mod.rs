//! Whatever sound file people have → one mono recording.
//!
//! The file's content decides what it is, never its name: wav of every sample format, aiff, flac, mp3, aac, and what
//! ogg, mp4 and webm contain of vorbis, opus, aac, alac, flac and pcm. Files come from strangers, so everything that costs
//! memory or time is bounded by [`Limits`], and whatever is wrong with a file is an error that its sender understands.

mod codec;
mod opus;
mod source;

use std::fs::File;
use std::io::{ErrorKind, Read, Seek};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::LazyLock;
use std::time::Duration;

use symphonia::core::audio::Channels;
use symphonia::core::errors::Error as SymphoniaError;
use symphonia::core::formats::probe::{Hint, Probe, ProbeOptions};
use symphonia::core::formats::{FormatOptions, FormatReader, TrackType};
use symphonia::core::io::{MediaSourceStream, MediaSourceStreamOptions};
use symphonia::core::meta::MetadataOptions;

use codec::{Codec, Packets};
use source::Source;

use crate::Recording;

/// What a file may cost. What exceeds it is refused, not cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Size of the file.
    pub bytes: u64,
    /// Length of the sound.
    pub duration: Duration,
    pub channels: usize,
    /// Hz.
    pub lowest_rate: u32,
    /// Hz.
    pub highest_rate: u32,
}

impl Default for Limits {
    /// For clips: 64 MiB, ten minutes, 7.1, from the telephone's 8 kHz to the studio's 192 kHz.
    fn default() -> Self {
        Self {
            bytes: 64 << 20,
            duration: Duration::from_mins(10),
            channels: 8,
            lowest_rate: 8_000,
            highest_rate: 192_000,
        }
    }
}

impl Limits {
    fn check_channels(&self, found: usize) -> Result<(), DecodeError> {
        if (1..=self.channels).contains(&found) {
            return Ok(());
        }
        Err(DecodeError::Channels { found, most: self.channels })
    }

    fn check_rate(&self, found: u32) -> Result<(), DecodeError> {
        let (lowest, highest) = (self.lowest_rate.max(1), self.highest_rate);
        if (lowest..=highest).contains(&found) {
            return Ok(());
        }
        Err(DecodeError::Rate { found, lowest, highest })
    }
}

/// Why a file gave no sound, in words for its sender.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    #[error("the file cannot be opened")]
    Open(#[source] std::io::Error),
    #[error("the file cannot be read")]
    Read(#[source] std::io::Error),
    #[error("the file is empty")]
    Empty,
    #[error("the file is larger than {} MB", .most / 1_000_000)]
    TooLarge { most: u64 },
    #[error("this is not a sound file; wav, mp3, flac, ogg, opus, m4a and webm can be read")]
    NotSound(#[source] SymphoniaError),
    #[error("the file contains no sound")]
    Silent,
    #[error("the sound is in a format that cannot be read; wav, mp3, flac, ogg, opus, m4a and webm can")]
    Unsupported(#[source] SymphoniaError),
    #[error("the sound has {found} channels; at most {most} can be read")]
    Channels { found: usize, most: usize },
    #[error("the sound has {found} samples per second; {lowest} to {highest} can be read")]
    Rate { found: u32, lowest: u32, highest: u32 },
    #[error("the sound is longer than {} seconds", .most.as_secs())]
    TooLong { most: Duration },
    #[error("the file ends in the middle of the sound; is it complete?")]
    Truncated,
    #[error("the file is damaged or not complete")]
    Damaged(#[source] SymphoniaError),
    #[error("the file's samples are not numbers between −1 and 1")]
    OutOfScale,
    #[error("the file is damaged so that its decoder fails")]
    Crashed,
}

/// Decodes a file to the mean of its channels at its own rate.
pub fn read(path: impl AsRef<Path>, limits: &Limits) -> Result<Recording, DecodeError> {
    read_from(File::open(path).map_err(DecodeError::Open)?, limits)
}

/// [`read`] from anything, for example an upload in memory behind a `Cursor`.
pub fn read_from(source: impl Read + Seek + Send + Sync, limits: &Limits) -> Result<Recording, DecodeError> {
    let mut recording = Recording { samples: Vec::new(), sample_rate: 0 };
    read_pieces(source, limits, &mut |samples, sample_rate| {
        recording.samples.extend_from_slice(samples);
        recording.sample_rate = sample_rate;
        Ok::<_, DecodeError>(())
    })?;
    Ok(recording)
}

/// Takes a piece of a sound: mono samples, and their rate in Hz.
pub type Each<'a, E> = &'a mut dyn FnMut(&[f32], u32) -> Result<(), E>;

/// [`read`] for a sound that may be too long for memory: `each` gets it piece by piece. What is
/// wrong with a file may show only after some of it was given.
pub fn read_pieces<E: From<DecodeError>>(
    source: impl Read + Seek + Send + Sync,
    limits: &Limits,
    each: Each<'_, E>,
) -> Result<(), E> {
    let source = Source::new(source).map_err(DecodeError::Read)?;
    match source.length() {
        0 => return Err(DecodeError::Empty.into()),
        length if length > limits.bytes => return Err(DecodeError::TooLarge { most: limits.bytes }.into()),
        _ => {}
    }
    let stream = MediaSourceStream::new(Box::new(source), MediaSourceStreamOptions::default());
    // Strangers' files meet other people's decoders here, which check for overflows in debug builds only and panic then.
    catch_unwind(AssertUnwindSafe(|| decode(stream, limits, each)))
        .unwrap_or_else(|_panicked| Err(DecodeError::Crashed.into()))
}

/// Recognises formats by their first bytes. An mp3 may be cut anywhere, so some bytes before the first frame are allowed;
/// in more of them than a few thousand, chance makes an mp3 of any file.
static PROBE: LazyLock<Probe> = LazyLock::new(|| {
    let options = ProbeOptions { max_probe_depth: 4_096, ..ProbeOptions::default() };
    let mut probe = Probe::new_with_options(&options);
    symphonia::default::register_enabled_formats(&mut probe);
    probe
});

fn decode<E: From<DecodeError>>(
    stream: MediaSourceStream<'_>,
    limits: &Limits,
    each: Each<'_, E>,
) -> Result<(), E> {
    let (hint, format, metadata) = (Hint::default(), FormatOptions::default(), MetadataOptions::default());
    let mut reader = PROBE.probe(&hint, stream, format, metadata).map_err(unreadable)?;
    let track = reader.default_track(TrackType::Audio).ok_or(DecodeError::Silent)?;
    let (id, declared) = (track.id, track.num_frames);
    let parameters = track.codec_params.as_ref().and_then(|parameters| parameters.audio());
    let parameters = parameters.ok_or(DecodeError::Silent)?;
    // Before the decoder reserves memory for each of them.
    limits.check_channels(parameters.channels.as_ref().map_or(1, Channels::count))?;
    let codec = Codec::open(parameters).map_err(DecodeError::Unsupported)?;
    let mut packets = Packets::new(codec, *limits);
    while let Some(packet) = next_packet(&mut *reader)? {
        if packet.track_id != id {
            continue;
        }
        if let Some((samples, rate)) = packets.take(&packet)? {
            each(samples, rate)?;
        }
    }
    Ok(packets.finish(declared)?)
}

/// Before the first packet, an error speaks of the file as a whole.
fn unreadable(error: SymphoniaError) -> DecodeError {
    match error {
        SymphoniaError::IoError(error) if error.kind() != ErrorKind::UnexpectedEof => {
            DecodeError::Read(error)
        }
        SymphoniaError::IoError(_) => DecodeError::Truncated,
        // Three things in one variant, told apart by their texts only: a file that nothing knows, a known format that lacks
        // something, and a codec that is not there.
        SymphoniaError::Unsupported(reason) if reason.starts_with("core (probe)") => {
            DecodeError::NotSound(error)
        }
        SymphoniaError::Unsupported(reason) if !reason.contains("missing") => DecodeError::Unsupported(error),
        error => DecodeError::Damaged(error),
    }
}

/// `None` at the end, which a file that breaks off reaches as well: whether it does is judged by the length that it
/// declares. A new chain of ogg streams ends the sound too.
fn next_packet(
    reader: &mut dyn FormatReader,
) -> Result<Option<symphonia::core::packet::Packet>, DecodeError> {
    match reader.next_packet() {
        Ok(packet) => Ok(packet),
        Err(SymphoniaError::ResetRequired) => Ok(None),
        Err(SymphoniaError::IoError(error)) if error.kind() == ErrorKind::UnexpectedEof => Ok(None),
        Err(SymphoniaError::IoError(error)) => Err(DecodeError::Read(error)),
        Err(error) => Err(DecodeError::Damaged(error)),
    }
}

#[cfg(test)]
mod tests;
