//! Time stretch that keeps the pitch: WSOLA with protected transients.
//!
//! The output follows the input sample by sample and, whenever it has drifted too far from where the tempo wants it,
//! splices to the place nearby that continues the waveform best (W. Verhelst and M. Roelands, "An overlap-add technique
//! based on waveform similarity", ICASSP 1993). A phase vocoder smears speech into the echo that upstream's users complain
//! of; plain overlap-add beats against the pitch. Two additions: around onsets the tempo is 1, so that a plosive is
//! neither said twice nor lost, and a splice of unlike sounds is evened out in power, so that noise does not pump.

use std::ops::RangeInclusive;

use crate::dot::dot;
use crate::fade::raised_cosine;

/// Length of a splice; also the step at which drift is looked at. One period of the deepest voices.
const SPLICE_SECONDS: f32 = 0.015;
/// How far the output may drift from the tempo's place, both ways: twice this spans two periods of a deep voice.
const TOLERANCE_SECONDS: f32 = 0.013;
/// An onset's own length.
const ONSET_SECONDS: f32 = 0.008;
/// Protected onsets may take up at most this share of the output; the weakest go first.
const PROTECTED_SHARE: f32 = 0.4;

/// The tempos that [`stretch`] keeps intelligible.
pub const SPEEDS: RangeInclusive<f32> = 0.25..=4.0;

/// Says `samples` `speed` times as fast: exactly `round(n / speed)` samples. Speeds outside [`SPEEDS`] are taken as its
/// nearest end, not-a-number as 1.
pub fn stretch(samples: &[f32], sample_rate: u32, speed: f32) -> Vec<f32> {
    let speed = if speed.is_nan() { 1.0 } else { speed.clamp(*SPEEDS.start(), *SPEEDS.end()) };
    if (speed - 1.0).abs() < 1e-6 || samples.is_empty() {
        return samples.to_vec();
    }
    let length = (samples.len() as f64 / f64::from(speed)).round() as usize;
    let end = samples.len() as isize;
    // A sound of less than four splices is spliced in smaller steps.
    let scale = |seconds: f32| ((seconds * sample_rate as f32) as isize).min(end / 4).max(1);
    let (splice, tolerance) = (scale(SPLICE_SECONDS), scale(TOLERANCE_SECONDS));
    let tempo = Tempo::new(samples, sample_rate, length);
    let mut output = Vec::with_capacity(length + splice as usize);
    // Where the sound now playing goes on. Always at least a splice before the end, so that it can be faded out of.
    let mut next = 0isize;
    while output.len() < length {
        let wanted = tempo.input_place(output.len());
        let is_last = output.len() + splice as usize >= length;
        let latest = (end - if is_last { splice } else { 2 * splice }).max(0);
        if is_last || ((next - wanted).abs() <= tolerance && next <= latest) {
            output.extend((next..next + splice).map(|place| at(samples, place)));
            next += splice;
            continue;
        }
        let candidates = (wanted - tolerance).clamp(0, latest)..=(wanted + tolerance).clamp(0, latest);
        let (target, likeness) =
            best_continuation(samples, next, candidates, wanted.clamp(0, latest), splice);
        for step in 0..splice {
            let rising = raised_cosine(step as usize, splice as usize);
            let falling = 1.0 - rising;
            // Like sounds add in amplitude (gains sum to 1), unlike ones in power.
            let power = rising * rising + falling * falling + 2.0 * likeness * rising * falling;
            let mixed = falling * at(samples, next + step) + rising * at(samples, target + step);
            output.push(mixed / power.sqrt());
        }
        next = target + splice;
    }
    output.truncate(length);
    output
}

/// Silence behind the end: only sounds of a few samples get there.
fn at(samples: &[f32], place: isize) -> f32 {
    usize::try_from(place).ok().and_then(|place| samples.get(place)).copied().unwrap_or(0.0)
}

/// The place among `candidates` whose next `length` samples are most like those at `current`, and how alike they are,
/// 0..1; `wanted` where nothing is alike.
fn best_continuation(
    samples: &[f32],
    current: isize,
    candidates: RangeInclusive<isize>,
    wanted: isize,
    length: isize,
) -> (isize, f32) {
    let window =
        |start: isize, end: isize| -> Vec<f32> { (start..end).map(|place| at(samples, place)).collect() };
    let template = window(current, current + length);
    let field = window(*candidates.start(), candidates.end() + length);
    let template_energy = dot(&template, &template);
    let (mut best, mut best_likeness) = (wanted, 0.0f32);
    for (offset, candidate) in field.windows(template.len()).enumerate() {
        let likeness =
            dot(&template, candidate) / (template_energy * dot(candidate, candidate) + 1e-12).sqrt();
        if likeness > best_likeness {
            (best, best_likeness) = (candidates.start() + offset as isize, likeness);
        }
    }
    (best, best_likeness.min(1.0))
}

/// Which place of the input each place of the output stands for: straight lines of slope 1 around onsets, and one common
/// slope between them that makes the lengths meet.
#[derive(Debug)]
struct Tempo {
    /// (output place, input place) of every corner, beginning with (0, 0) and ending with both lengths.
    corners: Vec<(f64, f64)>,
}

impl Tempo {
    fn new(samples: &[f32], sample_rate: u32, output_length: usize) -> Self {
        let seconds = |s: f32| f64::from(s * sample_rate as f32);
        // The output may run ahead of its place by the tolerance and one step before that is noticed, and a splice fades
        // one step more of it out; after the onset a splice may reach back by the tolerance. Neither may touch the onset.
        let before = seconds(TOLERANCE_SECONDS + 2.0 * SPLICE_SECONDS);
        let after = seconds(TOLERANCE_SECONDS + ONSET_SECONDS);
        let input_length = samples.len() as f64;
        let room = f64::from(PROTECTED_SHARE) * input_length.min(output_length as f64);
        let count = (room / (before + after)) as usize;
        let mut spans: Vec<(f64, f64)> = Vec::new();
        for onset in strongest_onsets(samples, sample_rate, count) {
            let (start, end) = ((onset as f64 - before).max(0.0), (onset as f64 + after).min(input_length));
            match spans.last_mut() {
                Some(last) if start <= last.1 => last.1 = end,
                _ => spans.push((start, end)),
            }
        }
        let protected: f64 = spans.iter().map(|(start, end)| end - start).sum();
        let slope = (input_length - protected) / (output_length as f64 - protected);
        let (mut corners, mut output, mut input) = (vec![(0.0, 0.0)], 0.0, 0.0);
        for (start, end) in spans {
            output += (start - input) / slope;
            corners.push((output, start));
            output += end - start;
            corners.push((output, end));
            input = end;
        }
        corners.push((output_length as f64, input_length));
        Self { corners }
    }

    fn input_place(&self, output_place: usize) -> isize {
        let place = output_place as f64;
        let after = self.corners.partition_point(|corner| corner.0 <= place).clamp(1, self.corners.len() - 1);
        let ((x0, y0), (x1, y1)) = (self.corners[after - 1], self.corners[after]);
        let share = if x1 > x0 { (place - x0) / (x1 - x0) } else { 1.0 };
        (y0 + share * (y1 - y0)).round() as isize
    }
}

/// The places of the `count` sharpest onsets, in order: where the energy of the treble in 2 ms is many times that of any
/// 2 ms in the 24 ms before. Compared with the loudest and not the mean, or every pitch pulse would be an onset.
fn strongest_onsets(samples: &[f32], sample_rate: u32, count: usize) -> Vec<usize> {
    const LOOK_BACK: usize = 12;
    const RISE: f32 = 8.0;
    let frame = (sample_rate as usize / 500).max(1);
    let mut previous = 0.0;
    let energies: Vec<f32> = samples
        .chunks(frame)
        .map(|part| {
            part.iter()
                .map(|&sample| {
                    let difference = sample - previous;
                    previous = sample;
                    difference * difference
                })
                .sum()
        })
        .collect();
    // 50 dB below the loudest: what is quieter masks nothing and is masked by everything.
    let floor = energies.iter().fold(0.0f32, |a, &b| a.max(b)) * 1e-5 + 1e-12;
    let mut onsets: Vec<(usize, f32)> = Vec::new();
    for (index, &energy) in energies.iter().enumerate() {
        let before = &energies[index.saturating_sub(LOOK_BACK)..index];
        let rise = energy / before.iter().fold(floor, |a, &b| a.max(b));
        if rise < RISE {
            continue;
        }
        match onsets.last_mut() {
            // The same onset, still rising.
            Some(last) if index - last.0 < LOOK_BACK => last.1 = last.1.max(rise),
            _ => onsets.push((index, rise)),
        }
    }
    onsets.sort_by(|a, b| b.1.total_cmp(&a.1));
    onsets.truncate(count);
    let mut places: Vec<usize> = onsets.into_iter().map(|(index, _)| index * frame).collect();
    places.sort_unstable();
    places
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::levels::{rms, to_decibels};
    use crate::test_signals::{measure_frequency, noise, sine, tone_to_noise_decibels, vowel};

    const RATE: u32 = 24_000;
    const TEMPOS: [f32; 8] = [0.25, 0.5, 0.7, 0.9, 1.1, 1.5, 2.0, 4.0];

    fn middle(samples: &[f32]) -> &[f32] {
        &samples[samples.len() / 8..samples.len() * 7 / 8]
    }

    /// Loudest minus softest of consecutive windows, in decibels.
    fn level_swing(samples: &[f32], window: usize) -> f32 {
        let levels: Vec<f32> = samples.chunks_exact(window).map(|part| to_decibels(rms(part))).collect();
        levels.iter().copied().fold(f32::MIN, f32::max) - levels.iter().copied().fold(f32::MAX, f32::min)
    }

    #[test]
    fn a_tone_keeps_its_frequency_its_level_and_its_purity() {
        for hertz in [110.0, 220.0, 437.0, 1_013.0, 3_001.0] {
            let tone = sine(hertz, RATE, 48_000, 0.5);
            for speed in TEMPOS {
                let output = stretch(&tone, RATE, speed);
                let body = middle(&output);
                let measured = measure_frequency(body, hertz, RATE);
                let swing = level_swing(body, 480);
                assert!((measured / hertz - 1.0).abs() < 0.002, "{hertz} Hz × {speed}: {measured:.2} Hz");
                // 20 ms of a 110 Hz tone holds 2.2 periods, which alone swing by 0.7 dB.
                assert!(swing < 1.2, "{hertz} Hz × {speed}: level swings by {swing:.2} dB");
                let purity = tone_to_noise_decibels(body, measured, RATE);
                if hertz < 500.0 && speed > 0.4 {
                    assert!(purity > 12.0, "{hertz} Hz × {speed}: {purity:.1} dB");
                }
            }
        }
    }

    #[test]
    fn no_splice_clicks_not_even_at_the_ends() {
        let steepest =
            |samples: &[f32]| samples.windows(2).map(|pair| (pair[1] - pair[0]).abs()).fold(0.0, f32::max);
        for length in [24_000, 12_005, 9_991, 5_000, 1_300] {
            // Cut off at a crest, where a misplaced zero shows most.
            let tone: Vec<f32> = sine(440.0, RATE, length + 14, 0.9)[14..].to_vec();
            for speed in TEMPOS {
                let (now, natural) = (steepest(&stretch(&tone, RATE, speed)), steepest(&tone));
                assert!(now < natural * 1.15, "{length} × {speed}: {now} of {natural}");
            }
        }
    }

    #[test]
    fn a_vowel_keeps_its_pitch_and_does_not_pump() {
        for hertz in [85.0, 120.0, 210.0] {
            let sound = vowel(hertz, RATE, 48_000);
            let before = level_swing(middle(&sound), 1_200);
            for speed in TEMPOS {
                let output = stretch(&sound, RATE, speed);
                let measured = measure_frequency(middle(&output), hertz, RATE);
                assert!((measured / hertz - 1.0).abs() < 0.01, "{hertz} Hz × {speed}: {measured:.2} Hz");
                let swing = level_swing(middle(&output), 1_200);
                assert!(swing < before + 1.0, "{hertz} Hz × {speed}: {swing:.2} dB, was {before:.2} dB");
            }
        }
    }

    #[test]
    fn noise_keeps_its_level() {
        let hiss = noise(48_000, 0.5);
        for speed in TEMPOS {
            let output = stretch(&hiss, RATE, speed);
            let change = to_decibels(rms(middle(&output)) / rms(&hiss));
            assert!(change.abs() < 0.5, "× {speed}: {change:.2} dB");
            // Windows of 20 ms of the noise itself swing by about 1.5 dB.
            let swing = level_swing(middle(&output), 480);
            assert!(swing < 3.5, "× {speed}: {swing:.2} dB");
        }
    }

    /// Places where a quiet bed is pierced by something loud.
    fn clicks(samples: &[f32]) -> Vec<usize> {
        let mut found: Vec<usize> = Vec::new();
        for (place, sample) in samples.iter().enumerate() {
            if sample.abs() > 0.3 && found.last().is_none_or(|last| place - last > 100) {
                found.push(place);
            }
        }
        found
    }

    #[test]
    fn every_click_is_heard_exactly_once_and_in_its_place() {
        let places: Vec<usize> = (0..6).map(|k| 5_000 + k * 7_013).collect();
        let bed: Vec<f32> = vowel(110.0, RATE, 48_000).iter().map(|s| s * 0.1).collect();
        for background in [vec![0.0; 48_000], noise(48_000, 0.01), bed] {
            let mut sound = background;
            for &place in &places {
                for step in 0..40 {
                    sound[place + step] +=
                        0.9 * (-0.15 * step as f32).exp() * if step % 2 == 0 { 1.0 } else { -1.0 };
                }
            }
            for speed in [0.25f32, 0.5, 0.8, 1.25, 1.5, 2.0] {
                let found = clicks(&stretch(&sound, RATE, speed));
                assert_eq!(found.len(), places.len(), "× {speed}: {found:?}");
                for (&place, &heard) in places.iter().zip(&found) {
                    let off = heard as f32 - place as f32 / speed;
                    assert!(off.abs() < 0.2 * RATE as f32, "× {speed}: {place} heard at {heard}");
                }
            }
        }
    }

    #[test]
    fn silence_stays_silent_and_short_sounds_survive() {
        assert!(stretch(&vec![0.0; 4_800], RATE, 0.5).iter().all(|&s| s == 0.0));
        for length in [0usize, 1, 2, 100, 359, 361] {
            for speed in TEMPOS {
                let output = stretch(&vec![0.5; length], RATE, speed);
                assert_eq!(output.len(), (length as f64 / f64::from(speed)).round() as usize);
                assert!(output.iter().all(|s| s.is_finite()));
            }
        }
    }

    #[test]
    fn tempo_one_is_the_very_same_sound_and_odd_tempos_are_bounded() {
        let sound = noise(5_000, 0.3);
        assert_eq!(stretch(&sound, RATE, 1.0), sound);
        assert_eq!(stretch(&sound, RATE, f32::NAN), sound);
        assert_eq!(stretch(&sound, RATE, 100.0).len(), 1_250);
        assert_eq!(stretch(&sound, RATE, 0.0).len(), 20_000);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn the_length_is_exact_and_nothing_overshoots(length in 0usize..20_000, speed in 0.25f32..4.0, pitch in 60.0f64..400.0) {
            let sound = vowel(pitch, RATE, length.max(1))[..length].to_vec();
            let output = stretch(&sound, RATE, speed);
            prop_assert_eq!(output.len(), (length as f64 / f64::from(speed)).round() as usize);
            prop_assert!(crate::levels::peak(&output) <= 0.5 * 2f32.sqrt());
        }
    }
}
