//! The Model Context Protocol over HTTP: the handshake, the tools, and what is told when an assistant is mistaken.

use serde_json::{Value, json};

use crate::server::{Answer, Server};

fn send(server: &Server, method: &str, parameters: &Value) -> Answer {
    server.post("/mcp", &json!({ "jsonrpc": "2.0", "id": 7, "method": method, "params": parameters }))
}

fn result(answer: &Answer) -> Value {
    let body = answer.json();
    assert_eq!((answer.status, &body["jsonrpc"], &body["id"]), (200, &json!("2.0"), &json!(7)), "{body}");
    body["result"].clone()
}

fn call(server: &Server, tool: &str, arguments: &Value) -> Value {
    result(&send(server, "tools/call", &json!({ "name": tool, "arguments": arguments })))
}

#[test]
fn the_handshake_agrees_on_a_version_and_notifications_are_taken() {
    let server = Server::start();
    for (wanted, agreed) in
        [("2025-06-18", "2025-06-18"), ("2024-11-05", "2024-11-05"), ("1999-01-01", "2025-11-25")]
    {
        let parameters = json!({ "protocolVersion": wanted, "capabilities": {}, "clientInfo": { "name": "t", "version": "1" } });
        let told = result(&send(&server, "initialize", &parameters));
        assert_eq!(
            (&told["protocolVersion"], &told["serverInfo"]["name"]),
            (&json!(agreed), &json!("declaim"))
        );
        assert!(told["capabilities"]["tools"].is_object());
    }
    let taken = server.post("/mcp", &json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }));
    assert_eq!((taken.status, taken.body.len()), (202, 0));
    assert_eq!(result(&send(&server, "ping", &json!({}))), json!({}));
    assert_eq!(server.get("/mcp").status, 405, "there is no stream to listen to");
}

#[test]
fn every_tool_is_described_with_its_arguments() {
    let tools = result(&send(&Server::start(), "tools/list", &json!({})))["tools"].clone();
    let names: Vec<&str> =
        tools.as_array().unwrap().iter().map(|tool| tool["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["speak", "list_voices", "job_status"]);
    for tool in tools.as_array().unwrap() {
        assert!(tool["description"].as_str().unwrap().len() > 40 && tool["inputSchema"]["type"] == "object");
    }
}

#[test]
fn an_assistant_chooses_a_voice_speaks_and_fetches_the_file() {
    let server = Server::start();
    let voices = call(&server, "list_voices", &json!({}))["structuredContent"]["voices"].clone();
    let spoken = call(
        &server,
        "speak",
        &json!({ "text": "Hello world", "voice": voices[0]["id"], "format": "wav", "seed": 7 }),
    );
    let facts = &spoken["structuredContent"];
    assert_eq!((&facts["voice"], &facts["seed"]), (&voices[0]["id"], &json!(7)), "{spoken}");
    let url = facts["result_url"].as_str().unwrap();
    assert!(spoken["content"][0]["text"].as_str().unwrap().contains(url));
    let file = server.get(url.strip_prefix(&server.url).unwrap());
    assert_eq!((file.status, &file.body[..4]), (200, b"RIFF".as_slice()));
    let status = call(&server, "job_status", &json!({ "job_id": facts["job_id"] }));
    assert_eq!(status["structuredContent"]["status"], "completed");
}

#[test]
fn a_long_text_need_not_be_waited_for() {
    let server = Server::start();
    let queued = call(&server, "speak", &json!({ "text": "Hello world", "wait": false }));
    let id = queued["structuredContent"]["job_id"].as_str().unwrap();
    server.wait_for(id, &["completed"]);
    let status = call(&server, "job_status", &json!({ "job_id": id }))["structuredContent"].clone();
    assert_eq!(
        (&status["progress"], &status["result_url"]),
        (&json!(100), &json!(format!("/tts/{id}/result")))
    );
}

#[test]
fn mistakes_of_the_assistant_are_results_and_broken_messages_are_errors() {
    let server = Server::start();
    for (tool, arguments, words) in [
        ("speak", json!({}), "text is empty"),
        ("speak", json!({ "text": "a", "speed": 9 }), "speed must be a number from 0.25 to 4"),
        ("speak", json!({ "text": "a", "voice": "nobody" }), "voice: there is no voice \"nobody\""),
        ("list_voices", json!({ "model": "nope" }), "there is no model \"nope\""),
        ("job_status", json!({ "job_id": "x" }), "there is no job \"x\""),
    ] {
        let refused = call(&server, tool, &arguments);
        assert_eq!(refused["isError"], true);
        assert!(refused["content"][0]["text"].as_str().unwrap().contains(words), "{refused}");
    }
    for (message, code) in [
        (json!({ "jsonrpc": "2.0", "id": 7, "method": "resources/list" }), -32_601),
        (json!({ "jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": { "name": "sing" } }), -32_602),
        (json!({ "jsonrpc": "2.0", "id": 7 }), -32_600),
        (json!({ "jsonrpc": "2.0", "id": {}, "method": "ping" }), -32_600),
        (json!({ "id": 7, "method": "ping" }), -32_600),
    ] {
        let answer = server.post("/mcp", &message);
        assert_eq!(answer.status, if code == -32_600 { 400 } else { 200 });
        assert_eq!(answer.json()["error"]["code"], code, "{}", answer.text());
    }
}
