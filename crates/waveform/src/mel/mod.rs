//! The spectral features that the networks hear, each computed as its network's reference computes it.
//!
//! Three mel spectrograms that share nothing but the filterbank: the S3 tokenizer's is a floored decibel scale, the voice
//! encoder's plain power, the flow prompt's a natural logarithm of magnitudes. The fourth feature, Kaldi's, is in
//! [`crate::fbank`]. All want whole clips: two of them look at the loudest place.

mod filterbank;

use filterbank::Filterbank;

use crate::stft::{Complex32, Spectrogram, Stft};
use crate::trim;

/// A feature of a sound: `frames` rows in time of `bins` values each.
#[derive(Clone, Debug, PartialEq)]
pub struct Mel {
    pub frames: usize,
    pub bins: usize,
    /// Row-major `[frames, bins]`.
    pub values: Vec<f32>,
}

impl Mel {
    /// Drops what comes after the first `frames`.
    #[must_use]
    pub fn first(mut self, frames: usize) -> Self {
        self.frames = self.frames.min(frames);
        self.values.truncate(self.frames * self.bins);
        self
    }

    /// Takes from every bin its mean over time.
    #[must_use]
    pub fn centred(mut self) -> Self {
        for bin in 0..self.bins {
            let column = || self.values.iter().skip(bin).step_by(self.bins);
            let mean = (column().map(|&value| f64::from(value)).sum::<f64>() / self.frames as f64) as f32;
            self.values.iter_mut().skip(bin).step_by(self.bins).for_each(|value| *value -= mean);
        }
        self
    }
}

/// The S3 tokenizer's log-mel of 16 kHz sound: `samples / 160` frames of 128 bins, 100 a second. Values from the loudest
/// bin of the whole clip down to 8 decades of power below it, scaled to (log₁₀ + 4) / 4. (`s3tokenizer`, whisper's recipe.)
///
/// The clip has to be cut (6 s or 15 s) before, and the frames after ([`Mel::first`]): the floor hangs on the clip.
pub fn s3_log_mel(samples: &[f32]) -> Mel {
    let mut spectrogram = Stft::centred(400, 160).forward(samples);
    // The reference drops the last frame, which is centred on the end of the sound.
    spectrogram.frames = spectrogram.frames.saturating_sub(1);
    spectrogram.values.truncate(spectrogram.frames * spectrogram.bins);
    let mut mel = of_power(&spectrogram, &Filterbank::slaney(16_000, 400, 128, 8_000.0));
    mel.values.iter_mut().for_each(|value| *value = value.max(1e-10).log10());
    let floor = mel.values.iter().copied().fold(f32::NEG_INFINITY, f32::max) - 8.0;
    mel.values.iter_mut().for_each(|value| *value = (value.max(floor) + 4.0) / 4.0);
    mel
}

/// The voice encoder's mel of 16 kHz sound: silent ends are cut off at 20 dB below the loudest place, then
/// `1 + samples / 160` frames of 40 bins of plain power. (`chatterbox.models.voice_encoder`, with librosa.)
pub fn voice_encoder_mel(samples: &[f32]) -> Mel {
    let speech = &samples[trim::loud_span(samples, 20.0)];
    of_power(&Stft::centred(400, 160).forward(speech), &Filterbank::slaney(16_000, 400, 40, 8_000.0))
}

/// The flow's prompt: `samples / 480` frames of 80 bins of 24 kHz sound, natural logarithms of magnitudes down to 10⁻⁵.
/// (`chatterbox.models.s3gen.utils.mel`, after HiFi-GAN.)
pub fn prompt_mel(samples: &[f32]) -> Mel {
    let spectrogram = Stft::new(1_920, 480, 720).forward(samples);
    let magnitudes: Vec<f32> =
        spectrogram.values.iter().map(|value| (value.norm_sqr() + 1e-9).sqrt()).collect();
    let mut mel = Filterbank::slaney(24_000, 1_920, 80, 8_000.0).apply(&magnitudes);
    mel.values.iter_mut().for_each(|value| *value = value.max(1e-5).ln());
    mel
}

fn of_power(spectrogram: &Spectrogram, filters: &Filterbank) -> Mel {
    let power: Vec<f32> = spectrogram.values.iter().map(Complex32::norm_sqr).collect();
    filters.apply(&power)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_fixtures::{Fixture, max_abs_error};

    /// The feature and the stored one, `[1, bins, frames]`, which it turns into.
    fn side_by_side(found: &Mel, fixture: &Fixture, tensor: &str) -> (Vec<f32>, Vec<f32>) {
        assert_eq!([1, found.bins, found.frames], fixture.shape(tensor)[..], "{tensor}");
        let column = |bin| found.values.iter().skip(bin).step_by(found.bins);
        ((0..found.bins).flat_map(column).copied().collect(), fixture.floats(tensor))
    }

    #[test]
    fn the_flow_prompt_is_the_references_for_whole_and_odd_lengths() {
        let dsp = Fixture::open("dsp");
        let sound = dsp.floats("wav24");
        for (sound, tensor) in [(&sound[..], "mel24"), (&sound[..70_007], "mel24_odd_70007")] {
            let (found, expected) = side_by_side(&prompt_mel(sound), &dsp, tensor);
            let error = max_abs_error(&found, &expected);
            // Some 100 dB down the logarithm shows the rounding of the reference's own f32 FFT: a computation in f64 is as
            // far from it there (9e-4). 80 dB of range are held to the usual 1e-4, and all of it before the logarithm.
            let audible = |values: &[f32]| -> Vec<f32> {
                values.iter().zip(&expected).filter(|(_, e)| **e > -9.0).map(|(value, _)| *value).collect()
            };
            let audible_error = max_abs_error(&audible(&found), &audible(&expected));
            let linear = |values: &[f32]| values.iter().map(|value| value.exp()).collect::<Vec<f32>>();
            let linear_error = max_abs_error(&linear(&found), &linear(&expected));
            println!("{tensor}: {error:e}, audible {audible_error:e}, linear {linear_error:e}");
            assert!(error < 1e-3 && audible_error < 1e-4 && linear_error < 1e-6, "{tensor}");
        }
    }

    #[test]
    fn the_s3_tokenizers_log_mel_is_the_references() {
        let dsp = Fixture::open("dsp");
        let mel = s3_log_mel(&dsp.floats("wav16_soxr"));
        for (mel, tensor) in [(mel.clone(), "s3_logmel"), (mel.first(80), "s3_logmel_cut_20tokens")] {
            let (found, expected) = side_by_side(&mel, &dsp, tensor);
            let error = max_abs_error(&found, &expected);
            println!("{tensor}: {error:e}");
            assert!(error < 1e-4, "{tensor}: {error}");
        }
    }

    #[test]
    fn the_voice_encoders_mel_is_the_references() {
        for (file, wav, tensor) in
            [("dsp", "wav16_soxr", "ve_mel_of_trimmed"), ("ve_tiny", "wav16", "mel_trimmed")]
        {
            let fixture = Fixture::open(file);
            let mel = voice_encoder_mel(&fixture.floats(wav));
            assert_eq!([mel.frames, mel.bins], fixture.shape(tensor)[..]);
            let error = max_abs_error(&mel.values, &fixture.floats(tensor));
            println!("{tensor}: {error:e}");
            assert!(error < 1e-6, "{tensor}: {error}");
        }
    }

    #[test]
    fn no_sound_has_no_features_and_a_little_has_few() {
        for (feature, bins) in
            [(s3_log_mel as fn(&[f32]) -> Mel, 128), (voice_encoder_mel, 40), (prompt_mel, 80)]
        {
            assert_eq!(feature(&[]), Mel { frames: 0, bins, values: vec![] });
            let short = feature(&[0.5; 100]);
            assert!(short.frames <= 1 && short.values.iter().all(|value| value.is_finite()));
        }
        assert_eq!(Mel { frames: 0, bins: 3, values: vec![] }.centred().frames, 0);
    }
}
