//! Several models in one server, from outside: loaded when a request names them, swapped, given up for room or for lack of
//! work, and never at the cost of a job.

use std::time::{Duration, Instant};

use crate::server::{Offers, PATIENCE, Server, humming};
use declaim::speech::catalog::Offer;
use declaim::speech::model::{ModelError, ModelInfo};
use declaim::speech::tone;
use serde_json::{Value, json};

/// A job of some seconds on the slow server, so that it is caught while it runs.
const LONG: &str = "This sentence is long enough to be caught while it is being spoken by a slow model.";

/// The test models and one that cannot be loaded.
fn with_a_broken_one() -> Offers {
    Box::new(|library| {
        let info = ModelInfo { name: "broken".to_owned(), ..tone::info() };
        let mut offers = humming(Duration::ZERO)(library);
        offers.push(Offer::new(info, || Err(ModelError::NotLoaded("the weights are missing".to_owned()))));
        offers
    })
}

fn model(server: &Server, name: &str) -> Value {
    let info = server.get("/api/model-info").json();
    let models = info["models"].as_array().unwrap();
    models.iter().find(|model| model["name"] == name).unwrap().clone()
}

fn wait_for_state(server: &Server, name: &str, wanted: &str) -> Value {
    let started = Instant::now();
    loop {
        let model = model(server, name);
        if model["state"] == wanted {
            return model;
        }
        assert!(started.elapsed() < PATIENCE, "{name} never became {wanted}: {model}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_request_may_name_its_model_which_is_loaded_on_demand_beside_the_other() {
    let server = Server::start_ready();
    assert_eq!(model(&server, "tone-low")["state"], "unloaded");
    let answer = server.post("/tts", &json!({ "text": "Hello", "model": "Tone-Low", "seed": 3 }));
    assert_eq!(answer.status, 200);
    let status = server.status(answer.header("x-declaim-job-id"));
    assert_eq!((&status["model"], &status["voice"]), (&json!("tone-low"), &json!("drone")));
    let other = server.post("/tts", &json!({ "text": "Hello", "seed": 3 }));
    assert_ne!(other.body, answer.body);
    for name in ["tone", "tone-low"] {
        let model = model(&server, name);
        assert_eq!((&model["state"], &model["memory_mb"]), (&json!("ready"), &json!(1)), "{model}");
        assert!(model["load_sec"].is_f64() && model["device"] == "CPU (one sine)", "{model}");
    }
    assert_eq!(model(&server, "tone")["default"], true);
}

#[test]
fn an_unknown_model_is_refused_at_once_with_the_models_there_are() {
    let server = Server::start();
    for door in ["/tts/enqueue", "/tts", "/api/preview"] {
        let refused = server.post(door, &json!({ "text": "Hello", "model": "choir" }));
        assert_eq!(refused.status, 404, "{door}");
        assert_eq!(
            refused.detail(),
            "model: there is no model \"choir\"; the models are tone, tone-low",
            "{door}"
        );
    }
    assert_eq!(server.post("/api/models/choir/load", &json!({})).status, 404);
    assert_eq!(server.post("/api/models/choir/unload", &json!({})).status, 404);
    assert_eq!(server.get("/api/voices?model=choir").status, 404);
    assert_eq!(server.jobs(), json!([]));
}

#[test]
fn a_failed_load_leaves_the_old_model_serving() {
    let server = Server::with(|_settings| {}, with_a_broken_one());
    wait_for_state(&server, "tone", "ready");
    let accepted = server.post("/api/models/broken/load", &json!({}));
    assert_eq!((accepted.status, &accepted.json()["status"]), (202, &json!("loading")));
    let broken = wait_for_state(&server, "broken", "failed");
    assert_eq!(broken["error"], "the weights are missing");
    assert_eq!(model(&server, "tone")["state"], "ready");
    assert_eq!(server.post("/tts", &json!({ "text": "Still here" })).status, 200);
    let refused = server.post("/tts/enqueue", &json!({ "text": "Hi", "model": "broken" }));
    assert_eq!(refused.status, 503);
    assert_eq!(refused.detail(), "The model broken could not be loaded: the weights are missing");
    assert_eq!(server.get("/readyz").status, 200);
}

#[test]
fn a_job_whose_model_cannot_be_loaded_waits_and_says_why_while_others_pass() {
    let server = Server::with(|_settings| {}, with_a_broken_one());
    wait_for_state(&server, "tone", "ready");
    let waiting = server.enqueue(&json!({ "text": "Hi", "model": "broken" }));
    let passing = server.enqueue(&json!({ "text": "Hello" }));
    server.wait_for(&passing, &["completed"]);
    let status = server.status(&waiting);
    assert_eq!(status["status"], "queued", "{status}");
    assert_eq!(status["waiting_for"], "the model broken could not be loaded: the weights are missing");
    assert_eq!(server.delete(&format!("/tts/{waiting}")).status, 200);
    assert_eq!(server.status(&waiting)["status"], "cancelled");
}

#[test]
fn over_the_memory_budget_the_other_model_makes_room_and_says_so() {
    let server =
        Server::with(|settings| settings.model.memory_bytes = Some(1 << 20), humming(Duration::ZERO));
    wait_for_state(&server, "tone", "ready");
    assert_eq!(server.get("/api/model-info").json()["memory_budget_mb"], 1);
    assert_eq!(server.post("/tts", &json!({ "text": "Hi", "model": "tone-low" })).status, 200);
    let gone = wait_for_state(&server, "tone", "unloaded");
    assert_eq!(gone["why_unloaded"], "it made room for tone-low: both do not fit in 1 MB");
    assert_eq!(server.get("/readyz").status, 200, "a job sent now would be spoken");
    assert_eq!(server.post("/tts", &json!({ "text": "Hi" })).status, 200);
    wait_for_state(&server, "tone-low", "unloaded");
}

#[test]
fn a_job_in_flight_finishes_with_its_model_before_another_takes_its_room() {
    let server = Server::with(
        |settings| settings.model.memory_bytes = Some(1 << 20),
        humming(Duration::from_millis(10)),
    );
    let first = server.enqueue(&json!({ "text": LONG }));
    server.wait_for(&first, &["running"]);
    assert_eq!(server.post("/api/models/tone-low/load", &json!({})).status, 202);
    let second = server.enqueue(&json!({ "text": "Short.", "model": "tone-low" }));
    server.wait_for(&first, &["completed"]);
    let status = server.wait_for(&second, &["completed"]);
    assert_eq!(status["model"], "tone-low");
    assert_eq!(server.status(&first)["error"], json!(null));
    assert_eq!(model(&server, "tone")["state"], "unloaded");
}

#[test]
fn an_idle_model_is_unloaded_after_its_time_and_comes_back_with_the_next_request() {
    let server = Server::with(
        |settings| settings.model.unload_after = Some(Duration::from_millis(100)),
        humming(Duration::ZERO),
    );
    let info = server.get("/api/model-info").json();
    assert!((info["unload_after_min"].as_f64().unwrap() * 60.0 - 0.1).abs() < 1e-6, "{info}");
    let idle = wait_for_state(&server, "tone", "unloaded");
    let started = Instant::now();
    assert!(idle["why_unloaded"].as_str().unwrap().starts_with("it was not used for"), "{idle}");
    let info = server.get("/api/model-info").json();
    assert_eq!((&info["loaded"], &info["state"]), (&json!(false), &json!("unloaded")));
    assert_eq!((info["type"].as_str(), info["error"].as_str()), (Some("tone"), None));
    assert_eq!(server.get("/readyz").status, 200);
    assert_eq!(server.post("/tts", &json!({ "text": "Hi" })).status, 200);
    assert!(started.elapsed() < PATIENCE);
    wait_for_state(&server, "tone", "unloaded");
}

#[test]
fn models_are_unloaded_and_loaded_by_hand() {
    let server = Server::start_ready();
    let unloaded = server.post("/api/models/tone/unload", &json!({}));
    assert_eq!(unloaded.json(), json!({ "model": "tone", "status": "unloaded" }));
    assert_eq!(model(&server, "tone")["why_unloaded"], "it was unloaded on request");
    assert_eq!(server.post("/api/models/TONE/load", &json!({})).status, 202);
    wait_for_state(&server, "tone", "ready");
    let again = server.post("/api/models/tone/load", &json!({}));
    assert_eq!((again.status, again.json()), (200, json!({ "model": "tone", "status": "ready" })));
    let all = server.post_raw("/api/unload", None, b"");
    assert_eq!((all.status, all.json()), (200, json!({ "status": "unloaded" })), "as upstream answers");
    assert_eq!(model(&server, "tone")["state"], "unloaded");
    assert_eq!(server.post("/tts", &json!({ "text": "Hi" })).status, 200, "and unlike it, it comes back");
}

#[test]
fn unloading_lets_the_job_in_hand_end_first() {
    let server = Server::slow();
    let id = server.enqueue(&json!({ "text": LONG }));
    server.wait_for(&id, &["running"]);
    let answer = server.post("/api/models/tone/unload", &json!({}));
    assert_eq!(answer.json()["status"], "unloading");
    let running = model(&server, "tone");
    assert_eq!((&running["state"], &running["in_use"]), (&json!("ready"), &json!(true)));
    server.wait_for(&id, &["completed"]);
    wait_for_state(&server, "tone", "unloaded");
}

#[test]
fn pages_of_other_sites_can_neither_unload_nor_load() {
    let server = Server::start_ready();
    for path in ["/api/unload", "/api/models/tone/unload", "/api/models/tone/load"] {
        let request = ureq::post(format!("{}{path}", server.url)).header("Origin", "https://evil.example");
        let answer = request.config().http_status_as_error(false).build().send_empty().unwrap();
        assert_eq!(answer.status(), 403, "{path}");
    }
    assert_eq!(model(&server, "tone")["state"], "ready");
}

#[test]
fn a_server_whose_configured_model_is_not_there_runs_and_says_what_there_is() {
    let server = Server::with(|settings| settings.model.name = "choir".to_owned(), humming(Duration::ZERO));
    let cause = "there is no model \"choir\"; the models are tone, tone-low";
    let info = server.get("/api/model-info").json();
    assert_eq!((&info["state"], &info["error"]), (&json!("failed"), &json!(cause)));
    for answer in [server.get("/readyz"), server.post("/tts/enqueue", &json!({ "text": "Hi" }))] {
        assert_eq!((answer.status, answer.detail()), (503, cause.to_owned()));
    }
    assert_eq!(server.post("/tts", &json!({ "text": "Hi", "model": "tone" })).status, 200);
}
