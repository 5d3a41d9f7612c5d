//! Text in, audio out, over one WebSocket.

use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};
use tungstenite::{Message, WebSocket};

use crate::server::{PATIENCE, Server};

struct Client(WebSocket<TcpStream>);

/// What came between an `audio` and its `audio_end`.
#[derive(Debug)]
struct Spoken {
    about: Value,
    audio: Vec<u8>,
}

impl Client {
    fn connect(server: &Server) -> Self {
        let line = TcpStream::connect(server.address).unwrap();
        line.set_read_timeout(Some(PATIENCE)).unwrap();
        let url = format!("ws://{}/tts/stream/ws", server.address);
        Self(tungstenite::client(url, line).unwrap().0)
    }

    fn say(&mut self, message: &Value) {
        self.0.send(Message::text(message.to_string())).unwrap();
    }

    fn text(&mut self, piece: &str) {
        self.say(&json!({ "type": "text", "text": piece }));
    }

    /// The next message that is no audio.
    fn told(&mut self, audio: &mut Vec<u8>) -> Value {
        loop {
            match self.0.read().unwrap() {
                Message::Binary(bytes) => audio.extend_from_slice(&bytes),
                Message::Text(text) => return serde_json::from_str(text.as_str()).unwrap(),
                Message::Ping(_) | Message::Pong(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    fn spoken(&mut self) -> Spoken {
        let mut audio = Vec::new();
        let about = self.told(&mut audio);
        assert_eq!((&about["type"], audio.len()), (&json!("audio"), 0), "{about}");
        let end = self.told(&mut audio);
        assert_eq!((&end["type"], &end["job_id"]), (&json!("audio_end"), &about["job_id"]), "{end}");
        Spoken { about, audio }
    }
}

#[test]
fn a_sentence_is_spoken_while_the_next_is_still_written() {
    let server = Server::start_ready();
    let mut client = Client::connect(&server);
    client.say(&json!({ "type": "begin", "model": "tone", "predefined_voice_id": "whistle", "seed": 5 }));
    for piece in ["It is sp", "oken when it is whole", ". Not", " before"] {
        client.text(piece);
    }
    let first = client.spoken();
    assert_eq!(first.about["text"], "It is spoken when it is whole.");
    let result = server.get(&format!("/tts/{}/result", first.about["job_id"].as_str().unwrap()));
    // Tags follow in the file.
    let is_the_file = result.status != 200 || result.body[44..].starts_with(&first.audio[44..]);
    assert!(is_the_file, "the file has the same samples");
    client.say(&json!({ "type": "flush" }));
    assert_eq!(client.spoken().about["text"], "Not before");
    client.text("And this is the end.");
    client.say(&json!({ "type": "end" }));
    let last = client.spoken();
    assert_eq!((&last.about["text"], &last.about["format"]), (&json!("And this is the end."), &json!("wav")));
    assert!(last.audio.len() > 10_000);
    assert_eq!(client.told(&mut Vec::new()), json!({ "type": "done" }));
}

#[test]
fn what_is_wrong_is_told_with_its_status_and_ends_the_line() {
    let server = Server::start_ready();
    for (messages, status, words) in [
        (vec![json!({ "type": "sing" })], 422, "begin"),
        (vec![json!({ "type": "text", "text": "A" }), json!({ "type": "begin" })], 422, "once"),
        (
            vec![
                json!({ "type": "begin", "temperature": 99 }),
                json!({ "type": "text", "text": "It is. But" }),
            ],
            422,
            "temperature",
        ),
        (
            vec![
                json!({ "type": "begin", "output_format": "m4a" }),
                json!({ "type": "text", "text": "It is. But" }),
            ],
            422,
            "m4a",
        ),
        (vec![json!({ "type": "text", "text": "x".repeat(500_001) })], 422, "characters"),
    ] {
        let mut client = Client::connect(&server);
        for message in messages {
            client.say(&message);
        }
        let error = client.told(&mut Vec::new());
        assert_eq!((&error["type"], &error["status"]), (&json!("error"), &json!(status)), "{error}");
        assert!(error["detail"].as_str().unwrap().contains(words), "{error}");
    }
}

#[test]
fn leaving_cancels_what_is_being_spoken() {
    let server = Server::slow();
    let mut client = Client::connect(&server);
    client.text("This is a sentence that takes a while to say. And");
    let about = client.told(&mut Vec::new());
    let id = about["job_id"].as_str().unwrap().to_owned();
    client.0.get_ref().set_read_timeout(Some(Duration::from_millis(1))).unwrap();
    drop(client);
    assert_eq!(server.wait_for(&id, &["cancelled", "completed"])["status"], "cancelled");
}
