//! The test models: they hum for as long as the text would take to say.
//!
//! Everything above the networks, from the queue to the page, can be tested in milliseconds with them, and with the same
//! seams: they ask for cancellation and tell their progress at every token, and can be told to fail. `tone` has fixed
//! voices; `tone-low` also "clones": it hums at a pitch computed from the clip, kept like any computed voice. They are no
//! voices for people; `--model tone` selects them by name only.

use std::f32::consts::TAU;
use std::time::Duration;

use super::Cancel;
use super::catalog::Offer;
use super::model::{ChunkRequest, Loaded, ModelError, ModelInfo, SpeechModel, Take, VoiceInfo, VoiceKind};
use crate::voices::Library;
use crate::voices::clip::Needs;

/// The names of the test models.
pub const NAMES: [&str; 2] = ["tone", "tone-low"];

/// Hz; that of the real models.
const SAMPLE_RATE: u32 = 24_000;
/// 25 tokens a second, as the real models' speech tokens.
const SAMPLES_PER_TOKEN: usize = 960;
/// 12.5 characters a second, a calm reader.
const TOKENS_PER_CHAR: usize = 2;
/// About −12 dB: audible, and far from clipping.
const LEVEL: f32 = 0.25;
/// What each test model says that it takes.
const MEMORY_BYTES: u64 = 1 << 20;

/// How the test models behave.
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

/// `tone` and `tone-low`, in this order.
pub fn offers(settings: ToneSettings, library: &Library) -> Vec<Offer> {
    let low = library.clone();
    vec![
        Offer::new(info(), move || Ok(Box::new(Tone::new(settings)))),
        Offer::new(low_info(), move || Ok(Box::new(Tone::low(settings, low.clone())))),
    ]
}

/// Describes `tone`.
pub fn info() -> ModelInfo {
    ModelInfo {
        name: NAMES[0].to_owned(),
        class_name: "Tone".to_owned(),
        sample_rate: SAMPLE_RATE,
        max_chunk_chars: 300,
        voices: vec![voice("hum", "Hum"), voice("whistle", "Whistle")],
        default_voice: "hum".to_owned(),
        languages: vec!["en".to_owned()],
        paralinguistic_tags: vec!["fail".to_owned(), "panic".to_owned()],
        parameters: Vec::new(),
        cloning: None,
        converts: false,
        watermarked: false,
        memory_bytes: MEMORY_BYTES,
    }
}

/// Describes `tone-low`.
pub fn low_info() -> ModelInfo {
    ModelInfo {
        name: NAMES[1].to_owned(),
        voices: vec![voice("drone", "Drone")],
        default_voice: "drone".to_owned(),
        cloning: Some(Needs { least: Duration::from_secs(2), best: Duration::from_secs(10) }),
        ..info()
    }
}

fn voice(id: &str, name: &str) -> VoiceInfo {
    VoiceInfo {
        id: id.to_owned(),
        name: name.to_owned(),
        kind: VoiceKind::BuiltIn,
        gender: None,
        language: "en".to_owned(),
        origin: "A sine wave, made by declaim itself.".to_owned(),
    }
}

/// Hums. A chunk with the tag `[fail]` fails like a lost device, one with `[panic]` panics, both at the middle token.
#[derive(Debug)]
pub struct Tone {
    settings: ToneSettings,
    /// Its own voices and their pitches in Hz.
    voices: &'static [(&'static str, f32)],
    /// Where it looks for other voices, if it can use them.
    clips: Option<Library>,
}

impl Tone {
    pub fn new(settings: ToneSettings) -> Self {
        Self { settings, voices: &[("hum", 140.0), ("whistle", 1400.0)], clips: None }
    }

    /// The one that clones.
    pub fn low(settings: ToneSettings, clips: Library) -> Self {
        Self { settings, voices: &[("drone", 70.0)], clips: Some(clips) }
    }

    /// Hz.
    fn pitch(&self, voice: &str) -> Result<f32, ModelError> {
        if let Some((_, pitch)) = self.voices.iter().find(|(id, _)| *id == voice) {
            return Ok(*pitch);
        }
        let unknown = || ModelError::UnknownVoice(voice.to_owned());
        let library = self.clips.as_ref().ok_or_else(unknown)?;
        let clip = library.clip(voice).ok_or_else(unknown)?;
        let read = |bytes: &[u8]| bytes.first_chunk().map(|bytes| f32::from_le_bytes(*bytes));
        library.computed(&clip, "tone-low.pitch", read, || {
            let bytes = clip
                .read()
                .map_err(|error| ModelError::Clip { voice: voice.to_owned(), reason: error.to_string() })?;
            let pitch = pitch_of(&bytes);
            Ok((pitch, pitch.to_le_bytes().to_vec()))
        })
    }
}

/// Between 200 and 456 Hz, from all bytes of the clip: clips can be told apart by ear and by test.
fn pitch_of(clip: &[u8]) -> f32 {
    let sum = clip.iter().fold(0_u8, |sum, byte| sum.wrapping_mul(31).wrapping_add(*byte));
    200.0 + f32::from(sum)
}

impl SpeechModel for Tone {
    fn loaded(&self) -> Loaded {
        Loaded {
            device: "CPU (one sine)".to_owned(),
            device_reason: "the test model needs no device".to_owned(),
            precision: "f32".to_owned(),
            self_test: "none".to_owned(),
            watermarked: false,
            resident_bytes: MEMORY_BYTES,
        }
    }

    fn speak(
        &mut self,
        chunk: &ChunkRequest,
        cancel: &Cancel,
        progress: &mut dyn FnMut(f32),
    ) -> Result<Take, ModelError> {
        self.speak_in_blocks(chunk, cancel, progress, &mut |_block| {})
    }

    fn speak_in_blocks(
        &mut self,
        chunk: &ChunkRequest,
        cancel: &Cancel,
        progress: &mut dyn FnMut(f32),
        emit: &mut dyn FnMut(&[f32]),
    ) -> Result<Take, ModelError> {
        let pitch = self.pitch(&chunk.voice)?;
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
            emit(&samples[token * SAMPLES_PER_TOKEN..]);
            progress((token + 1) as f32 / tokens as f32);
        }
        Ok(Take { samples, is_stuck: false })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::speech::Sampling;
    use crate::voices::testing::{library, upload, wav};

    fn speak(text: &str, seed: u64, cancel: &Cancel) -> Result<(Vec<f32>, Vec<f32>), ModelError> {
        let chunk = ChunkRequest {
            text: text.to_owned(),
            voice: "hum".to_owned(),
            language: None,
            sampling: Sampling::default(),
            seed,
        };
        let mut heard = Vec::new();
        let take =
            Tone::new(ToneSettings::default()).speak(&chunk, cancel, &mut |share| heard.push(share))?;
        Ok((take.samples, heard))
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
            language: None,
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
            language: None,
            sampling: Sampling::default(),
            seed: 1,
        };
        let refused = tone.speak(&chunk, &Cancel::default(), &mut |_| {});
        assert!(matches!(refused, Err(ModelError::UnknownVoice(voice)) if voice == "choir"));
    }

    #[test]
    fn the_low_tone_hums_at_a_pitch_of_its_own_for_each_clip_and_computes_it_once() {
        let (folder, library) = library();
        let add = |name: &str, pitch: f64| library.add(upload(name, wav(2.5, pitch)), &[]).unwrap().clip.id;
        let (emily, max) = (add("Emily", 220.0), add("Max", 330.0));
        let mut low = Tone::low(ToneSettings::default(), library.clone());
        let mut speak = |voice: &str| {
            let chunk = ChunkRequest {
                text: "hello".to_owned(),
                voice: voice.to_owned(),
                language: None,
                sampling: Sampling::default(),
                seed: 1,
            };
            low.speak(&chunk, &Cancel::default(), &mut |_| {})
        };
        let first = speak(&emily).unwrap();
        assert_ne!(first, speak(&max).unwrap());
        assert_ne!(first, speak("drone").unwrap());
        assert_eq!(first, speak(&emily).unwrap());
        assert!(matches!(speak("choir"), Err(ModelError::UnknownVoice(_))));
        let voices = folder.path().join("voices");
        assert_eq!(std::fs::read_dir(voices.join("computed")).unwrap().count(), 2);
        // A clip that cannot be read any more is only missed where nothing was computed from it.
        let ada = add("Ada", 440.0);
        std::fs::write(voices.join("ada.wav.moved"), "").unwrap();
        std::fs::rename(voices.join("ada.wav"), voices.join("elsewhere")).unwrap();
        std::fs::create_dir(voices.join("ada.wav")).unwrap();
        let refused = speak(&ada);
        assert!(matches!(refused, Err(ModelError::UnknownVoice(_) | ModelError::Clip { .. })), "{refused:?}");
        assert_eq!(first, speak(&emily).unwrap());
    }
}
