//! Packets of one track → mono samples, counted against the limits.

use symphonia::core::audio::AudioSpec;
use symphonia::core::codecs::audio::well_known::CODEC_ID_OPUS;
use symphonia::core::codecs::audio::{AudioCodecParameters, AudioDecoder, AudioDecoderOptions};
use symphonia::core::errors::Error as SymphoniaError;
use symphonia::core::packet::Packet;

use super::opus::OpusStream;
use super::{DecodeError, Limits};

/// A sample beyond this (40 dB above full scale) is no sample of a sound between −1 and 1.
const BEYOND_SCALE: f32 = 100.0;
/// A sound may be shorter than its file declares by this many samples: encoders count their own padding differently.
const DECLARED_SLACK: u64 = 4_608;
/// Packets that may fail before a file counts as damaged: an mp3 that was cut refers to what came before, and one in
/// twenty is a scratch.
const FAILURES: usize = 3;
const FAILURES_PER: usize = 20;

/// The decoder of a track.
pub(super) enum Codec {
    Symphonia(Box<dyn AudioDecoder>),
    Opus(Box<OpusStream>),
}

impl Codec {
    pub(super) fn open(parameters: &AudioCodecParameters) -> Result<Self, SymphoniaError> {
        if parameters.codec == CODEC_ID_OPUS {
            return Ok(Self::Opus(Box::new(OpusStream::open(parameters)?)));
        }
        let options = AudioDecoderOptions::default();
        Ok(Self::Symphonia(symphonia::default::get_codecs().make_audio_decoder(parameters, &options)?))
    }

    /// Replaces `interleaved` by what the packet holds.
    fn decode(&mut self, packet: &Packet, interleaved: &mut Vec<f32>) -> Result<Shape, SymphoniaError> {
        match self {
            Self::Symphonia(decoder) => {
                let buffer = decoder.decode(packet)?;
                buffer.copy_to_vec_interleaved(interleaved);
                Ok(Shape::of(buffer.spec()))
            }
            Self::Opus(stream) => {
                let channels = stream.decode(packet, interleaved)?;
                Ok(Shape { channels, rate: OpusStream::RATE })
            }
        }
    }
}

/// How the samples of a packet are arranged.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Shape {
    channels: usize,
    rate: u32,
}

impl Shape {
    fn of(spec: &AudioSpec) -> Self {
        Self { channels: spec.channels().count(), rate: spec.rate() }
    }
}

/// Packets one after the other.
pub(super) struct Packets {
    codec: Codec,
    limits: Limits,
    shape: Option<Shape>,
    /// Samples per channel so far.
    frames: u64,
    mono: Vec<f32>,
    interleaved: Vec<f32>,
    decoded: usize,
    failures: Vec<SymphoniaError>,
}

impl Packets {
    pub(super) fn new(codec: Codec, limits: Limits) -> Self {
        let (mono, interleaved, failures) = (Vec::new(), Vec::new(), Vec::new());
        Self { codec, limits, shape: None, frames: 0, mono, interleaved, decoded: 0, failures }
    }

    /// Decodes one packet: the mean of its channels and their rate; `None` where nothing came of it.
    pub(super) fn take(&mut self, packet: &Packet) -> Result<Option<(&[f32], u32)>, DecodeError> {
        let shape = match self.codec.decode(packet, &mut self.interleaved) {
            Ok(shape) => shape,
            Err(error) => {
                self.failures.push(error);
                return self.bear_failures().map(|()| None);
            }
        };
        self.decoded += 1;
        if self.interleaved.is_empty() {
            return Ok(None);
        }
        if *self.shape.get_or_insert(shape) != shape {
            let reason = "the sample rate or the number of channels changes within the sound";
            return Err(DecodeError::Unsupported(SymphoniaError::Unsupported(reason)));
        }
        self.limits.check_channels(shape.channels)?;
        self.limits.check_rate(shape.rate)?;
        let scale = 1.0 / shape.channels as f32;
        let frames = self.interleaved.chunks_exact(shape.channels);
        self.mono.clear();
        self.mono.extend(frames.map(|frame| frame.iter().sum::<f32>() * scale));
        self.frames += self.mono.len() as u64;
        if self.frames as f64 > self.longest(shape) {
            return Err(DecodeError::TooLong { most: self.limits.duration });
        }
        // Written so that what is not a number fails too.
        if !self.mono.iter().all(|sample| sample.abs() <= BEYOND_SCALE) {
            return Err(DecodeError::OutOfScale);
        }
        Ok(Some((&self.mono, shape.rate)))
    }

    fn longest(&self, shape: Shape) -> f64 {
        self.limits.duration.as_secs_f64() * f64::from(shape.rate)
    }

    fn bear_failures(&mut self) -> Result<(), DecodeError> {
        if self.failures.len() > FAILURES + self.decoded / FAILURES_PER {
            return Err(DecodeError::Damaged(self.failures.swap_remove(0)));
        }
        Ok(())
    }

    /// Whether that was a whole sound. `declared` is how many samples per channel the file says it has.
    pub(super) fn finish(mut self, declared: Option<u64>) -> Result<(), DecodeError> {
        let Some(shape) = self.shape else {
            return Err(self.failures.pop().map_or(DecodeError::Silent, DecodeError::Damaged));
        };
        // A length beyond the limit is what programs write that do not know it yet; a sound really that long is refused
        // for its length.
        let credible = declared.filter(|&frames| frames as f64 <= self.longest(shape));
        if credible.is_some_and(|frames| self.frames + DECLARED_SLACK < frames) {
            return Err(DecodeError::Truncated);
        }
        Ok(())
    }
}
