//! Samples into an audio file or stream, piece by piece.
//!
//! A job's sound can be hours long, so an [`Encoder`] takes it as it comes, gives bytes as they come, and holds no more than
//! some seconds. What stands in a file's head and is known only at the end (lengths, checksums, what to trim) is handed out as
//! [`Patch`]es: [`FileEncoder`] writes them back, which is why its destination must seek, and hands the destination back so
//! that its owner can sync it before anyone is told that the file exists. A stream cannot be patched and gets a head that is
//! valid without.

mod aac;
mod flac;
mod format;
mod id3;
mod m4a;
mod mp3;
mod opus;
mod pcm;
mod spool;

use std::io::{Seek, SeekFrom, Write};

pub use format::{BitRates, Format, HIGHEST_RATE, LOWEST_RATE, UnknownFormat};

/// What is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoding {
    pub format: Format,
    /// Hz.
    pub sample_rate: u32,
    /// `None` is the format's default; formats without bit rates ignore it.
    pub bit_rate_kbps: Option<u32>,
    pub tags: Tags,
    /// Makes an audiobook of it, where the format has such a form: of m4a, whose name then is m4b.
    pub book: Option<Book>,
}

impl Encoding {
    /// At the default bit rate, without tags.
    pub fn new(format: Format, sample_rate: u32) -> Self {
        Self { format, sample_rate, bit_rate_kbps: None, tags: Tags::default(), book: None }
    }

    /// What a compressing codec is given.
    fn bit_rate_kbps(&self) -> u32 {
        self.bit_rate_kbps.or_else(|| self.format.default_bit_rate(self.sample_rate)).unwrap_or_default()
    }
}

/// What an audiobook has beside its chapters, which [`FileEncoder::begin_chapter`] begins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Book {
    /// A picture, as a PNG; empty for none.
    pub cover: Vec<u8>,
}

/// What a player shows. Empty texts are left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tags {
    pub title: String,
    pub artist: String,
    /// What made the file.
    pub software: String,
    /// Anything else, by name.
    pub details: Vec<(String, String)>,
}

impl Tags {
    /// As Vorbis comments, which flac and Ogg have.
    fn fields(&self) -> impl Iterator<Item = (String, String)> {
        let named = [("TITLE", &self.title), ("ARTIST", &self.artist), ("ENCODER", &self.software)];
        let named = named.map(|(name, value)| (name.to_owned(), value.clone()));
        let details = self.details.iter().map(|(name, value)| (name.to_uppercase(), value.clone()));
        named.into_iter().chain(details).filter(|(_, value)| !value.is_empty())
    }
}

/// Where the bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// Patches will be applied.
    File,
    /// Bytes are gone once they are given.
    Stream,
}

/// Bytes that replace those at `at`, counted from the first byte of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Patch {
    pub at: u64,
    pub bytes: Vec<u8>,
}

/// Why a file was not written.
#[derive(Debug, thiserror::Error)]
pub enum EncodeError {
    #[error("the audio file cannot be written")]
    Io(#[from] std::io::Error),
    #[error("this format cannot hold more than 4 GB of sound; choose flac or opus")]
    TooLong,
    #[error("there is no sound to write")]
    Empty,
    #[error("{format} has no sample rate of {rate} Hz")]
    SampleRate { format: Format, rate: u32 },
    #[error("{format} at {rate} Hz has no bit rate of {kbps} kbit/s")]
    BitRate { format: Format, rate: u32, kbps: u32 },
    #[error("{0} cannot be sent while it is made; choose another format, or wait for the whole")]
    NoStream(Format),
    #[error("the {format} encoder failed")]
    Codec {
        format: Format,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl From<EncodeError> for std::io::Error {
    fn from(error: EncodeError) -> Self {
        match error {
            EncodeError::Io(error) => error,
            other => Self::other(other),
        }
    }
}

/// One format. Samples are mono, nominally in −1..1.
trait Codec: Send + std::fmt::Debug {
    /// Appends the bytes that are ready to `out`.
    fn write(&mut self, samples: &[f32], out: &mut Vec<u8>) -> Result<(), EncodeError>;

    /// A chapter begins with the next sample. Formats without chapters pass over it.
    fn begin_chapter(&mut self, _title: &str) {}

    /// Appends what is left. Patches are for files; a stream's codec may give them too.
    fn finish(self: Box<Self>, out: &mut Vec<u8>) -> Result<Vec<Patch>, EncodeError>;
}

/// Sound in the making, bytes as they come.
#[derive(Debug)]
pub struct Encoder {
    codec: Box<dyn Codec>,
    frames: u64,
}

impl Encoder {
    /// Appends the head to `out`.
    ///
    /// # Errors
    /// What the format cannot do: its sample rate, its bit rate, streaming.
    pub fn new(encoding: &Encoding, target: Target, out: &mut Vec<u8>) -> Result<Self, EncodeError> {
        let Encoding { format, sample_rate: rate, bit_rate_kbps, .. } = *encoding;
        if !format.has_sample_rate(rate) {
            return Err(EncodeError::SampleRate { format, rate });
        }
        let bit_rates = format.bit_rates(rate);
        if let Some(kbps) =
            bit_rate_kbps.filter(|&kbps| bit_rates != BitRates::None && !bit_rates.contains(kbps))
        {
            return Err(EncodeError::BitRate { format, rate, kbps });
        }
        if target == Target::Stream && !format.can_stream() {
            return Err(EncodeError::NoStream(format));
        }
        let codec: Box<dyn Codec> = match format {
            Format::Wav => Box::new(pcm::Wav::new(encoding, target, out)),
            Format::Flac => Box::new(flac::Flac::new(encoding, target, out)?),
            Format::Mp3 => Box::new(mp3::Mp3::new(encoding, target, out)?),
            Format::Opus => Box::new(opus::Opus::new(encoding, out)?),
            Format::Aac => Box::new(aac::Adts::new(encoding, out)),
            Format::M4a => Box::new(m4a::M4a::new(encoding, out)),
            Format::Pcm => Box::new(pcm::Pcm),
        };
        Ok(Self { codec, frames: 0 })
    }

    /// Takes mono samples in −1..1 and appends the bytes that are ready to `out`; what lies outside is clipped.
    pub fn write(&mut self, samples: &[f32], out: &mut Vec<u8>) -> Result<(), EncodeError> {
        self.frames += samples.len() as u64;
        self.codec.write(samples, out)
    }

    /// Begins a chapter with the next sample; the first one begins with the sound. Only m4a has chapters.
    pub fn begin_chapter(&mut self, title: &str) {
        self.codec.begin_chapter(title);
    }

    /// Samples written so far.
    pub fn frames(&self) -> u64 {
        self.frames
    }

    /// Appends the end to `out` and says what has to be changed in what went before; a stream ignores that.
    pub fn finish(self, out: &mut Vec<u8>) -> Result<Vec<Patch>, EncodeError> {
        if self.frames == 0 {
            return Err(EncodeError::Empty);
        }
        self.codec.finish(out)
    }
}

/// An audio file in the making. Dropped before [`FileEncoder::finish`], it leaves an unfinished file behind.
#[derive(Debug)]
pub struct FileEncoder<W: Write + Seek> {
    encoder: Encoder,
    destination: W,
    /// Where the file begins in its destination.
    start: u64,
    ready: Vec<u8>,
}

/// Bytes that are written at once.
const BLOCK: usize = 1 << 16;

impl<W: Write + Seek> FileEncoder<W> {
    /// Begins a file at the destination's present position.
    pub fn new(mut destination: W, encoding: &Encoding) -> Result<Self, EncodeError> {
        let mut ready = Vec::new();
        let encoder = Encoder::new(encoding, Target::File, &mut ready)?;
        let start = destination.stream_position()?;
        Ok(Self { encoder, destination, start, ready })
    }

    /// Appends mono samples in −1..1; what lies outside is clipped.
    pub fn write(&mut self, samples: &[f32]) -> Result<(), EncodeError> {
        self.encoder.write(samples, &mut self.ready)?;
        if self.ready.len() >= BLOCK {
            self.destination.write_all(&self.ready)?;
            self.ready.clear();
        }
        Ok(())
    }

    /// See [`Encoder::begin_chapter`].
    pub fn begin_chapter(&mut self, title: &str) {
        self.encoder.begin_chapter(title);
    }

    /// Samples written so far.
    pub fn frames(&self) -> u64 {
        self.encoder.frames()
    }

    /// Completes the file and returns its destination, flushed but not synced.
    pub fn finish(mut self) -> Result<W, EncodeError> {
        let patches = self.encoder.finish(&mut self.ready)?;
        self.destination.write_all(&self.ready)?;
        for patch in patches {
            self.destination.seek(SeekFrom::Start(self.start + patch.at))?;
            self.destination.write_all(&patch.bytes)?;
        }
        self.destination.seek(SeekFrom::End(0))?;
        self.destination.flush()?;
        Ok(self.destination)
    }
}

/// −1..1 to 16 bits, to nearest. Scaled by 32767 on both sides, so that silence stays 0 and full scale is symmetrical;
/// not-a-number becomes 0. In f64, where the product is exact.
fn to_pcm16(sample: f32) -> i16 {
    (f64::from(sample) * 32_767.0).round() as i16
}

/// The same for codecs that take floats.
fn clipped(sample: f32) -> f32 {
    if sample.is_nan() { 0.0 } else { sample.clamp(-1.0, 1.0) }
}

#[cfg(test)]
mod tests;
