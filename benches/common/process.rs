//! A server process under test: started over an empty directory, its processor time and memory read from the kernel.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Settings under which no bucket slows the load.
pub(crate) const UNLIMITED: &str = "[server.limits]\nmessages_per_second = 100000000\nmessage_burst = 100000000\n";

/// How to start one.
#[derive(Clone)]
pub(crate) struct Start {
    pub(crate) binary: PathBuf,
    pub(crate) arguments: Vec<String>,
    /// `plexichat.toml`.
    pub(crate) config: String,
    pub(crate) environment: Vec<(String, String)>,
}

impl Start {
    /// The bundle as it is built.
    pub(crate) fn bundle(config: &str) -> Self {
        Self::server(Path::new(env!("CARGO_BIN_EXE_plexichat")), &[], config)
    }

    /// A binary that takes `serve` after these arguments.
    pub(crate) fn server(binary: &Path, before: &[&str], config: &str) -> Self {
        let serve = ["serve", "--listen", "127.0.0.1:0", "--data-dir", ".", "--config", "plexichat.toml"];
        let arguments = before.iter().chain(&serve).map(ToString::to_string).collect();
        Self { binary: binary.to_owned(), arguments, config: config.to_owned(), environment: Vec::new() }
    }

    /// This executable as the bare server.
    pub(crate) fn bare() -> Self {
        let arguments = vec!["--bare".to_owned(), ".".to_owned()];
        Self { binary: std::env::current_exe().unwrap(), arguments, config: String::new(), environment: Vec::new() }
    }

    pub(crate) fn environment(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Starts it and waits for its first good answer.
    pub(crate) fn start(&self) -> Process {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("plexichat.toml"), &self.config).unwrap();
        self.start_in(folder)
    }

    /// The same over a directory that may have data already.
    pub(crate) fn start_in(&self, folder: tempfile::TempDir) -> Process {
        let began = Instant::now();
        let mut command = Command::new(&self.binary);
        command
            .args(&self.arguments)
            .envs(self.environment.iter().cloned())
            .current_dir(folder.path())
            .stdin(Stdio::null());
        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        let mut child = command.stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let Some(address) = line.strip_prefix("listening on http://").and_then(|address| address.trim().parse().ok())
        else {
            let log = std::fs::read_to_string(folder.path().join("log")).unwrap();
            panic!("{:?} does not listen: {line:?}\n{log}", self.arguments)
        };
        assert!(get(address, "/healthz").starts_with("HTTP/1.1 200 "));
        Process { child, address, ready: began.elapsed(), folder: Some(folder) }
    }
}

/// One that runs.
pub(crate) struct Process {
    child: Child,
    pub(crate) address: SocketAddr,
    /// From its start to its first good answer.
    pub(crate) ready: Duration,
    folder: Option<tempfile::TempDir>,
}

impl Process {
    /// One that something else started, with its directory.
    pub(crate) fn of(child: Child, address: SocketAddr, folder: tempfile::TempDir) -> Self {
        Self { child, address, ready: Duration::ZERO, folder: Some(folder) }
    }

    /// What is in a file of its directory.
    pub(crate) fn file(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder.as_ref().unwrap().path().join(name)).unwrap()
    }

    /// The administrator's token; nothing where the server has none.
    pub(crate) fn token(&self) -> String {
        let path = self.folder.as_ref().unwrap().path().join("admin-token");
        std::fs::read_to_string(path).map(|token| token.trim().to_owned()).unwrap_or_default()
    }

    /// The memory that it has touched, in MiB.
    pub(crate) fn resident(&self) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1024.0
    }

    /// The processor time that it has used so far.
    pub(crate) fn processor_time(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        // After the name in brackets, which may have spaces: user and system time are the 12th and 13th.
        let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
        let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
        Duration::from_millis(ticks * 10)
    }

    /// Ends it; its directory is left to whoever wants it.
    pub(crate) fn end(mut self) -> tempfile::TempDir {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.folder.take().unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One request on a connection of its own; the whole answer.
pub(crate) fn get(address: SocketAddr, path: &str) -> String {
    exchange(address, &format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n"))
}

/// One POST of JSON; the whole answer.
pub(crate) fn post(address: SocketAddr, token: &str, path: &str, body: &str) -> String {
    let length = body.len();
    exchange(
        address,
        &format!(
            "POST {path} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {token}\r\ncontent-type: application/json\r\n\
             content-length: {length}\r\nconnection: close\r\n\r\n{body}"
        ),
    )
}

fn exchange(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}
