//! Settings that were saved over the network: a layer of its own above the user's file, so that his comments stay.
//!
//! Only what a request means by default may be saved in this way. Where the server listens, what it may cost and whom it
//! answers is for whoever has the machine.

use serde_json::{Map, Value};

use super::{ConfigError, layers, settings};

/// The layer's file, in the data directory.
pub const SAVED: &str = "saved-settings.json";

/// What may be saved: keys, and whole sections.
const OPEN: [&str; 4] = ["generation_defaults", "audio_output", "text", "tts_engine.default_voice_id"];

/// The layer after a change.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// What the file is to hold.
    pub layer: Value,
    /// `section.key` of what was taken.
    pub saved: Vec<String>,
    /// And of what is no setting of this server, or not one that may be changed in this way.
    pub ignored: Vec<String>,
}

/// Lays what was sent over what was saved before (the file's text, if there is one). A file that cannot be read counts as
/// empty: it is ours.
///
/// # Errors
/// A value of the wrong type or outside its range, with its key.
pub fn change(before: Option<&str>, sent: &Value) -> Result<Change, ConfigError> {
    const LAYER: &str = "the settings that were sent";

    let defaults = layers::parse("the built-in configuration", super::DEFAULTS)?;
    let before = before.and_then(|text| serde_json::from_str(text).ok());
    let mut change = Change {
        layer: before.filter(Value::is_object).unwrap_or_else(|| Value::Object(Map::new())),
        saved: Vec::new(),
        ignored: Vec::new(),
    };
    let sections = sent.as_object().into_iter().flatten();
    let leaves = sections.flat_map(|(section, keys)| match keys {
        Value::Object(keys) => keys.iter().map(|(key, value)| (format!("{section}.{key}"), value)).collect(),
        other => vec![(section.clone(), other)],
    });
    for (path, value) in leaves {
        let is_known = path.split('.').try_fold(&defaults, |known, part| known.get(part)).is_some();
        let is_open = OPEN.iter().any(|open| path == *open || path.starts_with(&format!("{open}.")));
        if let (true, true, Some((section, key))) = (is_known, is_open, path.split_once('.')) {
            if !change.layer[section].is_object() {
                change.layer[section] = Value::Object(Map::new());
            }
            change.layer[section][key] = value.clone();
            change.saved.push(path);
        } else {
            change.ignored.push(path);
        }
    }
    let mut merged = defaults.clone();
    layers::merge(LAYER, &mut merged, change.layer.clone(), &defaults);
    settings::resolve(LAYER, &merged)?;
    Ok(change)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_requests_mean_by_default_is_saved_and_what_is_for_the_machines_owner_is_not() {
        let sent = json!({
            "generation_defaults": { "temperature": 0.5, "magic": 1 },
            "tts_engine": { "default_voice_id": "slt", "device": "cuda" },
            "server": { "host": "0.0.0.0" },
            "ui_state": { "last_text": "private" },
            "title": "x"
        });
        let change = change(None, &sent).unwrap();
        assert_eq!(change.saved, ["generation_defaults.temperature", "tts_engine.default_voice_id"]);
        assert_eq!(
            change.ignored,
            ["generation_defaults.magic", "server.host", "title", "tts_engine.device", "ui_state.last_text"]
        );
        assert_eq!(
            change.layer,
            json!({ "generation_defaults": { "temperature": 0.5 }, "tts_engine": { "default_voice_id": "slt" } })
        );
    }

    #[test]
    fn what_was_saved_before_stays_and_wrong_values_are_refused_by_key() {
        let before = r#"{"generation_defaults": {"seed": 7}}"#;
        let change_to = |temperature: Value| {
            change(Some(before), &json!({ "generation_defaults": { "temperature": temperature } }))
        };
        let layer = change_to(json!(0.5)).unwrap().layer;
        assert_eq!(layer, json!({ "generation_defaults": { "seed": 7, "temperature": 0.5 } }));
        let error = change_to(json!(9)).unwrap_err().to_string();
        assert!(
            error.ends_with("generation_defaults.temperature: expected a number from 0 to 2, found 9"),
            "{error}"
        );
        assert_eq!(change(Some("broken"), &json!({})).unwrap().layer, json!({}));
    }
}
