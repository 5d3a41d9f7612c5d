//! How every model is doing, as the engine publishes it and the rest of the program reads it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::speech::model::Loaded;

/// Where a model stands.
#[derive(Clone, Debug)]
pub enum ModelState {
    /// Not in memory; it is loaded when a request needs it.
    Unloaded {
        /// Why it went, or why it waits, as a sentence; `None` for one that was never asked for.
        why: Option<String>,
    },
    Loading,
    Ready {
        loaded: Arc<Loaded>,
        load_time: Duration,
    },
    /// Loading failed, for this reason, and is tried again no sooner than this.
    Failed {
        reason: String,
        retry_at: Instant,
    },
}

impl ModelState {
    /// For machines.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Unloaded { .. } => "unloaded",
            Self::Loading => "loading",
            Self::Ready { .. } => "ready",
            Self::Failed { .. } => "failed",
        }
    }
}

/// A model's state and its use.
#[derive(Clone, Debug)]
pub struct ModelStatus {
    pub state: ModelState,
    /// Somebody speaks with it, or waits for it.
    pub in_use: bool,
    /// When it was last used; the idle time counts from here.
    pub used_at: Instant,
}

impl ModelStatus {
    fn untouched() -> Self {
        Self { state: ModelState::Unloaded { why: None }, in_use: false, used_at: Instant::now() }
    }

    /// How long a loaded model has had nothing to do.
    pub fn idle(&self) -> Option<Duration> {
        matches!(self.state, ModelState::Ready { .. } if !self.in_use).then(|| self.used_at.elapsed())
    }
}

/// All models that were ever asked for, by name.
#[derive(Clone, Debug, Default)]
pub struct States(BTreeMap<String, ModelStatus>);

impl States {
    /// Bytes that the loaded models take.
    pub fn resident_bytes(&self) -> u64 {
        let loaded = self.0.values().filter_map(|status| match &status.state {
            ModelState::Ready { loaded, .. } => Some(loaded.resident_bytes),
            ModelState::Unloaded { .. } | ModelState::Loading | ModelState::Failed { .. } => None,
        });
        loaded.sum()
    }

    /// A model that nobody has asked for yet is unloaded.
    pub fn of(&self, name: &str) -> ModelStatus {
        self.0.get(name).cloned().unwrap_or_else(ModelStatus::untouched)
    }

    /// Every model that was ever asked for, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &ModelStatus)> {
        self.0.iter().map(|(name, status)| (name.as_str(), status))
    }

    pub(super) fn entry(&mut self, name: &str) -> &mut ModelStatus {
        self.0.entry(name.to_owned()).or_insert_with(ModelStatus::untouched)
    }
}
