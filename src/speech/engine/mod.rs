//! The models' own thread, and the handle by which the rest of the program talks to it.
//!
//! A model blocks for seconds, may not be shared and may panic; async code must never wait on it directly. So models are
//! loaded, used and dropped on one OS thread: two never compute at once, several may lie in memory. Whoever speaks holds a
//! [`Lease`], and a leased model stays until the lease ends, whatever else is loaded or unloaded meanwhile.

mod memory;
mod meters;
mod plan;
mod residents;
mod state;
#[cfg(test)]
mod tests;
mod thread;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::{oneshot, watch};

use super::Cancel;
use super::catalog::{Catalog, UnknownModel};
use super::model::{ChunkRequest, ConversionRequest, ModelError, ModelInfo, Take};
use meters::Meters;
pub use state::{ModelState, ModelStatus, States};
use thread::{Order, Thread};

/// How long an order to unload waits to hear that it was done.
const UNLOAD_PATIENCE: Duration = Duration::from_secs(1);

/// Told the finished share of a chunk, 0..1, at every token, from the models' thread.
pub type OnProgress = Arc<dyn Fn(f32) + Send + Sync>;

/// Given the samples of a chunk as they come, from the models' thread.
pub type OnBlock = Arc<dyn Fn(&[f32]) + Send + Sync>;

/// What may stay in memory, and for how long; `model` in config.yaml.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EngineSettings {
    /// Bytes that all models together may take; `None` leaves it to the machine.
    pub memory_bytes: Option<u64>,
    /// A model that was not used for this long is unloaded; `None` keeps it.
    pub unload_after: Option<Duration>,
}

impl EngineSettings {
    /// Bytes that all models together may take now, of which `resident` are taken.
    pub fn budget(&self, resident: u64) -> u64 {
        self.memory_bytes.unwrap_or_else(|| memory::automatic_budget(resident))
    }
}

/// Why there is no lease on a model.
#[derive(Clone, Debug, thiserror::Error)]
pub enum LeaseError {
    #[error(transparent)]
    Unknown(#[from] UnknownModel),
    #[error("the model {model} could not be loaded: {reason}")]
    NotNow {
        model: String,
        reason: String,
        /// Trying sooner is pointless.
        retry_in: Duration,
    },
    #[error("the engine has stopped")]
    Stopped,
}

/// What became of a wish to unload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unloading {
    /// It is not in memory, now or since before.
    Done,
    /// Once the job that it speaks has ended.
    Later,
}

/// A handle to the models' thread. Clones share it; the last one dropped stops and joins it.
#[derive(Clone)]
pub struct Engine {
    thread: Arc<EngineThread>,
    catalog: Catalog,
    settings: EngineSettings,
}

impl fmt::Debug for Engine {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Engine")
            .field("states", &*self.thread.states.borrow())
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

struct EngineThread {
    /// `None` once stopped: the thread ends when the channel closes.
    orders: Mutex<Option<mpsc::Sender<Order>>>,
    states: watch::Receiver<States>,
    meters: Arc<Meters>,
    /// Set to end a chunk that is being spoken while the engine stops.
    stop: Cancel,
    handle: Mutex<Option<JoinHandle<()>>>,
}

impl Engine {
    /// Starts the thread, which loads the catalog's default model at once so that the first request does not wait, and
    /// tries again if that fails. Returns before it is loaded.
    ///
    /// # Errors
    /// When the system has no thread to give.
    pub fn start(catalog: Catalog, settings: EngineSettings) -> std::io::Result<Self> {
        // Speaking is bounded by the leases, so the channel need not be.
        let (orders, inbox) = mpsc::channel();
        let stop = Cancel::default();
        let meters = Arc::new(Meters::default());
        let (worker, states) =
            Thread::new(catalog.clone(), settings, Arc::clone(&meters), inbox, stop.clone());
        let handle = std::thread::Builder::new().name("models".to_owned()).spawn(move || worker.run())?;
        let (orders, handle) = (Mutex::new(Some(orders)), Mutex::new(Some(handle)));
        let thread = EngineThread { orders, states, meters, stop, handle };
        Ok(Self { thread: Arc::new(thread), catalog, settings })
    }

    pub fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    pub fn settings(&self) -> EngineSettings {
        self.settings
    }

    /// Follows how the models are doing; the current states are there at once.
    pub fn states(&self) -> watch::Receiver<States> {
        self.thread.states.clone()
    }

    /// How one model is doing now.
    pub fn status_of(&self, model: &str) -> ModelStatus {
        self.thread.states.borrow().of(model)
    }

    /// The right to speak with a model, which is loaded first where it is not. Waits for that, and for a model in use that
    /// it cannot lie beside. Dropping the future gives the wish up; a load that has begun goes on.
    pub async fn lease(&self, model: &str) -> Result<Lease, LeaseError> {
        let info = Arc::new(self.catalog.find(model)?);
        let resident = info.name.clone();
        self.lease_as(info, resident).await
    }

    /// [`Self::lease`] on the device that the model falls back to when its own has failed; on its own where it has none.
    pub async fn lease_fallback(&self, model: &str) -> Result<Lease, LeaseError> {
        let info = Arc::new(self.catalog.find(model)?);
        let resident = self.catalog.fallback_of(&info.name).unwrap_or_else(|| info.name.clone());
        self.lease_as(info, resident).await
    }

    async fn lease_as(&self, info: Arc<ModelInfo>, resident: String) -> Result<Lease, LeaseError> {
        let (reply, answer) = oneshot::channel();
        if !self.thread.order(Order::Lease { model: resident.clone(), reply }) {
            return Err(LeaseError::Stopped);
        }
        // Made before the answer: whatever happens to this future, the thread hears of the end of the lease it counts.
        let lease = Lease { engine: self.clone(), info, resident };
        answer.await.unwrap_or(Err(LeaseError::Stopped))?;
        Ok(lease)
    }

    /// Loads a model in the background, also one whose last load failed a moment ago. [`Self::states`] tells how it went.
    ///
    /// # Errors
    /// When there is no such model.
    pub fn load(&self, model: &str) -> Result<(), UnknownModel> {
        let model = self.catalog.find(model)?.name;
        // An engine that has stopped loads nothing, and nobody is left to see it.
        let _ = self.thread.order(Order::Load { model });
        Ok(())
    }

    /// Takes a model out of memory: at once, or when the job that it speaks has ended. Does not wait for that.
    pub async fn unload(&self, model: &str) -> Unloading {
        let (reply, answer) = oneshot::channel();
        if !self.thread.order(Order::Unload { model: model.to_owned(), reply }) {
            return Unloading::Done;
        }
        match tokio::time::timeout(UNLOAD_PATIENCE, answer).await {
            Ok(answer) => answer.unwrap_or(Unloading::Done),
            // A chunk is being spoken; the order is kept.
            Err(_elapsed) => Unloading::Later,
        }
    }

    /// Stops the thread at the next token and waits for it, at most `bound`. Whether it ended: a model that is being
    /// loaded cannot be interrupted.
    pub async fn stop(&self, bound: Duration) -> bool {
        self.thread.close();
        let thread = Arc::clone(&self.thread);
        let joined = tokio::task::spawn_blocking(move || {
            let deadline = Instant::now() + bound;
            loop {
                let finished = lock(&thread.handle).as_ref().map(JoinHandle::is_finished);
                match finished {
                    None => return true,
                    Some(true) => break,
                    Some(false) if Instant::now() >= deadline => {
                        // Dropping the handle detaches: the process is about to end and must not hang here.
                        drop(lock(&thread.handle).take());
                        return false;
                    }
                    Some(false) => std::thread::sleep(Duration::from_millis(5)),
                }
            }
            thread.join();
            true
        });
        joined.await.unwrap_or(false)
    }
}

/// The right to speak with a loaded model, which stays loaded until this is dropped.
#[derive(Debug)]
pub struct Lease {
    engine: Engine,
    info: Arc<ModelInfo>,
    /// Under which name the thread keeps it: its own, or that of the one on the fallback device.
    resident: String,
}

impl Lease {
    /// The model as it was when the lease began.
    pub fn info(&self) -> &Arc<ModelInfo> {
        &self.info
    }

    /// Says what will be spoken after the next chunk, so that the model may work ahead. Does not wait.
    pub fn expect(&self, next: Vec<ChunkRequest>) {
        // A thread that has stopped needs no telling.
        let _ = self.engine.thread.order(Order::Expect { model: self.resident.clone(), next });
    }

    /// Speaks one chunk. Waits its turn, and for a model that is
    /// loaded afresh after a crash. Dropping the future gives the turn up, but does not interrupt a chunk that is being
    /// spoken: set `cancel` for that.
    pub async fn speak(
        &self,
        chunk: ChunkRequest,
        cancel: Cancel,
        progress: OnProgress,
    ) -> Result<Take, ModelError> {
        self.speak_to(None, chunk, cancel, progress).await
    }

    /// [`Self::speak`], in blocks for `listener` if there is one.
    pub async fn speak_to(
        &self,
        listener: Option<OnBlock>,
        chunk: ChunkRequest,
        cancel: Cancel,
        progress: OnProgress,
    ) -> Result<Take, ModelError> {
        let stopped = || ModelError::NotLoaded("the engine has stopped".to_owned());
        let (reply, answer) = oneshot::channel();
        let model = self.resident.clone();
        let (chunk, span) = (Box::new(chunk), tracing::Span::current());
        if !self.engine.thread.order(Order::Speak { model, chunk, cancel, progress, listener, reply, span }) {
            return Err(stopped());
        }
        answer.await.unwrap_or_else(|_dropped| Err(stopped()))
    }
}

impl Lease {
    /// Says a recording again in another voice; waits and gives up as [`Self::speak`] does.
    pub async fn convert(
        &self,
        recording: ConversionRequest,
        cancel: Cancel,
        progress: OnProgress,
    ) -> Result<Vec<f32>, ModelError> {
        let stopped = || ModelError::NotLoaded("the engine has stopped".to_owned());
        let (reply, answer) = oneshot::channel();
        let model = self.resident.clone();
        let (recording, span) = (Box::new(recording), tracing::Span::current());
        if !self.engine.thread.order(Order::Convert { model, recording, cancel, progress, reply, span }) {
            return Err(stopped());
        }
        answer.await.unwrap_or_else(|_dropped| Err(stopped()))
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        // What was begun ahead of a job that has ended is of no use to the next.
        self.expect(Vec::new());
        // A thread that has stopped keeps no accounts.
        let _ = self.engine.thread.order(Order::Release { model: self.resident.clone() });
    }
}

impl EngineThread {
    /// Whether the thread is still there to obey.
    fn order(&self, order: Order) -> bool {
        lock(&self.orders).as_ref().is_some_and(|orders| orders.send(order).is_ok())
    }

    fn close(&self) {
        self.stop.cancel();
        drop(lock(&self.orders).take());
    }

    fn join(&self) {
        let handle = lock(&self.handle).take();
        if let Some(handle) = handle
            && handle.join().is_err()
        {
            tracing::error!("the models' thread died outside a chunk; this is a bug");
        }
    }
}

impl Drop for EngineThread {
    fn drop(&mut self) {
        self.close();
        self.join();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Only whole values are put in and taken out, so a panic elsewhere leaves nothing half-made.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
