//! What a reference clip is like, measured: a cloned voice is no better than the recording that it is cloned from.
//!
//! Levels are taken over frames of 20 ms, about a phoneme. Pauses are what lies clearly below the loud frames; without any
//! there is nothing to measure noise by, and nothing is claimed. What the numbers mean for a model is in [`Advice`].

mod advice;

use std::time::Duration;

pub use advice::{Advice, Needs};

use crate::levels::{from_decibels, peak, rms, to_decibels};
use crate::stft::Stft;
use crate::{Recording, loudness};

/// Levels below this count as this: less than half a step of 16 bits.
const LEAST_DECIBELS: f32 = -100.0;
/// Loud frames and quiet ones: this share of all frames is quieter or louder.
const QUIET_SHARE: f32 = 0.1;
const LOUD_SHARE: f32 = 0.95;
/// Speech with pauses spans at least this; a sound whose loud and quiet frames are nearer has none.
const LEAST_SPAN: f32 = 6.0;
/// A frame this far below the loud ones is a pause whatever the noise does.
const PAUSE_BELOW_LOUD: f32 = 40.0;
/// A frequency is there if it is at most this far below the strongest one.
const BAND_BELOW_STRONGEST: f32 = 60.0;

/// Measurements of a recording. Decibels are relative to full scale.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Report {
    pub duration: Duration,
    /// Loudest sample, decibels.
    pub peak: f32,
    /// Share of the samples that lie in flattened peaks, 0–1.
    pub clipped: f32,
    /// Share of the time without speech, 0–1.
    pub silence: f32,
    /// Level of the quietest tenth, decibels; −100 where that is digital silence.
    pub noise_floor: f32,
    /// Speech over the noise in its pauses, decibels; `None` where there is no pause or no speech.
    pub signal_to_noise: Option<f32>,
    /// Integrated loudness in LUFS; −∞ for silence and for less than 0.4 s.
    pub loudness: f64,
    /// Highest frequency that is there, Hz.
    pub bandwidth: f32,
}

/// Measures a recording.
pub fn examine(recording: &Recording) -> Report {
    let Recording { samples, sample_rate } = recording;
    let levels = Levels::of(samples, *sample_rate);
    Report {
        duration: recording.duration(),
        peak: to_decibels(peak(samples)).max(LEAST_DECIBELS),
        clipped: clipped_share(samples, *sample_rate),
        silence: levels.silence(),
        noise_floor: levels.floor,
        signal_to_noise: levels.signal_to_noise(),
        loudness: loudness::integrated(samples, *sample_rate),
        bandwidth: bandwidth(samples, *sample_rate),
    }
}

/// Levels of the frames in decibels, and what separates speech from pauses among them.
struct Levels {
    frames: Vec<f32>,
    floor: f32,
    /// Frames below are pauses; `None` where there are none.
    threshold: Option<f32>,
}

impl Levels {
    fn of(samples: &[f32], sample_rate: u32) -> Self {
        let length = (sample_rate as usize / 50).max(1);
        let level = |frame: &[f32]| to_decibels(rms(frame)).max(LEAST_DECIBELS);
        let frames: Vec<f32> = samples.chunks(length).map(level).collect();
        let mut sorted = frames.clone();
        sorted.sort_by(f32::total_cmp);
        let at = |share: f32| {
            sorted.get((sorted.len() as f32 * share) as usize).copied().unwrap_or(LEAST_DECIBELS)
        };
        let (floor, loud) = (at(QUIET_SHARE), at(LOUD_SHARE));
        let span = loud - floor;
        // A quarter of the way up, breaths and reverberation are still pauses.
        let threshold = (span >= LEAST_SPAN).then(|| (floor + span / 4.0).max(loud - PAUSE_BELOW_LOUD));
        Self { frames, floor, threshold }
    }

    fn silence(&self) -> f32 {
        let Some(threshold) = self.threshold else {
            return if self.floor <= LEAST_DECIBELS { 1.0 } else { 0.0 };
        };
        let pauses = self.frames.iter().filter(|level| **level < threshold).count();
        pauses as f32 / self.frames.len() as f32
    }

    fn signal_to_noise(&self) -> Option<f32> {
        let threshold = self.threshold?;
        let power = |level: f32| from_decibels(level).powi(2);
        let speech = self.frames.iter().copied().filter(|level| *level >= threshold);
        let mean = speech.clone().map(power).sum::<f32>() / speech.count().max(1) as f32;
        let noise = power(self.floor);
        Some(10.0 * ((mean - noise).max(noise * 1e-3) / noise).log10())
    }
}

/// Samples in flat tops: runs of the same value near the loudest, longer than the crest of any voice. Clipped sound that
/// was turned down later is found too; decoded mp3 rounds its tops, so what reaches full scale counts by itself.
fn clipped_share(samples: &[f32], sample_rate: u32) -> f32 {
    let loudest = peak(samples);
    if loudest < 0.1 {
        return 0.0;
    }
    let shortest = (sample_rate as usize / 8_000).max(4);
    let flat = |sample: &f32| sample.abs() >= loudest * 0.9999;
    let tops = samples.chunk_by(|a, b| flat(a) && flat(b) && (*a > 0.0) == (*b > 0.0));
    let in_tops = tops.filter(|run| run.len() >= shortest).map(<[f32]>::len).sum::<usize>();
    let full = samples.iter().filter(|sample| sample.abs() >= 0.9999).count();
    in_tops.max(full) as f32 / samples.len() as f32
}

/// The highest frequency whose mean power reaches within 60 dB of the strongest one's; 0 for silence.
fn bandwidth(samples: &[f32], sample_rate: u32) -> f32 {
    let spectrogram = Stft::new(1_024, 512, 0).forward(samples);
    let mut power = vec![0.0f64; spectrogram.bins];
    for row in spectrogram.rows() {
        power.iter_mut().zip(row).for_each(|(sum, value)| *sum += f64::from(value.norm_sqr()));
    }
    let strongest = power.iter().copied().fold(0.0, f64::max);
    let least = strongest * f64::from(from_decibels(-BAND_BELOW_STRONGEST)).powi(2);
    let highest = power.iter().rposition(|power| strongest > 0.0 && *power >= least).unwrap_or(0);
    highest as f32 * sample_rate as f32 / 1_024.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_signals::{noise, sine, vowel};

    const RATE: u32 = 24_000;

    fn examined(samples: Vec<f32>) -> Report {
        examine(&Recording { samples, sample_rate: RATE })
    }

    /// Syllables of 0.3 s with pauses of 0.2 s, under white noise of that amplitude. Peak of the speech 0.5.
    fn speech(seconds: usize, noise_amplitude: f32) -> Vec<f32> {
        let syllable = [vowel(120.0, RATE, 7_200), vec![0.0; 4_800]].concat();
        let mut samples = syllable.repeat(2 * seconds);
        let length = samples.len();
        samples.iter_mut().zip(noise(length, noise_amplitude)).for_each(|(sample, noise)| *sample += noise);
        samples
    }

    #[test]
    fn noise_floor_and_signal_to_noise_are_measured_in_the_pauses() {
        for amplitude in [0.001f32, 0.01, 0.05] {
            let report = examined(speech(4, amplitude));
            // White noise in −a..a has an RMS of a / √3.
            let floor = to_decibels(amplitude / 3f32.sqrt());
            assert!((report.noise_floor - floor).abs() < 0.5, "{report:?}, expected {floor}");
            let truth = to_decibels(rms(&vowel(120.0, RATE, 7_200))) - floor;
            let found = report.signal_to_noise.unwrap();
            assert!((found - truth).abs() < 1.0, "{found}, expected {truth}");
            assert!((report.silence - 0.4).abs() < 0.05, "{report:?}");
            assert_eq!(report.duration, Duration::from_secs(4));
        }
    }

    #[test]
    fn without_pauses_no_signal_to_noise_is_claimed() {
        let tone = examined(sine(300.0, RATE, 48_000, 0.5));
        assert_eq!((tone.signal_to_noise, tone.silence), (None, 0.0));
        let silence = examined(vec![0.0; 48_000]);
        assert_eq!((silence.signal_to_noise, silence.silence), (None, 1.0));
        assert_eq!((silence.peak, silence.noise_floor, silence.bandwidth), (-100.0, -100.0, 0.0));
        assert!(silence.loudness.is_infinite());
        assert_eq!(examined(vec![]).duration, Duration::ZERO);
    }

    #[test]
    fn muted_pauses_count_as_pauses_with_no_noise() {
        let report = examined(speech(4, 0.0));
        assert!((report.noise_floor + 100.0).abs() < f32::EPSILON && report.signal_to_noise.unwrap() > 60.0);
        assert!((report.silence - 0.4).abs() < 0.05, "{report:?}");
    }

    #[test]
    fn clipping_is_found_at_full_scale_and_after_turning_down_and_not_where_there_is_none() {
        let clean = speech(2, 0.001);
        assert!(examined(clean.clone()).clipped.abs() < f32::EPSILON);
        assert!(
            examined(sine(110.0, RATE, 48_000, 1.0)).clipped < 0.02,
            "a sine at full scale touches it only"
        );
        let driven: Vec<f32> = clean.iter().map(|sample| (sample * 4.0).clamp(-1.0, 1.0)).collect();
        let truth = driven.iter().filter(|s| s.abs() >= 1.0).count() as f32 / driven.len() as f32;
        assert!(truth > 0.01);
        for level in [1.0, 0.5] {
            let found = examined(driven.iter().map(|sample| sample * level).collect()).clipped;
            assert!((found - truth).abs() < truth * 0.5, "{found} of {truth} at {level}");
        }
    }

    #[test]
    fn bandwidth_is_where_the_sound_ends_not_where_the_rate_does() {
        let whole = noise(4 * RATE as usize, 0.3);
        assert!(examined(whole.clone()).bandwidth > 11_900.0);
        for rate in [8_000, 16_000] {
            let narrow = crate::resample::resample(&whole, RATE, rate);
            let back = examined(crate::resample::resample(&narrow, rate, RATE));
            let half = rate as f32 / 2.0;
            assert!((half * 0.9..half * 1.03).contains(&back.bandwidth), "{rate}: {}", back.bandwidth);
        }
    }

    #[test]
    fn peak_and_loudness_are_those_of_the_clip() {
        let report = examined(sine(997.0, RATE, 72_000, 0.5));
        assert!((report.peak + 6.02).abs() < 0.01 && (report.loudness + 9.03).abs() < 0.2, "{report:?}");
    }
}
