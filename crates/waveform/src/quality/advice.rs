//! What a [`Report`] means for a model, in words. Each advice carries its numbers, so that a page may say it in another
//! language.

use std::fmt;
use std::time::Duration;

use super::Report;

/// What a model wants of a reference clip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Needs {
    /// The model refuses clips that are not longer.
    pub least: Duration,
    /// More than this it does not listen to.
    pub best: Duration,
}

/// One thing that would make a better clone.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Advice {
    /// There is nothing to be heard.
    Silent,
    /// The model cannot use it.
    TooShort { found: Duration, least: Duration },
    /// It works; more would be better.
    Short { found: Duration, best: Duration },
    /// Share of the samples, 0–1.
    Clipped { share: f32 },
    /// Speech over noise in decibels.
    Noisy { signal_to_noise: f32 },
    /// LUFS.
    Quiet { loudness: f64 },
    /// Share of the time, 0–1.
    Pauses { share: f32 },
    /// Highest frequency in Hz.
    Muffled { bandwidth: f32 },
}

/// Less than this is heard as noise behind the voice, and cloned with it. (Two clips of the AISHELL corpus, spoken into a good
/// microphone at low gain, measure 13 and 16 dB.)
const LEAST_SIGNAL_TO_NOISE: f32 = 15.0;
/// More than this of a clip in flat tops is heard as distortion.
const MOST_CLIPPED: f32 = 1e-4;
/// Quieter than this, the steps of 16 bits come near the voice.
const LEAST_LOUDNESS: f64 = -45.0;
const MOST_SILENCE: f32 = 0.6;
/// Telephones end at 3.4 kHz; sibilants are at 6 kHz.
const LEAST_BANDWIDTH: f32 = 6_000.0;

impl Report {
    /// What to do better, most important first; empty for a good clip.
    pub fn advice(&self, needs: &Needs) -> Vec<Advice> {
        // Loudness is not defined below 0.4 s, which is too short for any other reason.
        let inaudible = self.loudness == f64::NEG_INFINITY && self.duration >= Duration::from_millis(400);
        if self.silence >= 1.0 || inaudible {
            return vec![Advice::Silent];
        }
        let found = self.duration;
        let length = if found <= needs.least {
            Some(Advice::TooShort { found, least: needs.least })
        } else {
            (found < needs.best).then_some(Advice::Short { found, best: needs.best })
        };
        let signal_to_noise = self.signal_to_noise.filter(|decibels| *decibels < LEAST_SIGNAL_TO_NOISE);
        [
            length,
            (self.clipped > MOST_CLIPPED).then_some(Advice::Clipped { share: self.clipped }),
            signal_to_noise.map(|signal_to_noise| Advice::Noisy { signal_to_noise }),
            (self.loudness < LEAST_LOUDNESS).then_some(Advice::Quiet { loudness: self.loudness }),
            (self.silence > MOST_SILENCE).then_some(Advice::Pauses { share: self.silence }),
            (self.bandwidth < LEAST_BANDWIDTH).then_some(Advice::Muffled { bandwidth: self.bandwidth }),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

impl Advice {
    /// Whether the clip cannot be used at all.
    pub fn forbids(&self) -> bool {
        matches!(self, Self::Silent | Self::TooShort { .. })
    }
}

impl fmt::Display for Advice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Silent => write!(f, "Nothing can be heard in this clip."),
            Self::TooShort { found, least } => {
                let (found, least) = (found.as_secs_f32(), least.as_secs_f32());
                write!(f, "The clip is {found:.1} s long; this model needs more than {least:.0} s.")
            }
            Self::Short { found, best } => {
                let (found, best) = (found.as_secs_f32(), best.as_secs_f32());
                write!(f, "The clip is {found:.1} s long; {best:.0} s would carry more of the voice.")
            }
            Self::Clipped { share } => {
                let percent = share * 100.0;
                write!(f, "The recording is overdriven ({percent:.2} % of it); record at a lower level.")
            }
            Self::Noisy { signal_to_noise } => write!(
                f,
                "There is noise behind the voice ({signal_to_noise:.0} dB below it); a quieter room would help."
            ),
            Self::Quiet { loudness } => {
                write!(f, "The recording is very quiet ({loudness:.0} LUFS); go nearer to the microphone.")
            }
            Self::Pauses { share } => {
                let percent = share * 100.0;
                write!(f, "{percent:.0} % of the clip is silence; cut it down to speech.")
            }
            Self::Muffled { bandwidth } => {
                let kilohertz = bandwidth / 1_000.0;
                write!(f, "The clip ends at {kilohertz:.1} kHz like a telephone; use a better recording.")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEEDS: Needs = Needs { least: Duration::from_secs(5), best: Duration::from_secs(10) };
    const GOOD: Report = Report {
        duration: Duration::from_secs(12),
        peak: -3.0,
        clipped: 0.0,
        silence: 0.2,
        noise_floor: -65.0,
        signal_to_noise: Some(42.0),
        loudness: -22.0,
        bandwidth: 11_000.0,
    };

    #[test]
    fn a_good_clip_needs_no_advice() {
        assert_eq!(GOOD.advice(&NEEDS), []);
        assert_eq!(Report { signal_to_noise: None, ..GOOD }.advice(&NEEDS), []);
    }

    #[test]
    fn the_length_is_judged_by_what_the_model_needs() {
        let of = |seconds| Report { duration: Duration::from_secs_f32(seconds), ..GOOD }.advice(&NEEDS);
        assert!(matches!(of(5.0)[..], [Advice::TooShort { .. }]) && of(5.0)[0].forbids());
        assert!(matches!(of(5.1)[..], [Advice::Short { .. }]) && !of(5.1)[0].forbids());
        assert_eq!(of(10.0), []);
    }

    #[test]
    fn every_fault_is_named_with_its_number() {
        let bad = Report {
            duration: Duration::from_millis(3_250),
            clipped: 0.0123,
            silence: 0.75,
            signal_to_noise: Some(11.6),
            loudness: -51.2,
            bandwidth: 3_400.0,
            ..GOOD
        };
        let sentences: Vec<String> = bad.advice(&NEEDS).iter().map(ToString::to_string).collect();
        assert_eq!(
            sentences,
            [
                "The clip is 3.2 s long; this model needs more than 5 s.",
                "The recording is overdriven (1.23 % of it); record at a lower level.",
                "There is noise behind the voice (12 dB below it); a quieter room would help.",
                "The recording is very quiet (-51 LUFS); go nearer to the microphone.",
                "75 % of the clip is silence; cut it down to speech.",
                "The clip ends at 3.4 kHz like a telephone; use a better recording.",
            ]
        );
    }

    #[test]
    fn of_silence_only_the_silence_is_said() {
        let silent = Report { silence: 1.0, loudness: f64::NEG_INFINITY, bandwidth: 0.0, ..GOOD };
        assert_eq!(silent.advice(&NEEDS), [Advice::Silent]);
    }
}
