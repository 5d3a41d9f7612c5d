//! From a recording to a voice, and from a recording to another voice's, against the reference's own conditionals.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a helper that fails fails its test; errors are shown with --nocapture"
)]

mod common;

use std::ops::ControlFlow;

use chatterbox::conversion::{ConversionError, convert};
use chatterbox::noise::Seeded;
use chatterbox::pipeline::Step;
use chatterbox::reference_clip::{ClipError, ClipRules};
use common::{Fixture, fixtures, max_abs_error, tiny_clip_encoder, tiny_s3gen, tiny_tokenizer};

/// The clip that the reference made the end-to-end cases from.
fn clip() -> Vec<f32> {
    let recording = waveform::wav::read(fixtures().join("e2e_ref.wav")).unwrap();
    assert_eq!(recording.sample_rate, 24_000);
    recording.samples
}

fn check(weights: &str, rules: &ClipRules, name: &str) {
    let case = Fixture::open(name);
    let voice = tiny_clip_encoder(weights).voice(&clip(), rules).unwrap();
    // What hears the clip through soxr is held to soxr's tolerance, the rest to its network's.
    for (what, found, tolerance) in
        [("speaker_emb", &voice.speaker.embedding, 1e-3), ("embedding", &voice.reference.speaker, 1e-4)]
    {
        let error = max_abs_error(found, &case.floats(&format!("conds.{what}")));
        println!("{name}: {what} {error:e}");
        assert!(error < tolerance, "{name}: {what}: {error:e}");
    }
    // Near the mel's floor of 1e-5 the logarithm magnifies the rounding of the reference's own f32 transform, so there the
    // magnitudes are compared.
    let (found, expected) = (&voice.reference.prompt_mel, case.floats("conds.prompt_feat"));
    let magnitudes = |values: &[f32]| values.iter().map(|value| value.exp()).collect::<Vec<_>>();
    let error = max_abs_error(&magnitudes(found), &magnitudes(&expected));
    println!("{name}: prompt_feat, magnitudes {error:e}");
    assert!(error < 1e-5, "{name}: prompt_feat, magnitudes: {error:e}");
    let loud = |values: &[f32]| {
        values.iter().zip(&expected).filter(|(_, e)| **e > -9.0).map(|(v, _)| *v).collect::<Vec<_>>()
    };
    let error = max_abs_error(&loud(found), &loud(&expected));
    println!("{name}: prompt_feat {error:e}");
    assert!(error < 1e-4, "{name}: prompt_feat: {error:e}");
    // Torchaudio's resampler is followed exactly, so S3Gen's prompt is equal. Soxr's is only approached, to 1e-4 of a sample:
    // a value that lies on the edge between two steps of the quantiser may fall to the other side.
    assert_eq!(voice.reference.prompt_tokens, case.ids("conds.prompt_token"), "{name}: prompt_token");
    let expected = case.ids("conds.cond_prompt_speech_tokens");
    assert_eq!(voice.speaker.prompt.len(), expected.len());
    let steps: Vec<u32> = voice.speaker.prompt.iter().zip(&expected).map(|(a, b)| a.abs_diff(*b)).collect();
    let different = steps.iter().filter(|step| **step != 0).count();
    println!("{name}: cond_prompt_speech_tokens: {different} of {} tokens differ", expected.len());
    assert!(different <= expected.len() / 100, "{name}: {different} tokens differ");
    let one_step = |step: &u32| *step == 0 || (0..8).any(|digit| *step == 3_u32.pow(digit));
    assert!(steps.iter().all(one_step), "{name}: a token differs by more than a step: {steps:?}");
}

#[test]
fn the_voice_of_a_clip_agrees_with_the_reference() {
    check("s3gen_meanflow_tiny", &ClipRules::turbo(), "e2e_turbo_tiny");
    check("s3gen_tiny", &ClipRules::original(), "e2e_original_tiny");
}

#[test]
fn only_ten_seconds_of_a_long_clip_reach_s3gen_and_an_odd_frame_stays() {
    let encoder = tiny_clip_encoder("s3gen_meanflow_tiny");
    let long = clip().repeat(2);
    let reference = encoder.reference(&long).unwrap();
    assert_eq!((reference.prompt_tokens.len(), reference.prompt_mel.len()), (250, 500 * 80));
    // 31 frames: 15 tokens' worth, and the start of a sixteenth.
    let reference = encoder.reference(&long[24_000..][..31 * 480]).unwrap();
    assert_eq!((reference.prompt_tokens.len(), reference.prompt_mel.len()), (15, 31 * 80));
}

#[test]
fn clips_that_hold_no_voice_are_refused_with_the_reason() {
    let encoder = tiny_clip_encoder("s3gen_meanflow_tiny");
    let error = encoder.voice(&clip()[..96_000], &ClipRules::turbo()).unwrap_err();
    assert_eq!(error.to_string(), "the reference clip lasts 4.0 s; it has to be longer than 5 s");
    assert_eq!(encoder.voice(&vec![0.0; 240_000], &ClipRules::turbo()).unwrap_err(), ClipError::Silent);
    assert_eq!(
        encoder.voice(&vec![f32::NAN; 24_000], &ClipRules::original()).unwrap_err(),
        ClipError::Unusable
    );
    assert!(matches!(encoder.reference(&[]).unwrap_err(), ClipError::TooShort { .. }));
}

#[test]
fn a_recording_is_said_again_in_its_own_time() {
    let (s3gen, tokenizer) = (tiny_s3gen(1), tiny_tokenizer("s3gen_meanflow_tiny", 1));
    let target = tiny_clip_encoder("s3gen_meanflow_tiny").reference(&clip()).unwrap();
    let source = Fixture::open("s3tok_tiny").floats("wav16")[8000..24_100].to_vec();
    let mut stages = Vec::new();
    let samples = convert(&source, &tokenizer, &s3gen, &target, &mut Seeded::new(1), &mut |step| {
        stages.push(step);
        ControlFlow::Continue(())
    })
    .unwrap();
    // 100 frames of mel: 25 tokens of 40 ms.
    assert_eq!((samples.len(), stages), (25 * 960, vec![Step::Mel, Step::Samples]));
    assert!(samples.iter().all(|sample| sample.is_finite()));

    let tokens = tokenizer.tokens(&waveform::mel::s3_log_mel(&source).values).unwrap();
    let mut noise = Seeded::new(1);
    let mel = s3gen.mel(&tokens, &target, &mut noise);
    assert_eq!(samples, s3gen.wave(mel, &mut noise).unwrap());

    let convert = |source: &[f32], flow| {
        convert(source, &tokenizer, &s3gen, &target, &mut Seeded::new(1), &mut |_| flow)
    };
    assert_eq!(convert(&source, ControlFlow::Break(())), Err(ConversionError::Cancelled));
    assert_eq!(convert(&source[..100], ControlFlow::Continue(())), Err(ConversionError::NothingToConvert));
}
