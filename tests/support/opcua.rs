//! A gateway with an OPC UA server, machines for it, and foreign clients.

#![allow(clippy::needless_pass_by_value, reason = "requests are made where they are used")]

use std::io::{BufRead, BufReader, Read as _, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};

use super::eventually;
use super::gateway::{Gateway, free_port};

/// The policies that the server offers by default.
pub const POLICIES: [&str; 3] = ["Basic256Sha256", "Aes128_Sha256_RsaOaep", "Aes256_Sha256_RsaPss"];

/// A user of the tests' gateways.
pub const USER: &str = "anna";
/// And the password.
pub const PASSWORD: &str = "correct horse battery staple";

/// The uuid of the machine in `tests/opcua/machine.xml`.
pub const MACHINE: &str = "tests-machine-1";

/// The NodeId of something of that machine.
pub fn node(id: &str) -> String {
    format!("ns=3;s={MACHINE}/{id}")
}

/// A gateway's configuration, made piece by piece.
pub struct Stage {
    pub folder: tempfile::TempDir,
    pub http: u16,
    pub opcua: u16,
    devices: Vec<String>,
    adapters: String,
    pub more: String,
    security: String,
}

impl Stage {
    /// `security` goes into `[opcua]`, and what tables follow it.
    pub fn new(security: &str) -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            http: free_port(),
            opcua: free_port(),
            devices: Vec::new(),
            adapters: String::new(),
            more: String::new(),
            security: security.into(),
        }
    }

    /// Open to everybody, without security.
    pub fn open() -> Self {
        Self::new("allow_none = true\n")
    }

    pub fn machine(mut self, name: &str, xml: &str, port: u16) -> Self {
        let file = format!("{name}.xml");
        std::fs::write(self.folder.path().join(&file), xml).unwrap();
        self.devices.push(file);
        self.adapters += &format!(
            "\n[[adapter.shdr]]\nname = \"{name}\"\nhost = \"127.0.0.1\"\nport = {port}\n\
             accept_device_model = true\n"
        );
        self
    }

    /// A file with devices that is there already; adapters for them go into `more`.
    pub fn devices(&mut self, file: &Path) {
        self.devices.push(file.display().to_string());
    }

    pub fn url(&self) -> String {
        format!("opc.tcp://127.0.0.1:{}", self.opcua)
    }

    pub fn http_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.http)
    }

    /// Writes the configuration; gives its path.
    pub fn write(&self) -> PathBuf {
        let Self { http, opcua, devices, adapters, more, security, .. } = self;
        let text = format!(
            "[gateway]\nname = \"test\"\n\n[model]\ndevices = {devices:?}\nagent_device = false\n\n\
             [mtconnect]\naddress = \"127.0.0.1\"\nport = {http}\n{adapters}\n{more}\n\
             [opcua]\naddress = \"127.0.0.1\"\nport = {opcua}\nhostnames = [\"127.0.0.1\"]\n{security}\n"
        );
        let path = self.folder.path().join("guideway.toml");
        std::fs::write(&path, text).unwrap();
        path
    }

    /// Starts the gateway. Its key is one that earlier tests have made: to make one takes seconds.
    pub fn start(&self) -> Gateway {
        let pki = self.folder.path().join("data/opcua");
        let configuration = self.write();
        if pki.exists() || take("server", &pki) {
            return Gateway::start(&configuration, self.folder.path(), self.http);
        }
        let gateway = Gateway::start(&configuration, self.folder.path(), self.http);
        keep("server", &pki);
        gateway
    }

    /// Runs the command line beside the gateway; gives what it printed, or what it complained about.
    pub fn guideway(&self, arguments: &[&str]) -> Result<String, String> {
        let output = Command::new(env!("CARGO_BIN_EXE_guideway"))
            .args(arguments)
            .current_dir(self.folder.path())
            .env_remove("STATE_DIRECTORY")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        if output.status.success() {
            return Ok(said);
        }
        Err(said + &String::from_utf8_lossy(&output.stderr))
    }

    /// Lets in every client that was refused.
    pub fn trust(&self) {
        self.guideway(&["opcua", "trust", "all", "--data-dir", "data"]).unwrap();
    }
}

/// Writes a configuration with one machine that nobody feeds; `opcua` goes into `[opcua]`, and what tables
/// follow it. Gives its path.
pub fn configure(folder: &Path, http: u16, port: u16, opcua: &str) -> PathBuf {
    std::fs::write(folder.join("Devices.xml"), include_str!("counting.xml")).unwrap();
    let text = format!(
        "[model]\ndevices = ['Devices.xml']\n\
         [mtconnect]\naddress = '127.0.0.1'\nport = {http}\n\
         [opcua]\naddress = '127.0.0.1'\nport = {port}\n{opcua}\n"
    );
    let path = folder.join("guideway.toml");
    std::fs::write(&path, text).unwrap();
    path
}

/// Where keys are kept from test to test.
fn kept(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("opcua-keys").join(name)
}

/// Copies what is kept under that name; whether there is any.
fn take(name: &str, to: &Path) -> bool {
    kept(name).is_dir() && {
        copy(&kept(name), to);
        true
    }
}

/// Keeps a folder for other tests.
fn keep(name: &str, folder: &Path) {
    let begun = kept(&format!("{name}-{}", std::process::id()));
    copy(folder, &begun);
    // Another test may have been faster.
    if std::fs::rename(&begun, kept(name)).is_err() {
        let _ = std::fs::remove_dir_all(&begun);
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).unwrap();
        }
    }
}

/// An argon2 hash of [`PASSWORD`], cheap to check.
pub fn password_hash() -> String {
    use argon2::password_hash::{PasswordHasher, SaltString};
    let parameters = argon2::Params::new(8 * 1024, 1, 1, None).unwrap();
    let argon = argon2::Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, parameters);
    let salt = SaltString::encode_b64(b"a salt of the tests").unwrap();
    argon.hash_password(PASSWORD.as_bytes(), &salt).unwrap().to_string()
}

/// The three simulated machines of `guideway demo`, live.
pub struct Hall {
    machines: Vec<(String, String, u16)>,
    _runtime: tokio::runtime::Runtime,
}

impl Hall {
    pub fn open() -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let mut machines = Vec::new();
        for machine in guideway_simulator::Fleet::seeded(7).machines {
            let listener = runtime.block_on(tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).unwrap();
            let port = listener.local_addr().unwrap().port();
            machines.push((machine.name().to_owned(), machine.device_xml().to_owned(), port));
            let serve =
                guideway_simulator::serve(machine, listener, tokio_util::sync::CancellationToken::new());
            runtime.spawn(serve);
        }
        Self { machines, _runtime: runtime }
    }

    pub fn on(&self, stage: Stage) -> Stage {
        let add = |stage: Stage, (name, xml, port): &(String, String, u16)| stage.machine(name, xml, *port);
        self.machines.iter().fold(stage, add)
    }
}

/// A machine that says what the test tells it to say, to whoever is connected.
pub struct Spoken {
    pub port: u16,
    clients: Arc<Mutex<Vec<TcpStream>>>,
}

impl Spoken {
    pub fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let clients = Arc::new(Mutex::new(Vec::new()));
        let listening = clients.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                listening.lock().unwrap().push(stream.unwrap());
            }
        });
        Self { port, clients }
    }

    /// Lines of SHDR; waits until somebody is connected.
    pub fn say(&self, lines: &str) {
        eventually("the gateway has connected to the machine", Duration::from_secs(20), || {
            let mut clients = self.clients.lock().unwrap();
            // A gateway that has been stopped does not listen any more.
            clients.retain_mut(|client| {
                client.set_nonblocking(true).unwrap();
                // Its pings stand before its end: what is written behind them would be lost without a word.
                let mut said = [0; 256];
                let is_there = loop {
                    match client.read(&mut said) {
                        Ok(0) => break false,
                        Ok(_) => {}
                        Err(error) => break error.kind() == std::io::ErrorKind::WouldBlock,
                    }
                };
                client.set_nonblocking(false).unwrap();
                is_there
            });
            let heard =
                clients.iter_mut().filter_map(|client| client.write_all(lines.as_bytes()).ok()).count();
            (heard > 0).then_some(())
        });
    }
}

/// A foreign client, in a process of its own.
pub struct Peer {
    pub name: &'static str,
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
    pki: PathBuf,
}

impl Peer {
    /// asyncua, in Python.
    pub fn asyncua(folder: &Path) -> Self {
        Self::start("asyncua", ".venv/bin/python", "opcua_client.py", folder)
    }

    /// node-opcua, in JavaScript.
    pub fn node_opcua(folder: &Path) -> Self {
        Self::start("node-opcua", "node", "opcua_client.js", folder)
    }

    /// Both.
    pub fn all(folder: &Path) -> [Self; 2] {
        [Self::asyncua(folder), Self::node_opcua(folder)]
    }

    fn start(name: &'static str, program: &str, script: &str, folder: &Path) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let program = if program.contains('/') { root.join(program) } else { program.into() };
        let pki = folder.join(name);
        std::fs::create_dir_all(&pki).unwrap();
        let log = std::fs::File::options().create(true).append(true).open(pki.join("log")).unwrap();
        let mut child = Command::new(program)
            .arg(root.join("tests/peers").join(script))
            .current_dir(&pki)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| panic!("{name}: {error}; scripts/test installs it"));
        let (stdin, stdout) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        let mut peer = Self { name, child, stdin, stdout, pki };
        if name == "asyncua" {
            let made = json!({"do": "certificate", "to": peer.certificate(), "key": peer.key()});
            peer.ask(made).unwrap();
        } else if !take(name, &peer.pki.join("pki")) {
            peer.get(json!({"do": "certificate", "pki": peer.pki.join("pki")}));
            keep(name, &peer.pki.join("pki"));
        }
        peer
    }

    /// Where its certificate is, DER; and a user's.
    pub fn certificate(&self) -> PathBuf {
        self.pki.join("cert.der")
    }

    fn key(&self) -> PathBuf {
        self.pki.join("key.pem")
    }

    /// What it answers, or the status with which it was refused.
    pub fn ask(&mut self, request: Value) -> Result<Value, String> {
        writeln!(self.stdin, "{request}").unwrap();
        let mut line = String::new();
        let read = self.stdout.read_line(&mut line).unwrap();
        let log = || std::fs::read_to_string(self.pki.join("log")).unwrap_or_default();
        assert!(read > 0, "{} ended at {request}:\n{}", self.name, log());
        let mut answer: Value = serde_json::from_str(&line).unwrap();
        match answer.get("error") {
            Some(error) => Err(error.as_str().unwrap().to_owned()),
            None => Ok(answer["ok"].take()),
        }
    }

    /// What it answers to something that has to work.
    pub fn get(&mut self, request: Value) -> Value {
        let name = self.name;
        self.ask(request.clone()).unwrap_or_else(|error| panic!("{name}: {request}: {error}"))
    }

    /// Connects without security.
    pub fn connect(&mut self, stage: &Stage) {
        self.login(stage, None, json!({})).unwrap_or_else(|error| panic!("{}: {error}", self.name));
    }

    /// Connects with (policy, mode) and a login: `user` and `password`, `user_certificate` and `user_key`, or
    /// nothing.
    pub fn login(&mut self, stage: &Stage, secure: Option<(&str, &str)>, login: Value) -> Result<(), String> {
        let mut request = json!({"do": "connect", "url": stage.url()});
        let mut set = |key: &str, value: Value| request[key] = value;
        if let Some((policy, mode)) = secure {
            set("policy", json!(policy));
            set("mode", json!(mode));
        }
        for (key, value) in login.as_object().unwrap() {
            set(key, value.clone());
        }
        if self.name == "node-opcua" {
            set("pki", json!(self.pki.join("pki")));
        } else if secure.is_some() {
            set("certificate", json!(self.certificate()));
            set("key", json!(self.key()));
        }
        self.ask(request).map(|_| ())
    }

    pub fn leave(&mut self) {
        self.get(json!({"do": "disconnect"}));
    }

    /// Waits for something that it is to have heard.
    pub fn hears<T>(
        &mut self,
        what: &str,
        within: Duration,
        request: Value,
        mut look: impl FnMut(&Value) -> Option<T>,
    ) -> T {
        let what = format!("{}: {what}", self.name);
        let mut last = Value::Null;
        let deadline = std::time::Instant::now() + within;
        loop {
            if let Ok(answer) = self.ask(request.clone()) {
                if let Some(found) = look(&answer) {
                    return found;
                }
                last = answer;
            }
            if std::time::Instant::now() > deadline {
                let last: String = last.to_string().chars().take(2_000).collect();
                panic!("not within {within:?}: {what}; last answer: {last}");
            }
            // A receiver that nobody sends to is a timer.
            let (_keep, never) = std::sync::mpsc::channel::<()>();
            let _ = never.recv_timeout(Duration::from_millis(50));
        }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It may have ended already; then there is nothing to do.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
