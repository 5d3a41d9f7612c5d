//! The smallest HTTP client that a killed server cannot confuse: one connection per request, and an answer counts only
//! when it arrived whole.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::{Duration, Instant};

use serde_json::Value;

/// A server that neither answers nor dies is a failure of its own; the end of the test finds it.
const PATIENCE: Duration = Duration::from_secs(30);

/// An answer, whole to its last byte.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| {
            panic!("not JSON ({error}): {}", String::from_utf8_lossy(&self.body));
        })
    }
}

/// `None` when the server died on the way, however far it came.
pub(crate) fn request(port: u16, method: &str, path: &str, body: Option<&Value>) -> Option<Answer> {
    request_with(port, method, path, "", body)
}

/// With more header lines, each with its end.
pub(crate) fn request_with(
    port: u16,
    method: &str,
    path: &str,
    headers: &str,
    body: Option<&Value>,
) -> Option<Answer> {
    let mut stream = send(port, method, path, headers, body)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    let (answer, is_whole) = parse(&answer)?;
    is_whole.then_some(answer)
}

/// What of an answer comes within `patience`, whether or not that is its end.
pub(crate) fn overhear(port: u16, path: &str, patience: Duration) -> Option<Answer> {
    let mut stream = send(port, "GET", path, "", None)?;
    let deadline = Instant::now() + patience;
    let mut answer = Vec::new();
    let mut piece = [0; 16_384];
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break;
        }
        stream.set_read_timeout(Some(left)).ok()?;
        match stream.read(&mut piece) {
            Ok(0) | Err(_) => break,
            Ok(read) => answer.extend_from_slice(&piece[..read]),
        }
    }
    parse(&answer).map(|(answer, _is_whole)| answer)
}

fn send(port: u16, method: &str, path: &str, headers: &str, body: Option<&Value>) -> Option<TcpStream> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    let body = body.map(Value::to_string).unwrap_or_default();
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nconnection: close\r\n{headers}\
         content-type: application/json\r\ncontent-length: {length}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).ok()?;
    stream.write_all(body.as_bytes()).ok()?;
    Some(stream)
}

/// The answer as far as it came, and whether that is all of it. `None` before the end of its head.
fn parse(answer: &[u8]) -> Option<(Answer, bool)> {
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&answer[..end]).ok()?;
    let body = &answer[end + 4..];
    let mut lines = head.lines();
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let field = |wanted: &str| {
        let fields = head.lines().skip(1).filter_map(|line| line.split_once(':'));
        fields.filter(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value.trim()).next()
    };
    if let Some(length) = field("content-length") {
        let length: usize = length.parse().ok()?;
        return Some((Answer { status, body: body.to_vec() }, body.len() == length));
    }
    assert_eq!(field("transfer-encoding"), Some("chunked"), "every answer tells where it ends");
    let (body, is_whole) = joined(body);
    Some((Answer { status, body }, is_whole))
}

/// The pieces of a chunked body, and whether the last one is there.
fn joined(mut rest: &[u8]) -> (Vec<u8>, bool) {
    let mut body = Vec::new();
    while let Some(end) = rest.windows(2).position(|window| window == b"\r\n") {
        let length =
            std::str::from_utf8(&rest[..end]).ok().and_then(|word| usize::from_str_radix(word, 16).ok());
        let length = length.expect("a chunk has a length");
        if length == 0 {
            return (body, true);
        }
        let piece = &rest[end + 2..];
        body.extend_from_slice(&piece[..length.min(piece.len())]);
        rest = piece.get(length + 2..).unwrap_or_default();
    }
    (body, false)
}
