//! Home Assistant's protocol for voices, on a port of its own: events over TCP. `event` is the wire, `conversation` one client;
//! `announce` and `mdns` tell the network where it is.
//!
//! Text walks the same path as `POST /tts`; what the web server knows of requests and their errors is used, its routes are not.

mod announce;
mod conversation;
mod event;
mod mdns;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::BufReader;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::http::{Context, client_at};

/// Clients at one time; one more waits in the system's queue.
const MAX_CLIENTS: usize = 32;
/// Before another connection is accepted after the system refused one.
const PAUSE: Duration = Duration::from_millis(200);

/// Serves until `stop`; then conversations are cut, and with them their jobs are cancelled.
pub async fn serve(listener: TcpListener, context: Context, stop: CancellationToken) {
    // Without an address there is nothing to tell, and nobody to serve.
    let announced = listener
        .local_addr()
        .ok()
        .map(|at| tokio::spawn(announce::announce(at, context.settings.wyoming.announce, stop.clone())));
    let clients = Arc::new(Semaphore::new(MAX_CLIENTS));
    let mut conversations = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &clients) => accepted,
            () = stop.cancelled() => break,
        };
        while conversations.try_join_next().is_some() {}
        match accepted {
            Ok((stream, peer, permit)) => {
                let (context, client) = (context.clone(), client_at(peer.ip()));
                conversations.spawn(async move {
                    let _permit = permit;
                    let (reader, writer) = stream.into_split();
                    conversation::hold(BufReader::new(reader), writer, context, client).await;
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a Wyoming client could not be accepted");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
    conversations.shutdown().await;
    if let Some(announced) = announced {
        // It takes back what it said; whether that worked is nobody's business any more.
        let _ = announced.await;
    }
}

async fn accept(
    listener: &TcpListener,
    clients: &Arc<Semaphore>,
) -> std::io::Result<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let permit = Arc::clone(clients).acquire_owned().await.map_err(std::io::Error::other)?;
    let (stream, peer) = listener.accept().await?;
    // Pieces of sound are small and wanted now.
    stream.set_nodelay(true)?;
    Ok((stream, peer, permit))
}
