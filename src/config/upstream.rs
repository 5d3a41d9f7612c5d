//! A `config.yaml` of Chatterbox-TTS-Server in our terms, for those who move from it.
//!
//! What means the same here keeps its value; what has no meaning here, or a value that is refused here, is left out and told.

use serde_json::{Map, Value};

use super::{ConfigError, layers, settings};

/// The keys that both know.
const SAME: [&str; 14] = [
    "server.host",
    "server.port",
    "tts_engine.default_voice_id",
    "generation_defaults.temperature",
    "generation_defaults.exaggeration",
    "generation_defaults.cfg_weight",
    "generation_defaults.seed",
    "generation_defaults.speed_factor",
    "generation_defaults.language",
    "audio_output.format",
    "audio_output.sample_rate",
    "job_queue.max_retries",
    "job_queue.job_ttl_hours",
    "job_queue.cleanup_interval_sec",
];

/// What became of an upstream configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Translated {
    /// `section.key` and value, in the order of our file.
    pub settings: Vec<(String, Value)>,
    /// What was left out, each in a sentence.
    pub left_out: Vec<String>,
    /// The name of the model that upstream spoke with.
    pub model: Option<&'static str>,
}

/// Reads upstream's file.
///
/// # Errors
/// When it is no YAML, or not a list of sections.
pub fn translate(layer: &str, text: &str) -> Result<Translated, ConfigError> {
    let theirs = layers::parse(layer, text)?;
    let defaults = layers::parse("the built-in configuration", super::DEFAULTS)?;
    let at = |path: &str| {
        path.split('.').try_fold(&theirs, |value, part| value.get(part)).filter(|value| !value.is_null())
    };
    let mut wanted: Vec<(String, Value)> = Vec::new();
    for path in SAME {
        wanted.extend(at(path).map(|value| (path.to_owned(), value.clone())));
    }
    if let Some(device) = at("tts_engine.device").and_then(Value::as_str) {
        let ours = match device {
            "cuda" | "mps" => "gpu",
            same => same,
        };
        wanted.push(("tts_engine.device".to_owned(), ours.into()));
    }
    if let Some(seconds) = at("audio_output.max_reference_duration_sec") {
        wanted.push(("voices.max_clip_sec".to_owned(), seconds.clone()));
    }

    let (mut kept, mut left_out) = (Vec::new(), Vec::new());
    for (path, value) in wanted {
        let mut merged = defaults.clone();
        layers::merge(layer, &mut merged, layers::nest(path.split('.'), value.clone()), &defaults);
        match settings::resolve(layer, &merged) {
            Ok(_) => kept.push((path, value)),
            Err(ConfigError::Value { problem, .. }) => left_out.push(format!("{path}: {problem}")),
            Err(other) => return Err(other),
        }
    }
    if at("server.use_auth") == Some(&Value::Bool(true)) {
        left_out.push(
            "server.use_auth: it protected nothing there; here `declaim keys create` makes keys".to_owned(),
        );
    }
    if at("server.ssl_certfile").is_some() {
        left_out.push("server.ssl_certfile: encryption is the business of a reverse proxy".to_owned());
    }
    let model = at("model.repo_id").and_then(Value::as_str).map(model_name);
    Ok(Translated { settings: kept, left_out, model })
}

impl Translated {
    /// As a file that people can go on with.
    pub fn to_yaml(&self) -> String {
        let mut sections: Vec<(&str, Map<String, Value>)> = Vec::new();
        for (path, value) in &self.settings {
            let (section, key) = path.split_once('.').unwrap_or((path, ""));
            if let Some((_, keys)) = sections.iter_mut().find(|(known, _)| *known == section) {
                keys.insert(key.to_owned(), value.clone());
            } else {
                sections.push((section, Map::from_iter([(key.to_owned(), value.clone())])));
            }
        }
        let mut text = vec![
            "# Brought over from Chatterbox-TTS-Server. Everything else is as declaim's own config.yaml says."
                .to_owned(),
        ];
        for (section, keys) in sections {
            text.push(format!("\n{section}:"));
            // A scalar of JSON is one of YAML.
            text.extend(keys.iter().map(|(key, value)| format!("  {key}: {value}")));
        }
        text.join("\n") + "\n"
    }
}

/// Our name of the model that upstream's selector means; what it does not know it takes for the original.
fn model_name(selector: &str) -> &'static str {
    match selector.trim().to_lowercase().as_str() {
        "chatterbox-turbo" | "turbo" | "resembleai/chatterbox-turbo" => "turbo",
        "chatterbox-multilingual" | "multilingual" => "multilingual-v2",
        _ => "original",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::config::{Settings, Sources, load};

    /// The parts of the file that upstream ships, with changes.
    const THEIRS: &str = "\
server: {host: 0.0.0.0, port: 8004, use_ngrok: false, use_auth: true, auth_username: user, auth_password: password}
model: {repo_id: chatterbox-turbo}
tts_engine: {device: cuda, predefined_voices_path: voices, reference_audio_path: reference_audio, default_voice_id: Emily.wav}
generation_defaults: {temperature: 0.8, exaggeration: 1.3, cfg_weight: 0.5, seed: 0, speed_factor: 9.0, language: en}
audio_output: {format: wav, sample_rate: 24000, max_reference_duration_sec: 30, save_to_disk: false}
ui_state: {last_text: private}
";

    #[test]
    fn what_means_the_same_is_kept_and_what_is_refused_is_told() {
        let translated = translate("their file", THEIRS).unwrap();
        assert_eq!(translated.model, Some("turbo"));
        assert_eq!(
            translated.left_out,
            [
                "generation_defaults.speed_factor: expected a number from 0.25 to 4, found 9.0",
                "server.use_auth: it protected nothing there; here `declaim keys create` makes keys",
            ]
        );
        let value = |path: &str| {
            translated.settings.iter().find(|(known, _)| known == path).map(|(_, value)| value.clone())
        };
        assert_eq!(value("tts_engine.device"), Some(json!("gpu")));
        assert_eq!(value("voices.max_clip_sec"), Some(json!(30)));
        assert!(!translated.to_yaml().contains("private") && !translated.to_yaml().contains("password"));
    }

    #[test]
    fn the_file_that_comes_of_it_is_one_of_ours() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), translate("their file", THEIRS).unwrap().to_yaml()).unwrap();
        let (settings, unknown) = load(&Sources { file: Some(file.path()), ..Sources::default() }).unwrap();
        assert_eq!(unknown, []);
        assert_eq!(settings.server.host, "0.0.0.0");
        assert_eq!(settings.generation_defaults.exaggeration, Some(1.3));
        assert_eq!(settings.tts_engine.default_voice_id.as_deref(), Some("Emily.wav"));
        assert_eq!(settings.job_queue, Settings::default().job_queue);
    }

    #[test]
    fn every_selector_of_theirs_means_a_model_of_ours() {
        for (theirs, ours) in [
            ("ResembleAI/chatterbox-turbo", "turbo"),
            ("Turbo", "turbo"),
            ("multilingual", "multilingual-v2"),
            ("chatterbox", "original"),
            ("someone/fine-tune", "original"),
        ] {
            assert_eq!(model_name(theirs), ours);
        }
    }
}
