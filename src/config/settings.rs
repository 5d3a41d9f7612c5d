//! From merged values to [`Settings`]: types, ranges, and units turned into `Duration`s.
//!
//! What is built here needs no further checking anywhere. Every range is written once, beside its key, and the error
//! for it names both.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use super::ConfigError;

/// All settings, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    pub server: Server,
    pub model: Model,
    pub models: Vec<OwnModel>,
    pub hub: Hub,
    pub voices: Voices,
    pub tts_engine: TtsEngine,
    pub generation_defaults: GenerationDefaults,
    pub audio_output: AudioOutput,
    pub text: Text,
    pub limits: Limits,
    pub job_queue: JobQueue,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Server {
    pub host: String,
    pub port: u16,
    pub allowed_hosts: Vec<String>,
    /// How long requests in flight may take after a stop signal.
    pub shutdown: Duration,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    pub name: String,
    /// `None` leaves it to the machine.
    pub memory_bytes: Option<u64>,
    /// `None` keeps loaded models.
    pub unload_after: Option<Duration>,
    pub watermark: WatermarkUse,
}

/// Whose speech is marked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum WatermarkUse {
    /// That of models whose makers mark it, where the watermark is installed.
    Auto,
    /// Every model's; without the watermark there is no speech.
    On,
    Off,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Voices {
    pub max_clip_bytes: u64,
    pub max_clip_sec: f64,
    pub max_voices: usize,
}

/// A model of the user's own, as it is written; `models` checks what it means.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OwnModel {
    pub name: String,
    pub architecture: String,
    /// `owner/name` on the hub.
    pub repository: Option<String>,
    pub revision: Option<String>,
    pub folder: Option<PathBuf>,
    #[serde(default)]
    pub languages: Vec<String>,
    /// Part of the model → file.
    #[serde(default)]
    pub files: BTreeMap<String, String>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Hub {
    /// `None` is HF_ENDPOINT, else the public one.
    pub endpoint: Option<String>,
    /// Files at a time.
    pub parallel: usize,
    /// Tries in a row that may bring nothing.
    pub retries: u32,
    pub retry_wait: Duration,
    /// Without a byte for so long, a connection counts as broken.
    pub stall: Duration,
    pub use_cache: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub struct TtsEngine {
    pub device: String,
    pub default_voice_id: Option<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct GenerationDefaults {
    pub temperature: Option<f32>,
    pub exaggeration: Option<f32>,
    pub cfg_weight: Option<f32>,
    /// 0 draws one.
    pub seed: u64,
    pub speed_factor: f32,
    pub language: Option<String>,
    pub split_text: bool,
    pub chunk_size: usize,
}

/// The containers that results can be written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Wav,
    Flac,
}

#[derive(Clone, Debug, PartialEq)]
pub struct AudioOutput {
    pub format: Format,
    /// Hz.
    pub sample_rate: u32,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Text {
    pub normalize: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    pub max_text_chars: usize,
    pub max_body_bytes: usize,
    pub max_queued_jobs: usize,
    /// Of one client.
    pub max_queued_jobs_per_client: usize,
    pub max_waiting_requests: usize,
    /// For a synchronous request.
    pub max_wait: Duration,
    /// For every other request.
    pub request_timeout: Duration,
}

#[derive(Clone, Debug, PartialEq)]
pub struct JobQueue {
    pub max_retries: u32,
    pub job_ttl: Duration,
    pub cleanup_interval: Duration,
    /// A job that has waited for so long gets a turn now and then, whatever is more urgent.
    pub overdue_after: Duration,
}

/// What settings and requests alike may hold.
pub mod ranges {
    use std::ops::RangeInclusive;

    /// Characters per chunk that a request or a setting may ask for; upstream's range.
    pub const CHUNK_SIZES: RangeInclusive<usize> = 50..=500;
    pub const TEMPERATURES: RangeInclusive<f64> = 0.0..=2.0;
    pub const EXAGGERATIONS: RangeInclusive<f64> = 0.0..=2.0;
    pub const CFG_WEIGHTS: RangeInclusive<f64> = 0.0..=1.0;
    pub const SPEEDS: RangeInclusive<f64> = 0.25..=4.0;
    /// The largest integer that every JSON client carries exactly (2^53 − 1).
    pub const MAX_SEED: u64 = 9_007_199_254_740_991;
}

pub(super) fn resolve(layer: &str, merged: &Value) -> Result<Settings, ConfigError> {
    let read = Reader { layer, merged };
    Ok(Settings {
        server: Server {
            host: read.text("server.host")?,
            port: read.integer("server.port", 0..=65_535)? as u16,
            allowed_hosts: read.texts("server.allowed_hosts")?,
            shutdown: read.seconds("server.shutdown_sec", 0.0..=3600.0)?,
        },
        model: Model {
            name: read.text("model.name")?,
            memory_bytes: read
                .optional("model.memory_mb", |read, key| read.integer(key, 1..=1 << 30))?
                .map(|megabytes| (megabytes as u64) << 20),
            unload_after: read
                .optional("model.unload_after_min", |read, key| read.number(key, 0.001..=525_600.0))?
                .map(|minutes| Duration::from_secs_f64(minutes * 60.0)),
            watermark: read.watermark("model.watermark")?,
        },
        models: read.models("models")?,
        hub: Hub {
            endpoint: read.optional("hub.endpoint", Reader::text)?,
            parallel: read.size("hub.parallel", 1..=16)?,
            retries: read.integer("hub.retries", 0..=100)? as u32,
            retry_wait: read.seconds("hub.retry_wait_sec", 0.001..=60.0)?,
            stall: read.seconds("hub.stall_sec", 0.1..=3600.0)?,
            use_cache: read.flag("hub.use_cache")?,
        },
        voices: Voices {
            max_clip_bytes: (read.integer("voices.max_clip_mb", 1..=1024)? as u64) << 20,
            max_clip_sec: read.number("voices.max_clip_sec", 1.0..=600.0)?,
            max_voices: read.size("voices.max_voices", 0..=100_000)?,
        },
        tts_engine: TtsEngine {
            device: read.text("tts_engine.device")?,
            default_voice_id: read.optional("tts_engine.default_voice_id", Reader::text)?,
        },
        generation_defaults: GenerationDefaults {
            temperature: read.optional_number("generation_defaults.temperature", ranges::TEMPERATURES)?,
            exaggeration: read.optional_number("generation_defaults.exaggeration", ranges::EXAGGERATIONS)?,
            cfg_weight: read.optional_number("generation_defaults.cfg_weight", ranges::CFG_WEIGHTS)?,
            seed: read.integer("generation_defaults.seed", -1..=ranges::MAX_SEED as i64)?.max(0) as u64,
            speed_factor: read.number("generation_defaults.speed_factor", ranges::SPEEDS)? as f32,
            language: read.optional("generation_defaults.language", Reader::text)?,
            split_text: read.flag("generation_defaults.split_text")?,
            chunk_size: read.size("generation_defaults.chunk_size", ranges::CHUNK_SIZES)?,
        },
        audio_output: AudioOutput {
            format: match read.text("audio_output.format")?.as_str() {
                "wav" => Format::Wav,
                "flac" => Format::Flac,
                other => return Err(read.error("audio_output.format", "wav or flac", &other.into())),
            },
            sample_rate: read.integer("audio_output.sample_rate", 8_000..=48_000)? as u32,
        },
        text: Text { normalize: read.flag("text.normalize")? },
        limits: Limits {
            max_text_chars: read.size("limits.max_text_chars", 1..=100_000_000)?,
            max_body_bytes: read.size("limits.max_body_bytes", 1024..=1 << 30)?,
            max_queued_jobs: read.size("limits.max_queued_jobs", 1..=1_000_000)?,
            max_queued_jobs_per_client: read.size("limits.max_queued_jobs_per_client", 1..=1_000_000)?,
            max_waiting_requests: read.size("limits.max_waiting_requests", 1..=10_000)?,
            max_wait: read.seconds("limits.max_wait_sec", 1.0..=86_400.0)?,
            request_timeout: read.seconds("limits.request_timeout_sec", 1.0..=3600.0)?,
        },
        job_queue: JobQueue {
            max_retries: read.integer("job_queue.max_retries", 0..=100)? as u32,
            // Fractions of an hour are allowed; ten years is "for ever" without overflowing a timestamp.
            job_ttl: Duration::from_secs_f64(
                read.number("job_queue.job_ttl_hours", 0.0001..=87_600.0)? * 3600.0,
            ),
            cleanup_interval: read.seconds("job_queue.cleanup_interval_sec", 0.1..=604_800.0)?,
            overdue_after: Duration::from_secs_f64(
                read.number("job_queue.overdue_after_min", 0.001..=525_600.0)? * 60.0,
            ),
        },
    })
}

/// Takes typed values out of the merged tree, blaming the layer that was laid on last.
struct Reader<'a> {
    layer: &'a str,
    merged: &'a Value,
}

impl Reader<'_> {
    fn value(&self, key: &str) -> &Value {
        // Every key stands in the compiled-in file; a section that was replaced by a scalar reads as null.
        key.split('.').try_fold(self.merged, |value, part| value.get(part)).unwrap_or(&Value::Null)
    }

    fn error(&self, key: &str, expected: &str, found: &Value) -> ConfigError {
        ConfigError::Value {
            layer: self.layer.to_owned(),
            key: key.to_owned(),
            problem: format!("expected {expected}, found {found}"),
        }
    }

    fn text(&self, key: &str) -> Result<String, ConfigError> {
        let value = self.value(key);
        match value.as_str().map(str::trim) {
            Some(text) if !text.is_empty() => Ok(text.to_owned()),
            _ => Err(self.error(key, "text", value)),
        }
    }

    fn texts(&self, key: &str) -> Result<Vec<String>, ConfigError> {
        let value = self.value(key);
        let texts = value.as_array().and_then(|entries| {
            entries.iter().map(|entry| entry.as_str().map(str::to_owned)).collect::<Option<Vec<_>>>()
        });
        texts.ok_or_else(|| self.error(key, "a list of texts", value))
    }

    /// Unknown keys in an entry are errors: nothing else would show that, say, `file` was meant to be `files`.
    fn models(&self, key: &str) -> Result<Vec<OwnModel>, ConfigError> {
        let value = self.value(key);
        let entries = value.as_array().ok_or_else(|| self.error(key, "a list of models", value))?;
        let read = |(index, entry): (usize, &Value)| {
            OwnModel::deserialize(entry).map_err(|error| ConfigError::Value {
                layer: self.layer.to_owned(),
                key: format!("{key}, number {}", index + 1),
                problem: error.to_string(),
            })
        };
        entries.iter().enumerate().map(read).collect()
    }

    fn flag(&self, key: &str) -> Result<bool, ConfigError> {
        let value = self.value(key);
        value.as_bool().ok_or_else(|| self.error(key, "true or false", value))
    }

    /// In YAML, `on` and `off` may be words or flags.
    fn watermark(&self, key: &str) -> Result<WatermarkUse, ConfigError> {
        match self.value(key) {
            Value::Bool(true) => Ok(WatermarkUse::On),
            Value::Bool(false) => Ok(WatermarkUse::Off),
            Value::String(word) if word == "on" => Ok(WatermarkUse::On),
            Value::String(word) if word == "off" => Ok(WatermarkUse::Off),
            Value::String(word) if word == "auto" => Ok(WatermarkUse::Auto),
            other => Err(self.error(key, "auto, on or off", other)),
        }
    }

    fn integer(&self, key: &str, range: RangeInclusive<i64>) -> Result<i64, ConfigError> {
        let value = self.value(key);
        let whole = format!("a whole number from {} to {}", range.start(), range.end());
        value.as_i64().filter(|number| range.contains(number)).ok_or_else(|| self.error(key, &whole, value))
    }

    fn size(&self, key: &str, range: RangeInclusive<usize>) -> Result<usize, ConfigError> {
        Ok(self.integer(key, *range.start() as i64..=*range.end() as i64)? as usize)
    }

    fn number(&self, key: &str, range: RangeInclusive<f64>) -> Result<f64, ConfigError> {
        let value = self.value(key);
        let expected = format!("a number from {} to {}", range.start(), range.end());
        value
            .as_f64()
            .filter(|number| range.contains(number))
            .ok_or_else(|| self.error(key, &expected, value))
    }

    fn seconds(&self, key: &str, range: RangeInclusive<f64>) -> Result<Duration, ConfigError> {
        self.number(key, range).map(Duration::from_secs_f64)
    }

    fn optional<T>(
        &self,
        key: &str,
        read: impl Fn(&Self, &str) -> Result<T, ConfigError>,
    ) -> Result<Option<T>, ConfigError> {
        if self.value(key).is_null() { Ok(None) } else { read(self, key).map(Some) }
    }

    fn optional_number(&self, key: &str, range: RangeInclusive<f64>) -> Result<Option<f32>, ConfigError> {
        self.optional(key, |reader, key| reader.number(key, range.clone()).map(|number| number as f32))
    }
}
