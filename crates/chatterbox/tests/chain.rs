//! Whole chains against the reference: text tokens to samples, with the conditions and the noise of the reference's run.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a helper that fails fails its test; errors are shown with --nocapture"
)]

mod common;

use std::ops::ControlFlow;

use chatterbox::noise::Replay;
use chatterbox::pipeline::speakable;
use chatterbox::s3gen::{Reference, S3Gen};
use chatterbox::t3::{Speaker, T3};
use chatterbox::variant::ModelConfig;
use common::{Fixture, max_abs_error, values};

/// `max_tokens` are those that the reference was allowed; its ending differs between the two loops.
fn check(case: &Fixture, config: &ModelConfig, t3: &T3, s3gen: &S3Gen, text: &[u32], max_tokens: usize) {
    let speaker = Speaker {
        embedding: case.floats("conds.speaker_emb"),
        prompt: case.ids("conds.cond_prompt_speech_tokens"),
        ..Speaker::default()
    };
    let reference = Reference {
        prompt_tokens: case.ids("conds.prompt_token"),
        prompt_mel: case.floats("conds.prompt_feat"),
        speaker: case.floats("conds.embedding"),
    };
    let draws = ["noised", "z", "sine_phase_offsets", "sine_noise"];
    let mut noise = Replay::new(draws.into_iter().filter(|name| case.has(name)).map(|n| (n, case.floats(n))));

    let decoded = t3
        .decode(text, &speaker, &config.sampling, max_tokens, &mut noise, &mut |_| ControlFlow::Continue(()))
        .unwrap();
    assert_eq!(decoded.tokens, case.ids("t3_tokens"));
    let tokens = speakable(config, &decoded.tokens);
    assert_eq!(tokens, case.ids("s3_tokens"));
    let mel = s3gen.mel(&tokens, &reference, &mut noise);
    let error = max_abs_error(&values(mel.clone()), &case.floats("mel"));
    println!("mel {error:e}");
    assert!(error < 5e-4, "mel: {error:e}");
    let error = max_abs_error(&s3gen.wave(mel, &mut noise).unwrap(), &case.floats("wav"));
    println!("samples {error:e}");
    // The pitch of our own mel drives the source here, so phases drift by a few parts in a thousand over a second.
    assert!(error < 5e-3, "samples: {error:e}");
}

#[test]
fn the_whole_turbo_chain_agrees_with_the_reference() {
    let case = Fixture::open("e2e_turbo_tiny");
    let (t3, s3gen) = (common::tiny_t3(1), common::tiny_s3gen(1));
    check(&case, &common::tiny_config(), &t3, &s3gen, &case.ids("text_tokens"), 25);
}

#[test]
fn the_whole_original_chain_agrees_with_the_reference() {
    let case = Fixture::open("e2e_original_tiny");
    let (t3, s3gen) = (common::tiny_llama(1), common::tiny_cfm(1));
    let text = case.ids("text_tokens_wrapped");
    // T3 wraps the text itself.
    check(&case, &common::tiny_original_config(), &t3, &s3gen, &text[1..text.len() - 1], 24);
}
