//! Downloads over TLS and through a proxy, with the real program: certificates are checked, variables are obeyed.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::Output;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::command::declaim;
use crate::hub::{FakeHub, Line};
use crate::scene::{NAME, REPOSITORY, Scene, content};

/// A scene whose hub speaks TLS, and the file with the authority that vouches for it.
fn encrypted_scene() -> (Scene, PathBuf) {
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    let certificate = CertificateParams::new(names).unwrap().signed_by(&key, &authority).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        )
        .unwrap();
    let config = Arc::new(config);
    let hub = FakeHub::start_wrapped(
        "https",
        Arc::new(move |stream: TcpStream| {
            let connection = ServerConnection::new(Arc::clone(&config)).ok()?;
            Some(Box::new(StreamOwned::new(connection, stream)) as Box<dyn Line>)
        }),
    );
    for (name, bytes) in content() {
        hub.put(REPOSITORY, name, &bytes);
    }
    let mut scene = Scene::new();
    scene.settings.endpoint.clone_from(&hub.url);
    scene.hub = hub;
    let file = scene.data.path().join("authority.pem");
    std::fs::write(&file, authority.pem()).unwrap();
    (scene, file)
}

fn pull(scene: &Scene, variables: &[(&str, &str)]) -> Output {
    let mut command = declaim(scene, &["models", "pull", NAME]);
    command.env("DECLAIM_HUB__RETRIES", "0").envs(variables.iter().copied()).output().unwrap()
}

#[test]
fn a_hub_with_a_certificate_that_is_vouched_for_is_believed_and_no_other() {
    let (scene, authority) = encrypted_scene();
    let stranger = pull(&scene, &[]);
    assert_eq!(stranger.status.code(), Some(1));
    let told = String::from_utf8_lossy(&stranger.stderr).into_owned();
    assert!(told.contains("invalid peer certificate"), "{told}");
    scene.assert_not_published();
    assert_eq!(scene.hub.take_log(), []);
    let known = pull(&scene, &[("SSL_CERT_FILE", authority.to_str().unwrap())]);
    assert_eq!(known.status.code(), Some(0), "{}", String::from_utf8_lossy(&known.stderr));
    scene.assert_whole(&content());
}

#[test]
fn certificates_that_cannot_be_read_are_an_error_that_names_the_variable() {
    let scene = Scene::new();
    let output = pull(&scene, &[("SSL_CERT_FILE", "/nonexistent.pem")]);
    assert_eq!(output.status.code(), Some(1));
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(told.contains("/nonexistent.pem (SSL_CERT_FILE) cannot be read"), "{told}");
}

/// A proxy that connects everything to `target`, whatever name is asked for. Counts.
fn proxy(target: String) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    std::thread::spawn(move || {
        for inward in listener.incoming() {
            let mut inward = inward.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                inward.read_exact(&mut byte).unwrap();
                head.push(byte[0]);
            }
            assert!(head.starts_with(b"CONNECT hub.example:"), "{}", String::from_utf8_lossy(&head));
            counted.fetch_add(1, Ordering::Relaxed);
            let outward = TcpStream::connect(&target).unwrap();
            inward.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").unwrap();
            let (mut from, mut to) = (inward.try_clone().unwrap(), outward.try_clone().unwrap());
            std::thread::spawn(move || {
                let _ = std::io::copy(&mut from, &mut to);
                let _ = to.shutdown(std::net::Shutdown::Write);
            });
            let (mut from, mut to) = (outward, inward);
            std::thread::spawn(move || {
                let _ = std::io::copy(&mut from, &mut to);
                let _ = to.shutdown(std::net::Shutdown::Both);
            });
        }
    });
    (url, count)
}

#[test]
fn a_proxy_is_used_where_the_variables_name_one() {
    let mut scene = Scene::new();
    let (url, count) = proxy(scene.hub.url.trim_start_matches("http://").to_owned());
    // A name that only the proxy can resolve; its answers redirect to localhost, which NO_PROXY excludes.
    scene.settings.endpoint = "http://hub.example".to_owned();
    let output = pull(&scene, &[("ALL_PROXY", url.as_str()), ("NO_PROXY", "localhost")]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    scene.assert_whole(&content());
    assert!(count.load(Ordering::Relaxed) >= 16, "{count:?} connections went through the proxy");
}
