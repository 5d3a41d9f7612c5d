//! What is decided when a device is started: whether it computes rightly, and T3 with its linear layers' matrices in f16, as
//! GPUs keep them: near the reference, and the same words.

mod common;

use std::ops::ControlFlow;

use chatterbox::device::choose;
use chatterbox::noise::Replay;
use chatterbox::t3::{Speaker, T3};
use chatterbox::variant::ModelConfig;
use chatterbox::weights::Weights;
use common::{Fixture, device, fixtures, max_abs_error, tiny_config, values};

/// Eleven bits of a product's factors, through two layers; f32 stays within 2e-4.
const HALF: f32 = 2e-2;

/// The device under test is the very one that a server would start.
#[test]
fn the_device_agrees_with_the_cpu_and_says_so() {
    let name = std::env::var("DECLAIM_TEST_DEVICE").unwrap_or_else(|_not_set| "cpu".to_owned());
    let choice = choose(name.parse().unwrap()).unwrap();
    println!("{}: {}, weights of T3 in {}", choice.name, choice.self_test, choice.precision);
    let expected = if choice.is_gpu { "passed, worst error" } else { "none" };
    assert!(choice.self_test.starts_with(expected), "{}", choice.self_test);
}

#[test]
fn half_precision_weights_agree_nearly_with_the_reference_and_say_the_same() {
    let path = fixtures().join("weights/t3_gpt2_tiny.safetensors");
    let load = |half| {
        let weights = Weights::open(&path, &device()).unwrap().in_half(half);
        T3::load(&weights.root(), &tiny_config().t3, 1).unwrap()
    };
    let case = Fixture::open("t3_gpt2_tiny");
    let speaker = Speaker {
        embedding: case.floats("speaker_emb"),
        prompt: case.ids("prompt_tokens"),
        ..Speaker::default()
    };
    let (text, sampling) = (case.ids("text_tokens"), ModelConfig::nano().sampling);
    let logits = |t3: &T3| {
        let prefix = t3.prefix(&text, &speaker, &sampling).unwrap();
        let mut cache = t3.cache(1, prefix.dims()[1] + 8);
        values(t3.prefill(prefix, &mut cache))
    };
    let (half, full) = (load(true), load(false));
    let error = max_abs_error(&logits(&half), &case.floats("prefill_logits"));
    let difference = max_abs_error(&logits(&half), &logits(&full));
    println!("prefill logits in f16: {error:e} from the reference, {difference:e} from f32");
    assert!(error < HALF, "{error:e}");
    // The CPU has kernels for f32 alone and keeps to them.
    let is_cpu = std::env::var_os("DECLAIM_TEST_DEVICE").is_none_or(|name| name == "cpu");
    assert_eq!(difference == 0.0, is_cpu, "{difference:e}");
    let tokens = |t3: &T3| {
        let observe: &mut dyn FnMut(&[u32]) -> ControlFlow<()> = &mut |_| ControlFlow::Continue(());
        t3.decode(&text, &speaker, &sampling, 12, &mut Replay::default(), observe).unwrap().tokens
    };
    assert_eq!(tokens(&half), case.ids("greedy_tokens")[..tokens(&half).len()]);
}
