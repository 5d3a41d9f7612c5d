//! Keys, from outside: what is refused without one, whose jobs are whose, browsers' sessions, and quotas.

use std::net::TcpStream;
use std::time::{Duration, Instant};

use declaim::config::{KeyUse, Settings};
use declaim::jobs::{Jobs, NewKey, OwnQuota, QueueSettings};
use serde_json::{Value, json};
use tungstenite::client::IntoClientRequest;

use crate::LONG;
use crate::server::{Answer, PATIENCE, Server, humming};

/// What is open, beside the page itself.
const OPEN: [(&str, &str); 4] =
    [("get", "/healthz"), ("get", "/readyz"), ("post", "/api/session"), ("delete", "/api/session")];

fn required(settings: &mut Settings) {
    settings.auth.keys = KeyUse::Required;
}

fn start() -> Server {
    Server::with(required, humming(Duration::ZERO))
}

/// Does something with the directory of a running server, as the command line does.
fn beside<T>(server: &Server, work: impl AsyncFnOnce(&Jobs) -> T) -> T {
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let jobs = Jobs::open(server.data.path(), QueueSettings::default()).await.unwrap();
        let done = work(&jobs).await;
        jobs.close().await;
        done
    })
}

/// Makes a key: its id and the key itself.
fn key_with(server: &Server, name: &str, scopes: &str, quota: OwnQuota) -> (String, String) {
    let new = NewKey { name: name.to_owned(), scopes: scopes.parse().unwrap(), quota };
    let (key, secret) = beside(server, async |jobs| jobs.create_key(new).await.unwrap());
    (key.id, secret.0)
}

fn key(server: &Server, name: &str, scopes: &str) -> String {
    key_with(server, name, scopes, OwnQuota::default()).1
}

fn ask_with(
    server: &Server,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: Option<&Value>,
) -> Answer {
    let mut request = ureq::http::Request::builder()
        .method(method.to_uppercase().as_str())
        .uri(format!("{}{path}", server.url));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let config = ureq::Agent::config_builder().http_status_as_error(false).allow_non_standard_methods(true);
    let agent = ureq::Agent::new_with_config(config.build());
    Answer::read(match body {
        Some(body) => {
            agent.run(request.header("content-type", "application/json").body(body.to_string()).unwrap())
        }
        None => agent.run(request.body(()).unwrap()),
    })
}

fn ask(server: &Server, method: &str, path: &str, key: &str, body: Option<&Value>) -> Answer {
    let bearer = format!("Bearer {key}");
    ask_with(server, method, path, &[("authorization", &bearer)], body)
}

/// `(method, path, scopes)` of every endpoint of the description; `None` where no key is asked for.
fn endpoints(server: &Server) -> Vec<(String, String, Option<Vec<String>>)> {
    let document = server.get("/openapi.json").json();
    let mut found = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let scopes = operation["security"].as_array().unwrap().get(1).map(|way| {
                let scopes = way["bearer"].as_array().unwrap();
                scopes.iter().map(|scope| scope.as_str().unwrap().to_owned()).collect()
            });
            found.push((method.clone(), path.clone(), scopes));
        }
    }
    for path in ["/tts/ws", "/tts/stream/ws"] {
        found.push(("get".to_owned(), path.to_owned(), Some(vec!["speak".to_owned()])));
    }
    assert!(found.len() > 60, "the endpoints were not found");
    found
}

fn filled(path: &str, id: &str) -> String {
    let mut path = path.to_owned();
    for name in ["{id}", "{name}", "{voice}", "{file}"] {
        path = path.replace(name, id);
    }
    path
}

#[test]
fn every_endpoint_refuses_without_a_key_with_an_unknown_one_and_with_the_wrong_scope() {
    let server = start();
    let (speak, voices) = (key(&server, "s", "speak"), key(&server, "v", "voices"));
    let both = key(&server, "b", "speak,voices");
    let mut asked = 0;
    for (method, path, scopes) in endpoints(&server) {
        let address = filled(&path, crate::UNKNOWN);
        let Some(scopes) = scopes else {
            assert!(OPEN.contains(&(method.as_str(), path.as_str())), "{method} {path} is open");
            continue;
        };
        for headers in [
            &[][..],
            &[("authorization", "Bearer dcl_0123456789")],
            &[("xi-api-key", "dcl_0123456789")],
            &[("cookie", "declaim_session=dcs_0123456789")],
            // Those that other services' clients send where any will do.
            &[("authorization", "Bearer unused")],
        ] {
            let refused = ask_with(&server, &method, &address, headers, None);
            assert_eq!(refused.status, 401, "{method} {path} {headers:?}: {}", refused.text());
            assert_eq!(refused.header("www-authenticate"), "Bearer", "{method} {path}");
        }
        let wrong = match scopes.first().map(String::as_str) {
            Some("speak") => &voices,
            Some("voices") => &speak,
            Some("admin") => &both,
            None => continue,
            Some(other) => panic!("{other}"),
        };
        let refused = ask(&server, &method, &address, wrong, None);
        assert_eq!(refused.status, 403, "{method} {path}: {}", refused.text());
        asked += 1;
    }
    assert!(asked > 40);
    assert_eq!(server.get("/healthz").status, 200);
    assert!(
        server.get("/readyz").json().get("jobs").is_none(),
        "how many jobs there are is nobody's business"
    );
    assert_eq!(server.get("/").status, 200);
    assert_eq!(ask(&server, "get", "/api/voices", &voices, None).status, 200);
    assert_eq!(ask(&server, "get", "/nothing", "", None).status, 404);
}

#[test]
fn a_refusal_has_the_words_of_the_surface_that_was_asked() {
    let server = start();
    let openai = ask(&server, "post", "/v1/audio/speech", "dcl_no", None).json();
    let error = &openai["error"];
    assert_eq!(
        (&error["type"], &error["code"]),
        (&json!("invalid_request_error"), &json!("invalid_api_key"))
    );
    assert!(error["message"].as_str().unwrap().starts_with("This key is not known"), "{openai}");
    let elevenlabs = ask_with(&server, "get", "/v1/voices", &[], None).json();
    assert_eq!(elevenlabs["detail"]["status"], "invalid_api_key", "{elevenlabs}");
    let ours = ask_with(&server, "post", "/tts", &[], None).detail();
    assert!(ours.contains("Authorization: Bearer") && ours.contains("declaim keys create"), "{ours}");
    let voices = key(&server, "v", "voices");
    let scope = ask(&server, "post", "/tts", &voices, None).detail();
    assert_eq!(scope, "The key \"v\" is for voices; this needs the scope speak.");
    // Both headers are keys.
    assert_eq!(ask_with(&server, "get", "/v1/voices", &[("xi-api-key", &voices)], None).status, 200);
}

/// A completed job and a batch of one job, of the key.
fn work_of(server: &Server, key: &str) -> (String, String) {
    let accepted = ask(server, "post", "/tts/enqueue", key, Some(&json!({ "text": "Mine." })));
    assert_eq!(accepted.status, 202, "{}", accepted.text());
    let id = accepted.json()["job_id"].as_str().unwrap().to_owned();
    let batch = ask(server, "post", "/api/batches", key, Some(&json!({ "items": ["Mine too."] })));
    let batch = batch.json()["batch_id"].as_str().unwrap().to_owned();
    let started = Instant::now();
    loop {
        let job = ask(server, "get", &format!("/tts/{id}/status"), key, None).json();
        let all = ask(server, "get", &format!("/api/batches/{batch}"), key, None).json();
        if job["status"] == "completed" && all["status"] == "completed" {
            return (id, batch);
        }
        assert!(started.elapsed() < PATIENCE, "{job} {all}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn the_jobs_of_a_key_are_unknown_to_every_other_but_administrators() {
    let server = start();
    let (mine, other) = (key(&server, "mine", "speak"), key(&server, "other", "speak,voices"));
    let admin = key(&server, "admin", "admin");
    let (id, batch) = work_of(&server, &mine);
    let mut asked = 0;
    for (method, path, _) in endpoints(&server) {
        let address = match path.as_str() {
            path if path.starts_with("/api/batches/{id}") => path.replace("{id}", &batch),
            path if path.starts_with("/tts/{id}") || path.starts_with("/api/jobs/{id}") => {
                path.replace("{id}", &id).replace("{chunk}", "1")
            }
            "/outputs/{file}" => format!("/outputs/{id}.wav"),
            _ => continue,
        };
        let body = json!({});
        let body = (method == "post").then_some(&body);
        let refused = ask(&server, &method, &address, &other, body);
        assert_eq!(refused.status, 404, "{method} {address}: {}", refused.text());
        asked += 1;
        // Cancelling and deleting would end the comparison.
        if method != "delete" {
            for key in [&mine, &admin] {
                let seen = ask(&server, &method, &address, key, body);
                assert_ne!(seen.status, 404, "{method} {address}: {}", seen.text());
                assert!(![401, 403].contains(&seen.status), "{method} {address}: {}", seen.text());
            }
        }
    }
    assert!(asked >= 14, "{asked}");

    let exported = format!("/api/jobs/export?ids={id}");
    assert_eq!(ask(&server, "get", &exported, &other, None).status, 404);
    assert_eq!(ask(&server, "get", &exported, &mine, None).status, 200);
    assert_eq!(
        ask(&server, "get", "/api/jobs/export", &other, None).status,
        404,
        "there is nothing of theirs"
    );
    let deleted = ask(&server, "post", "/api/jobs/delete", &other, Some(&json!({ "ids": [id] }))).json();
    assert_eq!(deleted["deleted"], json!([]));
    let count = |path: &str, key: &str| {
        let page = ask(&server, "get", path, key, None).json();
        page.get("jobs").unwrap_or(&page).as_array().unwrap().len()
    };
    for query in ["", "?search=mine", "?status=completed", &format!("?batch={batch}")] {
        assert_eq!(count(&format!("/api/jobs{query}"), &other), 0, "{query}");
        assert!(count(&format!("/api/jobs{query}"), &mine) > 0, "{query}");
        assert!(count(&format!("/api/jobs{query}"), &admin) > 0, "{query}");
    }
    assert_eq!((count("/api/batches", &other), count("/api/batches", &mine)), (0, 1));
    assert_eq!(count("/api/batches", &admin), 1);
    let tool = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": { "name": "job_status", "arguments": { "job_id": id } } });
    assert_eq!(ask(&server, "post", "/mcp", &other, Some(&tool)).json()["result"]["isError"], true);

    let mut line = Line::open(&server, &other);
    let refused = line.say(&json!({ "type": "subscribe", "job_id": id }));
    assert_eq!(refused["status"], 404, "{refused}");
    assert_eq!(line.say(&json!({ "type": "cancel", "job_id": id }))["status"], 404);
}

#[test]
fn jobs_that_were_made_without_keys_are_for_administrators_once_there_are_some() {
    let server = Server::start_ready();
    let id = server.enqueue(&json!({ "text": "Nobody's." }));
    server.wait_for(&id, &["completed"]);
    let server = Server::open_on(server.stop(), required);
    let (speak, admin) = (key(&server, "s", "speak"), key(&server, "a", "admin"));
    let path = format!("/tts/{id}/status");
    assert_eq!(ask(&server, "get", &path, &speak, None).status, 404);
    assert_eq!(ask(&server, "get", &path, &admin, None).status, 200);
    let (mine, _) = work_of(&server, &speak);
    // And without keys again, everything is everybody's.
    let server = Server::start_on(server.stop());
    assert_eq!(server.get(&format!("/tts/{mine}/status")).status, 200);
    assert_eq!(server.jobs().as_array().unwrap().len(), 3);
    assert_eq!(server.get("/api/session").json()["keys_required"], false);
}

struct Line(tungstenite::WebSocket<TcpStream>);

impl Line {
    fn open(server: &Server, key: &str) -> Self {
        let stream = TcpStream::connect(server.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut request = format!("ws://{}/tts/ws", server.address).into_client_request().unwrap();
        request.headers_mut().insert("authorization", format!("Bearer {key}").parse().unwrap());
        Self(tungstenite::client(request, stream).unwrap().0)
    }

    fn say(&mut self, wish: &Value) -> Value {
        self.0.send(tungstenite::Message::text(wish.to_string())).unwrap();
        loop {
            if let tungstenite::Message::Text(text) = self.0.read().unwrap() {
                return serde_json::from_str(&text).unwrap();
            }
        }
    }
}

#[test]
fn a_key_is_made_over_http_and_revoked_beside_the_server_at_once_on_open_lines_too() {
    let server = start();
    let admin = key(&server, "admin", "admin");
    let wish = json!({ "name": "phone", "scopes": ["speak"], "characters_per_minute": 500 });
    let made = ask(&server, "post", "/api/keys", &admin, Some(&wish));
    assert_eq!(made.status, 201, "{}", made.text());
    let made = made.json();
    let phone = made["secret"].as_str().unwrap().to_owned();
    assert!(phone.starts_with(made["hint"].as_str().unwrap()) && phone.starts_with("dcl_"));
    let database = std::fs::read(server.data.path().join("declaim.db")).unwrap();
    let log = std::fs::read(server.data.path().join("declaim.db-wal")).unwrap_or_default();
    for kept in [database, log] {
        assert!(!kept.windows(phone.len()).any(|bytes| bytes == phone.as_bytes()), "the key itself is kept");
    }
    assert_eq!(ask(&server, "post", "/api/keys", &admin, Some(&wish)).status, 409, "the name is taken");
    for (wrong, field) in [
        (json!({ "name": "x", "scopes": [] }), "scopes"),
        (json!({ "name": "x", "scopes": ["root"] }), "scopes"),
        (json!({ "name": " ", "scopes": ["speak"] }), "name"),
        (json!({ "name": "x", "scopes": ["speak"], "audio_seconds_per_day": -1 }), "audio_seconds_per_day"),
    ] {
        let refused = ask(&server, "post", "/api/keys", &admin, Some(&wrong));
        assert_eq!(refused.status, 422, "{wrong}");
        assert!(refused.detail().contains(field), "{}", refused.detail());
    }

    let session = ask(&server, "get", "/api/session", &phone, None).json();
    assert_eq!((&session["key"]["name"], &session["scopes"]), (&json!("phone"), &json!(["speak"])));
    assert_eq!(session["key"]["characters_per_minute"], 500);
    let mut line = Line::open(&server, &phone);
    assert_eq!(line.say(&json!({ "type": "subscribe" }))["type"], "subscribed");
    let begun = Instant::now();
    let listed = loop {
        let listed = ask(&server, "get", "/api/keys", &admin, None).json();
        // The use is noted behind the back of the request.
        if listed["keys"][1]["last_used_at"].is_f64() {
            break listed;
        }
        assert!(begun.elapsed() < PATIENCE, "the use was never noted: {listed}");
        std::thread::sleep(Duration::from_millis(10));
    };
    let names: Vec<&str> =
        listed["keys"].as_array().unwrap().iter().map(|key| key["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["admin", "phone"]);
    assert!(listed["keys"][1].get("secret").is_none(), "{listed}");

    let revoked = beside(&server, async |jobs| jobs.revoke_key("phone").await.unwrap());
    assert_eq!(revoked.unwrap().id, made["id"].as_str().unwrap());
    assert_eq!(ask(&server, "get", "/api/session", &phone, None).status, 401);
    let begun = Instant::now();
    while let Ok(message) = line.0.read() {
        assert!(!message.is_text() && begun.elapsed() < PATIENCE, "the line goes on");
    }
    let path = format!("/api/keys/{}", made["id"].as_str().unwrap());
    assert_eq!(ask(&server, "delete", &path, &admin, None).status, 404, "it is revoked already");
}

#[test]
fn a_browser_brings_its_key_once_and_no_other_origin_uses_its_session() {
    let server = start();
    let speak = key(&server, "page", "speak");
    let origin = server.url.clone();
    let from = |origin: &'static str| ("origin", origin);
    let sign_in = |headers: &[(&str, &str)]| {
        ask_with(&server, "post", "/api/session", headers, Some(&json!({ "key": speak })))
    };
    assert_eq!(ask_with(&server, "post", "/api/session", &[], Some(&json!({ "key": "dcl_no" }))).status, 401);
    assert_eq!(sign_in(&[from("https://evil.example")]).status, 403);
    let signed_in = sign_in(&[("origin", &origin)]);
    assert_eq!((signed_in.status, signed_in.json()["key"]["name"].clone()), (200, json!("page")));
    let cookie = signed_in.header("set-cookie").to_owned();
    for attribute in ["HttpOnly", "SameSite=Strict", "Path=/", "Max-Age=2592000"] {
        assert!(cookie.contains(attribute), "{cookie}");
    }
    assert!(!cookie.contains("Secure") && !cookie.contains(&speak), "{cookie}");
    let encrypted = sign_in(&[("origin", "https://speech.example"), ("sec-fetch-site", "same-origin")]);
    assert!(encrypted.header("set-cookie").contains("; Secure"), "{}", encrypted.header("set-cookie"));

    let cookie = cookie.split(';').next().unwrap().to_owned();
    let with = |method: &str, path: &str, headers: &[(&str, &str)], body: Option<&Value>| {
        let headers = [&[("cookie", cookie.as_str())], headers].concat();
        ask_with(&server, method, path, &headers, body)
    };
    let text = json!({ "text": "From the page." });
    let accepted = with("post", "/tts/enqueue", &[("origin", &origin)], Some(&text));
    assert_eq!(accepted.status, 202, "{}", accepted.text());
    // What browsers load by themselves.
    let id = accepted.json()["job_id"].as_str().unwrap().to_owned();
    assert_eq!(with("get", &format!("/tts/{id}/events"), &[], None).status, 200);
    for foreign in [
        &[("origin", "http://127.0.0.1:1")][..],
        &[("origin", "null")],
        &[("sec-fetch-site", "same-site")],
        &[("sec-fetch-site", "cross-site")],
    ] {
        for (method, path, body) in [
            ("post", "/tts/enqueue", Some(&text)),
            ("delete", "/api/session", None),
            ("get", "/api/jobs", None),
        ] {
            let refused = with(method, path, foreign, body);
            assert_eq!(refused.status, 403, "{method} {path} {foreign:?}: {}", refused.text());
        }
    }

    let signed_out = with("delete", "/api/session", &[("origin", &origin)], None);
    assert!(signed_out.header("set-cookie").contains("Max-Age=0"));
    assert_eq!(with("get", "/api/session", &[], None).status, 401);
    // A revoked key takes its sessions along.
    let again = sign_in(&[("origin", &origin)]).header("set-cookie").split(';').next().unwrap().to_owned();
    assert_eq!(ask_with(&server, "get", "/api/session", &[("cookie", &again)], None).status, 200);
    beside(&server, async |jobs| jobs.revoke_key("page").await.unwrap());
    assert_eq!(ask_with(&server, "get", "/api/session", &[("cookie", &again)], None).status, 401);
}

#[test]
fn characters_beyond_the_minute_wait_and_the_answer_says_how_long() {
    let usual = |settings: &mut Settings| {
        required(settings);
        settings.limits.characters_per_minute = Some(60);
    };
    let server = Server::with(usual, humming(Duration::ZERO));
    let usual = key(&server, "usual", "speak");
    let text = "x".repeat(40);
    let say =
        |key: &str, text: &str| ask(&server, "post", "/tts/enqueue", key, Some(&json!({ "text": text })));
    assert_eq!(say(&usual, &text).status, 202);
    let refused = say(&usual, &text);
    assert_eq!(refused.status, 429, "{}", refused.text());
    let wait: u64 = refused.header("retry-after").parse().unwrap();
    assert!((10..=21).contains(&wait), "20 characters at one a second: {wait}");
    assert!(refused.detail().contains("60 characters a minute"), "{}", refused.detail());
    // All surfaces, and a batch as a whole.
    let batch = json!({ "items": [text, text] });
    assert_eq!(ask(&server, "post", "/api/batches", &usual, Some(&batch)).status, 429);
    let openai = ask(&server, "post", "/v1/audio/speech", &usual, Some(&json!({ "input": text })));
    assert_eq!(openai.json()["error"]["code"], "rate_limit_exceeded");
    let used = ask(&server, "get", "/api/session", &usual, None).json();
    assert!(
        (20..=40).contains(&used["key"]["usage"]["characters_in_this_minute"].as_u64().unwrap()),
        "{used}"
    );
    // A key of its own quota, and one without any.
    let quota = |characters| OwnQuota { characters_per_minute: Some(characters), ..OwnQuota::default() };
    let (_, free) = key_with(&server, "free", "speak", quota(0));
    assert_eq!([say(&free, &text).status, say(&free, &text).status], [202, 202]);
    let (_, small) = key_with(&server, "small", "speak", quota(10));
    assert_eq!(say(&small, &text).status, 202, "a text longer than the limit is taken, and made up for");
    assert_eq!(say(&small, "x").status, 429);
    // It holds over a restart.
    let server = Server::open_on(server.stop(), required);
    assert_eq!(ask(&server, "post", "/tts/enqueue", &small, Some(&json!({ "text": "x" }))).status, 429);
}

#[test]
fn audio_of_a_day_is_counted_over_restarts_and_what_waits_counts_too() {
    let server = start();
    let quota = |seconds| OwnQuota { audio_seconds_per_day: Some(seconds), ..OwnQuota::default() };
    let (_, spoken) = key_with(&server, "spoken", "speak", quota(12));
    let text = json!({ "text": LONG });
    let first = ask(&server, "post", "/tts", &spoken, Some(&text));
    assert_eq!(first.status, 200, "{}", first.text());
    let made: f64 = first.header("x-declaim-duration").parse().unwrap();
    let session = ask(&server, "get", "/api/session", &spoken, None).json();
    let today = session["key"]["usage"]["audio_seconds_today"].as_f64().unwrap();
    assert!((today - made).abs() < 0.002 && made > 5.5, "{today} {made}");
    let server = Server::open_on(server.stop(), required);
    let refused = ask(&server, "post", "/tts", &spoken, Some(&text));
    assert_eq!(
        refused.status,
        429,
        "{made} of 12 seconds are used, 6.6 more were wanted: {}",
        refused.text()
    );
    let wait: u64 = refused.header("retry-after").parse().unwrap();
    assert!((1..=86_401).contains(&wait) && refused.detail().contains("12 seconds of audio a day"));
    // Nobody has to wait for what cannot come.
    let (_, tiny) = key_with(&server, "tiny", "speak", quota(3));
    let beyond = ask(&server, "post", "/tts/enqueue", &tiny, Some(&text));
    assert_eq!(beyond.status, 422, "{}", beyond.text());
    assert!(beyond.detail().contains("Split it"), "{}", beyond.detail());

    // 99 characters are 6.6 seconds: the second one waits, and a third would be too much.
    let server = Server::with(required, humming(Duration::from_millis(20)));
    let (_, waiting) = key_with(&server, "waiting", "speak", quota(15));
    let accepted = |_| ask(&server, "post", "/tts/enqueue", &waiting, Some(&text)).status;
    assert_eq!([0, 1, 2].map(accepted), [202, 202, 429]);
}
