//! Models over HTTP: the list, pulls with their progress as events, checking and removing.
//!
//! A pull belongs to the server, not to the request that began it: whoever leaves and comes back finds it going on. What
//! changes something wants a JSON body or the method DELETE, which no page of another origin can send.

use std::convert::Infallible;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Json;
use axum::extract::{FromRequestParts, Path, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream::{self, Stream};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::watch;

use super::Context;
use super::error::ApiError;
use super::extract::Fields;
use crate::models::{Listed, Model, Models, ModelsError, PullState};
use crate::speech::chatterbox::{Placement, Prospect, Surroundings, machine, prospect};

/// A model, how it stands, and what to expect of it here.
#[derive(Serialize)]
pub(super) struct Offered {
    #[serde(flatten)]
    listed: Listed,
    #[serde(flatten)]
    prospect: Option<Prospect>,
}

/// `[{name, title, architecture, languages, licence, purpose, origin, own, state, size_bytes, folder, pull, memory_bytes,
/// fits_memory, real_time_factor, real_time_factor_is}]`
pub(super) async fn list(State(context): State<Context>) -> Result<Json<Vec<Offered>>, ApiError> {
    let spoken = context.jobs.real_time_factors();
    let is_idle = context.jobs.counts().await?.running == 0;
    let budget_bytes = context.engine.settings().budget(context.engine.states().borrow().resident_bytes());
    let placement = Placement::from(&*context.settings);
    let offered = aside(&context, move |models| {
        let here = Surroundings { placement: &placement, budget_bytes, machine: machine(is_idle) };
        let offer = |listed: Listed| Offered {
            prospect: prospect(listed.architecture, &here, spoken.get(&listed.name).copied()),
            listed,
        };
        Ok(models.list().into_iter().map(offer).collect())
    });
    offered.await.map(Json)
}

/// Begins a pull, or joins the one that runs. `{"refresh": true}` also looks at what is installed already.
pub(super) async fn pull(
    State(context): State<Context>,
    Named(model): Named,
    fields: Fields,
) -> Result<Response, ApiError> {
    let refresh = fields.flag("refresh")?.unwrap_or(false);
    let name = model.name.clone();
    let begun = aside(&context, move |models| models.start_pull(&name, refresh)).await?;
    let name = &model.name;
    if begun.is_none() {
        return Ok(
            Json(json!({ "name": name, "message": format!("{name} is installed already") })).into_response()
        );
    }
    let accepted = json!({
        "name": name,
        "message": format!("{name} is being downloaded"),
        "events_url": format!("/api/models/{name}/events"),
    });
    Ok((StatusCode::ACCEPTED, Json(accepted)).into_response())
}

/// Server-sent events: `progress` now and then, at the end `done`, `cancelled` or `failed`; then the stream ends. Each
/// carries the state as JSON.
pub(super) async fn events(
    State(context): State<Context>,
    Named(model): Named,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, ApiError> {
    let state = context.models.watch_pull(&model.name).ok_or(ApiError::NoPull(model.name))?;
    Ok(Sse::new(stream_of(state)).keep_alive(KeepAlive::default()))
}

pub(super) async fn cancel(
    State(context): State<Context>,
    Named(model): Named,
) -> Result<Json<Value>, ApiError> {
    if context.models.cancel_pull(&model.name) {
        let message = format!("{} is no longer downloaded; what came is kept", model.name);
        Ok(Json(json!({ "message": message })))
    } else {
        Err(ApiError::NoPull(model.name))
    }
}

/// Reads every byte of an installed model; takes as long as the disk takes.
pub(super) async fn verify(
    State(context): State<Context>,
    Named(model): Named,
    _fields: Fields,
) -> Result<Json<Value>, ApiError> {
    // Whoever asked and left does not need the answer.
    let left = Arc::new(AtomicBool::new(false));
    let _guard = SetOnDrop(Arc::clone(&left));
    let name = model.name.clone();
    let damages = aside(&context, move |models| {
        models.verify(&name, &mut |_progress| {
            if left.load(Ordering::Acquire) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })
    });
    let damages = damages.await?;
    Ok(Json(json!({ "name": model.name, "ok": damages.is_empty(), "damages": damages })))
}

/// By name alone: what the configuration no longer lists can still be removed.
pub(super) async fn remove(
    State(context): State<Context>,
    Name(name): Name,
) -> Result<Json<Value>, ApiError> {
    let removed = name.clone();
    let freed = aside(&context, move |models| models.remove(&removed)).await?;
    Ok(Json(json!({ "message": format!("{name} was removed"), "freed_bytes": freed })))
}

/// `{name}` in a path.
#[derive(Debug)]
pub(super) struct Name(String);

impl FromRequestParts<Context> for Name {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, context: &Context) -> Result<Self, ApiError> {
        let name = Path::<String>::from_request_parts(parts, context).await;
        // What is not even UTF-8 is no model's name; the path stands for it in the error.
        Ok(Self(name.map_or_else(|_not_utf8| parts.uri.path().to_owned(), |Path(name)| name)))
    }
}

/// The model that `{name}` in a path means.
#[derive(Debug)]
pub(super) struct Named(Model);

impl FromRequestParts<Context> for Named {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, context: &Context) -> Result<Self, ApiError> {
        let Name(name) = Name::from_request_parts(parts, context).await?;
        Ok(Self(context.models.registry().find(&name)?.clone()))
    }
}

struct SetOnDrop(Arc<AtomicBool>);

impl Drop for SetOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

/// Work with files, away from the threads that answer requests.
async fn aside<T: Send + 'static>(
    context: &Context,
    work: impl FnOnce(&Models) -> Result<T, ModelsError> + Send + 'static,
) -> Result<T, ApiError> {
    let models = context.models.clone();
    let done = tokio::task::spawn_blocking(move || work(&models)).await;
    Ok(done.map_err(|_panicked| ApiError::Bug)??)
}

/// What a pull is now, then every change, until its end.
fn stream_of(state: watch::Receiver<PullState>) -> impl Stream<Item = Result<Event, Infallible>> {
    stream::unfold(Some((state, true)), |next| async move {
        let (mut state, is_first) = next?;
        // A sender that is gone without an end has panicked; the last state is all there is.
        let gone = !is_first && state.changed().await.is_err();
        let now = state.borrow_and_update().clone();
        let (name, is_end) = match &now {
            PullState::Running(_) => ("progress", gone),
            PullState::Done => ("done", true),
            PullState::Cancelled => ("cancelled", true),
            PullState::Failed { .. } => ("failed", true),
        };
        // Plain fields always have a JSON form.
        let event = Event::default().event(name).json_data(&now).unwrap_or_default();
        Some((Ok(event), if is_end { None } else { Some((state, false)) }))
    })
}
