//! Tells the network that there is a voice here, so that Home Assistant offers it by itself.
//!
//! Multicast DNS without a crate of its own: what is told are five records that never change, and the usual crate for it would
//! change how tokio's own dependencies are built. The host's name has a random part, so nobody is asked first whether it is taken.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::UdpSocket;
use tokio_util::sync::CancellationToken;

use super::mdns::Service;

/// Of multicast DNS.
const GROUP: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 251);
const PORT: u16 = 5_353;

/// Larger queries are nobody's.
const LARGEST: usize = 9_000;

/// Between the two announcements that are to be made.
const AGAIN: Duration = Duration::from_secs(1);

/// Before the socket is tried again after it failed.
const PAUSE: Duration = Duration::from_secs(1);

/// Announces a server that listens at `at` until `stop`, if `wanted` says so, or says nothing and others can reach it.
pub(super) async fn announce(at: SocketAddr, wanted: Option<bool>, stop: CancellationToken) {
    if !wanted.unwrap_or_else(|| !at.ip().is_loopback()) {
        return;
    }
    let opened = reachable(at.ip()).and_then(|address| Ok((address, open(address)?)));
    match opened {
        Ok((address, socket)) => {
            let service = Service::new(
                &title(),
                &format!("declaim-{:08x}", getrandom::u32().unwrap_or(1)),
                address,
                at.port(),
            );
            tracing::info!(%address, port = at.port(), "announced as _wyoming._tcp");
            answer(&socket, SocketAddr::from((GROUP, PORT)), &service, &stop).await;
        }
        Err(error) => {
            tracing::warn!(%error, "this network is not told of the Wyoming port; give Home Assistant its address");
        }
    }
}

/// Announces, and answers those who ask, until `stop`; then it takes back what it said.
async fn answer(socket: &UdpSocket, group: SocketAddr, service: &Service, stop: &CancellationToken) {
    let announce = async |is_over| {
        if let Err(error) = socket.send_to(&service.announcement(is_over), group).await {
            tracing::debug!(%error, "an announcement was not sent");
        }
    };
    announce(false).await;
    let mut again = std::pin::pin!(tokio::time::sleep(AGAIN));
    let mut is_announced = false;
    let mut query = vec![0; LARGEST];
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            () = &mut again, if !is_announced => {
                is_announced = true;
                announce(false).await;
            }
            received = socket.recv_from(&mut query) => {
                let Ok((length, asker)) = received else {
                    tokio::time::sleep(PAUSE).await;
                    continue;
                };
                let is_legacy = asker.port() != PORT;
                if let Some(told) = service.answer(&query[..length], is_legacy) {
                    let to = if is_legacy { asker } else { group };
                    if let Err(error) = socket.send_to(&told, to).await {
                        tracing::debug!(%error, "an answer was not sent");
                    }
                }
            }
        }
    }
    announce(true).await;
}

/// For people.
fn title() -> String {
    let host = std::fs::read_to_string("/etc/hostname").unwrap_or_default();
    match host.trim() {
        "" => "declaim".to_owned(),
        host => format!("declaim on {host}"),
    }
}

/// The address at which others reach a server that listens at `at`.
fn reachable(at: IpAddr) -> io::Result<Ipv4Addr> {
    match at {
        IpAddr::V4(address) if !address.is_unspecified() => Ok(address),
        IpAddr::V6(address) if !address.is_unspecified() => {
            Err(io::Error::other("only addresses of IP version 4 are announced"))
        }
        // Nothing is sent by this; the system only says from where it would be.
        _ => {
            let probe = std::net::UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
            probe.connect((GROUP, PORT))?;
            match probe.local_addr()?.ip() {
                IpAddr::V4(address) if !address.is_unspecified() => Ok(address),
                other => Err(io::Error::other(format!("{other} is no address for others"))),
            }
        }
    }
}

/// The port of multicast DNS is shared with whoever else speaks it on this machine.
fn open(interface: Ipv4Addr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_reuse_address(true)?;
    #[cfg(unix)]
    socket.set_reuse_port(true)?;
    socket.bind(&SocketAddr::from((Ipv4Addr::UNSPECIFIED, PORT)).into())?;
    socket.join_multicast_v4(&GROUP, &interface)?;
    socket.set_multicast_if_v4(&interface)?;
    // What RFC 6762 asks for: receivers take it as a sign that the packet comes from this network.
    socket.set_multicast_ttl_v4(255)?;
    socket.set_nonblocking(true)?;
    UdpSocket::from_std(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wyoming::mdns::tests::{query, service, told};

    const PTR: u16 = 12;

    async fn heard(socket: &UdpSocket) -> Vec<String> {
        let mut bytes = vec![0; LARGEST];
        let received = tokio::time::timeout(Duration::from_secs(10), socket.recv_from(&mut bytes)).await;
        let (length, _) = received.expect("something is told within ten seconds").unwrap();
        told(&bytes[..length])
    }

    #[tokio::test]
    async fn the_network_is_told_and_asked_and_told_when_it_is_over() {
        let (server, neighbour) =
            (UdpSocket::bind("127.0.0.1:0").await.unwrap(), UdpSocket::bind("127.0.0.1:0").await.unwrap());
        let (at, group) = (server.local_addr().unwrap(), neighbour.local_addr().unwrap());
        let stop = CancellationToken::new();
        let told_to_stop = stop.clone();
        let task = tokio::spawn(async move { answer(&server, group, &service(), &told_to_stop).await });
        assert_eq!(heard(&neighbour).await.len(), 5);
        let asker = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        asker.send_to(b"nonsense", at).await.unwrap();
        asker.send_to(&query("_wyoming._tcp.local", PTR), at).await.unwrap();
        let answer = heard(&asker).await;
        assert!(answer[0].ends_with("declaim on box._wyoming._tcp.local"), "{answer:?}");
        stop.cancel();
        task.await.unwrap();
        let mut last = heard(&neighbour).await;
        while !last[0].contains(" 0 ") {
            last = heard(&neighbour).await;
        }
    }

    #[test]
    fn an_address_is_found_where_none_is_said() {
        assert_eq!(reachable("192.168.1.7".parse().unwrap()).unwrap(), Ipv4Addr::new(192, 168, 1, 7));
        assert!(reachable("2001:db8::1".parse().unwrap()).is_err());
    }
}
