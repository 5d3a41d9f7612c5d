//! Synthetic sounds whose true frequency, level and onsets are known, for tests that measure.

use std::f64::consts::TAU;

pub(crate) fn sine(hertz: f64, sample_rate: u32, length: usize, amplitude: f64) -> Vec<f32> {
    (0..length)
        .map(|n| (amplitude * (TAU * hertz * n as f64 / f64::from(sample_rate)).sin()) as f32)
        .collect()
}

/// White noise in −amplitude..amplitude from a linear congruential generator: the same in every run.
pub(crate) fn noise(length: usize, amplitude: f32) -> Vec<f32> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    (0..length)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            ((state >> 40) as f32 / 8_388_608.0 - 1.0) * amplitude
        })
        .collect()
}

/// A glottal pulse train through three formants of /a/: what a time stretch meets in speech. Peak 0.5.
pub(crate) fn vowel(hertz: f64, sample_rate: u32, length: usize) -> Vec<f32> {
    let rate = f64::from(sample_rate);
    let mut phase = 0.0;
    let mut signal: Vec<f64> = (0..length)
        .map(|_| {
            phase += hertz / rate;
            if phase >= 1.0 {
                phase -= 1.0;
                1.0
            } else {
                0.0
            }
        })
        .collect();
    for (formant, bandwidth) in [(730.0, 80.0), (1_090.0, 90.0), (2_440.0, 120.0)] {
        let radius = (-TAU / 2.0 * bandwidth / rate).exp();
        let (first, second) = (2.0 * radius * (TAU * formant / rate).cos(), -radius * radius);
        let (mut one_back, mut two_back) = (0.0, 0.0);
        for sample in &mut signal {
            let now = *sample + first * one_back + second * two_back;
            (two_back, one_back) = (one_back, now);
            *sample = now;
        }
    }
    let peak = signal.iter().fold(0.0_f64, |peak, s| peak.max(s.abs()));
    signal.into_iter().map(|s| (s / peak * 0.5) as f32).collect()
}

/// The power of one frequency in a Hann-windowed signal, normalised so that a sine of amplitude a gives a².
pub(crate) fn tone_power(samples: &[f32], hertz: f64, sample_rate: u32) -> f64 {
    let length = samples.len() as f64;
    let (mut real, mut imaginary) = (0.0, 0.0);
    for (n, &sample) in samples.iter().enumerate() {
        let window = 1.0 - (TAU * (n as f64 + 0.5) / length).cos();
        let angle = TAU * hertz * n as f64 / f64::from(sample_rate);
        real += f64::from(sample) * window * angle.cos();
        imaginary += f64::from(sample) * window * angle.sin();
    }
    (real * real + imaginary * imaginary) * 4.0 / (length * length)
}

/// The frequency near `around` with the most power, to a hundredth of a hertz.
pub(crate) fn measure_frequency(samples: &[f32], around: f64, sample_rate: u32) -> f64 {
    let mut best = around;
    for step in [around * 0.004, around * 0.0004, 0.01] {
        let centre = best;
        let power = |k: i32| tone_power(samples, centre + f64::from(k) * step, sample_rate);
        let winner = (-10..=10).map(|k| (k, power(k))).max_by(|a, b| a.1.total_cmp(&b.1));
        best = centre + f64::from(winner.unwrap().0) * step;
    }
    best
}

/// What is left after the best-fitting sine of this frequency is taken away, as signal-to-noise ratio in decibels.
pub(crate) fn tone_to_noise_decibels(samples: &[f32], hertz: f64, sample_rate: u32) -> f64 {
    // Least squares on sin and cos by the normal equations: exact for any length.
    let (mut ss, mut cc, mut sc, mut xs, mut xc) = (0.0, 0.0, 0.0, 0.0, 0.0);
    let basis = |n: usize| (TAU * hertz * n as f64 / f64::from(sample_rate)).sin_cos();
    for (n, &sample) in samples.iter().enumerate() {
        let (s, c) = basis(n);
        (ss, cc, sc) = (ss + s * s, cc + c * c, sc + s * c);
        (xs, xc) = (xs + f64::from(sample) * s, xc + f64::from(sample) * c);
    }
    let determinant = ss * cc - sc * sc;
    let (a, b) = ((xs * cc - xc * sc) / determinant, (xc * ss - xs * sc) / determinant);
    let (mut signal, mut residue) = (0.0, 0.0);
    for (n, &sample) in samples.iter().enumerate() {
        let (s, c) = basis(n);
        let fit = a * s + b * c;
        signal += fit * fit;
        residue += (f64::from(sample) - fit).powi(2);
    }
    10.0 * (signal / residue).log10()
}
