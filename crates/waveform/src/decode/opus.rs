//! The one codec that symphonia lacks, between its packets and the decoder of `opus-pure`.
//!
//! The stream's head (RFC 7845 §5.1) says how many channels there are, how much of the beginning is the encoder's run-up,
//! and at which gain to play. Ogg and webm carry it as it is; mp4 has another byte order (and version 0 instead of 1).

use opus_pure::{MAX_PACKET_SAMPLES, OpusMSDecoder};
use symphonia::core::codecs::audio::AudioCodecParameters;
use symphonia::core::errors::Error as SymphoniaError;
use symphonia::core::packet::Packet;

use crate::levels::from_decibels;

pub(super) struct OpusStream {
    decoder: OpusMSDecoder,
    gain: f32,
    /// Frames of the run-up that are still to be dropped.
    skip: usize,
}

impl OpusStream {
    /// Hz. Opus decodes to this whatever went in.
    pub(super) const RATE: u32 = 48_000;

    pub(super) fn open(parameters: &AudioCodecParameters) -> Result<Self, SymphoniaError> {
        let head = parameters.extra_data.as_deref().unwrap_or_default();
        let Some(&[version, channels, skip_0, skip_1, _, _, _, _, gain_0, gain_1, family]) =
            head.strip_prefix(b"OpusHead").and_then(<[u8]>::first_chunk)
        else {
            return Err(SymphoniaError::DecodeError("opus: no head"));
        };
        let short = if version == 0 { u16::from_be_bytes } else { u16::from_le_bytes };
        let gain = short([gain_0, gain_1]).cast_signed();
        let decoder = OpusMSDecoder::new(Self::RATE.cast_signed(), usize::from(channels), family)
            .map_err(|error| as_symphonias(&error))?;
        // Decibels in steps of 1/256.
        let gain = from_decibels(f32::from(gain) / 256.0);
        Ok(Self { decoder, gain, skip: usize::from(short([skip_0, skip_1])) })
    }

    /// Replaces `interleaved` by what is to be heard of the packet; returns the number of channels.
    pub(super) fn decode(
        &mut self,
        packet: &Packet,
        interleaved: &mut Vec<f32>,
    ) -> Result<usize, SymphoniaError> {
        let channels = self.decoder.channels();
        interleaved.clear();
        if packet.data.is_empty() {
            // To the decoder, nothing means a packet that was lost, to be filled with a guess.
            return Err(SymphoniaError::DecodeError("opus: an empty packet"));
        }
        interleaved.resize(MAX_PACKET_SAMPLES * channels, 0.0);
        let decoded = self.decoder.decode(&packet.data, MAX_PACKET_SAMPLES, interleaved);
        let frames = decoded.map_err(|error| as_symphonias(&error))?;
        let start = self.skip.min(frames);
        self.skip -= start;
        let end = frames.saturating_sub(packet.trim_end.get() as usize).max(start);
        interleaved.truncate(end * channels);
        interleaved.drain(..start * channels);
        for sample in interleaved {
            *sample *= self.gain;
        }
        Ok(channels)
    }
}

fn as_symphonias(error: &opus_pure::Error) -> SymphoniaError {
    match error {
        opus_pure::Error::InvalidArgument(reason) => SymphoniaError::Unsupported(reason),
        opus_pure::Error::InvalidPacket(reason) | opus_pure::Error::Internal(reason) => {
            SymphoniaError::DecodeError(reason)
        }
        // The others are of ogg files and of buffers that are too small, which neither are here.
        _ => SymphoniaError::DecodeError("opus: damaged"),
    }
}
