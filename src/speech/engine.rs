//! The model's own thread.
//!
//! A model blocks for seconds, may not be shared and may panic; async code must never wait on it directly. So it is
//! loaded, used and dropped on one OS thread, and the rest of the program talks to that thread through a channel. A
//! model that panicked is thrown away, since nobody knows what state it is in, and loaded afresh.

use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};

use super::Cancel;
use super::model::{ChunkRequest, ModelError, ModelInfo, SpeechModel};

/// The wait before a failed load is tried again; doubles up to [`RELOAD_LONGEST`]. A busy GPU frees itself in seconds,
/// a missing file is put there by a person.
const RELOAD_FIRST: Duration = Duration::from_secs(1);
const RELOAD_LONGEST: Duration = Duration::from_mins(1);

/// What the thread is up to.
#[derive(Clone, Debug)]
pub enum EngineState {
    Loading,
    Ready(Arc<ModelInfo>),
    /// Why loading failed. It is tried again from time to time.
    Failed(String),
}

/// Told the finished share of a chunk, 0..1, at every token, from the model's thread.
pub type OnProgress = Arc<dyn Fn(f32) + Send + Sync>;

/// Makes the model; called on the engine's thread, again after a panic or a failed load.
pub type LoadModel = Box<dyn FnMut() -> Result<Box<dyn SpeechModel>, ModelError> + Send>;

/// A handle to the model's thread. Clones share it; the last one dropped stops and joins it.
#[derive(Clone)]
pub struct Engine {
    thread: Arc<EngineThread>,
}

impl fmt::Debug for Engine {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Engine").field("state", &*self.thread.state.borrow()).finish_non_exhaustive()
    }
}

struct EngineThread {
    /// `None` once stopped: the thread ends when the channel closes.
    orders: Mutex<Option<mpsc::Sender<Order>>>,
    state: watch::Receiver<EngineState>,
    /// Set to end a chunk that is being spoken while the engine stops.
    stop: Cancel,
    handle: Mutex<Option<JoinHandle<()>>>,
}

struct Order {
    chunk: ChunkRequest,
    cancel: Cancel,
    progress: OnProgress,
    reply: oneshot::Sender<Result<Vec<f32>, ModelError>>,
    span: tracing::Span,
}

impl Engine {
    /// Starts the thread, which loads the model at once. Returns before it is loaded.
    ///
    /// # Errors
    /// When the system has no thread to give.
    pub fn start(
        load: impl FnMut() -> Result<Box<dyn SpeechModel>, ModelError> + Send + 'static,
    ) -> std::io::Result<Self> {
        // One chunk is spoken at a time; one more waiting keeps the model busy.
        let (orders, inbox) = mpsc::channel(1);
        let (publish, state) = watch::channel(EngineState::Loading);
        let stop = Cancel::default();
        let worker = Thread { load: Box::new(load), inbox, publish, stop: stop.clone() };
        let handle = std::thread::Builder::new().name("model".to_owned()).spawn(move || worker.run())?;
        Ok(Self {
            thread: Arc::new(EngineThread {
                orders: Mutex::new(Some(orders)),
                state,
                stop,
                handle: Mutex::new(Some(handle)),
            }),
        })
    }

    /// Follows the state; the current one is there at once.
    pub fn state(&self) -> watch::Receiver<EngineState> {
        self.thread.state.clone()
    }

    /// The model's description, while it is ready.
    pub fn info(&self) -> Option<Arc<ModelInfo>> {
        match &*self.thread.state.borrow() {
            EngineState::Ready(info) => Some(Arc::clone(info)),
            EngineState::Loading | EngineState::Failed(_) => None,
        }
    }

    /// Speaks one chunk: mono samples in −1..1 at [`ModelInfo::sample_rate`]. Waits its turn, and for a model that is
    /// still loading. Dropping the future gives the turn up, but does not interrupt a chunk that is being spoken: set
    /// `cancel` for that.
    pub async fn speak(
        &self,
        chunk: ChunkRequest,
        cancel: Cancel,
        progress: OnProgress,
    ) -> Result<Vec<f32>, ModelError> {
        let stopped = || ModelError::NotLoaded("the engine has stopped".to_owned());
        let orders = lock(&self.thread.orders).clone().ok_or_else(stopped)?;
        let (reply, answer) = oneshot::channel();
        let order = Order { chunk, cancel, progress, reply, span: tracing::Span::current() };
        orders.send(order).await.map_err(|_closed| stopped())?;
        drop(orders);
        answer.await.unwrap_or_else(|_dropped| Err(stopped()))
    }

    /// Stops the thread at the next token and waits for it, at most `bound`. Whether it ended: a model that is being
    /// loaded cannot be interrupted.
    pub async fn stop(&self, bound: Duration) -> bool {
        self.thread.close();
        let thread = Arc::clone(&self.thread);
        let joined = tokio::task::spawn_blocking(move || {
            let deadline = std::time::Instant::now() + bound;
            loop {
                let finished = lock(&thread.handle).as_ref().map(JoinHandle::is_finished);
                match finished {
                    None => return true,
                    Some(true) => break,
                    Some(false) if std::time::Instant::now() >= deadline => {
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

impl EngineThread {
    fn close(&self) {
        self.stop.cancel();
        drop(lock(&self.orders).take());
    }

    fn join(&self) {
        let handle = lock(&self.handle).take();
        if let Some(handle) = handle
            && handle.join().is_err()
        {
            tracing::error!("the model's thread died outside a chunk; this is a bug");
        }
    }
}

impl Drop for EngineThread {
    fn drop(&mut self) {
        self.close();
        self.join();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // Only whole values are put in and taken out, so a panic elsewhere leaves nothing half-made.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What runs on the thread.
struct Thread {
    load: LoadModel,
    inbox: mpsc::Receiver<Order>,
    publish: watch::Sender<EngineState>,
    stop: Cancel,
}

impl Thread {
    fn run(mut self) {
        while let Some(mut model) = self.load_until_it_works() {
            self.publish.send_replace(EngineState::Ready(Arc::new(model.info().clone())));
            loop {
                let Some(order) = self.inbox.blocking_recv() else {
                    return;
                };
                if let Served::Panicked = self.serve(model.as_mut(), order) {
                    break;
                }
            }
            // Its own drop may stumble over the same broken state.
            let dropped = catch_unwind(AssertUnwindSafe(move || drop(model)));
            if dropped.is_err() {
                tracing::warn!("dropping the crashed model failed too");
            }
        }
    }

    /// `None` when the engine was told to stop first.
    fn load_until_it_works(&mut self) -> Option<Box<dyn SpeechModel>> {
        let mut pause = RELOAD_FIRST;
        loop {
            if self.stop.is_cancelled() {
                return None;
            }
            self.publish.send_replace(EngineState::Loading);
            let loaded = catch_unwind(AssertUnwindSafe(|| (self.load)()))
                .unwrap_or_else(|panic| Err(ModelError::Panicked(panic_message(&*panic))));
            match loaded {
                Ok(model) => return Some(model),
                Err(error) => {
                    tracing::error!(%error, retry_in = ?pause, "the model could not be loaded");
                    self.publish.send_replace(EngineState::Failed(error.to_string()));
                }
            }
            self.refuse_orders_for(pause)?;
            pause = (pause * 2).min(RELOAD_LONGEST);
        }
    }

    /// Answers what arrives within `pause` with the reason of the failed load. `None` when the engine stops.
    fn refuse_orders_for(&mut self, pause: Duration) -> Option<()> {
        let deadline = std::time::Instant::now() + pause;
        while std::time::Instant::now() < deadline {
            match self.inbox.try_recv() {
                Ok(order) => {
                    let reason = match &*self.publish.borrow() {
                        EngineState::Failed(reason) => reason.clone(),
                        EngineState::Loading | EngineState::Ready(_) => String::new(),
                    };
                    // A receiver that is gone needs no answer.
                    let _ = order.reply.send(Err(ModelError::NotLoaded(reason)));
                }
                // The channel has no receive with a timeout for threads; nobody is in a hurry here.
                Err(mpsc::error::TryRecvError::Empty) => std::thread::sleep(Duration::from_millis(20)),
                Err(mpsc::error::TryRecvError::Disconnected) => return None,
            }
        }
        Some(())
    }

    fn serve(&self, model: &mut dyn SpeechModel, order: Order) -> Served {
        let Order { chunk, cancel, progress, reply, span } = order;
        if reply.is_closed() {
            return Served::Answered;
        }
        if self.stop.is_cancelled() {
            cancel.cancel();
        }
        let _entered = span.entered();
        let stop = &self.stop;
        let spoken = catch_unwind(AssertUnwindSafe(|| {
            model.speak(&chunk, &cancel, &mut |share| {
                if stop.is_cancelled() {
                    cancel.cancel();
                }
                progress(share);
            })
        }));
        let (answer, served) = match spoken {
            Ok(answer) => (answer, Served::Answered),
            Err(panic) => {
                let message = panic_message(&*panic);
                tracing::error!(%message, "the model crashed and is loaded afresh");
                // Before the answer, so that nobody who heard of the crash still sees a ready engine.
                self.publish.send_replace(EngineState::Loading);
                (Err(ModelError::Panicked(message)), Served::Panicked)
            }
        };
        // A receiver that is gone needs no answer.
        let _ = reply.send(answer);
        served
    }
}

enum Served {
    Answered,
    Panicked,
}

/// What a panic said, as far as it said anything in words.
fn panic_message(panic: &(dyn Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|message| (*message).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::speech::tone::{Tone, ToneSettings};

    fn chunk(text: &str) -> ChunkRequest {
        ChunkRequest {
            text: text.to_owned(),
            voice: "hum".to_owned(),
            sampling: crate::speech::Sampling::default(),
            seed: 1,
        }
    }

    fn unheard() -> OnProgress {
        Arc::new(|_| {})
    }

    fn humming() -> Engine {
        Engine::start(|| Ok(Box::new(Tone::new(ToneSettings::default())))).unwrap()
    }

    #[tokio::test]
    async fn an_order_given_while_the_model_loads_is_answered_once_it_has_loaded() {
        let (open, gate) = std::sync::mpsc::channel::<()>();
        let engine = Engine::start(move || {
            gate.recv().unwrap();
            Ok(Box::new(Tone::new(ToneSettings::default())))
        })
        .unwrap();
        assert!(matches!(*engine.state().borrow(), EngineState::Loading));
        let speaking = engine.speak(chunk("hello"), Cancel::default(), unheard());
        open.send(()).unwrap();
        assert!(!speaking.await.unwrap().is_empty());
        assert_eq!(engine.info().unwrap().name, "tone");
    }

    #[tokio::test]
    async fn a_model_that_panics_is_loaded_afresh_and_speaks_again() {
        let loads = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let counted = Arc::clone(&loads);
        let engine = Engine::start(move || {
            counted.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            Ok(Box::new(Tone::new(ToneSettings::default())))
        })
        .unwrap();
        let crashed = engine.speak(chunk("oh [panic] no"), Cancel::default(), unheard()).await;
        assert!(matches!(crashed, Err(ModelError::Panicked(_))), "{crashed:?}");
        assert!(!engine.speak(chunk("fine"), Cancel::default(), unheard()).await.unwrap().is_empty());
        assert_eq!(loads.load(std::sync::atomic::Ordering::Relaxed), 2);
    }

    #[tokio::test]
    async fn a_model_that_cannot_be_loaded_says_why_and_refuses() {
        let engine = Engine::start(|| Err(ModelError::Device("no such adapter".to_owned()))).unwrap();
        let mut state = engine.state();
        let failed = state.wait_for(|state| matches!(state, EngineState::Failed(_))).await.unwrap().clone();
        assert!(matches!(failed, EngineState::Failed(reason) if reason.contains("no such adapter")));
        let refused = engine.speak(chunk("hello"), Cancel::default(), unheard()).await;
        assert!(matches!(refused, Err(ModelError::NotLoaded(reason)) if reason.contains("no such adapter")));
    }

    #[tokio::test]
    async fn a_turn_that_was_given_up_is_skipped() {
        let (open, gate) = std::sync::mpsc::channel::<()>();
        let engine = Engine::start(move || {
            gate.recv().unwrap();
            Ok(Box::new(Tone::new(ToneSettings::default())))
        })
        .unwrap();
        let heard = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let hears = Arc::clone(&heard);
        let mut given_up = Box::pin(engine.speak(
            chunk("nobody waits for this"),
            Cancel::default(),
            Arc::new(move |_| hears.store(true, std::sync::atomic::Ordering::Relaxed)),
        ));
        // Polled once, so that the order lies in the channel.
        assert!(futures_poll_once(given_up.as_mut()).await);
        drop(given_up);
        open.send(()).unwrap();
        engine.speak(chunk("but for this"), Cancel::default(), unheard()).await.unwrap();
        assert!(!heard.load(std::sync::atomic::Ordering::Relaxed));
    }

    /// Whether the future is still pending after one poll.
    async fn futures_poll_once<F: Future>(mut future: std::pin::Pin<&mut F>) -> bool {
        std::future::poll_fn(|context| std::task::Poll::Ready(future.as_mut().poll(context).is_pending()))
            .await
    }

    #[tokio::test]
    async fn stopping_ends_the_chunk_that_is_being_spoken_and_joins_the_thread() {
        let engine =
            Engine::start(|| Ok(Box::new(Tone::new(ToneSettings { token_pause: Duration::from_millis(2) }))))
                .unwrap();
        let (started, mut starts) = mpsc::unbounded_channel();
        let speaker = engine.clone();
        let endless = "a".repeat(100_000);
        let speaking = tokio::spawn(async move {
            let progress: OnProgress = Arc::new(move |_| {
                let _ = started.send(());
            });
            speaker.speak(chunk(&endless), Cancel::default(), progress).await
        });
        starts.recv().await.unwrap();
        assert!(engine.stop(Duration::from_secs(10)).await);
        assert!(matches!(speaking.await.unwrap(), Err(ModelError::Cancelled)));
        let after = engine.speak(chunk("hello"), Cancel::default(), unheard()).await;
        assert!(matches!(after, Err(ModelError::NotLoaded(_))));
    }

    #[tokio::test]
    async fn dropping_the_last_handle_joins_the_thread() {
        struct Witness(Tone, Arc<std::sync::atomic::AtomicBool>);
        impl Drop for Witness {
            fn drop(&mut self) {
                self.1.store(true, std::sync::atomic::Ordering::Release);
            }
        }
        impl SpeechModel for Witness {
            fn info(&self) -> &ModelInfo {
                self.0.info()
            }
            fn speak(
                &mut self,
                chunk: &ChunkRequest,
                cancel: &Cancel,
                progress: &mut dyn FnMut(f32),
            ) -> Result<Vec<f32>, ModelError> {
                self.0.speak(chunk, cancel, progress)
            }
        }
        let dropped = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let witness = Arc::clone(&dropped);
        let engine = Engine::start(move || {
            Ok(Box::new(Witness(Tone::new(ToneSettings::default()), Arc::clone(&witness))))
        })
        .unwrap();
        engine.speak(chunk("hello"), Cancel::default(), unheard()).await.unwrap();
        drop(engine);
        assert!(dropped.load(std::sync::atomic::Ordering::Acquire));
    }

    #[test]
    fn humming_needs_no_runtime_to_be_dropped() {
        drop(humming());
    }
}
