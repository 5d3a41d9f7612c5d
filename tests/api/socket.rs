//! Jobs over a WebSocket, from outside.

use std::net::TcpStream;

use serde_json::{Value, json};
use tungstenite::{Message, WebSocket};

use crate::server::{PATIENCE, Server};
use crate::{LONG, UNKNOWN};

struct Line(WebSocket<TcpStream>);

impl Line {
    fn open(server: &Server) -> Self {
        let stream = TcpStream::connect(server.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let (socket, _) = tungstenite::client(format!("ws://{}/tts/ws", server.address), stream).unwrap();
        Self(socket)
    }

    fn say(&mut self, wish: &Value) {
        self.0.send(Message::text(wish.to_string())).unwrap();
    }

    /// The next message that `is_wanted`.
    fn hear(&mut self, is_wanted: impl Fn(&Value) -> bool) -> Value {
        loop {
            if let Message::Text(text) = self.0.read().unwrap() {
                let message = serde_json::from_str(&text).unwrap();
                if is_wanted(&message) {
                    return message;
                }
            }
        }
    }

    fn ask(&mut self, wish: &Value) -> Value {
        self.say(wish);
        self.hear(|message| message["ref"] == wish["ref"])
    }
}

#[test]
fn a_socket_enqueues_follows_and_cancels() {
    let server = Server::slow();
    let mut line = Line::open(&server);
    let all = line.ask(&json!({ "type": "subscribe", "ref": 1 }));
    assert_eq!(all, json!({ "type": "subscribed", "job_id": null, "ref": 1 }));
    let wish = json!({ "type": "enqueue", "text": LONG, "idempotency_key": "k", "ref": "a" });
    let accepted = line.ask(&wish);
    assert_eq!(accepted["type"], "accepted", "{accepted}");
    let id = accepted["job_id"].clone();
    let mut again = wish.clone();
    again["ref"] = json!("b");
    assert_eq!(line.ask(&again)["job_id"], id, "the same wish is the same job");
    line.hear(|message| message["event"] == "started" && message["job_id"] == id);
    assert_eq!(line.ask(&json!({ "type": "cancel", "job_id": id, "ref": 3 }))["type"], "cancelled");
    let end = line.hear(|message| message["event"] == "cancelled");
    assert_eq!(end["job_id"], id);

    // From the beginning, on a line of its own.
    let mut line = Line::open(&server);
    line.say(&json!({ "type": "subscribe", "job_id": id }));
    let first = line.hear(|message| message["type"] == "event");
    assert_eq!((&first["event"], &first["job_id"]), (&json!("queued"), &id));
    line.hear(|message| message["event"] == "cancelled");
}

#[test]
fn a_socket_answers_what_it_does_not_understand_with_a_sentence() {
    let server = Server::start();
    let mut line = Line::open(&server);
    for (wish, status, detail) in [
        (json!({ "type": "sing", "ref": 1 }), 422, "type must be subscribe, enqueue or cancel"),
        (json!({ "type": "enqueue", "ref": 1 }), 422, "text is empty"),
        (
            json!({ "type": "enqueue", "text": "x", "idempotency_key": "k".repeat(256), "ref": 1 }),
            422,
            "idempotency_key must be 1 to 255 characters of ASCII",
        ),
        (json!({ "type": "cancel", "job_id": UNKNOWN, "ref": 1 }), 404, "Job not found"),
        (json!({ "type": "subscribe", "job_id": "x", "ref": 1 }), 404, "Job not found"),
    ] {
        let answer = line.ask(&wish);
        assert_eq!((&answer["type"], &answer["status"]), (&json!("error"), &json!(status)), "{answer}");
        assert!(answer["detail"].as_str().unwrap().starts_with(detail), "{answer}");
    }
    line.0.send(Message::text("{")).unwrap();
    assert_eq!(line.hear(|message| message["type"] == "error")["status"], 400);
}

#[test]
fn a_page_of_another_site_cannot_open_a_socket() {
    let server = Server::start();
    let headers = [
        ("Origin", "https://evil.example"),
        ("Connection", "Upgrade"),
        ("Upgrade", "websocket"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];
    assert_eq!(server.get_with("/tts/ws", &headers).status, 403);
}
