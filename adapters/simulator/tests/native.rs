//! Machines with native protocols, asked by foreign clients, and fed with hostile bytes.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use guideway_contract::kit::Peer;
use guideway_simulator::Fleet;
use rand::rngs::StdRng;
use rand::{Rng, RngCore, SeedableRng};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};

const PATIENCE: Duration = Duration::from_secs(20);

/// A machine that is served.
struct Served {
    port: u16,
    task: Option<JoinHandle<()>>,
    cancel: Option<DropGuard>,
}

impl Served {
    async fn start(profile: &str) -> Self {
        let machine =
            Fleet::seeded(1).native.into_iter().find(|machine| machine.profile() == profile).unwrap();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        assert!(machine.address(port).ends_with(&format!("127.0.0.1:{port}")));
        let cancel = CancellationToken::new();
        let task = tokio::spawn(machine.serve(listener, cancel.clone()));
        Self { port, task: Some(task), cancel: Some(cancel.drop_guard()) }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))).await.unwrap()
    }

    async fn client(&self, script: &str) -> Peer {
        Peer::python_on(script, &self.port.to_string(), &[]).await
    }

    /// It ends soon after it is told to, and has not panicked.
    async fn stop(mut self) {
        drop(self.cancel.take());
        timeout(PATIENCE, self.task.take().unwrap()).await.unwrap().unwrap();
    }

    /// Clients that say anything: nothing, noise, beginnings of requests with noise behind.
    async fn attack(&self, beginnings: &[&[u8]]) {
        let mut rng = StdRng::seed_from_u64(1);
        for _ in 0..200 {
            let mut bytes = beginnings[rng.random_range(0..beginnings.len())].to_vec();
            let mut noise = vec![0; rng.random_range(0..600)];
            rng.fill_bytes(&mut noise);
            bytes.extend(noise);
            let mut stream = self.connect().await;
            let _ = stream.write_all(&bytes).await;
            let _ = stream.shutdown().await;
            let mut answer = Vec::new();
            // It may answer, close or be reset; it must not hang.
            let _ = timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("the connection ends");
            assert!(answer.len() < 200_000, "{} bytes for nothing", answer.len());
        }
        assert!(!self.task.as_ref().unwrap().is_finished());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pymodbus_reads_the_meter() {
    let meter = Served::start("eastron-sdm630").await;
    let mut client = meter.client("sim_modbus.py").await;
    for what in ["meter", "outputs", "errors"] {
        assert_eq!(client.say(what).await, "ok", "{what}");
    }
    meter.attack(&[&[], &[0, 1, 0, 0, 0, 6, 1], &[0, 1, 0, 0, 0, 250, 1, 16], &[0, 1, 0, 0, 0, 1, 1]]).await;
    assert_eq!(client.say("meter").await, "ok");
    meter.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn snap7_reads_and_commands_the_press() {
    let press = Served::start("siemens-s7-1500-cell").await;
    let mut client = press.client("sim_s7.py").await;
    for what in ["block", "several", "errors"] {
        assert_eq!(client.say(what).await, "ok", "{what}");
    }
    assert_eq!(client.say("command 12 35").await, "result 0");
    assert_eq!(client.say("command 12 0").await, "result 2");
    assert_eq!(client.say("command 77").await, "result 99");
    let connect = [3, 0, 0, 22, 17, 0xE0, 0, 0, 0, 7, 0, 0xC0, 1, 10, 0xC1, 2, 1, 0, 0xC2, 2, 1, 1];
    let setup = [3, 0, 0, 25, 2, 0xF0, 0x80, 0x32, 1, 0, 0, 0, 1, 0, 8, 0, 0, 0xF0, 0, 0, 1, 0, 1, 1, 224];
    let job = [3, 0, 0, 31, 2, 0xF0, 0x80, 0x32, 1, 0, 0, 0, 1, 0, 14, 0, 0, 4, 1, 0x12, 10, 0x10];
    let ready = [&connect[..], &setup].concat();
    press.attack(&[&[], &[3, 0], &connect, &ready, &[&ready[..], &job].concat()]).await;
    assert_eq!(client.say("block").await, "ok");
    press.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn asyncua_reads_and_follows_the_robot() {
    let robot = Served::start("abb-robot-opcua").await;
    let mut client = robot.client("sim_opcua.py").await;
    for what in ["nodes", "browse", "moves", "closed"] {
        assert_eq!(client.say(what).await, "ok", "{what}");
    }
    robot.attack(&[&[], b"HELF", b"HELF\x20\0\0\0", b"OPNF", b"GET / HTTP/1.1\r\n"]).await;
    assert_eq!(client.say("nodes").await, "ok");
    robot.stop().await;
}

/// One framed reply of a control.
async fn reply(stream: &mut BufReader<TcpStream>) -> String {
    let mut frame = Vec::new();
    timeout(PATIENCE, stream.read_until(b'>', &mut frame)).await.unwrap().unwrap();
    let text = String::from_utf8(frame).unwrap();
    text.strip_prefix('\x02').and_then(|text| text.strip_suffix("\x17\r\n>")).unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_haas_control_answers_every_question_of_its_profile_to_both_its_clients() {
    let control = Served::start("haas-ngc-mill").await;
    let profile =
        include_str!("../../../device-profiles/haas-ngc-mill.toml").replace("${job_macro}", "10600");
    let questions: Vec<_> = profile
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once("addr = \"Q")?.1.split_once('"'))
        .collect();
    assert!(questions.len() > 30);
    let mut first = BufReader::new(control.connect().await);
    first.get_mut().write_all(b"?Q100\r\n").await.unwrap();
    assert!(reply(&mut first).await.starts_with("SERIAL NUMBER, 11"));
    let mut second = BufReader::new(control.connect().await);
    second.get_mut().write_all(b"?Q102\r\n").await.unwrap();
    assert_eq!(reply(&mut second).await, "MODEL, VF2");
    assert_eq!(reply(&mut first).await, "MODEL, VF2", "the answer to the other");
    for (question, _) in questions {
        first.get_mut().write_all(format!("?Q{question}\r\n").as_bytes()).await.unwrap();
        let answer = reply(&mut first).await;
        assert!(answer.contains(", ") && !answer.contains('?'), "{question}: {answer}");
        assert_eq!(reply(&mut second).await, answer);
        if let Some(variable) = question.strip_prefix("600 ") {
            let fields: Vec<_> = answer.split(',').map(str::trim).collect();
            assert_eq!(fields[..2], ["MACRO", variable]);
            assert!(fields[2].parse::<f64>().unwrap().is_finite(), "{answer}");
        }
    }
    first.get_mut().write_all(b"?E10600 4711\r\n?Q600 10600\r\n?Q998\r\n").await.unwrap();
    assert_eq!(reply(&mut first).await, "!");
    assert_eq!(reply(&mut first).await, "MACRO, 10600,  4711.000000");
    assert_eq!(reply(&mut first).await, "?, ?Q998");
    // A third one finds no room.
    let mut third = control.connect().await;
    assert_eq!(timeout(PATIENCE, third.read(&mut [0; 8])).await.unwrap().unwrap_or(0), 0);
    drop((first, second, third));
    control.attack(&[&[], b"?Q", b"?Q600 ", b"?E10600 ", b"\r\n?Q104\r\n"]).await;
    control.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_probing_station_prints_its_results_to_every_client() {
    let station = Served::start("fanuc-dprnt-probe").await;
    let mut clients = [BufReader::new(station.connect().await), BufReader::new(station.connect().await)];
    let mut heard = Vec::new();
    for client in &mut clients {
        let mut line = String::new();
        timeout(PATIENCE, client.read_line(&mut line)).await.unwrap().unwrap();
        heard.push(line.trim_start_matches('\x14').to_owned());
    }
    assert!(heard[0].starts_with("\x12PROBE SEQ ") && heard[0].ends_with("\r\n"), "{heard:?}");
    assert_eq!(heard[0], heard[1]);
    drop(clients);
    station.stop().await;
}
