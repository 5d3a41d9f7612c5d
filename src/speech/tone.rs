//! `Tone`, the test model: it hums for as long as the text would take to say.
//!
//! Everything above the networks, from the queue to the page, can be tested in milliseconds with it, and with the same
//! seams: it asks for cancellation and tells its progress at every token, and can be told to fail. It is no voice
//! for people; `--model tone` selects it by name only.

use std::f32::consts::TAU;
use std::time::Duration;

use super::Cancel;
use super::model::{ChunkRequest, ModelError, ModelInfo, SpeechModel, VoiceInfo};

/// Hz; that of the real models.
const SAMPLE_RATE: u32 = 24_000;
/// 25 tokens a second, as the real models' speech tokens.
const SAMPLES_PER_TOKEN: usize = 960;
/// 12.5 characters a second, a calm reader.
const TOKENS_PER_CHAR: usize = 2;
/// About −12 dB: audible, and far from clipping.
const LEVEL: f32 = 0.25;

/// How the test model behaves.
#[derive(Clone, Copy, Debug, Default)]
pub struct ToneSettings {
    /// Slept at every token, to be as slow as a real model where a test needs that.
    pub token_pause: Duration,
}

impl ToneSettings {
    /// `DECLAIM_TONE_MS_PER_TOKEN`: milliseconds to sleep at every token, fractions allowed; none by default.
    pub fn from_env() -> Self {
        let pause = std::env::var("DECLAIM_TONE_MS_PER_TOKEN")
            .ok()
            .and_then(|milliseconds| milliseconds.parse::<f64>().ok())
            .and_then(|milliseconds| Duration::try_from_secs_f64(milliseconds / 1000.0).ok());
        Self { token_pause: pause.unwrap_or_default() }
    }
}

/// Hums. A chunk with the tag `[fail]` fails like a lost device, one with `[panic]` panics, both at the middle token.
#[derive(Debug)]
pub struct Tone {
    settings: ToneSettings,
    info: ModelInfo,
}

impl Tone {
    pub fn new(settings: ToneSettings) -> Self {
        let voice = |id: &str, name: &str| VoiceInfo {
            id: id.to_owned(),
            name: name.to_owned(),
            gender: None,
            language: "en".to_owned(),
            origin: "A sine wave, made by declaim itself.".to_owned(),
        };
        let info = ModelInfo {
            name: "tone".to_owned(),
            class_name: "Tone".to_owned(),
            device: "CPU (one sine)".to_owned(),
            device_reason: "the test model needs no device".to_owned(),
            sample_rate: SAMPLE_RATE,
            max_chunk_chars: 300,
            voices: vec![voice("hum", "Hum"), voice("whistle", "Whistle")],
            default_voice: "hum".to_owned(),
            languages: vec!["en".to_owned()],
            paralinguistic_tags: vec!["fail".to_owned(), "panic".to_owned()],
        };
        Self { settings, info }
    }

    fn pitch(voice: &str) -> Result<f32, ModelError> {
        match voice {
            "hum" => Ok(140.0),
            "whistle" => Ok(1400.0),
            other => Err(ModelError::UnknownVoice(other.to_owned())),
        }
    }
}

impl SpeechModel for Tone {
    fn info(&self) -> &ModelInfo {
        &self.info
    }

    fn speak(
        &mut self,
        chunk: &ChunkRequest,
        cancel: &Cancel,
        progress: &mut dyn FnMut(f32),
    ) -> Result<Vec<f32>, ModelError> {
        let pitch = Self::pitch(&chunk.voice)?;
        let tokens = chunk.text.trim().chars().count() * TOKENS_PER_CHAR;
        if tokens == 0 {
            return Err(ModelError::NothingToSpeak);
        }
        let mut samples = Vec::with_capacity(tokens * SAMPLES_PER_TOKEN);
        // A semitone up or down by the seed, so that takes can be told apart.
        let pitch = pitch * 2f32.powf((chunk.seed % 3) as f32 / 12.0 - 1.0 / 12.0);
        let step = pitch / SAMPLE_RATE as f32;
        let mut phase = 0.0_f32;
        for token in 0..tokens {
            if cancel.is_cancelled() {
                return Err(ModelError::Cancelled);
            }
            if token == tokens / 2 {
                if chunk.text.contains("[fail]") {
                    return Err(ModelError::Device("the text asked the test model to fail".to_owned()));
                }
                assert!(!chunk.text.contains("[panic]"), "the text asked the test model to panic");
            }
            if !self.settings.token_pause.is_zero() {
                std::thread::sleep(self.settings.token_pause);
            }
            for _ in 0..SAMPLES_PER_TOKEN {
                samples.push(LEVEL * (TAU * phase).sin());
                phase = (phase + step).fract();
            }
            progress((token + 1) as f32 / tokens as f32);
        }
        Ok(samples)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::speech::Sampling;

    fn speak(text: &str, seed: u64, cancel: &Cancel) -> Result<(Vec<f32>, Vec<f32>), ModelError> {
        let chunk = ChunkRequest {
            text: text.to_owned(),
            voice: "hum".to_owned(),
            sampling: Sampling::default(),
            seed,
        };
        let mut heard = Vec::new();
        let samples =
            Tone::new(ToneSettings::default()).speak(&chunk, cancel, &mut |share| heard.push(share))?;
        Ok((samples, heard))
    }

    #[test]
    fn the_sound_is_as_long_as_the_text_and_progress_ends_at_one() {
        let (samples, heard) = speak("hello", 1, &Cancel::default()).unwrap();
        assert_eq!(samples.len(), 5 * TOKENS_PER_CHAR * SAMPLES_PER_TOKEN);
        assert!(
            samples.iter().any(|sample| *sample > 0.2) && samples.iter().all(|sample| sample.abs() <= LEVEL)
        );
        assert!(heard.is_sorted() && heard.last() == Some(&1.0));
    }

    #[test]
    fn the_same_seed_repeats_the_take_and_another_changes_it() {
        let take = |seed| speak("hello", seed, &Cancel::default()).unwrap().0;
        assert_eq!(take(1), take(1));
        assert_ne!(take(1), take(2));
    }

    #[test]
    fn cancelling_at_a_token_ends_before_the_next_one() {
        let cancel = Cancel::default();
        let chunk = ChunkRequest {
            text: "a long hum".to_owned(),
            voice: "hum".to_owned(),
            sampling: Sampling::default(),
            seed: 1,
        };
        let mut tokens = 0;
        let result = Tone::new(ToneSettings::default()).speak(&chunk, &cancel, &mut |_| {
            tokens += 1;
            if tokens == 3 {
                cancel.cancel();
            }
        });
        assert!(matches!(result, Err(ModelError::Cancelled)));
        assert_eq!(tokens, 3);
    }

    #[test]
    fn blank_text_and_strange_voices_are_refused() {
        assert!(matches!(speak("  ", 1, &Cancel::default()), Err(ModelError::NothingToSpeak)));
        let mut tone = Tone::new(ToneSettings::default());
        let chunk = ChunkRequest {
            text: "x".to_owned(),
            voice: "choir".to_owned(),
            sampling: Sampling::default(),
            seed: 1,
        };
        let refused = tone.speak(&chunk, &Cancel::default(), &mut |_| {});
        assert!(matches!(refused, Err(ModelError::UnknownVoice(voice)) if voice == "choir"));
    }
}
