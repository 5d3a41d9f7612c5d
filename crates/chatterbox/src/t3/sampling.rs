//! From logits to one token, in the order of one of the reference's two loops ([`Order`]).
//!
//! Turbo's penalises repetition last, where it only reweights what the filters left; the original's penalises first.

use crate::noise::Noise;
use crate::variant::{Order, SamplingConfig};

/// Applies all processors in place; removed tokens become −∞. `history` is penalised, each distinct id once.
pub fn process(logits: &mut [f32], history: &[u32], config: &SamplingConfig) {
    match config.order {
        Order::Turbo => {
            apply_temperature(logits, config.temperature);
            keep_top_k(logits, config.top_k);
            keep_top_p(logits, config.top_p);
            penalise_repetition(logits, history, config.repetition_penalty);
        }
        Order::Original => {
            penalise_repetition(logits, history, config.repetition_penalty);
            apply_temperature(logits, config.temperature);
            keep_min_p(logits, config.min_p);
            keep_top_p(logits, config.top_p);
        }
    }
}

/// Classifier-free guidance: `c + weight·(c − u)` of the `vocabulary` conditional logits and the unconditional ones behind
/// them, which go. Nothing happens to conditional logits alone.
pub fn guide(logits: &mut Vec<f32>, vocabulary: usize, weight: f32) {
    let (conditional, unconditional) = logits.split_at_mut(vocabulary);
    for (c, u) in conditional.iter_mut().zip(unconditional) {
        *c += weight * (*c - *u);
    }
    logits.truncate(vocabulary);
}

/// Turns the logits into probabilities and draws; `None` when every token was removed.
pub fn sample(
    logits: &mut [f32],
    history: &[u32],
    config: &SamplingConfig,
    noise: &mut dyn Noise,
) -> Option<u32> {
    process(logits, history, config);
    softmax(logits);
    logits.iter().any(|p| *p > 0.0).then(|| noise.pick(logits) as u32)
}

/// 0 leaves the logits alone, as in the reference: it does not mean greedy.
pub fn apply_temperature(logits: &mut [f32], temperature: f32) {
    if temperature > 0.0 && (temperature - 1.0).abs() > f32::EPSILON {
        for logit in logits {
            *logit /= temperature;
        }
    }
}

/// Removes what is smaller than the `k`-th largest; ties with it survive. 0 is off.
pub fn keep_top_k(logits: &mut [f32], k: usize) {
    if k == 0 || k >= logits.len() {
        return;
    }
    let mut ordered = logits.to_vec();
    let (_, threshold, _) = ordered.select_nth_unstable_by(k - 1, |a, b| b.total_cmp(a));
    let threshold = *threshold;
    for logit in logits {
        if *logit < threshold {
            *logit = f32::NEG_INFINITY;
        }
    }
}

/// Removes the least probable tokens whose probabilities sum to at most `1 − p`; the most probable one always stays.
pub fn keep_top_p(logits: &mut [f32], p: f32) {
    if p >= 1.0 {
        return;
    }
    let mut probabilities = logits.to_vec();
    softmax(&mut probabilities);
    let mut ascending: Vec<usize> = (0..logits.len()).filter(|&i| logits[i] > f32::NEG_INFINITY).collect();
    ascending.sort_by(|&a, &b| logits[a].total_cmp(&logits[b]));
    // PyTorch sums in f64 on the CPU and rounds each partial sum.
    let mut sum = 0.0_f64;
    let Some((_, candidates)) = ascending.split_last() else { return };
    for &index in candidates {
        sum += f64::from(probabilities[index]);
        if sum as f32 > 1.0 - p {
            break;
        }
        logits[index] = f32::NEG_INFINITY;
    }
}

/// Removes what is less probable than `share` of the most probable token. 0 is off.
pub fn keep_min_p(logits: &mut [f32], share: f32) {
    if share <= 0.0 {
        return;
    }
    let mut probabilities = logits.to_vec();
    softmax(&mut probabilities);
    let largest = probabilities.iter().copied().fold(0.0, f32::max);
    let threshold = share.min(1.0) * largest;
    for (logit, probability) in logits.iter_mut().zip(probabilities) {
        if probability < threshold {
            *logit = f32::NEG_INFINITY;
        }
    }
}

/// Makes each id of `history` less likely: positive logits are divided by the penalty, negative ones multiplied.
pub fn penalise_repetition(logits: &mut [f32], history: &[u32], penalty: f32) {
    if (penalty - 1.0).abs() < f32::EPSILON {
        return;
    }
    let mut distinct = history.to_vec();
    distinct.sort_unstable();
    distinct.dedup();
    for id in distinct {
        if let Some(logit) = logits.get_mut(id as usize) {
            *logit = if *logit < 0.0 { *logit * penalty } else { *logit / penalty };
        }
    }
}

/// Probabilities in place; all zero when every logit is −∞.
pub fn softmax(logits: &mut [f32]) {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut sum = 0.0_f64;
    for logit in logits.iter_mut() {
        *logit = if largest > f32::NEG_INFINITY { (*logit - largest).exp() } else { 0.0 };
        sum += f64::from(*logit);
    }
    if sum > 0.0 {
        for logit in logits {
            *logit = (f64::from(*logit) / sum) as f32;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_with_the_kth_logit_survive() {
        let mut logits = vec![1.0, 3.0, 2.0, 2.0, 0.0];
        keep_top_k(&mut logits, 2);
        assert_eq!(logits, [f32::NEG_INFINITY, 3.0, 2.0, 2.0, f32::NEG_INFINITY]);
    }

    #[test]
    fn the_most_probable_token_survives_any_top_p() {
        let mut logits = vec![0.0, 5.0, 1.0];
        keep_top_p(&mut logits, 0.0);
        assert_eq!(logits, [f32::NEG_INFINITY, 5.0, f32::NEG_INFINITY]);
    }

    #[test]
    fn the_most_probable_token_survives_any_min_p() {
        let mut logits = vec![0.0, 5.0, 4.9];
        keep_min_p(&mut logits, 0.5);
        assert_eq!(logits, [f32::NEG_INFINITY, 5.0, 4.9]);
        keep_min_p(&mut logits, 7.0);
        assert_eq!(logits, [f32::NEG_INFINITY, 5.0, f32::NEG_INFINITY]);
    }

    #[test]
    fn guidance_moves_away_from_the_unconditional_and_leaves_single_rows_alone() {
        let mut logits = vec![1.0, 2.0, 3.0, 1.0];
        guide(&mut logits, 2, 0.5);
        assert_eq!(logits, [0.0, 2.5]);
        guide(&mut logits, 2, 0.5);
        assert_eq!(logits, [0.0, 2.5]);
    }

    #[test]
    fn nothing_can_be_drawn_once_everything_is_removed() {
        let mut config = crate::variant::ModelConfig::nano().sampling;
        config.top_p = 1.0;
        let mut noise = crate::noise::Seeded::new(1);
        assert_eq!(sample(&mut [f32::NEG_INFINITY; 4], &[], &config, &mut noise), None);
    }
}
