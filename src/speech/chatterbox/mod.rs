//! The Chatterbox family as the server sees it. The only folder that names `chatterbox`: devices, the offers of what is
//! installed, and a checkpoint behind the trait of `model`.

mod cloning;
mod embedded;
mod installed;
mod marking;
mod prospect;
mod spoken;
mod wishes;
#[cfg(test)]
mod word_times;

use std::path::Path;

pub use chatterbox::bench;
use chatterbox::device::{Choice, Request};
use chatterbox::text::Language;
use chatterbox::weights;
pub use marking::{BORDER, DetectError, Detection, detect};
pub use prospect::{Prospect, Surroundings, machine, prospect};

use super::catalog::Offer;
use super::model::ModelError;
use crate::config::{FallbackDevice, Precision, Settings, WatermarkUse};
use crate::models::Models;
use crate::voices::Library;

/// Where models run, and how.
#[derive(Clone, Debug)]
pub struct Placement {
    /// `auto`, `cpu`, `gpu` or the name of a graphics API.
    pub device: String,
    /// Of the token model's weights on the CPU; `None` takes what is best for each model.
    pub precision: Option<Precision>,
    /// Chunks that decode together, at most.
    pub chunks_together: usize,
    /// Speak a job on the CPU that the device has failed more than once.
    pub falls_back: bool,
}

impl Placement {
    /// Where a model goes whose device has failed; `None` where that is not wished, or where it is on the CPU already.
    fn fallback(&self) -> Option<Self> {
        (self.falls_back && self.expects_gpu()).then(|| Self { device: "cpu".to_owned(), ..self.clone() })
    }
}

impl From<&Settings> for Placement {
    fn from(settings: &Settings) -> Self {
        Self {
            device: settings.tts_engine.device.clone(),
            precision: settings.model.precision,
            chunks_together: settings.model.chunks_together,
            falls_back: settings.tts_engine.fallback_device == FallbackDevice::Cpu,
        }
    }
}

/// Every Chatterbox model of this installation, best first. Models that can clone speak with the clips of `library`.
pub fn offers(device: &Placement, watermark: WatermarkUse, models: &Models, library: &Library) -> Vec<Offer> {
    let marking = marking::Marking::new(watermark, models);
    let mut found = installed::found(models);
    found.sort_by_key(|model| model.rank(device.expects_gpu()));
    let installed = found.into_iter().map(|model| installed::offer(model, device, &marking, library));
    installed.chain(embedded::offer(device, &marking)).collect()
}

/// The English name of a language that some model of the family speaks.
pub fn language_name(code: &str) -> Option<&'static str> {
    Language::of_code(code).map(|language| language.name)
}

/// A device that a model could run on.
#[derive(Clone, Debug, serde::Serialize)]
pub struct DeviceReport {
    /// As its driver calls it.
    pub name: String,
    /// `CPU`, `GPU (Vulkan)`, …
    pub kind: String,
    /// Whether this setting takes it.
    pub chosen: bool,
    /// Why it is taken, or why not.
    pub reason: String,
    /// How its self-test went, where it is taken and has one.
    pub self_test: Option<String>,
}

/// The devices found, and what becomes of them under this setting of `tts_engine.device`.
///
/// # Errors
/// [`ModelError::NotLoaded`] when the setting cannot be met.
pub fn devices(device: &Placement) -> Result<Vec<DeviceReport>, ModelError> {
    let choice = start(device)?;
    let adapters = chatterbox::device::adapters();
    let mut reports: Vec<DeviceReport> = adapters
        .iter()
        .map(|adapter| {
            let chosen = choice.is_gpu && choice.name == adapter.to_string();
            let reason = match () {
                () if chosen => choice.reason.clone(),
                () if adapter.is_real() => {
                    "another one was taken; name its API with --device to use it".to_owned()
                }
                () => "a software rasteriser, slower than the CPU itself; taken only by name".to_owned(),
            };
            DeviceReport {
                name: adapter.name.clone(),
                kind: format!("{}, {}", adapter.api, adapter.class),
                chosen,
                reason,
                self_test: chosen.then(|| choice.self_test.clone()),
            }
        })
        .collect();
    reports.push(DeviceReport {
        name: if choice.is_gpu { "CPU".to_owned() } else { choice.name.clone() },
        kind: "CPU".to_owned(),
        chosen: !choice.is_gpu,
        reason: if choice.is_gpu { "a GPU was taken".to_owned() } else { choice.reason },
        // It is what the others are compared with.
        self_test: None,
    });
    Ok(reports)
}

/// Measures a model stage by stage; `progress` is told what is being measured.
///
/// # Errors
/// [`ModelError::NotLoaded`] when the device or the model cannot be had.
pub fn measure(
    options: &bench::Options,
    device: &Placement,
    threads: Option<usize>,
    progress: &mut dyn FnMut(&str),
) -> Result<bench::Report, ModelError> {
    if let Some(threads) = threads {
        chatterbox::device::limit_threads(threads).map_err(not_loaded)?;
    }
    bench::run(options, &start(device)?, progress).map_err(not_loaded)
}

/// Where a GPU's tuning is kept. Comes before everything that starts a device.
pub fn keep_tuning_in(folder: &Path) {
    chatterbox::device::keep_tuning_in(folder);
}

/// Starts the device asked for and logs which one it is and why.
fn start(placement: &Placement) -> Result<Choice, ModelError> {
    let request: Request = placement.device.parse().map_err(not_loaded)?;
    let mut choice = chatterbox::device::choose(request).map_err(not_loaded)?;
    choice.rounding = placement.precision.map(precision);
    tracing::info!(
        device = %choice.name,
        reason = %choice.reason,
        precision = %choice.precision,
        self_test = %choice.self_test,
        "device chosen"
    );
    Ok(choice)
}

/// The configuration's word for it in the networks' own.
fn precision(configured: Precision) -> weights::Precision {
    match configured {
        Precision::F32 => weights::Precision::F32,
        Precision::Bf16 => weights::Precision::Bf16,
        Precision::Int8 => weights::Precision::Int8,
    }
}

fn not_loaded(error: impl std::error::Error) -> ModelError {
    ModelError::NotLoaded(in_one_line(&error))
}

/// An error with its causes in one line, since it crosses threads and ends in front of people.
fn in_one_line(error: &dyn std::error::Error) -> String {
    let mut message = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        message.push_str(": ");
        message.push_str(&cause.to_string());
        source = cause.source();
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_falls_back_to_the_cpu_from_a_gpu_and_only_where_that_is_wished() {
        let placement = |device: &str, falls_back| Placement {
            device: device.to_owned(),
            precision: None,
            chunks_together: 4,
            falls_back,
        };
        let fallback = |device, falls_back| placement(device, falls_back).fallback().map(|cpu| cpu.device);
        assert_eq!(fallback("vulkan", true).as_deref(), Some("cpu"));
        assert_eq!(fallback("gpu", true).as_deref(), Some("cpu"));
        assert_eq!(fallback("cpu", true), None);
        assert_eq!(fallback("gpu", false), None);
    }
}
