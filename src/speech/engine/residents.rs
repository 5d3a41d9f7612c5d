//! The models in memory: who is there, who is in use, what loading and letting go do. Lives on the models' thread.
//!
//! A model that panicked is thrown away, since nobody knows what state it is in, and loaded afresh when it is needed; the
//! others stay. A failed load leaves everything else as it was.

use std::any::Any;
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::meters::Meters;
use super::plan::{Plan, Resident, plan};
use super::state::{ModelState, States};
use super::{EngineSettings, LeaseError, OnBlock, OnProgress, Unloading};
use crate::speech::Cancel;
use crate::speech::catalog::Catalog;
use crate::speech::model::{ChunkRequest, ConversionRequest, ModelError, SpeechModel, Take};

/// The wait before a failed load is tried again; doubles up to [`RELOAD_LONGEST`]. A busy GPU frees itself in seconds,
/// a missing file is put there by a person.
const RELOAD_FIRST: Duration = Duration::from_secs(1);
const RELOAD_LONGEST: Duration = Duration::from_mins(1);

/// A model in memory.
struct Held {
    model: Box<dyn SpeechModel>,
    bytes: u64,
    used_at: Instant,
    /// Somebody asked for it to go while it was in use.
    unload_when_free: bool,
}

/// A load that failed.
struct Failure {
    reason: String,
    retry_at: Instant,
    pause: Duration,
}

/// Why a model is not there after all.
pub(super) enum Missing {
    /// It fits only without this one, which is in use.
    Waits {
        on: String,
    },
    Failed(LeaseError),
}

pub(super) struct Residents {
    catalog: Catalog,
    settings: EngineSettings,
    publish: watch::Sender<States>,
    meters: Arc<Meters>,
    stop: Cancel,
    held: HashMap<String, Held>,
    /// How many hold or await a lease, by model.
    leases: HashMap<String, usize>,
    failures: HashMap<String, Failure>,
}

impl Residents {
    /// Nobody is in memory. `publish` is told of every change.
    pub(super) fn new(
        catalog: Catalog,
        settings: EngineSettings,
        publish: watch::Sender<States>,
        meters: Arc<Meters>,
        stop: Cancel,
    ) -> Self {
        let (held, leases, failures) = (HashMap::new(), HashMap::new(), HashMap::new());
        Self { catalog, settings, publish, meters, stop, held, leases, failures }
    }

    /// Counts a lease; the model need not be there yet.
    pub(super) fn begin_use(&mut self, name: &str) {
        *self.leases.entry(name.to_owned()).or_default() += 1;
        self.show_use(name);
    }

    /// Ends a lease. A model that was to go when it is free goes.
    pub(super) fn end_use(&mut self, name: &str) {
        if let Some(count) = self.leases.get_mut(name) {
            *count = count.saturating_sub(1);
        }
        self.touch(name);
        self.show_use(name);
        if !self.in_use(name) && self.held.get(name).is_some_and(|held| held.unload_when_free) {
            self.let_go(name, "it was unloaded on request");
        }
    }

    /// Lets a model go on request: now, or when it is free.
    pub(super) fn unload(&mut self, name: &str) -> Unloading {
        let in_use = self.in_use(name);
        match self.held.get_mut(name) {
            None => Unloading::Done,
            Some(held) if in_use => {
                held.unload_when_free = true;
                Unloading::Later
            }
            Some(_) => {
                self.let_go(name, "it was unloaded on request");
                Unloading::Done
            }
        }
    }

    /// When the first idle model is to go.
    pub(super) fn next_idle(&self) -> Option<Instant> {
        let after = self.settings.unload_after?;
        let free = self.held.iter().filter(|(name, _)| !self.in_use(name));
        free.filter_map(|(_, held)| held.used_at.checked_add(after)).min()
    }

    /// When a failed load may be tried again.
    pub(super) fn retry_at(&self, name: &str) -> Option<Instant> {
        self.failures.get(name).map(|failure| failure.retry_at)
    }

    /// Lets everybody go who was idle for long enough.
    pub(super) fn unload_idle(&mut self) {
        let Some(after) = self.settings.unload_after else { return };
        let idle = |(name, held): &(&String, &Held)| !self.in_use(name) && held.used_at.elapsed() >= after;
        let names: Vec<String> = self.held.iter().filter(idle).map(|(name, _)| name.clone()).collect();
        for name in names {
            let minutes = after.as_secs_f64() / 60.0;
            self.let_go(&name, &format!("it was not used for {minutes:.1} minutes"));
        }
    }

    /// Lets everybody go.
    pub(super) fn clear(&mut self) {
        for name in self.held.keys().cloned().collect::<Vec<_>>() {
            self.let_go(&name, "the server stops");
        }
    }

    /// Speaks one chunk, in blocks for a listener. A model that a crash has taken away is loaded afresh.
    pub(super) fn speak(
        &mut self,
        name: &str,
        chunk: &ChunkRequest,
        cancel: &Cancel,
        progress: &OnProgress,
        listener: Option<&OnBlock>,
    ) -> Result<Take, ModelError> {
        self.work(name, cancel, progress, |model, progress| match listener {
            None => model.speak(chunk, cancel, progress),
            Some(hear) => model.speak_in_blocks(chunk, cancel, progress, &mut |block| hear(block)),
        })
    }

    /// Says a recording again in another voice.
    pub(super) fn convert(
        &mut self,
        name: &str,
        recording: &ConversionRequest,
        cancel: &Cancel,
        progress: &OnProgress,
    ) -> Result<Vec<f32>, ModelError> {
        self.work(name, cancel, progress, |model, progress| model.convert(recording, cancel, progress))
    }

    /// Lets a model do something that takes its time.
    fn work<T>(
        &mut self,
        name: &str,
        cancel: &Cancel,
        progress: &OnProgress,
        work: impl FnOnce(&mut dyn SpeechModel, &mut dyn FnMut(f32)) -> Result<T, ModelError>,
    ) -> Result<T, ModelError> {
        let stop = self.stop.clone();
        if stop.is_cancelled() {
            return Err(ModelError::Cancelled);
        }
        // Its lease keeps it; only a crash in between has taken it away.
        match self.ensure(name, false) {
            Ok(()) => {}
            Err(Missing::Failed(error)) => return Err(ModelError::NotLoaded(error.to_string())),
            Err(Missing::Waits { on }) => {
                return Err(ModelError::NotLoaded(format!("{on} is in use and leaves no room")));
            }
        }
        let Some(held) = self.held.get_mut(name) else {
            return Err(ModelError::NotLoaded("it was unloaded".to_owned()));
        };
        let spoken = catch_unwind(AssertUnwindSafe(|| {
            work(held.model.as_mut(), &mut |share| {
                if stop.is_cancelled() {
                    cancel.cancel();
                }
                progress(share);
            })
        }));
        held.used_at = Instant::now();
        spoken.unwrap_or_else(|panic| {
            let message = panic_message(&*panic);
            self.meters.crashes.add(1);
            tracing::error!(model = name, %message, "the model crashed; it is loaded afresh when it is needed");
            self.let_go(name, &format!("it crashed: {message}"));
            Err(ModelError::Panicked(message))
        })
    }

    /// Tells a model what will be wanted next.
    pub(super) fn expect(&mut self, name: &str, next: Vec<ChunkRequest>) {
        if let Some(held) = self.held.get_mut(name) {
            held.model.expect(next);
        }
    }

    /// Sees to it that a model is in memory, and counts that as a use. `now` also tries one whose last load failed a moment
    /// ago.
    pub(super) fn ensure(&mut self, name: &str, now: bool) -> Result<(), Missing> {
        if self.held.contains_key(name) {
            self.touch(name);
            return Ok(());
        }
        if self.stop.is_cancelled() {
            return Err(Missing::Failed(LeaseError::Stopped));
        }
        if let Some(failure) = self.failures.get(name).filter(|_| !now) {
            let retry_in = failure.retry_at.saturating_duration_since(Instant::now());
            if !retry_in.is_zero() {
                let reason = failure.reason.clone();
                return Err(Missing::Failed(LeaseError::NotNow { model: name.to_owned(), reason, retry_in }));
            }
        }
        let info = self.catalog.resident(name).map_err(|unknown| Missing::Failed(unknown.into()))?;
        let residents = self.residents();
        let taken = residents.iter().map(|resident| resident.bytes).sum();
        let budget = self.settings.budget(taken);
        let unload_first = match plan(info.memory_bytes, &residents, budget) {
            Plan::Load { unload_first } => unload_first,
            Plan::Wait { on } => return Err(Missing::Waits { on }),
        };
        self.show(name, ModelState::Loading);
        for other in &unload_first {
            let megabytes = |bytes: u64| bytes.div_ceil(1 << 20);
            tracing::warn!(
                unloaded = %other,
                for_model = name,
                needed_mb = megabytes(info.memory_bytes),
                budget_mb = megabytes(budget),
                "the two do not fit in memory together, so one is unloaded before the other is loaded"
            );
            let why = format!("it made room for {name}: both do not fit in {} MB", megabytes(budget));
            self.let_go(other, &why);
        }
        self.load_and_hold(name)
    }

    fn load_and_hold(&mut self, name: &str) -> Result<(), Missing> {
        let started = Instant::now();
        let loaded = catch_unwind(AssertUnwindSafe(|| -> Result<_, ModelError> {
            let model = self.catalog.load(name)?;
            let loaded = model.loaded();
            Ok((model, loaded))
        }))
        .unwrap_or_else(|panic| Err(ModelError::Panicked(panic_message(&*panic))));
        match loaded {
            Ok((model, loaded)) => {
                let load_time = started.elapsed();
                self.meters.loads.add("loaded");
                self.meters.load_time.observe(load_time.as_secs_f64());
                tracing::info!(
                    model = name,
                    device = loaded.device,
                    reason = loaded.device_reason,
                    seconds = load_time.as_secs_f32(),
                    "model loaded"
                );
                self.failures.remove(name);
                let bytes = loaded.resident_bytes;
                let held = Held { model, bytes, used_at: Instant::now(), unload_when_free: false };
                self.held.insert(name.to_owned(), held);
                self.show(name, ModelState::Ready { loaded: Arc::new(loaded), load_time });
                self.touch(name);
                Ok(())
            }
            Err(error) => {
                self.meters.loads.add("failed");
                let reason = match error {
                    // The sentence around it says as much already.
                    ModelError::NotLoaded(reason) => reason,
                    other => other.to_string(),
                };
                let before = self.failures.get(name).map(|failure| failure.pause * 2);
                let pause = before.unwrap_or(RELOAD_FIRST).min(RELOAD_LONGEST);
                tracing::error!(model = name, reason, retry_in = ?pause, "the model could not be loaded");
                let retry_at = Instant::now() + pause;
                self.failures.insert(name.to_owned(), Failure { reason: reason.clone(), retry_at, pause });
                self.show(name, ModelState::Failed { reason: reason.clone(), retry_at });
                let model = name.to_owned();
                Err(Missing::Failed(LeaseError::NotNow { model, reason, retry_in: pause }))
            }
        }
    }

    /// Drops a model that nobody may need this moment.
    fn let_go(&mut self, name: &str, why: &str) {
        let Some(held) = self.held.remove(name) else { return };
        self.meters.unloads.add(1);
        // A model that crashed may stumble over its own broken state once more.
        if catch_unwind(AssertUnwindSafe(move || drop(held))).is_err() {
            tracing::warn!(model = name, "dropping the model failed");
        }
        tracing::info!(model = name, why, "model unloaded");
        self.show(name, ModelState::Unloaded { why: Some(why.to_owned()) });
    }

    fn residents(&self) -> Vec<Resident> {
        let resident = |(name, held): (&String, &Held)| Resident {
            name: name.clone(),
            bytes: held.bytes,
            in_use: self.in_use(name),
            used_at: held.used_at,
        };
        self.held.iter().map(resident).collect()
    }

    fn in_use(&self, name: &str) -> bool {
        self.leases.get(name).is_some_and(|count| *count > 0)
    }

    /// Notes that a model was used just now.
    fn touch(&mut self, name: &str) {
        let now = Instant::now();
        if let Some(held) = self.held.get_mut(name) {
            held.used_at = now;
        }
        self.publish.send_modify(|states| states.entry(name).used_at = now);
    }

    fn show(&self, name: &str, state: ModelState) {
        self.publish.send_modify(|states| states.entry(name).state = state);
    }

    fn show_use(&self, name: &str) {
        let in_use = self.in_use(name);
        self.publish.send_modify(|states| states.entry(name).in_use = in_use);
    }

    pub(super) fn show_wait(&self, name: &str, on: &str) {
        tracing::info!(model = name, on, "a model waits to be loaded until another is no longer in use");
        let why = format!("it waits until {on} is no longer in use: both do not fit in memory");
        self.show(name, ModelState::Unloaded { why: Some(why) });
    }
}

/// What a panic said, as far as it said anything in words.
fn panic_message(panic: &(dyn Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|message| (*message).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_owned())
}
