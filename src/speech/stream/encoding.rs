//! Samples into bytes that can be sent before the end is known.

use crate::speech::AudioFormat;

/// Whether a format can be sent while it is made.
pub fn can_stream(format: AudioFormat) -> bool {
    match format {
        AudioFormat::Wav => true,
        AudioFormat::Flac => false,
    }
}

/// 16-bit mono wav whose head does not know its length.
#[derive(Debug)]
pub(super) struct StreamEncoder {
    head: Option<[u8; 44]>,
}

impl StreamEncoder {
    /// `None` where [`can_stream`] says no.
    pub(super) fn new(format: AudioFormat, sample_rate: u32) -> Option<Self> {
        can_stream(format).then(|| Self { head: Some(head(sample_rate)) })
    }

    /// Appends the bytes of `samples`, mono in −1..1.
    pub(super) fn write(&mut self, samples: &[f32], bytes: &mut Vec<u8>) {
        if samples.is_empty() {
            return;
        }
        bytes.extend(self.head.take().into_iter().flatten());
        for sample in samples {
            let rounded = (f64::from(*sample) * 32_767.0).round() as i16;
            bytes.extend(rounded.to_le_bytes());
        }
    }
}

/// Both lengths are the largest number, as ffmpeg writes them where it cannot seek back.
fn head(sample_rate: u32) -> [u8; 44] {
    let mut head = [0; 44];
    let mut put = |at: usize, bytes: &[u8]| head[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, b"RIFF");
    put(4, &u32::MAX.to_le_bytes());
    put(8, b"WAVEfmt ");
    put(16, &16_u32.to_le_bytes());
    put(20, &[1, 0, 1, 0]);
    put(24, &sample_rate.to_le_bytes());
    put(28, &(2 * sample_rate).to_le_bytes());
    put(32, &[2, 0, 16, 0]);
    put(36, b"data");
    put(40, &u32::MAX.to_le_bytes());
    head
}

impl std::fmt::Display for AudioFormat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Wav => "wav",
            Self::Flac => "flac",
        })
    }
}
