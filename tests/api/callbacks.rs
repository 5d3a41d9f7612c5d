//! Calls back, from outside: a server of the test's own is called.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::mpsc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::server::{PATIENCE, Server, humming};

struct Called {
    headers: Vec<(String, String)>,
    body: String,
}

impl Called {
    fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(found, _)| found == name).map_or("", |(_, value)| value)
    }
}

/// Answers with these statuses, one after the other.
fn receiver(statuses: &'static [u16]) -> (String, mpsc::Receiver<Called>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/hook?x=1", listener.local_addr().unwrap());
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        for &status in statuses {
            let (mut stream, _) = listener.accept().unwrap();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let mut headers = Vec::new();
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            assert!(line.starts_with("POST /hook?x=1 "), "{line}");
            loop {
                line.clear();
                reader.read_line(&mut line).unwrap();
                let Some((name, value)) = line.trim().split_once(": ") else { break };
                headers.push((name.to_ascii_lowercase(), value.to_owned()));
            }
            let length =
                headers.iter().find(|(name, _)| name == "content-length").unwrap().1.parse().unwrap();
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            let location = "location: http://127.0.0.1:9/\r\n";
            write!(stream, "HTTP/1.1 {status} x\r\n{location}content-length: 0\r\nconnection: close\r\n\r\n")
                .unwrap();
            let _ = tell.send(Called { headers, body: String::from_utf8(body).unwrap() });
        }
    });
    (url, told)
}

fn trusting() -> Server {
    let trust = |settings: &mut declaim::config::Settings| {
        settings.webhooks.allow_private = true;
        settings.webhooks.secret = Some("secret".to_owned());
    };
    Server::with(trust, humming(Duration::ZERO))
}

#[test]
fn a_job_that_ends_calls_back_with_a_signature() {
    let server = trusting();
    let (url, called) = receiver(&[204]);
    let id = server.enqueue(&json!({ "text": "Call me.", "callback_url": url }));
    let call = called.recv_timeout(PATIENCE).unwrap();
    let body: Value = serde_json::from_str(&call.body).unwrap();
    assert_eq!((&body["event"], &body["job_id"]), (&json!("completed"), &json!(id)));
    assert_eq!(body["file_size_bytes"], server.status(&id)["file_size_bytes"]);
    // As a receiver checks it.
    let signature = call.header("x-declaim-signature");
    let (time, digest) = signature.strip_prefix("t=").unwrap().split_once(",v1=").unwrap();
    assert!(time.parse::<u64>().unwrap() > 1_700_000_000);
    assert_eq!(digest, hmac(b"secret", format!("{time}.{}", call.body).as_bytes()));
    let started = std::time::Instant::now();
    while server.get(&format!("/api/jobs/{id}")).json()["callbacks"][0]["state"] != "delivered" {
        assert!(started.elapsed() < PATIENCE);
    }
}

/// By its definition, so that not the same code checks itself.
fn hmac(key: &[u8], message: &[u8]) -> String {
    use sha2::{Digest, Sha256};
    let mut block = [0_u8; 64];
    block[..key.len()].copy_from_slice(key);
    let inner = Sha256::new().chain_update(block.map(|byte| byte ^ 0x36)).chain_update(message).finalize();
    let outer = Sha256::new().chain_update(block.map(|byte| byte ^ 0x5c)).chain_update(inner).finalize();
    format!("{outer:x}")
}

#[test]
fn a_call_that_nobody_takes_is_made_again_and_a_redirect_is_not_followed() {
    let server = trusting();
    let (url, called) = receiver(&[302, 200]);
    let id = server.enqueue(&json!({ "text": "Call me.", "callback_url": url }));
    let first = called.recv_timeout(PATIENCE).unwrap();
    let second = called.recv_timeout(PATIENCE).unwrap();
    assert_eq!(first.body, second.body);
    assert_eq!(first.header("x-declaim-delivery"), second.header("x-declaim-delivery"));
    let started = std::time::Instant::now();
    loop {
        let callbacks = server.get(&format!("/api/jobs/{id}")).json()["callbacks"].clone();
        if callbacks[0]["state"] == "delivered" {
            assert_eq!(callbacks[0]["attempts"], 2);
            break;
        }
        assert!(started.elapsed() < PATIENCE, "{callbacks}");
    }
}

#[test]
fn what_is_owed_survives_the_server() {
    let server = trusting();
    let unreachable = "http://127.0.0.1:9/hook?x=1";
    let id = server.enqueue(&json!({ "text": "Call me.", "callback_url": unreachable }));
    let callbacks = |server: &Server| server.get(&format!("/api/jobs/{id}")).json()["callbacks"].clone();
    let started = std::time::Instant::now();
    while callbacks(&server)[0]["attempts"] != 1 {
        assert!(started.elapsed() < PATIENCE);
    }
    let server = Server::start_on(server.stop());
    let owed = &callbacks(&server)[0];
    assert_eq!(owed["state"], "due");
    assert!(owed["problem"].as_str().is_some_and(|problem| !problem.is_empty()), "{owed}");
}

#[test]
fn private_addresses_are_refused_at_the_door() {
    let server = Server::start();
    for (url, sentence) in [
        ("http://127.0.0.1/", "callback_url must be a public address"),
        ("http://[::ffff:10.0.0.1]/", "callback_url must be a public address"),
        ("http://169.254.169.254/latest", "callback_url must be a public address"),
        ("ftp://example.org/", "callback_url must be an http or https URL"),
    ] {
        let refused = server.post("/tts/enqueue", &json!({ "text": "x", "callback_url": url }));
        assert_eq!(refused.status, 422);
        assert!(refused.detail().starts_with(sentence), "{}", refused.detail());
    }
}
