//! Clients that are broken or mean: others are served meanwhile, and memory stays bounded.

#![allow(clippy::print_stdout, reason = "a test says what it measured")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "../support/mod.rs"]
mod support;

mod wire;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use support::eventually;
use support::gateway::{Gateway, free_port};
use support::opcua::configure;
use wire::{Wire, ids, uri};

/// What a gateway may hold that it did not hold before, whatever comes: 64 MiB, in KiB.
const SLACK: u64 = 64 << 10;

struct Stage {
    gateway: Gateway,
    port: u16,
    _folder: tempfile::TempDir,
}

impl Stage {
    /// A gateway with an OPC UA server on loopback.
    fn new(opcua: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (http, port) = (free_port(), free_port());
        let configuration = configure(folder.path(), http, port, opcua);
        let gateway = Gateway::start(&configuration, folder.path(), http);
        Self { gateway, port, _folder: folder }
    }

    fn wire(&self) -> Wire {
        Wire::connect(self.port)
    }

    fn opcua(&self, what: &str) -> u64 {
        self.gateway.health()["opcua"][what].as_u64().unwrap()
    }

    /// Somebody who behaves is answered, soon.
    fn assert_serves(&self) {
        let begun = Instant::now();
        let mut wire = self.wire();
        wire.open(uri::NONE);
        let endpoints = wire.ask(ids::GET_ENDPOINTS, &wire::get_endpoints(self.port));
        assert_eq!(endpoints.service(), ids::GET_ENDPOINTS_RESPONSE);
        assert!(begun.elapsed() < Duration::from_secs(10), "served after {:?}", begun.elapsed());
    }
}

#[test]
fn connections_that_say_nothing_have_a_limit_and_end() {
    let stage = Stage::new("[opcua.limits]\nconnections = 40");
    let before = stage.gateway.resident_kib();
    let mut idle: Vec<TcpStream> =
        (0..200).map(|_| TcpStream::connect(("127.0.0.1", stage.port)).unwrap()).collect();
    // Three quarters of them for one address.
    eventually("the surplus is turned away", Duration::from_secs(20), || {
        (stage.opcua("turnedAway") >= 170).then_some(())
    });
    assert_eq!(stage.opcua("connections"), 30);
    assert!(stage.gateway.resident_kib() < before + SLACK);
    eventually("those that say nothing are ended", Duration::from_secs(30), || {
        (stage.opcua("connections") == 0).then_some(())
    });
    // They were told why.
    let last = idle.first_mut().unwrap();
    let mut words = Vec::new();
    last.read_to_end(&mut words).unwrap();
    assert_eq!(&words[..4], b"ERRF");
    stage.assert_serves();
}

#[test]
fn what_is_not_opc_ua_is_cut_off_and_takes_no_memory() {
    let stage = Stage::new("allow_none = true");
    stage.assert_serves();
    let before = stage.gateway.resident_kib();
    let hello = wire::hello(stage.port);
    let huge = |kind: &[u8]| [kind, &0xFFFF_FFF0_u32.to_le_bytes(), &[0x41; 1 << 20]].concat();
    let messages: Vec<Vec<u8>> = vec![
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_vec(),
        vec![0; 4_096],
        vec![0xFF; 4_096],
        huge(b"HELF"),
        huge(b"MSGF"),
        [hello.clone(), huge(b"OPNF")].concat(),
        [hello.clone(), hello.clone()].concat(),
        [hello.clone(), wire::open("http://opcfoundation.org/UA/SecurityPolicy#Basic128Rsa15")].concat(),
        [hello.clone(), wire::open(uri::BASIC256SHA256)].concat(),
        [hello.clone(), wire::open(uri::NONE), huge(b"MSGC")].concat(),
        [hello.clone(), wire::open(uri::NONE), b"MSGF\x18\0\0\0".to_vec(), vec![0; 16]].concat(),
        [hello, wire::open(uri::NONE), b"CLOF\x10\0\0\0".to_vec(), vec![0; 8]].concat(),
    ];
    for round in 0..20 {
        for message in &messages {
            let mut stream = TcpStream::connect(("127.0.0.1", stage.port)).unwrap();
            stream.set_read_timeout(Some(Duration::from_secs(15))).unwrap();
            // It may be cut off in the middle of what it sends.
            let _ = stream.write_all(message);
            let _ = stream.shutdown(std::net::Shutdown::Write);
            let mut answer = Vec::new();
            let ended = stream.read_to_end(&mut answer);
            let reset =
                ended.as_ref().is_err_and(|error| error.kind() == std::io::ErrorKind::ConnectionReset);
            assert!(ended.is_ok() || reset, "round {round}: {ended:?} after {:?}", &message[..8]);
        }
    }
    stage.assert_serves();
    let after = stage.gateway.resident_kib();
    println!("malformed messages: {before} KiB before, {after} KiB after");
    assert!(after < before + SLACK, "{before} KiB before, {after} KiB after");
    assert!(!stage.gateway.said().contains("panicked"), "{}", stage.gateway.said());
}

#[test]
fn a_request_that_never_ends_is_cut_off_at_the_limit() {
    let stage = Stage::new("allow_none = true\n[opcua.limits]\nrequest_size = '256 KiB'");
    stage.assert_serves();
    let before = stage.gateway.resident_kib();
    for _ in 0..10 {
        let mut wire = stage.wire();
        wire.open(uri::NONE);
        let words = wire.send_endlessly(ids::READ);
        assert!(words.is_empty() || words.starts_with(b"ERRF"), "{words:?}");
    }
    assert!(stage.gateway.resident_kib() < before + SLACK);
    assert!(stage.opcua("cutOff") >= 10);
    stage.assert_serves();
}

#[test]
fn without_allow_none_a_channel_without_security_gives_no_session() {
    let stage = Stage::new("anonymous = true");
    for _ in 0..200 {
        let mut wire = stage.wire();
        wire.open(uri::NONE);
        let fault = wire.ask(ids::CREATE_SESSION, &wire::create_session(stage.port));
        assert_eq!(fault.service(), ids::SERVICE_FAULT);
        assert_eq!(fault.result(), 0x8054_0000, "BadSecurityModeRejected");
    }
    assert_eq!(stage.opcua("sessions"), 0);
    stage.assert_serves();
}

#[test]
fn sessions_without_security_leave_room_for_those_with() {
    let stage = Stage::new("allow_none = true\n[opcua.limits]\nsessions = 20");
    let mut taken = 0;
    let mut wires = Vec::new();
    for _ in 0..100 {
        let mut wire = stage.wire();
        wire.open(uri::NONE);
        let answer = wire.ask(ids::CREATE_SESSION, &wire::create_session(stage.port));
        if answer.service() == ids::CREATE_SESSION_RESPONSE {
            taken += 1;
            // Half of them go without a word, and leave their session behind.
            if taken % 2 == 0 {
                wires.push(wire);
            }
        } else {
            assert_eq!(answer.result(), 0x8056_0000, "BadTooManySessions");
        }
    }
    assert_eq!(taken, 15, "three quarters of twenty");
    eventually("they are counted", Duration::from_secs(20), || (stage.opcua("sessions") == 15).then_some(()));
    stage.assert_serves();
}

#[test]
fn a_client_that_asks_and_does_not_read_is_asked_to_wait() {
    let stage = Stage::new("allow_none = true");
    let before = stage.gateway.resident_kib();
    let mut stalled = Vec::new();
    for _ in 0..5 {
        let mut wire = stage.wire();
        wire.open(uri::NONE);
        // GetEndpoints answers some kilobytes to a hundred bytes.
        let sent = wire.flood(ids::GET_ENDPOINTS, &wire::get_endpoints(stage.port), Duration::from_secs(2));
        println!("a stalled client could send {sent} requests");
        stalled.push(wire);
    }
    stage.assert_serves();
    let after = stage.gateway.resident_kib();
    println!("stalled clients: {before} KiB before, {after} KiB after");
    assert!(after < before + SLACK, "{before} KiB before, {after} KiB after");
}

#[test]
fn the_gateway_stops_soon_although_clients_stall() {
    let stage = Stage::new("allow_none = true");
    let mut stalled = stage.wire();
    stalled.open(uri::NONE);
    stalled.flood(ids::GET_ENDPOINTS, &wire::get_endpoints(stage.port), Duration::from_secs(1));
    let mut idle = stage.wire();
    idle.open(uri::NONE);
    let silent = TcpStream::connect(("127.0.0.1", stage.port)).unwrap();
    let (status, took) = stage.gateway.terminate();
    assert!(status.success(), "{status}");
    assert!(took < Duration::from_secs(10), "it took {took:?}");
    drop((stalled, idle, silent));
}
