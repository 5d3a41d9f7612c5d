//! The vocoder's short Fourier transforms: 16 points, hop 4, periodic Hann window, centred.
//!
//! Sixteen points are so few that the sums are written out against a table of the basis.

use std::f32::consts::PI;

const POINTS: usize = 16;
const HOP: usize = 4;
/// Real and imaginary parts of this many bins make a column.
pub const BINS: usize = POINTS / 2 + 1;
/// Magnitudes are bounded before the inverse transform.
const LARGEST: f32 = 100.0;

fn window() -> [f32; POINTS] {
    std::array::from_fn(|n| 0.5 - 0.5 * (2.0 * PI * n as f32 / POINTS as f32).cos())
}

/// `(cos, sin)` of `2π·bin·n/16`.
fn basis(bin: usize, n: usize) -> (f32, f32) {
    // Reduced first, so that both are exact at the quarters.
    let angle = 2.0 * std::f64::consts::PI * ((bin * n) % POINTS) as f64 / POINTS as f64;
    (angle.cos() as f32, angle.sin() as f32)
}

/// The spectrum of `signal`, whose ends are mirrored: row-major
/// `[len / 4 + 1, 18]`, nine real parts, then nine imaginary ones in each row.
pub fn analyse(signal: &[f32]) -> Vec<f32> {
    let columns = signal.len() / HOP + 1;
    let window = window();
    let table: Vec<[(f32, f32); POINTS]> =
        (0..BINS).map(|bin| std::array::from_fn(|n| basis(bin, n))).collect();
    let at = |index: isize| {
        let last = signal.len() as isize - 1;
        let mirrored = if index < 0 {
            -index
        } else if index > last {
            2 * last - index
        } else {
            index
        };
        signal[mirrored as usize]
    };
    let mut out = vec![0.0; 2 * BINS * columns];
    for (column, out) in out.chunks_exact_mut(2 * BINS).enumerate() {
        let start = (column * HOP) as isize - (POINTS / 2) as isize;
        let frame: [f32; POINTS] = std::array::from_fn(|n| at(start + n as isize) * window[n]);
        for (bin, row) in table.iter().enumerate() {
            let (mut real, mut imaginary) = (0.0, 0.0);
            for (value, (cosine, sine)) in frame.iter().zip(row) {
                real += value * cosine;
                imaginary -= value * sine;
            }
            out[bin] = real;
            out[BINS + bin] = imaginary;
        }
    }
    out
}

/// What the network says of each column to samples: `[columns, 18]`, nine log magnitudes and nine values whose *sine* is
/// the phase angle in radians → `4·(columns − 1)` samples within ± `limit`.
pub fn synthesise(network: &[f32], limit: f32) -> Vec<f32> {
    let columns = network.len() / (2 * BINS);
    let polar = |bin: usize, column: usize| {
        let row = &network[column * 2 * BINS..][..2 * BINS];
        (row[bin].exp(), row[BINS + bin].sin())
    };
    let mut samples = inverse(columns, polar);
    for sample in &mut samples {
        *sample = sample.clamp(-limit, limit);
    }
    samples
}

/// The inverse transform of `columns` columns given as (magnitude, phase angle): frames are windowed, overlapped, added and
/// divided by the overlapped squares of the window; half a frame is dropped at both ends.
pub fn inverse(columns: usize, polar: impl Fn(usize, usize) -> (f32, f32)) -> Vec<f32> {
    let window = window();
    let length = HOP * (columns - 1) + POINTS;
    let (mut sum, mut envelope) = (vec![0.0_f32; length], vec![0.0_f32; length]);
    // Conjugate-symmetric bins count twice.
    let table: Vec<[(f32, f32); POINTS]> = (0..BINS)
        .map(|bin| {
            let weight = if bin == 0 || bin == BINS - 1 { 1.0 } else { 2.0 } / POINTS as f32;
            std::array::from_fn(|n| {
                let (cosine, sine) = basis(bin, n);
                (weight * cosine, weight * sine)
            })
        })
        .collect();
    for column in 0..columns {
        let mut frame = [0.0_f32; POINTS];
        for (bin, row) in table.iter().enumerate() {
            let (magnitude, angle) = polar(bin, column);
            let (sine, cosine) = angle.sin_cos();
            let magnitude = magnitude.min(LARGEST);
            let (real, imaginary) = (magnitude * cosine, magnitude * sine);
            for (value, (c, s)) in frame.iter_mut().zip(row) {
                *value += real * c - imaginary * s;
            }
        }
        let start = column * HOP;
        for n in 0..POINTS {
            sum[start + n] += frame[n] * window[n];
            envelope[start + n] += window[n] * window[n];
        }
    }
    sum.iter().zip(&envelope).map(|(s, e)| s / e).skip(POINTS / 2).take(HOP * (columns - 1)).collect()
}
