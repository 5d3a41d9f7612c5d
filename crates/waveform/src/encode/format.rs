//! The file formats that results are written in: their names, file extensions, media types, sample rates and bit rates.
//!
//! Everything that a door needs to know to accept or refuse a wish stands here, beside nothing else, so that settings,
//! requests and the encoders cannot disagree.

use std::fmt;
use std::str::FromStr;

/// A codec in its container. All hold one channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// 16-bit PCM with a head.
    Wav,
    /// 16 bits, lossless.
    Flac,
    Mp3,
    /// In Ogg.
    Opus,
    /// AAC-LC frames with ADTS heads.
    Aac,
    /// AAC-LC in MP4.
    M4a,
    /// 16-bit little-endian samples without any head.
    Pcm,
}

/// The bit rates that a format has at one sample rate, in kbit/s.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BitRates {
    /// The format is not made to a rate.
    None,
    /// Exactly these, rising.
    Of(&'static [u32]),
    Between(u32, u32),
}

impl BitRates {
    pub fn contains(self, kbps: u32) -> bool {
        match self {
            Self::None => false,
            Self::Of(list) => list.contains(&kbps),
            Self::Between(lowest, highest) => (lowest..=highest).contains(&kbps),
        }
    }

    /// The possible rate next to `kbps`; the higher of two.
    pub fn nearest(self, kbps: u32) -> Option<u32> {
        match self {
            Self::None => None,
            Self::Of(list) => list.iter().rev().copied().min_by_key(|rate| rate.abs_diff(kbps)),
            Self::Between(lowest, highest) => Some(kbps.clamp(lowest, highest)),
        }
    }
}

/// For messages: `8, 16 or 24` and `6 to 256`.
impl fmt::Display for BitRates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::Of(list) => f.write_str(&alternatives(list)),
            Self::Between(lowest, highest) => write!(f, "{lowest} to {highest}"),
        }
    }
}

/// The rates of MPEG-1 Layer III (32 kHz and above) and of its extension to lower sample rates.
const MP3_BIT_RATES: [u32; 14] = [32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320];
const MP3_LOW_BIT_RATES: [u32; 14] = [8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160];
const MP3_RATES: [u32; 9] = [8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000];
const OPUS_RATES: [u32; 5] = [8_000, 12_000, 16_000, 24_000, 48_000];
/// What one channel of AAC may take for a frame of 1024 samples (ISO 14496-3, 4.5.3).
const AAC_BITS_PER_FRAME: u32 = 6_144;

/// Hz that any result may have; some formats have fewer.
pub const LOWEST_RATE: u32 = 8_000;
pub const HIGHEST_RATE: u32 = 48_000;

impl Format {
    pub const ALL: [Self; 7] =
        [Self::Wav, Self::Flac, Self::Mp3, Self::Opus, Self::Aac, Self::M4a, Self::Pcm];

    /// What requests, settings and rows call it; also the file's extension.
    pub fn name(self) -> &'static str {
        match self {
            Self::Wav => "wav",
            Self::Flac => "flac",
            Self::Mp3 => "mp3",
            Self::Opus => "opus",
            Self::Aac => "aac",
            Self::M4a => "m4a",
            Self::Pcm => "pcm",
        }
    }

    /// For `Content-Type`. `sample_rate` in Hz is told where the bytes do not tell it.
    pub fn media_type(self, sample_rate: u32) -> String {
        match self {
            Self::Wav => "audio/wav".to_owned(),
            Self::Flac => "audio/flac".to_owned(),
            Self::Mp3 => "audio/mpeg".to_owned(),
            Self::Opus => "audio/ogg; codecs=opus".to_owned(),
            Self::Aac => "audio/aac".to_owned(),
            Self::M4a => "audio/mp4".to_owned(),
            // RFC 2586's audio/L16 is big-endian; this is the name that little-endian samples go by.
            Self::Pcm => format!("audio/pcm; rate={sample_rate}; channels=1"),
        }
    }

    /// Whether it can be sent while it is made. MP4 keeps its table of contents for the end.
    pub fn can_stream(self) -> bool {
        self != Self::M4a
    }

    /// `wav, flac, … or pcm`, for messages.
    pub fn names() -> String {
        alternatives(&Self::ALL)
    }

    /// The sample rates it has, rising; `None` for every one from [`LOWEST_RATE`] to [`HIGHEST_RATE`].
    pub fn sample_rates(self) -> Option<&'static [u32]> {
        match self {
            Self::Wav | Self::Flac | Self::Pcm => None,
            // AAC has these nine between 8 and 48 kHz too.
            Self::Mp3 | Self::Aac | Self::M4a => Some(&MP3_RATES),
            Self::Opus => Some(&OPUS_RATES),
        }
    }

    pub fn has_sample_rate(self, rate: u32) -> bool {
        self.sample_rates().map_or((LOWEST_RATE..=HIGHEST_RATE).contains(&rate), |list| list.contains(&rate))
    }

    /// The lowest rate it has that loses nothing of `rate`.
    pub fn sample_rate_for(self, rate: u32) -> u32 {
        let rate = rate.clamp(LOWEST_RATE, HIGHEST_RATE);
        self.sample_rates()
            .map_or(rate, |list| list.iter().copied().find(|&own| own >= rate).unwrap_or(HIGHEST_RATE))
    }

    pub fn bit_rates(self, sample_rate: u32) -> BitRates {
        match self {
            Self::Wav | Self::Flac | Self::Pcm => BitRates::None,
            Self::Mp3 if sample_rate >= 32_000 => BitRates::Of(&MP3_BIT_RATES),
            Self::Mp3 => BitRates::Of(&MP3_LOW_BIT_RATES),
            Self::Opus => BitRates::Between(6, 256),
            Self::Aac | Self::M4a => {
                let highest = u64::from(AAC_BITS_PER_FRAME) * u64::from(sample_rate) / 1_024 / 1_000;
                BitRates::Between(16, highest as u32)
            }
        }
    }

    /// Where speech of one channel leaves little to wish for.
    pub fn default_bit_rate(self, sample_rate: u32) -> Option<u32> {
        let wanted = match self {
            Self::Opus => 48,
            Self::Mp3 if sample_rate < 32_000 => 96,
            Self::Mp3 => 128,
            // The least thrifty of the encoders: a third more for what mp3 gives.
            Self::Aac | Self::M4a if sample_rate < 32_000 => 128,
            _ => 192,
        };
        self.bit_rates(sample_rate).nearest(wanted)
    }
}

/// `8, 16 or 24`.
fn alternatives(list: &[impl fmt::Display]) -> String {
    let (last, others) = match list.split_last() {
        None => return String::new(),
        Some((last, [])) => return last.to_string(),
        Some((last, others)) => (last, others),
    };
    let others: Vec<String> = others.iter().map(ToString::to_string).collect();
    format!("{} or {last}", others.join(", "))
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// There is no such format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be {}", Format::names())]
pub struct UnknownFormat;

/// By name, in any case.
impl FromStr for Format {
    type Err = UnknownFormat;

    fn from_str(name: &str) -> Result<Self, UnknownFormat> {
        Self::ALL.into_iter().find(|format| format.name().eq_ignore_ascii_case(name)).ok_or(UnknownFormat)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_leads_to_its_format_and_others_to_the_list() {
        for format in Format::ALL {
            assert_eq!(format.name().to_uppercase().parse(), Ok(format));
        }
        let error = "ogg".parse::<Format>().unwrap_err();
        assert_eq!(error.to_string(), "must be wav, flac, mp3, opus, aac, m4a or pcm");
    }

    #[test]
    fn a_rate_that_a_format_lacks_becomes_the_next_higher_one() {
        assert_eq!(Format::Opus.sample_rate_for(44_100), 48_000);
        assert_eq!(Format::Opus.sample_rate_for(22_050), 24_000);
        assert_eq!(Format::Mp3.sample_rate_for(23_000), 24_000);
        assert_eq!(Format::Wav.sample_rate_for(23_000), 23_000);
        for format in Format::ALL {
            for rate in [8_000, 9_999, 24_000, 44_100, 48_000] {
                assert!(format.has_sample_rate(format.sample_rate_for(rate)), "{format} {rate}");
            }
        }
    }

    #[test]
    fn every_default_bit_rate_is_one_that_the_format_has() {
        for format in Format::ALL {
            for rate in format.sample_rates().unwrap_or(&MP3_RATES) {
                let rates = format.bit_rates(*rate);
                match format.default_bit_rate(*rate) {
                    Some(kbps) => assert!(rates.contains(kbps), "{format} {rate} {kbps}"),
                    None => assert_eq!(rates, BitRates::None),
                }
            }
        }
        assert_eq!(Format::Mp3.bit_rates(24_000).nearest(320), Some(160));
        assert_eq!(Format::Mp3.bit_rates(48_000).nearest(72), Some(80));
        assert_eq!(Format::Aac.bit_rates(8_000), BitRates::Between(16, 48));
        assert_eq!(Format::Mp3.bit_rates(48_000).to_string().split(" or ").last(), Some("320"));
    }
}
