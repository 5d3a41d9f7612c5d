//! `declaim serve`: opens the parts, says where it listens, and stops in order when it is told to.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::place::Place;
use super::signals::stop_signal;
use super::{CliError, say_line};
use crate::app::{App, AppSettings};
use crate::config::{Settings, Wyoming, is_loopback};
use crate::files::network::{Foreign, foreign};
use crate::http::{self, Context};
use crate::jobs::QueueSettings;
use crate::jobs::webhooks::WebhookSettings;
use crate::models::Models;
use crate::speech::catalog::{self, Catalog};
use crate::speech::engine::{Engine, EngineSettings, ModelState};
use crate::voices::{Library, Limits};
use crate::wyoming;

/// Threads for work that waits for a disk or a processor, beside those of clients that wait for sound.
const FILE_THREADS: usize = 64;

#[derive(Clone, Debug, Default, PartialEq, clap::Args)]
pub(super) struct ServeArgs {
    /// Address to listen on; 0.0.0.0 serves the whole network [default: 127.0.0.1]
    #[arg(long, value_name = "ADDRESS")]
    pub(super) host: Option<String>,
    /// TCP port, 0 for any free one [default: 8004]
    #[arg(long, value_name = "NUMBER")]
    pub(super) port: Option<u16>,
    /// Model to speak with [default: auto, the best installed one]
    #[arg(long, value_name = "NAME")]
    pub(super) model: Option<String>,
    /// Device to run it on: auto, cpu, gpu, or a graphics API such as vulkan [default: auto]
    #[arg(long, value_name = "NAME")]
    pub(super) device: Option<String>,
}

impl ServeArgs {
    fn flags(self) -> Vec<(&'static str, Value)> {
        let given = [
            ("server.host", self.host.map(Value::from)),
            ("server.port", self.port.map(Value::from)),
            ("model.name", self.model.map(Value::from)),
            ("tts_engine.device", self.device.map(Value::from)),
        ];
        given.into_iter().filter_map(|(key, value)| Some((key, value?))).collect()
    }
}

pub(super) fn run(place: &Place, arguments: ServeArgs) -> Result<(), CliError> {
    place.start_log("info")?;
    let settings = place.settings(arguments.flags())?;
    let data_dir = place.data_dir()?;
    check_disk(&data_dir, settings.job_queue.allow_network_disk)?;
    let models = place.models(&settings)?;
    // Whoever waits for sound may hold a thread; files need some beside those.
    let threads = settings.limits.max_waiting_requests + FILE_THREADS;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .max_blocking_threads(threads)
        .enable_all()
        .build()
        .map_err(CliError::Runtime)?;
    let requires_keys = settings.requires_keys();
    if requires_keys
        && let Wyoming { enabled: true, without_keys: false, host, port, .. } = &settings.wyoming
        && !is_loopback(host)
    {
        return Err(CliError::OpenWyoming { host: host.clone(), port: *port });
    }
    runtime.block_on(async {
        // Before anything is touched: a server that cannot be reached must not take up jobs.
        let listener = listen(&settings.server.host, settings.server.port).await?;
        let wyoming = match &settings.wyoming {
            Wyoming { enabled: true, host, port, .. } => Some(listen(host, *port).await?),
            Wyoming { enabled: false, .. } => None,
        };
        let address = listener.local_addr().map_err(CliError::Serve)?;
        let url = format!("http://{address}");
        let app = App::open(AppSettings {
            data_dir: data_dir.clone(),
            queue: QueueSettings::from(&settings),
            webhooks: WebhookSettings::from(&settings),
            engine: EngineSettings {
                memory_bytes: settings.model.memory_bytes,
                unload_after: settings.model.unload_after,
            },
            catalog: Catalog::installed(&settings, &models, library(&settings, &data_dir)),
        })
        .await?;
        let stop_signal = stop_signal();
        tracing::info!(data = %data_dir.display(), version = env!("CARGO_PKG_VERSION"), "started");
        say_line(&format!("listening on {url}"));
        if let Some(listener) = &wyoming {
            say_line(&format!(
                "listening on tcp://{} for Wyoming",
                listener.local_addr().map_err(CliError::Serve)?
            ));
        }
        if requires_keys && app.jobs.has_no_key().await? {
            say_line(&no_key(&data_dir));
        }
        let announcing = tokio::spawn(announce(app.engine.clone(), public_url(address)));
        let following =
            tokio::spawn(follow_models(app.engine.catalog().clone(), models.clone(), settings.clone()));

        let bound = settings.server.shutdown;
        let stop = CancellationToken::new();
        let context =
            Context::new(app.jobs.clone(), app.engine.clone(), models, Arc::new(settings), &data_dir);
        let voices =
            wyoming.map(|listener| tokio::spawn(wyoming::serve(listener, context.clone(), stop.clone())));
        let stopping = stop.clone();
        let served = http::serve(listener, context, async move {
            stop_signal.await;
            tracing::info!("stopping");
            stopping.cancel();
        })
        .await;
        if let Some(voices) = voices {
            stop.cancel();
            // What panicked there has been logged, and the server stops either way.
            let _ = voices.await;
        }
        announcing.abort();
        following.abort();
        app.shutdown(bound).await;
        tracing::info!("stopped");
        served.map_err(CliError::Serve)
    })
}

/// A disk of this machine, or a warning, or a refusal.
fn check_disk(data_dir: &Path, is_allowed: bool) -> Result<(), CliError> {
    match foreign(data_dir) {
        None => {}
        Some(Foreign { kind, is_shared: true }) if !is_allowed => {
            return Err(CliError::NetworkDisk { path: data_dir.to_owned(), kind });
        }
        Some(Foreign { kind, .. }) => tracing::warn!(
            data = %data_dir.display(),
            kind,
            "the data directory is not on a disk of this machine: locks may fail, and what was synced may be lost"
        ),
    }
    Ok(())
}

/// What to type first on a server that asks for keys.
fn no_key(data_dir: &Path) -> String {
    format!(
        "This server asks for keys, and there is none yet, so it refuses every request. Make one with:\n\n    \
         declaim keys create --name admin --scope admin --data '{}'\n\n\
         It holds at once. (auth.keys: off asks nobody, where a proxy does.)",
        data_dir.display()
    )
}

async fn listen(host: &str, port: u16) -> Result<TcpListener, CliError> {
    TcpListener::bind((host, port)).await.map_err(|source| {
        let address = format!("{host}:{port}");
        match source.kind() {
            io::ErrorKind::AddrInUse => CliError::AddressInUse { address },
            _ => CliError::Listen { address, source },
        }
    })
}

/// Says that it is ready, once, when the default model is. Until then jobs are accepted and wait.
async fn announce(engine: Engine, url: String) {
    let Ok(info) = engine.catalog().default_model() else { return };
    let mut states = engine.states();
    let ready =
        states.wait_for(|states| matches!(states.of(&info.name).state, ModelState::Ready { .. })).await;
    if let Ok(states) = ready
        && let ModelState::Ready { loaded, .. } = states.of(&info.name).state
    {
        say_line(&format!("declaim is ready: {url} (model {}, {})", info.name, loaded.device));
    }
}

/// Offers what is installed while the server runs, by its own pulls or by another process, and no longer what is removed.
async fn follow_models(catalog: Catalog, models: Models, settings: Settings) {
    const INTERVAL: Duration = Duration::from_secs(2);
    let mut known = models.installed_now();
    loop {
        tokio::time::sleep(INTERVAL).await;
        let looking = (models.clone(), settings.clone(), catalog.clone(), known.clone());
        let looked = tokio::task::spawn_blocking(move || {
            let (models, settings, catalog, known) = looking;
            let now = models.installed_now();
            if now != known {
                catalog.replace(catalog::offers(&settings, &models, catalog.library()));
                tracing::info!(models = now.join(", "), "the installed models have changed");
            }
            now
        });
        if let Ok(now) = looked.await {
            known = now;
        }
    }
}

/// An address that a browser on this machine can open: 0.0.0.0 is none.
fn public_url(address: SocketAddr) -> String {
    if address.ip().is_unspecified() {
        format!("http://localhost:{}", address.port())
    } else {
        format!("http://{address}")
    }
}

/// The clips of a data directory.
pub(super) fn library(settings: &Settings, data_dir: &Path) -> Library {
    let voices = &settings.voices;
    let limits = Limits {
        max_clip_bytes: voices.max_clip_bytes,
        max_clip_sec: voices.max_clip_sec,
        max_voices: voices.max_voices,
    };
    Library::open(data_dir, limits)
}

/// The model and device that a command without a server uses.
pub(super) fn model_flags(
    model: Option<String>,
    device: Option<String>,
    precision: Option<String>,
) -> Vec<(&'static str, Value)> {
    let mut flags = Vec::new();
    flags.extend(model.map(|name| ("model.name", json!(name))));
    flags.extend(device.map(|name| ("tts_engine.device", json!(name))));
    flags.extend(precision.map(|name| ("model.precision", json!(name))));
    flags
}
