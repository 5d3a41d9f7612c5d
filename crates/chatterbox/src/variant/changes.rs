//! What a fine-tune has changed of its architecture: a JSON file of the shape of [`ModelConfig`] that says only what differs.
//!
//! Most fine-tunes change weights and nothing else. One that was pruned has fewer layers, one that was taught a calmer voice
//! speaks better at another temperature; both can say so beside their weights.

use serde_json::Value;

use super::ModelConfig;

/// Why a file of changes cannot be followed.
#[derive(Debug, thiserror::Error)]
pub enum ChangesError {
    #[error("it is no JSON")]
    Json(#[source] serde_json::Error),
    #[error("it must be an object with some of t3, s3gen, mel2wav, clip and sampling")]
    NoObject,
    #[error("nothing is called {0}")]
    Unknown(String),
    #[error("a value cannot be meant so")]
    Value(#[source] serde_json::Error),
}

impl ModelConfig {
    /// These sizes with the changes of a file: objects are looked into, every other value replaces what was there.
    pub fn changed_by(&self, json: &[u8]) -> Result<Self, ChangesError> {
        let changes: Value = serde_json::from_slice(json).map_err(ChangesError::Json)?;
        if !changes.is_object() {
            return Err(ChangesError::NoObject);
        }
        let mut config = serde_json::to_value(self).map_err(ChangesError::Value)?;
        change(&mut config, changes, "")?;
        serde_json::from_value(config).map_err(ChangesError::Value)
    }
}

fn change(into: &mut Value, changes: Value, place: &str) -> Result<(), ChangesError> {
    match (into, changes) {
        (Value::Object(into), Value::Object(changes)) => {
            for (key, value) in changes {
                let place = if place.is_empty() { key.clone() } else { format!("{place}.{key}") };
                let Some(known) = into.get_mut(&key) else { return Err(ChangesError::Unknown(place)) };
                change(known, value, &place)?;
            }
        }
        (into, value) => *into = value,
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::variant::{Backbone, Solver};

    fn changed(config: &ModelConfig, json: &str) -> Result<ModelConfig, String> {
        config.changed_by(json.as_bytes()).map_err(|error| error.to_string())
    }

    #[test]
    fn what_a_file_leaves_out_stays_as_it_was() {
        let turbo = ModelConfig::turbo();
        assert_eq!(changed(&turbo, "{}"), Ok(turbo.clone()));
        let pruned = changed(&turbo, r#"{"t3": {"n_layer": 6}, "sampling": {"temperature": 0.6}}"#).unwrap();
        let mut expected = turbo;
        (expected.t3.layers, expected.sampling.temperature) = (6, 0.6);
        assert_eq!(pruned, expected);
    }

    #[test]
    fn the_inside_of_a_backbone_and_of_a_solver_can_be_changed() {
        let file = r#"{"t3": {"backbone": {"llama": {"feed_forward": 64}}}, "s3gen": {"solver": {"cfm": {"guidance": 0.5}}}}"#;
        let changed = changed(&ModelConfig::original(), file).unwrap();
        let Backbone::Llama(llama) = changed.t3.backbone else { panic!("it is no Llama any more") };
        assert_eq!((llama.feed_forward, llama.text_positions), (64, 2050));
        assert_eq!(changed.s3gen.solver, Solver::Cfm { guidance: 0.5 });
    }

    #[test]
    fn what_nobody_reads_or_understands_is_refused_by_name() {
        let turbo = ModelConfig::turbo();
        let error = changed(&turbo, r#"{"t3": {"layers": 6}}"#).unwrap_err();
        assert_eq!(error, "nothing is called t3.layers");
        for wrong in [r#"{"t3": {"n_layer": "six"}}"#, r#"{"t3": {"n_layer": -1}}"#, r#"{"t3": 6}"#] {
            assert_eq!(changed(&turbo, wrong).unwrap_err(), "a value cannot be meant so", "{wrong}");
        }
        assert!(changed(&turbo, "[]").is_err() && changed(&turbo, "{").is_err());
    }
}
