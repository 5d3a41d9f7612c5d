//! `declaim mcp`: a running server's tools for an assistant that speaks over standard input and output. Each line is a message;
//! it is carried to the server's /mcp, and the answer is a line.

use std::io::{BufRead, Read, Write};

use serde_json::{Value, json};

use super::CliError;

/// Bytes of one message; a text of the longest that a server takes by default fits.
const MAX_LINE: u64 = 4 << 20;

#[derive(Debug, clap::Args)]
pub(super) struct McpArgs {
    /// Address of the server, as its ready line says
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8004", env = "DECLAIM_SERVER")]
    server: String,
    /// A key of that server, where it asks for one
    #[arg(long, env = "DECLAIM_KEY", hide_env_values = true, value_name = "KEY")]
    key: Option<String>,
}

pub(super) fn run(arguments: &McpArgs) -> Result<(), CliError> {
    let url = format!("{}/mcp", arguments.server.trim_end_matches('/'));
    let agent = ureq::Agent::from(ureq::Agent::config_builder().http_status_as_error(false).build());
    let mut input = std::io::stdin().lock();
    loop {
        let mut line = String::new();
        let read = input.by_ref().take(MAX_LINE).read_line(&mut line);
        if read.map_err(CliError::Input)? == 0 {
            return Ok(());
        }
        if line.trim().is_empty() {
            continue;
        }
        let answer = carry(&agent, &url, arguments.key.as_deref(), &line)
            .unwrap_or_else(|error| refusal(&line, &error));
        if !answer.is_empty() {
            let mut out = std::io::stdout().lock();
            // An assistant that left wants no answers.
            if writeln!(out, "{answer}").and_then(|()| out.flush()).is_err() {
                return Ok(());
            }
        }
    }
}

/// The answer on one line; empty for what is not answered.
fn carry(agent: &ureq::Agent, url: &str, key: Option<&str>, message: &str) -> Result<String, String> {
    let mut request =
        agent.post(url).header("Content-Type", "application/json").header("Accept", "application/json");
    if let Some(key) = key.filter(|key| !key.is_empty()) {
        request = request.header("Authorization", format!("Bearer {key}"));
    }
    let mut answer = request.send(message.as_bytes()).map_err(|error| {
        format!("the server at {url} cannot be reached ({error}); start it with `declaim serve`")
    })?;
    let body = answer.body_mut().read_to_string().map_err(|error| error.to_string())?;
    if body.trim().is_empty() {
        return Ok(String::new());
    }
    let body: Value = serde_json::from_str(&body).map_err(|error| error.to_string())?;
    match body.get("detail").and_then(Value::as_str) {
        Some(detail) => Err(detail.to_owned()),
        None => Ok(body.to_string()),
    }
}

/// A message that the server could not take, as a protocol error for whoever sent it.
fn refusal(message: &str, reason: &str) -> String {
    const INTERNAL: i64 = -32_603;

    let id = serde_json::from_str::<Value>(message).ok().and_then(|message| message.get("id").cloned());
    json!({ "jsonrpc": "2.0", "id": id, "error": { "code": INTERNAL, "message": reason } }).to_string()
}
