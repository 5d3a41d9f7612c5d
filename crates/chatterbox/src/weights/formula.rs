//! Weights without a file: every value follows from the tensor's name, so a full-size model can be built anywhere.
//!
//! The numbers are those of the parity fixtures: `value[i] = offset + scale · u(key:name, i)` with u in −1..1 from
//! splitmix64 over an FNV-1a hash of the name. Offset and scale keep activations in a natural range; they follow from the
//! kind of tensor, which its name tells. A test holds this table against the fixtures' manifest.

/// How the names of embeddings end, and of vectors that stand where embeddings do.
const EMBEDDINGS: [&str; 5] =
    ["_emb.weight", "input_embedding.weight", "wte.weight", "embed_tokens.weight", "attention_query"];

/// The values of `name` in the checkpoint `key` (`t3_nano_v1`, `s3gen_meanflow` …), row-major.
pub fn values(key: &str, name: &str, shape: &[usize]) -> Vec<f32> {
    let (offset, scale) = offset_and_scale(name, shape);
    let hash = fnv1a64(&format!("{key}:{name}"));
    let count = shape.iter().product::<usize>() as u64;
    (0..count).map(|i| uniform(hash, i) * scale + offset).collect()
}

fn fnv1a64(text: &str) -> u64 {
    text.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// The `i`-th number in −1..1 of a stream, exact in f32: splitmix64's output function, its upper 24 bits.
fn uniform(hash: u64, i: u64) -> f32 {
    let mut z = hash.wrapping_add((i + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^= z >> 31;
    (z >> 40) as f32 * 2f32.powi(-23) - 1.0
}

/// Mean and half-range by the kind of tensor, in f64 as the fixtures' script computed them, then rounded.
pub fn offset_and_scale(name: &str, shape: &[usize]) -> (f32, f32) {
    let ends = |suffix: &str| name.ends_with(suffix);
    let has = |part: &str| name.contains(part);
    // Inputs per output: all dimensions but the first.
    let fan_in = shape.iter().skip(1).product::<usize>() as f64;

    let (offset, scale) = if let Some(found) = of_reference_clip_networks(name, shape) {
        found
    } else if ends("weight.original0") {
        // Weight norm's gain. A transposed convolution (`ups`) divides by its overlap: stride / kernel ≈ 1/2 per input.
        let gain = if has("mel2wav.ups.") { transposed_gain(name) } else { 1.0 };
        let damping = match () {
            () if has("resblocks.") && has(".convs2.") => 0.4,
            () if has("conv_post.") => 0.6,
            () => 1.0,
        };
        (gain * damping, 0.1 * gain * damping)
    } else if ends("weight.original1") {
        (0.0, 1.0)
    } else if ends("alpha") {
        (1.0, 0.3)
    } else if ends("pos_bias_u") || ends("pos_bias_v") || ends("wpe.weight") || ends("_pos_emb.emb.weight") {
        (0.0, 0.2)
    } else if EMBEDDINGS.into_iter().any(ends) {
        (0.0, 0.8)
    } else if ends("conv_post.bias") {
        (-1.5, 0.5)
    } else if ends("f0_predictor.classifier.bias") {
        (70.0, 0.0)
    } else if ends("speech_head.bias") {
        (0.0, 0.3)
    } else if ends("bias") {
        (0.0, 0.05)
    } else if shape.len() == 1 {
        // The gain of a norm.
        (1.0, 0.1)
    } else if has("tfmr.h.") {
        // GPT-2 stores its linear layers as [in, out].
        let damping = if ends("c_proj.weight") { 0.5 } else { 1.0 };
        (0.0, (3.0 / shape[0] as f64).sqrt() * damping)
    } else {
        let factor = match () {
            () if ends("self_attn.linear_out.weight") || ends("feed_forward.w_2.weight") => 0.5,
            () if ends("attn1.to_out.0.weight") || ends("ff.net.2.weight") => 0.5,
            () if ends("o_proj.weight") || ends("down_proj.weight") => 0.5,
            () if ends("speech_head.weight") => 3.0,
            () if ends("f0_predictor.classifier.weight") => 150.0,
            () if ends("time_mlp.linear_2.weight") || ends("m_source.l_linear.weight") => 1.5,
            () => 1.0,
        };
        (0.0, (3.0 / fan_in).sqrt() * factor)
    };
    (offset as f32, scale as f32)
}

/// The kinds of tensor that only the networks have that embed a reference clip, and the watermark.
fn of_reference_clip_networks(name: &str, shape: &[usize]) -> Option<(f64, f64)> {
    let ends = |suffix: &str| name.ends_with(suffix);
    let fan_in = || shape.iter().skip(1).product::<usize>() as f64;
    let damped = |factor: f64| Some((0.0, (3.0 / fan_in()).sqrt() * factor));
    match () {
        () if ends("running_mean") => Some((0.0, 0.1)),
        () if ends("running_var") => Some((1.0, 0.3)),
        () if name.starts_with("similarity_") => Some((0.0, 1.0)),
        () if name.starts_with("lstm.bias_") => Some((0.0, 0.1)),
        // Four gates, one above the other.
        () if name.starts_with("lstm.weight_") => Some((0.0, 1.5 / (shape[0] as f64 / 4.0).sqrt())),
        () if ends(".attn.out.weight") || ends(".mlp.2.weight") => damped(0.5),
        () if ends("fsmn_block.weight") => damped(0.3),
        () if ends("project_down.weight") => damped(1.2),
        // The watermark's last layer.
        () if name == "encoder.layers.6.conv.weight" => damped(0.05),
        () => None,
    }
}

/// `√(out · stride / in)` of an upsampling layer: the published vocoder halves its channels at each, strides 8, 5, 3.
fn transposed_gain(name: &str) -> f64 {
    let stride = match () {
        () if name.contains("ups.0.") => 8.0,
        () if name.contains("ups.1.") => 5.0,
        () => 3.0,
    };
    f64::sqrt(0.5 * stride)
}
