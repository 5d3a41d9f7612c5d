//! Models that come and go under load: no request notices, and the memory comes back.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::json;

use crate::house::{ORIGINAL, Server, TURBO, wait_until};
use crate::hub::FakeHub;

/// What the process may have grown by after the models of a whole second round have gone: less than two of them take.
#[cfg(target_os = "linux")]
const GROWTH: u64 = 24 << 20;

/// Three models are asked for at once while there is room for two, a fourth is pulled and spoken with, and one is unloaded
/// again and again.
#[test]
fn requests_over_three_models_succeed_while_a_fourth_is_pulled_and_one_is_unloaded() {
    let data = tempfile::tempdir().unwrap();
    let hub = FakeHub::start();
    for (file, bytes) in TURBO.content() {
        hub.put("me/fourth", file, &bytes);
        hub.pace(file, Duration::from_millis(1));
    }
    let server = Server::start(
        data.path(),
        &json!({
            // Each of them counts for five.
            "model": { "name": "first", "memory_mb": 12 },
            "hub": { "endpoint": hub.url, "use_cache": false },
            "models": [
                TURBO.lay_out(&data.path().join("first"), "first"),
                TURBO.lay_out(&data.path().join("second"), "second"),
                ORIGINAL.lay_out(&data.path().join("third"), "third"),
                {
                    "name": "fourth",
                    "architecture": "turbo",
                    "repository": "me/fourth",
                    "files": { "config": "config.json" },
                },
            ],
        }),
    );
    let speak = |model: &str| {
        let (status, body) = server.post("/tts", &json!({ "text": "Hello.", "model": model, "seed": 1 }));
        assert_eq!(status, 200, "{model}: {}", String::from_utf8_lossy(&body));
        // The tags behind the samples name the model.
        let length = u32::from_le_bytes(body[40..44].try_into().unwrap()) as usize;
        body[44..44 + length].to_vec()
    };
    assert!(server.model("fourth").is_none(), "it is not installed yet");
    let first = speak("first");

    let (enough, spoken) = (AtomicBool::new(false), AtomicUsize::new(0));
    let round = || {
        std::thread::scope(|scope| {
            enough.store(false, Ordering::Release);
            for model in ["first", "second", "third"] {
                let (speak, enough, spoken) = (&speak, &enough, &spoken);
                scope.spawn(move || {
                    // A panic here is a failed test once the scope ends; the others must end then too.
                    let _stop = StopAll(enough);
                    let expected = speak(model);
                    while !enough.load(Ordering::Acquire) {
                        assert!(speak(model) == expected, "{model} says it otherwise");
                        spoken.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
            let _stop = StopAll(&enough);
            let (status, _) = server.post("/api/models/fourth/pull", &json!({}));
            assert!([200, 202].contains(&status), "{status}");
            let target = spoken.load(Ordering::Relaxed) + 12;
            wait_until("the fourth model is offered", || {
                if enough.load(Ordering::Acquire) {
                    return true;
                }
                assert_eq!(server.post("/api/models/second/unload", &json!({})).0, 200);
                server.model("fourth").is_some() && spoken.load(Ordering::Relaxed) >= target
            });
            // The very files of the first one, by another way.
            assert!(enough.load(Ordering::Acquire) || speak("fourth") == first);
        });
        assert_eq!(server.post("/api/unload", &json!({})).0, 200);
        let taken = || {
            let info = server.get("/api/model-info");
            info["models"].as_array().unwrap().iter().filter(|model| model["state"] == "ready").count()
        };
        wait_until("all models are unloaded", || taken() == 0);
    };
    round();
    #[cfg(target_os = "linux")]
    let before = server.resident();
    round();
    println!(
        "{} requests, {} loads, {} unloads",
        spoken.load(Ordering::Relaxed),
        server.logged("model loaded"),
        server.logged("model unloaded"),
    );
    assert!(server.logged("both do not fit") > 0, "nothing had to make room");
    assert_eq!(server.logged("ERROR"), 0);
    #[cfg(target_os = "linux")]
    {
        let after = server.resident();
        println!("resident with no model loaded: {} MB, a round later {} MB", before >> 20, after >> 20);
        assert!(after < before + GROWTH, "{before} bytes have become {after}");
    }
}

/// Ends the round when it is dropped, by a failure too.
struct StopAll<'a>(&'a AtomicBool);

impl Drop for StopAll<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}
