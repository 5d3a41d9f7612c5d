//! The engine from outside: what a lease gives, and what loading one model does to the others.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::*;
use crate::speech::catalog::{AUTO, Offer};
use crate::speech::model::{Loaded, SpeechModel, Take};
use crate::speech::tone::{self, Tone, ToneSettings};
use crate::voices::testing::library;

const BOUND: Duration = Duration::from_secs(20);

fn chunk(text: &str) -> ChunkRequest {
    ChunkRequest {
        text: text.to_owned(),
        voice: "hum".to_owned(),
        language: None,
        sampling: crate::speech::Sampling::default(),
        seed: 1,
    }
}

fn unheard() -> OnProgress {
    Arc::new(|_| {})
}

/// A humming model of this name and size, which `before` may delay, refuse or count.
fn offer(
    name: &str,
    megabytes: u64,
    before: impl Fn() -> Result<(), ModelError> + Send + Sync + 'static,
) -> Offer {
    let info = ModelInfo { name: name.to_owned(), memory_bytes: megabytes << 20, ..tone::info() };
    let bytes = info.memory_bytes;
    Offer::new(info, move || {
        before()?;
        Ok(Box::new(Sized { tone: Tone::new(ToneSettings::default()), bytes }))
    })
}

fn willing(name: &str, megabytes: u64) -> Offer {
    offer(name, megabytes, || Ok(()))
}

/// A tone that says how large it is.
struct Sized {
    tone: Tone,
    bytes: u64,
}

impl SpeechModel for Sized {
    fn loaded(&self) -> Loaded {
        Loaded { resident_bytes: self.bytes, ..self.tone.loaded() }
    }

    fn speak(
        &mut self,
        chunk: &ChunkRequest,
        cancel: &Cancel,
        progress: &mut dyn FnMut(f32),
    ) -> Result<Take, ModelError> {
        self.tone.speak(chunk, cancel, progress)
    }
}

/// The first model is loaded at the start.
fn engine(offers: Vec<Offer>) -> Engine {
    engine_with(offers, EngineSettings::default())
}

fn engine_with(offers: Vec<Offer>, settings: EngineSettings) -> Engine {
    let (_folder, library) = library();
    Engine::start(Catalog::new(AUTO, library, offers), settings).unwrap()
}

async fn state(engine: &Engine, model: &str, wanted: &str) -> ModelState {
    let mut states = engine.states();
    let reached = states.wait_for(|states| states.of(model).state.as_str() == wanted);
    let states = tokio::time::timeout(BOUND, reached).await;
    states.unwrap_or_else(|_| panic!("{model} never became {wanted}")).unwrap().of(model).state
}

fn why(state: ModelState) -> String {
    let ModelState::Unloaded { why } = state else { panic!("{state:?}") };
    why.unwrap_or_default()
}

/// Holds a load back until it is opened, or the test has ended.
fn gated(name: &str) -> (mpsc::Sender<()>, Offer) {
    let (open, gate) = mpsc::channel::<()>();
    let gate = Mutex::new(gate);
    let offer = offer(name, 1, move || {
        let _ = gate.lock().unwrap().recv();
        Ok(())
    });
    (open, offer)
}

#[tokio::test]
async fn a_lease_wished_for_while_the_model_loads_is_granted_once_it_has_loaded() {
    let (open, offer) = gated("slow");
    let engine = engine(vec![offer]);
    assert!(matches!(engine.status_of("slow").state, ModelState::Loading));
    let wish = tokio::spawn({
        let engine = engine.clone();
        async move { engine.lease("slow").await }
    });
    open.send(()).unwrap();
    let lease = wish.await.unwrap().unwrap();
    assert!(!lease.speak(chunk("hello"), Cancel::default(), unheard()).await.unwrap().samples.is_empty());
    assert!(engine.status_of("slow").in_use);
    drop(lease);
    state(&engine, "slow", "ready").await;
}

#[tokio::test]
async fn a_model_is_loaded_when_it_is_first_needed_and_the_others_stay() {
    let engine = engine(vec![willing("a", 1), willing("b", 1)]);
    state(&engine, "a", "ready").await;
    assert_eq!(engine.status_of("b").state.as_str(), "unloaded");
    let lease = engine.lease("B").await.unwrap();
    assert_eq!(lease.info().name, "b");
    assert!(!lease.speak(chunk("hello"), Cancel::default(), unheard()).await.unwrap().samples.is_empty());
    assert_eq!(engine.status_of("a").state.as_str(), "ready");
}

#[tokio::test]
async fn an_unknown_model_is_told_apart_from_one_that_cannot_be_loaded_now() {
    let engine = engine(vec![offer("broken", 1, || Err(ModelError::NotLoaded("no weights".to_owned())))]);
    let unknown = engine.lease("choir").await.unwrap_err();
    assert!(matches!(unknown, LeaseError::Unknown(_)), "{unknown:?}");
    let broken = engine.lease("broken").await.unwrap_err();
    let LeaseError::NotNow { reason, retry_in, .. } = &broken else { panic!("{broken:?}") };
    assert_eq!(reason, "no weights");
    assert!(*retry_in > Duration::ZERO && *retry_in <= Duration::from_secs(1), "{retry_in:?}");
    assert_eq!(broken.to_string(), "the model broken could not be loaded: no weights");
}

#[tokio::test]
async fn a_failed_load_leaves_the_others_serving_and_is_tried_again_by_hand_at_once() {
    let loads = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&loads);
    let stubborn = offer("stubborn", 1, move || match counted.fetch_add(1, Ordering::Relaxed) {
        0 => panic!("a corrupt file"),
        _ => Ok(()),
    });
    let engine = engine(vec![willing("a", 1), stubborn]);
    let lease = engine.lease("a").await.unwrap();
    let failed = engine.lease("stubborn").await.unwrap_err().to_string();
    assert!(failed.contains("a corrupt file"), "{failed}");
    assert!(
        !lease.speak(chunk("still here"), Cancel::default(), unheard()).await.unwrap().samples.is_empty()
    );
    engine.lease("stubborn").await.unwrap_err();
    assert_eq!(loads.load(Ordering::Relaxed), 1, "not before its time");
    engine.load("stubborn").unwrap();
    state(&engine, "stubborn", "ready").await;
}

#[tokio::test]
async fn the_default_model_is_tried_again_by_itself() {
    let loads = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&loads);
    let engine = engine(vec![offer("late", 1, move || match counted.fetch_add(1, Ordering::Relaxed) {
        0 => Err(ModelError::Device("busy".to_owned())),
        _ => Ok(()),
    })]);
    let ModelState::Failed { reason, .. } = state(&engine, "late", "failed").await else { panic!() };
    assert!(reason.contains("busy"), "{reason}");
    state(&engine, "late", "ready").await;
    assert_eq!(loads.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn a_model_that_panics_goes_alone_and_is_loaded_afresh() {
    let loads = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&loads);
    let fragile = offer("fragile", 1, move || {
        counted.fetch_add(1, Ordering::Relaxed);
        Ok(())
    });
    let engine = engine(vec![fragile, willing("other", 1)]);
    let (lease, _other) = (engine.lease("fragile").await.unwrap(), engine.lease("other").await.unwrap());
    let crashed = lease.speak(chunk("oh [panic] no"), Cancel::default(), unheard()).await;
    assert!(matches!(crashed, Err(ModelError::Panicked(_))), "{crashed:?}");
    assert!(why(engine.status_of("fragile").state).starts_with("it crashed: "));
    assert_eq!(engine.status_of("other").state.as_str(), "ready");
    assert!(!lease.speak(chunk("fine"), Cancel::default(), unheard()).await.unwrap().samples.is_empty());
    assert_eq!(loads.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn over_the_budget_the_least_recently_used_goes_and_says_for_whom() {
    let settings = EngineSettings { memory_bytes: Some(3 << 20), unload_after: None };
    let engine = engine_with(vec![willing("a", 1), willing("b", 1), willing("c", 2)], settings);
    drop(engine.lease("a").await.unwrap());
    drop(engine.lease("b").await.unwrap());
    drop(engine.lease("a").await.unwrap());
    drop(engine.lease("c").await.unwrap());
    assert_eq!(engine.status_of("a").state.as_str(), "ready");
    assert_eq!(why(engine.status_of("b").state), "it made room for c: both do not fit in 3 MB");
    drop(engine.lease("b").await.unwrap());
    assert_eq!(engine.status_of("b").state.as_str(), "ready", "it comes back when it is needed");
    assert_eq!(engine.status_of("a").state.as_str(), "unloaded");
}

#[tokio::test]
async fn a_model_in_use_is_finished_with_before_one_that_does_not_fit_beside_it_comes() {
    let settings = EngineSettings { memory_bytes: Some(3 << 20), unload_after: None };
    let engine = engine_with(vec![willing("a", 2), willing("b", 2)], settings);
    let lease = engine.lease("a").await.unwrap();
    let wish = tokio::spawn({
        let engine = engine.clone();
        async move { engine.lease("b").await.map(|lease| lease.info().name.clone()) }
    });
    let waits = tokio::time::timeout(BOUND, async {
        let mut states = engine.states();
        let waiting =
            |states: &States| matches!(&states.of("b").state, ModelState::Unloaded { why: Some(_) });
        states.wait_for(waiting).await.unwrap().of("b").state
    });
    assert_eq!(why(waits.await.unwrap()), "it waits until a is no longer in use: both do not fit in memory");
    assert!(
        !lease.speak(chunk("to the end"), Cancel::default(), unheard()).await.unwrap().samples.is_empty()
    );
    assert!(!wish.is_finished());
    drop(lease);
    assert_eq!(wish.await.unwrap().unwrap(), "b");
    assert_eq!(engine.status_of("a").state.as_str(), "unloaded");
}

#[tokio::test]
async fn a_wish_that_was_given_up_while_it_waited_is_forgotten() {
    let settings = EngineSettings { memory_bytes: Some(3 << 20), unload_after: None };
    let engine = engine_with(vec![willing("a", 2), willing("b", 2)], settings);
    let lease = engine.lease("a").await.unwrap();
    assert!(tokio::time::timeout(Duration::from_millis(50), engine.lease("b")).await.is_err());
    drop(lease);
    // Answered behind the release, so the wish had its chance.
    drop(engine.lease("a").await.unwrap());
    assert_eq!(engine.status_of("a").state.as_str(), "ready");
    assert!(!engine.status_of("b").in_use);
}

#[tokio::test]
async fn an_idle_model_is_unloaded_after_its_time_and_comes_back() {
    let settings = EngineSettings { memory_bytes: None, unload_after: Some(Duration::from_millis(60)) };
    let engine = engine_with(vec![willing("a", 1)], settings);
    let lease = engine.lease("a").await.unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(engine.status_of("a").state.as_str(), "ready", "a lease keeps it");
    assert_eq!(engine.status_of("a").idle(), None);
    let started = Instant::now();
    drop(lease);
    assert!(why(state(&engine, "a", "unloaded").await).starts_with("it was not used for"));
    assert!(started.elapsed() >= Duration::from_millis(55), "{:?}", started.elapsed());
    drop(engine.lease("a").await.unwrap());
    assert_eq!(engine.status_of("a").state.as_str(), "ready");
}

#[tokio::test]
async fn unloading_by_hand_waits_for_the_job_in_hand() {
    let engine = engine(vec![willing("a", 1)]);
    let lease = engine.lease("a").await.unwrap();
    assert_eq!(engine.unload("a").await, Unloading::Later);
    assert!(
        !lease.speak(chunk("to the end"), Cancel::default(), unheard()).await.unwrap().samples.is_empty()
    );
    drop(lease);
    assert_eq!(why(state(&engine, "a", "unloaded").await), "it was unloaded on request");
    assert_eq!(engine.unload("a").await, Unloading::Done);
    drop(engine.lease("a").await.unwrap());
    assert_eq!(engine.unload("a").await, Unloading::Done);
    assert_eq!(engine.status_of("a").state.as_str(), "unloaded");
}

#[tokio::test]
async fn a_turn_that_was_given_up_is_skipped() {
    let (open, slow) = gated("slow");
    let engine = engine(vec![willing("a", 1), slow]);
    let lease = engine.lease("a").await.unwrap();
    // Keeps the thread busy until the gate opens.
    engine.load("slow").unwrap();
    let heard = Arc::new(AtomicBool::new(false));
    let hears = Arc::clone(&heard);
    let mut given_up = Box::pin(lease.speak(
        chunk("nobody waits for this"),
        Cancel::default(),
        Arc::new(move |_| hears.store(true, Ordering::Relaxed)),
    ));
    // Polled once, so that the order lies in the channel.
    assert!(is_pending(given_up.as_mut()).await);
    drop(given_up);
    open.send(()).unwrap();
    lease.speak(chunk("but for this"), Cancel::default(), unheard()).await.unwrap();
    assert!(!heard.load(Ordering::Relaxed));
}

/// Whether the future is still pending after one poll.
async fn is_pending<F: Future>(mut future: std::pin::Pin<&mut F>) -> bool {
    std::future::poll_fn(|context| std::task::Poll::Ready(future.as_mut().poll(context).is_pending())).await
}

#[tokio::test]
async fn stopping_ends_the_chunk_that_is_being_spoken_and_joins_the_thread() {
    let slow = Offer::new(tone::info(), || {
        Ok(Box::new(Tone::new(ToneSettings { token_pause: Duration::from_millis(2) })))
    });
    let engine = engine(vec![slow]);
    let lease = Arc::new(engine.lease("tone").await.unwrap());
    let (started, mut starts) = tokio::sync::mpsc::unbounded_channel();
    let endless = "a".repeat(100_000);
    let speaking = tokio::spawn({
        let lease = Arc::clone(&lease);
        async move {
            let progress: OnProgress = Arc::new(move |_| {
                let _ = started.send(());
            });
            lease.speak(chunk(&endless), Cancel::default(), progress).await
        }
    });
    starts.recv().await.unwrap();
    assert!(engine.stop(BOUND).await);
    assert!(matches!(speaking.await.unwrap(), Err(ModelError::Cancelled)));
    let after = lease.speak(chunk("hello"), Cancel::default(), unheard()).await;
    assert!(matches!(after, Err(ModelError::NotLoaded(_))), "{after:?}");
    let after = engine.lease("tone").await;
    assert!(matches!(after, Err(LeaseError::Stopped)), "{after:?}");
}

#[tokio::test]
async fn dropping_the_last_handle_drops_the_models_and_joins_the_thread() {
    struct Witness(Tone, Arc<AtomicBool>);
    impl Drop for Witness {
        fn drop(&mut self) {
            self.1.store(true, Ordering::Release);
        }
    }
    impl SpeechModel for Witness {
        fn loaded(&self) -> Loaded {
            self.0.loaded()
        }
        fn speak(
            &mut self,
            chunk: &ChunkRequest,
            cancel: &Cancel,
            progress: &mut dyn FnMut(f32),
        ) -> Result<Take, ModelError> {
            self.0.speak(chunk, cancel, progress)
        }
    }
    let dropped = Arc::new(AtomicBool::new(false));
    let witness = Arc::clone(&dropped);
    let offer = Offer::new(tone::info(), move || {
        Ok(Box::new(Witness(Tone::new(ToneSettings::default()), Arc::clone(&witness))))
    });
    let engine = engine(vec![offer]);
    let lease = engine.lease("tone").await.unwrap();
    drop(engine);
    assert!(!dropped.load(Ordering::Acquire), "a lease is a handle too");
    drop(lease);
    assert!(dropped.load(Ordering::Acquire));
}

#[test]
fn an_engine_needs_no_runtime_to_be_dropped() {
    drop(engine(vec![willing("a", 1)]));
}
