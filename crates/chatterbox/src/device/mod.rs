//! Which processor runs the networks, and why.
//!
//! `auto` takes a real GPU where there is one and the CPU otherwise; a software adapter (Mesa's llvmpipe, WARP) pretends to
//! be a GPU and is slower than the CPU backend by far, so it is taken only when its graphics API is named. The choice comes
//! with its reason in a sentence, because "why is it slow?" is the first question people ask.

#[cfg(feature = "gpu")]
mod gpu;
#[cfg(any(feature = "gpu", test))]
mod probe;

use std::fmt;
use std::path::Path;
use std::str::FromStr;

pub use burn::tensor::Device;

use crate::variant::T3Config;
use crate::weights;

/// What was asked for with `--device`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// The best GPU, else the CPU.
    Auto,
    Cpu,
    /// Any real GPU; an error without one.
    Gpu,
    /// An adapter of this API, software included.
    Api(GraphicsApi),
}

/// The interface through which wgpu reaches an adapter. OpenGL is left out: whatever it reaches, one of these reaches better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum GraphicsApi {
    Vulkan,
    Metal,
    Dx12,
}

/// The words that `--device` understands.
pub const NAMES: [&str; 6] = ["auto", "cpu", "gpu", "vulkan", "metal", "dx12"];

impl FromStr for Request {
    type Err = DeviceError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Ok(match name.to_ascii_lowercase().as_str() {
            "auto" => Self::Auto,
            "cpu" => Self::Cpu,
            "gpu" => Self::Gpu,
            "vulkan" => Self::Api(GraphicsApi::Vulkan),
            "metal" => Self::Api(GraphicsApi::Metal),
            "dx12" => Self::Api(GraphicsApi::Dx12),
            _ => return Err(DeviceError::UnknownName(name.to_owned())),
        })
    }
}

impl fmt::Display for GraphicsApi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Vulkan => "Vulkan",
            Self::Metal => "Metal",
            Self::Dx12 => "DX12",
        })
    }
}

/// Why the device asked for cannot be had.
#[derive(Clone, Debug, thiserror::Error)]
pub enum DeviceError {
    #[error("there is no device called {0:?}; use one of {names}", names = NAMES.join(", "))]
    UnknownName(String),
    #[error("no {wanted} was found ({found}); use --device cpu, or auto to let declaim choose")]
    NotFound { wanted: String, found: String },
    #[error("{adapter} could not be started: {cause}")]
    Start { adapter: String, cause: String },
    #[error("{adapter} failed its self-test: {problem}; a newer driver may help, or another API")]
    Wrong { adapter: String, problem: String },
    #[error("the number of threads is fixed once arithmetic has begun")]
    Threads(#[source] std::sync::Arc<rayon::ThreadPoolBuildError>),
    #[error("this build of declaim has no GPU support; it was built without the `gpu` feature")]
    NotBuilt,
}

/// A graphics adapter of this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Adapter {
    pub name: String,
    pub api: GraphicsApi,
    pub class: Class,
    /// Driver and version, as it calls itself; may be empty.
    pub driver: String,
    /// Its place among the adapters of the same API and class.
    index: usize,
}

/// What kind of processor stands behind an adapter, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    Discrete,
    Integrated,
    Virtual,
    /// The driver does not say.
    Other,
    /// A rasteriser on the CPU.
    Software,
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Discrete => "discrete GPU",
            Self::Integrated => "integrated GPU",
            Self::Virtual => "virtual GPU",
            Self::Other => "GPU of unknown kind",
            Self::Software => "software rasteriser",
        })
    }
}

impl fmt::Display for Adapter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}, {})", self.name, self.api, self.class)
    }
}

/// In which numbers a device keeps the weights of the token model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    F32,
    /// Halves what each token has to read; sums stay f32.
    F16,
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
        })
    }
}

/// A device that is running, and how it came to be chosen.
#[derive(Clone, Debug)]
pub struct Choice {
    pub device: Device,
    /// For people: the adapter, or the CPU with what it can do.
    pub name: String,
    /// Why this one, as a sentence.
    pub reason: String,
    /// Sequence lengths are rounded up to multiples of this: 1 on the CPU, where any length is as good; more on a GPU,
    /// where each new shape compiles kernels.
    pub granularity: usize,
    pub is_gpu: bool,
    /// How the CPU keeps the token model's weights; `None` is what is best for their number.
    pub rounding: Option<weights::Precision>,
    /// What the self-test found to be right here.
    pub precision: Precision,
    /// How the self-test went, in a sentence without its dot.
    pub self_test: String,
}

impl Choice {
    /// How the weights of this token model are kept here, as far as the CPU's layers do that.
    pub fn rounding_for(&self, t3: &T3Config) -> weights::Precision {
        match self.rounding {
            _ if self.is_gpu => weights::Precision::F32,
            Some(precision) => precision,
            None => weights::Precision::for_weights(t3.decoding_weights()),
        }
    }
}

/// Gives memory that tensors have left back to the driver when it is dropped: a GPU's allocator would keep it for later
/// ones. To be dropped after the tensors, so it is the last field of whatever owns them.
#[derive(Debug)]
pub struct Reclaim(Device);

impl Reclaim {
    pub fn on(choice: &Choice) -> Self {
        Self(choice.device.clone())
    }
}

impl Drop for Reclaim {
    fn drop(&mut self) {
        // Dropped tensors are still in the queue; a device that fails here holds nothing that could be given back.
        let _ = self.0.sync();
        self.0.memory_cleanup();
    }
}

/// Every adapter that wgpu finds, best first; empty in builds without GPU support.
pub fn adapters() -> Vec<Adapter> {
    #[cfg(feature = "gpu")]
    {
        gpu::adapters()
    }
    #[cfg(not(feature = "gpu"))]
    {
        Vec::new()
    }
}

/// Starts the device asked for.
pub fn choose(request: Request) -> Result<Choice, DeviceError> {
    match request {
        Request::Cpu => Ok(cpu("asked for by name".to_owned())),
        Request::Auto => Ok(auto()),
        Request::Gpu | Request::Api(_) => by_name(request),
    }
}

fn auto() -> Choice {
    if !may_have_gpu() {
        return cpu("no GPU was found".to_owned());
    }
    let adapters = adapters();
    let software = adapters.iter().find(|adapter| adapter.class == Class::Software);
    let Some(best) = adapters.iter().find(|adapter| adapter.is_real()) else {
        let reason = match software {
            _ if !cfg!(feature = "gpu") => "this build has no GPU support".to_owned(),
            Some(software) => format!("no GPU was found; {software} is slower than the CPU itself"),
            None => "no GPU was found".to_owned(),
        };
        return cpu(reason);
    };
    match start(best, "the best GPU of this machine") {
        Ok(choice) => choice,
        Err(error) => cpu(error.to_string()),
    }
}

/// Whether this request is likely to end on a GPU; asks no driver.
pub fn expects_gpu(request: Request) -> bool {
    match request {
        Request::Cpu => false,
        Request::Auto => cfg!(feature = "gpu") && may_have_gpu(),
        Request::Gpu | Request::Api(_) => true,
    }
}

/// Whether looking for adapters can find a real one. On Linux a GPU shows as a device node; without any, the search would
/// only load Mesa's software rasteriser, whose compiler then keeps 70 MB for as long as the process lives.
fn may_have_gpu() -> bool {
    const NODES: [&str; 6] =
        ["/dev/dri", "/dev/nvidiactl", "/dev/nvidia0", "/dev/dxg", "/dev/mali0", "/dev/kgsl-3d0"];
    !cfg!(target_os = "linux") || NODES.iter().any(|node| Path::new(node).exists())
}

fn by_name(request: Request) -> Result<Choice, DeviceError> {
    if !cfg!(feature = "gpu") {
        return Err(DeviceError::NotBuilt);
    }
    let adapters = adapters();
    let (wanted, best) = match request {
        Request::Api(api) => (format!("{api} adapter"), adapters.iter().find(|adapter| adapter.api == api)),
        _ => ("real GPU".to_owned(), adapters.iter().find(|adapter| adapter.is_real())),
    };
    let Some(best) = best else {
        let found = adapters.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
        let found = if found.is_empty() { "no adapter at all".to_owned() } else { format!("found: {found}") };
        return Err(DeviceError::NotFound { wanted, found });
    };
    start(best, "asked for by name")
}

impl Adapter {
    /// Whether `auto` may take it.
    pub fn is_real(&self) -> bool {
        self.class != Class::Software && self.class != Class::Other
    }
}

/// Lets the CPU backend use this many threads. Must come before the first tensor.
pub fn limit_threads(threads: usize) -> Result<(), DeviceError> {
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build_global()
        .map_err(|error| DeviceError::Threads(error.into()))
}

/// Keeps in this folder which kernels were the fastest, so that only the first start on a GPU searches for them. Must come
/// before the first device, and only the first call counts. Builds without the feature `kept-tuning` search at every start.
pub fn keep_tuning_in(folder: &Path) {
    #[cfg(feature = "kept-tuning")]
    gpu::keep_tuning_in(folder);
    #[cfg(not(feature = "kept-tuning"))]
    let _ = folder;
}

fn start(adapter: &Adapter, reason: &str) -> Result<Choice, DeviceError> {
    #[cfg(feature = "gpu")]
    {
        gpu::start(adapter, reason)
    }
    #[cfg(not(feature = "gpu"))]
    {
        let _ = (adapter, reason);
        Err(DeviceError::NotBuilt)
    }
}

fn cpu(reason: String) -> Choice {
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let vectors = vector_extension().map_or_else(String::new, |name| format!(", {name}"));
    let plural = if threads == 1 { "" } else { "s" };
    Choice {
        device: Device::flex(),
        name: format!("CPU ({threads} thread{plural}{vectors})"),
        reason,
        granularity: 1,
        is_gpu: false,
        rounding: None,
        precision: Precision::F32,
        self_test: "none: the CPU is what GPUs are compared with".to_owned(),
    }
}

/// The widest vector instructions that the arithmetic kernels will use here; they are chosen when the program runs.
fn vector_extension() -> Option<&'static str> {
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512f") {
            Some("AVX-512")
        } else if is_x86_feature_detected!("avx2") {
            Some("AVX2")
        } else {
            None
        }
    }
    #[cfg(target_arch = "aarch64")]
    {
        Some("NEON")
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_advertised_name_is_understood_and_others_are_refused_with_the_list() {
        for name in NAMES {
            name.parse::<Request>().unwrap();
        }
        let message = "cuda".parse::<Request>().unwrap_err().to_string();
        assert!(message.contains("auto, cpu, gpu, vulkan"), "{message}");
    }

    #[test]
    fn a_software_rasteriser_is_never_a_real_gpu() {
        let adapter = |class| Adapter {
            name: String::new(),
            api: GraphicsApi::Vulkan,
            class,
            driver: String::new(),
            index: 0,
        };
        assert!(!adapter(Class::Software).is_real());
        assert!(adapter(Class::Integrated).is_real());
        assert!(Class::Discrete < Class::Integrated && Class::Other < Class::Software);
    }

    #[test]
    fn the_cpu_is_always_there_and_says_why_it_was_taken() {
        let choice = choose(Request::Cpu).unwrap();
        assert!(!choice.is_gpu);
        assert!(choice.name.starts_with("CPU ("), "{}", choice.name);
        assert_eq!(choice.granularity, 1);
    }
}
