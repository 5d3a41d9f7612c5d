//! T3 with GPT-2 inside against the reference: every stage of the tiny one, the sampling of both kinds, and (ignored: up to two
//! gigabytes of weights) Nano and Turbo.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a helper that fails fails its test; errors are shown with --nocapture"
)]

mod common;

use burn::tensor::Tensor;
use chatterbox::noise::{Replay, Seeded};
use chatterbox::t3::{Speaker, T3, UNUSED, sampling};
use chatterbox::variant::{ModelConfig, SamplingConfig, T3Config};
use chatterbox::weights::Weights;
use common::{Fixture, device, fixtures, max_abs_error, tiny_config, tiny_t3, values};

/// f32 throughout: what remains is the order of summation, which grows with depth and width.
const TINY: f32 = 2e-4;
const FULL: f32 = 3e-3;

fn check(t3: &T3, case: &Fixture, greedy_tokens: usize, tolerance: f32) {
    let (embedding, prompt) = (case.floats("speaker_emb"), case.ids("prompt_tokens"));
    let speaker = Speaker { embedding, prompt, ..Speaker::default() };
    let text = case.ids("text_tokens");

    let sampling = ModelConfig::nano().sampling;
    let prefix = t3.prefix(&text, &speaker, &sampling).unwrap();
    let error = max_abs_error(&values(prefix.clone()), &case.floats("prefix_embeds"));
    assert!(error < 1e-5, "prefix embeddings: {error:e}");

    let mut cache = t3.cache(1, prefix.dims()[1] + 8);
    let logits = t3.prefill(prefix, &mut cache);
    let error = max_abs_error(&values(logits), &case.floats("prefill_logits"));
    println!("prefill logits {error:e}");
    assert!(error < tolerance, "prefill logits: {error:e}");

    let rows: Vec<Tensor<3>> =
        case.ids("forced_tokens").into_iter().map(|token| t3.step(token, &mut cache)).collect();
    let error = max_abs_error(&values(Tensor::cat(rows, 1)), &case.floats("forced_logits"));
    println!("forced logits {error:e}");
    assert!(error < tolerance, "logits of forced tokens: {error:e}");

    let expected = case.ids("greedy_tokens");
    let decoded = t3
        .decode(&text, &speaker, &sampling, greedy_tokens + 1, &mut Replay::default(), &mut |_| {
            std::ops::ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!(decoded.tokens, expected, "tokens of the whole loop with argmax instead of a draw");
}

#[test]
fn tiny_gpt2_agrees_with_the_reference_stage_by_stage() {
    for granularity in [1, 64] {
        check(&tiny_t3(granularity), &Fixture::open("t3_gpt2_tiny"), 30, TINY);
    }
}

/// What a voice's conditioning leaves behind is kept from one text to the next.
#[test]
fn a_voice_speaks_to_the_bit_the_same_whether_it_spoke_before_or_another_did() {
    let (t3, case) = (tiny_t3(1), Fixture::open("t3_gpt2_tiny"));
    let speaker = Speaker {
        embedding: case.floats("speaker_emb"),
        prompt: case.ids("prompt_tokens"),
        ..Speaker::default()
    };
    let other = Speaker { prompt: speaker.prompt[1..].to_vec(), ..speaker.clone() };
    let sampling = SamplingConfig { temperature: 1.0, ..ModelConfig::nano().sampling };
    let speak = |speaker: &Speaker, text: &[u32]| {
        let mut drawn = Seeded::new(3);
        let go_on = &mut |_: &[u32]| std::ops::ControlFlow::Continue(());
        t3.decode(text, speaker, &sampling, 40, &mut drawn, go_on).unwrap().tokens
    };
    let text = case.ids("text_tokens");
    let (first, shorter) = (speak(&speaker, &text), speak(&speaker, &text[1..]));
    assert_ne!(first, shorter);
    assert_eq!(speak(&speaker, &text), first, "the voice that spoke last");
    assert_ne!(speak(&other, &text), first);
    assert_eq!(speak(&speaker, &text), first, "another spoke between");
}

#[test]
#[ignore = "builds Nano's weights from their formula: half a gigabyte and a minute"]
fn full_size_nano_agrees_with_the_reference() {
    let weights = Weights::formula("t3_nano_v1", &device());
    let t3 = T3::load(&weights.root(), &ModelConfig::nano().t3, 1).unwrap();
    check(&t3, &Fixture::open("full_t3_nano"), 16, FULL);
}

#[test]
#[ignore = "builds Turbo's weights from their formula: two gigabytes and minutes; needs fixtures made with --full turbo"]
fn full_size_turbo_agrees_with_the_reference() {
    let weights = Weights::formula("t3_turbo_v1", &device());
    let t3 = T3::load(&weights.root(), &ModelConfig::turbo().t3, 1).unwrap();
    check(&t3, &Fixture::open("full_t3_turbo"), 16, FULL);
}

/// Holds processed logits to the tensor `name`.
fn expect(case: &Fixture, logits: &[f32], name: &str) {
    let expected = case.floats(name);
    assert_eq!(logits.len(), expected.len(), "{name}");
    for (index, (found, expected)) in logits.iter().zip(&expected).enumerate() {
        // −∞ − −∞ is NaN, so removed tokens are compared as such.
        let same = found == expected || (found - expected).abs() < 1e-5;
        assert!(same, "{name}[{index}]: {found} instead of {expected}");
    }
}

#[test]
fn turbos_sampling_chain_agrees_with_the_reference_at_every_step() {
    let case = Fixture::open("sampling");
    let expect = |logits: &[f32], name: &str| expect(&case, logits, name);
    for (tag, k) in [("v64", 20), ("v6563", 1000)] {
        let history = case.ids(&format!("{tag}.ids"));
        let mut logits = case.floats(&format!("{tag}.logits"));
        sampling::apply_temperature(&mut logits, 0.8);
        expect(&logits, &format!("{tag}.turbo.1_temp0.8"));
        sampling::keep_top_k(&mut logits, k);
        expect(&logits, &format!("nf_{tag}.turbo.2_topk{k}"));
        sampling::keep_top_p(&mut logits, 0.95);
        expect(&logits, &format!("nf_{tag}.turbo.3_topp0.95"));
        sampling::penalise_repetition(&mut logits, &history, 1.2);
        expect(&logits, &format!("nf_{tag}.turbo.4_rep1.2"));

        let mut whole = case.floats(&format!("{tag}.logits"));
        let config = SamplingConfig { top_k: k, ..ModelConfig::nano().sampling };
        sampling::process(&mut whole, &history, &config);
        assert_eq!(whole, logits, "the chain is its four steps in this order");
        sampling::softmax(&mut whole);
        expect(&whole, &format!("{tag}.turbo.5_probs"));
    }
}

#[test]
fn the_originals_sampling_chain_agrees_with_the_reference_at_every_step() {
    let case = Fixture::open("sampling");
    let expect = |logits: &[f32], name: &str| expect(&case, logits, name);
    for tag in ["v64", "v6563"] {
        let history = case.ids(&format!("{tag}.ids"));
        let mut logits =
            [case.floats(&format!("{tag}.logits")), case.floats(&format!("{tag}.uncond"))].concat();
        sampling::guide(&mut logits, case.shape(&format!("{tag}.logits"))[1], 0.5);
        expect(&logits, &format!("{tag}.orig.0_cfg0.5"));
        let guided = logits.clone();
        sampling::penalise_repetition(&mut logits, &history, 1.2);
        expect(&logits, &format!("{tag}.orig.1_rep1.2"));
        sampling::apply_temperature(&mut logits, 0.8);
        expect(&logits, &format!("{tag}.orig.2_temp0.8"));
        sampling::keep_min_p(&mut logits, 0.05);
        expect(&logits, &format!("nf_{tag}.orig.3_minp0.05"));

        for top_p in ["1.0", "0.8"] {
            let mut logits = logits.clone();
            sampling::keep_top_p(&mut logits, top_p.parse().unwrap());
            expect(&logits, &format!("nf_{tag}.orig.4_topp{top_p}"));

            let mut whole = guided.clone();
            let defaults = ModelConfig::original().sampling;
            let config = SamplingConfig { top_p: top_p.parse().unwrap(), ..defaults };
            sampling::process(&mut whole, &history, &config);
            assert_eq!(whole, logits, "the chain is its four steps in this order");
            sampling::softmax(&mut whole);
            expect(&whole, &format!("{tag}.orig.5_probs_topp{top_p}"));
        }
    }
}

#[test]
fn a_wrong_checkpoint_names_the_tensor_and_both_shapes() {
    let weights = Weights::open(&fixtures().join("weights/t3_gpt2_tiny.safetensors"), &device()).unwrap();
    let config = T3Config { text_vocab: 321, ..tiny_config().t3 };
    let message = T3::load(&weights.root(), &config, 1).unwrap_err().to_string();
    assert!(message.contains("text_emb.weight"), "{message}");
    assert!(message.contains("[320, 32]") && message.contains("[321, 32]"), "{message}");

    let config = T3Config { layers: 1, ..tiny_config().t3 };
    T3::load(&weights.root(), &config, 1).unwrap();
    // The first layer's norm was asked for above; of the second, only the norm was, by nobody.
    let fresh = Weights::open(&fixtures().join("weights/t3_gpt2_tiny.safetensors"), &device()).unwrap();
    T3::load(&fresh.root(), &config, 1).unwrap();
    let message = fresh.finish(&UNUSED).unwrap_err().to_string();
    assert!(message.contains("12 unknown tensor(s)") && message.contains("tfmr.h.1."), "{message}");
}
