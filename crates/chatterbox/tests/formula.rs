//! The rule that rebuilds weights from their names, against the fixtures' manifest.

mod common;

use chatterbox::weights::{Weights, formula};
use common::{device, fixtures, max_abs_error};
use serde_json::Value;

#[test]
fn every_tensor_has_the_offset_and_scale_that_the_manifest_states() {
    let manifest: Value =
        serde_json::from_slice(&std::fs::read(fixtures().join("manifest.json")).unwrap()).unwrap();
    let mut checked = 0;
    for key in [
        "t3_gpt2_tiny",
        "t3_llama_tiny",
        "s3gen_tiny",
        "s3gen_meanflow_tiny",
        "ve_tiny",
        "perth_tiny",
        "t3_nano_v1",
        "s3gen_meanflow",
        "ve",
    ] {
        for (name, entry) in manifest["weights"][key].as_object().unwrap() {
            // Filterbanks and windows are computed, and the counters of batch normalisation are integers: never read.
            if entry[1] == "computed" || entry[3] != "float32" {
                continue;
            }
            let shape: Vec<usize> =
                entry[0].as_array().unwrap().iter().map(|n| n.as_u64().unwrap() as usize).collect();
            let expected = [&entry[1], &entry[2]].map(|v| v.as_f64().unwrap() as f32);
            let (offset, scale) = formula::offset_and_scale(name, &shape);
            assert_eq!([offset, scale], expected, "{key}: {name} {shape:?}");
            checked += 1;
        }
    }
    assert!(checked > 1000, "{checked} tensors");
}

#[test]
fn the_formula_gives_the_stored_values_to_the_last_bit() {
    for (key, name, shape) in [
        ("t3_gpt2_tiny", "tfmr.h.1.attn.c_attn.weight", vec![32, 96]),
        ("t3_gpt2_tiny", "speech_head.bias", vec![6563]),
        ("t3_llama_tiny", "tfmr.layers.1.mlp.down_proj.weight", vec![32, 64]),
        ("t3_llama_tiny", "cond_enc.perceiver.pre_attention_query", vec![1, 32, 32]),
        ("s3gen_meanflow_tiny", "mel2wav.ups.1.parametrizations.weight.original0", vec![16, 1, 1]),
        ("s3gen_meanflow_tiny", "flow.decoder.estimator.time_mlp.linear_2.weight", vec![128, 128]),
    ] {
        let weights =
            Weights::open(&fixtures().join(format!("weights/{key}.safetensors")), &device()).unwrap();
        let stored = weights.root().values(name, &shape).unwrap();
        assert!(max_abs_error(&formula::values(key, name, &shape), &stored) == 0.0, "{key}: {name}");
    }
}
