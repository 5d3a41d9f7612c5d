//! What clients hear of jobs as it happens: server-sent events, from outside.

use std::io::{BufRead, BufReader};
use std::time::Duration;

use serde_json::{Value, json};

use crate::server::{PATIENCE, Server};
use crate::{LONG, UNKNOWN};

/// Reads a stream of events to its end: their kinds, ids and data.
fn listen(server: &Server, path: &str, last: Option<&str>) -> Vec<(String, Option<i64>, Value)> {
    let mut request = ureq::get(format!("{}{path}", server.url));
    if let Some(last) = last {
        request = request.header("Last-Event-ID", last);
    }
    let answer = request.config().timeout_global(Some(PATIENCE)).build().call().unwrap();
    assert_eq!(answer.headers()["content-type"], "text/event-stream");
    let mut heard = Vec::new();
    let (mut kind, mut id) = (String::new(), None);
    for line in BufReader::new(answer.into_body().into_reader()).lines() {
        let line = line.unwrap();
        if let Some(value) = line.strip_prefix("event: ") {
            value.clone_into(&mut kind);
        } else if let Some(value) = line.strip_prefix("id: ") {
            id = Some(value.parse().unwrap());
        } else if let Some(value) = line.strip_prefix("data: ") {
            heard.push((std::mem::take(&mut kind), id.take(), serde_json::from_str(value).unwrap()));
        }
    }
    heard
}

/// Without what is told only while it happens.
fn kept(heard: &[(String, Option<i64>, Value)]) -> Vec<&str> {
    heard.iter().filter(|(_, id, _)| id.is_some()).map(|(kind, ..)| kind.as_str()).collect()
}

#[test]
fn a_job_is_followed_from_its_beginning_to_its_end_and_resumed_anywhere() {
    let server = Server::slow();
    let id = server.enqueue(&json!({ "text": "One is followed as it is spoken." }));
    let path = format!("/tts/{id}/events");
    let heard = listen(&server, &path, None);
    assert_eq!(kept(&heard), ["queued", "started", "planned", "chunk", "completed"]);
    assert_eq!(heard[0].2["priority"], "normal", "in the words of requests");
    let progress: Vec<i64> = heard
        .iter()
        .filter(|(kind, ..)| kind == "progress")
        .map(|(_, _, data)| data["progress"].as_i64().unwrap())
        .collect();
    assert!(progress.len() >= 2 && progress.is_sorted(), "{progress:?}");
    let (_, last, end) = heard.last().unwrap();
    assert_eq!((&end["job_id"], &end["event"]), (&json!(id), &json!("completed")));
    assert_eq!(end["result_url"], format!("/tts/{id}/result"));
    assert_eq!(end["bytes"], server.status(&id)["file_size_bytes"]);

    // As a browser that lost the line comes back, also after the end.
    let ids: Vec<i64> = heard.iter().filter_map(|(_, id, _)| *id).collect();
    assert!(ids.is_sorted_by(|a, b| a < b), "{ids:?}");
    let missed = listen(&server, &path, Some(&ids[1].to_string()));
    assert_eq!(kept(&missed), ["planned", "chunk", "completed"]);
    assert_eq!(missed.last().unwrap(), heard.last().unwrap());
    assert_eq!(listen(&server, &path, Some(&last.unwrap().to_string())), []);
    assert_eq!(listen(&server, &format!("{path}?after={}", ids[3]), None).len(), 1);
}

#[test]
fn what_cannot_be_followed_is_refused() {
    let server = Server::slow();
    assert_eq!(server.get(&format!("/tts/{UNKNOWN}/events")).status, 404);
    let id = server.enqueue(&json!({ "text": LONG }));
    let wrong = server.get_with(&format!("/tts/{id}/events"), &[("Last-Event-ID", "x")]);
    assert_eq!(wrong.status, 422);
    let full = Server::with(|settings| settings.limits.max_followers = 0, crate::humming(Duration::ZERO));
    let id = full.enqueue(&json!({ "text": "x" }));
    let refused = full.get(&format!("/tts/{id}/events"));
    assert_eq!((refused.status, refused.header("retry-after")), (429, "10"));
}

#[test]
fn a_server_that_stops_lets_its_listeners_go() {
    let server = Server::slow();
    let id = server.enqueue(&json!({ "text": LONG.repeat(40) }));
    let url = format!("{}/tts/{id}/events", server.url);
    let (told, listening) = std::sync::mpsc::channel();
    let listener = std::thread::spawn(move || {
        let answer = ureq::get(url).call().unwrap();
        let mut lines = BufReader::new(answer.into_body().into_reader()).lines();
        while let Some(Ok(line)) = lines.next() {
            if line == "event: started" {
                told.send(()).unwrap();
            }
        }
    });
    listening.recv_timeout(PATIENCE).unwrap();
    let begun = std::time::Instant::now();
    drop(server);
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
    listener.join().unwrap();
}
