//! What a request wishes, in the terms of a checkpoint: its sampling, and the tags in its text.

use chatterbox::variant::{Order, SamplingConfig};

use crate::speech::Sampling;
use crate::speech::model::Parameter;

/// The checkpoint's defaults with what the request says. Values that its order of sampling has no use for (`top_k` in the
/// original's; `min_p`, `cfg_weight` and `exaggeration` in Turbo's) change nothing there, as in the reference.
pub(super) fn overridden(mut config: SamplingConfig, request: &Sampling) -> SamplingConfig {
    config.temperature = request.temperature.unwrap_or(config.temperature);
    config.top_k = request.top_k.unwrap_or(config.top_k);
    config.top_p = request.top_p.unwrap_or(config.top_p);
    config.min_p = request.min_p.unwrap_or(config.min_p);
    config.repetition_penalty = request.repetition_penalty.unwrap_or(config.repetition_penalty);
    config.cfg_weight = request.cfg_weight.unwrap_or(config.cfg_weight);
    config.exaggeration = request.exaggeration.unwrap_or(config.exaggeration);
    config
}

/// The fields that the checkpoint's order of sampling obeys, with its defaults.
pub(super) fn parameters(config: &SamplingConfig) -> Vec<Parameter> {
    // As written in the configuration: 0.8, not what is nearest to it in single precision.
    let number = |value: f32| (f64::from(value) * 1e4).round() / 1e4;
    let of = |name, default| Parameter { name, default };
    let temperature = of("temperature", number(config.temperature));
    let top_p = of("top_p", number(config.top_p));
    let repetition = of("repetition_penalty", number(config.repetition_penalty));
    match config.order {
        Order::Turbo => vec![temperature, of("top_k", config.top_k as f64), top_p, repetition],
        Order::Original => vec![
            of("exaggeration", number(config.exaggeration)),
            of("cfg_weight", number(config.cfg_weight)),
            temperature,
            of("min_p", number(config.min_p)),
            top_p,
            repetition,
        ],
    }
}

/// `[laugh]` and the like without those that this model would read out as words.
pub(super) fn without_unknown_tags(text: &str, known: &[String]) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, (tag, after))) =
        rest.split_once('[').and_then(|(before, behind)| Some((before, behind.split_once(']')?)))
    {
        kept.push_str(before);
        if known.iter().any(|known| known == tag) {
            kept.push('[');
            kept.push_str(tag);
            kept.push(']');
        }
        rest = after;
    }
    kept.push_str(rest);
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_that_a_model_does_not_know_are_not_read_out() {
        let known = ["laugh".to_owned()];
        assert_eq!(without_unknown_tags("Ha [laugh] ho [sigh], yes.", &known), "Ha [laugh] ho , yes.");
        assert_eq!(without_unknown_tags("An open [ bracket", &known), "An open [ bracket");
    }

    #[test]
    fn what_the_request_leaves_out_is_the_checkpoints_own() {
        let config = chatterbox::variant::ModelConfig::turbo().sampling;
        assert_eq!(overridden(config.clone(), &Sampling::default()), config);
        let hot = Sampling { temperature: Some(1.5), ..Sampling::default() };
        assert_eq!(overridden(config.clone(), &hot), SamplingConfig { temperature: 1.5, ..config });
        let original = chatterbox::variant::ModelConfig::original().sampling;
        let loud = Sampling { exaggeration: Some(1.5), cfg_weight: Some(0.0), ..Sampling::default() };
        assert_eq!(
            overridden(original.clone(), &loud),
            SamplingConfig { exaggeration: 1.5, cfg_weight: 0.0, ..original }
        );
    }

    #[test]
    fn each_order_names_the_parameters_that_it_obeys_with_the_checkpoints_defaults() {
        let names = |config: chatterbox::variant::ModelConfig| -> Vec<&str> {
            parameters(&config.sampling).iter().map(|parameter| parameter.name).collect()
        };
        let turbo = chatterbox::variant::ModelConfig::turbo();
        assert_eq!(parameters(&turbo.sampling)[0], Parameter { name: "temperature", default: 0.8 });
        assert_eq!(names(turbo), ["temperature", "top_k", "top_p", "repetition_penalty"]);
        let original = names(chatterbox::variant::ModelConfig::original());
        assert!(
            original.contains(&"cfg_weight") && original.contains(&"min_p") && !original.contains(&"top_k")
        );
    }
}
