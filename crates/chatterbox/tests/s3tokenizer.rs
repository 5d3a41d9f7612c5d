//! The S3 tokenizer against the reference: tokens are equal, however a clip is padded, batched or cut into windows.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a helper that fails fails its test; errors are shown with --nocapture"
)]

mod common;

use chatterbox::s3tokenizer::{MEL_BINS, S3Tokenizer, S3TokenizerConfig};
use chatterbox::weights::Weights;
use common::{Fixture, device, max_abs_error, tiny_tokenizer, values};
use waveform::mel::s3_log_mel;

/// `[128, frames]`, as the fixtures store a mel, to `[frames, 128]`.
fn frames_first(bands_first: &[f32]) -> Vec<f32> {
    let frames = bands_first.len() / MEL_BINS;
    (0..frames).flat_map(|frame| bands_first.iter().skip(frame).step_by(frames)).copied().collect()
}

/// Tokens are equal except where the reference itself stands within `error` of the border between two.
fn assert_tokens(found: &[u32], expected: &[u32], distances: &[f32], error: f32, name: &str) {
    assert_eq!(found.len(), expected.len(), "{name}");
    let clear = distances.iter().filter(|distance| **distance > error).count();
    println!("{name}: {clear} of {} tokens stand clear of every border", expected.len());
    assert!(clear * 10 >= expected.len() * 9, "{name}: too few tokens can be compared");
    for (index, (found, expected)) in found.iter().zip(expected).enumerate() {
        assert!(found == expected || distances[index] <= error, "{name}: token {index}");
    }
}

fn check(tokenizer: &S3Tokenizer, name: &str, tolerance: f32) {
    let case = Fixture::open(name);
    let log_mel = s3_log_mel(&case.floats("wav16")).values;
    let levels = values(tokenizer.levels(&log_mel));
    let expected = case.floats("quantizer._codebook.project_down");
    let error = max_abs_error(&levels[..expected.len()], &expected);
    println!("{name}: levels {error:e}");
    assert!(error < tolerance, "{name}: levels: {error:e}");
    let tokens = tokenizer.tokens(&log_mel).unwrap();
    let distances = case.floats("fsq_min_boundary_distance_per_token");
    assert_tokens(&tokens, &case.ids("tokens"), &distances, error, name);
}

#[test]
fn tiny_tokenizer_agrees_with_the_reference() {
    check(&tiny_tokenizer("s3gen_tiny", 1), "s3tok_tiny", 1e-4);
}

#[test]
fn padding_to_a_granularity_changes_no_token() {
    check(&tiny_tokenizer("s3gen_tiny", 16), "s3tok_tiny", 1e-4);
}

#[test]
#[ignore = "builds the weights from their formula: half a gigabyte; slow without optimisation"]
fn full_size_tokenizer_agrees_with_the_reference() {
    let weights = Weights::formula("s3gen_meanflow", &device());
    let scope = weights.root().at("tokenizer");
    let tokenizer = S3Tokenizer::load(&scope, &S3TokenizerConfig::published(), 1).unwrap();
    check(&tokenizer, "full_s3tok", 1e-3);
}

/// The reference encodes clips of different lengths as one padded and masked batch; one by one they are the same, and so are
/// they when padded as they were there.
#[test]
fn clips_of_a_batch_have_the_tokens_that_they_have_alone() {
    let case = Fixture::open("s3tok_tiny_batch");
    let (mel, tokens) = (case.floats("mel"), case.ids("tokens"));
    for granularity in [1, 50] {
        let tokenizer = tiny_tokenizer("s3gen_tiny", granularity);
        for (clip, (frames, length)) in [200, 97].into_iter().zip(case.ids("token_len")).enumerate() {
            let padded = frames_first(&mel[clip * 200 * MEL_BINS..][..200 * MEL_BINS]);
            let found = tokenizer.tokens(&padded[..frames * MEL_BINS]).unwrap();
            let expected = &tokens[clip * 50..][..length as usize];
            assert_eq!(found, expected, "clip {clip} with granularity {granularity}");
        }
    }
}

#[test]
fn a_clip_of_more_than_thirty_seconds_is_encoded_in_windows() {
    let case = Fixture::open("s3tok_tiny_long");
    let base = frames_first(&case.floats("base_mel"));
    let log_mel: Vec<f32> = base.iter().cycle().take(3150 * MEL_BINS).copied().collect();
    let found = tiny_tokenizer("s3gen_tiny", 1).tokens(&log_mel).unwrap();
    let expected = case.ids("tokens");
    assert_eq!(found.len(), expected.len());
    // This case stores no distances to the borders; one in a hundred may stand on one.
    let different = found.iter().zip(&expected).filter(|(a, b)| a != b).count();
    println!("s3tok_tiny_long: {different} of {} tokens differ", expected.len());
    assert!(different * 100 <= expected.len(), "{different} of {} tokens differ", expected.len());
}
