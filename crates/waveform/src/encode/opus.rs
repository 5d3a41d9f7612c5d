//! Opus in Ogg (RFC 7845), in packets of 20 ms.
//!
//! The head says how many samples of the encoder's delay to drop, the last page where the sound ends, so decoders give back
//! exactly what went in. Nothing needs patching: a stream and a file are the same bytes.

use opus_pure::{Application, MAX_PACKET_BYTES, OggOpusWriter, OpusEncoder, OpusHead, OpusTags};

use super::{Codec, EncodeError, Encoding, Format, Patch, clipped};

/// Ogg counts Opus in samples of 48 kHz, whatever went in.
const GRANULE_RATE: u32 = 48_000;
const PACKETS_PER_SECOND: u32 = 50;
/// A page is what a listener waits for: a quarter of a second. A shorter one would be mostly head.
const PACKETS_PER_PAGE: u32 = 12;

#[derive(Debug)]
pub(super) struct Opus {
    encoder: OpusEncoder,
    writer: OggOpusWriter<Vec<u8>>,
    pre_skip: u64,
    sample_rate: u32,
    /// Samples that do not fill a packet yet.
    pending: Vec<f32>,
    samples: u64,
    packet: Vec<u8>,
    packets_in_page: u32,
}

impl Opus {
    pub(super) fn new(encoding: &Encoding, out: &mut Vec<u8>) -> Result<Self, EncodeError> {
        let bits = encoding.bit_rate_kbps() * 1_000;
        // Not `Voip`, which filters and sharpens what was never in a room.
        let mut encoder =
            OpusEncoder::new(encoding.sample_rate as i32, 1, Application::Audio).map_err(failed)?;
        encoder.bitrate_bps = bits as i32;
        let head = OpusHead::for_encoder(&encoder, encoding.sample_rate);
        let pre_skip = u64::from(head.pre_skip);
        let mut tags = OpusTags::new();
        for (name, value) in encoding.tags.fields() {
            tags.push(&name, &value).map_err(failed)?;
        }
        let writer = OggOpusWriter::with_tags(Vec::new(), head, tags).map_err(failed)?;
        let mut opus = Self {
            encoder,
            writer,
            pre_skip,
            sample_rate: encoding.sample_rate,
            pending: Vec::new(),
            samples: 0,
            packet: vec![0; MAX_PACKET_BYTES],
            packets_in_page: 0,
        };
        opus.drain(out);
        Ok(opus)
    }

    fn packet_length(&self) -> usize {
        (self.sample_rate / PACKETS_PER_SECOND) as usize
    }

    fn drain(&mut self, out: &mut Vec<u8>) {
        if let Some(written) = self.writer.get_mut() {
            out.append(written);
        }
    }

    /// Encodes the first packet's worth of `pending`, which says that it lasts `granules`.
    fn write_packet(&mut self, granules: u32) -> Result<(), EncodeError> {
        let length = self.packet_length();
        let bytes = self.encoder.encode(&self.pending[..length], length, &mut self.packet).map_err(failed)?;
        self.pending.drain(..length);
        // Bytes are the writer's only measure of a page, but silence has few: what is there becomes a page when it is time.
        let is_time = self.packets_in_page == PACKETS_PER_PAGE;
        self.writer.set_page_target(if is_time { 1 } else { usize::MAX });
        self.packets_in_page = if is_time { 1 } else { self.packets_in_page + 1 };
        self.writer.write_packet_with_duration(&self.packet[..bytes], granules).map_err(failed)
    }
}

impl Codec for Opus {
    fn write(&mut self, samples: &[f32], out: &mut Vec<u8>) -> Result<(), EncodeError> {
        self.samples += samples.len() as u64;
        self.pending.extend(samples.iter().map(|&sample| clipped(sample)));
        while self.pending.len() >= self.packet_length() {
            self.write_packet(GRANULE_RATE / PACKETS_PER_SECOND)?;
        }
        self.drain(out);
        Ok(())
    }

    fn finish(mut self: Box<Self>, out: &mut Vec<u8>) -> Result<Vec<Patch>, EncodeError> {
        // All rates that Opus has divide 48 kHz.
        let end = self.pre_skip + self.samples * u64::from(GRANULE_RATE / self.sample_rate);
        loop {
            let left = end.saturating_sub(self.writer.granule() as u64);
            if left == 0 {
                break;
            }
            self.pending.resize(self.packet_length(), 0.0);
            self.write_packet(left.min(u64::from(GRANULE_RATE / PACKETS_PER_SECOND)) as u32)?;
        }
        out.extend(self.writer.finish().map_err(failed)?);
        Ok(Vec::new())
    }
}

fn failed(error: opus_pure::Error) -> EncodeError {
    EncodeError::Codec { format: Format::Opus, source: error.into() }
}
