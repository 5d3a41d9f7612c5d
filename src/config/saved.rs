//! Settings that were saved over the network: a layer of its own above the user's file, so that his comments stay.
//!
//! Only what a request means by default may be saved in this way. Where the server listens, what it may cost and whom it
//! answers is for whoever has the machine.

use serde_json::{Map, Value, json};

use super::{AudioOutput, ConfigError, GenerationDefaults, Settings, Text, layers, settings};

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

/// What may be saved as it holds now, in the sections of the file.
pub fn shown(settings: &Settings) -> Value {
    // Taken apart, so that no key can be forgotten.
    let GenerationDefaults {
        temperature,
        exaggeration,
        cfg_weight,
        seed,
        speed_factor,
        language,
        split_text,
        chunk_size,
        retakes,
    } = &settings.generation_defaults;
    let AudioOutput { format, sample_rate, bitrate_kbps } = &settings.audio_output;
    let Text { normalize } = settings.text;
    json!({
        "generation_defaults": {
            "temperature": temperature.map(as_written),
            "exaggeration": exaggeration.map(as_written),
            "cfg_weight": cfg_weight.map(as_written),
            "seed": seed,
            "speed_factor": as_written(*speed_factor),
            "language": language,
            "split_text": split_text,
            "chunk_size": chunk_size,
            "retakes": retakes,
        },
        "audio_output": { "format": format, "sample_rate": sample_rate, "bitrate_kbps": bitrate_kbps },
        "text": { "normalize": normalize },
        "tts_engine": { "default_voice_id": settings.tts_engine.default_voice_id },
    })
}

/// 0.8 as 0.8, not as the double that is nearest to the float that is nearest to it.
fn as_written(number: f32) -> f64 {
    number.to_string().parse().unwrap_or_else(|_no_number| f64::from(number))
}

/// Whether something that was saved (the file's text) is not what holds now.
pub fn is_waiting(saved: &Value, now: &Value) -> bool {
    saved.as_object().into_iter().flatten().any(|(section, keys)| {
        keys.as_object().into_iter().flatten().any(|(key, value)| !is_same(value, &now[section][key]))
    })
}

/// 1 and 1.0 are the same wish.
fn is_same(one: &Value, other: &Value) -> bool {
    match (one.as_f64(), other.as_f64()) {
        (Some(one), Some(other)) => (one - other).abs() < 1e-6,
        _ => one == other,
    }
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
    fn everything_that_may_be_saved_is_shown_as_it_holds() {
        let defaults = layers::parse("the built-in configuration", super::super::DEFAULTS).unwrap();
        let now = shown(&Settings::default());
        for section in ["generation_defaults", "audio_output", "text"] {
            let keys =
                |value: &Value| value[section].as_object().unwrap().keys().cloned().collect::<Vec<_>>();
            let (mut known, mut told) = (keys(&defaults), keys(&now));
            known.sort();
            told.sort();
            assert_eq!(told, known, "{section}");
        }
        assert_eq!(now["generation_defaults"]["speed_factor"], json!(1.0));
        assert_eq!(as_written(0.8), 0.8);
        assert!(!is_waiting(&json!({ "generation_defaults": { "speed_factor": 1, "seed": 0 } }), &now));
        assert!(is_waiting(&json!({ "generation_defaults": { "seed": 7 } }), &now));
        assert!(is_waiting(&json!({ "tts_engine": { "default_voice_id": "ada" } }), &now));
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
