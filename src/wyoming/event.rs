//! Wyoming's events on the wire: a line of JSON, then as many bytes of more JSON and of sound as the line announces.
//!
//! Everything that a client announces is bounded before it is read. What is no event ends the conversation, so a browser that
//! is made to knock here by a page gets no further than its first line.

use std::io;

use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Bytes of the line.
const MAX_LINE: u64 = 64 << 10;
/// Bytes of sound, which nobody needs to send to a server that speaks; it is read over.
const MAX_PAYLOAD: u64 = 1 << 20;

/// Something that a client says.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Event {
    pub(super) kind: String,
    pub(super) data: Map<String, Value>,
}

impl Event {
    pub(super) fn text(&self) -> &str {
        self.data.get("text").and_then(Value::as_str).unwrap_or_default()
    }
}

/// Why a conversation cannot go on.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReadError {
    #[error("the connection broke")]
    Broken(#[from] io::Error),
    #[error("this is no event of the Wyoming protocol: {0}")]
    Malformed(#[from] serde_json::Error),
    #[error("an event announces {found} bytes, and at most {limit} are read")]
    TooLarge { found: u64, limit: u64 },
    #[error("a line has more than {MAX_LINE} bytes")]
    LineTooLong,
}

#[derive(Deserialize)]
struct Head {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    data: Option<Map<String, Value>>,
    #[serde(default)]
    data_length: Option<u64>,
    #[serde(default)]
    payload_length: Option<u64>,
}

/// The next event, with at most `most` bytes of data; `None` once the client has left.
pub(super) async fn read(
    reader: &mut (impl AsyncBufRead + Unpin),
    most: u64,
) -> Result<Option<Event>, ReadError> {
    let mut line = Vec::new();
    (&mut *reader).take(MAX_LINE).read_until(b'\n', &mut line).await?;
    if line.is_empty() {
        return Ok(None);
    }
    if line.last() != Some(&b'\n') && line.len() as u64 == MAX_LINE {
        return Err(ReadError::LineTooLong);
    }
    let head: Head = serde_json::from_slice(&line)?;
    let mut data = head.data.unwrap_or_default();
    let more = bytes(reader, head.data_length.unwrap_or(0), most).await?;
    if !more.is_empty() {
        data.extend(serde_json::from_slice::<Map<String, Value>>(&more)?);
    }
    bytes(reader, head.payload_length.unwrap_or(0), MAX_PAYLOAD).await?;
    Ok(Some(Event { kind: head.kind, data }))
}

async fn bytes(
    reader: &mut (impl AsyncBufRead + Unpin),
    length: u64,
    limit: u64,
) -> Result<Vec<u8>, ReadError> {
    if length > limit {
        return Err(ReadError::TooLarge { found: length, limit });
    }
    let mut bytes = vec![0; length as usize];
    reader.read_exact(&mut bytes).await?;
    Ok(bytes)
}

/// Sends an event at once.
pub(super) async fn write(
    writer: &mut (impl AsyncWrite + Unpin),
    kind: &str,
    data: &Value,
    payload: &[u8],
) -> io::Result<()> {
    let data = data.to_string();
    let head = json!({
        "type": kind,
        "version": env!("CARGO_PKG_VERSION"),
        "data_length": data.len(),
        "payload_length": payload.len(),
    });
    let mut message = format!("{head}\n{data}").into_bytes();
    message.extend_from_slice(payload);
    writer.write_all(&message).await?;
    writer.flush().await
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read_all(bytes: &[u8]) -> Result<Vec<Event>, ReadError> {
        let mut reader = bytes;
        let mut events = Vec::new();
        while let Some(event) = read(&mut reader, 1000).await? {
            events.push(event);
        }
        Ok(events)
    }

    fn event(kind: &str, data: &Value) -> Event {
        Event { kind: kind.to_owned(), data: data.as_object().cloned().unwrap_or_default() }
    }

    #[tokio::test]
    async fn data_may_stand_in_the_line_behind_it_or_both_and_sound_is_read_over() {
        let bytes = b"{\"type\": \"a\", \"data\": {\"x\": 1}, \"data_length\": 8}\n{\"y\": 2}{\"type\": \"b\", \"payload_length\": 3}\nxyz{\"type\": \"c\"}\n";
        let events = read_all(bytes).await.unwrap();
        assert_eq!(
            events,
            [event("a", &json!({ "x": 1, "y": 2 })), event("b", &json!({})), event("c", &json!({}))]
        );
    }

    #[tokio::test]
    async fn what_is_written_reads_back() {
        let mut bytes = Vec::new();
        write(&mut bytes, "info", &json!({ "text": "Grüße" }), b"sound").await.unwrap();
        write(&mut bytes, "pong", &json!({}), b"").await.unwrap();
        assert_eq!(
            read_all(&bytes).await.unwrap(),
            [event("info", &json!({ "text": "Grüße" })), event("pong", &json!({}))]
        );
    }

    #[tokio::test]
    async fn other_protocols_long_lines_and_large_announcements_end_the_conversation() {
        assert!(matches!(read_all(b"POST / HTTP/1.1\r\n").await, Err(ReadError::Malformed(_))));
        assert!(matches!(read_all(&vec![b' '; 70_000]).await, Err(ReadError::LineTooLong)));
        let large = b"{\"type\": \"a\", \"data_length\": 1001}\n";
        assert!(matches!(read_all(large).await, Err(ReadError::TooLarge { found: 1001, limit: 1000 })));
        let short = b"{\"type\": \"a\", \"data_length\": 10}\n{}";
        assert!(matches!(read_all(short).await, Err(ReadError::Broken(_))));
    }
}
