//! Many at once: 500 clients that follow a job each and 200 that send. Measures; run by hand:
//! `cargo test --workspace --test api -- --ignored --nocapture five_hundred`. The figures stand in docs/OPERATIONS.md.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::server::{PATIENCE, Server, humming};

const FOLLOWERS: usize = 500;
const SENDERS: usize = 200;
const JOBS_PER_SENDER: usize = 3;

/// A request on a connection of its own, and its answer to the end.
async fn ask(address: SocketAddr, head: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!(
        "{head} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

async fn send(address: SocketAddr, text: &str) -> String {
    let answer = ask(address, "POST /tts/enqueue", &format!("{{\"text\": \"{text}\"}}")).await;
    assert!(answer.starts_with("HTTP/1.1 202"), "{answer}");
    let (_, rest) = answer.split_once("\"job_id\":\"").unwrap();
    rest[..36].to_owned()
}

#[test]
#[ignore = "700 clients at once; prints times"]
fn five_hundred_followers_and_two_hundred_senders_are_all_served() {
    let room = |settings: &mut declaim::config::Settings| {
        settings.limits.max_queued_jobs = 10_000;
        settings.limits.max_queued_jobs_per_client = 10_000;
    };
    let server = Server::with(room, humming(Duration::ZERO));
    let address = server.address;
    let all = async {
        let mut ids = Vec::new();
        for number in 0..FOLLOWERS {
            ids.push(send(address, &format!("{number}.")).await);
        }
        let followers: Vec<_> = ids
            .iter()
            .cloned()
            .map(|id| tokio::spawn(async move { ask(address, &format!("GET /tts/{id}/events"), "").await }))
            .collect();
        let senders: Vec<_> = (0..SENDERS)
            .map(|sender| {
                tokio::spawn(async move {
                    for number in 0..JOBS_PER_SENDER {
                        send(address, &format!("{sender}, {number}.")).await;
                    }
                })
            })
            .collect();
        let mut times = Vec::new();
        for id in ids.iter().cycle().take(300) {
            let begun = Instant::now();
            let answer = ask(address, &format!("GET /tts/{id}/status"), "").await;
            times.push(begun.elapsed());
            assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        }
        for sender in senders {
            sender.await.unwrap();
        }
        for follower in followers {
            let heard = follower.await.unwrap();
            assert!(heard.contains("event: completed"), "{heard}");
        }
        times.sort_unstable();
        println!("status: p50 {:.1?}, p99 {:.1?}", times[times.len() / 2], times[times.len() * 99 / 100]);
        times[times.len() * 99 / 100]
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let slowest = runtime.block_on(async { tokio::time::timeout(PATIENCE * 10, all).await.unwrap() });
    assert!(slowest < Duration::from_millis(50), "{slowest:?}");
}
