//! A server process: started on a free port over a data directory, killed, stopped, started again on the same data.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::Client;

/// How long anything that must happen may take before the test gives up.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// How a server is to be started.
#[derive(Clone)]
pub(crate) struct Setup {
    binary: PathBuf,
    data: Arc<tempfile::TempDir>,
    config: Option<PathBuf>,
    environment: Vec<(String, String)>,
    arguments: Vec<String>,
    /// Whether it listens on a free port, whatever the settings say.
    free_port: bool,
}

impl Setup {
    /// The built binary over a new, empty data directory.
    pub(crate) fn new() -> Self {
        Self::of(Path::new(env!("CARGO_BIN_EXE_plexichat")))
    }

    /// Another bundle's binary.
    pub(crate) fn of(binary: &Path) -> Self {
        let data = Arc::new(tempfile::Builder::new().prefix("plexichat-test-").tempdir().unwrap());
        std::fs::create_dir(data.path().join("data")).unwrap();
        Self {
            binary: binary.to_owned(),
            data,
            config: None,
            environment: Vec::new(),
            arguments: Vec::new(),
            free_port: true,
        }
    }

    /// With this `plexichat.toml`, beside the data directory.
    pub(crate) fn config(mut self, text: &str) -> Self {
        let path = self.folder().join("plexichat.toml");
        std::fs::write(&path, text).unwrap();
        self.config = Some(path);
        self
    }

    /// Listening where the settings say, since an argument would come over them.
    pub(crate) fn listen_as_set(mut self) -> Self {
        self.free_port = false;
        self
    }

    pub(crate) fn environment(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn argument(mut self, argument: &str) -> Self {
        self.arguments.push(argument.to_owned());
        self
    }

    /// The folder that holds the data directory and the settings.
    pub(crate) fn folder(&self) -> &Path {
        self.data.path()
    }

    pub(crate) fn data_dir(&self) -> PathBuf {
        self.folder().join("data")
    }

    /// A command of the binary in this environment, which holds nothing else of ours.
    pub(crate) fn command(&self) -> Command {
        self.command_of(&self.binary)
    }

    /// The same for a copy of the binary.
    pub(crate) fn command_of(&self, binary: &Path) -> Command {
        let mut command = Command::new(binary);
        command.current_dir(self.folder()).envs(self.environment.iter().cloned());
        for (name, _) in std::env::vars_os() {
            let ours = name.to_string_lossy().starts_with("PLEXICHAT");
            if ours && !self.environment.iter().any(|(set, _)| *set == *name.to_string_lossy()) {
                command.env_remove(name);
            }
        }
        command
    }

    fn serve(&self) -> Command {
        let mut command = self.command();
        command.arg("serve");
        if !self.arguments.iter().any(|argument| argument == "--data-dir") {
            command.arg("--data-dir").arg(self.data_dir());
        }
        if self.free_port && !self.arguments.iter().any(|argument| argument == "--listen") {
            command.args(["--listen", "127.0.0.1:0"]);
        }
        if let Some(config) = &self.config {
            command.arg("--config").arg(config);
        }
        command.args(&self.arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Starts it and waits until it listens.
    #[track_caller]
    pub(crate) fn start(&self) -> Server {
        self.try_start().unwrap_or_else(|failed| {
            panic!("the server did not listen ({}); stderr:\n{}", failed.status, failed.stderr);
        })
    }

    /// Starts it and waits until it listens, or has ended before.
    pub(crate) fn try_start(&self) -> Result<Server, Failed> {
        let began = Instant::now();
        let mut child = self.serve().spawn().unwrap();
        let stderr = collect(child.stderr.take().unwrap());
        let (stdout, lines) = lines(child.stdout.take().unwrap());
        let Ok(first) = lines.recv_timeout(PATIENCE) else {
            let _ = child.kill();
            let status = child.wait().unwrap();
            std::thread::sleep(Duration::from_millis(20));
            return Err(Failed { status, took: began.elapsed(), stdout: text(&stdout), stderr: text(&stderr) });
        };
        let ready = began.elapsed();
        let address = first.strip_prefix("listening on http://").and_then(|address| address.trim().parse().ok());
        let address = address.unwrap_or_else(|| panic!("the first line on stdout is {first:?}"));
        Ok(Server { setup: self.clone(), child, address, stdout, stderr, ready })
    }

    /// Starts it where it is expected to end by itself.
    #[track_caller]
    pub(crate) fn fail(&self) -> Failed {
        let began = Instant::now();
        let mut child = self.serve().spawn().unwrap();
        let stderr = collect(child.stderr.take().unwrap());
        let (stdout, _lines) = lines(child.stdout.take().unwrap());
        let Some(status) = wait(&mut child, PATIENCE) else {
            let _ = child.kill();
            let _ = child.wait();
            panic!("the server runs where it should have ended; stderr:\n{}", text(&stderr));
        };
        let took = began.elapsed();
        // The reader threads end with the pipes, which are closed by now.
        std::thread::sleep(Duration::from_millis(20));
        Failed { status, took, stdout: text(&stdout), stderr: text(&stderr) }
    }

    /// Runs a command of the binary, such as `plugin list`, without a server's address.
    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.command().args(arguments).stdin(Stdio::null()).output().unwrap()
    }
}

/// What is left of a server that ended by itself.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) status: ExitStatus,
    pub(crate) took: Duration,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// A running server. Dropping it kills it.
pub(crate) struct Server {
    setup: Setup,
    child: Child,
    pub(crate) address: SocketAddr,
    stdout: Arc<Mutex<Vec<u8>>>,
    stderr: Arc<Mutex<Vec<u8>>>,
    /// From its start to the line that says it listens.
    pub(crate) ready: Duration,
}

impl Server {
    pub(crate) fn setup(&self) -> &Setup {
        &self.setup
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// The administrator's token, from where the server put it.
    pub(crate) fn token(&self) -> String {
        let path = self.setup.data_dir().join("admin-token");
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())).trim().to_owned()
    }

    /// A client with the administrator's token.
    pub(crate) fn client(&self) -> Client {
        Client::new(self.address, Some(self.token()))
    }

    /// Runs a command of the binary against this server, as an operator beside it would.
    pub(crate) fn cli(&self, arguments: &[&str]) -> Output {
        let mut command = self.setup.command();
        command.args(arguments).arg("--server").arg(format!("http://{}", self.address));
        command.env("PLEXICHAT_TOKEN", self.token()).stdin(Stdio::null()).output().unwrap()
    }

    /// The same, as text, where it must succeed.
    #[track_caller]
    pub(crate) fn cli_ok(&self, arguments: &[&str]) -> String {
        let output = self.cli(arguments);
        let shown = String::from_utf8_lossy(&output.stdout).into_owned();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {}\n{shown}\n{errors}", output.status);
        shown
    }

    /// What it has logged so far.
    pub(crate) fn stderr(&self) -> String {
        text(&self.stderr)
    }

    pub(crate) fn stdout(&self) -> String {
        text(&self.stdout)
    }

    /// Waits until a line of its log has all of these.
    #[track_caller]
    pub(crate) fn wait_for_log(&self, parts: &[&str]) -> String {
        let began = Instant::now();
        loop {
            let log = self.stderr();
            let found = log.lines().find(|line| parts.iter().all(|part| line.contains(part)));
            if let Some(line) = found {
                return line.to_owned();
            }
            assert!(began.elapsed() < PATIENCE, "no line of the log has {parts:?}:\n{log}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// `kill -9`.
    pub(crate) fn kill(mut self) -> Setup {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.setup.clone()
    }

    /// `kill -9`, and started again over the same data.
    #[track_caller]
    pub(crate) fn kill_and_restart(self) -> Self {
        self.kill().start()
    }

    /// Waits until it ends by itself.
    #[track_caller]
    pub(crate) fn ended(mut self) -> Failed {
        let began = Instant::now();
        let status = wait(&mut self.child, PATIENCE).unwrap_or_else(|| panic!("does not end:\n{}", self.stderr()));
        std::thread::sleep(Duration::from_millis(20));
        Failed { status, took: began.elapsed(), stdout: text(&self.stdout), stderr: text(&self.stderr) }
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        rustix::process::kill_process(rustix::process::Pid::from_child(&self.child), signal).unwrap();
    }

    /// SIGTERM; how it ended and when.
    #[track_caller]
    pub(crate) fn stop(mut self) -> Failed {
        let began = Instant::now();
        self.signal(rustix::process::Signal::TERM);
        let status = wait(&mut self.child, PATIENCE).unwrap_or_else(|| panic!("does not stop:\n{}", self.stderr()));
        std::thread::sleep(Duration::from_millis(20));
        Failed { status, took: began.elapsed(), stdout: text(&self.stdout), stderr: text(&self.stderr) }
    }

    /// SIGTERM, and started again over the same data.
    #[track_caller]
    pub(crate) fn restart(self) -> Self {
        let setup = self.setup.clone();
        let stopped = self.stop();
        assert!(stopped.status.success(), "{stopped:?}");
        setup.start()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- the server's log:\n{}---", self.stderr());
        }
    }
}

fn text(bytes: &Mutex<Vec<u8>>) -> String {
    String::from_utf8_lossy(&bytes.lock().unwrap()).into_owned()
}

/// Reads a pipe to its end in a thread.
fn collect(mut pipe: impl Read + Send + 'static) -> Arc<Mutex<Vec<u8>>> {
    let collected = Arc::new(Mutex::new(Vec::new()));
    let sink = collected.clone();
    std::thread::spawn(move || {
        let mut buffer = [0; 8192];
        while let Ok(length @ 1..) = pipe.read(&mut buffer) {
            sink.lock().unwrap().extend_from_slice(&buffer[..length]);
        }
    });
    collected
}

/// The same, and hands out its lines.
fn lines(pipe: impl Read + Send + 'static) -> (Arc<Mutex<Vec<u8>>>, Receiver<String>) {
    let collected = Arc::new(Mutex::new(Vec::new()));
    let sink = collected.clone();
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(pipe).lines() {
            let Ok(line) = line else { return };
            sink.lock().unwrap().extend_from_slice(format!("{line}\n").as_bytes());
            let _ = sender.send(line);
        }
    });
    (collected, receiver)
}

fn wait(child: &mut Child, patience: Duration) -> Option<ExitStatus> {
    let began = Instant::now();
    while began.elapsed() < patience {
        if let Some(status) = child.try_wait().unwrap() {
            return Some(status);
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    None
}
