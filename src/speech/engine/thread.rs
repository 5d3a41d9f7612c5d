//! What runs on the models' thread: orders one after another, and between them what time brings: a model that was idle for
//! long enough goes, the default model is tried again after a failed load.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Instant;

use tokio::sync::{oneshot, watch};

use super::meters::Meters;
use super::residents::{Missing, Residents};
use super::state::{ModelState, States};
use super::{EngineSettings, LeaseError, OnBlock, OnProgress, Unloading};
use crate::speech::Cancel;
use crate::speech::catalog::Catalog;
use crate::speech::model::{ChunkRequest, ConversionRequest, ModelError, Take};

/// What the thread can be told.
pub(super) enum Order {
    /// Load where needed, and keep until the matching [`Self::Release`].
    Lease {
        model: String,
        reply: oneshot::Sender<Result<(), LeaseError>>,
    },
    Release {
        model: String,
    },
    Speak {
        model: String,
        chunk: Box<ChunkRequest>,
        cancel: Cancel,
        progress: OnProgress,
        listener: Option<OnBlock>,
        reply: oneshot::Sender<Result<Take, ModelError>>,
        span: tracing::Span,
    },
    Expect {
        model: String,
        next: Vec<ChunkRequest>,
    },
    Convert {
        model: String,
        recording: Box<ConversionRequest>,
        cancel: Cancel,
        progress: OnProgress,
        reply: oneshot::Sender<Result<Vec<f32>, ModelError>>,
        span: tracing::Span,
    },
    Load {
        model: String,
    },
    Unload {
        model: String,
        reply: oneshot::Sender<Unloading>,
    },
}

/// Somebody wants a model to be there.
struct Wish {
    model: String,
    /// Who waits for it; nobody, where a load was ordered.
    reply: Option<oneshot::Sender<Result<(), LeaseError>>>,
}

pub(super) struct Thread {
    residents: Residents,
    inbox: Receiver<Order>,
    /// Wishes for models that fit only without one that is in use.
    waiting: Vec<Wish>,
    /// The model to have at hand before anybody asks; `None` once it was there.
    preload: Option<String>,
}

impl Thread {
    /// The states that are followed are those of the thread's models.
    pub(super) fn new(
        catalog: Catalog,
        settings: EngineSettings,
        meters: Arc<Meters>,
        inbox: Receiver<Order>,
        stop: Cancel,
    ) -> (Self, watch::Receiver<States>) {
        let preload = match catalog.default_model() {
            Ok(info) => Some(info.name),
            Err(unknown) => {
                tracing::error!(%unknown, "the configured model cannot be loaded");
                None
            }
        };
        let mut states = States::default();
        if let Some(model) = &preload {
            // Before the thread runs, so that nobody takes a model that is about to be loaded for one that may wait.
            states.entry(model).state = ModelState::Loading;
        }
        let (publish, followed) = watch::channel(states);
        let residents = Residents::new(catalog, settings, publish, meters, stop);
        (Self { residents, inbox, waiting: Vec::new(), preload }, followed)
    }

    /// Obeys until the last handle is gone.
    pub(super) fn run(mut self) {
        loop {
            self.preload();
            self.residents.unload_idle();
            let order = match self.next_appointment() {
                Some(at) => self.inbox.recv_timeout(at.saturating_duration_since(Instant::now())),
                None => self.inbox.recv().map_err(|_closed| RecvTimeoutError::Disconnected),
            };
            match order {
                Ok(order) => self.obey(order),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return self.residents.clear(),
            }
        }
    }

    /// When something is to be done that nobody orders.
    fn next_appointment(&self) -> Option<Instant> {
        let retry = self.preload.as_ref().and_then(|model| self.residents.retry_at(model));
        self.residents.next_idle().into_iter().chain(retry).min()
    }

    fn obey(&mut self, order: Order) {
        match order {
            Order::Lease { model, reply } => {
                self.residents.begin_use(&model);
                self.fulfil(Wish { model, reply: Some(reply) });
            }
            Order::Load { model } => self.fulfil(Wish { model, reply: None }),
            Order::Release { model } => {
                self.residents.end_use(&model);
                for wish in std::mem::take(&mut self.waiting) {
                    self.fulfil(wish);
                }
            }
            Order::Speak { model, chunk, cancel, progress, listener, reply, span } => {
                if !reply.is_closed() {
                    let _entered = span.entered();
                    let answer = self.residents.speak(&model, &chunk, &cancel, &progress, listener.as_ref());
                    // A receiver that is gone needs no answer, here and below.
                    let _ = reply.send(answer);
                }
            }
            Order::Expect { model, next } => self.residents.expect(&model, next),
            Order::Convert { model, recording, cancel, progress, reply, span } => {
                if !reply.is_closed() {
                    let _entered = span.entered();
                    let _ = reply.send(self.residents.convert(&model, &recording, &cancel, &progress));
                }
            }
            Order::Unload { model, reply } => {
                let _ = reply.send(self.residents.unload(&model));
            }
        }
    }

    /// Now, or when the model in the way is free.
    fn fulfil(&mut self, wish: Wish) {
        if wish.reply.as_ref().is_some_and(oneshot::Sender::is_closed) {
            return;
        }
        // Who orders a load by hand knows something that the last, failed one did not.
        let answer = match self.residents.ensure(&wish.model, wish.reply.is_none()) {
            Ok(()) => Ok(()),
            Err(Missing::Failed(error)) => Err(error),
            Err(Missing::Waits { on }) => {
                self.residents.show_wait(&wish.model, &on);
                return self.waiting.push(wish);
            }
        };
        if let Some(reply) = wish.reply {
            let _ = reply.send(answer);
        }
    }

    /// The default model, until it was there once.
    fn preload(&mut self) {
        let Some(model) = self.preload.clone() else { return };
        match self.residents.ensure(&model, false) {
            Ok(()) | Err(Missing::Failed(LeaseError::Unknown(_) | LeaseError::Stopped)) => {
                self.preload = None;
            }
            // When the appointment comes, or the other model is free.
            Err(Missing::Failed(LeaseError::NotNow { .. }) | Missing::Waits { .. }) => {}
        }
    }
}
