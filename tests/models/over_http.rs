//! Models through the server: the list, pulls and their events, checking, removing, and who may ask.

use std::io::{BufRead, BufReader};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::hub::Fault;
use crate::scene::{NAME, Scene, T3, content, length};
use crate::server::{PATIENCE, Server, humming};

/// A server whose hub is the scene's and whose data are its own.
fn server(scene: &Scene) -> Server {
    let (own, endpoint) = (scene.own.clone(), scene.hub.url.clone());
    let change = move |settings: &mut declaim::config::Settings| {
        settings.models = own;
        settings.hub.endpoint = Some(endpoint);
        settings.hub.use_cache = false;
        settings.hub.retry_wait = Duration::from_millis(5);
    };
    Server::with(change, humming(Duration::ZERO))
}

fn listed(server: &Server, name: &str) -> Value {
    let list = server.get("/api/models");
    assert_eq!(list.status, 200, "{}", list.text());
    let list = list.json();
    let found = list.as_array().unwrap().iter().find(|model| model["name"] == name).cloned();
    found.unwrap_or_else(|| panic!("{name} is not in the list"))
}

/// Name and data of every event until the stream ends.
fn events(server: &Server, name: &str) -> Vec<(String, Value)> {
    let url = format!("{}/api/models/{name}/events", server.url);
    let answer = ureq::get(url).call().unwrap();
    assert_eq!(answer.headers()["content-type"], "text/event-stream");
    let mut found = Vec::new();
    let mut event = String::new();
    for line in BufReader::new(answer.into_body().into_reader()).lines() {
        let line = line.unwrap();
        if let Some(name) = line.strip_prefix("event: ") {
            name.clone_into(&mut event);
        } else if let Some(data) = line.strip_prefix("data: ") {
            found.push((event.clone(), serde_json::from_str(data).unwrap()));
        }
    }
    found
}

fn wait_until(mut done: impl FnMut() -> bool) {
    let started = Instant::now();
    while !done() {
        assert!(started.elapsed() < PATIENCE, "it never happened");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn the_list_tells_what_there_is_and_what_it_is_for() {
    let scene = Scene::new();
    let server = server(&scene);
    let turbo = listed(&server, "turbo");
    assert_eq!(turbo["title"], "Chatterbox Turbo");
    assert_eq!(turbo["origin"], "ResembleAI/chatterbox-turbo");
    assert_eq!((&turbo["state"], &turbo["licence"]), (&json!("missing"), &json!("MIT")));
    assert_eq!(turbo["size_bytes"], 2_987_680_126_u64);
    assert_eq!(
        (&turbo["own"], &turbo["pull"], &turbo["folder"]),
        (&json!(false), &Value::Null, &Value::Null)
    );
    assert_eq!(listed(&server, NAME)["own"], true);
    assert_eq!(listed(&server, "watermark")["memory_bytes"], Value::Null, "it does not speak");
}

#[test]
fn the_list_tells_what_a_model_would_take_here() {
    let scene = Scene::new();
    let server = server(&scene);
    let [nano, turbo, original] = ["nano", "turbo", "original"].map(|name| listed(&server, name));
    for model in [&nano, &turbo, &original] {
        assert!(model["fits_memory"].is_boolean(), "{model}");
        // Tests run on the CPU, whose rates are measured by the first who asks.
        assert_eq!(model["real_time_factor_is"], "estimated", "{model}");
    }
    let bytes = |model: &Value| model["memory_bytes"].as_u64().unwrap();
    assert!(100_000_000 < bytes(&nano) && bytes(&nano) < bytes(&turbo), "{nano}, {turbo}");
    let factor = |model: &Value| model["real_time_factor"].as_f64().unwrap();
    assert!(0.0 < factor(&nano) && factor(&nano) < factor(&turbo) && factor(&turbo) < factor(&original));
}

#[test]
fn a_pull_is_accepted_watched_to_its_end_and_then_installed() {
    let scene = Scene::new();
    scene.hub.pace(T3, Duration::from_millis(10));
    let server = server(&scene);
    let accepted = server.post("/api/models/my-voice/pull", &json!({}));
    assert_eq!(accepted.status, 202, "{}", accepted.text());
    let accepted = accepted.json();
    assert_eq!(accepted["events_url"], "/api/models/my-voice/events");
    // A second request joins the pull that runs.
    assert_eq!(server.post("/api/models/my-voice/pull", &json!({})).status, 202);
    let events = events(&server, NAME);
    let (last, before) = events.split_last().unwrap();
    assert_eq!((last.0.as_str(), &last.1), ("done", &json!({ "state": "done" })));
    assert!(before.len() > 2 && before.iter().all(|(event, _)| event == "progress"), "{events:?}");
    assert!(before.iter().any(|(_, data)| data["phase"] == "downloading" && data["bytes_total"] == 455_066));
    let model = listed(&server, NAME);
    assert_eq!((&model["state"], &model["pull"]["state"]), (&json!("installed"), &json!("done")));
    for (name, bytes) in content() {
        let folder = model["folder"].as_str().unwrap();
        assert!(std::fs::read(format!("{folder}/{name}")).unwrap() == bytes, "{name}");
    }
    let again = server.post("/api/models/my-voice/pull", &json!({}));
    assert_eq!(
        (again.status, again.json()["message"].as_str()),
        (200, Some("my-voice is installed already"))
    );
}

#[test]
fn a_pull_can_be_cancelled_and_goes_on_later() {
    let scene = Scene::new();
    scene.hub.faults(T3, &[Fault::StallAfter(100_000)]);
    let server = server(&scene);
    server.post("/api/models/my-voice/pull", &json!({}));
    let part = server.data.path().join("models/.partial/my-voice").join(T3);
    wait_until(|| length(&part) == 100_000);
    assert_eq!(server.delete("/api/models/my-voice/pull").status, 200);
    assert_eq!(events(&server, NAME).last().unwrap().0, "cancelled");
    let model = listed(&server, NAME);
    assert_eq!(model["state"], "partial");
    assert!(model["partial_bytes"].as_u64().unwrap() >= 100_000);
    assert_eq!(server.delete("/api/models/my-voice/pull").status, 404, "there is nothing left to cancel");
    server.post("/api/models/my-voice/pull", &json!({}));
    assert_eq!(events(&server, NAME).last().unwrap().0, "done");
}

#[test]
fn a_pull_that_fails_says_why_in_its_last_event_and_in_the_list() {
    let scene = Scene::new();
    scene.hub.head_faults(T3, &[Fault::Status(403, "X-Error-Code: GatedRepo\r\n")]);
    let server = server(&scene);
    server.post("/api/models/my-voice/pull", &json!({}));
    let events = events(&server, NAME);
    let (event, data) = events.last().unwrap();
    assert_eq!(event, "failed");
    assert!(data["error"].as_str().unwrap().starts_with("me/voice is gated"), "{data}");
    assert_eq!(listed(&server, NAME)["pull"], *data);
}

#[test]
fn a_server_that_stops_does_not_wait_for_a_pull() {
    let scene = Scene::new();
    scene.hub.faults(T3, &[Fault::StallAfter(100_000)]);
    let server = server(&scene);
    server.post("/api/models/my-voice/pull", &json!({}));
    let part = server.data.path().join("models/.partial/my-voice").join(T3);
    wait_until(|| length(&part) == 100_000);
    let started = Instant::now();
    std::thread::scope(|scope| {
        let watching = scope.spawn(|| events(&server, NAME));
        std::thread::sleep(Duration::from_millis(200));
        server.ask_to_stop();
        assert_eq!(watching.join().unwrap().last().unwrap().0, "cancelled");
    });
    drop(server);
    assert!(started.elapsed() < Duration::from_secs(8), "{:?}", started.elapsed());
}

#[test]
fn a_model_is_checked_and_removed() {
    let scene = Scene::new();
    let server = server(&scene);
    server.post("/api/models/my-voice/pull", &json!({}));
    events(&server, NAME);
    let well = server.post("/api/models/my-voice/verify", &json!({}));
    assert_eq!((well.status, well.json()), (200, json!({ "name": NAME, "ok": true, "damages": [] })));
    std::fs::write(server.data.path().join("models/my-voice/vocab.json"), "{\"c\": 0}").unwrap();
    let damaged = server.post("/api/models/my-voice/verify", &json!({})).json();
    assert_eq!((&damaged["ok"], &damaged["damages"][0]["file"]), (&json!(false), &json!("vocab.json")));
    let removed = server.delete("/api/models/my-voice");
    assert_eq!(removed.status, 200, "{}", removed.text());
    assert!(removed.json()["freed_bytes"].as_u64().unwrap() > 455_000);
    assert_eq!(listed(&server, NAME)["state"], "missing");
    assert_eq!(server.delete("/api/models/my-voice").status, 404);
    assert_eq!(server.post("/api/models/my-voice/verify", &json!({})).status, 404);
}

#[test]
fn unknown_models_and_pulls_are_404_with_a_sentence() {
    let scene = Scene::new();
    let server = server(&scene);
    for answer in [
        server.post("/api/models/tubro/pull", &json!({})),
        server.get("/api/models/tubro/events"),
        server.delete("/api/models/tubro"),
        server.delete("/api/models/..%2f..%2fetc"),
    ] {
        assert_eq!(answer.status, 404);
        assert!(answer.detail().starts_with("there is no model"), "{}", answer.text());
    }
    let nothing = server.get("/api/models/turbo/events");
    assert_eq!(nothing.status, 404);
    assert!(nothing.detail().contains("POST /api/models/turbo/pull"), "{}", nothing.text());
}

#[test]
fn pages_of_other_origins_can_begin_nothing() {
    let scene = Scene::new();
    let server = server(&scene);
    // What a form or a fetch without a preflight can send.
    for content_type in [None, Some("text/plain"), Some("application/x-www-form-urlencoded")] {
        for path in ["/api/models/my-voice/pull", "/api/models/my-voice/verify"] {
            assert_eq!(server.post_raw(path, content_type, b"{}").status, 415, "{path}");
        }
    }
    let foreign = [("Host", "evil.example")];
    assert_eq!(server.get_with("/api/models", &foreign).status, 421);
    assert_eq!(server.get_with("/api/models/my-voice/events", &foreign).status, 421);
    assert_eq!(scene.hub.take_log(), []);
}
