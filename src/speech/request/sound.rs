//! What a request says of the sound: its format, its rates, and what happens to it on the way.
//!
//! What is asked for must be possible and is refused with the list of what is; what comes from the settings is a wish for all
//! formats and becomes the next that this one has.

use waveform::encode::{BitRates, HIGHEST_RATE, LOWEST_RATE};

use super::{Draft, DraftError, number, quoted, size};
use crate::config::{AudioProcessing, ranges};
use crate::speech::{AudioFormat, Processing};

impl Draft {
    /// What happens to the sound: the settings, and what the request says otherwise.
    pub(super) fn processing(&self, defaults: &AudioProcessing) -> Result<Processing, DraftError> {
        let pause = |field, value, default| {
            let pauses = *ranges::PAUSES.start() as usize..=*ranges::PAUSES.end() as usize;
            Ok::<_, DraftError>(size(field, value, pauses)?.map_or(default, |pause| pause as u32))
        };
        Ok(Processing {
            trim_silence: self.trim_silence.unwrap_or(defaults.trim_silence),
            max_silence_ms: match self.max_silence_ms {
                Some(0) => None,
                given => {
                    let allowed =
                        *ranges::MAX_SILENCES.start() as usize..=*ranges::MAX_SILENCES.end() as usize;
                    let given = size("max_silence_ms", given, allowed)?;
                    given.map(|longest| longest as u32).or(defaults.max_silence_ms)
                }
            },
            sentence_pause_ms: pause(
                "sentence_pause_ms",
                self.sentence_pause_ms,
                defaults.sentence_pause_ms,
            )?,
            paragraph_pause_ms: pause(
                "paragraph_pause_ms",
                self.paragraph_pause_ms,
                defaults.paragraph_pause_ms,
            )?,
            loudness_lufs: match self.loudness_lufs {
                Some(0.0) => None,
                given => number("loudness_lufs", given, ranges::LOUDNESSES)?.or(defaults.loudness_lufs),
            },
            true_peak_db: defaults.true_peak_db,
        })
    }
}

/// The format of this name.
pub fn format(name: &str) -> Result<AudioFormat, DraftError> {
    name.parse().map_err(|_unknown| DraftError::field("output_format", AudioFormat::names(), quoted(name)))
}

/// A rate that was asked for must be one of the format's; the server's own becomes one.
pub(super) fn sample_rate(wanted: Option<i64>, format: AudioFormat, default: u32) -> Result<u32, DraftError> {
    let Some(wanted) = wanted else { return Ok(format.sample_rate_for(default)) };
    u32::try_from(wanted).ok().filter(|&rate| format.has_sample_rate(rate)).ok_or_else(|| {
        let expected = match format.sample_rates() {
            None => format!("a whole number from {LOWEST_RATE} to {HIGHEST_RATE}"),
            Some(rates) => {
                let rates: Vec<String> = rates.iter().map(ToString::to_string).collect();
                format!("one of {} for {format}", rates.join(", "))
            }
        };
        DraftError::field("sample_rate", expected, wanted)
    })
}

/// The same for bit rates.
pub(super) fn bit_rate(
    wanted: Option<i64>,
    format: AudioFormat,
    sample_rate: u32,
    default: Option<u32>,
) -> Result<Option<u32>, DraftError> {
    let rates = format.bit_rates(sample_rate);
    let Some(wanted) = wanted else { return Ok(default.and_then(|kbps| rates.nearest(kbps))) };
    if let Some(kbps) = u32::try_from(wanted).ok().filter(|&kbps| rates.contains(kbps)) {
        return Ok(Some(kbps));
    }
    let expected = match rates {
        BitRates::None => format!("left out for {format}, which has no bit rate to choose"),
        BitRates::Of(_) | BitRates::Between(..) => format!("{rates} for {format} at {sample_rate} Hz"),
    };
    Err(DraftError::field("bitrate_kbps", expected, wanted))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{catalog, check, draft};
    use super::*;
    use crate::config::Settings;

    #[test]
    fn rates_that_a_format_lacks_are_refused_when_asked_for_and_replaced_when_configured() {
        let ask = |format: &str, sample_rate: Option<i64>, bitrate_kbps: Option<i64>| {
            let draft = Draft { format: Some(format.to_owned()), sample_rate, bitrate_kbps, ..draft() };
            check(draft)
                .map(|request| (request.sample_rate, request.bitrate_kbps))
                .map_err(|error| error.to_string())
        };
        assert_eq!(ask("opus", None, None), Ok((24_000, None)));
        assert_eq!(ask("MP3", Some(44_100), Some(320)), Ok((44_100, Some(320))));
        assert_eq!(
            ask("opus", Some(44_100), None).unwrap_err(),
            "sample_rate must be one of 8000, 12000, 16000, 24000, 48000 for opus, found 44100; leave it out for the \
             default"
        );
        assert!(
            ask("wav", Some(96_000), None)
                .unwrap_err()
                .starts_with("sample_rate must be a whole number from 8000")
        );
        assert!(
            ask("mp3", None, Some(320)).unwrap_err().contains("144 or 160 for mp3 at 24000 Hz, found 320")
        );
        assert_eq!(
            ask("flac", None, Some(64)).unwrap_err(),
            "bitrate_kbps must be left out for flac, which has no bit rate to choose, found 64; leave it out for the \
             default"
        );
        let mut settings = Settings::default();
        settings.audio_output.sample_rate = 44_100;
        settings.audio_output.bitrate_kbps = Some(320);
        let configured = |format: &str| {
            let draft = Draft { format: Some(format.to_owned()), ..draft() };
            let request = draft.check(&settings, &catalog()).unwrap();
            (request.sample_rate, request.bitrate_kbps)
        };
        assert_eq!(configured("opus"), (48_000, Some(256)));
        assert_eq!(configured("flac"), (44_100, None));
    }

    #[test]
    fn what_happens_to_the_sound_is_the_settings_unless_a_request_says_otherwise() {
        let mut settings = Settings::default();
        settings.audio_processing.loudness_lufs = Some(-23.0);
        settings.audio_processing.max_silence_ms = Some(700);
        let check = |draft: Draft| draft.check(&settings, &catalog()).map(|request| request.processing);
        let configured = check(draft()).unwrap();
        assert_eq!((configured.loudness_lufs, configured.max_silence_ms), (Some(-23.0), Some(700)));
        let off = Draft { loudness_lufs: Some(0.0), max_silence_ms: Some(0), ..draft() };
        let off = check(Draft { trim_silence: Some(false), sentence_pause_ms: Some(0), ..off }).unwrap();
        assert_eq!((off.loudness_lufs, off.max_silence_ms), (None, None));
        assert_eq!((off.trim_silence, off.sentence_pause_ms, off.paragraph_pause_ms), (false, 0, 600));
        for (wrong, field) in [
            (Draft { loudness_lufs: Some(-3.0), ..draft() }, "loudness_lufs must be a number from -40 to -8"),
            (Draft { max_silence_ms: Some(10), ..draft() }, "max_silence_ms must be a whole number from 50"),
            (
                Draft { paragraph_pause_ms: Some(-1), ..draft() },
                "paragraph_pause_ms must be a whole number from 0",
            ),
        ] {
            let error = check(wrong).unwrap_err().to_string();
            assert!(error.starts_with(field), "{error}");
        }
    }
}
