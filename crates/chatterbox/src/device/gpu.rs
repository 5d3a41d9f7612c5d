//! Adapters through wgpu. Each is started once per process and stays, which is how burn keeps its runtimes too.

use std::sync::Mutex;

use burn::tensor::wgpu::{WgpuBackend, wgpu};
use burn::tensor::{Device, DeviceKind};

use super::probe::{Probed, examine};
use super::{Adapter, Choice, Class, DeviceError, GraphicsApi};

/// Lengths grow in steps of this many positions (2.6 s of speech): few shapes, little waste.
const GRANULARITY: usize = 64;

/// What burn is asked for in its variables still holds; only where it would put the files is ours to say.
#[cfg(feature = "kept-tuning")]
pub(super) fn keep_tuning_in(folder: &std::path::Path) {
    use burn::cubecl::config::cache::CacheConfig;
    use burn::cubecl::config::{CubeClRuntimeConfig, RuntimeConfig as _};

    let mut config = CubeClRuntimeConfig::default().override_from_env();
    config.environment.path = CacheConfig::Directory(folder.to_owned());
    // Shaders that were compiled to machine code, where burn can keep those.
    config.compilation.cache = true;
    CubeClRuntimeConfig::try_set(config);
}

pub(super) fn adapters() -> Vec<Adapter> {
    let apis = [
        (GraphicsApi::Vulkan, wgpu::Backends::VULKAN),
        (GraphicsApi::Metal, wgpu::Backends::METAL),
        (GraphicsApi::Dx12, wgpu::Backends::DX12),
    ];
    let mut adapters: Vec<Adapter> = Vec::new();
    for (api, backends) in apis {
        let instance = wgpu::Instance::new(wgpu::InstanceDescriptor {
            backends,
            ..wgpu::InstanceDescriptor::new_without_display_handle()
        });
        for adapter in pollster::block_on(instance.enumerate_adapters(backends)) {
            let info = adapter.get_info();
            let class = match info.device_type {
                wgpu::DeviceType::DiscreteGpu => Class::Discrete,
                wgpu::DeviceType::IntegratedGpu => Class::Integrated,
                wgpu::DeviceType::VirtualGpu => Class::Virtual,
                wgpu::DeviceType::Other => Class::Other,
                wgpu::DeviceType::Cpu => Class::Software,
            };
            let index = adapters.iter().filter(|other| (other.api, other.class) == (api, class)).count();
            let driver = format!("{} {}", info.driver, info.driver_info).trim().to_owned();
            adapters.push(Adapter { name: info.name, api, class, driver, index });
        }
    }
    // Best first.
    adapters.sort_by_key(|adapter| (adapter.class, adapter.api, adapter.index));
    adapters
}

/// A device that runs, with what its self-test found, so that both are done once.
struct Started {
    adapter: Adapter,
    device: Device,
    probed: Result<Probed, String>,
}

static STARTED: Mutex<Vec<Started>> = Mutex::new(Vec::new());

pub(super) fn start(adapter: &Adapter, reason: &str) -> Result<Choice, DeviceError> {
    let mut started = STARTED.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let known = started.iter().find(|known| known.adapter == *adapter);
    let (device, probed) = if let Some(Started { device, probed, .. }) = known {
        (device.clone(), probed.clone())
    } else {
        let device = start_new(adapter)?;
        let probed = examine(&device);
        started.push(Started { adapter: adapter.clone(), device: device.clone(), probed: probed.clone() });
        (device, probed)
    };
    let Probed { precision, finding } =
        probed.map_err(|problem| DeviceError::Wrong { adapter: adapter.to_string(), problem })?;
    Ok(Choice {
        device,
        name: adapter.to_string(),
        reason: reason.to_owned(),
        granularity: GRANULARITY,
        is_gpu: true,
        rounding: None,
        precision,
        self_test: finding,
    })
}

fn start_new(adapter: &Adapter) -> Result<Device, DeviceError> {
    let failed = |cause: String| DeviceError::Start { adapter: adapter.to_string(), cause };
    let kind = match adapter.class {
        Class::Discrete => DeviceKind::DiscreteGpu(adapter.index),
        Class::Integrated => DeviceKind::IntegratedGpu(adapter.index),
        Class::Virtual => DeviceKind::VirtualGpu(adapter.index),
        // burn cannot address what the API does not classify.
        Class::Other => return Err(failed("its driver does not say what it is".to_owned())),
        Class::Software => DeviceKind::Cpu,
    };
    let api = match adapter.api {
        GraphicsApi::Vulkan => WgpuBackend::Vulkan,
        GraphicsApi::Metal => WgpuBackend::Metal,
        GraphicsApi::Dx12 => WgpuBackend::Dx12,
    };
    // Drivers are foreign code, and burn's start-up reports some of their refusals by panicking.
    std::panic::catch_unwind(|| Device::wgpu_options().device_kind(kind).graphics_api(api).init())
        .map_err(|_panic| failed("its driver refused (the log has the details)".to_owned()))?
        .map_err(|error| failed(error.to_string()))
}
