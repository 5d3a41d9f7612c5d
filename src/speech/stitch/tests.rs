//! Joined sounds are measured: to the sample where lengths matter, in decibels where levels do.

use std::convert::Infallible;

use waveform::levels::{rms, to_decibels};

use super::*;

const RATE: u32 = 24_000;

fn tone(length: usize, amplitude: f32) -> Vec<f32> {
    // Begins and ends at the crest, where an unfaded edge clicks loudest.
    (0..length).map(|n| amplitude * (n as f32 * 440.0 * std::f32::consts::TAU / RATE as f32).cos()).collect()
}

fn stitched(chunks: &[(Vec<f32>, Boundary)], stitching: &Stitching) -> Vec<f32> {
    let mut samples = Vec::new();
    let joined = stitch(chunks.iter().cloned().map(Ok::<_, Infallible>), stitching, &mut |part| {
        samples.extend_from_slice(part);
        Ok(())
    });
    assert_eq!(samples.len() as u64, joined.unwrap().length);
    samples
}

fn steepest(samples: &[f32]) -> f32 {
    samples.windows(2).map(|pair| (pair[1] - pair[0]).abs()).fold(0.0, f32::max)
}

#[test]
fn a_single_chunk_passes_through_but_for_its_edges() {
    let chunk = tone(24_000, 0.5);
    let result = stitched(&[(chunk.clone(), Boundary::End)], &Stitching::new(RATE, RATE));
    assert_eq!(result.len(), chunk.len());
    let edge = 120;
    for (a, b) in result[edge..24_000 - edge].iter().zip(&chunk[edge..24_000 - edge]) {
        assert!((a - b).abs() < 1.0 / 32_000.0);
    }
}

#[test]
fn durations_are_exact_and_pauses_follow_the_boundary() {
    let chunk = || tone(12_000, 0.5);
    let chunks = [
        (chunk(), Boundary::Clause),
        (chunk(), Boundary::Sentence),
        (chunk(), Boundary::Paragraph),
        (chunk(), Boundary::End),
    ];
    let result = stitched(&chunks, &Stitching::new(RATE, RATE));
    assert_eq!(result.len(), 4 * 12_000 + (1_920 + 4_800 + 14_400));
    let silent = |start: usize, length: usize| result[start..start + length].iter().all(|&s| s == 0.0);
    assert!(silent(12_000, 1_920) && silent(25_920, 4_800) && silent(42_720, 14_400));
    assert!(result[57_120 + 200..].iter().any(|s| s.abs() > 0.4));
}

#[test]
fn no_seam_clicks() {
    let chunks = [
        (tone(12_005, 0.9), Boundary::Sentence),
        (tone(9_991, 0.9), Boundary::Paragraph),
        (tone(5_000, 0.9), Boundary::End),
    ];
    let natural = steepest(&tone(1_000, 0.9));
    for speed in [0.5, 1.0, 1.7] {
        let result = stitched(&chunks, &Stitching { speed, ..Stitching::new(RATE, RATE) });
        assert!(steepest(&result) < natural * 1.15, "× {speed}: {} of {natural}", steepest(&result));
        assert!(result[0].abs() < 0.01 && result[result.len() - 1].abs() < 0.01);
    }
}

#[test]
fn tempo_scales_speech_and_pauses_alike() {
    let chunks = [(tone(24_000, 0.5), Boundary::Sentence), (tone(24_000, 0.5), Boundary::End)];
    let result = stitched(&chunks, &Stitching { speed: 2.0, ..Stitching::new(RATE, RATE) });
    assert_eq!(result.len(), 12_000 + 2_400 + 12_000);
}

#[test]
fn resampling_runs_through_the_seams_with_exact_length() {
    let chunks = [(tone(10_001, 0.5), Boundary::Sentence), (tone(7_003, 0.5), Boundary::End)];
    for output_rate in [8_000, 16_000, 44_100, 48_000] {
        let result = stitched(&chunks, &Stitching::new(RATE, output_rate));
        let input = 10_001 + 4_800 + 7_003u64;
        assert_eq!(
            result.len() as u64,
            (input * u64::from(output_rate)).div_ceil(u64::from(RATE)),
            "{output_rate}"
        );
        let natural = steepest(&tone(1_000, 0.5)) * RATE as f32 / output_rate as f32;
        assert!(steepest(&result) < natural * 1.2, "{output_rate}");
    }
}

#[test]
fn excess_silence_at_the_ends_goes_and_a_little_stays() {
    let mut chunk = vec![1e-5; 24_000];
    chunk.extend(tone(12_000, 0.5));
    chunk.extend(vec![1e-5; 48_000]);
    let result = stitched(&[(chunk.clone(), Boundary::End)], &Stitching::new(RATE, RATE));
    // 40 ms before, 80 ms behind, to a frame of 5 ms each.
    assert!((12_000 + 2_880..=12_000 + 2_880 + 240).contains(&result.len()), "{}", result.len());
    let kept =
        stitched(&[(chunk.clone(), Boundary::End)], &Stitching { trim: None, ..Stitching::new(RATE, RATE) });
    assert_eq!(kept.len(), chunk.len());
    let silence = stitched(&[(vec![0.0; 5_000], Boundary::End)], &Stitching::new(RATE, RATE));
    assert_eq!(silence.len(), 5_000);
}

#[test]
fn a_chunk_that_would_clip_is_turned_down_and_others_are_not() {
    let chunks = [(tone(12_000, 1.4), Boundary::Sentence), (tone(12_000, 0.5), Boundary::End)];
    let result = stitched(&chunks, &Stitching::new(RATE, RATE));
    assert!((peak(&result[..12_000]) - 0.95).abs() < 0.001);
    let quiet = to_decibels(rms(&result[17_000..28_000]) / (0.5 / 2f32.sqrt()));
    assert!(quiet.abs() < 0.05, "{quiet}");
}

#[test]
fn where_each_chunk_is_heard_is_told_to_the_sample() {
    let two = [tone(12_000, 0.5), vec![0.0; 4_800], tone(12_000, 0.5)].concat();
    let chunks = [(tone(24_000, 0.5), Boundary::Sentence), (two, Boundary::Pause(500))];
    for (rate, factor) in [(24_000, 1), (48_000, 2)] {
        let joined =
            stitch(chunks.iter().cloned().map(Ok::<_, Infallible>), &Stitching::new(RATE, rate), &mut |_| {
                Ok(())
            });
        let Joined { length, spans } = joined.unwrap();
        assert_eq!(length, factor * (24_000 + 4_800 + 28_800 + 12_000));
        assert_eq!(spans[0], Span { place: 0..factor * 24_000, silences: Vec::new() });
        assert_eq!(spans[1].place, factor * 28_800..factor * 57_600);
        let silence = factor * 40_800..factor * 45_600;
        assert_eq!(spans[1].silences, std::slice::from_ref(&silence));
    }
}

#[test]
fn silence_inside_a_chunk_is_shortened_only_when_asked() {
    let chunk = [tone(12_000, 0.5), vec![0.001; 36_000], tone(12_000, 0.5)].concat();
    let lengths = [None, Some(Duration::from_millis(300))].map(|longest_silence| {
        let stitching = Stitching { longest_silence, ..Stitching::new(RATE, RATE) };
        stitched(&[(chunk.clone(), Boundary::End)], &stitching).len()
    });
    assert_eq!(lengths[0], 60_000);
    // To a frame of 5 ms at either end.
    assert!(lengths[1].abs_diff(24_000 + 7_200) <= 240, "{lengths:?}");
}

#[test]
fn pauses_are_the_requests_and_none_is_possible() {
    let processing = Processing { sentence_pause_ms: 0, paragraph_pause_ms: 1_500, ..Processing::default() };
    let stitching = Stitching { pauses: Pauses::of(&processing), ..Stitching::new(RATE, RATE) };
    let chunks = [Boundary::Clause, Boundary::Sentence, Boundary::Paragraph, Boundary::End]
        .map(|boundary| (tone(6_000, 0.5), boundary));
    assert_eq!(stitched(&chunks, &stitching).len(), 4 * 6_000 + 36_000);
}

#[test]
fn loudness_reaches_its_target_unless_the_true_peak_forbids_it() {
    let chunks = [(tone(72_000, 0.05), Boundary::Sentence), (tone(48_000, 0.05), Boundary::End)];
    for (target, limit, expected) in [(-23.0, -1.0, -23.0), (-30.0, -1.0, -30.0), (-10.0, -9.0, -12.7)] {
        let mut sound = stitched(&chunks, &Stitching::new(RATE, 44_100));
        let mut measured = Measured::new(44_100);
        sound.chunks(999).for_each(|piece| measured.add(piece));
        let gain = measured.gain(target, limit);
        for sample in &mut sound {
            *sample *= gain;
        }
        let found = waveform::loudness::integrated(&sound, 44_100);
        assert!((found - expected).abs() < 0.3, "{found} for {target}");
        assert!(to_decibels(peak(&sound)) < limit + 0.05);
    }
    assert_eq!(Measured::new(24_000).gain(-23.0, -1.0), 1.0);
}

#[test]
fn a_chunk_that_cannot_be_read_stops_the_work() {
    let chunks = [Ok((tone(100, 0.5), Boundary::Sentence)), Err(std::io::Error::other("gone"))];
    let error = stitch(chunks, &Stitching::new(RATE, RATE), &mut |_| Ok(())).unwrap_err();
    assert!(matches!(error, StitchError::Chunk(_)));
}
