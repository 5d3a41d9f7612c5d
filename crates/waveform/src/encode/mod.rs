//! Samples into an audio file, piece by piece.
//!
//! A job's sound can be hours long, so an encoder takes it as it comes and holds at most one codec block. Lengths and
//! checksums that stand in a file's head are patched at the end, which is why the destination must seek; [`Encoder::finish`]
//! hands the destination back so that its owner can sync it before anyone is told that the file exists.

mod flac;
mod sink;
mod wav;

use std::io::{Seek, Write};

use sink::Sink;

/// The file formats that can be written. Both hold 16-bit mono.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Wav,
    Flac,
}

/// Why a file was not written.
#[derive(Debug, thiserror::Error)]
pub enum EncodeError {
    #[error("the audio file cannot be written")]
    Io(#[from] std::io::Error),
    #[error("a wav file cannot hold more than 4 GB of sound; choose flac")]
    TooLong,
    #[error("there is no sound to write")]
    Empty,
    #[error("the wav encoder failed")]
    Wav(#[source] hound::Error),
    #[error("the flac encoder failed")]
    Flac(#[source] flac_codec::Error),
}

impl From<EncodeError> for std::io::Error {
    fn from(error: EncodeError) -> Self {
        match error {
            EncodeError::Io(error) => error,
            other => Self::other(other),
        }
    }
}

/// An audio file in the making. Dropped before [`Encoder::finish`], it leaves an unfinished file behind.
#[derive(Debug)]
pub struct Encoder<W: Write + Seek> {
    codec: Codec<W>,
    sink: Sink<W>,
    frames: u64,
}

#[derive(Debug)]
enum Codec<W: Write + Seek> {
    Wav(wav::WavEncoder<W>),
    Flac(Box<flac::FlacEncoder<W>>),
}

impl<W: Write + Seek> Encoder<W> {
    /// Begins a file at the destination's present position. `sample_rate` in Hz.
    pub fn new(destination: W, format: Format, sample_rate: u32) -> Result<Self, EncodeError> {
        let sink = Sink::new(destination);
        let codec = match format {
            Format::Wav => Codec::Wav(wav::WavEncoder::new(sink.clone(), sample_rate)?),
            Format::Flac => Codec::Flac(Box::new(flac::FlacEncoder::new(sink.clone(), sample_rate)?)),
        };
        Ok(Self { codec, sink, frames: 0 })
    }

    /// Appends mono samples in −1..1, rounded to the nearest of 16 bits; what lies outside is clipped.
    pub fn write(&mut self, samples: &[f32]) -> Result<(), EncodeError> {
        match &mut self.codec {
            Codec::Wav(codec) => codec.write(samples)?,
            Codec::Flac(codec) => codec.write(samples)?,
        }
        self.frames += samples.len() as u64;
        Ok(())
    }

    /// Samples written so far.
    pub fn frames(&self) -> u64 {
        self.frames
    }

    /// Completes the file and returns its destination, flushed but not synced.
    pub fn finish(self) -> Result<W, EncodeError> {
        if self.frames == 0 {
            return Err(EncodeError::Empty);
        }
        match self.codec {
            Codec::Wav(codec) => codec.finish()?,
            Codec::Flac(codec) => codec.finish()?,
        }
        self.sink.into_inner()
    }
}

/// −1..1 to 16 bits, to nearest. Scaled by 32767 on both sides, so that silence stays 0 and full scale is symmetrical;
/// not-a-number becomes 0. In f64, where the product is exact.
fn to_pcm16(sample: f32) -> i16 {
    (f64::from(sample) * 32_767.0).round() as i16
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use proptest::prelude::*;
    use symphonia::core::codecs::audio::AudioDecoderOptions;
    use symphonia::core::formats::probe::Hint;
    use symphonia::core::formats::{FormatOptions, TrackType};
    use symphonia::core::io::{MediaSourceStream, MediaSourceStreamOptions};
    use symphonia::core::meta::MetadataOptions;

    use super::*;
    use crate::test_signals::{noise, sine};

    fn encode(samples: &[f32], format: Format, piece: usize) -> Vec<u8> {
        let mut encoder = Encoder::new(Cursor::new(Vec::new()), format, 24_000).unwrap();
        for part in samples.chunks(piece.max(1)) {
            encoder.write(part).unwrap();
        }
        assert_eq!(encoder.frames(), samples.len() as u64);
        encoder.finish().unwrap().into_inner()
    }

    /// Writes the same sound in both formats, for a look with other programs:
    /// `DECLAIM_ENCODE_TO=/tmp cargo test -p waveform -- --ignored by_hand && flac -t /tmp/encoded.flac`
    #[test]
    #[ignore = "writes files to look at"]
    fn files_to_check_by_hand() {
        let folder = std::env::var("DECLAIM_ENCODE_TO").unwrap();
        for (length, name) in [(100_003, "encoded"), (4_096 + 3, "short_tail"), (1, "one")] {
            let mut samples = crate::test_signals::vowel(120.0, 24_000, length);
            samples.iter_mut().zip(noise(length, 0.01)).for_each(|(s, n)| *s += n);
            std::fs::write(format!("{folder}/{name}.flac"), encode(&samples, Format::Flac, 999)).unwrap();
            std::fs::write(format!("{folder}/{name}.wav"), encode(&samples, Format::Wav, 999)).unwrap();
        }
    }

    /// By decoders that share nothing with the encoders: for wav the 44-byte head read by hand, for flac symphonia, which
    /// also checks the checksums.
    fn decode(file: &[u8], format: Format) -> Vec<i16> {
        match format {
            Format::Wav => {
                let number = |at: usize| u32::from_le_bytes(file[at..at + 4].try_into().unwrap());
                assert_eq!(
                    (&file[..4], &file[8..16], &file[36..40]),
                    (&b"RIFF"[..], &b"WAVEfmt "[..], &b"data"[..])
                );
                assert_eq!(number(4) as usize, file.len() - 8);
                assert_eq!((number(16), number(20)), (16, 0x0001_0001), "PCM, one channel");
                assert_eq!((number(24), number(28), number(32)), (24_000, 48_000, 0x0010_0002));
                assert_eq!(number(40) as usize, file.len() - 44);
                file[44..].chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect()
            }
            Format::Flac => {
                let source = MediaSourceStream::new(
                    Box::new(Cursor::new(file.to_vec())),
                    MediaSourceStreamOptions::default(),
                );
                let (probe, codecs) = (symphonia::default::get_probe(), symphonia::default::get_codecs());
                let mut reader = probe
                    .probe(&Hint::default(), source, FormatOptions::default(), MetadataOptions::default())
                    .unwrap();
                let track = reader.default_track(TrackType::Audio).unwrap();
                let frames = track.num_frames;
                let parameters = track.codec_params.as_ref().unwrap().audio().unwrap();
                assert_eq!((parameters.sample_rate, parameters.bits_per_sample), (Some(24_000), Some(16)));
                let options = AudioDecoderOptions::default().verify(true);
                let mut decoder = codecs.make_audio_decoder(parameters, &options).unwrap();
                let mut samples = Vec::new();
                while let Some(packet) = reader.next_packet().unwrap() {
                    let block = decoder.decode(&packet).unwrap();
                    assert_eq!(block.samples_planar(), block.frames(), "one channel");
                    let start = samples.len();
                    samples.resize(start + block.frames(), 0i16);
                    block.copy_to_slice_interleaved(&mut samples[start..]);
                }
                assert_eq!(frames, Some(samples.len() as u64));
                assert_eq!(decoder.finalize().verify_ok, Some(true), "the MD5 of all samples");
                samples
            }
        }
    }

    fn expected(samples: &[f32]) -> Vec<i16> {
        samples.iter().map(|&s| (f64::from(s.clamp(-1.0, 1.0)) * 32_767.0).round() as i16).collect()
    }

    #[test]
    fn sixteen_bits_come_back_exactly() {
        let mut samples = sine(440.0, 24_000, 30_000, 0.9);
        samples.extend(noise(10_000, 1.0));
        samples.extend(vec![0.0; 9_000]);
        for format in [Format::Wav, Format::Flac] {
            // assert!, not assert_eq!: nobody reads 49,000 numbers.
            assert!(decode(&encode(&samples, format, 1_777), format) == expected(&samples), "{format:?}");
        }
    }

    #[test]
    fn rounding_is_to_nearest_and_loud_samples_are_clipped() {
        let samples =
            [0.6 / 32_767.0, -0.6 / 32_767.0, 0.4 / 32_767.0, 1.0, -1.0, 1.7, -9.0, f32::NAN, f32::INFINITY];
        let decoded = decode(&encode(&samples, Format::Wav, 4), Format::Wav);
        assert_eq!(decoded, [1, -1, 0, 32_767, -32_767, 32_767, -32_768, 0, 32_767]);
    }

    #[test]
    fn flac_is_smaller_than_wav_for_speech_like_sound() {
        let samples = crate::test_signals::vowel(120.0, 24_000, 48_000);
        let (flac, wav) = (encode(&samples, Format::Flac, 4_096), encode(&samples, Format::Wav, 4_096));
        assert!(flac.len() * 10 < wav.len() * 7, "{} of {}", flac.len(), wav.len());
    }

    #[test]
    fn nothing_to_write_is_an_error() {
        for format in [Format::Wav, Format::Flac] {
            let encoder = Encoder::new(Cursor::new(Vec::new()), format, 24_000).unwrap();
            assert!(matches!(encoder.finish(), Err(EncodeError::Empty)));
        }
    }

    #[test]
    fn a_full_disk_is_an_error_not_a_short_file() {
        for format in [Format::Wav, Format::Flac] {
            let mut space = vec![0u8; 20_000];
            let mut encoder = Encoder::new(Cursor::new(&mut space[..]), format, 24_000).unwrap();
            let written = encoder.write(&noise(20_000, 1.0));
            assert!(written.is_err() || encoder.finish().is_err(), "{format:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn any_length_in_any_pieces_survives(length in 1usize..9_000, piece in 1usize..6_000, level in 0.0f32..1.2) {
            let samples = noise(length, level);
            for format in [Format::Wav, Format::Flac] {
                let decoded = decode(&encode(&samples, format, piece), format);
                prop_assert_eq!(decoded.len(), length);
                let clipped: Vec<i16> = samples.iter().map(|&s| to_pcm16(s)).collect();
                prop_assert!(decoded == clipped);
            }
        }
    }
}
