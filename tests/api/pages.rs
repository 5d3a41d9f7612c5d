//! Pages of other origins: which may call, and that nobody else may.

use serde_json::json;

use crate::server::{Answer, Server, humming};

const PAGE: &str = "http://localhost:8000";

fn asks_first(server: &Server, origin: &str) -> Answer {
    let request = ureq::http::Request::builder()
        .method("OPTIONS")
        .uri(format!("{}/tts/enqueue", server.url))
        .header("Origin", origin)
        .header("Access-Control-Request-Method", "DELETE")
        .header("Access-Control-Request-Headers", "content-type,authorization")
        .body(())
        .unwrap();
    Answer::read(
        ureq::Agent::from(ureq::Agent::config_builder().http_status_as_error(false).build()).run(request),
    )
}

#[test]
fn without_a_setting_no_page_but_our_own_is_answered_yes() {
    let server = Server::start();
    for answer in [asks_first(&server, PAGE), server.get_with("/api/model-info", &[("Origin", PAGE)])] {
        assert_eq!(answer.header("access-control-allow-origin"), "");
    }
}

#[test]
fn a_page_of_a_configured_origin_may_call_by_every_method_and_no_other_may() {
    let server = Server::with(
        |settings| settings.server.cors_origins = vec![PAGE.to_owned()],
        humming(std::time::Duration::ZERO),
    );
    let yes = asks_first(&server, PAGE);
    assert_eq!((yes.status, yes.header("access-control-allow-origin")), (200, PAGE));
    for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"] {
        assert!(yes.header("access-control-allow-methods").contains(method), "{method}");
    }
    assert_eq!(yes.header("access-control-allow-headers"), "content-type,authorization");
    let answer = server.get_with("/api/model-info", &[("Origin", PAGE)]);
    assert_eq!((answer.status, answer.header("access-control-allow-origin")), (200, PAGE));
    assert_eq!(asks_first(&server, "http://evil.example").header("access-control-allow-origin"), "");
}

#[test]
fn an_error_reaches_the_page_too() {
    let server = Server::with(
        |settings| settings.server.cors_origins = vec!["*".to_owned()],
        humming(std::time::Duration::ZERO),
    );
    let request = ureq::post(format!("{}/v1/audio/speech", server.url)).header("Origin", PAGE);
    let request =
        request.header("Content-Type", "application/json").config().http_status_as_error(false).build();
    let answer = Answer::read(request.send(json!({ "input": "" }).to_string().as_bytes()));
    assert_eq!((answer.status, answer.header("access-control-allow-origin")), (400, "*"));
}
