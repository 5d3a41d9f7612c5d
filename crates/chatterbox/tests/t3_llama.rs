//! T3 with Llama inside against the reference: conditioning, positions, every stage of the tiny one, guidance, and (ignored: two
//! gigabytes of weights) the original at full size.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a helper that fails fails its test; errors are shown with --nocapture"
)]

mod common;

use std::ops::ControlFlow;

use burn::tensor::{Tensor, TensorData};
use chatterbox::noise::{Noise, Replay};
use chatterbox::t3::{Decoded, Speaker, T3, T3Error, rope};
use chatterbox::variant::{Analyser, Backbone, ModelConfig, SamplingConfig};
use chatterbox::weights::Weights;
use common::{Fixture, device, max_abs_error, tiny_llama, tiny_original_config, values};

/// f32 throughout: what remains is the order of summation, which grows with depth and width.
const TINY: f32 = 2e-4;
const FULL: f32 = 3e-3;

/// The fixture's speaker, and its text without the tokens that T3 puts around it.
fn inputs(case: &Fixture) -> (Speaker, Vec<u32>) {
    let speaker = Speaker {
        embedding: case.floats("speaker_emb"),
        prompt: case.ids("prompt_tokens"),
        ..Speaker::default()
    };
    let wrapped = case.ids("text_tokens_wrapped");
    (speaker, wrapped[1..wrapped.len() - 1].to_vec())
}

fn greedy(t3: &T3, case: &Fixture, sampling: &SamplingConfig, max_tokens: usize) -> Decoded {
    let (speaker, text) = inputs(case);
    t3.decode(&text, &speaker, sampling, max_tokens, &mut Replay::default(), &mut |_| {
        ControlFlow::Continue(())
    })
    .unwrap()
}

fn check(t3: &T3, case: &Fixture, greedy_tokens: usize, tolerance: f32) {
    let (speaker, text) = inputs(case);
    let sampling = ModelConfig::original().sampling;
    let expect = |found: &[f32], expected: &[f32], tolerance: f32, what: &str| {
        let error = max_abs_error(found, expected);
        println!("{what} {error:e}");
        assert!(error < tolerance, "{what}: {error:e}");
    };

    let prefix = t3.prefix(&text, &speaker, &sampling).unwrap();
    let [rows, length, width] = prefix.dims();
    assert_eq!(rows, 2, "with and without the text");
    let conditioning = case.shape("cond_emb")[1];
    for row in 0..rows {
        let found = values(prefix.clone().narrow(0, row, 1).narrow(1, 0, conditioning));
        expect(&found, &case.floats("cond_emb"), 1e-5 * (width as f32).sqrt(), "conditioning");
    }
    // The reference appends the second start token outside of what the fixture calls the prefix.
    let found = values(prefix.clone().narrow(1, 0, length - 1));
    expect(&found, &case.floats("prefix_embeds_before_second_bos"), tolerance, "prefix");
    let [last, before] = [1, 2].map(|back| values(prefix.clone().narrow(1, length - back, 1)));
    assert_eq!(last, before, "the start token twice, at one position");

    let mut cache = t3.cache(rows, length + 8);
    let logits = t3.prefill(prefix, &mut cache);
    expect(&values(logits), &case.floats("prefill_logits"), tolerance, "prefill logits");
    let forced: Vec<Tensor<3>> =
        case.ids("forced_tokens").into_iter().map(|token| t3.step(token, &mut cache)).collect();
    // [rows, 1, vocabulary] each → [steps, rows, vocabulary]
    let forced = Tensor::cat(forced, 1).swap_dims(0, 1);
    expect(&values(forced), &case.floats("forced_logits"), tolerance, "logits of forced tokens");

    let decoded = greedy(t3, case, &sampling, greedy_tokens);
    assert_eq!(decoded.tokens, case.ids("greedy_tokens"), "the whole loop with argmax instead of a draw");
}

#[test]
fn tiny_llama_agrees_with_the_reference_stage_by_stage() {
    for granularity in [1, 64] {
        check(&tiny_llama(granularity), &Fixture::open("t3_llama_tiny"), 30, TINY);
    }
}

#[test]
#[ignore = "builds the original's weights from their formula: two gigabytes and minutes; needs fixtures made with --full original"]
fn full_size_original_agrees_with_the_reference() {
    let weights = Weights::formula("t3_cfg", &device());
    let t3 = T3::load(&weights.root(), &ModelConfig::original().t3, 1).unwrap();
    check(&t3, &Fixture::open("full_t3_original"), 12, FULL);
}

/// The reference's only difference there is a crash: without guidance the unconditional row changes nothing.
#[test]
fn without_guidance_one_row_gives_what_the_conditional_row_of_two_gives() {
    let (case, t3) = (Fixture::open("t3_llama_tiny"), tiny_llama(1));
    let (speaker, text) = inputs(&case);
    let sampling = SamplingConfig { cfg_weight: 0.0, ..ModelConfig::original().sampling };
    let prefix = t3.prefix(&text, &speaker, &sampling).unwrap();
    let [rows, length, _] = prefix.dims();
    assert_eq!(rows, 1);
    let mut cache = t3.cache(rows, length + 8);
    let logits = values(t3.prefill(prefix, &mut cache));
    let conditional = &case.floats("prefill_logits")[..logits.len()];
    assert!(max_abs_error(&logits, conditional) < TINY);
    for (step, token) in case.ids("forced_tokens").into_iter().enumerate() {
        let logits = values(t3.step(token, &mut cache));
        let both = &case.floats("forced_logits")[2 * step * logits.len()..];
        assert!(max_abs_error(&logits, &both[..logits.len()]) < TINY, "step {step}");
    }
    assert_ne!(
        greedy(&t3, &case, &sampling, 30).tokens,
        case.ids("greedy_tokens"),
        "guidance matters for what is said"
    );
}

#[test]
fn emotion_is_one_position_that_scales_with_the_exaggeration() {
    let (case, t3) = (Fixture::open("t3_llama_tiny"), tiny_llama(1));
    let (speaker, text) = inputs(&case);
    let emotion = |exaggeration| {
        let sampling = SamplingConfig { exaggeration, ..ModelConfig::original().sampling };
        let prefix = t3.prefix(&text, &speaker, &sampling).unwrap();
        (values(prefix.clone().narrow(1, 33, 1)), values(prefix.narrow(1, 0, 33)))
    };
    let ((half, others), (whole, same_others)) = (emotion(0.5), emotion(1.0));
    let doubled: Vec<f32> = half.iter().map(|value| 2.0 * value).collect();
    assert!(max_abs_error(&doubled, &whole) < 1e-6);
    assert_eq!(others, same_others);
}

#[test]
fn rotary_positions_agree_with_the_reference() {
    let tiny = Fixture::open("t3_llama_tiny").floats("rope_inv_freq");
    let case = Fixture::open("dsp");
    let full = case.floats("rope_inv_freq_llama520m");
    for expected in [tiny, full] {
        for (found, expected) in rope::frequencies(2 * expected.len()).iter().zip(&expected) {
            assert!((found / expected - 1.0).abs() < 1e-6, "{found} {expected}");
        }
    }
    // The first half of the channels turned by a position is its cosine, and its sine in the second half.
    let rope = rope::Rope::new(1201, 64, &device());
    let ones: Vec<f32> = (0..64).map(|channel| if channel < 32 { 1.0 } else { 0.0 }).collect();
    let cosines = case.floats("rope_cos_pos_0_1_2_399_1200");
    let sines = case.floats("rope_sin_pos_0_1_2_399_1200");
    for (row, position) in [0, 1, 2, 399, 1200].into_iter().enumerate() {
        let x = Tensor::<4>::from_data(TensorData::new(ones.clone(), [1, 1, 1, 64]), &device());
        let turned = values(rope.rotate(x, &[position]));
        let expected = [&cosines[64 * row..][..32], &sines[64 * row..][..32]].concat();
        let error = max_abs_error(&turned, &expected);
        // An angle of 1200 radians is exact to 6e-5.
        assert!(error < 1e-4, "position {position}: {error:e}");
    }
}

#[test]
fn a_text_that_exceeds_the_position_table_is_refused_with_the_room_there_is() {
    let (case, t3) = (Fixture::open("t3_llama_tiny"), tiny_llama(1));
    let (speaker, _) = inputs(&case);
    let sampling = ModelConfig::original().sampling;
    let error = t3.prefix(&[7; 2049], &speaker, &sampling).unwrap_err();
    assert_eq!(error, T3Error::TextTooLong { tokens: 2049, room: 2048 });
    t3.prefix(&[7; 2048], &speaker, &sampling).unwrap();
}

/// Random weights attend everywhere, so the analyser is certain to interfere; what it does is tested beside it.
/// Draws one and the same token for as long as it is possible.
struct Stubborn;

impl Stubborn {
    const TOKEN: u32 = 100;
}

impl Noise for Stubborn {
    fn normal(&mut self, _: &'static str, count: usize) -> Vec<f32> {
        vec![0.0; count]
    }

    fn phases(&mut self, _: &'static str, count: usize) -> Vec<f32> {
        vec![0.0; count]
    }

    fn pick(&mut self, probabilities: &[f32]) -> usize {
        let token = Self::TOKEN as usize;
        if probabilities[token] > 0.0 {
            return token;
        }
        (0..probabilities.len()).max_by(|a, b| probabilities[*a].total_cmp(&probabilities[*b])).unwrap()
    }
}

#[test]
fn the_analyser_takes_part_in_decoding_only_where_it_is_asked_for_and_heads_are_known() {
    let case = Fixture::open("t3_llama_tiny");
    // Nothing filtered, so that the stubborn draw can always be had.
    let unwatched = SamplingConfig { min_p: 0.0, ..ModelConfig::original().sampling };
    let watched = SamplingConfig { analyser: Analyser::V2Legacy, ..unwatched.clone() };
    let (speaker, text) = inputs(&case);
    let decode = |t3: &T3, sampling: &SamplingConfig| {
        t3.decode(&text, &speaker, sampling, 30, &mut Stubborn, &mut |_| ControlFlow::Continue(())).unwrap()
    };
    assert_eq!(decode(&tiny_llama(1), &unwatched).tokens, [Stubborn::TOKEN; 30]);
    for granularity in [1, 64] {
        let decoded = decode(&tiny_llama(granularity), &watched);
        assert!(decoded.stopped && decoded.tokens.len() < 5, "the repeated token ends it: {decoded:?}");
    }

    let mut config = tiny_original_config().t3;
    if let Backbone::Llama(llama) = &mut config.backbone {
        llama.aligned_heads.clear();
    }
    let weights = Weights::formula("t3_llama_tiny", &device());
    let blind = T3::load(&weights.root(), &config, 1).unwrap();
    assert_eq!(decode(&blind, &watched).tokens, [Stubborn::TOKEN; 30]);
}
