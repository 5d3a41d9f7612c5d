//! Requests in, rows and files out. Knows the queue, the catalog of models and voices, and how the models are doing; never the worker.
//!
//! The router is a plain function of its context; listener and stop signal are arguments. So tests run the very server
//! that users run, on a port of their own.

mod access;
mod aliases;
mod archive;
mod auth;
mod batches;
mod caller;
mod captions;
mod convert;
mod dialect;
mod elevenlabs;
mod error;
mod events;
mod extract;
mod files;
mod guard;
mod jobs;
mod keys;
mod loading;
mod mcp;
mod metrics;
mod models;
mod openai;
mod openapi;
mod queue;
mod recode;
mod redo;
mod session;
mod socket;
mod speak;
mod stream;
mod stream_socket;
mod system;
mod tts;
mod ui;
mod upload;
mod upstream;
mod voices;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderValue, Method, Uri, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, patch, post, put};
use tokio::net::TcpListener;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::trace::TraceLayer;

use crate::config::Settings;
use crate::config::saved::SAVED;
use crate::jobs::Jobs;
use crate::models::Models;
use crate::speech::catalog::Catalog;
use crate::speech::engine::{Engine, ModelState, States};
pub use caller::client_at;
pub use error::ApiError;
pub use keys::described as key_described;
pub use queue::shown as queue_shown;
pub use tts::{Status, output};

/// Clips received and decoded at one time; more wait.
const UPLOADS_AT_ONCE: usize = 2;

/// What handlers work with.
#[derive(Clone, Debug)]
pub struct Context {
    pub jobs: Jobs,
    pub engine: Engine,
    pub models: Models,
    pub settings: Arc<Settings>,
    /// Whether requests must have a key.
    requires_keys: bool,
    /// Where settings are saved that come over the network.
    saved_settings: Arc<Path>,
    /// A permit per client that waits for sound, or takes it bit by bit: each holds a thread.
    waiting: Arc<Semaphore>,
    /// A permit per clip that is being received and decoded, which takes memory and a processor.
    uploading: Arc<Semaphore>,
    /// A permit per client that listens to what happens to jobs.
    following: Arc<Semaphore>,
    /// Set when the server begins to stop: streams without an end of their own end.
    closing: CancellationToken,
    /// Set when clients that wait must be sent away.
    stopping: CancellationToken,
}

impl Context {
    pub fn new(jobs: Jobs, engine: Engine, models: Models, settings: Arc<Settings>, data_dir: &Path) -> Self {
        let waiting = Arc::new(Semaphore::new(settings.limits.max_waiting_requests));
        let uploading = Arc::new(Semaphore::new(UPLOADS_AT_ONCE));
        let following = Arc::new(Semaphore::new(settings.limits.max_followers));
        Self {
            jobs,
            engine,
            models,
            requires_keys: settings.requires_keys(),
            settings,
            saved_settings: data_dir.join(SAVED).into(),
            waiting,
            uploading,
            following,
            closing: CancellationToken::new(),
            stopping: CancellationToken::new(),
        }
    }

    /// The right to wait for sound, until it is dropped.
    fn wait(&self) -> Result<OwnedSemaphorePermit, ApiError> {
        let limit = self.settings.limits.max_waiting_requests;
        let permit = Arc::clone(&self.waiting).try_acquire_owned();
        permit.map_err(|_none_left| ApiError::TooManyWaiting { limit })
    }

    /// The right to listen to what happens to jobs, until it is dropped.
    fn follow(&self) -> Result<OwnedSemaphorePermit, ApiError> {
        let limit = self.settings.limits.max_followers;
        let permit = Arc::clone(&self.following).try_acquire_owned();
        permit.map_err(|_none_left| ApiError::TooManyFollowers { limit })
    }

    pub fn catalog(&self) -> &Catalog {
        self.engine.catalog()
    }

    /// Refuses what a model could not speak soon because its last load failed. One that is loading, or is not loaded yet,
    /// is worth the wait.
    ///
    /// # Errors
    /// [`ApiError::ModelFailed`] with the cause.
    fn admit(&self, model: &str) -> Result<(), ApiError> {
        match failure_after(&self.engine.states().borrow(), model, Instant::now()) {
            Some(failure) => Err(failure),
            None => Ok(()),
        }
    }
}

/// The failure of a model's load that still stands at `moment`: before its retry is due.
fn failure_after(states: &States, model: &str, moment: Instant) -> Option<ApiError> {
    match states.of(model).state {
        ModelState::Failed { reason, retry_at } if retry_at > moment => Some(ApiError::ModelFailed {
            model: model.to_owned(),
            reason,
            retry_in: retry_at.saturating_duration_since(Instant::now()),
        }),
        ModelState::Unloaded { .. }
        | ModelState::Loading
        | ModelState::Ready { .. }
        | ModelState::Failed { .. } => None,
    }
}

/// Every route, on one screen.
pub fn router(context: Context) -> Router {
    let bounded = Router::new()
        .route("/", get(ui::index))
        .route("/assets/{version}/{*path}", get(ui::asset))
        .route("/docs", get(ui::docs))
        .route("/openapi.json", get(openapi::serve))
        .route("/tts/enqueue", post(tts::enqueue))
        .route("/tts/{id}", delete(tts::cancel))
        .route("/tts/{id}/status", get(tts::status))
        .route("/tts/{id}/result", get(tts::result))
        .route("/tts/{id}/events", get(events::events))
        .route("/tts/{id}/captions", get(captions::captions))
        .route("/tts/ws", get(socket::socket))
        .route("/api/model-info", get(system::model_info))
        .route("/api/models/{name}/load", post(loading::load))
        .route("/api/models/{name}/unload", post(loading::unload))
        .route("/api/unload", post(loading::unload_all))
        .route("/api/session", get(session::show).post(session::begin).delete(session::end))
        .route("/api/keys", get(keys::list).post(keys::create))
        .route("/api/keys/{id}", delete(keys::revoke))
        .route("/api/jobs", get(jobs::list))
        .route("/api/jobs/delete", post(jobs::delete_many))
        .route("/api/jobs/export", get(jobs::export))
        .route("/api/jobs/{id}", get(jobs::show).delete(jobs::delete))
        .route("/api/jobs/{id}/retry", post(jobs::retry))
        .route("/api/jobs/{id}/rerun", post(jobs::rerun))
        .route("/api/jobs/{id}/chunks/{chunk}/regenerate", post(redo::regenerate))
        .route("/api/jobs/{id}/favourite", put(jobs::set_favourite).delete(jobs::clear_favourite))
        .route("/api/queue", get(queue::show))
        .route("/api/queue/pause", post(queue::pause))
        .route("/api/queue/resume", post(queue::resume))
        .route("/api/queue/drain", post(queue::drain))
        .route("/api/batches", get(batches::list).post(batches::add))
        .route("/api/batches/{id}", get(batches::show).delete(batches::cancel))
        .route("/api/voices", get(voices::list).post(upload::add))
        .route("/api/voices/{id}", patch(voices::rename).delete(voices::remove))
        .route("/api/voices/{id}/audio", get(voices::audio))
        .route("/get_predefined_voices", get(voices::list_as_files))
        .route("/get_reference_files", get(voices::list_clips))
        .route("/upload_reference", post(upload::add_references))
        .route("/upload_predefined_voice", post(upload::add_predefined))
        .route("/api/settings", get(upstream::settings))
        .route("/save_settings", post(upstream::save_settings))
        .route("/reset_settings", post(upstream::reset_settings))
        .route("/restart_server", post(upstream::restart))
        .route("/api/ui/initial-data", get(upstream::initial_data))
        .route("/outputs/{file}", get(upstream::output))
        .route("/api/preview", post(system::preview))
        .route("/api/models", get(models::list))
        .route("/api/models/{name}", delete(models::remove))
        .route("/api/models/{name}/pull", post(models::pull).delete(models::cancel))
        .route("/api/models/{name}/events", get(models::events))
        .route("/v1/models", get(openai::models))
        .route("/v1/models/{name}", get(openai::model))
        .route("/v1/audio/models", get(openai::audio_models))
        .route("/v1/audio/voices", get(openai::voices))
        .route("/v1/voices", get(elevenlabs::voices))
        .route("/v1/voices/{id}", get(elevenlabs::voice))
        .route("/v2/voices", get(elevenlabs::voices_page))
        .route("/healthz", get(system::healthz))
        .route("/readyz", get(system::readyz))
        .route("/metrics", get(metrics::metrics))
        .layer(middleware::from_fn_with_state(context.clone(), within_the_time_limit));
    let guarded = Router::new()
        .merge(bounded)
        // These wait for as long as the speech takes; they bound themselves.
        .route("/tts", post(speak::speak))
        .route("/api/convert", post(convert::convert))
        .route("/tts/{id}/stream", get(stream::stream))
        .route("/tts/stream/ws", get(stream_socket::socket))
        .route("/mcp", post(mcp::message))
        .route("/v1/audio/speech", post(openai::speech))
        .route("/v1/text-to-speech/{voice}", post(elevenlabs::speech))
        .route("/v1/text-to-speech/{voice}/stream", post(elevenlabs::live))
        .route("/v1/text-to-speech/{voice}/with-timestamps", post(elevenlabs::timestamps::whole))
        .route("/v1/text-to-speech/{voice}/stream/with-timestamps", post(elevenlabs::timestamps::live))
        // As long as it takes to join what was spoken in a night.
        .route("/api/batches/{id}/result", get(batches::result))
        // As long as it takes to read a few gigabytes.
        .route("/api/models/{name}/verify", post(models::verify))
        .fallback(no_route)
        .method_not_allowed_fallback(no_method)
        // From the inside out: the last layer sees the request first.
        .layer(middleware::from_fn_with_state(context.clone(), auth::authenticate))
        .layer(middleware::from_fn_with_state(context.clone(), guard::refuse_other_origins))
        .layer(middleware::from_fn_with_state(context.clone(), guard::refuse_foreign_hosts));
    guard::with_other_pages(guarded, &context.settings.server.cors_origins)
        // Clips are larger than axum's own bound; every body is counted by whoever reads it.
        .layer(DefaultBodyLimit::disable())
        .layer(middleware::map_response(careful_headers))
        .layer(CatchPanicLayer::custom(|_panic| ApiError::Bug.into_response()))
        .layer(middleware::from_fn(dialect::translate))
        .layer(middleware::from_fn(error::log))
        .layer(TraceLayer::new_for_http().make_span_with(
            |request: &Request| tracing::info_span!("request", method = %request.method(), path = request.uri().path()),
        ))
        .with_state(context)
}

/// Serves until `stop` resolves, then lets requests in flight finish within the configured bound.
///
/// # Errors
/// When the listener breaks.
pub async fn serve(
    listener: TcpListener,
    context: Context,
    stop: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    /// For answers that are ready by then to reach their clients.
    const LAST_WORDS: Duration = Duration::from_secs(1);

    let bound = context.settings.server.shutdown;
    let sending_away = context.stopping.clone();
    let (models, closing) = (context.models.clone(), context.closing.clone());
    let (told, mut told_to_stop) = tokio::sync::watch::channel(false);
    let graceful = async move {
        stop.await;
        told.send_replace(true);
        // Whoever watches a pull would otherwise keep the server from stopping.
        models.cancel_all_pulls();
        closing.cancel();
    };
    let server = axum::serve(listener, router(context).into_make_service_with_connect_info::<SocketAddr>())
        .with_graceful_shutdown(graceful)
        .into_future();
    let deadline = async move {
        if told_to_stop.wait_for(|told| *told).await.is_err() {
            std::future::pending::<()>().await;
        }
        tokio::time::sleep(bound).await;
        sending_away.cancel();
        tokio::time::sleep(LAST_WORDS).await;
    };
    tokio::select! {
        ended = server => ended,
        () = deadline => {
            tracing::warn!(?bound, "requests in flight were cut off");
            Ok(())
        }
    }
}

async fn within_the_time_limit(State(context): State<Context>, request: Request, next: Next) -> Response {
    tokio::time::timeout(context.settings.limits.request_timeout, next.run(request))
        .await
        .unwrap_or_else(|_elapsed| ApiError::TooSlow.into_response())
}

/// Browsers must not guess types, and must not tell other sites where they come from.
async fn careful_headers(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}

async fn no_route(uri: Uri) -> ApiError {
    ApiError::NoRoute(uri.path().to_owned())
}

async fn no_method(method: Method) -> ApiError {
    ApiError::Method(method.to_string())
}
