//! Clients: they add, ask, fetch, stream, follow, cancel, retry, rerun and delete, and note every answer in the ledger.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::client::{overhear, request, request_with};
use crate::ledger::{DOOMED, Ledger, Wish, digest_of_stream};
use crate::{DRAIN_BOUND, Dice};

/// Accepted jobs that are not known to have ended; beyond it clients only ask. Keeps the last drain short.
const OUTSTANDING: usize = 40;

/// What is said: up to four chunks. One of the texts cannot be spoken, after its first chunk.
pub(crate) fn texts() -> Vec<String> {
    let sentences = [
        "The wind told the stone about the river behind the old house.",
        "The lantern told the harbour about the winter behind the old house.",
        "The garden told the thunder about the wind behind the old house.",
        "The river told the lantern about the stone behind the old house.",
    ];
    let mut texts: Vec<String> = (1..=4).map(|count| sentences[..count].join(" ")).collect();
    texts.extend((1..4).map(|first| sentences[first..].join(" ")));
    texts.push(format!("{} The winter {DOOMED} told the garden about the old house and more.", sentences[0]));
    texts
}

/// The fields that every request has. The seed makes two of one text sound the same.
fn fields() -> Value {
    json!({ "voice_mode": "predefined", "predefined_voice_id": "voice.wav", "split_text": true, "chunk_size": 80,
            "seed": 7 })
}

fn with_text(text: &str) -> Value {
    let mut body = fields();
    body["text"] = text.into();
    body
}

/// A client, until the server is gone.
pub(crate) fn load(port: u16, mut dice: Dice, stop: &AtomicBool, ledger: &Mutex<Ledger>) {
    let mut shown = BTreeMap::new();
    while !stop.load(Ordering::Relaxed) {
        let (outstanding, known, failed, unanswered) = {
            let ledger = ledger.lock().unwrap();
            // The oldest whose end is not known yet, and some that were fetched before.
            let open = ledger.open().take(OUTSTANDING);
            let fetched =
                ledger.served.keys().rev().filter(|id| !ledger.perhaps_deleted.contains(*id)).take(4);
            let known: Vec<String> = open.chain(fetched).cloned().collect();
            let failed: Vec<String> = ledger.failed.iter().cloned().collect();
            let unanswered = ledger.unanswered.iter().next().map(|(key, wish)| (key.clone(), wish.clone()));
            (ledger.open().count(), known, failed, unanswered)
        };
        let id = pick(&known, &mut dice).cloned();
        let with = |work: &mut dyn FnMut(&str) -> Option<()>| id.as_deref().map_or(Some(()), work);
        let alive = match dice.below(40) {
            // A wish without an answer is sent again, as its client would.
            0..=1 if unanswered.is_some() => {
                unanswered.map(|(key, wish)| add(port, &key, &wish, ledger)).unwrap()
            }
            2..=11 if outstanding < OUTSTANDING => add(port, &key(&mut dice), &one(&mut dice), ledger),
            12 if outstanding < OUTSTANDING => add(port, &key(&mut dice), &several(&mut dice), ledger),
            13 if dice.below(3) == 0 => with(&mut |id| cancel(port, id, ledger)),
            14 if dice.below(3) == 0 => with(&mut |id| delete(port, id, ledger)),
            15 if outstanding < OUTSTANDING => with(&mut |id| rerun(port, id, ledger)),
            16 => pick(&failed, &mut dice).map_or(Some(()), |id| retry(port, id, ledger)),
            17 => with(&mut |id| stream(port, id, ledger)),
            18..=19 => with(&mut |id| follow(port, id, dice.millis(150), ledger)),
            20..=28 => with(&mut |id| fetch(port, id, ledger).map(|_status| ())),
            _ => with(&mut |id| ask(port, id, &mut shown, ledger)),
        };
        if alive.is_none() {
            return;
        }
        std::thread::sleep(dice.millis(8));
    }
}

fn pick<'a>(ids: &'a [String], dice: &mut Dice) -> Option<&'a String> {
    if ids.is_empty() { None } else { ids.get(dice.below(ids.len() as u64) as usize) }
}

fn key(dice: &mut Dice) -> String {
    format!("{:016x}{:016x}", dice.roll(), dice.roll())
}

fn any_text(dice: &mut Dice) -> String {
    let mut texts = texts();
    let index = dice.below(texts.len() as u64) as usize;
    texts.swap_remove(index)
}

fn one(dice: &mut Dice) -> Wish {
    let mut body = with_text(&any_text(dice));
    body["priority"] = ["high", "normal", "normal", "low"][dice.below(4) as usize].into();
    Wish { path: "/tts/enqueue", body }
}

fn several(dice: &mut Dice) -> Wish {
    let mut body = fields();
    body["items"] = (0..2 + dice.below(2)).map(|_| any_text(dice)).collect();
    Wish { path: "/api/batches", body }
}

/// Each function below is `None` when the server died on the way.
fn add(port: u16, key: &str, wish: &Wish, ledger: &Mutex<Ledger>) -> Option<()> {
    ledger.lock().unwrap().unanswered.insert(key.to_owned(), wish.clone());
    let headers = format!("idempotency-key: {key}\r\n");
    let answer = request_with(port, "POST", wish.path, &headers, Some(&wish.body))?;
    assert_eq!(answer.status, 202, "{}", answer.json());
    let answer = answer.json();
    if let Some(id) = answer["job_id"].as_str() {
        let mut ledger = ledger.lock().unwrap();
        ledger.accepted.insert(id.to_owned(), wish.body["text"].as_str().unwrap().to_owned());
        ledger.unanswered.remove(key);
        ledger.count("enqueued");
        return Some(());
    }
    // Its jobs' names come with its state.
    let id = answer["batch_id"].as_str().unwrap();
    ledger.lock().unwrap().batches.insert(id.to_owned());
    let state = request(port, "GET", &format!("/api/batches/{id}"), None)?.json();
    let jobs = state["job_ids"].as_array().unwrap();
    let texts = wish.body["items"].as_array().unwrap();
    assert_eq!(jobs.len(), texts.len(), "{state}");
    let mut ledger = ledger.lock().unwrap();
    for (job, text) in jobs.iter().zip(texts) {
        ledger.accepted.insert(job.as_str().unwrap().to_owned(), text.as_str().unwrap().to_owned());
        // Whoever deletes from a batch makes its numbers differ; nobody does here.
        ledger.of_batches.insert(job.as_str().unwrap().to_owned());
    }
    ledger.unanswered.remove(key);
    ledger.count("batches");
    Some(())
}

fn ask(port: u16, id: &str, shown: &mut BTreeMap<String, u64>, ledger: &Mutex<Ledger>) -> Option<()> {
    let tries = ledger.lock().unwrap().tries(id);
    let answer = request(port, "GET", &format!("/tts/{id}/status"), None)?;
    let mut ledger = ledger.lock().unwrap();
    if ledger.perhaps_deleted.contains(id) {
        // It may be gone, or be about to.
        return Some(());
    }
    assert_eq!(answer.status, 200, "{}", answer.json());
    let status = answer.json();
    let progress = status["progress"].as_u64().unwrap();
    let is_doomed = ledger.accepted[id].contains(DOOMED);
    // Only a wish to try a failed job again begins anew.
    let before = if is_doomed { 0 } else { shown.insert(id.to_owned(), progress).unwrap_or(0) };
    assert!(progress >= before, "{id} fell from {before} to {progress} percent");
    assert_eq!(progress == 100, status["status"] == "completed", "{status}");
    if status["status"] == "failed" {
        assert!(is_doomed, "{status}");
        ledger.fail(id, tries);
    }
    ledger.count("asked");
    Some(())
}

fn cancel(port: u16, id: &str, ledger: &Mutex<Ledger>) -> Option<()> {
    ledger.lock().unwrap().perhaps_cancelled.insert(id.to_owned());
    let answer = request(port, "DELETE", &format!("/tts/{id}"), None)?;
    let mut ledger = ledger.lock().unwrap();
    match answer.status {
        200 => {
            ledger.cancelled.insert(id.to_owned());
            ledger.count("cancelled");
        }
        404 => assert!(ledger.perhaps_deleted.contains(id), "an accepted job is missing: {id}"),
        409 => {}
        other => panic!("cancelling {id}: {other} {}", answer.json()),
    }
    Some(())
}

fn delete(port: u16, id: &str, ledger: &Mutex<Ledger>) -> Option<()> {
    {
        let mut ledger = ledger.lock().unwrap();
        if ledger.of_batches.contains(id) {
            return Some(());
        }
        ledger.perhaps_deleted.insert(id.to_owned());
    }
    let answer = request(port, "DELETE", &format!("/api/jobs/{id}"), None)?;
    let mut ledger = ledger.lock().unwrap();
    match answer.status {
        200 => {
            ledger.deleted.insert(id.to_owned());
            ledger.count("deleted");
        }
        404 => assert!(ledger.perhaps_deleted.contains(id), "an accepted job is missing: {id}"),
        // It has not ended: nothing was deleted, unless another client did it meanwhile.
        409 => {}
        other => panic!("deleting {id}: {other} {}", answer.json()),
    }
    Some(())
}

fn rerun(port: u16, id: &str, ledger: &Mutex<Ledger>) -> Option<()> {
    let body = json!({ "seed": "same" });
    let path = format!("/api/jobs/{id}/rerun");
    let text = ledger.lock().unwrap().accepted[id].clone();
    // A rerun has no key, so one without an answer may be there or not.
    ledger.lock().unwrap().perhaps_rerun += 1;
    let answer = request(port, "POST", &path, Some(&body))?;
    let mut ledger = ledger.lock().unwrap();
    ledger.perhaps_rerun -= 1;
    match answer.status {
        202 => {
            ledger.accepted.insert(answer.json()["job_id"].as_str().unwrap().to_owned(), text);
            ledger.count("reruns");
        }
        404 => assert!(ledger.perhaps_deleted.contains(id), "an accepted job is missing: {id}"),
        other => panic!("running {id} again: {other} {}", answer.json()),
    }
    Some(())
}

fn retry(port: u16, id: &str, ledger: &Mutex<Ledger>) -> Option<()> {
    ledger.lock().unwrap().try_again(id);
    let answer = request(port, "POST", &format!("/api/jobs/{id}/retry"), Some(&json!({})));
    let mut ledger = ledger.lock().unwrap();
    // What others were told meanwhile may be older than the try.
    ledger.try_again(id);
    let answer = answer?;
    match answer.status {
        200 => ledger.count("retries"),
        404 => assert!(ledger.perhaps_deleted.contains(id), "an accepted job is missing: {id}"),
        // Another client was quicker.
        409 => {}
        other => panic!("retrying {id}: {other} {}", answer.json()),
    }
    Some(())
}

/// Hears a job to its end, if it is about to be spoken.
fn stream(port: u16, id: &str, ledger: &Mutex<Ledger>) -> Option<()> {
    let answer = request(port, "GET", &format!("/tts/{id}/stream"), None);
    let Some(answer) = answer else {
        // A job that fails or is cancelled breaks its stream off, as the death of the server does.
        return request(port, "GET", "/healthz", None).map(|_answer| ());
    };
    let mut ledger = ledger.lock().unwrap();
    if answer.status == 200 {
        let heard = digest_of_stream(&answer.body);
        if let Some((_, served)) = ledger.served.get(id) {
            assert_eq!(heard.0, *served, "{id} is streamed otherwise than it was served");
        }
        ledger.streamed.insert(id.to_owned(), heard);
        ledger.count("streams");
    }
    Some(())
}

/// Follows a job for a while, from its beginning.
fn follow(port: u16, id: &str, patience: Duration, ledger: &Mutex<Ledger>) -> Option<()> {
    let answer = overhear(port, &format!("/tts/{id}/events?after=0"), patience + Duration::from_millis(20))?;
    if answer.status != 200 {
        return Some(());
    }
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    let mut ledger = ledger.lock().unwrap();
    let mut last = 0;
    // What comes after the last empty line may be cut off.
    let whole = text.rsplit_once("\n\n").map_or("", |(whole, _rest)| whole);
    for event in whole.split("\n\n") {
        let field = |name: &str| event.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        let Some(seq) = field("id:").and_then(|id| id.parse::<i64>().ok()) else { continue };
        assert!(seq > last, "event {seq} after {last}");
        last = seq;
        ledger.heard.insert(seq, (id.to_owned(), field("event:").unwrap().to_owned()));
    }
    ledger.count("followed");
    Some(())
}

/// The status of the answer.
fn fetch(port: u16, id: &str, ledger: &Mutex<Ledger>) -> Option<u16> {
    let tries = ledger.lock().unwrap().tries(id);
    let answer = request(port, "GET", &format!("/tts/{id}/result"), None)?;
    let mut ledger = ledger.lock().unwrap();
    match answer.status {
        200 => {
            ledger.serve(id, &answer.body);
            ledger.count("fetched");
        }
        404 | 410 | 500 if ledger.perhaps_deleted.contains(id) => {}
        404 => panic!("an accepted job is missing: {id}"),
        410 => {
            assert!(ledger.perhaps_cancelled.contains(id), "{id} is gone and nobody cancelled it");
            ledger.cancelled.insert(id.to_owned());
        }
        425 => {}
        other => {
            assert!(ledger.accepted[id].contains(DOOMED), "fetching {id}: {other} {}", answer.json());
            ledger.fail(id, tries);
        }
    }
    Some(answer.status)
}

/// Speaks every text once, so that it is known what each sounds like.
pub(crate) fn learn_sounds(port: u16, ledger: &Mutex<Ledger>) {
    let mut dice = Dice(1);
    for text in texts() {
        add(port, &key(&mut dice), &Wish { path: "/tts/enqueue", body: with_text(&text) }, ledger).unwrap();
    }
    drain(port, ledger);
}

/// Sends what got no answer again, waits until everything has ended, and fetches it.
pub(crate) fn drain(port: u16, ledger: &Mutex<Ledger>) {
    let deadline = Instant::now() + DRAIN_BOUND;
    let unanswered = ledger.lock().unwrap().unanswered.clone();
    for (key, wish) in &unanswered {
        add(port, key, wish, ledger).expect("the server runs");
    }
    let ids: Vec<String> = ledger.lock().unwrap().accepted.keys().cloned().collect();
    for id in ids {
        while fetch(port, &id, ledger).expect("the server runs") == 425 {
            assert!(Instant::now() < deadline, "not done after {DRAIN_BOUND:?}: {id}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}
