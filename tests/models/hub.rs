//! A hub in miniature: the paths, headers and redirects of the real one, and every way in which it can fail.
//!
//! Large files are answered with a redirect to another host (`localhost` instead of `127.0.0.1`), which serves bytes by
//! range and must never see the token; small ones by a detour on the hub itself. Each file has a list of faults that are
//! used up one by one, by requests for bytes.

use std::collections::{BTreeMap, VecDeque};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use sha1::Sha1;
use sha2::{Digest, Sha256};

pub(crate) const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
/// Above it, the hub keeps a file in its large storage.
const LARGE: usize = 10_000;

#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// Sends so many bytes and hangs up.
    BreakAfter(usize),
    /// Sends so many bytes and then nothing, with the line open.
    StallAfter(usize),
    /// Answers the hub's own address with this instead, headers written out.
    Status(u16, &'static str),
    /// Sends bytes of the right number that are others.
    WrongBytes,
    /// Sends a page of this many bytes, as a sign-in page would.
    Page(usize),
    /// Answers 200 with the whole, whatever part was asked for.
    IgnoreRange,
}

#[derive(Debug, Default)]
struct File {
    content: Vec<u8>,
    commit: String,
    /// Added to the size that the hub announces.
    lie: i64,
    faults: VecDeque<Fault>,
    /// Faults of questions about the file (HEAD).
    head_faults: VecDeque<Fault>,
    /// Pause after every 4 KiB.
    pace: Duration,
}

/// What somebody asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) method: String,
    pub(crate) file: String,
    pub(crate) revision: String,
    /// First byte of the part asked for.
    pub(crate) from: u64,
    /// Bytes of the file that were sent.
    pub(crate) sent: usize,
}

#[derive(Debug, Default)]
struct State {
    files: BTreeMap<(String, String), File>,
    log: Vec<Asked>,
    /// No hub at all but a server of files, with entity tags of this strength before them.
    plain: Option<&'static str>,
    /// Token that the hub wants to see; the other host must never see one.
    token: Option<String>,
    leaked: bool,
}

pub(crate) struct FakeHub {
    pub(crate) url: String,
    state: Arc<Mutex<State>>,
}

/// How connections are wrapped: not at all, or in TLS.
pub(crate) type Wrap = Arc<dyn Fn(TcpStream) -> Option<Box<dyn Line>> + Send + Sync>;

pub(crate) trait Line: Read + Write + Send {}
impl<T: Read + Write + Send> Line for T {}

impl FakeHub {
    pub(crate) fn start() -> Self {
        Self::start_wrapped("http", Arc::new(|stream| Some(Box::new(stream))))
    }

    pub(crate) fn start_wrapped(scheme: &'static str, wrap: Wrap) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (state, wrap) = (Arc::clone(&shared), Arc::clone(&wrap));
                std::thread::spawn(move || {
                    let stream = stream.ok()?;
                    serve(wrap(stream)?, &state, scheme, port);
                    Some(())
                });
            }
        });
        Self { url: format!("{scheme}://127.0.0.1:{port}"), state }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    pub(crate) fn put(&self, repository: &str, name: &str, content: &[u8]) {
        self.put_at(repository, name, content, COMMIT);
    }

    pub(crate) fn put_at(&self, repository: &str, name: &str, content: &[u8], commit: &str) {
        let file = File { content: content.to_vec(), commit: commit.to_owned(), ..File::default() };
        self.state().files.insert((repository.to_owned(), name.to_owned()), file);
    }

    pub(crate) fn remove(&self, repository: &str, name: &str) {
        self.state().files.remove(&(repository.to_owned(), name.to_owned()));
    }

    fn change(&self, name: &str, change: impl FnOnce(&mut File)) {
        let mut state = self.state();
        let file = state.files.iter_mut().find(|((_, known), _)| known == name);
        change(file.unwrap_or_else(|| panic!("no {name}")).1);
    }

    /// The next requests for this file's bytes fail like this, one after the other.
    pub(crate) fn faults(&self, name: &str, faults: &[Fault]) {
        self.change(name, |file| file.faults = faults.iter().cloned().collect());
    }

    /// The next questions about this file fail like this.
    pub(crate) fn head_faults(&self, name: &str, faults: &[Fault]) {
        self.change(name, |file| file.head_faults = faults.iter().cloned().collect());
    }

    pub(crate) fn lie(&self, name: &str, bytes: i64) {
        self.change(name, |file| file.lie = bytes);
    }

    pub(crate) fn pace(&self, name: &str, pause: Duration) {
        self.change(name, |file| file.pace = pause);
    }

    /// Becomes a server of files that knows nothing of hubs. `prefix` is "" for strong entity tags, "W/" for weak ones.
    pub(crate) fn be_plain(&self, prefix: &'static str) {
        self.state().plain = Some(prefix);
    }

    pub(crate) fn require_token(&self, token: &str) {
        self.state().token = Some(token.to_owned());
    }

    /// Whether the other host was ever shown a token.
    pub(crate) fn leaked(&self) -> bool {
        self.state().leaked
    }

    /// Everything that was asked since the last time.
    pub(crate) fn take_log(&self) -> Vec<Asked> {
        std::mem::take(&mut self.state().log)
    }

    /// First bytes of the parts that were asked of a file, in order.
    pub(crate) fn parts(log: &[Asked], name: &str) -> Vec<u64> {
        log.iter()
            .filter(|asked| asked.file == name && asked.method == "GET")
            .map(|asked| asked.from)
            .collect()
    }

    pub(crate) fn sent(log: &[Asked]) -> usize {
        log.iter().map(|asked| asked.sent).sum()
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

pub(crate) fn sha256(content: &[u8]) -> String {
    format!("{:x}", Sha256::digest(content))
}

pub(crate) fn git_blob(content: &[u8]) -> String {
    let mut hash = Sha1::new();
    hash.update(format!("blob {}\0", content.len()));
    hash.update(content);
    format!("{:x}", hash.finalize())
}

struct Request {
    method: String,
    path: String,
    headers: BTreeMap<String, String>,
}

fn read_request(line: &mut dyn Read) -> Option<Request> {
    let mut reader = BufReader::with_capacity(1, line);
    let mut first = String::new();
    reader.read_line(&mut first).ok()?;
    let mut words = first.split_whitespace();
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = BTreeMap::new();
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        let Some((name, value)) = header.split_once(':') else {
            return Some(Request { method, path, headers });
        };
        headers.insert(name.trim().to_lowercase(), value.trim().to_owned());
    }
}

/// One request and its answer; every answer closes the line, so that requests and connections are the same thing.
fn serve(mut line: Box<dyn Line>, state: &Mutex<State>, scheme: &str, port: u16) {
    let Some(request) = read_request(&mut line) else { return };
    let range = request.headers.get("range").and_then(|range| range.strip_prefix("bytes="));
    let from = range.and_then(|range| range.trim_end_matches('-').parse().ok());
    let bearer = request.headers.get("authorization").map(|value| value.trim_start_matches("Bearer "));
    let is_home = request.headers.get("host").is_some_and(|host| host.starts_with("127.0.0.1"));
    let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
    let is_detour = path.starts_with("/detour/") || path.starts_with("/network/");
    let plain = path.trim_start_matches("/detour").trim_start_matches("/network");
    let plain = plain.trim_start_matches('/');
    // GitHub says `raw` where the hub says `resolve`.
    let Some((repository, rest)) = plain.split_once("/resolve/").or_else(|| plain.split_once("/raw/")) else {
        return answer(&mut line, 404, "", b"", &request.method);
    };
    let (revision, name) = rest.split_once('/').unwrap_or((rest, ""));
    let mut known = lock(state);
    if !is_home && bearer.is_some() {
        known.leaked = true;
    }
    if is_home && known.token.as_deref().is_some_and(|token| bearer != Some(token)) {
        return answer(
            &mut line,
            401,
            "X-Error-Code: RepoNotFound\r\n",
            b"Invalid username or password.",
            "GET",
        );
    }
    if !known.files.keys().any(|(owner, _)| owner == repository) {
        return answer(&mut line, 401, "X-Error-Code: RepoNotFound\r\n", b"", &request.method);
    }
    let key = (repository.to_owned(), name.to_owned());
    let asked = Asked {
        method: request.method.clone(),
        file: name.to_owned(),
        revision: revision.to_owned(),
        from: from.unwrap_or_default(),
        sent: 0,
    };
    let tag_prefix = known.plain;
    let Some(file) = known.files.get_mut(&key) else {
        known.log.push(asked);
        return answer(&mut line, 404, "X-Error-Code: EntryNotFound\r\n", b"", &request.method);
    };
    if revision != "main" && revision != file.commit {
        return answer(&mut line, 404, "X-Error-Code: RevisionNotFound\r\n", b"", &request.method);
    }
    let is_large = file.content.len() > LARGE;
    let size = file.content.len() as i64 + file.lie;
    let tag = if is_large { sha256(&file.content) } else { git_blob(&file.content) };
    let about =
        format!("X-Repo-Commit: {}\r\nX-Linked-Size: {size}\r\nX-Linked-Etag: \"{tag}\"\r\n", file.commit);
    let faults = if request.method == "HEAD" { &mut file.head_faults } else { &mut file.faults };
    if let Some(prefix) = tag_prefix {
        let tag = format!("{prefix}\"v{}\"", &tag[..8]);
        let file = known.files.get_mut(&key).unwrap();
        let same = request.headers.get("if-range").is_none_or(|asked| *asked == tag);
        let (content, head) = (file.content.clone(), format!("ETag: {tag}\r\nContent-Length: {size}\r\n"));
        if request.method == "HEAD" {
            return drop(write!(line, "HTTP/1.1 200 OK\r\n{head}Connection: close\r\n\r\n"));
        }
        let (fault, pace) = (file.faults.pop_front(), file.pace);
        drop(known);
        let sent = send(&mut line, &content, from.filter(|_| same), fault.as_ref(), pace);
        return lock(state).log.push(Asked { sent, ..asked });
    }
    if !is_detour && let Some(Fault::Status(..)) = faults.front() {
        let Some(Fault::Status(status, headers)) = faults.pop_front() else { unreachable!() };
        known.log.push(asked);
        return answer(&mut line, status, headers, b"{\"error\": \"no\"}", &request.method);
    }
    if !is_detour {
        // Only where the bytes are, a request is logged; HEAD has no bytes and ends here.
        if request.method == "HEAD" {
            known.log.push(asked);
        }
        let place = if is_large {
            format!("{about}Location: {scheme}://localhost:{port}/network{path}?signature=x\r\n")
        } else {
            format!("{about}Location: /detour{path}?etag=x\r\n")
        };
        return answer(&mut line, if is_large { 302 } else { 307 }, &place, b"", &request.method);
    }
    if is_large && query != "signature=x" {
        return answer(&mut line, 403, "", b"", &request.method);
    }
    let content = file.content.clone();
    let (fault, pace) = (file.faults.pop_front(), file.pace);
    drop(known);
    let sent = send(&mut line, &content, from, fault.as_ref(), pace);
    lock(state).log.push(Asked { sent, ..asked });
}

/// Sends bytes as the network of the content does, or as it should not. Returns how many.
fn send(
    line: &mut Box<dyn Line>,
    content: &[u8],
    from: Option<u64>,
    fault: Option<&Fault>,
    pace: Duration,
) -> usize {
    if let Some(&Fault::Page(length)) = fault {
        let page = "<html>sign in</html>".repeat(length / 20 + 1);
        answer(line, 200, "Content-Type: text/html\r\n", &page.as_bytes()[..length], "GET");
        return length;
    }
    let from = from.filter(|_| !matches!(fault, Some(Fault::IgnoreRange)));
    let first = from.unwrap_or_default() as usize;
    let total = content.len();
    if first >= total {
        answer(line, 416, &format!("Content-Range: bytes */{total}\r\n"), b"", "GET");
        return 0;
    }
    let mut body = content[first..].to_vec();
    if matches!(fault, Some(Fault::WrongBytes)) {
        for byte in &mut body {
            *byte = !*byte;
        }
    }
    let status = match from {
        Some(_) => format!("206 Partial Content\r\nContent-Range: bytes {first}-{}/{total}", total - 1),
        None => "200 OK".to_owned(),
    };
    let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    if line.write_all(head.as_bytes()).is_err() {
        return 0;
    }
    let end = match fault {
        Some(&(Fault::BreakAfter(bytes) | Fault::StallAfter(bytes))) => bytes.min(body.len()),
        _ => body.len(),
    };
    let mut sent = 0;
    for piece in body[..end].chunks(4096) {
        if line.write_all(piece).and_then(|()| line.flush()).is_err() {
            return sent;
        }
        sent += piece.len();
        if !pace.is_zero() {
            std::thread::sleep(pace);
        }
    }
    if let Some(Fault::StallAfter(_)) = fault {
        // Until the other side goes away.
        let _ = line.read(&mut [0]);
    }
    sent
}

fn answer(line: &mut dyn Write, status: u16, headers: &str, body: &[u8], method: &str) {
    let head = format!(
        "HTTP/1.1 {status} X\r\n{headers}Content-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    let _ = line.write_all(head.as_bytes());
    if method != "HEAD" {
        let _ = line.write_all(body);
    }
    let _ = line.flush();
}
