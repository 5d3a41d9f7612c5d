//! The layers, the checks of every key, and what is said where one is wrong.

use serde_json::json;
use waveform::encode::Format;

use super::*;

fn file(text: &str) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    file
}

fn load_file(text: &str) -> Result<(Settings, Vec<Unknown>), ConfigError> {
    load(&Sources { file: Some(file(text).path()), ..Sources::default() })
}

#[test]
fn the_compiled_in_file_is_valid_and_holds_the_documented_defaults() {
    let settings = Settings::default();
    assert_eq!((settings.server.host.as_str(), settings.server.port), ("127.0.0.1", 8004));
    assert_eq!(settings.job_queue.max_retries, 0);
    assert_eq!(settings.job_queue.job_ttl.as_secs(), 24 * 3600);
    assert_eq!(settings.job_queue.cleanup_interval.as_secs(), 3600);
    let output = AudioOutput { format: Format::Wav, sample_rate: 24_000, bitrate_kbps: None };
    assert_eq!(settings.audio_output, output);
    assert_eq!(settings.audio_processing.max_silence_ms, None);
}

#[test]
fn every_key_of_the_compiled_in_file_has_a_comment_above_it_or_its_neighbour() {
    let lines: Vec<&str> = DEFAULTS.lines().collect();
    for (index, line) in
        lines.iter().enumerate().filter(|(_, line)| line.starts_with("  ") && line.contains(':'))
    {
        if line.trim_start().starts_with('#') {
            continue;
        }
        let above = lines[index - 1].trim_start();
        let neighbour = lines[index - 2].trim_start();
        assert!(above.starts_with('#') || neighbour.starts_with('#'), "no comment for {line:?}");
    }
}

#[test]
fn later_layers_win_in_the_order_file_environment_flags() {
    let file = file("server:\n  port: 1\n  host: 0.0.0.0\ntext:\n  normalize: false\n");
    let sources =
        |environment, flags| Sources { file: Some(file.path()), environment, flags, ..Sources::default() };
    let port = |sources| load(&sources).unwrap().0.server.port;
    let variable = || vec![("DECLAIM_SERVER__PORT".to_owned(), "2".to_owned())];
    assert_eq!(port(sources(vec![], vec![])), 1);
    assert_eq!(port(sources(variable(), vec![])), 2);
    assert_eq!(port(sources(variable(), vec![("server.port", json!(3))])), 3);
    let settings = load(&sources(variable(), vec![])).unwrap().0;
    assert_eq!(settings.server.host, "0.0.0.0", "what a later layer leaves out stays");
    assert!(!settings.text.normalize);
}

#[test]
fn what_was_saved_over_the_network_goes_before_the_file_and_behind_the_environment() {
    let written = file("generation_defaults:\n  seed: 1\n  temperature: 0.1\n");
    let saved = file("{\"generation_defaults\": {\"seed\": 2}}");
    let seed = |environment: Vec<(String, String)>| {
        let sources = Sources {
            file: Some(written.path()),
            saved: Some(saved.path()),
            environment,
            ..Sources::default()
        };
        let defaults = load(&sources).unwrap().0.generation_defaults;
        assert_eq!(defaults.temperature, Some(0.1));
        defaults.seed
    };
    assert_eq!(seed(vec![]), 2);
    assert_eq!(seed(vec![("DECLAIM_GENERATION_DEFAULTS__SEED".to_owned(), "3".to_owned())]), 3);
}

#[test]
fn environment_values_are_read_as_yaml_and_other_variables_are_left_alone() {
    let environment = [
        ("DECLAIM_GENERATION_DEFAULTS__TEMPERATURE", "0.5"),
        ("DECLAIM_TTS_ENGINE__DEFAULT_VOICE_ID", "slt"),
        ("DECLAIM_SERVER__ALLOWED_HOSTS", "[speech.lan]"),
        ("DECLAIM_DATA", "/x"),
        ("PATH", "a__b"),
    ];
    let environment = environment.map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec();
    let (settings, unknown) = load(&Sources { environment, ..Sources::default() }).unwrap();
    assert_eq!(settings.generation_defaults.temperature, Some(0.5));
    assert_eq!(settings.tts_engine.default_voice_id.as_deref(), Some("slt"));
    assert_eq!(settings.server.allowed_hosts, ["speech.lan"]);
    assert_eq!(unknown, []);
}

#[test]
fn unknown_keys_are_reported_with_their_path_and_a_guess() {
    let (_, unknown) = load_file("server:\n  prot: 1\nport: 2\nui_state:\n  last_text: hi\n").unwrap();
    let said: Vec<String> =
        unknown.iter().map(|key| key.to_string().split_once(": ").unwrap().1.to_owned()).collect();
    assert_eq!(
        said,
        [
            "unknown key `port`; did you mean `server.port`?",
            "unknown key `server.prot`; did you mean `server.port`?",
            "unknown key `ui_state`; it is ignored",
        ]
    );
}

#[test]
fn a_broken_file_is_an_error_with_line_and_column_and_stays_as_it_was() {
    let text = "server:\n  port: 8004\n  host: [oops\n";
    let file = file(text);
    let error = load(&Sources { file: Some(file.path()), ..Sources::default() }).unwrap_err().to_string();
    assert!(error.contains(&file.path().display().to_string()), "{error}");
    assert!(error.contains("line 3") || error.contains("line 4"), "{error}");
    assert!(error.contains("column"), "{error}");
    assert_eq!(std::fs::read_to_string(file.path()).unwrap(), text);
}

#[test]
fn wrong_types_and_ranges_name_the_key_and_what_is_allowed() {
    for (text, expected) in [
        ("server:\n  port: lots\n", "server.port: expected a whole number from 0 to 65535, found \"lots\""),
        ("server:\n  port: 65536\n", "server.port: expected a whole number from 0 to 65535, found 65536"),
        (
            "tts_engine:\n  fallback_device: gpu\n",
            "tts_engine.fallback_device: expected none or cpu, found \"gpu\"",
        ),
        ("server: 3\n", "server.host: expected text, found null"),
        ("text:\n  normalize: maybe\n", "text.normalize: expected true or false, found \"maybe\""),
        (
            "audio_output:\n  format: ogg\n",
            "audio_output.format: expected wav, flac, mp3, opus, aac, m4a or pcm, found \"ogg\"",
        ),
        (
            "generation_defaults:\n  speed_factor: 9\n",
            "generation_defaults.speed_factor: expected a number from 0.25 to 4, found 9",
        ),
    ] {
        let error = load_file(text).unwrap_err().to_string();
        assert!(error.ends_with(expected), "{error}");
    }
}

#[test]
fn a_top_level_that_is_no_mapping_is_refused() {
    let error = load_file("- a\n- b\n").unwrap_err().to_string();
    assert!(error.contains("the top level must be a list of sections"), "{error}");
}

#[test]
fn an_empty_file_and_an_empty_section_say_nothing() {
    for text in ["", "# only a comment\n", "server:\n", "server:\n  port: null\n"] {
        let (settings, unknown) = load_file(text).unwrap();
        assert_eq!(settings, Settings::default(), "{text:?}");
        assert_eq!(unknown, [], "{text:?}");
    }
}

#[test]
fn a_missing_file_that_was_asked_for_is_an_error() {
    let missing = Path::new("/nonexistent/declaim.yaml");
    let error = load(&Sources { file: Some(missing), ..Sources::default() }).unwrap_err().to_string();
    assert!(error.starts_with("cannot read the configuration file /nonexistent/declaim.yaml"), "{error}");
}

#[test]
fn models_of_ones_own_are_a_list_in_which_every_key_is_known() {
    let text = "models:\n  - name: mine\n    architecture: turbo\n    repository: me/mine\n    files: { t3: best.safetensors }\n";
    let (settings, unknown) = load_file(text).unwrap();
    assert_eq!(unknown, []);
    assert_eq!((settings.models.len(), settings.models[0].name.as_str()), (1, "mine"));
    assert_eq!(settings.models[0].files["t3"], "best.safetensors");
    for (text, expected) in [
        ("models:\n  mine: {}\n", "models: expected a list of models, found {\"mine\":{}}"),
        ("models:\n  - { name: mine }\n", "models, number 1: missing field `architecture`"),
        (
            "models:\n  - { name: a, architecture: turbo, repo: me/a }\n",
            "models, number 1: unknown field `repo`, expected one of `name`, `architecture`, `repository`, `revision`, \
             `folder`, `languages`, `files`",
        ),
    ] {
        let error = load_file(text).unwrap_err().to_string();
        assert!(error.ends_with(expected), "{error}");
    }
}

#[test]
fn names_of_other_services_can_be_added_and_changed_one_by_one() {
    let (settings, unknown) = load_file("aliases:\n  voices: { Nova: slt, Grandma: emily }\n").unwrap();
    assert_eq!(unknown, []);
    let voices = &settings.aliases.voices;
    assert_eq!(
        (voices["nova"].as_str(), voices["grandma"].as_str(), voices["alloy"].as_str()),
        ("slt", "emily", "default")
    );
    assert_eq!(settings.aliases.models["tts-1"], "auto");
    let error = load_file("aliases:\n  voices: { nova: 3 }\n").unwrap_err().to_string();
    assert!(error.contains("aliases.voices: expected names and what they mean"), "{error}");
}
