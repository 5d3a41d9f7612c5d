//! Home Assistant's side of the Wyoming protocol, byte by byte.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::server::{PATIENCE, Server};

struct Client {
    stream: BufReader<TcpStream>,
}

impl Client {
    fn connect(server: &Server) -> Self {
        let stream = TcpStream::connect(server.wyoming).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { stream: BufReader::new(stream) }
    }

    fn send(&mut self, kind: &str, data: &Value) {
        let data = data.to_string();
        let line = json!({ "type": kind, "version": "1.10.2", "data_length": data.len() });
        self.stream.get_mut().write_all(format!("{line}\n{data}").as_bytes()).unwrap();
    }

    /// Kind, data and sound of the next event; `None` once the server has hung up.
    fn next(&mut self) -> Option<(String, Value, Vec<u8>)> {
        let mut line = String::new();
        if self.stream.read_line(&mut line).unwrap() == 0 {
            return None;
        }
        let head: Value = serde_json::from_str(&line).unwrap();
        let mut take = |key: &str| {
            let mut bytes = vec![0; head[key].as_u64().unwrap_or(0) as usize];
            self.stream.read_exact(&mut bytes).unwrap();
            bytes
        };
        let data = serde_json::from_slice(&take("data_length")).unwrap();
        Some((head["type"].as_str().unwrap().to_owned(), data, take("payload_length")))
    }

    /// The seconds of sound up to its end, with every rule of it checked.
    fn sound(&mut self) -> f64 {
        let (kind, format, _) = self.next().unwrap();
        assert_eq!(kind, "audio-start", "{format}");
        assert_eq!((&format["width"], &format["channels"]), (&json!(2), &json!(1)));
        let mut bytes = 0;
        loop {
            let (kind, data, payload) = self.next().unwrap();
            match kind.as_str() {
                "audio-chunk" => {
                    assert_eq!(data["rate"], format["rate"]);
                    bytes += payload.len();
                }
                "audio-stop" => return bytes as f64 / 2.0 / format["rate"].as_f64().unwrap(),
                other => panic!("{other} in the middle of the sound"),
            }
        }
    }
}

#[test]
fn it_says_which_voices_it_has_in_which_languages() {
    let server = Server::start();
    let mut client = Client::connect(&server);
    client.send("describe", &json!({}));
    let (kind, info, _) = client.next().unwrap();
    assert_eq!(kind, "info");
    let program = &info["tts"][0];
    assert_eq!(
        (&program["installed"], &program["supports_synthesize_streaming"]),
        (&json!(true), &json!(true))
    );
    let default = server.get("/api/model-info").json()["default_voice"].clone();
    assert_eq!(program["voices"][0]["name"], default);
    for voice in program["voices"].as_array().unwrap() {
        for key in ["name", "description", "version"] {
            assert!(voice[key].is_string(), "{key}: {voice}");
        }
        assert!(voice["attribution"]["name"].is_string() && voice["attribution"]["url"].is_string());
        assert_eq!(voice["languages"], json!(["en"]));
    }
    client.send("ping", &json!({ "text": "x" }));
    assert_eq!(client.next().unwrap().0, "pong");
}

#[test]
fn a_text_comes_back_as_sound_as_often_as_one_is_sent() {
    let server = Server::start();
    let mut client = Client::connect(&server);
    client.send("synthesize", &json!({ "text": "Hello world", "voice": { "name": "hum" } }));
    let short = client.sound();
    client.send("something-new", &json!({}));
    client.send(
        "synthesize",
        &json!({ "text": "Hello world, and all who live in it.", "voice": { "language": "en" } }),
    );
    let long = client.sound();
    assert!(short > 0.5 && long > 2.0 * short, "{short} {long}");
}

#[test]
fn a_text_that_comes_in_pieces_is_spoken_sentence_by_sentence() {
    let server = Server::start();
    let mut client = Client::connect(&server);
    client.send("synthesize-start", &json!({ "voice": { "name": "hum" } }));
    for piece in ["The first sen", "tence. The sec", "ond one. And the ", "last"] {
        client.send("synthesize-chunk", &json!({ "text": piece }));
    }
    // For servers without streams; it must not be spoken a second time.
    client.send("synthesize", &json!({ "text": "The first sentence. The second one. And the last" }));
    client.send("synthesize-stop", &json!({}));
    assert!(client.sound() > 1.0);
    assert_eq!(client.next().unwrap().0, "synthesize-stopped");
    let jobs = server.jobs();
    let texts: Vec<&str> =
        jobs.as_array().unwrap().iter().rev().map(|job| job["text"].as_str().unwrap()).collect();
    assert_eq!(texts, ["The first sentence.", "The second one.", "And the last"]);
    client.send("synthesize-start", &json!({}));
    client.send("synthesize-stop", &json!({}));
    assert_eq!(client.next().unwrap().0, "synthesize-stopped");
}

#[test]
fn the_first_sentence_is_heard_before_the_text_has_ended() {
    let server = Server::start();
    let mut client = Client::connect(&server);
    client.send("synthesize-start", &json!({}));
    client.send("synthesize-chunk", &json!({ "text": "This is the first. And this" }));
    assert_eq!(client.next().unwrap().0, "audio-start");
    assert_eq!(client.next().unwrap().0, "audio-chunk");
}

#[test]
fn a_refusal_is_told_and_the_line_closed() {
    let server = Server::start();
    for (data, words) in [
        (json!({ "text": "Hi", "voice": { "name": "nobody" } }), "there is no voice \"nobody\""),
        (json!({ "text": " " }), "text is empty"),
        (json!({}), "text is empty"),
    ] {
        let mut client = Client::connect(&server);
        client.send("synthesize", &data);
        let (kind, error, _) = client.next().unwrap();
        assert_eq!(kind, "error");
        assert!(error["text"].as_str().unwrap().contains(words), "{error}");
        assert!(client.next().is_none());
    }
    let mut browser = Client::connect(&server);
    browser.stream.get_mut().write_all(b"POST / HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    assert_eq!(browser.next().unwrap().0, "error");
}

#[test]
fn a_client_that_leaves_takes_its_job_with_it() {
    let server = Server::slow();
    let mut client = Client::connect(&server);
    client.send("synthesize", &json!({ "text": crate::LONG }));
    let started = Instant::now();
    let id = loop {
        if let Some(job) = server.jobs().get(0).filter(|job| job["status"] == "running") {
            break job["job_id"].as_str().unwrap().to_owned();
        }
        assert!(started.elapsed() < PATIENCE);
        std::thread::sleep(Duration::from_millis(10));
    };
    client.stream.get_ref().shutdown(Shutdown::Both).unwrap();
    drop(client);
    server.wait_for(&id, &["cancelled"]);
}
