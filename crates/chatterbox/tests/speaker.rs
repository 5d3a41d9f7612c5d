//! The networks that say who speaks, against the reference: the voice encoder for T3, CAMPPlus for S3Gen.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a helper that fails fails its test; errors are shown with --nocapture"
)]

mod common;

use chatterbox::speaker::campplus::{CampPlus, CampPlusConfig};
use chatterbox::speaker::voice_encoder::{VoiceEncoder, VoiceEncoderConfig};
use chatterbox::weights::Weights;
use common::{Fixture, device, max_abs_error, tiny_campplus, tiny_voice_encoder, values};

fn check_voice_encoder(encoder: &VoiceEncoder, name: &str) {
    let case = Fixture::open(name);
    let mel = case.floats("mel_trimmed");
    let error = max_abs_error(&values(encoder.project(&mel)), &case.floats("proj"));
    println!("{name}: windows {error:e}");
    assert!(error < 1e-5, "{name}: windows: {error:e}");
    let error = max_abs_error(&encoder.embed(&mel).unwrap(), &case.floats("embedding"));
    println!("{name}: embedding {error:e}");
    assert!(error < 1e-5, "{name}: embedding: {error:e}");
}

#[test]
fn tiny_voice_encoder_agrees_with_the_reference() {
    check_voice_encoder(&tiny_voice_encoder(), "ve_tiny");
}

#[test]
#[ignore = "builds the weights from their formula; slow without optimisation"]
fn full_size_voice_encoder_agrees_with_the_reference() {
    let weights = Weights::formula("ve", &device());
    let encoder = VoiceEncoder::load(&weights.root(), &VoiceEncoderConfig::published()).unwrap();
    check_voice_encoder(&encoder, "full_ve");
}

/// The fixtures hold channels first; ours are frames first.
fn transposed(case: &Fixture, tensor: &str) -> Vec<f32> {
    values(case.tensor::<3>(tensor, &device()).swap_dims(1, 2))
}

fn check_campplus(network: &CampPlus, name: &str) {
    let case = Fixture::open(name);
    let features = case.floats("features");
    let over_frequency = network.over_frequency(&features);
    // Values reach 15 here, and 11 in the full-size network.
    if case.has("head") {
        let error = max_abs_error(&values(over_frequency.clone()), &transposed(&case, "head"));
        println!("{name}: head {error:e}");
        assert!(error < 1e-4, "{name}: head: {error:e}");
    }
    let vector = network.embed(&features).unwrap();
    let error = max_abs_error(&vector, &case.floats("xvector"));
    println!("{name}: x-vector {error:e}");
    assert!(error < 1e-4, "{name}: x-vector: {error:e}");
}

#[test]
fn tiny_campplus_agrees_with_the_reference() {
    check_campplus(&tiny_campplus("s3gen_tiny"), "campplus_tiny");
}

#[test]
#[ignore = "builds the weights from their formula; slow without optimisation"]
fn full_size_campplus_agrees_with_the_reference() {
    let weights = Weights::formula("s3gen_meanflow", &device());
    let scope = weights.root().at("speaker_encoder");
    check_campplus(&CampPlus::load(&scope, &CampPlusConfig::published()).unwrap(), "full_campplus");
}
