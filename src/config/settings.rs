//! From merged values to [`Settings`]: types, ranges, and units turned into `Duration`s.
//!
//! What is built here needs no further checking anywhere. Every range is written once, beside its key, and the error
//! for it names both.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use waveform::encode::{Format, HIGHEST_RATE, LOWEST_RATE};

use super::reader::Reader;
use super::{ConfigError, Lexicon};

/// All settings, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    pub server: Server,
    pub auth: Auth,
    pub wyoming: Wyoming,
    pub model: Model,
    pub models: Vec<OwnModel>,
    pub hub: Hub,
    pub voices: Voices,
    pub tts_engine: TtsEngine,
    pub aliases: Aliases,
    pub generation_defaults: GenerationDefaults,
    pub audio_output: AudioOutput,
    pub audio_processing: AudioProcessing,
    pub text: Text,
    /// Those of the lexicons too.
    pub pronunciations: Vec<OwnPronunciation>,
    pub lexicons: Vec<Lexicon>,
    pub limits: Limits,
    pub job_queue: JobQueue,
    pub webhooks: Webhooks,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Server {
    pub host: String,
    pub port: u16,
    pub allowed_hosts: Vec<String>,
    /// Of pages that may call this server; `*` is every one.
    pub cors_origins: Vec<String>,
    /// How long requests in flight may take after a stop signal.
    pub shutdown: Duration,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Auth {
    pub keys: KeyUse,
}

/// Whether requests must have a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyUse {
    /// Where the server listens beyond this machine.
    Auto,
    Required,
    Off,
}

impl Settings {
    /// Whether requests must have a key.
    pub fn requires_keys(&self) -> bool {
        match self.auth.keys {
            KeyUse::Auto => !is_loopback(&self.server.host),
            KeyUse::Required => true,
            KeyUse::Off => false,
        }
    }
}

/// Whether an address or a name means this machine only. Other names may too; nobody can rely on it.
pub fn is_loopback(host: &str) -> bool {
    let name = host.trim_end_matches('.').to_ascii_lowercase();
    name == "localhost"
        || name.ends_with(".localhost")
        || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[derive(Clone, Debug, PartialEq)]
pub struct Wyoming {
    pub enabled: bool,
    /// Also beyond this machine while the web server asks for keys.
    pub without_keys: bool,
    pub host: String,
    pub port: u16,
    /// `None`: where others can reach it.
    pub announce: Option<bool>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    pub name: String,
    /// `None` takes what is best for each model.
    pub precision: Option<Precision>,
    /// Chunks of a job that decode together.
    pub chunks_together: usize,
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

/// How exactly a token model's weights are kept on the CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    F32,
    Bf16,
    Int8,
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

/// How the user wants something said.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OwnPronunciation {
    pub text: String,
    pub say: String,
    #[serde(default)]
    pub match_case: bool,
    /// Only in this language.
    pub language: Option<String>,
    /// Only for this voice, by id or name.
    pub voice: Option<String>,
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
    pub fallback_device: FallbackDevice,
    pub default_voice_id: Option<String>,
}

/// Where a job is spoken that its device has failed more than once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FallbackDevice {
    /// Where it was.
    None,
    Cpu,
}

/// Names of other services, in small letters, and what they mean here.
#[derive(Clone, Debug, PartialEq)]
pub struct Aliases {
    pub models: BTreeMap<String, String>,
    pub voices: BTreeMap<String, String>,
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
    pub retakes: u32,
}

#[derive(Clone, Debug, PartialEq)]
pub struct AudioOutput {
    pub format: Format,
    /// Hz. A format that lacks it takes the next higher one.
    pub sample_rate: u32,
    /// `None` is the format's own; a format that lacks it takes the nearest.
    pub bitrate_kbps: Option<u32>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct AudioProcessing {
    pub trim_silence: bool,
    /// Milliseconds; `None` leaves silences within a chunk as the model made them.
    pub max_silence_ms: Option<u32>,
    pub sentence_pause_ms: u32,
    pub paragraph_pause_ms: u32,
    /// `None` leaves the loudness as the model made it.
    pub loudness_lufs: Option<f32>,
    pub true_peak_db: f32,
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
    pub max_batch_items: usize,
    /// Of one key; `None` is no limit.
    pub characters_per_minute: Option<u32>,
    /// Of one key; `None` is no limit.
    pub audio_seconds_per_day: Option<u32>,
    /// Nothing is accepted while the disk has less left.
    pub min_free_disk_bytes: u64,
    /// Clients that listen to what happens to jobs.
    pub max_followers: usize,
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
    /// Results beyond this go, the oldest first.
    pub max_output_bytes: Option<u64>,
    /// Run although the data directory is on another machine's disk.
    pub allow_network_disk: bool,
    /// Chunks of completed jobs are kept up to here.
    pub max_chunk_bytes: u64,
}

#[derive(Clone, PartialEq)]
pub struct Webhooks {
    /// `None` uses the one that is drawn once for a data directory.
    pub secret: Option<String>,
    pub allow_private: bool,
    pub max_attempts: u32,
    /// For one call.
    pub patience: Duration,
}

impl std::fmt::Debug for Webhooks {
    // Without the secret.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Webhooks").field("allow_private", &self.allow_private).finish_non_exhaustive()
    }
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
    /// Milliseconds.
    pub const MAX_SILENCES: RangeInclusive<u32> = 50..=10_000;
    /// Milliseconds between two chunks.
    pub const PAUSES: RangeInclusive<u32> = 0..=10_000;
    /// From what broadcasters take for quiet to what no speech reaches undistorted.
    pub const LOUDNESSES: RangeInclusive<f64> = -40.0..=-8.0;
    /// kbit/s of any format; each has its own within them.
    pub const BIT_RATES: RangeInclusive<u32> = 6..=320;
    pub const MAX_RETAKES: u32 = 5;
    /// Entries of the user's dictionary, and characters of each side of one: what a pattern of all of them can be made of.
    pub const PRONUNCIATIONS: usize = 2_000;
    pub const PRONUNCIATION_CHARS: usize = 100;
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
            cors_origins: read.texts("server.cors_origins")?,
            shutdown: read.seconds("server.shutdown_sec", 0.0..=3600.0)?,
        },
        auth: Auth { keys: read.keys("auth.keys")? },
        wyoming: Wyoming {
            enabled: read.flag("wyoming.enabled")?,
            without_keys: read.flag("wyoming.without_keys")?,
            host: read.text("wyoming.host")?,
            port: read.integer("wyoming.port", 0..=65_535)? as u16,
            announce: read.optional("wyoming.announce", Reader::flag)?,
        },
        model: Model {
            name: read.text("model.name")?,
            precision: match read.text("model.precision")?.as_str() {
                "auto" => None,
                "f32" => Some(Precision::F32),
                "bf16" => Some(Precision::Bf16),
                "int8" => Some(Precision::Int8),
                other => return Err(read.error("model.precision", "auto, f32, bf16 or int8", &other.into())),
            },
            chunks_together: read.size("model.chunks_together", 1..=8)?,
            memory_bytes: read
                .optional("model.memory_mb", |read, key| read.integer(key, 1..=1 << 30))?
                .map(|megabytes| (megabytes as u64) << 20),
            unload_after: read
                .optional("model.unload_after_min", |read, key| read.number(key, 0.001..=525_600.0))?
                .map(|minutes| Duration::from_secs_f64(minutes * 60.0)),
            watermark: read.watermark("model.watermark")?,
        },
        models: read.entries("models", "a list of models")?,
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
            fallback_device: match read.text("tts_engine.fallback_device")?.as_str() {
                "none" => FallbackDevice::None,
                "cpu" => FallbackDevice::Cpu,
                other => return Err(read.error("tts_engine.fallback_device", "none or cpu", &other.into())),
            },
            default_voice_id: read.optional("tts_engine.default_voice_id", Reader::text)?,
        },
        aliases: Aliases { models: read.names("aliases.models")?, voices: read.names("aliases.voices")? },
        generation_defaults: GenerationDefaults {
            temperature: read.optional_number("generation_defaults.temperature", ranges::TEMPERATURES)?,
            exaggeration: read.optional_number("generation_defaults.exaggeration", ranges::EXAGGERATIONS)?,
            cfg_weight: read.optional_number("generation_defaults.cfg_weight", ranges::CFG_WEIGHTS)?,
            seed: read.integer("generation_defaults.seed", -1..=ranges::MAX_SEED as i64)?.max(0) as u64,
            speed_factor: read.number("generation_defaults.speed_factor", ranges::SPEEDS)? as f32,
            language: read.optional("generation_defaults.language", Reader::text)?,
            split_text: read.flag("generation_defaults.split_text")?,
            chunk_size: read.size("generation_defaults.chunk_size", ranges::CHUNK_SIZES)?,
            retakes: read.whole("generation_defaults.retakes", 0..=ranges::MAX_RETAKES)?,
        },
        audio_output: AudioOutput {
            format: read.format("audio_output.format")?,
            sample_rate: read.whole("audio_output.sample_rate", LOWEST_RATE..=HIGHEST_RATE)?,
            bitrate_kbps: read
                .optional("audio_output.bitrate_kbps", |read, key| read.whole(key, ranges::BIT_RATES))?,
        },
        audio_processing: AudioProcessing {
            trim_silence: read.flag("audio_processing.enable_silence_trimming")?,
            max_silence_ms: if read.flag("audio_processing.enable_internal_silence_fix")? {
                Some(read.whole("audio_processing.max_silence_ms", ranges::MAX_SILENCES)?)
            } else {
                None
            },
            sentence_pause_ms: read.whole("audio_processing.sentence_pause_ms", ranges::PAUSES)?,
            paragraph_pause_ms: read.whole("audio_processing.paragraph_pause_ms", ranges::PAUSES)?,
            loudness_lufs: read.optional_number("audio_processing.loudness_lufs", ranges::LOUDNESSES)?,
            true_peak_db: read.number("audio_processing.true_peak_db", -9.0..=0.0)? as f32,
        },
        text: Text { normalize: read.flag("text.normalize")? },
        pronunciations: read.pronunciations("pronunciations")?,
        lexicons: read.entries("lexicons", "a list of lexicons")?,
        limits: Limits {
            max_text_chars: read.size("limits.max_text_chars", 1..=100_000_000)?,
            max_body_bytes: read.size("limits.max_body_bytes", 1024..=1 << 30)?,
            max_queued_jobs: read.size("limits.max_queued_jobs", 1..=1_000_000)?,
            max_queued_jobs_per_client: read.size("limits.max_queued_jobs_per_client", 1..=1_000_000)?,
            max_waiting_requests: read.size("limits.max_waiting_requests", 1..=10_000)?,
            max_batch_items: read.size("limits.max_batch_items", 1..=100_000)?,
            characters_per_minute: read
                .optional("limits.characters_per_minute", |read, key| read.whole(key, 1..=u32::MAX))?,
            audio_seconds_per_day: read
                .optional("limits.audio_seconds_per_day", |read, key| read.whole(key, 1..=u32::MAX))?,
            min_free_disk_bytes: (read.integer("limits.min_free_disk_mb", 0..=1 << 30)? as u64) << 20,
            max_followers: read.size("limits.max_followers", 0..=100_000)?,
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
            max_output_bytes: read
                .optional("job_queue.max_output_mb", |read, key| read.integer(key, 0..=1 << 30))?
                .map(|megabytes| (megabytes as u64) << 20),
            allow_network_disk: read.flag("job_queue.allow_network_disk")?,
            max_chunk_bytes: (read.integer("job_queue.max_chunk_mb", 0..=1 << 30)? as u64) << 20,
        },
        webhooks: Webhooks {
            secret: read.optional("webhooks.secret", Reader::text)?,
            allow_private: read.flag("webhooks.allow_private")?,
            max_attempts: read.integer("webhooks.max_attempts", 1..=100)? as u32,
            patience: read.seconds("webhooks.timeout_sec", 0.1..=60.0)?,
        },
    })
}

/// What only some settings are.
impl Reader<'_> {
    fn pronunciations(&self, key: &str) -> Result<Vec<OwnPronunciation>, ConfigError> {
        let entries: Vec<OwnPronunciation> = self.entries(key, "a list of pronunciations")?;
        if entries.len() > ranges::PRONUNCIATIONS {
            let problem = format!("{} entries; {} are possible", entries.len(), ranges::PRONUNCIATIONS);
            return Err(ConfigError::Value { layer: self.layer.to_owned(), key: key.to_owned(), problem });
        }
        let fits = |text: &str| (1..=ranges::PRONUNCIATION_CHARS).contains(&text.trim().chars().count());
        match entries
            .iter()
            .position(|entry| !fits(&entry.text) || entry.say.chars().count() > ranges::PRONUNCIATION_CHARS)
        {
            None => Ok(entries),
            Some(index) => {
                let most = ranges::PRONUNCIATION_CHARS;
                Err(self.entry_error(
                    key,
                    index,
                    format!("`text` must have 1 to {most} characters, `say` at most {most}"),
                ))
            }
        }
    }

    /// In YAML, `off` may be a word or a flag.
    fn keys(&self, key: &str) -> Result<KeyUse, ConfigError> {
        match self.value(key) {
            Value::Bool(false) => Ok(KeyUse::Off),
            Value::String(word) if word == "off" => Ok(KeyUse::Off),
            Value::String(word) if word == "auto" => Ok(KeyUse::Auto),
            Value::String(word) if word == "required" => Ok(KeyUse::Required),
            other => Err(self.error(key, "auto, required or off", other)),
        }
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

    fn format(&self, key: &str) -> Result<Format, ConfigError> {
        let wrong = |_unknown| self.error(key, &Format::names(), self.value(key));
        self.text(key)?.parse().map_err(wrong)
    }
}
