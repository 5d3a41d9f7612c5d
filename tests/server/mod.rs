//! The very server that users run, in this process, on a port and a data directory of its own, with the humming model.

use std::io::Read;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use declaim::app::{App, AppSettings};
use declaim::config::Settings;
use declaim::http::{self, Context};
use declaim::jobs::QueueSettings;
use declaim::jobs::webhooks::WebhookSettings;
use declaim::models::{HubSettings, Models};
use declaim::speech::catalog::{Catalog, Offer};
use declaim::speech::engine::EngineSettings;
use declaim::speech::tone::{self, ToneSettings};
use declaim::voices::{Library, Limits};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

/// Longer than any test may take; a test that runs into it has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Makes the models of a server, the first one being the default, from its library.
pub(crate) type Offers = Box<dyn FnOnce(&Library) -> Vec<Offer>>;

pub(crate) struct Server {
    pub(crate) url: String,
    pub(crate) address: std::net::SocketAddr,
    /// Of the Wyoming port.
    pub(crate) wyoming: std::net::SocketAddr,
    pub(crate) data: tempfile::TempDir,
    stop: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

/// The test models, which hum at once, or take their time for each token (25 a second of audio, two a character).
pub(crate) fn humming(token_pause: Duration) -> Offers {
    Box::new(move |library| tone::offers(ToneSettings { token_pause }, library))
}

impl Server {
    pub(crate) fn start() -> Self {
        Self::with(|_settings| {}, humming(Duration::ZERO))
    }

    /// With the model loaded.
    pub(crate) fn start_ready() -> Self {
        let server = Self::start();
        let started = Instant::now();
        while server.get("/readyz").status != 200 {
            assert!(started.elapsed() < PATIENCE, "the model was never loaded");
        }
        server
    }

    /// Slow enough to be caught in the act.
    pub(crate) fn slow() -> Self {
        Self::with(|_settings| {}, humming(Duration::from_millis(20)))
    }

    pub(crate) fn with(change: impl FnOnce(&mut Settings), offers: Offers) -> Self {
        Self::open(tempfile::tempdir().unwrap(), change, offers)
    }

    /// On the directory of a server that has stopped.
    pub(crate) fn start_on(data: tempfile::TempDir) -> Self {
        Self::open(data, |_settings| {}, humming(Duration::ZERO))
    }

    /// The same with other settings.
    pub(crate) fn open_on(data: tempfile::TempDir, change: impl FnOnce(&mut Settings)) -> Self {
        Self::open(data, change, humming(Duration::ZERO))
    }

    fn open(data: tempfile::TempDir, change: impl FnOnce(&mut Settings), offers: Offers) -> Self {
        let mut settings = Settings::default();
        change(&mut settings);
        let data_dir = data.path().to_owned();
        let models_dir = data_dir.clone();
        // Untouched by this machine's environment.
        let hub = HubSettings::new(&settings.hub, &|_name| None);
        let voices = &settings.voices;
        let limits = Limits {
            max_clip_bytes: voices.max_clip_bytes,
            max_clip_sec: voices.max_clip_sec,
            max_voices: voices.max_voices,
        };
        let library = Library::open(&data_dir, limits);
        let offers = offers(&library);
        let catalog = Catalog::new(&settings.model.name, library, offers);
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let (ready, started) = std::sync::mpsc::channel();
        let serve = async move {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let (queue, webhooks) = (QueueSettings::from(&settings), WebhookSettings::from(&settings));
            let engine = EngineSettings {
                memory_bytes: settings.model.memory_bytes,
                unload_after: settings.model.unload_after,
            };
            let app = App::open(AppSettings { data_dir, queue, webhooks, engine, catalog }).await.unwrap();
            let wyoming = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            ready.send((listener.local_addr().unwrap(), wyoming.local_addr().unwrap())).unwrap();
            let models = Models::new(&models_dir, &settings.models, hub).unwrap();
            let context =
                Context::new(app.jobs.clone(), app.engine.clone(), models, Arc::new(settings), &models_dir);
            let voices = tokio::spawn(declaim::wyoming::serve(wyoming, context.clone(), stopped.clone()));
            http::serve(listener, context, async move { stopped.cancelled().await }).await.unwrap();
            voices.await.unwrap();
            app.shutdown(PATIENCE).await;
        };
        let thread = std::thread::spawn(move || tokio::runtime::Runtime::new().unwrap().block_on(serve));
        let (address, wyoming) = started.recv().unwrap();
        Self { url: format!("http://{address}"), address, wyoming, data, stop, thread: Some(thread) }
    }

    /// Stops it in order and keeps its directory.
    pub(crate) fn stop(mut self) -> tempfile::TempDir {
        std::mem::replace(&mut self.data, tempfile::tempdir().unwrap())
    }

    /// Sends the stop signal and returns at once.
    pub(crate) fn ask_to_stop(&self) {
        self.stop.cancel();
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.get_with(path, &[])
    }

    pub(crate) fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        let mut request = ureq::get(format!("{}{path}", self.url));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        Answer::read(request.config().http_status_as_error(false).build().call())
    }

    pub(crate) fn head(&self, path: &str) -> Answer {
        let request = ureq::head(format!("{}{path}", self.url));
        Answer::read(request.config().http_status_as_error(false).build().call())
    }

    pub(crate) fn delete(&self, path: &str) -> Answer {
        let request = ureq::delete(format!("{}{path}", self.url));
        Answer::read(request.config().http_status_as_error(false).build().call())
    }

    pub(crate) fn patch(&self, path: &str, body: &Value) -> Answer {
        let request = ureq::patch(format!("{}{path}", self.url)).header("Content-Type", "application/json");
        let request = request.config().http_status_as_error(false).build();
        Answer::read(request.send(body.to_string().as_bytes()))
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> Answer {
        self.post_raw(path, Some("application/json"), body.to_string().as_bytes())
    }

    pub(crate) fn post_raw(&self, path: &str, content_type: Option<&str>, body: &[u8]) -> Answer {
        let mut request = ureq::post(format!("{}{path}", self.url));
        if let Some(content_type) = content_type {
            request = request.header("Content-Type", content_type);
        }
        Answer::read(request.config().http_status_as_error(false).build().send(body))
    }

    pub(crate) fn post_with(&self, path: &str, headers: &[(&str, &str)], body: &Value) -> Answer {
        let mut request =
            ureq::post(format!("{}{path}", self.url)).header("Content-Type", "application/json");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.config().http_status_as_error(false).build();
        Answer::read(request.send(body.to_string().as_bytes()))
    }

    /// The newest jobs, newest first.
    pub(crate) fn jobs(&self) -> Value {
        self.get("/api/jobs").json()["jobs"].clone()
    }

    /// Enqueues and returns the id.
    pub(crate) fn enqueue(&self, body: &Value) -> String {
        let answer = self.post("/tts/enqueue", body);
        assert_eq!(answer.status, 202, "{}", answer.text());
        answer.json()["job_id"].as_str().unwrap().to_owned()
    }

    pub(crate) fn status(&self, id: &str) -> Value {
        self.get(&format!("/tts/{id}/status")).json()
    }

    /// Polls until the status is one of `wanted`.
    pub(crate) fn wait_for(&self, id: &str, wanted: &[&str]) -> Value {
        let started = Instant::now();
        loop {
            let status = self.status(id);
            if wanted.contains(&status["status"].as_str().unwrap()) {
                return status;
            }
            assert!(started.elapsed() < PATIENCE, "{id} never became {wanted:?}: {status}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.cancel();
        let ended = self.thread.take().unwrap().join();
        // A second panic while the test is already failing would hide the first.
        assert!(ended.is_ok() || std::thread::panicking(), "the server panicked");
    }
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: ureq::http::HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn read(answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> Self {
        let mut answer = answer.unwrap();
        let mut body = Vec::new();
        answer.body_mut().as_reader().read_to_end(&mut body).unwrap();
        Self { status: answer.status().as_u16(), headers: answer.headers().clone(), body }
    }

    /// Empty where the header is missing.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {}", self.text()))
    }

    /// The sentence of an error, which has no other field.
    pub(crate) fn detail(&self) -> String {
        let body = self.json();
        let fields = body.as_object().unwrap();
        assert_eq!(fields.keys().collect::<Vec<_>>(), ["detail"], "{body}");
        body["detail"].as_str().unwrap().to_owned()
    }
}
