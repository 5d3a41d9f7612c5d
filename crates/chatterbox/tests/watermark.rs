//! The watermark against the reference: the mark that it adds, and what its decoder hears of it.

#![expect(
    clippy::unwrap_used,
    reason = "a helper that fails fails its test; errors are shown with --nocapture"
)]

mod common;

use chatterbox::watermark::network::{BINS, Levels, MARKED, Network};
use chatterbox::watermark::{UNUSED, Watermark};
use chatterbox::weights::Weights;
use common::{Fixture, device, fixtures, max_abs_error};

fn weights() -> Weights {
    Weights::open(&fixtures().join("weights/perth_tiny.safetensors"), &device()).unwrap()
}

fn tiny_watermark() -> Watermark {
    let weights = weights();
    let watermark = Watermark::load(&weights.root()).unwrap();
    weights.finish(&UNUSED).unwrap();
    watermark
}

/// `[bins, frames]` to `[frames, bins]`.
fn frames_first(values: &[f32], bins: usize) -> Vec<f32> {
    let frames = values.len() / bins;
    (0..frames).flat_map(|frame| values.iter().skip(frame).step_by(frames)).copied().collect()
}

#[test]
fn tiny_networks_agree_with_the_reference() {
    let case = Fixture::open("perth_tiny");
    let network = Network::load(&weights().root()).unwrap();
    let values = frames_first(&case.floats("mag"), BINS);
    let mut levels = Levels { frames: values.len() / BINS, values };
    let mark = network.mark(&levels).unwrap();
    for (frame, mark) in levels.values.chunks_exact_mut(BINS).zip(mark.chunks_exact(MARKED)) {
        for (level, mark) in frame.iter_mut().zip(mark) {
            *level += mark;
        }
    }
    let expected = frames_first(&case.floats("wm_mag_first128"), MARKED);
    let found: Vec<f32> = levels.values.chunks_exact(BINS).flat_map(|f| &f[..MARKED]).copied().collect();
    let error = max_abs_error(&found, &expected);
    println!("perth_tiny: marked levels {error:e}");
    assert!(error < 1e-4, "marked levels: {error:e}");

    let found = network.detect(&levels).unwrap();
    let error = max_abs_error(&[found], &case.floats("decoder_raw_on_marked_mag"));
    println!("perth_tiny: detection {error:e}");
    assert!(error < 1e-4, "detection: {error:e}");
}

#[test]
fn marked_speech_agrees_with_the_reference() {
    let case = Fixture::open("perth_tiny");
    let watermark = tiny_watermark();
    let marked = watermark.mark(&case.floats("wav32_soxr"), 32_000).unwrap();
    let error = max_abs_error(&marked, &case.floats("wav32_marked"));
    println!("perth_tiny: 32 kHz {error:e}");
    assert!(error < 1e-4, "32 kHz: {error:e}");

    let found = watermark.detect(&case.floats("wav32_marked"), 32_000).unwrap();
    let error = max_abs_error(&[found], &case.floats("get_watermark_noround"));
    println!("perth_tiny: detection in samples {error:e}");
    assert!(error < 1e-4, "detection: {error:e}");

    // There and back through the resampler, which is soxr's in kind, not in every tap.
    let marked = watermark.mark(&case.floats("wav24"), 24_000).unwrap();
    let error = max_abs_error(&marked, &case.floats("wav24_marked"));
    println!("perth_tiny: 24 kHz {error:e}");
    assert!(error < 1e-3, "24 kHz: {error:e}");
}

#[test]
fn whole_steps_keep_their_length_and_silence_has_no_mark() {
    let watermark = tiny_watermark();
    let speech = Fixture::open("perth_tiny").floats("wav24");
    for (samples, expected) in [(960, 960), (2400, 2400), (2500, 2400), (100, 0), (0, 0)] {
        assert_eq!(watermark.mark(&speech[..samples], 24_000).unwrap().len(), expected, "{samples} samples");
    }
    assert_eq!(watermark.detect(&vec![0.0; 24_000], 24_000).unwrap(), 0.0);
    assert_eq!(watermark.detect(&[], 24_000).unwrap(), 0.0);
    assert!(watermark.mark(&[0.0; 2400], 24_000).unwrap().iter().all(|sample| *sample == 0.0));
}
